//! The indentation of a reply, made that of the code it replaces.

/// The narrowest and widest indents that are taken for a unit, in spaces.
const UNITS: [usize; 3] = [2, 4, 8];

/// `code` with the indentation of `old`, and with tabs where `old` has them.
pub(super) fn like(code: &str, old: &str) -> String {
    let base = common_of(old);
    let code = with_first_line_in_place(code, old);
    let common = common_of(&code);
    let tabs = old.lines().any(|line| line.starts_with('\t'));
    let unit = unit_of(&code, common.len());
    let mut out = String::new();
    for line in code.lines() {
        let line = line.trim_end();
        let rest = line
            .strip_prefix(common.as_str())
            .unwrap_or(line.trim_start());
        if !line.is_empty() {
            out.push_str(&base);
            match unit.filter(|_| tabs) {
                Some(unit) => {
                    let text = rest.trim_start_matches(' ');
                    let spaces = rest.len() - text.len();
                    out.push_str(&"\t".repeat(spaces / unit));
                    out.push_str(&" ".repeat(spaces % unit));
                    out.push_str(text);
                }
                None => out.push_str(rest),
            }
        }
        out.push('\n');
    }
    out
}

/// The least indentation of the lines that say something.
fn common_of(text: &str) -> String {
    let indents = text.lines().filter(|l| !l.trim().is_empty()).map(indent_of);
    let least = indents.min_by_key(|indent| indent.len());
    least.unwrap_or_default().to_owned()
}

fn indent_of(line: &str) -> &str {
    let text = line.trim_start();
    line.get(..line.len() - text.len()).unwrap_or_default()
}

/// A model that goes on after an indentation writes the first line without one and the rest with it. The
/// old code tells: where its first line is as far right as the rest, the new one's is too.
fn with_first_line_in_place(code: &str, old: &str) -> String {
    let (Some((first, rest)), Some((old_first, old_rest))) =
        (code.split_once('\n'), old.split_once('\n'))
    else {
        return code.to_owned();
    };
    let (rest_base, old_base) = (common_of(rest), common_of(old_rest));
    let flat = !old_rest.trim().is_empty() && indent_of(old_first) == old_base;
    let hangs = indent_of(first).is_empty() && !rest_base.is_empty() && rest_base == old_base;
    if flat && hangs {
        format!("{rest_base}{code}")
    } else {
        code.to_owned()
    }
}

/// How many spaces `code` indents by, beyond its common indent.
fn unit_of(code: &str, common: usize) -> Option<usize> {
    let deeper: Vec<usize> = code
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(indent_of)
        .filter(|indent| indent.bytes().all(|b| b == b' '))
        .map(|indent| indent.len().saturating_sub(common))
        .filter(|&more| more > 0)
        .collect();
    let least = deeper.iter().min()?;
    UNITS.contains(least).then_some(*least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_indented_as_what_it_replaces() {
        for (code, old, expected) in [
            (
                "fn a() {\n    b\n}\n",
                "    fn a() {}\n",
                "    fn a() {\n        b\n    }\n",
            ),
            (
                "        a\n\n            b\n",
                "    a\n",
                "    a\n\n        b\n",
            ),
            ("a\nb\n", "\ta\n", "\ta\n\tb\n"),
            (
                "if a {\n    b\n}\n",
                "\tif a {\n\t\tc\n\t}\n",
                "\tif a {\n\t\tb\n\t}\n",
            ),
            (
                "if a {\n  b\n}\n",
                "\tif a {\n\t\tc\n\t}\n",
                "\tif a {\n\t\tb\n\t}\n",
            ),
            // The first line without its indentation, the rest with it.
            ("a\n    b\n", "    x\n    y\n", "    a\n    b\n"),
            (
                "def a():\n    b\n",
                "    def a():\n        c\n",
                "    def a():\n        b\n",
            ),
            ("a\n", "a\n", "a\n"),
            ("a  \n\t\n", "a\n", "a\n\n"),
        ] {
            assert_eq!(like(code, old), expected, "{code:?} for {old:?}");
        }
    }
}

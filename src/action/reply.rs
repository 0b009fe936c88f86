//! From what a model wrote to code, or a sentence why it is not taken.

use super::Refusal;

/// The code of a reply: its first fenced block, or all of it where nothing is fenced and it resembles
/// `old`, the code that was to be changed (empty where there is none).
pub(super) fn code(reply: &str, old: &str) -> Result<String, Refusal> {
    let mut lines = reply.lines();
    while let Some(line) = lines.next() {
        let Some(fence) = opening(line) else { continue };
        let mut code = String::new();
        for line in lines.by_ref() {
            if closes(line, fence) {
                return checked(code, old);
            }
            code.push_str(line);
            code.push('\n');
        }
        return Err(Refusal::CutOff);
    }
    let text = reply.trim_matches('\n');
    if resembles(text, old) {
        return checked(format!("{}\n", text.trim_end()), old);
    }
    Err(Refusal::Chat)
}

/// Whether a reply that goes on has the code that counts: its first fenced block is closed.
pub(super) fn has_whole_code(reply: &str) -> bool {
    let whole_lines = reply.rsplit_once('\n').map_or("", |(lines, _)| lines);
    let mut lines = whole_lines.lines();
    let fence = lines.find_map(opening);
    fence.is_some_and(|fence| lines.any(|line| closes(line, fence)))
}

/// The backticks or tildes that a block begins with, and how far they are indented.
fn opening(line: &str) -> Option<(usize, char)> {
    let trimmed = line.trim_start();
    let sign = trimmed.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = trimmed.chars().take_while(|c| *c == sign).count();
    // The rest names the language; a line of code in backticks is closed on itself.
    let inline = trimmed
        .get(length..)
        .is_some_and(|rest| rest.contains(sign));
    (length >= 3 && !inline).then_some((length, sign))
}

fn closes(line: &str, (length, sign): (usize, char)) -> bool {
    let line = line.trim();
    line.chars().all(|c| c == sign) && line.chars().count() >= length
}

fn checked(code: String, old: &str) -> Result<String, Refusal> {
    if code.trim().is_empty() {
        return Err(Refusal::Nothing);
    }
    match code
        .lines()
        .find(|line| stands_for_code(line) && !old.contains(line.trim()))
    {
        Some(line) => Err(Refusal::LeftOut(line.trim().to_owned())),
        None => Ok(code),
    }
}

/// Whether prose is out of the question: of the lines that say something, half are lines of `old`.
fn resembles(text: &str, old: &str) -> bool {
    let telling = |line: &&str| line.chars().filter(|c| c.is_alphanumeric()).count() > 2;
    let old: Vec<&str> = old.lines().map(str::trim).collect();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(telling).collect();
    let known = lines.iter().filter(|line| old.contains(line)).count();
    known > 0 && 2 * known >= lines.len()
}

/// Beginnings of lines that import.
const IMPORTS: &[&str] = &[
    "import ",
    "from ",
    "use ",
    "pub use ",
    "#include ",
    "using ",
    "require ",
    "require_relative ",
];

/// `code` without the imports at its head that the document has already: models repeat what they were shown.
/// `old` is what the code replaces; what stands there may stay.
pub(super) fn without_known_imports(code: String, old: &str, document: &str) -> String {
    let known = |line: &str| {
        // Without its end a longer one would be torn.
        let is_whole = !line.trim_end().ends_with(['(', '{', ',', '\\']);
        let imports = is_whole && IMPORTS.iter().any(|start| line.starts_with(start));
        let is = |other: &str| other.trim_end() == line.trim_end();
        imports && !old.lines().any(is) && document.lines().any(is)
    };
    let mut rest = code.as_str();
    let mut found = false;
    while let Some((line, after)) = rest.split_once('\n') {
        if known(line) {
            found = true;
        } else if !line.trim().is_empty() {
            break;
        }
        rest = after;
    }
    if found && !rest.trim().is_empty() {
        rest.to_owned()
    } else {
        code
    }
}

/// Words of comments that models write instead of code they were to repeat.
const STANDS_FOR_CODE: &[&str] = &[
    "existing code",
    "rest of the code",
    "rest of code",
    "remaining code",
    "code remains",
    "unchanged code",
    "other methods",
    "rest of the function",
    "rest of the method",
    "rest of the implementation",
    "same as before",
    "omitted for brevity",
    "your code here",
];

fn stands_for_code(line: &str) -> bool {
    let line = line.trim().to_lowercase();
    let comment = ["//", "#", "/*", "--", "...", "{/*", "<!--"]
        .iter()
        .any(|sign| line.starts_with(sign));
    comment && STANDS_FOR_CODE.iter().any(|words| line.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "fn a() {\n    one();\n    two();\n}\n";

    #[test]
    fn code_is_taken_out_of_what_stands_around_it() {
        for (reply, expected) in [
            ("```rust\nfn a() {}\n```", "fn a() {}\n"),
            ("Here it is:\n\n```\nfn a() {}\n```\nDone.", "fn a() {}\n"),
            ("~~~rust\nfn a() {}\n~~~", "fn a() {}\n"),
            ("```rust\nfirst\n```\n```rust\nsecond\n```", "first\n"),
            ("````\n```\ninner\n```\n````", "```\ninner\n```\n"),
            ("  ```rust\n  fn a() {}\n  ```", "  fn a() {}\n"),
            ("fn a() {\n    one();\n}", "fn a() {\n    one();\n}\n"),
        ] {
            assert_eq!(code(reply, OLD).ok().as_deref(), Some(expected), "{reply}");
        }
    }

    #[test]
    fn imports_that_are_there_do_not_come_again() {
        let document =
            "import a\nfrom b import c\nfrom m import (\n    g,\n)\n\ndef f():\n    import d\n";
        for (code, expected) in [
            // One of many lines is not torn.
            (
                "from m import (\n    g,\n)\ndef f():\n",
                "from m import (\n    g,\n)\ndef f():\n",
            ),
            ("import a\n\ndef f():\n", "def f():\n"),
            ("import a\nfrom b import c\ndef f():\n", "def f():\n"),
            ("import a\nimport e\ndef f():\n", "import e\ndef f():\n"),
            ("import e\ndef f():\n", "import e\ndef f():\n"),
            ("\ndef f():\n", "\ndef f():\n"),
            ("def f():\n    import a\n", "def f():\n    import a\n"),
            ("import a\n", "import a\n"),
        ] {
            let old = "def f():\n    import d\n";
            let got = without_known_imports(code.to_owned(), old, document);
            assert_eq!(got, expected, "{code}");
        }
        let imports = "import a\nfrom b import c\n";
        let got = without_known_imports(imports.to_owned(), imports, document);
        assert_eq!(got, imports);
    }

    #[test]
    fn code_is_whole_once_its_fence_is_closed() {
        for (reply, expected) in [
            ("Sure:\n", false),
            ("Sure:\n```rust\nfn a() {}\n", false),
            // More may come of that line.
            ("```rust\nfn a() {}\n```", false),
            ("```rust\nfn a() {}\n```\n", true),
            ("```rust\nfn a() {}\n```\nIt does", true),
            ("````md\n```\na\n```\n", false),
            ("fn a() {}\n", false),
        ] {
            assert_eq!(has_whole_code(reply), expected, "{reply}");
        }
    }

    #[test]
    fn what_is_no_code_is_refused_with_a_sentence() {
        for (reply, expected) in [
            ("You should rename the function.", "is not code"),
            ("Call `one()` and then `two()`.", "is not code"),
            ("", "is not code"),
            ("```rust\nfn a() {\n    one();", "was cut off"),
            ("```rust\n\n```", "is empty"),
            (
                "```rust\nfn a() {\n    // ... existing code ...\n}\n```",
                "left code out",
            ),
            (
                "```py\ndef a():\n    # rest of the code\n```",
                "left code out",
            ),
        ] {
            let error = code(reply, OLD).expect_err(reply).to_string();
            assert!(error.contains(expected), "{reply}: {error}");
        }
        // Who writes so may keep it.
        let old = "fn a() {\n    // the rest of the code is elsewhere\n}\n";
        assert!(code(&format!("```\n{old}```"), old).is_ok());
    }
}

//! How a language writes a comment to the end of the line.

/// The sign that begins a comment, by LSP language id; `None` for languages without one or unknown.
pub(super) fn sign_of(language_id: &str) -> Option<&'static str> {
    Some(match language_id {
        "rust" | "c" | "cpp" | "objective-c" | "objective-cpp" | "cuda-cpp" | "java" | "kotlin"
        | "scala" | "groovy" | "csharp" | "fsharp" | "go" | "swift" | "dart" | "zig"
        | "javascript" | "javascriptreact" | "typescript" | "typescriptreact" | "php" | "scss"
        | "less" | "proto" | "jsonc" | "solidity" | "glsl" | "wgsl" | "v" => "//",
        "python" | "ruby" | "perl" | "perl6" | "shellscript" | "bash" | "fish" | "powershell"
        | "r" | "julia" | "elixir" | "nim" | "crystal" | "yaml" | "toml" | "make" | "makefile"
        | "dockerfile" | "cmake" | "terraform" | "nix" | "coffeescript" | "awk" | "tcl"
        | "gdscript" | "graphql" => "#",
        "lua" | "sql" | "haskell" | "elm" | "ada" | "vhdl" | "purescript" => "--",
        "clojure" | "lisp" | "scheme" | "racket" | "ini" | "asm" => ";",
        "erlang" | "prolog" | "matlab" | "tex" | "latex" => "%",
        "vim" => "\"",
        _ => return None,
    })
}

/// Every line of `text` as a comment.
pub(super) fn commented(text: &str, sign: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for line in text.lines() {
        out.push_str(sign);
        if !line.is_empty() {
            out.push(' ');
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_comment() {
        assert_eq!(commented("a\n\n  b", "//"), "// a\n//\n//   b\n");
        assert_eq!(sign_of("python"), Some("#"));
        assert_eq!(sign_of("html"), None);
    }
}

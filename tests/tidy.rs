//! Keeps the rules of the source tree that no compiler checks, by reading it as text.
//!
//! Each rule is a row of a table. A test collects every offence and fails once, naming the file,
//! the line and what to do, so that one run shows all there is to mend.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use reading::{lines_with, modules_named, root, split, tree};

#[path = "tidy/reading.rs"]
mod reading;

/// What the modules in `of` never import. Together the rows say that imports go one way:
/// server → features → index → router → backend, with prompt and document below all of them.
struct Layer {
    of: &'static [&'static str],
    never: &'static [&'static str],
}

const LAYERS: &[Layer] = &[
    Layer {
        of: &["prompt", "document"],
        never: &[
            "cli", "server", "inline", "chat", "action", "index", "router", "backend",
        ],
    },
    Layer {
        of: &["context", "grammar", "kept_out", "redact"],
        never: &[
            "cli", "server", "inline", "chat", "action", "index", "router", "backend",
        ],
    },
    Layer {
        of: &["backend"],
        never: &[
            "cli", "server", "inline", "chat", "action", "index", "router",
        ],
    },
    Layer {
        of: &["router"],
        never: &["cli", "server", "inline", "chat", "action", "index"],
    },
    Layer {
        of: &["index"],
        never: &["cli", "server", "inline", "chat", "action"],
    },
    Layer {
        of: &["inline", "chat", "action"],
        never: &["cli", "server"],
    },
    Layer {
        of: &["eval"],
        never: &["cli", "server"],
    },
    Layer {
        of: &["config", "models"],
        never: &[
            "cli", "server", "inline", "chat", "action", "index", "router",
        ],
    },
];

/// A library that only some modules may name, and why.
struct Fence {
    library: &'static str,
    only: &'static [&'static str],
    why: &'static str,
}

const FENCES: &[Fence] = &[
    Fence {
        library: "tower_lsp",
        only: &["server", "document/position", "cli"],
        why: "the protocol stays at the edge",
    },
    Fence {
        library: "reqwest",
        only: &["backend", "models"],
        why: "only these know HTTP",
    },
    Fence {
        library: "llama_cpp_sys_2",
        only: &[
            "models/quantize",
            "backend/embedded/interrupt",
            "backend/embedded/threads",
            "kernels/wrapped",
        ],
        why: "unsafe calls stay in one file for each purpose",
    },
    Fence {
        library: "llama_cpp_2",
        only: &["backend/embedded", "models"],
        why: "the engine is one backend among others",
    },
];

/// Lines of a source file. Longer files hold more than one idea.
const MOST_LINES: usize = 400;

/// Lines of a file of tests, where a table of cases grows without holding a second idea.
const MOST_TEST_LINES: usize = 600;

/// What no file may hold; in Rust only comments and, for paths, everything is read. Written in
/// halves so that this table does not offend against itself.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
];

/// Folders of one machine. What a user's folder is called is asked of the system.
const MACHINE_FOLDERS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/tm", "p/"),
];

/// Fails with all offences at once.
#[track_caller]
fn assert_none(offences: &[String]) {
    let mut message = String::new();
    for offence in offences {
        let _ = write!(message, "\n  {offence}");
    }
    assert!(offences.is_empty(), "{} offences:{message}", offences.len());
}

#[test]
fn imports_go_one_way() {
    let mut offences = Vec::new();
    for source in tree() {
        let named = modules_named(&split(&source.text).code);
        for layer in LAYERS.iter().filter(|layer| source.is_in(layer.of)) {
            for (line, name) in named
                .iter()
                .filter(|(_, name)| layer.never.contains(&name.as_str()))
            {
                offences.push(format!(
                    "{}:{line}: imports `{name}`, which is above it",
                    source.path
                ));
            }
        }
    }
    assert_none(&offences);
}

#[test]
fn libraries_stay_behind_their_fences() {
    let mut offences = Vec::new();
    for source in tree().iter().filter(|s| s.module().is_some()) {
        let code = split(&source.text).code;
        for fence in FENCES.iter().filter(|fence| !source.is_in(fence.only)) {
            for line in lines_with(&code, fence.library) {
                let (path, library, why) = (&source.path, fence.library, fence.why);
                offences.push(format!("{path}:{line}: names `{library}`; {why}"));
            }
        }
    }
    assert_none(&offences);
}

#[test]
fn source_files_say_what_they_are_for() {
    let offences: Vec<String> = tree()
        .iter()
        .filter(|s| s.module().is_some() && !s.text.starts_with("//! "))
        .map(|s| {
            format!(
                "{}:1: open it with `//!`: purpose, who calls it, invariants",
                s.path
            )
        })
        .collect();
    assert_none(&offences);
}

#[test]
fn source_files_hold_one_idea() {
    let mut offences = Vec::new();
    for source in tree().iter().filter(|s| s.is_rust()) {
        let (lines, most) = (
            source.text.lines().count(),
            if source.is_of_tests() {
                MOST_TEST_LINES
            } else {
                MOST_LINES
            },
        );
        if lines > most {
            offences.push(format!(
                "{}:{lines}: split it by idea; at most {most} lines",
                source.path
            ));
        }
    }
    assert_none(&offences);
}

#[test]
fn nothing_is_left_for_later() {
    let mut offences = Vec::new();
    for source in tree().iter().filter(|s| s.path != "Cargo.lock") {
        let text = if source.is_rust() {
            split(&source.text).comments
        } else {
            source.text.clone()
        };
        for word in UNFINISHED {
            for line in lines_with(&text, word) {
                offences.push(format!(
                    "{}:{line}: `{word}`; do it, or say what is so",
                    source.path
                ));
            }
        }
    }
    assert_none(&offences);
}

#[test]
fn no_path_of_one_machine() {
    let mut offences = Vec::new();
    for source in tree() {
        for folder in MACHINE_FOLDERS {
            for line in lines_with(&source.text, folder) {
                offences.push(format!(
                    "{}:{line}: `{folder}` exists on one machine",
                    source.path
                ));
            }
        }
    }
    assert_none(&offences);
}

/// The subcommands that `--help` lists, so that the table in the README is held against the program.
fn subcommands() -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_ghostline"))
        .arg("--help")
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "`ghostline --help` failed");
    let help = String::from_utf8(output.stdout).expect("help is UTF-8");
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        // A line that is indented further goes on with the description above it.
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .filter(|name| name != "help")
        .collect()
}

#[test]
fn the_readme_knows_every_command() {
    let names = subcommands();
    assert!(!names.is_empty(), "`ghostline --help` lists no commands");
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md is readable");
    let offences: Vec<String> = names
        .iter()
        .filter(|name| {
            !readme
                .lines()
                .any(|l| l.starts_with('|') && l.contains(&format!("`ghostline {name}")))
        })
        .map(|name| format!("README.md:1: the commands table has no `ghostline {name}`"))
        .collect();
    assert_none(&offences);
}

/// The rows of the list of what other engines get wrong. A number is never given away: a row that no
/// longer holds says so.
const PEER_FAILURES: &[&str] = &[
    "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13", "14", "15", "16",
    "20", "21", "22", "23", "24", "30", "30b", "31", "32", "33", "34", "35", "36", "37", "38",
    "39", "40", "41", "42", "43", "44", "45", "46", "47", "50", "51", "52", "53", "54", "54b",
    "54c", "54d", "55", "56", "57", "58", "59", "60",
];

#[test]
fn every_failure_of_a_peer_has_a_test_or_a_sentence() {
    let table = include_str!("data/peer_failures.tsv");
    let tree = tree();
    let mut offences = Vec::new();
    let mut numbers = Vec::new();
    for (line, n) in table.lines().zip(1..).filter(|(l, _)| !l.starts_with('#')) {
        let place = format!("tests/data/peer_failures.tsv:{n}");
        let columns: Vec<&str> = line.split('\t').collect();
        let &[number, what, tests, sentence] = columns.as_slice() else {
            offences.push(format!("{place}: not four columns"));
            continue;
        };
        numbers.push(number.trim_start_matches("T-"));
        if what.len() < 10 || (tests == "-" && sentence.len() < 20) {
            offences.push(format!(
                "{place}: {number} has neither a test nor a sentence"
            ));
        }
        for test in tests.split(' ').filter(|t| *t != "-") {
            let (path, name) = test.split_once("::").unwrap_or((test, ""));
            let holds = |s: &&reading::Source| {
                s.path == path
                    && ["fn ", "def "]
                        .iter()
                        .any(|keyword| s.text.contains(&format!("{keyword}{name}(")))
            };
            if name.is_empty() || !tree.iter().any(|s| holds(&s)) {
                offences.push(format!(
                    "{place}: {number} names `{test}`, which is not there"
                ));
            }
        }
    }
    assert_eq!(numbers, PEER_FAILURES, "every number once, in order");
    assert_none(&offences);
}

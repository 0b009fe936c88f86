//! `ghostline doctor`: the set-up examined, one line per finding.
//!
//! Findings go to stdout, what is being done to stderr. Any failure that is an error makes the exit
//! code 1; a warning does not.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::json;

use super::{Exit, output};
use crate::config::{Role, workspace_root};
use crate::doctor::{Finding, Scene, Severity, counted, examine, table};
use crate::host::LocalHost;
use crate::router::calibrate::calibrate;
use crate::server::Host as _;

mod quality;

/// Arguments of `ghostline doctor`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Print one JSON object: `{ok, checks: [{id, ok, severity, message, fix?}], places: [{role, places:
    /// [{backend, model, serves, prefill_tokens_per_second, decode_tokens_per_second,
    /// typical_request_ms}]}]}`
    #[arg(long)]
    pub json: bool,
    /// First measure how fast each backend that has the model of ROLE is, which decides who serves it:
    /// completion, chat, reasoning or vision. Loads the model at each
    #[arg(long, value_name = "ROLE", num_args = 0..=1, default_missing_value = "completion", value_parser = role)]
    pub calibrate: Option<Role>,
    /// Also let the chat model write functions and run them: more than 70 % must pass. Takes long
    #[arg(long, requires = "data")]
    pub quality: bool,
    /// The problems: `HumanEval.jsonl.gz` of github.com/openai/human-eval
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Only so many of the problems, drawn
    #[arg(long, value_name = "N", requires = "quality")]
    pub limit: Option<usize>,
}

/// Examines the set-up of the workspace around the current folder.
///
/// # Errors
/// The current folder is unknown.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let here = std::env::current_dir().context("the current folder cannot be read")?;
    let root = workspace_root(&here).to_owned();
    let host = LocalHost::new();
    let say = |text: &str| {
        if std::io::stderr().is_terminal() {
            output::note(text);
        }
    };
    // As long as these live, the backends that were measured are the ones that are examined.
    let (choices, _) = host.choices(&host.settings(Some(&root), None).0);
    if let Some(role) = args.calibrate {
        say(&format!("measuring each backend for {role} …"));
        let measured = calibrate(&choices, role).await;
        if measured.is_empty() {
            output::note(&format!("nothing serves {role}, so nothing was measured"));
        }
        for one in measured {
            if let Err(why) = one.speed {
                let backend = one.found.route.backend.name();
                output::note(&format!("{backend} could not be measured: {why}"));
            }
        }
    }
    let scene = Scene::look(&root, |settings| host.choices(settings)).await;
    let mut findings = examine(&scene, &say).await;
    if let Some(data) = args.data.filter(|_| args.quality) {
        say("letting the chat model write functions …");
        findings.push(quality::check(&scene, &data, args.limit).await);
    }
    let failed = |finding: &&Finding| !finding.ok && finding.severity == Severity::Error;
    let ok = findings.iter().filter(failed).count() == 0;
    if args.json {
        let report = json!({ "ok": ok, "checks": findings, "places": table(&scene) });
        output::line(&serde_json::to_string_pretty(&report)?);
    } else {
        print(&findings, ok);
    }
    Ok(if ok { Exit::Success } else { Exit::Failed })
}

/// A role whose model can be asked at one place or another.
fn role(text: &str) -> Result<Role, String> {
    let roles = Role::ALL.iter().filter(|&&role| role != Role::Embedding);
    let wanted = roles.clone().find(|role| role.name() == text);
    wanted.copied().ok_or_else(|| {
        let names: Vec<&str> = roles.map(|role| role.name()).collect();
        format!("it is none of {}", names.join(", "))
    })
}

fn print(findings: &[Finding], ok: bool) {
    for finding in findings {
        output::line(&line(finding));
    }
    let count = |severity| {
        let of = |f: &&Finding| !f.ok && f.severity == severity;
        findings.iter().filter(of).count()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    output::line(&if ok && warnings == 0 {
        "all is well".to_owned()
    } else {
        format!(
            "{}, {}",
            counted(errors, "error"),
            counted(warnings, "warning")
        )
    });
}

/// One line; a failure ends in what mends it.
fn line(finding: &Finding) -> String {
    let mark = match (finding.ok, finding.severity) {
        (true, _) => "ok     ",
        (false, Severity::Error) => "error  ",
        (false, Severity::Warning) => "warning",
        (false, Severity::Info) => "note   ",
    };
    // A settings problem may have several lines.
    let message = finding.message.replace('\n', " ");
    let fix = finding
        .fix
        .as_ref()
        .map(|fix| format!(" → {}", fix.text()))
        .unwrap_or_default();
    format!("{mark} {}: {message}{fix}", finding.id)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;
    use crate::doctor::{Fix, samples};

    /// Programs that a fix may call beside our own.
    const PROGRAMS: [&str; 10] = [
        "ollama",
        "curl",
        "sh",
        "open",
        "winget",
        "nvidia-smi",
        "sudo",
        "unset",
        "export",
        "sleep",
    ];

    /// The simple commands of a line, as lists of words. Enough of a shell for what is handed out.
    fn commands(line: &str) -> Vec<Vec<String>> {
        let mut commands = vec![Vec::new()];
        let mut word: Option<String> = None;
        let mut quote = None;
        let mut letters = line.chars().chain([' ']);
        while let Some(c) = letters.next() {
            match (c, quote) {
                ('\\', None) => word.get_or_insert_default().extend(letters.next()),
                ('\'' | '"', None) => {
                    quote = Some(c);
                    word.get_or_insert_default();
                }
                (c, Some(open)) if c == open => quote = None,
                (' ', None) => {
                    let Some(word) = word.take() else { continue };
                    if ["&&", "&", "|", ";"].contains(&word.as_str()) {
                        commands.push(Vec::new());
                    } else if let Some(last) = commands.last_mut() {
                        last.push(word);
                    }
                }
                (c, _) => word.get_or_insert_default().push(c),
            }
        }
        assert_eq!(quote, None, "{line}");
        commands
    }

    /// Every failing line ends in one of these; a new one does not compile without a sample.
    #[test]
    fn whatever_is_handed_out_works_as_it_is_written() {
        for (fix, is_command) in samples::all() {
            let text = fix.text();
            assert!(!text.contains('\n') && !text.contains("NAME"), "{text}");
            if !is_command {
                // A step is exact: it names the command, the key or the place.
                assert_eq!(text.matches('`').count() % 2, 0, "{text}");
                assert!(text.contains('`'), "{text}");
                continue;
            }
            assert!(!text.contains('`'), "{text}");
            for command in commands(&text) {
                let program = command.first().map(String::as_str).unwrap_or_default();
                if program == "ghostline" {
                    let parsed = Cli::try_parse_from(&command);
                    assert!(parsed.is_ok(), "{text}: {parsed:?}");
                } else {
                    let known = program.starts_with("${EDITOR:-") || program == "notepad";
                    assert!(known || PROGRAMS.contains(&program), "{text}");
                }
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_reads_what_is_handed_out() {
        for (fix, _) in samples::all()
            .into_iter()
            .filter(|(_, is_command)| *is_command)
        {
            let mut shell = std::process::Command::new("sh");
            let status = shell.args(["-n", "-c", &fix.text()]).status();
            assert!(status.expect("a shell").success(), "{fix:?}");
        }
    }

    #[test]
    fn a_failing_line_ends_in_what_mends_it() {
        let finding = |ok, fix| Finding {
            id: "x".to_owned(),
            ok,
            severity: Severity::Error,
            message: "two\nlines".to_owned(),
            fix,
        };
        for (finding, expect) in [
            (finding(true, None), "ok      x: two lines"),
            (
                finding(false, Some(Fix::Verify)),
                "error   x: two lines → ghostline models verify",
            ),
        ] {
            assert_eq!(line(&finding), expect);
        }
    }
}

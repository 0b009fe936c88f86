//! `ghostline complete FILE:LINE:COLUMN`: one inline completion from the terminal, made as the server makes
//! one: the same rules about files, and the files that this one imports taken for open ones.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde_json::json;

use super::{Exit, Usage, output};
use crate::config::{Role, workspace_root};
use crate::document::Document;
use crate::document::language::language_id;
use crate::host::LocalHost;
use crate::inline::{Ask, Engine, Nothing};
use crate::metrics::{Metrics, ms};
use crate::router::{RoleState, Router};
use crate::server::Host;

/// Nobody is typing: the whole text is waited for, however slow the model.
const PATIENCE: Duration = Duration::from_mins(5);

/// Arguments of `ghostline complete`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where: line and column count from 1, the column in characters.
    #[arg(value_name = "FILE:LINE:COLUMN")]
    pub place: String,
    /// Print one JSON object: text, model, backend, timings, prompt and cached tokens.
    #[arg(long)]
    pub json: bool,
}

/// Asks for the completion and prints it.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let (path, line, column) = parse(&args.place)?;
    let text = read(&path)?;
    let offset_bytes = offset(&text, &path, line, column)?;
    let host = LocalHost::new();
    let file = path
        .canonicalize()
        .with_context(|| format!("cannot find {}", path.display()))?;
    let folders = [workspace_root(file.parent().unwrap_or(&file)).to_owned()];
    let (mut settings, mut problems) = host.settings(folders.first().map(PathBuf::as_path), None);
    let (choices, more) = host.choices(&settings);
    problems.extend(more);
    for problem in &problems {
        output::note(problem);
    }
    settings.inline.deadline = PATIENCE;
    settings.inline.enabled = true;
    let router = Router::new(choices);
    let checks = tokio::spawn(router.clone().run());
    let engine = Arc::new(Engine::new(
        router.clone(),
        Arc::new(settings),
        Arc::<Metrics>::default(),
    ));
    engine.set_folders(&folders);
    let uri =
        url::Url::from_file_path(&file).map_err(|()| anyhow!("{} has no URI", path.display()))?;
    let ask = Ask {
        document: Document::new(uri.as_str(), 0, language_id(&file), &text),
        offset_bytes,
        explicit: true,
        selected: None,
    };
    engine.gather_context(&ask.document, offset_bytes).await;
    let answer = engine.complete(ask).await;
    checks.abort();
    let completion = match answer {
        Ok(completion) => completion,
        Err(Nothing::NoBackend) => {
            if let RoleState::Unavailable(why) = router.route(Role::Completion) {
                output::note(&format!("ghostline: {why}"));
            }
            return Ok(Exit::NoBackend);
        }
        Err(Nothing::Failed) => {
            output::note(
                "ghostline: the backend failed; run `ghostline complete` with GHOSTLINE_LOG=debug",
            );
            return Ok(Exit::NoBackend);
        }
        Err(Nothing::Skipped(skip)) => {
            let why = skip.sentence().unwrap_or("no completion is wanted here");
            output::note(&format!("ghostline: {why}"));
            return Ok(Exit::Failed);
        }
        Err(_) => {
            output::note("ghostline: the model has nothing to add here");
            return Ok(Exit::Failed);
        }
    };
    if args.json {
        let trace = &completion.trace;
        output::line(
            &json!({
                "file": path,
                "line": line,
                "column": column,
                "text": completion.insert_text,
                "role": Role::Completion,
                "model": &*trace.model,
                "backend": &*trace.backend,
                "prompt_tokens": trace.prompt_tokens,
                "prompt_tokens_estimated": trace.prompt_estimated,
                "cached_tokens": trace.cached_tokens,
                "generated_tokens": trace.generated_tokens,
                "first_token_ms": trace.first_token.map(ms),
                "total_ms": ms(trace.total),
                "stop": trace.stop,
            })
            .to_string(),
        );
    } else {
        output::line(&completion.insert_text);
    }
    Ok(Exit::Success)
}

fn parse(place: &str) -> anyhow::Result<(PathBuf, usize, usize)> {
    let mut parts = place.rsplitn(3, ':');
    let (column, line, file) = (parts.next(), parts.next(), parts.next());
    let number = |text: Option<&str>| {
        text.and_then(|t| t.parse::<usize>().ok())
            .filter(|&n| n > 0)
    };
    match (file, number(line), number(column)) {
        (Some(file), Some(line), Some(column)) if !file.is_empty() => {
            Ok((file.into(), line, column))
        }
        _ => bail!(Usage(format!(
            "`{place}` is not FILE:LINE:COLUMN; line and column count from 1, as in src/main.rs:10:5"
        ))),
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    if path.is_dir() {
        bail!(Usage(format!("{shown} is a directory; name a file")));
    }
    let bytes = std::fs::read(path).map_err(|e| Usage(format!("cannot read {shown}: {e}")))?;
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Usage(format!(
            "{shown} is not UTF-8: byte {at} begins no character"
        ))
        .into()
    })
}

fn offset(text: &str, path: &Path, line: usize, column: usize) -> anyhow::Result<usize> {
    let rope = ropey::Rope::from_str(text);
    let shown = path.display();
    if line > rope.len_lines() {
        let lines = rope.len_lines();
        bail!(Usage(format!(
            "{shown} has {lines} lines; there is no line {line}"
        )));
    }
    let content = crate::document::position::line_content(&rope, line - 1);
    if column > content.len_chars() + 1 {
        let chars = content.len_chars();
        bail!(Usage(format!(
            "line {line} of {shown} has {chars} characters; column {column} is past {}",
            chars + 1
        )));
    }
    Ok(rope.line_to_byte(line - 1) + content.char_to_byte(column - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_file_a_line_and_a_column() {
        assert_eq!(parse("a/b.rs:3:7").unwrap(), ("a/b.rs".into(), 3, 7));
        assert_eq!(parse("C:\\b.rs:3:7").unwrap(), ("C:\\b.rs".into(), 3, 7));
        for bad in [
            "a.rs", "a.rs:3", "a.rs:0:1", "a.rs:1:0", ":1:1", "a.rs:x:1", "",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_column_counts_characters_and_may_stand_after_the_last() {
        let at = |line, column| offset("aμb\r\nc", Path::new("f"), line, column);
        assert_eq!(at(1, 3).unwrap(), 3);
        assert_eq!(at(1, 4).unwrap(), 4);
        assert!(at(1, 5).is_err());
        assert_eq!(at(2, 2).unwrap(), 7);
        assert!(at(3, 1).is_err());
    }
}

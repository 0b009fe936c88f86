//! `ghostline search QUERY`: places of the workspace that answer a question, from the terminal.

use serde_json::json;

use super::index::workspace_index;
use super::{Exit, Usage, output};
use crate::index::{Hit, SearchError};

/// Lines shown of a place.
const SHOWN_LINES: usize = 4;

/// Arguments of `ghostline search`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What to look for, in words or as code.
    #[arg(required = true, value_name = "QUERY")]
    pub query: Vec<String>,
    /// At most so many places.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub limit: u16,
    /// Print one JSON object: `{query, note, hits: [{file, line, end_line, score, text}]}`; lines count
    /// from 1.
    #[arg(long)]
    pub json: bool,
}

/// Searches and prints.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let query = args.query.join(" ");
    let (index, problems) = workspace_index().await?;
    for problem in &problems {
        output::note(problem);
    }
    index.catch_up().await?;
    let answer = match index.search(&query, args.limit.into()).await {
        Err(error @ SearchError::Empty) => return Err(Usage(error.to_string()).into()),
        answer => answer?,
    };
    if args.json {
        let hits: Vec<_> = answer.hits.iter().map(hit_json).collect();
        output::line(&json!({ "query": query, "note": answer.note, "hits": hits }).to_string());
    } else {
        if let Some(note) = &answer.note {
            output::note(&format!("ghostline: {note}"));
        }
        for hit in &answer.hits {
            show(hit);
        }
    }
    if answer.hits.is_empty() {
        output::note("ghostline: nothing was found");
        return Ok(Exit::Failed);
    }
    Ok(Exit::Success)
}

fn hit_json(hit: &Hit) -> serde_json::Value {
    json!({
        "file": hit.shown_path,
        "line": hit.lines.start + 1,
        "end_line": hit.lines.end,
        "score": hit.score,
        "text": hit.text,
    })
}

fn show(hit: &Hit) {
    let (first, last) = (hit.lines.start + 1, hit.lines.end);
    output::line(&format!(
        "{}:{first}-{last}  {:.2}",
        hit.shown_path, hit.score
    ));
    // What a file holds never steers the terminal.
    let plain = |line: &str| -> String {
        line.chars()
            .map(|c| {
                if c.is_control() && c != '\t' {
                    '\u{fffd}'
                } else {
                    c
                }
            })
            .collect()
    };
    for line in hit.text.lines().take(SHOWN_LINES) {
        output::line(&format!("    {}", plain(line)));
    }
}

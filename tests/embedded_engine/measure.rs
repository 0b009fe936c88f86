//! What token healing gives: a paired measurement over real code.
//!
//! Lines of this repository's sources and, where `GHOSTLINE_TEST_INFILLING` names the file, of
//! HumanEval's infilling problems are cut at random places inside words. The rest of the line is
//! taken away; right is a completion whose first 8 characters are the line's. Run it with
//! `cargo test --test embedded_engine -- --ignored measure::healed`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use ghostline::backend::embedded::Embedded;
use ghostline::backend::{Backend, Request};

use crate::healing::unhealed;
use crate::support::{collect, engine, fim, request};

/// Names `HumanEval-SingleLineInfilling.jsonl.gz`.
const INFILLING: &str = "GHOSTLINE_TEST_INFILLING";

/// Lines that are cut, from each source.
const LINES: usize = 60;
/// Cuts on each line.
const CUTS: usize = 3;
/// Characters that have to be right, as in the replay's `right_ghost`.
const RIGHT_CHARS: usize = 8;
const LINES_ABOVE: usize = 14;
const LINES_BELOW: usize = 4;
const SEED: u64 = 0x5eed;

/// One place: what stands before the line, the line, and what stands below.
struct Gap {
    above: String,
    line: String,
    below: String,
}

/// Counts of one source, paired.
#[derive(Default)]
struct Tally {
    cuts: usize,
    unhealed: usize,
    healed: usize,
    only_unhealed: usize,
    only_healed: usize,
}

pub(crate) async fn healed_against_unhealed(weights: &Path) {
    let (healed, unhealed) = (engine(weights), unhealed(weights));
    let mut random = Random(SEED);
    let mut tallies = BTreeMap::new();
    for (source, documents) in sources() {
        let mut gaps: Vec<_> = documents.iter().flat_map(|text| gaps(text)).collect();
        let tally: &mut Tally = tallies.entry(source).or_default();
        for _ in 0..LINES.min(gaps.len()) {
            let gap = gaps.swap_remove(random.below(gaps.len()));
            let mut places = cuts(&gap.line);
            for _ in 0..CUTS.min(places.len()) {
                let at = places.swap_remove(random.below(places.len()));
                let (typed, rest) = gap.line.split_at(at);
                let plain = is_right(&unhealed, &gap, typed, rest).await;
                let mended = is_right(&healed, &gap, typed, rest).await;
                tally.cuts += 1;
                tally.unhealed += usize::from(plain);
                tally.healed += usize::from(mended);
                tally.only_unhealed += usize::from(plain && !mended);
                tally.only_healed += usize::from(mended && !plain);
            }
        }
    }
    eprintln!("source | cuts | right unhealed | right healed | only unhealed | only healed");
    for (source, tally) in &tallies {
        let share = |right: usize| f64::from(small(right)) / f64::from(small(tally.cuts));
        eprintln!(
            "{source} | {} | {:.3} | {:.3} | {} | {}",
            tally.cuts,
            share(tally.unhealed),
            share(tally.healed),
            tally.only_unhealed,
            tally.only_healed
        );
    }
}

async fn is_right(engine: &Embedded, gap: &Gap, typed: &str, rest: &str) -> bool {
    let asked = Request {
        stop: vec!["\n".to_owned()],
        ..request(fim(&gap.above, &gap.below, typed), 8)
    };
    let (text, _) = collect(engine.stream(asked)).await.unwrap();
    let wanted: String = rest.chars().take(RIGHT_CHARS).collect();
    let got: String = text.trim_end().chars().take(RIGHT_CHARS).collect();
    got == wanted
}

/// Each source's name and documents.
fn sources() -> Vec<(&'static str, Vec<String>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths: Vec<_> = ignore::Walk::new(folder)
        .filter_map(Result::ok)
        .map(ignore::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    paths.sort();
    let rust = paths
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let mut sources = vec![("this repository, Rust", rust)];
    match std::env::var_os(INFILLING) {
        Some(path) => sources.push(("HumanEval infilling, Python", problems(Path::new(&path)))),
        None => eprintln!("SKIPPED: HumanEval infilling, because {INFILLING} names no file"),
    }
    sources
}

fn problems(path: &Path) -> Vec<String> {
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    let problem = |line: &str| -> String {
        let problem: serde_json::Value = serde_json::from_str(line).unwrap();
        ["prompt", "canonical_solution", "suffix"]
            .iter()
            .filter_map(|part| problem.get(part)?.as_str())
            .collect()
    };
    // Each problem is there once for each of its lines.
    let mut problems: Vec<_> = text.lines().map(problem).collect();
    problems.dedup();
    problems
}

/// The lines of a document that can be cut, each with its surroundings.
fn gaps(text: &str) -> Vec<Gap> {
    let lines: Vec<_> = text.lines().collect();
    let join = |lines: &[&str]| {
        lines
            .iter()
            .fold(String::new(), |text, line| text + line + "\n")
    };
    let mut gaps = Vec::new();
    for (at, &line) in lines.iter().enumerate() {
        let comment = ["//", "#", "\"\"\"", ">>>"];
        let is_code = !comment
            .iter()
            .any(|mark| line.trim_start().starts_with(mark));
        if is_code && line.trim().len() > 2 * RIGHT_CHARS && !cuts(line).is_empty() {
            let above = &lines[at.saturating_sub(LINES_ABOVE)..at];
            let below = &lines[at + 1..lines.len().min(at + 1 + LINES_BELOW)];
            gaps.push(Gap {
                above: join(above),
                line: line.trim_end().to_owned(),
                below: format!("\n{}", join(below)),
            });
        }
    }
    gaps
}

/// Where a word of letters is cut in two: bytes from the line's start.
fn cuts(line: &str) -> Vec<usize> {
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic();
    line.as_bytes()
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| pair.iter().all(is_letter))
        .map(|(at, _)| at + 1)
        .collect()
}

/// Numbers that are the same in each run (`SplitMix64`, Steele and others 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % bound as u64).unwrap()
    }
}

/// Counts of a few hundred.
fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap()
}

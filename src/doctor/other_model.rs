//! The command that gives a role another model, of those that can be had here.
//!
//! Called by the checks that found a model too slow, too large or too weak. What they hand out runs as it
//! is written: the model is fetched, then chosen.

use super::{Fix, Scene};
use crate::config::{BackendKind, Role};

/// Who serves a rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Ollama,
    Engine,
}

/// Models that do for completion and for chat, by size in billions of parameters, smallest first.
const LADDER: [(f64, &str, By); 4] = [
    (0.5, "qwen2.5-coder-0.5b", By::Engine),
    (1.5, "qwen2.5-coder-1.5b", By::Engine),
    (7.0, "qwen2.5-coder:7b", By::Ollama),
    (30.0, "qwen3-coder:30b", By::Ollama),
];

/// Where models can be had: the names of the backends.
#[derive(Debug, Clone, Copy)]
struct Shelf<'a> {
    /// An Ollama that answers.
    ollama: Option<&'a str>,
    engine: Option<&'a str>,
}

impl Shelf<'_> {
    fn of(scene: &Scene) -> Shelf<'_> {
        let mut backends = scene.resolved.settings.backends.iter();
        let engine = backends.find(|(_, backend)| backend.kind == BackendKind::Embedded);
        let ollama = scene.ollamas.iter().find(|here| here.found.is_ok());
        Shelf {
            ollama: ollama.map(|here| here.backend.as_str()),
            engine: engine.map(|(name, _)| name.as_str()),
        }
    }

    fn has(&self, by: By) -> Option<&str> {
        match by {
            By::Ollama => self.ollama,
            By::Engine => self.engine,
        }
    }

    /// The last rung below a size, largest first; or the first above it.
    fn rung(&self, fits: impl Fn(f64) -> bool, largest: bool) -> Option<String> {
        let mut rungs: Vec<_> = LADDER.iter().filter(|(size, ..)| fits(*size)).collect();
        if largest {
            rungs.reverse();
        }
        let mut names = rungs.into_iter().filter_map(|(_, model, by)| {
            let backend = self.has(*by)?;
            Some(format!("{backend}/{model}"))
        });
        names.next()
    }
}

/// Fetches `name`, which has its backend in front, and chooses it.
pub(super) fn switch(role: Role, name: &str) -> Fix {
    Fix::Switch {
        role,
        name: name.to_owned(),
    }
}

/// The next smaller model than `model`; `None` where there is none, or where the size of `model` is unknown.
pub(super) fn smaller(scene: &Scene, role: Role, model: &str) -> Option<Fix> {
    let size = billions(model)?;
    let name = Shelf::of(scene).rung(|other| other < size, true)?;
    Some(switch(role, &name))
}

/// The next larger model than `model`.
pub fn larger(scene: &Scene, role: Role, model: &str) -> Option<Fix> {
    let size = billions(model).unwrap_or_default();
    let name = Shelf::of(scene).rung(|other| other > size, false)?;
    Some(switch(role, &name))
}

/// A model that is known to do for the role: one that sees, one that embeds, or one that fills in the
/// middle, talks and reads 32,768 tokens.
pub(super) fn well_known(scene: &Scene, role: Role) -> Fix {
    let shelf = Shelf::of(scene);
    let ollama = shelf.ollama.unwrap_or("ollama");
    let name = match role {
        Role::Vision => format!("{ollama}/qwen2.5vl:7b"),
        Role::Embedding => format!("{ollama}/nomic-embed-text"),
        Role::Completion | Role::Chat | Role::Reasoning => shelf
            .rung(|size| size < 2.0, true)
            .unwrap_or_else(|| "embedded/qwen2.5-coder-1.5b".to_owned()),
    };
    switch(role, &name)
}

/// The size that a model's name tells, in billions of parameters.
fn billions(model: &str) -> Option<f64> {
    let mut words = model.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    words.find_map(|word| word.strip_suffix(['b', 'B'])?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_sizes() {
        for (name, expect) in [
            ("qwen3-coder:30b-a3b-q4_K_M", Some(30.0)),
            ("qwen2.5-coder-0.5b", Some(0.5)),
            ("Qwen/Qwen2.5-Coder-7B-Instruct", Some(7.0)),
            ("nomic-embed-text", None),
            ("b", None),
        ] {
            assert_eq!(billions(name), expect, "{name}");
        }
    }

    #[test]
    fn the_next_rung_is_one_that_can_be_had() {
        let all = Shelf {
            ollama: Some("team"),
            engine: Some("embedded"),
        };
        let alone = Shelf {
            ollama: None,
            ..all
        };
        for (shelf, size, below, above) in [
            (all, 30.0, Some("team/qwen2.5-coder:7b"), None),
            (
                all,
                7.0,
                Some("embedded/qwen2.5-coder-1.5b"),
                Some("team/qwen3-coder:30b"),
            ),
            (alone, 30.0, Some("embedded/qwen2.5-coder-1.5b"), None),
            (alone, 0.5, None, Some("embedded/qwen2.5-coder-1.5b")),
            (alone, 1.5, Some("embedded/qwen2.5-coder-0.5b"), None),
        ] {
            let smaller = shelf.rung(|other| other < size, true);
            assert_eq!(smaller.as_deref(), below, "{shelf:?} {size}");
            let larger = shelf.rung(|other| other > size, false);
            assert_eq!(larger.as_deref(), above, "{shelf:?} {size}");
        }
        let command = switch(Role::Chat, "embedded/qwen2.5-coder-0.5b").text();
        assert_eq!(
            command,
            "ghostline models pull embedded/qwen2.5-coder-0.5b && ghostline models use chat \
             embedded/qwen2.5-coder-0.5b"
        );
    }
}

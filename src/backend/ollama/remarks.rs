//! What a person should know about a model in Ollama's memory: noted as it is seen, said in words.
//!
//! Written by the requests and by the probe; read for the status.

use std::time::Duration;

use tokio::time::Instant;

/// How long something that happened is worth telling.
const NEWS: Duration = Duration::from_mins(10);

/// What was noticed about one model.
#[derive(Debug, Clone, Default)]
pub(super) struct Remarks {
    /// When a request to the warm model last loaded it, and how long that took.
    reloaded: Option<(Instant, Duration)>,
    /// When it was last loaded anew because it answered nothing.
    revived: Option<Instant>,
    /// When it last lost its place in memory to another of our models.
    evicted: Option<Instant>,
    /// How it is placed, as `/api/ps` last told.
    placement: Option<Placement>,
}

/// How a model is placed in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placement {
    pub(super) gpu_percent: u64,
    /// Context length it is loaded with, where the version tells.
    pub(super) num_ctx: Option<u64>,
    /// The context length we ask for, as far as the model was trained for it.
    pub(super) wanted_ctx: u64,
}

impl Placement {
    /// Whether a request of ours would make Ollama load it again.
    pub(super) fn differs(&self) -> bool {
        self.num_ctx.is_some_and(|loaded| loaded != self.wanted_ctx)
    }
}

impl Remarks {
    pub(super) fn reloaded(&mut self, took: Duration) {
        self.reloaded = Some((Instant::now(), took));
    }

    pub(super) fn revived(&mut self) {
        self.revived = Some(Instant::now());
    }

    pub(super) fn evicted(&mut self) {
        self.evicted = Some(Instant::now());
    }

    /// The new placement; true when it is another than before.
    pub(super) fn placed(&mut self, placement: Option<Placement>) -> bool {
        let news = self.placement != placement;
        self.placement = placement;
        news
    }

    /// All in one sentence's end, or nothing.
    pub(super) fn say(&self) -> Option<String> {
        let recent = |at: &Instant| at.elapsed() < NEWS;
        let mut said = Vec::new();
        if let Some((_, took)) = self.reloaded.filter(|(at, _)| recent(at)) {
            let seconds = took.as_secs_f32();
            said.push(format!(
                "it was loaded again although it was in use ({seconds:.1} s); another program uses it \
                 with other options, or the memory is too small for all models"
            ));
        }
        if self.revived.as_ref().is_some_and(recent) {
            said.push("it answered nothing and was loaded anew".to_owned());
        }
        if self.evicted.as_ref().is_some_and(recent) {
            said.push(
                "another role's model pushed it out of memory; choose a smaller one for that role"
                    .to_owned(),
            );
        }
        if let Some(placement) = &self.placement {
            match placement.gpu_percent {
                0 => said.push("it runs on the processor alone".to_owned()),
                100.. => {}
                percent => said.push(format!("only {percent} % of it is on the GPU")),
            }
            if placement.differs() {
                said.push(format!(
                    "it is loaded with a context of {} tokens and asked for {}; another program uses \
                     it too",
                    placement.num_ctx.unwrap_or_default(),
                    placement.wanted_ctx
                ));
            }
        }
        (!said.is_empty()).then(|| said.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_happened_is_said_for_a_while_and_what_is_so_for_as_long() {
        let mut remarks = Remarks::default();
        assert_eq!(remarks.say(), None);
        remarks.reloaded(Duration::from_secs(3));
        remarks.revived();
        remarks.evicted();
        let placement = Placement {
            gpu_percent: 0,
            num_ctx: Some(32_768),
            wanted_ctx: 4096,
        };
        assert!(remarks.placed(Some(placement)));
        assert!(!remarks.placed(Some(placement)));
        let said = remarks.say().expect("a lot");
        for part in [
            "3.0 s",
            "answered nothing",
            "pushed it out",
            "processor",
            "32768",
            "4096",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        tokio::time::advance(NEWS).await;
        let said = remarks.say().expect("what is still so");
        assert!(said.starts_with("it runs on the processor"), "{said}");
        let whole = Placement {
            gpu_percent: 100,
            num_ctx: None,
            wanted_ctx: 4096,
        };
        remarks.placed(Some(whole));
        assert_eq!(remarks.say(), None);
    }
}

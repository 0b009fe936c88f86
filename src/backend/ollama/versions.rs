//! Versions of Ollama that are known to be slow or broken in what we use.
//!
//! Called by the backend for its remarks and by the doctor. Source: Ollama's issues and pull requests,
//! read 2026-08 to 2026-11.

/// A range of versions with a known fault: from the first, up to but not including the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    from: [u32; 3],
    before: [u32; 3],
    /// What it does, as the end of a sentence about the version.
    pub says: &'static str,
    /// Whether completions are slower for it.
    pub slows_completions: bool,
}

const FAULTS: &[Fault] = &[
    // Pull request 17752: 995 ms to 524 ms to the first token in its own benchmark.
    Fault {
        from: [0, 30, 0],
        before: [0, 32, 15],
        says: "reads the model's header for every request, about 300 ms each",
        slows_completions: true,
    },
    // Its `server/sched.go`: requests to a loaded model queue behind another model's load.
    Fault {
        from: [0, 0, 0],
        before: [0, 11, 0],
        says: "lets a completion wait while another model loads, and tells little about models",
        slows_completions: true,
    },
    // Issue 14186: `truncate` is ignored, long texts are refused.
    Fault {
        from: [0, 13, 5],
        before: [0, 15, 7],
        says: "refuses long texts to embed instead of cutting them",
        slows_completions: false,
    },
];

/// From here on llama.cpp's server runs the models; it knows no `mllama` (Ollama's issue 16490).
const WITHOUT_MLLAMA: [u32; 3] = [0, 30, 0];

/// The known faults of `version`, such as `0.33.0`.
pub fn faults(version: &str) -> impl Iterator<Item = &'static Fault> {
    let number = parse(version);
    let has = move |fault: &&Fault| {
        number.is_some_and(|number| (fault.from..fault.before).contains(&number))
    };
    FAULTS.iter().filter(has)
}

/// Whether `version` runs models of the architecture `mllama`, such as `llama3.2-vision`.
pub fn runs_mllama(version: &str) -> bool {
    parse(version).is_none_or(|number| number < WITHOUT_MLLAMA)
}

/// The numbers of a version; what follows them (`-rc1`) does not matter here.
fn parse(version: &str) -> Option<[u32; 3]> {
    let mut parts = version.trim_start_matches('v').split(['.', '-', '+']);
    let mut next = || parts.next()?.parse().ok();
    Some([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_faults_by_version() {
        for (version, faulty) in [
            ("0.9.6", 1),
            ("0.12.6", 0),
            ("0.14.0", 1),
            ("0.24.0", 0),
            ("0.30.0-rc1", 1),
            ("0.32.14", 1),
            ("0.32.15", 0),
            ("0.33.0", 0),
            ("v0.31.2", 1),
            ("0.0.0", 1),
            ("main", 0),
        ] {
            assert_eq!(faults(version).count(), faulty, "{version}");
        }
        for (version, runs) in [("0.24.0", true), ("0.30.0", false), ("main", true)] {
            assert_eq!(runs_mllama(version), runs, "{version}");
        }
    }
}

//! How the index stands, in a word and in a sentence: for the server's status and the command line.

/// How the index stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// What it is doing.
    pub phase: Phase,
    /// Files indexed.
    pub files: usize,
    /// Chunks of them.
    pub chunks: usize,
    /// Chunks that have a vector.
    pub embedded: usize,
    /// The model whose vectors they are.
    pub model: Option<String>,
}

/// What the index is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Phase {
    /// There is none: switched off, or no workspace.
    #[default]
    Off,
    /// Files are looked at.
    Reading,
    /// Texts are embedded.
    Embedding,
    /// Everything is indexed; words alone, as nothing serves the embedding role.
    NoModel,
    /// Everything is indexed.
    Ready,
    /// It could not be brought up to date: why, and what to do.
    Failed(String),
}

impl Status {
    /// In a word, for JSON.
    pub fn state(&self) -> &'static str {
        match self.phase {
            Phase::Off => "off",
            Phase::Reading => "reading",
            Phase::Embedding => "embedding",
            Phase::NoModel => "words",
            Phase::Ready => "ready",
            Phase::Failed(_) => "failed",
        }
    }

    /// In a sentence, without a full stop.
    pub fn sentence(&self) -> String {
        let Self {
            files,
            chunks,
            embedded,
            ..
        } = self;
        match &self.phase {
            Phase::Off => "no index: switched off, or no workspace folder".to_owned(),
            Phase::Reading => format!("indexing, {files} files so far"),
            Phase::Embedding => format!("indexing, {embedded} of {chunks} texts embedded"),
            Phase::NoModel => format!(
                "{files} files indexed, by words alone: no embedding model; `ollama pull nomic-embed-text` gets one"
            ),
            Phase::Ready => format!("{files} files indexed"),
            Phase::Failed(why) => format!("the index is not up to date: {why}"),
        }
    }
}

//! What waits in the queue: a generation, texts to embed, or a load.
//!
//! Made by the async side, worked on by the engine's thread. A [`Job`] carries everything that is
//! needed to go on with it, so it can be put aside between any two steps and taken up again, whatever
//! has happened to the cache meanwhile. Invariant: `history` is the prompt followed by every token
//! generated so far.

use std::sync::Arc;
use std::time::Duration;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::LlamaVocab;
use tokio::sync::{mpsc, oneshot};

use super::EmbeddedModel;
use super::chat::LaidOut;
use super::embedder::EmbedJob;
use super::healing::{self, Pieces};
use super::speed::Pace;
use super::stretch::PromptText;
use super::text::{Pushed, TextOut};
use super::tokens;
use super::typed::Typed;
use crate::backend::queue::Work;
use crate::backend::thinking::ThinkSplitter;
use crate::backend::{
    BackendError, Chunk, Conversation, Finish, Priority, Prompt, Request, StopReason, Urgency,
};

/// Where a generation's chunks go. Unbounded, because the engine must not wait for a slow reader; a
/// generation is bounded by its `max_tokens`.
pub(super) type ChunkSender = mpsc::UnboundedSender<Result<Chunk, BackendError>>;

/// Work for the engine's thread.
#[derive(Debug)]
pub(super) enum Task {
    Generate(Box<Job>),
    Embed(Box<EmbedJob>),
    Load(Load),
    /// What a load came to, for the engine itself.
    Loaded(Box<Loaded>),
}

/// Weights that were read, or not.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) model: Arc<EmbeddedModel>,
    pub(super) weights: Result<LlamaModel, String>,
    /// Memory that the model takes with all that belongs to it.
    pub(super) needed_bytes: u64,
    /// What a person should know about where it runs.
    pub(super) remark: Option<String>,
    pub(super) took: Duration,
    /// Of the work that wanted it.
    pub(super) priority: Priority,
    /// Whether that was for completions.
    pub(super) for_completion: bool,
}

/// A load that somebody waits for.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) model: Arc<EmbeddedModel>,
    pub(super) done: oneshot::Sender<Result<(), BackendError>>,
}

/// A generation, not begun or put aside.
#[derive(Debug)]
pub(super) struct Job {
    /// Tells it from other jobs of this engine.
    pub(super) number: u64,
    pub(super) model: Arc<EmbeddedModel>,
    request: Request,
    urgency: Arc<Urgency>,
    /// `None` of a conversation.
    pub(super) prompt: Option<Arc<PromptText>>,
    chunks: ChunkSender,
    text: TextOut,
    /// Of a conversation: what is thought goes apart from what is answered.
    splitter: Option<ThinkSplitter>,
    pub(super) history: Vec<LlamaToken>,
    prompt_tokens: usize,
    /// The end of the prompt's text that was taken back, as far as it was not generated again.
    pub(super) typed: Typed,
    /// Known once the job was placed for the first time.
    pub(super) cached_tokens: Option<usize>,
    generated_tokens: u32,
    /// Time spent loading for this job.
    pub(super) load: Option<Duration>,
    pub(super) pace: Pace,
}

/// Whether a job goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepted {
    GoOn,
    Finished,
}

impl Task {
    pub(super) fn model(&self) -> &Arc<EmbeddedModel> {
        match self {
            Self::Generate(job) => &job.model,
            Self::Embed(job) => &job.model,
            Self::Load(load) => &load.model,
            Self::Loaded(loaded) => &loaded.model,
        }
    }

    /// Whether the model is loaded for completions, as far as is known.
    pub(super) fn is_for_completion(&self) -> bool {
        match self {
            Self::Generate(job) => job.is_completion(),
            // Only that role is warmed up.
            Self::Load(_) => true,
            Self::Embed(_) | Self::Loaded(_) => false,
        }
    }

    /// Tells the asker that it failed. Nobody listening is fine.
    pub(super) fn fail(self, error: BackendError) {
        match self {
            Self::Generate(job) => job.fail(error),
            Self::Embed(job) => job.fail(error),
            Self::Load(load) => drop(load.done.send(Err(error))),
            Self::Loaded(_) => {}
        }
    }
}

impl Work for Task {
    /// A load is never given up: it would start from zero at the next request.
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Generate(job) => job.is_abandoned(),
            Self::Embed(job) => job.is_abandoned(),
            Self::Load(_) | Self::Loaded(_) => false,
        }
    }

    /// A load goes in front of guesses and behind what a person waits for, which loads as well.
    fn priority(&self) -> Priority {
        match self {
            Self::Generate(job) => job.priority(),
            Self::Embed(job) => job.priority,
            Self::Load(_) => Priority::Chat,
            Self::Loaded(loaded) => loaded.priority,
        }
    }
}

impl Job {
    pub(super) fn new(
        number: u64,
        model: Arc<EmbeddedModel>,
        mut request: Request,
        urgency: Arc<Urgency>,
        chunks: ChunkSender,
    ) -> Self {
        let text = TextOut::new(std::mem::take(&mut request.stop));
        Self {
            prompt: PromptText::of(&model, &request.prompt),
            number,
            model,
            request,
            urgency,
            chunks,
            text,
            splitter: None,
            history: Vec::new(),
            prompt_tokens: 0,
            typed: Typed::default(),
            cached_tokens: None,
            generated_tokens: 0,
            load: None,
            pace: Pace::default(),
        }
    }

    /// Who waits for it now.
    pub(super) fn priority(&self) -> Priority {
        self.urgency.priority()
    }

    /// Whether the stream was dropped.
    pub(super) fn is_abandoned(&self) -> bool {
        self.chunks.is_closed()
    }

    pub(super) fn fail(&self, error: BackendError) {
        drop(self.chunks.send(Err(error)));
    }

    /// The conversation that has to be laid out before anything is computed.
    pub(super) fn conversation(&self) -> Option<&Conversation> {
        match &self.request.prompt {
            Prompt::Chat(conversation) if self.prompt_tokens == 0 => Some(conversation),
            Prompt::Chat(_) | Prompt::Fim(_) => None,
        }
    }

    /// Tokens of a context of `capacity_tokens` that its prompt may have, so that an answer fits too:
    /// the whole one, as far as that is not most of the context.
    pub(super) fn prompt_room_tokens(&self, capacity_tokens: usize) -> usize {
        let answer_tokens = usize::try_from(self.request.max_tokens).unwrap_or(usize::MAX);
        capacity_tokens - answer_tokens.clamp(1, (capacity_tokens / 2).max(1))
    }

    /// Tokens of its prompt and of the longest answer to it.
    pub(super) fn most_tokens(&self) -> usize {
        let answer_tokens = usize::try_from(self.request.max_tokens).unwrap_or(usize::MAX);
        self.prompt_tokens.saturating_add(answer_tokens)
    }

    /// Takes the conversation as it was laid out.
    pub(super) fn begin_conversation(&mut self, laid_out: LaidOut) {
        self.prompt_tokens = laid_out.tokens.len();
        self.history = laid_out.tokens;
        self.splitter = Some(ThinkSplitter::new(laid_out.thinks));
    }

    /// Encodes the prompt, the first time this is called, and with `pieces` takes back what may be the
    /// beginning of a longer token.
    ///
    /// # Errors
    /// A sentence about what is wrong with the prompt.
    pub(super) fn encode_prompt(
        &mut self,
        vocab: &LlamaVocab<'_>,
        pieces: Option<&Pieces>,
        capacity_tokens: usize,
    ) -> Result<(), String> {
        if self.prompt_tokens > 0 {
            return Ok(());
        }
        let mut prompt =
            tokens::encode(vocab, self.request.prompt.segments()).map_err(|special| {
                format!(
                    "{} has no token {special}; choose another model",
                    self.model.name
                )
            })?;
        if prompt.is_empty() {
            return Err("the prompt is empty; send some text".to_owned());
        }
        if prompt.len() >= capacity_tokens {
            return Err(format!(
                "the prompt has {} tokens and the context {capacity_tokens}; send less, or set a \
                 larger context",
                prompt.len()
            ));
        }
        if let Some(pieces) = pieces
            && let Some(from) = healing::typed_from(vocab, &prompt)
        {
            let bytes_of = |token| tokens::bytes_of(vocab, token);
            self.typed = pieces.take_back(&mut prompt, from, bytes_of);
        }
        self.prompt_tokens = prompt.len();
        self.history = prompt;
        Ok(())
    }

    /// Whether keys may come back to where its next token is chosen: those of the word that was typed, and
    /// of one in the answer where a person types another.
    pub(super) fn is_completion(&self) -> bool {
        matches!(self.request.prompt, Prompt::Fim(_))
    }

    /// Whether only the cache is to be filled.
    pub(super) fn generates_nothing(&self) -> bool {
        self.request.max_tokens == 0
    }

    /// Whether the prompt is computed and the answer begun.
    pub(super) fn is_answering(&self) -> bool {
        self.generated_tokens > 0
    }

    /// How many tokens of a draft may come in this answer: text, as many as are asked for, and of a
    /// completion those to the end of the line, where most of them end.
    pub(super) fn draftable(&self, vocab: &LlamaVocab<'_>, draft: &[LlamaToken]) -> usize {
        let left = self.request.max_tokens - self.generated_tokens;
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let is_line = self.is_completion();
        // What was typed is no part of the answer.
        let most = if self.is_answering() {
            left.saturating_sub(1)
        } else {
            draft.len()
        };
        let draft = draft.iter().take(most);
        let text = draft.take_while(|&&token| !tokens::ends_generation(vocab, token));
        let mut tokens = 0;
        for &token in text {
            tokens += 1;
            if is_line && tokens::bytes_of(vocab, token).contains(&b'\n') {
                break;
            }
        }
        tokens
    }

    /// Tokens of the prompt, known once it is encoded.
    pub(super) fn prompt_tokens(&self) -> usize {
        self.prompt_tokens
    }

    /// Notes how much of the prompt the cache had when the job began, and says so.
    pub(super) fn note_cached(&mut self, cached_tokens: usize) {
        if self.cached_tokens.is_none() {
            self.cached_tokens = Some(cached_tokens);
            let (prompt_tokens, cached_tokens) = (count(self.prompt_tokens), count(cached_tokens));
            drop(self.chunks.send(Ok(Chunk::Prompt {
                prompt_tokens,
                cached_tokens: Some(cached_tokens),
                estimated: false,
            })));
        }
    }

    /// Takes the next token: sends what text it completes, or ends the generation.
    pub(super) fn accept(&mut self, vocab: &LlamaVocab<'_>, token: LlamaToken) -> Accepted {
        if tokens::ends_generation(vocab, token) {
            return self.finish(StopReason::Stop);
        }
        self.history.push(token);
        let mut bytes = tokens::bytes_of(vocab, token);
        if !self.typed.is_empty() {
            bytes = self.typed.spell(token, bytes);
            if bytes.is_empty() {
                // It stands for text of the prompt.
                self.prompt_tokens += 1;
                return Accepted::GoOn;
            }
        }
        self.generated_tokens += 1;
        match self.text.push(&bytes) {
            Pushed::Stopped(text) => {
                self.send_text(text);
                self.send_finish(StopReason::Stop)
            }
            Pushed::Text(text) => {
                self.send_text(text);
                if self.generated_tokens >= self.request.max_tokens {
                    return self.finish(StopReason::Length);
                }
                Accepted::GoOn
            }
        }
    }

    /// Sends the text that was kept back, and the end.
    pub(super) fn finish(&mut self, stop: StopReason) -> Accepted {
        let rest = self.text.finish();
        self.send_text(rest);
        self.send_finish(stop)
    }

    fn send_text(&mut self, text: String) {
        if text.is_empty() {
            return;
        }
        match &mut self.splitter {
            None => drop(self.chunks.send(Ok(Chunk::Text(text)))),
            Some(splitter) => {
                for chunk in splitter.push(&text) {
                    drop(self.chunks.send(Ok(chunk)));
                }
            }
        }
    }

    fn send_finish(&mut self, stop: StopReason) -> Accepted {
        if let Some(rest) = self.splitter.as_mut().and_then(ThinkSplitter::finish) {
            drop(self.chunks.send(Ok(rest)));
        }
        let finish = Finish {
            stop,
            prompt_tokens: count(self.prompt_tokens),
            cached_tokens: self.cached_tokens.map(count),
            generated_tokens: self.generated_tokens,
            load: self.load,
        };
        drop(self.chunks.send(Ok(Chunk::Done(finish))));
        Accepted::Finished
    }
}

fn count(tokens: usize) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

//! The background task: follows changes, then embeds what has no vector, a batch at a time.
//!
//! Started by `index`; the only one that changes the index. It asks the router's embedding role with the
//! lowest priority but one, and starts no batch while somebody types. Whatever ends it, nothing is lost but
//! the batch in flight.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::corpus::Place;
use super::store::{Key, StoreError};
use super::text::Manner;
use super::{Phase, Shared, chunk, files};
use crate::backend::{EmbedRequest, Priority};
use crate::config::Role;
use crate::document::language::language_id;
use crate::router::{RoleState, Route};

/// Texts of a batch: on a CPU some seconds of work, which a kill may cost.
const BATCH: usize = 16;
/// Changes are gathered for so long: an editor that saves all, a checkout.
const SETTLE: Duration = Duration::from_millis(200);
/// The same before every file is looked at: a build writes for long.
const SETTLE_ALL: Duration = Duration::from_secs(3);
/// Without a key for so long, the machine is ours.
const IDLE: Duration = Duration::from_secs(2);
/// After a failure of the backend.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// How a round of embedding ended.
enum Round {
    /// Nothing is missing.
    Done,
    /// There is something else to do first.
    Interrupted,
    /// No model, or it failed; asked again when the roles change, or after a while.
    NoModel,
}

/// For ever. Dropping the future ends it between two pieces of work.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut roles = shared.router.subscribe();
    let mut failed = HashSet::new();
    loop {
        if let Err(error) = follow(&shared).await {
            tracing::warn!(%error, "the index could not be brought up to date");
            shared.say(Phase::Failed(words(&error)));
        }
        let round = embed(&shared, &mut failed).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "vectors could not be kept");
            shared.say(Phase::Failed(words(&error)));
            Round::NoModel
        });
        match round {
            Round::Interrupted => continue,
            Round::Done if shared.workspace.load().folders.is_empty() => shared.say(Phase::Off),
            Round::Done => shared.say(Phase::Ready),
            Round::NoModel => {}
        }
        tokio::select! {
            () = shared.woken.notified() => {
                sleep(if shared.wants_all() { SETTLE_ALL } else { SETTLE }).await;
            }
            Ok(()) = roles.changed() => {}
            () = sleep(AFTER_FAILURE), if matches!(round, Round::NoModel) => {}
        }
    }
}

fn words(error: &StoreError) -> String {
    error.to_string()
}

/// Does what is to do: loads, looks at every file, or at some.
async fn follow(shared: &Arc<Shared>) -> Result<(), StoreError> {
    let todo = shared.take_todo();
    if todo.is_empty() {
        return Ok(());
    }
    shared.say(Phase::Reading);
    let shared = Arc::clone(shared);
    let work = move || -> Result<(), StoreError> {
        let workspace = shared.workspace.load_full();
        if todo.anew {
            workspace
                .stores
                .iter()
                .try_for_each(super::store::Store::forget_files)?;
        }
        if todo.anew || todo.load || shared.read().wants_load() {
            let corpus = super::corpus::Corpus::load(&workspace.stores)?;
            *shared
                .corpus
                .write()
                .unwrap_or_else(PoisonError::into_inner) = corpus;
            shared.count();
        }
        if todo.all {
            let each = |_: usize, _: usize| shared.count();
            workspace.scan(&shared.corpus, each, || shared.is_replaced(&workspace))?;
        } else {
            workspace.update(&shared.corpus, &todo.paths)?;
        }
        shared.count();
        Ok(())
    };
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            tracing::error!(%error, "indexing broke off; this is a bug");
            Ok(())
        })
}

/// Embeds what is missing, until nothing is or something else comes first.
async fn embed(shared: &Arc<Shared>, failed: &mut HashSet<Key>) -> Result<Round, StoreError> {
    if !shared.workspace.load().settings.embed {
        return Ok(Round::Done);
    }
    loop {
        if shared.has_todo() {
            return Ok(Round::Interrupted);
        }
        let RoleState::Ready(route) = shared.router.route(Role::Embedding) else {
            shared.say(Phase::NoModel);
            return Ok(Round::NoModel);
        };
        if !route.backend.capabilities().embedding {
            shared.say(Phase::NoModel);
            return Ok(Round::NoModel);
        }
        let of = Arc::clone(shared);
        let model: Arc<str> = route.model.as_str().into();
        let skipped = failed.clone();
        let missing = blocking(move || of.missing(&model, &skipped)).await?;
        if missing.is_empty() {
            let of = Arc::clone(shared);
            let model: Arc<str> = route.model.as_str().into();
            blocking(move || of.tidy(&model)).await?;
            return Ok(Round::Done);
        }
        shared.say(Phase::Embedding);
        wait_until_idle(shared).await;
        if let Err(why) = batch(shared, &route, missing, failed).await? {
            tracing::warn!(why, "texts could not be embedded");
            shared.say(Phase::Failed(why));
            return Ok(Round::NoModel);
        }
    }
}

/// Embeds one batch. The inner error is the backend's.
async fn batch(
    shared: &Arc<Shared>,
    route: &Arc<Route>,
    missing: Vec<(u32, Place)>,
    failed: &mut HashSet<Key>,
) -> Result<Result<(), String>, StoreError> {
    let of = Arc::clone(shared);
    let read = blocking(move || Ok(of.texts(missing))).await?;
    failed.extend(read.changed);
    if read.texts.is_empty() {
        return Ok(Ok(()));
    }
    let manner = Manner::of(&route.model);
    let _at_work = shared.router.at_work();
    let ask = |texts: Vec<String>| {
        route.backend.embed(EmbedRequest {
            model: route.model.clone(),
            texts,
            priority: Priority::Embedding,
        })
    };
    let texts: Vec<String> = read
        .texts
        .iter()
        .map(|(.., text)| manner.document(text))
        .collect();
    let mut vectors: Vec<Option<Vec<f32>>> = Vec::new();
    match ask(texts.clone()).await {
        Ok(embeddings) => vectors.extend(embeddings.vectors.into_iter().map(Some)),
        // One text may be the reason: each on its own.
        Err(first) => {
            for text in texts {
                vectors.push(ask(vec![text]).await.ok().and_then(|mut e| e.vectors.pop()));
            }
            if vectors.iter().all(Option::is_none) {
                shared.router.report(route, &first);
                return Ok(Err(first.to_string()));
            }
        }
    }
    let mut new = Vec::new();
    for ((chunk, folder, key, _), vector) in read.texts.into_iter().zip(vectors) {
        match vector {
            Some(vector) => new.push((chunk, folder, key, vector)),
            None => {
                failed.insert(key);
            }
        }
    }
    let (of, model) = (Arc::clone(shared), route.model.clone());
    let unset = blocking(move || of.keep(&model, new)).await?;
    failed.extend(unset);
    Ok(Ok(()))
}

/// Waits until nobody has typed for a while.
async fn wait_until_idle(shared: &Shared) {
    while let Some(due) = shared.typed_at().map(|at| at + IDLE) {
        if due <= Instant::now() {
            return;
        }
        tokio::time::sleep_until(due).await;
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Texts to embed: the chunk's number, its folder's, its address, and the text.
#[derive(Default)]
pub(super) struct Texts {
    texts: Vec<(u32, u16, Key, String)>,
    /// Addresses whose files have changed since: they come again under another.
    changed: Vec<Key>,
}

impl Shared {
    /// At most a batch of chunks without a vector of `model`; vectors that are on the disk already are taken
    /// from there.
    fn missing(
        &self,
        model: &Arc<str>,
        skipped: &HashSet<Key>,
    ) -> Result<Vec<(u32, Place)>, StoreError> {
        let workspace = self.workspace.load_full();
        let mut corpus = self.corpus.write().unwrap_or_else(PoisonError::into_inner);
        if corpus.model() != Some(model) || corpus.wants_fit() {
            corpus.take_vectors(model, &workspace.stores)?;
        }
        let missing = corpus.missing(BATCH, skipped);
        drop(corpus);
        let mut there = Vec::new();
        for (number, store) in (0_u16..).zip(&workspace.stores) {
            let of_store: Vec<Key> = missing
                .iter()
                .filter(|(_, p)| p.file.0 == number)
                .map(|(_, p)| p.key)
                .collect();
            if !of_store.is_empty() {
                there.extend(store.some_vectors(model, &of_store)?);
            }
        }
        let mut corpus = self.corpus.write().unwrap_or_else(PoisonError::into_inner);
        for (key, vector) in &there {
            let same = missing.iter().filter(|(_, place)| place.key == *key);
            let set: Vec<_> = same
                .map(|(chunk, _)| (*chunk, *key, vector.clone()))
                .collect();
            corpus.set_vectors(&set);
        }
        let still: Vec<_> = missing
            .into_iter()
            .filter(|(chunk, _)| !corpus.has_vector(*chunk))
            .collect();
        if still.is_empty() && !there.is_empty() {
            // All were there: the next batch.
            drop(corpus);
            return self.missing(model, skipped);
        }
        drop(corpus);
        self.count();
        Ok(still)
    }

    /// Reads the texts of chunks.
    fn texts(&self, missing: Vec<(u32, Place)>) -> Texts {
        let workspace = self.workspace.load_full();
        let mut out = Texts::default();
        let mut last: Option<(super::corpus::FileName, Option<String>, Vec<chunk::Chunk>)> = None;
        for (number, place) in missing {
            if last.as_ref().is_none_or(|(name, ..)| *name != place.file) {
                let path = workspace.path_of(&place.file);
                let text = path.and_then(|path| files::read(&path).ok().flatten());
                let language = language_id(std::path::Path::new(&*place.file.1));
                let cut = text
                    .as_deref()
                    .map(|text| chunk::chunks(language, text))
                    .unwrap_or_default();
                last = Some((place.file.clone(), text, cut));
            }
            let Some((_, Some(text), cut)) = &last else {
                out.changed.push(place.key);
                continue;
            };
            let passages = cut
                .iter()
                .filter(|c| u32::try_from(c.lines.start) == Ok(place.lines.0));
            let passage = passages
                .filter_map(|c| {
                    Some(workspace.passage(&place.file.1, &c.heads, text.get(c.bytes.clone())?))
                })
                .find(|passage| super::store::key_of(passage) == place.key);
            match passage {
                Some(passage) => out.texts.push((number, place.file.0, place.key, passage)),
                None => out.changed.push(place.key),
            }
        }
        out
    }

    /// Keeps new vectors, on the disk first. Gives the addresses that could not be set.
    fn keep(
        &self,
        model: &str,
        new: Vec<(u32, u16, Key, Vec<f32>)>,
    ) -> Result<Vec<Key>, StoreError> {
        let workspace = self.workspace.load_full();
        for (number, store) in (0_u16..).zip(&workspace.stores) {
            let of_store = new.iter().filter(|(_, folder, ..)| *folder == number);
            let of_store: Vec<_> = of_store
                .map(|(_, _, key, vector)| (*key, vector.clone()))
                .collect();
            if !of_store.is_empty() {
                store.put_vectors(model, &of_store)?;
            }
        }
        let mut corpus = self.corpus.write().unwrap_or_else(PoisonError::into_inner);
        let new: Vec<_> = new
            .into_iter()
            .map(|(chunk, _, key, vector)| (chunk, key, vector))
            .collect();
        corpus.set_vectors(&new);
        let unset = new
            .iter()
            .filter(|(chunk, ..)| !corpus.has_vector(*chunk))
            .map(|(_, key, _)| *key)
            .collect();
        drop(corpus);
        self.count();
        Ok(unset)
    }

    /// Sweeps what no text needs any more, once after every look at all files.
    fn tidy(&self, model: &Arc<str>) -> Result<(), StoreError> {
        self.count();
        if !self.take_sweep() {
            return Ok(());
        }
        let workspace = self.workspace.load_full();
        let keys = self.read().keys();
        workspace
            .stores
            .iter()
            .try_for_each(|store| store.sweep(model, &keys))
    }
}

/// Brings the index up to the files and takes what vectors there are; embeds nothing.
pub(super) async fn catch_up(shared: &Arc<Shared>) -> Result<(), StoreError> {
    follow(shared).await?;
    if let RoleState::Ready(route) = shared.router.route(Role::Embedding) {
        let (of, model): (_, Arc<str>) = (Arc::clone(shared), route.model.as_str().into());
        blocking(move || {
            let workspace = of.workspace.load_full();
            let mut corpus = of.corpus.write().unwrap_or_else(PoisonError::into_inner);
            corpus.take_vectors(&model, &workspace.stores)
        })
        .await?;
    }
    shared.count();
    shared.say(Phase::Ready);
    Ok(())
}

//! Looks pieces of the workspace up in its index, for questions that ask where something is.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};

use super::{Found, Searcher};
use crate::document::language::language_id;
use crate::index::{Hit, Index};
use crate::prompt::instruct::{FOUND, Piece};

impl Searcher for Index {
    fn search(&self, query: String, limit: usize) -> BoxFuture<'_, Result<Found, String>> {
        async move {
            let answer = Self::search(self, &query, limit).await;
            let answer = answer.map_err(|error| error.to_string())?;
            Ok(Found {
                pieces: answer.hits.into_iter().filter_map(piece).collect(),
                note: answer.note,
            })
        }
        .boxed()
    }
}

fn piece(hit: Hit) -> Option<Piece> {
    let uri = url::Url::from_file_path(&hit.path).ok()?;
    Some(Piece {
        what: FOUND,
        uri: Arc::from(uri.as_str()),
        path: hit.shown_path.into(),
        language_id: language_id(&hit.path).into(),
        lines: hit.lines.start as usize..hit.lines.end as usize,
        text: hit.text,
    })
}

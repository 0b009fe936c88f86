//! For tests: a backend that has a name and nothing else.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::{Backend, BackendError, ChunkStream, Installed, PromptBudget, Request};

/// A backend of that name, where nothing is installed.
#[derive(Debug)]
pub(crate) struct Named(pub(crate) &'static str);

impl Backend for Named {
    fn name(&self) -> &str {
        self.0
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Installed>, BackendError>> {
        ready(Ok(Vec::new())).boxed()
    }

    fn warm_up(&self, _: &str) -> BoxFuture<'static, Result<(), BackendError>> {
        ready(Ok(())).boxed()
    }

    fn stream(&self, _: Request) -> ChunkStream {
        Box::pin(futures_util::stream::empty())
    }

    fn prompt_budget(&self) -> PromptBudget {
        PromptBudget::UNMEASURED
    }
}

//! `ghostline serve`: the language server on standard input and output.

use std::sync::Arc;

use super::Exit;
use crate::host::LocalHost;
use crate::server;
use crate::server::transport::{self, Ended};

mod stdio;

/// Arguments of `ghostline serve`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Speak over standard input and output; the default, and the only way.
    #[arg(long)]
    pub stdio: bool,
}

/// Serves one client until it leaves.
pub async fn run(_: Args) -> anyhow::Result<Exit> {
    let (outbox, outgoing) = transport::outbox();
    let (service, socket) = server::service(Arc::new(LocalHost::new()), outbox.clone());
    let (input, output) = (stdio::input(), stdio::output());
    let conversation = transport::serve(input, output, service, socket, outbox, outgoing);
    // A task of its own: waking the runtime's first future costs a call of the system, and a key does.
    let ended = tokio::spawn(conversation).await?;
    Ok(match ended {
        Ended::Clean => Exit::Success,
        Ended::Unclean => Exit::Failed,
    })
}

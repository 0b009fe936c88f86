//! `ghostline bench relay`: passes keys on to a scripted backend, and does nothing else.
//!
//! Started by `bench latency` to learn what the machine alone takes; no person needs it.

use std::net::SocketAddr;

use crate::cli::Exit;
use crate::eval::latency;

/// Arguments of `ghostline bench relay`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Whom to ask.
    pub address: SocketAddr,
}

/// Ends with its input.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    latency::relay(args.address)?;
    Ok(Exit::Success)
}

//! `ghostline bench confined`: gives up its rights and becomes another program.
//!
//! Started by the sandbox of `bench infill` and `bench humaneval`; no person needs it.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::bail;

use crate::cli::Exit;
use crate::eval::sandbox::confine::{self, Confinement};

/// Arguments of `ghostline bench confined`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The rights that stay.
    #[command(flatten)]
    pub confinement: Confinement,
    /// What to become.
    #[arg(required = true)]
    pub program: PathBuf,
    /// Its arguments.
    #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
    pub arguments: Vec<OsString>,
}

/// Does not return where it works.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let why = confine::become_confined(&args.confinement, &args.program, &args.arguments);
    bail!("{}{why}", confine::CANNOT)
}

//! Standard input and output as streams that wake the server's own thread.
//!
//! The runtime's own handles read and write on a second thread, because a terminal or a file cannot be
//! waited for; that costs two thread switches in each direction, more than all the work done for a key.
//! Editors give pipes (or socket pairs, as Node does), which can be waited for. Anything else falls
//! back to the runtime's handles, and so does what cannot be told. A pipe's end that is waited for
//! stays so for any other process that was given the same end; editors share theirs with nobody.

use tokio::io::{AsyncRead, AsyncWrite};

/// Standard input.
pub(super) fn input() -> Box<dyn AsyncRead + Send + Unpin> {
    #[cfg(unix)]
    if let Ok(Some(input)) = unix::input() {
        return input;
    }
    Box::new(tokio::io::stdin())
}

/// Standard output. Nothing else in the process may write to it from now on.
pub(super) fn output() -> Box<dyn AsyncWrite + Send + Unpin> {
    #[cfg(unix)]
    if let Ok(Some(output)) = unix::output() {
        return output;
    }
    Box::new(tokio::io::stdout())
}

#[cfg(unix)]
mod unix {
    use std::fs::{File, Metadata};
    use std::io;
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::fs::{FileTypeExt, MetadataExt};

    use tokio::io::{AsyncRead, AsyncWrite};
    use tokio::net::UnixStream;
    use tokio::net::unix::pipe;

    pub(super) fn input() -> io::Result<Option<Box<dyn AsyncRead + Send + Unpin>>> {
        let (fd, metadata) = duplicate(&io::stdin())?;
        Ok(if metadata.file_type().is_fifo() {
            Some(Box::new(pipe::Receiver::from_owned_fd(fd)?))
        } else if metadata.file_type().is_socket() {
            Some(Box::new(socket(fd)?))
        } else {
            None
        })
    }

    pub(super) fn output() -> io::Result<Option<Box<dyn AsyncWrite + Send + Unpin>>> {
        let (fd, metadata) = duplicate(&io::stdout())?;
        // Not to wait is a property of the pipe's end, not of the handle: where standard error is the
        // same end, logging would fail whenever the pipe is full.
        let (_, error) = duplicate(&io::stderr())?;
        if (metadata.dev(), metadata.ino()) == (error.dev(), error.ino()) {
            return Ok(None);
        }
        Ok(if metadata.file_type().is_fifo() {
            Some(Box::new(pipe::Sender::from_owned_fd(fd)?))
        } else if metadata.file_type().is_socket() {
            Some(Box::new(socket(fd)?))
        } else {
            None
        })
    }

    fn duplicate(stream: &impl AsFd) -> io::Result<(OwnedFd, Metadata)> {
        let file = File::from(stream.as_fd().try_clone_to_owned()?);
        let metadata = file.metadata()?;
        Ok((file.into(), metadata))
    }

    fn socket(fd: OwnedFd) -> io::Result<UnixStream> {
        let stream = std::os::unix::net::UnixStream::from(fd);
        stream.set_nonblocking(true)?;
        UnixStream::from_std(stream)
    }
}

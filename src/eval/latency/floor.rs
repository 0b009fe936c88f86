//! What the machine alone takes for a key: waking a process by a pipe, an exchange over a kept
//! connection, and the way back.
//!
//! The program is started once more as a [`relay`], which does nothing but that: no protocol, no document,
//! no runtime. What it takes, no server can take less than on this machine.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::backend::{Answer, Backend, Event};
use super::{LatencyError, Options, cannot};

/// One key, and the answer to it.
const KEY: u8 = b'\n';
/// What is asked for each key.
const BODY: &str = r#"{"prompt":"","stream":true}"#;
/// How a chunked body ends.
const END: &[u8] = b"\r\n0\r\n\r\n";

/// Times the relay as the server is timed: from before the key is written to after the answer is read,
/// less the backend's time. The first `warm_up` samples do not count.
pub(super) async fn measure(
    options: &Options,
    warm_up: usize,
    backend: &mut Backend,
) -> Result<Vec<Duration>, LatencyError> {
    let mut process = Command::new(&options.program)
        .args(["bench", "relay", &backend.address().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(cannot("start the relay"))?;
    let (Some(mut stdin), Some(mut stdout)) = (process.stdin.take(), process.stdout.take()) else {
        return Err(crate::client::ClientError::Closed.into());
    };
    let exchange = || cannot("exchange a key with the relay");
    let mut samples = Vec::with_capacity(options.samples);
    for n in 0..options.samples + warm_up {
        backend.answer_next(Answer::Whole(format!("_{n} * input[{n}]")));
        options.idle().await;
        let started = Instant::now();
        stdin.write_all(&[KEY]).await.map_err(exchange())?;
        stdout.read_u8().await.map_err(exchange())?;
        let took = started.elapsed();
        let Some(Event::Sent { arrived, sent, .. }) = backend.event().await else {
            return Err(LatencyError::Backend {
                measure: "the machine alone",
                problem: "the backend did not answer",
            });
        };
        if n >= warm_up {
            samples.push(took.saturating_sub(sent - arrived));
        }
    }
    drop(stdin);
    process.wait().await.map_err(cannot("wait for the relay"))?;
    Ok(samples)
}

/// Asks `address` for each key that comes on standard input, and answers it when all of the answer is
/// there. Ends with the input.
///
/// # Errors
/// A broken pipe or connection.
pub fn relay(address: SocketAddr) -> io::Result<()> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_nodelay(true)?;
    let request = format!(
        "POST /api/generate HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let (mut keys, mut answers) = (io::stdin().lock(), io::stdout().lock());
    let mut key = [0];
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while keys.read(&mut key)? > 0 {
        connection.write_all(request.as_bytes())?;
        answer.clear();
        while !answer.ends_with(END) {
            let read = connection.read(&mut piece)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            answer.extend_from_slice(piece.get(..read).unwrap_or_default());
        }
        answers.write_all(&key)?;
        answers.flush()?;
    }
    Ok(())
}

//! A web server that answers each request as scripted, byte for byte: a library would not let us
//! break off in the middle of a body.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// How one request is answered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reply {
    /// As it should be, ranges included.
    Serve,
    /// The whole file, whatever was asked for.
    Whole,
    /// As it should be, until the connection closes after so many bytes.
    Cut(usize),
    /// As it should be, until nothing more comes after so many bytes.
    Stall(usize),
    /// A file of the right size with wrong bytes.
    Wrong,
    /// A file of another size.
    Other,
    /// A part that was not asked for.
    WrongRange,
    /// An error.
    Status(u16),
    /// Takes the request and never answers.
    Silence,
}

/// Listens until it is dropped with the runtime.
pub(super) struct Server {
    pub(super) url: String,
    ranges: Arc<Mutex<Vec<Option<usize>>>>,
}

impl Server {
    /// Answers the first request with the first reply and so on; none are left means 500.
    pub(super) async fn start(content: Vec<u8>, replies: &[Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let ranges = Arc::<Mutex<Vec<_>>>::default();
        let (seen, replies) = (Arc::clone(&ranges), replies.to_vec());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = seen.lock().unwrap().len();
                let reply = replies.get(number).copied().unwrap_or(Reply::Status(500));
                let from = answer(stream, reply, &content, &seen).await;
                assert!(from.is_ok(), "{from:?}");
            }
        });
        Self { url, ranges }
    }

    /// Where each request's range began.
    pub(super) fn ranges(&self) -> Vec<Option<usize>> {
        self.ranges.lock().unwrap().clone()
    }
}

async fn answer(
    stream: TcpStream,
    reply: Reply,
    content: &[u8],
    seen: &Mutex<Vec<Option<usize>>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut from, mut line) = (None, String::new());
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).await?;
        let lower = line.to_ascii_lowercase();
        if let Some(range) = lower.strip_prefix("range: bytes=") {
            from = Some(range.trim().trim_end_matches('-').parse().unwrap());
        }
        if lower.starts_with("get ") {
            assert!(
                lower.starts_with("get /owner/repo/resolve/main/tiny.gguf "),
                "{lower}"
            );
        }
    }
    seen.lock().unwrap().push(from);
    let mut body = content.to_vec();
    let mut status = 200;
    let mut content_range = String::new();
    if let (Some(from), Reply::Serve | Reply::Cut(_) | Reply::Stall(_) | Reply::WrongRange) =
        (from, reply)
    {
        let from = if matches!(reply, Reply::WrongRange) {
            from + 1
        } else {
            from
        };
        status = 206;
        let (last, total) = (body.len() - 1, body.len());
        content_range = format!("Content-Range: bytes {from}-{last}/{total}\r\n");
        body.drain(..from);
    }
    let mut sent = body.len();
    match reply {
        Reply::Serve | Reply::Whole | Reply::WrongRange => {}
        Reply::Cut(count) | Reply::Stall(count) => sent = count,
        Reply::Wrong => body.reverse(),
        Reply::Other => {
            body.push(0);
            sent += 1;
        }
        Reply::Status(code) => {
            (status, sent) = (code, 0);
            body.clear();
        }
        Reply::Silence => {
            tokio::spawn(hold(stream));
            return Ok(());
        }
    }
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{content_range}Connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    // A client that does not want the body closes first.
    let _ = stream.write_all(&body[..sent]).await;
    let _ = stream.flush().await;
    if matches!(reply, Reply::Stall(_)) {
        tokio::spawn(hold(stream));
    }
    Ok(())
}

/// Keeps a connection open until the client closes it.
async fn hold(mut stream: BufReader<TcpStream>) {
    let _ = stream.read_line(&mut String::new()).await;
}

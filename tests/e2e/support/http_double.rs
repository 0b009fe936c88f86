//! A server of raw bytes, for the backends that speak HTTP: what it says and when it breaks off is up
//! to the test, down to the byte.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// One step of an answer. The head goes out before the first step that is no wait.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    /// These bytes, in a chunk of their own.
    Bytes(Vec<u8>),
    /// Nothing more, until the client leaves.
    Hang,
    /// The connection is reset.
    Reset,
}

/// What a request gets.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    content_type: &'static str,
    /// Where a redirect leads.
    location: Option<String>,
    pieces: Vec<Piece>,
}

impl Reply {
    /// A body in one piece.
    pub(crate) fn whole(status: u16, content_type: &'static str, body: impl AsRef<[u8]>) -> Self {
        Self {
            status,
            content_type,
            location: None,
            pieces: vec![Piece::Bytes(body.as_ref().to_vec())],
        }
    }

    /// A redirect that asks for the same request elsewhere.
    pub(crate) fn redirect(location: String) -> Self {
        Self {
            location: Some(location),
            ..Self::whole(307, "text/plain", "")
        }
    }

    /// An object.
    pub(crate) fn json(body: &Value) -> Self {
        Self::whole(200, "application/json", body.to_string())
    }

    /// Server-sent events.
    pub(crate) fn events(pieces: impl IntoIterator<Item = Piece>) -> Self {
        Self {
            status: 200,
            content_type: "text/event-stream",
            location: None,
            pieces: pieces.into_iter().collect(),
        }
    }
}

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub path: String,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    pub body: Value,
    /// Which connection carried it.
    pub connection: usize,
}

#[derive(Debug, Default)]
struct Script {
    next: HashMap<String, VecDeque<Reply>>,
    always: HashMap<String, Reply>,
    seen: Vec<Seen>,
}

/// The server. Ends when it is dropped.
#[derive(Debug)]
pub(crate) struct HttpDouble {
    port: u16,
    script: Arc<Mutex<Script>>,
    left: Arc<watch::Sender<usize>>,
    serving: JoinHandle<()>,
}

impl HttpDouble {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let script = Arc::<Mutex<Script>>::default();
        let left = Arc::new(watch::Sender::new(0));
        let serving = tokio::spawn(accept(listener, script.clone(), left.clone()));
        Self {
            port,
            script,
            left,
            serving,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What the next request for `path` gets; more than one are kept in order.
    pub(crate) fn next(&self, path: &str, reply: Reply) {
        let mut script = self.script.lock().expect("no panic");
        script.next.entry(path.into()).or_default().push_back(reply);
    }

    /// What all other requests for `path` get; 404 without this.
    pub(crate) fn always(&self, path: &str, reply: Reply) {
        let mut script = self.script.lock().expect("no panic");
        script.always.insert(path.into(), reply);
    }

    /// The requests for `path` so far.
    pub(crate) fn seen(&self, path: &str) -> Vec<Seen> {
        let script = self.script.lock().expect("no panic");
        let seen = script.seen.iter().filter(|seen| seen.path == path);
        seen.cloned().collect()
    }

    /// Waits until so many answers were left by their client before the end.
    pub(crate) async fn wait_left(&self, count: usize) {
        let mut left = self.left.subscribe();
        tokio::time::timeout(Duration::from_secs(10), left.wait_for(|&n| n >= count))
            .await
            .expect("nobody left within 10 s")
            .expect("the double is there");
    }
}

impl Drop for HttpDouble {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn accept(
    listener: TcpListener,
    script: Arc<Mutex<Script>>,
    left: Arc<watch::Sender<usize>>,
) {
    // Dropped with this task, and every connection with it.
    let mut connections = tokio::task::JoinSet::new();
    let mut count = 0;
    while let Ok((stream, _)) = listener.accept().await {
        let (script, left) = (script.clone(), left.clone());
        connections.spawn(async move {
            let _ = serve(stream, count, &script, &left).await;
        });
        count += 1;
    }
}

async fn serve(
    stream: TcpStream,
    connection: usize,
    script: &Mutex<Script>,
    left: &watch::Sender<usize>,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(seen) = request(&mut stream, connection).await? {
        let reply = {
            let mut script = script.lock().expect("no panic");
            let next = script
                .next
                .get_mut(&seen.path)
                .and_then(VecDeque::pop_front);
            let reply = next.or_else(|| script.always.get(&seen.path).cloned());
            script.seen.push(seen);
            reply.unwrap_or_else(|| Reply::whole(404, "text/plain", "404 page not found"))
        };
        let head = format!(
            "HTTP/1.1 {} X\r\ncontent-type: {}\r\n{}transfer-encoding: chunked\r\n\r\n",
            reply.status,
            reply.content_type,
            reply
                .location
                .map(|location| format!("location: {location}\r\n"))
                .unwrap_or_default()
        );
        let mut head = Some(head);
        for piece in reply.pieces {
            match piece {
                Piece::Bytes(bytes) => {
                    let mut out = head.take().unwrap_or_default().into_bytes();
                    if !bytes.is_empty() {
                        out.extend(format!("{:x}\r\n", bytes.len()).bytes());
                        out.extend(bytes);
                        out.extend(b"\r\n");
                    }
                    stream.write_all(&out).await?;
                    stream.flush().await?;
                }
                Piece::Hang => {
                    // Nothing is sent by a client that waits; this ends when it leaves.
                    let _ = stream.read_u8().await;
                    left.send_modify(|left| *left += 1);
                    return Ok(());
                }
                Piece::Reset => {
                    stream.get_ref().set_zero_linger()?;
                    return Ok(());
                }
            }
        }
        stream
            .write_all(format!("{}0\r\n\r\n", head.unwrap_or_default()).as_bytes())
            .await?;
    }
    Ok(())
}

/// Reads one request; `None` when the client has gone.
async fn request(stream: &mut BufReader<TcpStream>, connection: usize) -> io::Result<Option<Seen>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = HashMap::new();
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let length = headers.get("content-length").and_then(|n| n.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    Ok(Some(Seen {
        path,
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
        connection,
    }))
}

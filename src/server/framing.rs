//! The base protocol's framing: headers, a blank line, a body of so many bytes.

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// Longest body accepted, in bytes: far above any document, far below what would exhaust memory.
const LONGEST_BODY_BYTES: usize = 256 << 20;
/// Longest header line accepted, in bytes.
const LONGEST_HEADER_BYTES: u64 = 4096;

/// What can be wrong with a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FrameError {
    /// The headers are bad; what follows them is read as the next frame.
    Header(String),
    /// Where the next frame begins is unknown.
    Lost(String),
}

/// Reads frames.
#[derive(Debug)]
pub(super) struct Frames<R> {
    reader: BufReader<R>,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader: BufReader::with_capacity(64 << 10, reader),
        }
    }

    /// The next body; `None` at the end of the input.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        let mut length = None;
        let mut any = false;
        loop {
            let mut line = Vec::new();
            let mut limited = (&mut self.reader).take(LONGEST_HEADER_BYTES);
            match limited.read_until(b'\n', &mut line).await {
                Ok(0) => return Ok(None),
                Ok(_) if !line.ends_with(b"\n") => {
                    return Err(FrameError::Lost("a header line never ends".into()));
                }
                Ok(_) => {}
                Err(error) => return Err(FrameError::Lost(error.to_string())),
            }
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                if any {
                    break;
                }
                // Blank lines between frames are harmless.
                continue;
            }
            any = true;
            if let Some((name, value)) = line.split_once(':')
                && name.trim().eq_ignore_ascii_case("content-length")
            {
                length = Some(value.trim().to_owned());
            }
        }
        let Some(length) = length else {
            return Err(FrameError::Header(
                "a message without Content-Length".into(),
            ));
        };
        let length: usize = length
            .parse()
            .map_err(|_| FrameError::Header(format!("Content-Length is no number: {length}")))?;
        if length > LONGEST_BODY_BYTES {
            return Err(FrameError::Lost(format!(
                "Content-Length {length} is over the limit of {LONGEST_BODY_BYTES} bytes"
            )));
        }
        // The buffer grows with what arrives, not with what was promised.
        let mut body = Vec::with_capacity(length.min(1 << 20));
        let read = (&mut self.reader)
            .take(length as u64)
            .read_to_end(&mut body)
            .await;
        match read {
            Ok(read) if read == length => Ok(Some(body)),
            Ok(_) => Ok(None),
            Err(error) => Err(FrameError::Lost(error.to_string())),
        }
    }
}

/// Replaces `\uD800`-like escapes without a partner by U+FFFD. JavaScript clients send them when an
/// edit splits a surrogate pair; refusing the message would lose the edit. U+FFFD is one UTF-16 unit
/// too, so later positions stay right. `None` when there is none.
pub(super) fn without_lone_surrogates(body: &[u8]) -> Option<Vec<u8>> {
    let unit = |at: usize| -> Option<u16> {
        let escape = body.get(at..at + 6)?;
        let digits = escape.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut out = Vec::with_capacity(body.len());
    let mut changed = false;
    let mut at = 0;
    while let Some(&byte) = body.get(at) {
        let step = match (byte, unit(at)) {
            (b'\\', Some(0xD800..=0xDBFF)) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => 12,
            (b'\\', Some(0xD800..=0xDFFF)) => {
                out.extend_from_slice(b"\\ufffd");
                changed = true;
                at += 6;
                continue;
            }
            (b'\\', Some(_)) => 6,
            // An escaped backslash: what follows is text, not an escape.
            (b'\\', None) => 2,
            _ => 1,
        };
        out.extend_from_slice(
            body.get(at..at + step)
                .unwrap_or_else(|| body.get(at..).unwrap_or_default()),
        );
        at += step;
    }
    changed.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn frames(input: &[u8]) -> Vec<Result<Option<String>, FrameError>> {
        let mut frames = Frames::new(input);
        let mut out = Vec::new();
        loop {
            let frame = frames.next().await;
            let last = matches!(frame, Ok(None) | Err(FrameError::Lost(_)));
            out.push(frame.map(|f| f.map(|b| String::from_utf8(b).unwrap())));
            if last {
                return out;
            }
        }
    }

    #[tokio::test]
    async fn frames_are_read_and_bad_ones_cost_only_themselves() {
        let ok = |s: &str| Ok(Some(s.to_owned()));
        for (input, expected) in [
            ("Content-Length: 2\r\n\r\n{}", vec![ok("{}"), Ok(None)]),
            (
                "content-length:2\r\nX: y\r\nContent-Type: z\r\n\r\n{}Content-Length: 1\r\n\r\n1",
                vec![ok("{}"), ok("1"), Ok(None)],
            ),
            ("Content-Length: 0\r\n\r\n", vec![ok(""), Ok(None)]),
            (
                "X: y\r\n\r\nContent-Length: 1\r\n\r\n1",
                vec![
                    Err(FrameError::Header(
                        "a message without Content-Length".into(),
                    )),
                    ok("1"),
                    Ok(None),
                ],
            ),
            (
                "Content-Length: 4000000000\r\n\r\n",
                vec![Err(FrameError::Lost(
                    "Content-Length 4000000000 is over the limit of 268435456 bytes".into(),
                ))],
            ),
            ("Content-Length: 5\r\n\r\nab", vec![Ok(None)]),
            ("", vec![Ok(None)]),
        ] {
            assert_eq!(frames(input.as_bytes()).await, expected, "{input:?}");
        }
    }

    #[test]
    fn only_lone_surrogates_are_replaced() {
        for (input, expected) in [
            (r#""a\ud800b""#, Some("\"a\\ufffdb\"")),
            (r#""\udc00""#, Some("\"\\ufffd\"")),
            (r#""\ud83d\ude00""#, None),
            (r#""\\ud800""#, None),
            (r#""\n\u0041""#, None),
        ] {
            let repaired = without_lone_surrogates(input.as_bytes());
            let repaired = repaired.map(|b| String::from_utf8(b).unwrap());
            assert_eq!(repaired.as_deref(), expected, "{input}");
        }
    }
}

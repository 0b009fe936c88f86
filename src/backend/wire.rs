//! NDJSON and server-sent events, decoded from byte chunks as they arrive.
//!
//! Used by the backends that speak HTTP. Everything here is pure: bytes are pushed in, values are
//! taken out, nothing waits. A chunk may end anywhere, within a character too. Memory is bounded: a
//! line or an event longer than [`MAX_LINE_BYTES`] is an error. Errors never quote the text received.

use serde::de::DeserializeOwned;

/// Longest line and longest event accepted, in bytes. A line carries one token and a few counters; the
/// longest known is a closing line with the whole context as numbers, 32 Ki tokens of 7 bytes.
/// Ollama itself stops at 8 MiB.
pub(super) const MAX_LINE_BYTES: usize = 1 << 20;

/// Bytes that are not what the protocol says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// A line or an event outgrew the limit.
    #[error("a line is longer than {limit_bytes} bytes")]
    TooLong {
        /// The limit.
        limit_bytes: usize,
    },
    /// A whole line is not the JSON that was expected.
    #[error("a line is not the JSON expected (byte {column})")]
    NotJson {
        /// Where in the line, from 1.
        column: usize,
    },
    /// The bytes ended within a line.
    #[error("the bytes end in the middle of a line")]
    Truncated,
}

/// Splits bytes into lines. LF, CRLF and CR end a line, as server-sent events want it; JSON holds
/// neither within a line, so NDJSON can share the rule.
#[derive(Debug)]
struct Lines {
    buffer: Vec<u8>,
    /// Where the next line begins in `buffer`.
    start: usize,
    /// No line end lies between `start` and here.
    scanned: usize,
    /// The last line ended in CR; a LF that follows belongs to it.
    after_cr: bool,
    limit_bytes: usize,
}

impl Lines {
    fn new(limit_bytes: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            after_cr: false,
            limit_bytes,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.scanned -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line without its end, or `None` when more bytes are needed.
    fn next_line(&mut self) -> Result<Option<&[u8]>, WireError> {
        if self.after_cr && self.start < self.buffer.len() {
            self.after_cr = false;
            if self.buffer[self.start] == b'\n' {
                self.start += 1;
                self.scanned = self.start;
            }
        }
        let found = self.buffer[self.scanned..]
            .iter()
            .position(|byte| matches!(byte, b'\n' | b'\r'))
            .map(|offset| self.scanned + offset);
        let end = found.unwrap_or(self.buffer.len());
        if end - self.start > self.limit_bytes {
            return Err(WireError::TooLong {
                limit_bytes: self.limit_bytes,
            });
        }
        self.scanned = end;
        let Some(end) = found else { return Ok(None) };
        self.after_cr = self.buffer[end] == b'\r';
        let line = self.start..end;
        self.start = end + 1;
        self.scanned = self.start;
        Ok(Some(&self.buffer[line]))
    }

    /// What is left after the last line end.
    fn rest(&mut self) -> Vec<u8> {
        let rest = self.buffer.split_off(self.start);
        *self = Self::new(self.limit_bytes);
        rest
    }
}

/// One JSON value a line. Blank lines mean nothing.
#[derive(Debug)]
pub(crate) struct Ndjson {
    lines: Lines,
}

impl Ndjson {
    /// A decoder that accepts lines up to [`MAX_LINE_BYTES`].
    pub(crate) fn new() -> Self {
        Self {
            lines: Lines::new(MAX_LINE_BYTES),
        }
    }

    /// Takes bytes in. Take all values out before the next push: that keeps the buffer small.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.lines.push(bytes);
    }

    /// The next value, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`WireError::TooLong`] or [`WireError::NotJson`].
    pub(crate) fn next_value<T: DeserializeOwned>(&mut self) -> Result<Option<T>, WireError> {
        while let Some(line) = self.lines.next_line()? {
            if !is_blank(line) {
                return parse(line).map(Some);
            }
        }
        Ok(None)
    }

    /// The value of a last line without a line end, once no more bytes come.
    ///
    /// # Errors
    /// [`WireError::Truncated`] if the last line is not whole.
    pub(crate) fn finish<T: DeserializeOwned>(&mut self) -> Result<Option<T>, WireError> {
        let rest = self.lines.rest();
        if is_blank(&rest) {
            return Ok(None);
        }
        parse(&rest).map(Some).map_err(|_| WireError::Truncated)
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, WireError> {
    serde_json::from_slice(line).map_err(|error| WireError::NotJson {
        column: error.column(),
    })
}

/// A server-sent event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// Its type; `message` unless the server says otherwise.
    pub(super) name: String,
    /// Its text: the `data` lines, joined by LF.
    pub(super) data: String,
}

/// Server-sent events, as <https://html.spec.whatwg.org/multipage/server-sent-events.html> (read
/// 2026-11) says, with one addition: older llama.cpp servers send a failure as a line `error: {…}`,
/// which comes out as an event of that name.
#[derive(Debug)]
pub(super) struct Sse {
    lines: Lines,
    at_start: bool,
    name: String,
    data: Option<String>,
}

impl Sse {
    /// A decoder that accepts lines and events up to [`MAX_LINE_BYTES`].
    pub(super) fn new() -> Self {
        Self {
            lines: Lines::new(MAX_LINE_BYTES),
            at_start: true,
            name: String::new(),
            data: None,
        }
    }

    /// Takes bytes in. Take all events out before the next push.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.lines.push(bytes);
    }

    /// The next event, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`WireError::TooLong`].
    pub(super) fn next_event(&mut self) -> Result<Option<Event>, WireError> {
        while let Some(line) = self.lines.next_line()? {
            let line = String::from_utf8_lossy(line).into_owned();
            if line.is_empty() {
                if let Some(event) = self.take_event() {
                    return Ok(Some(event));
                }
            } else {
                self.field(&line)?;
            }
        }
        Ok(None)
    }

    /// The event that was open when the bytes ended. The specification drops it; several servers leave
    /// out the last blank line, so the caller gets it and sees by its content whether it is whole.
    ///
    /// # Errors
    /// [`WireError::TooLong`].
    pub(super) fn finish(&mut self) -> Result<Option<Event>, WireError> {
        let rest = String::from_utf8_lossy(&self.lines.rest()).into_owned();
        if !rest.is_empty() {
            self.field(&rest)?;
        }
        Ok(self.take_event())
    }

    fn take_event(&mut self) -> Option<Event> {
        let name = std::mem::take(&mut self.name);
        let data = self.data.take()?;
        Some(Event {
            name: if name.is_empty() {
                "message".to_owned()
            } else {
                name
            },
            data,
        })
    }

    fn field(&mut self, line: &str) -> Result<(), WireError> {
        let line = if std::mem::take(&mut self.at_start) {
            line.strip_prefix('\u{feff}').unwrap_or(line)
        } else {
            line
        };
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "error" => {
                "error".clone_into(&mut self.name);
                self.append(value)?;
            }
            "data" => self.append(value)?,
            // Comments (an empty field name), `id`, `retry` and unknown fields.
            _ => {}
        }
        Ok(())
    }

    fn append(&mut self, value: &str) -> Result<(), WireError> {
        let limit_bytes = self.lines.limit_bytes;
        match &mut self.data {
            None => self.data = Some(value.to_owned()),
            Some(data) if data.len() + value.len() >= limit_bytes => {
                return Err(WireError::TooLong { limit_bytes });
            }
            Some(data) => {
                data.push('\n');
                data.push_str(value);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

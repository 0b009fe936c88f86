//! The header of a GGUF file: what it says about itself, and how long it has to be.
//!
//! Called before llama.cpp sees the file, which tells its reasons to a log only. Reads the header and
//! no weights. Invariant: nothing a file says makes this read past its end or allocate more than it
//! holds. Source: ggml's `docs/gguf.md`, versions 2 and 3, and `ggml.h` for the tensor types, read
//! 2026-11.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::prompt::fim::{Family, of_vocabulary};

/// The first four bytes.
const MAGIC: &[u8; 4] = b"GGUF";

/// Where `general.alignment` is not said.
const DEFAULT_ALIGNMENT: u64 = 32;

/// Longest string kept, in bytes: chat templates have up to 20 KB. Longer ones are skipped.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// Arrays within arrays, which no model has.
const MAX_DEPTH: u32 = 4;

/// The key of the vocabulary.
const TOKENS: &str = "tokenizer.ggml.tokens";

/// The key of the id of the token that ends a generation.
const END: &str = "tokenizer.ggml.eos_token_id";

/// Most tokens kept of a vocabulary, for one that a hostile file is full of.
const MAX_MARKED_TOKENS: usize = 8192;

/// A value of the header.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Number(u64),
    Text(String),
    /// Of so many elements, which are not kept.
    Array(u64),
    /// A number with a sign or a fraction, or a text that is too long.
    Other,
}

/// What a file says about itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Gguf {
    /// The file as it is.
    pub(super) size_bytes: u64,
    /// The least size that holds all tensors, as far as their types are known.
    pub(super) needed_bytes: u64,
    /// The families whose sentinels the vocabulary has; `None` where there is no vocabulary.
    pub(super) families: Option<Vec<&'static Family>>,
    /// The token that ends a generation, as text.
    pub(super) end: Option<String>,
    values: HashMap<String, Value>,
}

impl Gguf {
    /// # Errors
    /// A sentence about what is wrong with the file, ending in what to do.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let cannot_read = |error| format!("cannot read {shown}: {error}; check the path");
        let file = File::open(path).map_err(cannot_read)?;
        let size_bytes = file.metadata().map_err(cannot_read)?.len();
        let mut reader = Reader {
            from: BufReader::new(file),
            left_bytes: size_bytes,
        };
        let mut magic = [0; 4];
        if reader.bytes(&mut magic).is_err() || &magic != MAGIC {
            return Err(format!(
                "{shown} is not a GGUF file; name a GGUF file, or run `ghostline models verify`"
            ));
        }
        let gguf = reader
            .header(size_bytes)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    format!("the header of {shown} is cut short or damaged; fetch it again")
                }
                io::ErrorKind::InvalidData => {
                    format!("the header of {shown} is damaged: {error}; fetch it again")
                }
                _ => cannot_read(error),
            })?;
        if gguf.needed_bytes > size_bytes {
            return Err(format!(
                "{shown} is cut short: it has {} MiB and its tensors end at {} MiB; fetch it again",
                size_bytes >> 20,
                gguf.needed_bytes >> 20
            ));
        }
        Ok(gguf)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.values.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn number(&self, key: &str) -> Option<u64> {
        match self.values.get(key)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn array_len(&self, key: &str) -> Option<u64> {
        match self.values.get(key)? {
            Value::Array(len) => Some(*len),
            _ => None,
        }
    }

    pub(super) fn architecture(&self) -> Option<&str> {
        self.text("general.architecture")
    }

    /// A number under the name of the file's own architecture.
    pub(super) fn of_architecture(&self, key: &str) -> Option<u64> {
        self.number(&format!("{}.{key}", self.architecture()?))
    }
}

/// A vocabulary.
struct Vocabulary {
    len: u64,
    /// Tokens that begin like sentinels, and their ids.
    marked: HashMap<String, u64>,
}

struct Reader {
    from: BufReader<File>,
    left_bytes: u64,
}

impl Reader {
    fn header(&mut self, size_bytes: u64) -> io::Result<Gguf> {
        let version = self.u32()?;
        if !(2..=3).contains(&version) {
            return Err(invalid(&format!("version {version}")));
        }
        let (tensors, pairs) = (self.u64()?, self.u64()?);
        let mut values = HashMap::new();
        let mut vocabulary = None;
        for _ in 0..pairs {
            let key = self.text()?.unwrap_or_default();
            let kind = self.u32()?;
            let value = if key == TOKENS && kind == 9 {
                let read = self.vocabulary()?;
                let len = read.len;
                vocabulary = Some(read);
                Value::Array(len)
            } else {
                self.value(kind, 0)?
            };
            values.insert(key, value);
        }
        let mut end = 0;
        for _ in 0..tensors {
            end = end.max(self.tensor_end()?);
        }
        let header_bytes = size_bytes - self.left_bytes;
        let alignment = match values.get("general.alignment") {
            Some(Value::Number(alignment)) => (*alignment).max(1),
            _ => DEFAULT_ALIGNMENT,
        };
        let data_start = header_bytes
            .checked_next_multiple_of(alignment)
            .ok_or_else(|| invalid("alignment"))?;
        Ok(Gguf {
            size_bytes,
            needed_bytes: data_start.saturating_add(end),
            families: vocabulary
                .as_ref()
                .map(|read| of_vocabulary(|text| read.marked.contains_key(text))),
            end: vocabulary.and_then(|read| {
                let Some(Value::Number(id)) = values.get(END) else {
                    return None;
                };
                let of_id = |(text, at): (String, u64)| (at == *id).then_some(text);
                read.marked.into_iter().find_map(of_id)
            }),
            values,
        })
    }

    /// The vocabulary, of which only tokens that look like sentinels are kept.
    fn vocabulary(&mut self) -> io::Result<Vocabulary> {
        let (of, len) = (self.u32()?, self.u64()?);
        if of != 8 {
            return Err(invalid("a vocabulary that is no list of texts"));
        }
        let mut marked = HashMap::new();
        for id in 0..len {
            let Some(token) = self.text()? else {
                continue;
            };
            let starts = token.trim_start_matches('▁').starts_with(['<', '[']);
            if starts && marked.len() < MAX_MARKED_TOKENS {
                marked.insert(token, id);
            }
        }
        Ok(Vocabulary { len, marked })
    }

    /// Where the tensor's bytes end, from the start of the data.
    fn tensor_end(&mut self) -> io::Result<u64> {
        self.text()?;
        let dimensions = self.u32()?;
        if dimensions > 8 {
            return Err(invalid("a tensor with too many dimensions"));
        }
        let mut elements = 1_u64;
        for _ in 0..dimensions {
            elements = elements.saturating_mul(self.u64()?);
        }
        let kind = self.u32()?;
        let offset = self.u64()?;
        let (block, block_bytes) = block_of(kind).unwrap_or((1, 0));
        Ok(offset.saturating_add((elements / block).saturating_mul(block_bytes)))
    }

    fn value(&mut self, kind: u32, depth: u32) -> io::Result<Value> {
        Ok(match kind {
            0 | 7 => Value::Number(u64::from(self.array::<1>()?[0])),
            2 => Value::Number(u64::from(u16::from_le_bytes(self.array()?))),
            4 => Value::Number(u64::from(self.u32()?)),
            10 => Value::Number(self.u64()?),
            8 => self.text()?.map_or(Value::Other, Value::Text),
            9 => {
                let (of, len) = (self.u32()?, self.u64()?);
                if depth == MAX_DEPTH {
                    return Err(invalid("arrays within arrays"));
                }
                if let Some(bytes) = fixed_bytes(of) {
                    self.skip(len.saturating_mul(bytes))?;
                } else {
                    for _ in 0..len {
                        if of == 8 {
                            let bytes = self.u64()?;
                            self.skip(bytes)?;
                        } else {
                            self.value(of, depth + 1)?;
                        }
                    }
                }
                Value::Array(len)
            }
            _ => {
                let bytes = fixed_bytes(kind).ok_or_else(|| invalid("an unknown type"))?;
                self.skip(bytes)?;
                Value::Other
            }
        })
    }

    /// `None` for a text that is too long to keep.
    fn text(&mut self) -> io::Result<Option<String>> {
        let len = self.u64()?;
        if len > MAX_TEXT_BYTES {
            self.skip(len)?;
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        self.bytes(&mut bytes)?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn u32(&mut self) -> io::Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> io::Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.bytes(&mut bytes)?;
        Ok(bytes)
    }

    fn bytes(&mut self, into: &mut [u8]) -> io::Result<()> {
        self.take(into.len() as u64)?;
        self.from.read_exact(into)
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        self.take(bytes)?;
        let bytes = i64::try_from(bytes).map_err(|_| invalid("a length"))?;
        self.from.seek_relative(bytes)
    }

    fn take(&mut self, bytes: u64) -> io::Result<()> {
        self.left_bytes = self
            .left_bytes
            .checked_sub(bytes)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(())
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Bytes of a value of this type, where they do not depend on the value.
fn fixed_bytes(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// Elements and bytes of a block of a tensor type.
fn block_of(kind: u32) -> Option<(u64, u64)> {
    Some(match kind {
        0 | 26 => (1, 4),
        1 | 25 | 30 => (1, 2),
        24 => (1, 1),
        27 | 28 => (1, 8),
        2 | 20 => (32, 18),
        3 => (32, 20),
        6 => (32, 22),
        7 => (32, 24),
        8 => (32, 34),
        9 => (32, 36),
        39 => (32, 17),
        10 => (256, 84),
        11 | 21 => (256, 110),
        12 => (256, 144),
        13 => (256, 176),
        14 => (256, 210),
        15 => (256, 292),
        16 | 35 => (256, 66),
        17 => (256, 74),
        18 => (256, 98),
        19 => (256, 50),
        22 => (256, 82),
        23 => (256, 136),
        29 => (256, 56),
        34 => (256, 54),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;

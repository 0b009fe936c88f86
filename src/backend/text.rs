//! From token bytes to text that may be shown.
//!
//! A token can hold half a character, and a stop string can begin in one token and end in a later
//! one. [`TextOut`] keeps back what is not decided yet. Called by the job for each generated token.
//! Invariant: what has been given out never splits a character and never contains a part of the
//! stop string that ended the text.

/// What a push gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// Text that may be sent now; possibly empty.
    Text(String),
    /// The last text: a stop string follows it.
    Stopped(String),
}

/// Assembles one generation's text.
#[derive(Debug, Default)]
pub(crate) struct TextOut {
    /// Not empty strings that end the text.
    stops: Vec<String>,
    /// The bytes of a character that has not ended yet; at most 3.
    half_character: Vec<u8>,
    /// Decoded text that could be the beginning of a stop string.
    held: String,
}

impl TextOut {
    /// Empty strings among `stops` are ignored: they would end every text at once.
    pub(crate) fn new(stops: impl IntoIterator<Item = String>) -> Self {
        Self {
            stops: stops.into_iter().filter(|stop| !stop.is_empty()).collect(),
            ..Self::default()
        }
    }

    /// Takes the bytes of the next token.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Pushed {
        self.decode(bytes);
        if let Some(start) = self.first_stop() {
            self.held.truncate(start);
            return Pushed::Stopped(std::mem::take(&mut self.held));
        }
        let undecided = self.held.split_off(self.held.len() - self.stop_beginning());
        Pushed::Text(std::mem::replace(&mut self.held, undecided))
    }

    /// The rest, when the generation ended for another reason. Half a character is dropped.
    pub(crate) fn finish(&mut self) -> String {
        self.half_character.clear();
        std::mem::take(&mut self.held)
    }

    /// Moves the complete characters to `held`; bytes that are not UTF-8 become U+FFFD.
    fn decode(&mut self, bytes: &[u8]) {
        self.half_character.extend_from_slice(bytes);
        let mut decoded = 0;
        for chunk in self.half_character.utf8_chunks() {
            self.held.push_str(chunk.valid());
            decoded += chunk.valid().len();
            let invalid = chunk.invalid();
            if invalid.is_empty() {
                continue;
            }
            let at_end = decoded + invalid.len() == self.half_character.len();
            if at_end && is_incomplete(invalid) {
                break;
            }
            self.held.push(char::REPLACEMENT_CHARACTER);
            decoded += invalid.len();
        }
        self.half_character.drain(..decoded);
    }

    /// Where the stop string that ends first begins. "Ends first" and not "begins first", so that the
    /// answer does not depend on how the text was cut into tokens.
    fn first_stop(&self) -> Option<usize> {
        self.stops
            .iter()
            .filter_map(|stop| {
                let start = self.held.find(stop.as_str())?;
                Some((start + stop.len(), start))
            })
            .min()
            .map(|(_, start)| start)
    }

    /// The length in bytes of the longest end of `held` with which a stop string begins.
    fn stop_beginning(&self) -> usize {
        self.stops
            .iter()
            .filter_map(|stop| {
                stop.char_indices()
                    .map(|(at, _)| at)
                    .rev()
                    .find(|&at| stop.get(..at).is_some_and(|head| self.held.ends_with(head)))
            })
            .max()
            .unwrap_or(0)
    }
}

/// Whether more bytes could complete these to one character.
fn is_incomplete(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Pushed, TextOut};

    /// Pushes the pieces; gives each text given out, the end's included, and whether a stop was met.
    fn run(stops: &[&str], pieces: &[&[u8]]) -> (Vec<String>, bool) {
        let mut out = TextOut::new(stops.iter().map(ToString::to_string));
        let mut texts = Vec::new();
        for piece in pieces {
            match out.push(piece) {
                Pushed::Text(text) => texts.push(text),
                Pushed::Stopped(text) => {
                    texts.push(text);
                    return (texts, true);
                }
            }
        }
        texts.push(out.finish());
        (texts, false)
    }

    /// Stops and pieces; then the texts given out, and whether a stop was met.
    type Case = (
        &'static [&'static str],
        &'static [&'static [u8]],
        &'static [&'static str],
        bool,
    );

    #[test]
    fn text_is_given_out_when_it_is_decided() {
        // The euro sign is the bytes e2 82 ac.
        let cases: &[Case] = &[
            (&[], &[b"a", b"b"], &["a", "b", ""], false),
            // Half a character waits for its other half, and is dropped when none comes.
            (&[], &[b"\xe2", b"\x82", b"\xac"], &["", "", "€", ""], false),
            (&[], &[b"a", b"\xe2\x82"], &["a", "", ""], false),
            // Bytes that cannot become a character are shown as one, and do not block what follows.
            (&[], &[b"a\xffb", b"c"], &["a\u{fffd}b", "c", ""], false),
            (&[], &[b"\xe2\x82", b"x"], &["", "\u{fffd}x", ""], false),
            // A stop inside one token, over two tokens, and at the very start.
            (&["\n\n"], &[b"a\n\nb"], &["a"], true),
            (&["\n\n"], &[b"a\n", b"\nb"], &["a", ""], true),
            (&["\n\n"], &[b"\n\n"], &[""], true),
            // What began like a stop and is none comes out; so does the rest at the end.
            (&["\n\n"], &[b"a\n", b"b"], &["a", "\nb", ""], false),
            (&["\n\n"], &[b"a\n"], &["a", "\n"], false),
            // A stop that begins again inside its own beginning.
            (&["aab"], &[b"aa", b"ab"], &["", "a"], true),
            // The stop that ends first wins, however the text is cut.
            (&["abcx", "b"], &[b"a", b"b", b"cx"], &["", "a"], true),
            (&["abcx", "b"], &[b"abcx"], &["a"], true),
            (&[""], &[b"a"], &["a", ""], false),
            // Stops of more than one byte per character.
            (&["€€"], &[b"x\xe2\x82\xac", b"y"], &["x", "€y", ""], false),
        ];
        for &(stops, pieces, expect, stopped) in cases {
            let expect: Vec<String> = expect.iter().map(ToString::to_string).collect();
            assert_eq!(
                run(stops, pieces),
                (expect, stopped),
                "{stops:?} {pieces:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn the_text_does_not_depend_on_how_it_is_cut(
            text in "[ab€\\n]{0,24}",
            stops in proptest::collection::vec("[ab€\\n]{0,3}", 0..3),
            piece_bytes in 1_usize..12,
        ) {
            let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(piece_bytes).collect();
            let (shown, stopped) = run(&stops, &pieces);
            let (shown_bytewise, stopped_bytewise) = run(&stops, &bytes);
            prop_assert_eq!(shown.concat(), shown_bytewise.concat());
            prop_assert_eq!(stopped, stopped_bytewise);
            for stop in stops.iter().filter(|stop| !stop.is_empty()) {
                prop_assert!(!shown.concat().contains(stop));
            }
        }
    }
}

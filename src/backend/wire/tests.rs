//! Every sample is decoded whole, byte by byte, and split in two at every byte.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Decodes `pieces` and returns the values and how it ended.
fn ndjson(pieces: &[&[u8]]) -> (Vec<Value>, Option<WireError>) {
    let mut decoder = Ndjson::new();
    let mut values = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next_value() {
                Ok(Some(value)) => values.push(value),
                Ok(None) => break,
                Err(error) => return (values, Some(error)),
            }
        }
    }
    match decoder.finish() {
        Ok(last) => {
            values.extend(last);
            (values, None)
        }
        Err(error) => (values, Some(error)),
    }
}

fn sse(pieces: &[&[u8]]) -> Vec<(String, String)> {
    let mut decoder = Sse::new();
    let mut events = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        while let Some(event) = decoder.next_event().expect("short lines") {
            events.push((event.name, event.data));
        }
    }
    let last = decoder.finish().expect("short lines");
    events.extend(last.map(|event| (event.name, event.data)));
    events
}

/// Calls `decode` with the sample cut in every way a short test can afford.
fn in_every_split<T: PartialEq + std::fmt::Debug>(
    sample: &[u8],
    expect: &T,
    decode: impl Fn(&[&[u8]]) -> T,
) {
    assert_eq!(&decode(&[sample]), expect, "whole");
    let bytes: Vec<&[u8]> = sample.chunks(1).collect();
    assert_eq!(&decode(&bytes), expect, "byte by byte");
    for at in 0..=sample.len() {
        let (head, tail) = sample.split_at(at);
        assert_eq!(&decode(&[head, tail]), expect, "split at {at}");
    }
}

#[test]
fn ndjson_table() {
    let broken = Some(WireError::NotJson { column: 2 });
    let cases: &[(&str, Vec<Value>, Option<WireError>)] = &[
        ("", vec![], None),
        ("\n\r\n  \n", vec![], None),
        (
            "{\"a\":1}\n{\"a\":2}\n",
            vec![json!({"a":1}), json!({"a":2})],
            None,
        ),
        (
            "{\"a\":1}\r\n\r\n{\"a\":2}\r\n",
            vec![json!({"a":1}), json!({"a":2})],
            None,
        ),
        (
            "{\"a\":1}\r{\"a\":2}",
            vec![json!({"a":1}), json!({"a":2})],
            None,
        ),
        (
            "\"é\u{fffd}日本🦀\"\n",
            vec![json!("é\u{fffd}日本🦀")],
            None,
        ),
        (
            "\"\\u003cdiv\\u003e \\ud83e\\udd80\"\n",
            vec![json!("<div> 🦀")],
            None,
        ),
        (
            "{\"a\":1}\n{\"a\":",
            vec![json!({"a":1})],
            Some(WireError::Truncated),
        ),
        (
            "1\n<html>\n2\n",
            vec![json!(1)],
            Some(WireError::NotJson { column: 1 }),
        ),
        ("{]\n", vec![], broken),
    ];
    for (sample, values, error) in cases {
        in_every_split(sample.as_bytes(), &(values.clone(), error.clone()), ndjson);
    }
}

#[test]
fn invalid_utf8_is_an_error() {
    in_every_split(
        b"\"\xff\"\n",
        &true,
        |pieces| matches!(ndjson(pieces), (values, Some(WireError::NotJson { .. })) if values.is_empty()),
    );
}

#[test]
fn lines_are_bounded_with_and_without_an_end() {
    let line = vec![b'1'; MAX_LINE_BYTES + 1];
    let mut decoder = Ndjson::new();
    let mut refused = None;
    for piece in line.chunks(4096) {
        decoder.push(piece);
        if let Err(error) = decoder.next_value::<Value>() {
            refused = Some(error);
            break;
        }
    }
    let too_long = WireError::TooLong {
        limit_bytes: MAX_LINE_BYTES,
    };
    assert_eq!(refused, Some(too_long.clone()));
    let ended = [line.as_slice(), b"\n"].concat();
    assert_eq!(ndjson(&[&ended]), (vec![], Some(too_long)));
    let longest = [b"\"", vec![b'x'; MAX_LINE_BYTES - 2].as_slice(), b"\"\n"].concat();
    assert_eq!(ndjson(&[&longest]).0.len(), 1);
}

#[test]
fn an_event_of_many_lines_is_bounded() {
    let line = format!("data: {}\n", "x".repeat(MAX_LINE_BYTES / 4));
    let mut decoder = Sse::new();
    let results: Vec<_> = (0..8)
        .map(|_| {
            decoder.push(line.as_bytes());
            decoder.next_event()
        })
        .collect();
    assert!(results.iter().any(Result::is_err));
}

#[test]
fn sse_table() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("", &[]),
        (": ping\n\n", &[]),
        (
            "data: a\n\ndata: b\n\n",
            &[("message", "a"), ("message", "b")],
        ),
        (
            "data: a\r\n\r\ndata: b\r\n\r\n",
            &[("message", "a"), ("message", "b")],
        ),
        (
            "data: a\r\rdata: b\r\r",
            &[("message", "a"), ("message", "b")],
        ),
        ("data: a\ndata: b\n\n", &[("message", "a\nb")]),
        ("data:a\ndata:  b\n\n", &[("message", "a\n b")]),
        ("data\n\n", &[("message", "")]),
        ("event: done\n\ndata: x\n\n", &[("message", "x")]),
        ("event: e\ndata: x\nid: 7\nretry: 3\n\n", &[("e", "x")]),
        ("\u{feff}data: é日🦀\n\n", &[("message", "é日🦀")]),
        ("error: {\"code\":500}\n\n", &[("error", "{\"code\":500}")]),
        ("data: [DONE]", &[("message", "[DONE]")]),
        (
            "data: {\"a\":\"b: c\"}\n\n",
            &[("message", "{\"a\":\"b: c\"}")],
        ),
    ];
    for (sample, expect) in cases {
        let expect: Vec<_> = expect
            .iter()
            .map(|(name, data)| ((*name).to_owned(), (*data).to_owned()))
            .collect();
        in_every_split(sample.as_bytes(), &expect, sse);
    }
}

proptest! {
    /// How bytes are cut never matters, whatever the bytes are.
    #[test]
    fn cuts_never_matter(
        bytes in proptest::collection::vec(
            prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'{'), Just(b'1'), Just(b':'), any::<u8>()],
            0..80,
        ),
        cut in 0_usize..80,
    ) {
        let (head, tail) = bytes.split_at(cut.min(bytes.len()));
        prop_assert_eq!(ndjson(&[head, tail]), ndjson(&[&bytes]));
        prop_assert_eq!(sse(&[head, tail]), sse(&[&bytes]));
    }

    /// What Rust's serialiser writes comes out again.
    #[test]
    fn values_survive(texts in proptest::collection::vec(".*", 0..8)) {
        let mut bytes = Vec::new();
        for text in &texts {
            bytes.extend(serde_json::to_vec(text).expect("a string"));
            bytes.push(b'\n');
        }
        let values: Vec<Value> = texts.into_iter().map(Value::from).collect();
        prop_assert_eq!(ndjson(&[&bytes]), (values, None));
    }
}

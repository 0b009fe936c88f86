//! What is kept and read back, and what is not believed.

use super::*;

const NOW: Duration = Duration::from_hours(500_000);

fn model(digest: Option<&str>, size_bytes: Option<u64>) -> Installed {
    Installed {
        name: "m:1".to_owned(),
        digest: digest.map(str::to_owned),
        size_bytes,
        ..Installed::default()
    }
}

fn speed(prefill: f64) -> Speed {
    Speed {
        prefill_tokens_per_second: prefill,
        decode_tokens_per_second: 20.0,
    }
}

fn subject<'a>(backend: &'a str, address: &'a str, model: &'a Installed) -> Subject<'a> {
    Subject {
        backend,
        address,
        model,
    }
}

const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaa";
const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbb";

#[test]
fn a_speed_is_of_one_model_at_one_place_of_one_machine() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("cache/speeds.json");
    let at = |days: u64| UNIX_EPOCH + NOW + Duration::from_hours(24 * days);
    let measured = model(Some(A), Some(1000));
    let kept = Kept::new(Some(path.clone()), "this".to_owned());
    kept.refresh();
    kept.keep(
        &[(subject("ollama", "host:1", &measured), speed(50.0))],
        at(1),
    );

    let other = |digest, size_bytes| model(digest, size_bytes);
    for (machine, backend, address, model, day, found) in [
        ("this", "ollama", "host:1", measured.clone(), 1, true),
        ("this", "ollama", "host:1", other(None, None), 1, true),
        ("this", "ollama", "host:1", other(Some(A), None), 30, true),
        ("that", "ollama", "host:1", measured.clone(), 1, false),
        ("this", "team", "host:1", measured.clone(), 1, false),
        ("this", "ollama", "host:2", measured.clone(), 1, false),
        (
            "this",
            "ollama",
            "host:1",
            other(Some(B), Some(1000)),
            1,
            false,
        ),
        (
            "this",
            "ollama",
            "host:1",
            other(None, Some(1001)),
            1,
            false,
        ),
        // Long ago, and in the future.
        ("this", "ollama", "host:1", measured.clone(), 31, false),
        ("this", "ollama", "host:1", measured.clone(), 0, false),
    ] {
        // Another process.
        let kept = Kept::new(Some(path.clone()), machine.to_owned());
        kept.refresh();
        let got = kept.speed(subject(backend, address, &model), at(day));
        let case = format!("{machine} {backend} {address} {model:?} {day}");
        assert_eq!(got, found.then(|| speed(50.0)), "{case}");
    }
}

#[test]
fn machines_share_a_file_and_the_newest_counts() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("speeds.json");
    let (m, now) = (model(Some(A), None), UNIX_EPOCH + NOW);
    let of = |machine: &str| Kept::new(Some(path.clone()), machine.to_owned());
    let (this, that) = (of("this"), of("that"));
    this.keep(&[(subject("ollama", "", &m), speed(50.0))], now);
    that.keep(&[(subject("ollama", "", &m), speed(70.0))], now);
    this.keep(&[(subject("embedded", "", &m), speed(60.0))], now);
    this.keep(&[(subject("ollama", "", &m), speed(55.5))], now);
    for (kept, backend, expect) in [
        (&this, "ollama", Some(speed(55.5))),
        (&this, "embedded", Some(speed(60.0))),
        (&that, "ollama", Some(speed(70.0))),
        (&that, "embedded", None),
    ] {
        kept.refresh();
        assert_eq!(kept.speed(subject(backend, "", &m), now), expect);
    }
    // What has grown old goes with the next measurement.
    let later = now + COUNTS_FOR;
    that.keep(&[(subject("team", "", &m), speed(1.0))], later);
    let text = fs::read_to_string(&path).expect("a file");
    assert_eq!(text.matches("measured_unix_s").count(), 1, "{text}");
    let left = fs::read_dir(home.path()).expect("a folder").count();
    assert_eq!(left, 1, "nothing is left beside it");
}

#[test]
fn a_damaged_or_foreign_file_counts_as_none() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("speeds.json");
    let (m, now) = (model(None, None), UNIX_EPOCH + NOW);
    let whole = {
        let kept = Kept::new(Some(path.clone()), "this".to_owned());
        kept.keep(&[(subject("ollama", "", &m), speed(50.0))], now);
        fs::read_to_string(&path).expect("a file")
    };
    for (text, counts) in [
        (whole.clone(), true),
        (String::new(), false),
        (whole.chars().take(whole.len() / 2).collect(), false),
        ("[1, 2]".to_owned(), false),
        (whole.replace("\"version\": 1", "\"version\": 2"), false),
        (whole.replace("50.0", "-50.0"), false),
        (whole.replace("50.0", "0.0"), false),
        (" ".repeat(2 << 20), false),
    ] {
        fs::write(&path, &text).expect("written");
        let kept = Kept::new(Some(path.clone()), "this".to_owned());
        kept.refresh();
        let got = kept.speed(subject("ollama", "", &m), now);
        assert_eq!(got.is_some(), counts, "{text:.80}");
        // The next measurement replaces it.
        kept.keep(&[(subject("ollama", "", &m), speed(60.0))], now);
        let kept = Kept::new(Some(path.clone()), "this".to_owned());
        kept.refresh();
        let got = kept.speed(subject("ollama", "", &m), now);
        assert_eq!(got, Some(speed(60.0)));
    }
}

#[test]
fn without_a_place_it_is_known_until_the_end() {
    let (m, now) = (model(None, None), UNIX_EPOCH + NOW);
    let kept = Kept::new(None, "this".to_owned());
    kept.keep(&[(subject("ollama", "", &m), speed(50.0))], now);
    kept.refresh();
    kept.keep(&[(subject("team", "", &m), speed(60.0))], now);
    for (backend, expect) in [("ollama", 50.0), ("team", 60.0)] {
        let got = kept.speed(subject(backend, "", &m), now);
        assert_eq!(got, Some(speed(expect)));
    }
}

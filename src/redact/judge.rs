//! What tells a secret from a text that stands for one. Called by the rows of `rules`.

/// Words in texts that stand for a secret: examples, schemas, labels.
const STAND_INS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "example",
    "changeme",
    "change_me",
    "change-me",
    "placeholder",
    "dummy",
    "sample",
    "redacted",
    "string",
    "required",
    "optional",
    "invalid",
    "missing",
    "insert",
    "replace",
    "username",
    "apikey",
    "api_key",
    "api-key",
    "your",
    "hidden",
    "undefined",
    "default",
    "foobar",
];

/// Whether a value stands for a secret instead of being one: a variable, an example, a word of a schema.
pub(super) fn is_stand_in(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let is_template = value.starts_with(['$', '%', '{', '<', '@'])
        || [
            "${",
            "$(",
            "{{",
            "{}",
            "#{",
            "%s",
            "://",
            "process.env",
            "os.environ",
        ]
        .iter()
        .any(|sign| lower.contains(sign))
        || (value.starts_with('{') && value.ends_with('}'));
    let mut kinds: Vec<char> = lower.chars().collect();
    kinds.sort_unstable();
    kinds.dedup();
    // `xxxxxxxx`, `********`, `...`.
    let is_filler = kinds.len() <= 2;
    let is_word = !has_digit(value) && STAND_INS.iter().any(|word| lower.contains(word));
    let says_so = ["your-", "your_", "example", "placeholder", "changeme"]
        .iter()
        .any(|word| lower.starts_with(word));
    is_template || is_filler || is_word || says_so
}

/// Whether a name is that of a password, whose value may be any word.
pub(super) fn is_password(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["password", "passwd", "passphrase", "pwd", "pass"]
        .iter()
        .any(|end| lower.ends_with(end))
}

/// Whether the name of a variable says that it holds a secret.
pub(super) fn names_a_secret(name: &str) -> bool {
    let ends = [
        "KEY",
        "TOKEN",
        "SECRET",
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "PWD",
        "PASS",
        "CREDENTIALS",
        "CREDENTIAL",
        "AUTH",
        "SALT",
        "PAT",
        "SIGNATURE",
        "COOKIE",
    ];
    !is_public(name)
        && ends.iter().any(|end| {
            let before = name.strip_suffix(end);
            before.is_some_and(|before| before.is_empty() || before.ends_with('_') || end.len() > 5)
        })
}

pub(super) fn is_public(name: &str) -> bool {
    [
        "PUBLIC", "HASH", "SHA", "CHECKSUM", "DIGEST", "COMMIT", "REV", "PATH", "DIR", "FILE",
        "URL",
    ]
    .iter()
    .any(|word| name.split('_').any(|part| part.starts_with(word)))
        || name.to_ascii_lowercase().contains("public")
}

pub(super) fn has_digit(value: &str) -> bool {
    value.contains(|c: char| c.is_ascii_digit())
}

/// Whether a value is more like chance than like a word: letters and digits, and many different ones.
pub(super) fn looks_random(value: &str) -> bool {
    let letters = value.contains(|c: char| c.is_ascii_alphabetic());
    letters && has_digit(value) && value.len() >= 12 && entropy_bits(value) >= 3.0
}

/// Whether a value without a telling name is a key: all of one alphabet, upper and lower case and digits.
pub(super) fn is_key_like(value: &str) -> bool {
    let alphabet = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-');
    value.chars().all(alphabet)
        && value.contains(|c: char| c.is_ascii_uppercase())
        && value.contains(|c: char| c.is_ascii_lowercase())
        && value.chars().filter(char::is_ascii_digit).count() >= 3
        && entropy_bits(value) >= 4.0
}

/// Shannon's entropy of the bytes, in bits each.
fn entropy_bits(value: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in value.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let all = f64::from(u32::try_from(value.len()).unwrap_or(u32::MAX));
    let bits = |&count: &u32| {
        let share = f64::from(count) / all;
        -share * share.log2()
    };
    counts.iter().filter(|&&count| count > 0).map(bits).sum()
}

/// The length of what follows a private key's head and is its body, up to the last of its lines; `None`
/// where the head is only named. Read once, up to the next dashes.
pub(super) fn is_key_body(text: &str) -> Option<usize> {
    /// Shortest line of a body; the last may be shorter.
    const LINE: usize = 24;
    let end = memchr::memmem::find(text.as_bytes(), b"-----");
    let within = text.get(..end.unwrap_or(text.len()))?;
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let mut last = None;
    let mut at = 0;
    for piece in within.split_inclusive(|c: char| !is_base64(c)) {
        let run = piece.trim_end_matches(|c: char| !is_base64(c));
        // `\n` in a string: its `n` is no part of the body, and does not matter.
        if run.len() >= LINE {
            last = Some(at + run.len());
        }
        at += piece.len();
    }
    // Finished, all of it goes: the last line may be short.
    last.map(|last| {
        if end.is_some() {
            within.trim_end().len()
        } else {
            last
        }
    })
}

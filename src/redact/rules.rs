//! The shapes of secrets: one row each, with what tells them from what only looks like one.
//!
//! Sources: the issuers' own documentation of their tokens' prefixes, and the lengths that GitHub's and
//! GitLab's secret scanners publish. A row's expression names what is taken out `secret`, and where a name
//! gives it away, `name`.

use std::sync::LazyLock;

use regex::Regex;

/// One shape.
pub(super) struct Rule {
    /// With a group `secret`.
    pub(super) pattern: Regex,
    /// Whether a match is one: the name it is given, and the value.
    pub(super) is_secret: fn(&str, &str) -> bool,
}

/// An expression and its judge.
type Row = (&'static str, fn(&str, &str) -> bool);

/// Tokens that their beginning gives away. What stands before is no part of a word.
const TOKENS: Row = (
    r"(?x)(?:^|[^A-Za-z0-9_/+-])(?<secret>
      (?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}           # Amazon
    | AIza[A-Za-z0-9_-]{35}                         # Google
    | ya29\.[A-Za-z0-9_-]{20,} | GOCSPX-[A-Za-z0-9_-]{20,}
    | gh[pousr]_[A-Za-z0-9]{30,255} | github_pat_[A-Za-z0-9_]{30,255}
    | gl(?:pat|dt|ptt|rt|ft|soat|imt|agent|cbt|sa)[-_][A-Za-z0-9_-]{20,}
    | xox[abeoprs]-[A-Za-z0-9-]{10,} | xapp-[0-9]-[A-Za-z0-9-]{20,}
    | (?:sk|rk)_(?:live|test|prod)_[A-Za-z0-9]{16,} | whsec_[A-Za-z0-9+/]{24,}
    | sk-[A-Za-z0-9_-]{20,}                         # OpenAI, Anthropic
    | gsk_[A-Za-z0-9]{40,} | xai-[A-Za-z0-9]{40,} | pplx-[A-Za-z0-9]{40,} | r8_[A-Za-z0-9]{37}
    | hf_[A-Za-z0-9]{30,}                           # Hugging Face
    | npm_[A-Za-z0-9]{36} | pypi-[A-Za-z0-9_-]{40,} | dckr_pat_[A-Za-z0-9_-]{20,}
    | SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}    # SendGrid
    | do[oprt]_v1_[a-f0-9]{64} | shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}
    | lin_api_[A-Za-z0-9]{32,} | dapi[a-f0-9]{32} | sbp_[a-f0-9]{40} | hvs\.[A-Za-z0-9_-]{24,}
    | [0-9]{8,10}:AA[A-Za-z0-9_-]{33}               # Telegram
    | AGE-SECRET-KEY-1[A-Z0-9]{58}
    | eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}   # JSON web token
    )",
    // Classes of style sheets begin with `sk-` too.
    |_, secret| !secret.starts_with("sk-") || has_digit(secret),
);

/// Where the address itself is the secret.
const WEBHOOKS: Row = (
    r"(?x)hooks\.slack\.com/(?:services|workflows|triggers)/(?<secret>[A-Za-z0-9+/]{20,})",
    |_, secret| looks_random(secret),
);
const DISCORD: Row = (
    r"(?x)discord(?:app)?\.com/api/webhooks/(?<secret>[0-9]{10,}/[A-Za-z0-9_-]{40,})",
    |_, _| true,
);

/// `scheme://user:password@host`.
const URLS: Row = (
    r#"(?x)[a-z][a-z0-9+.-]{1,20}://[^\s/:@"'`<>]{0,200}:(?<secret>[^\s/@"'`<>]{1,300})@"#,
    |_, secret| !is_stand_in(secret),
);

const AUTHORIZATION: Row = (
    r"(?xi)(?-u:\b)(?:bearer|basic)\s{1,4}(?<secret>[A-Za-z0-9+/_.~=-]{16,})",
    |_, secret| looks_random(secret),
);

/// `AccountKey=…;` in connection strings of Azure, `Password=…;` in those of ADO.
const CONNECTIONS: Row = (
    r#"(?xi)(?:^|[;"'])\s{0,4}(?<name>AccountKey|SharedAccessKey|Password|Pwd)=(?<secret>[^;\s"']{4,})[;"'\n]"#,
    |_, secret| !is_stand_in(secret),
);

/// A quoted text that is given to a name such as `db_password` or `apiKey`, or stands beside it in JSON.
const QUOTED: Row = (
    r#"(?xi)(?<name>[a-z0-9_.-]{0,60}(?:password|passwd|passphrase|pwd|secret|token|credentials?
      |(?:api|access|secret|private|auth|account|encryption|signing|master)[_-]?key))
      (?:["'\]]{1,2})?\s{0,8}(?::[=]?|=>?|:\s{0,4}&?'?[a-z]{1,12}\s{0,4}=)\s{0,8}
      [bru]{0,2}["'`](?<secret>[^"'`\s]{6,400})["'`]"#,
    |name, secret| {
        !is_stand_in(secret) && !is_public(name) && (is_password(name) || looks_random(secret))
    },
);

/// A line of a `.env` file or a shell: `NAME=value`, nothing around it.
const ENVIRONMENT: Row = (
    r#"(?xm)^[\t\x20]{0,20}(?:export\s|set\s|ENV\s|-\s)?[\t\x20]{0,4}["']?
      (?<name>[A-Z][A-Z0-9_]{0,80})=["']?(?<secret>[^\s"'(){}\[\],;<>]{4,2000})["']?[\t\x20]{0,8}
      (?:\#[^\n]*)?\r?$"#,
    |name, secret| {
        !is_stand_in(secret)
            && if names_a_secret(name) {
                is_password(name) || has_digit(secret) || secret.len() >= 12
            } else {
                secret.len() >= 20 && is_key_like(secret) && !is_public(name)
            }
    },
);

/// `password: value` in YAML, properties and INI files.
const PLAIN: Row = (
    r#"(?xmi)^[\t\x20]{0,60}(?:-\s)?["']?(?<name>[a-z0-9_.-]{0,60}(?:password|passwd|passphrase|secret
      |token|(?:api|access|secret|private|auth|account|encryption)[_-]?key))["']?
      [\t\x20]{0,8}[:=][\t\x20]{0,8}(?<secret>[^\s"'(){}\[\],;<>`&*!|]{6,400})[\t\x20]{0,8}(?:\#[^\n]*)?\r?$"#,
    |name, secret| {
        let enough = if is_password(name) { 6 } else { 12 };
        secret.len() >= enough
            && has_digit(secret)
            && secret.contains(|c: char| c.is_ascii_alphabetic())
            && !is_stand_in(secret)
            && !is_public(name)
            && (is_password(name) || looks_random(secret))
    },
);

/// Every row, compiled once.
pub(super) fn rules() -> &'static [Rule] {
    static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
        let rows = [
            TOKENS,
            WEBHOOKS,
            DISCORD,
            URLS,
            AUTHORIZATION,
            CONNECTIONS,
            QUOTED,
            ENVIRONMENT,
            PLAIN,
        ];
        let compiled = |(pattern, is_secret): Row| {
            let pattern = Regex::new(pattern).ok()?;
            Some(Rule { pattern, is_secret })
        };
        rows.into_iter().filter_map(compiled).collect()
    });
    &RULES
}

/// How many rows there are; the tests compare it with what compiled.
#[cfg(test)]
pub(super) const ROWS: usize = 9;

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
fn is_stand_in(value: &str) -> bool {
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
fn is_password(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["password", "passwd", "passphrase", "pwd", "pass"]
        .iter()
        .any(|end| lower.ends_with(end))
}

/// Whether the name of a variable says that it holds a secret.
fn names_a_secret(name: &str) -> bool {
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

fn is_public(name: &str) -> bool {
    [
        "PUBLIC", "HASH", "SHA", "CHECKSUM", "DIGEST", "COMMIT", "REV", "PATH", "DIR", "FILE",
        "URL",
    ]
    .iter()
    .any(|word| name.split('_').any(|part| part.starts_with(word)))
        || name.to_ascii_lowercase().contains("public")
}

fn has_digit(value: &str) -> bool {
    value.contains(|c: char| c.is_ascii_digit())
}

/// Whether a value is more like chance than like a word: letters and digits, and many different ones.
fn looks_random(value: &str) -> bool {
    let letters = value.contains(|c: char| c.is_ascii_alphabetic());
    letters && has_digit(value) && value.len() >= 12 && entropy_bits(value) >= 3.0
}

/// Whether a value without a telling name is a key: all of one alphabet, upper and lower case and digits.
fn is_key_like(value: &str) -> bool {
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

//! The shapes of secrets: one row each, with what tells them from what only looks like one.
//!
//! Sources: the issuers' own documentation of their tokens' prefixes, and the lengths that GitHub's and
//! GitLab's secret scanners publish. A row's expression names what is taken out `secret`, and where a name
//! gives it away, `name`. A value has no greatest length: a counted repetition of a large class is what makes
//! an expression slow to compile and to run, and a long key is a key.

use std::sync::LazyLock;

use regex::Regex;

use super::judge::{
    has_digit, is_key_like, is_password, is_public, is_stand_in, looks_random, names_a_secret,
};

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
    | gl(?:pat|dt|ptt|rt|ft|soat|imt|agent|cbt|sa|c)[-_][A-Za-z0-9_-]{20,}   # GitLab, Grafana
    | xox[abeoprs]-[A-Za-z0-9-]{10,} | xapp-[0-9]-[A-Za-z0-9-]{20,}
    | (?:sk|rk)_(?:live|test|prod)_[A-Za-z0-9]{16,} | whsec_[A-Za-z0-9+/]{24,}
    | sk-[A-Za-z0-9_-]{20,}                         # OpenAI, Anthropic
    | gsk_[A-Za-z0-9]{40,} | xai-[A-Za-z0-9]{40,} | pplx-[A-Za-z0-9]{40,} | r8_[A-Za-z0-9]{37}
    | hf_[A-Za-z0-9]{30,}                           # Hugging Face
    | npm_[A-Za-z0-9]{36} | pypi-[A-Za-z0-9_-]{40,} | dckr_[op]at_[A-Za-z0-9_-]{20,}
    | rubygems_[a-f0-9]{48} | cio[A-Za-z0-9]{32} | oy2[a-z0-9]{43}           # RubyGems, crates.io, NuGet
    | key-[a-f0-9]{32} | [a-f0-9]{32}-us[0-9]{1,2}                           # Mailgun, Mailchimp
    | SK[a-f0-9]{32} | sq0[a-z]{3}-[A-Za-z0-9_-]{22,} | HRKU-[A-Za-z0-9_-]{30,}   # Twilio, Square, Heroku
    | NRAK-[A-Z0-9]{27} | sntry[su]_[A-Za-z0-9_+/=.-]{40,}                   # New Relic, Sentry
    | PMAK-[a-f0-9]{24}-[a-f0-9]{34} | fig[do]_[A-Za-z0-9_-]{40,}            # Postman, Figma
    | ntn_[A-Za-z0-9]{40,} | secret_[A-Za-z0-9]{43} | pat[A-Za-z0-9]{14}\.[a-f0-9]{64}   # Notion, Airtable
    | pcsk_[A-Za-z0-9_]{40,} | lsv2_[a-z]{2}_[a-f0-9]{32}_[a-f0-9]{10}       # Pinecone, LangSmith
    | [A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,}                          # Terraform
    | [MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40}      # Discord
    | [A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}                        # Azure
    | SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}    # SendGrid
    | do[oprt]_v1_[a-f0-9]{64} | shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}
    | lin_api_[A-Za-z0-9]{32,} | dapi[a-f0-9]{32} | sbp_[a-f0-9]{40} | hv[sbr]\.[A-Za-z0-9_-]{24,}
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
    r#"(?x)[a-z][a-z0-9+.-]{1,20}://[^\s/:@"'`<>]*:(?<secret>[^\s/@"'`<>]+)@"#,
    |_, secret| !is_stand_in(secret),
);

const AUTHORIZATION: Row = (
    r"(?xi)(?-u:\b)(?:bearer|basic)\s{1,4}(?<secret>[A-Za-z0-9+/_.~=-]{16,})",
    |_, secret| looks_random(secret),
);

/// The header, also as a pair of strings. Short values count here.
const HEADER: Row = (
    r#"(?xi)authorization["']?\s{0,4}[:=,]\s{0,4}["']?(?:basic|bearer|token|apikey)\s{1,4}
      (?<secret>[A-Za-z0-9+/_.~=-]{8,})"#,
    |_, secret| secret.ends_with('=') || (has_digit(secret) && !is_stand_in(secret)),
);

/// `?token=…&sig=…` in addresses.
const QUERIES: Row = (
    r#"(?xi)[?&](?<name>password|passwd|pwd|(?:access_|refresh_|auth_)?token|api_?key|key|sig|signature
      |client_secret|secret|x-amz-signature)=(?<secret>[^\s&"'`\#<>)]{6,})"#,
    |name, secret| !is_stand_in(secret) && (is_password(name) || looks_random(secret)),
);

/// `host=… user=… password=…`, as libpq and its like read it; `login … password …` of a netrc.
const WORDS: Row = (
    r#"(?xi)(?:(?:host|user|dbname|port)=[^\s,;"']+\s{1,4}(?:[a-z_]{1,30}=[^\s,;"']+\s{1,4}){0,8}
      password=|login\s{1,8}[^\s]+\s{1,8}password\s{1,8})(?<secret>[^\s"',;)]{4,})"#,
    |_, secret| !is_stand_in(secret),
);

/// `--password hunter2`, `curl -u user:hunter2`.
const ARGUMENTS: Row = (
    r#"(?x)(?:--(?:[a-z]{1,20}-)?(?:password|passwd|passphrase|token|secret|api-key)[=\x20]["']?
      |curl[^\n]*?\s(?:-u|--user)[=\x20]?["']?[^\s:"']+:)(?<secret>[^\s"'`,;)\]]{6,})"#,
    |_, secret| has_digit(secret) && !is_stand_in(secret),
);

/// `define('DB_PASSWORD', '…')` and other calls that are given a name and a value.
const CALLS: Row = (
    r#"(?xi)(?:define|setenv|putenv|env|set|header|setHeader|set_header|append|setItem)\(\s{0,4}["']
      (?<name>[a-z0-9_.-]{0,60}(?:password|passwd|passphrase|secret|token|key))["']\s{0,4},\s{0,4}
      ["'](?<secret>[^"'\s]{6,})["']"#,
    |name, secret| {
        !is_stand_in(secret)
            && !is_public(name)
            && has_digit(secret)
            && (is_password(name) || looks_random(secret))
    },
);

/// `<password>…</password>`; `<add key="ApiKey" value="…"/>`; `name: DB_PASSWORD` above `value: …` as
/// Kubernetes and its like write it.
const ELEMENTS: Row = (
    r"(?xi)<(?<name>[a-z0-9_:.-]{0,60}(?:password|passwd|passphrase|secret|token|api-?key|access-?key))>
      (?<secret>[^<>\s]{6,})</",
    |name, secret| !is_stand_in(secret) && (is_password(name) || looks_random(secret)),
);
const PAIRS: Row = (
    r#"(?xi)["']?(?:name|key)["']?\s{0,2}[:=]\s{0,4}["']?
      (?<name>[a-z0-9_.:-]{0,60}(?:password|passwd|passphrase|secret|token|key))["']?,?\s{1,40}
      ["']?value["']?\s{0,2}[:=]\s{0,4}["']?(?<secret>[^\s"'(){}\[\],<>]{5,})"#,
    |name, secret| {
        !is_stand_in(secret)
            && !is_public(name)
            && has_digit(secret)
            && (is_password(name) || looks_random(secret))
    },
);

/// What a key of `PuTTY` keeps to itself.
const PUTTY: Row = (
    r"Private-Lines:\s{0,4}\d{1,4}\r?\n(?<secret>(?:[A-Za-z0-9+/=]{2,76}\r?\n)+)",
    |_, _| true,
);

/// `AccountKey=…;` in connection strings of Azure, `Password=…;` in those of ADO.
const CONNECTIONS: Row = (
    r#"(?xi)(?:^|[;"'])\s{0,4}(?<name>AccountKey|SharedAccessKey|Password|Pwd)=(?<secret>[^;\s"']{4,})(?:[;"'\n]|$)"#,
    // A call is code.
    |_, secret| !is_stand_in(secret) && !secret.ends_with(')'),
);

/// A quoted text that is given to a name such as `db_password` or `apiKey`, or stands beside it in JSON.
const QUOTED: Row = (
    r#"(?xi)(?<name>[a-z0-9_.-]{0,60}(?:password|passwd|passphrase|pwd|secret|token|credentials?
      |(?:api|access|secret|private|auth|account|encryption|signing|master)[_-]?key))
      (?:\\?["'\]]){0,2}\s{0,8}(?::[=]?|=>?|:?\s{0,4}&?(?:'[a-z]{1,12}\s)?[a-z]{1,12}\s{0,4}=)\s{0,8}
      [bru]{0,2}\\?["'`](?<secret>[^"'`\s]{5,}[^"'`\s\\])\\?["'`]"#,
    |name, secret| {
        !is_stand_in(secret) && !is_public(name) && (is_password(name) || looks_random(secret))
    },
);

/// A line of a `.env` file or a shell: `NAME=value`, nothing around it.
const ENVIRONMENT: Row = (
    r#"(?xm)^[\t\x20]{0,20}(?:export\s|set\s|ENV\s|-\s)?[\t\x20]{0,4}["']?
      (?<name>[A-Z][A-Z0-9_]{0,80})=["']?(?<secret>[^\s"'(){}\[\],;<>]{4,})["']?[\t\x20]{0,8}
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

/// The same in quotes, which may hold anything; and a password without quotes, which does.
const ENVIRONMENT_QUOTED: Row = (
    r#"(?xm)^[\t\x20]{0,20}(?:export\s|set\s|ENV\s|-\s)?(?<name>[A-Z][A-Z0-9_]{0,80})=["']
      (?<secret>[^"'\n]{4,})["'][\t\x20]{0,8}(?:\#[^\n]*)?\r?$"#,
    |name, secret| {
        !is_stand_in(secret)
            && names_a_secret(name)
            && (is_password(name) || has_digit(secret) || secret.len() >= 12)
            && (has_digit(secret) || !secret.contains(' '))
    },
);
const ENVIRONMENT_PASSWORD: Row = (
    r"(?xm)^[\t\x20]{0,20}(?:export\s)?(?<name>[A-Z0-9_]{0,80}(?:PASSWORD|PASSWD|PASSPHRASE|PWD))=
      (?<secret>[^\s]{4,})[\t\x20]{0,8}\r?$",
    // A call is code.
    |_, secret| {
        !is_stand_in(secret)
            && !secret.starts_with(['(', '[', '"', '\''])
            && !secret.ends_with([')', ','])
    },
);

/// `password: value` in YAML, properties and INI files.
const PLAIN: Row = (
    r#"(?xmi)^[\t\x20]{0,60}(?:-\s)?["']?(?<name>[a-z0-9_.-]{0,60}(?:password|passwd|passphrase|secret
      |token|(?:api|access|secret|private|auth|account|encryption)[_-]?key))["']?
      [\t\x20]{0,8}[:=][\t\x20]{0,8}(?<secret>[^\s"'(){}\[\],;<>`&*!|][^\s"'(){}\[\],;<>`]{5,})[\t\x20]{0,8}(?:\#[^\n]*)?\r?$"#,
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
            HEADER,
            QUERIES,
            WORDS,
            ARGUMENTS,
            CALLS,
            ELEMENTS,
            PAIRS,
            PUTTY,
            CONNECTIONS,
            QUOTED,
            ENVIRONMENT,
            ENVIRONMENT_QUOTED,
            ENVIRONMENT_PASSWORD,
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
pub(super) const ROWS: usize = 19;

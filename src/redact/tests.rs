//! One table: texts with secrets, and texts that only look like them.

use std::borrow::Cow;

use proptest::prelude::*;

use super::rules::{ROWS, rules};
use super::*;

/// A token's characters, made here so that no scanner takes this file for a leak.
const CHARS: &str = "a1B2c3D4e5F6g7H8i9J0kLmNoPqRsTuVwXyZ";

fn long(start: &str, length: usize) -> String {
    start
        .chars()
        .chain(CHARS.chars().cycle().take(length))
        .collect()
}

fn hex(start: &str, length: usize) -> String {
    start
        .chars()
        .chain(
            "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
                .chars()
                .cycle()
                .take(length),
        )
        .collect()
}

#[test]
fn every_row_compiles() {
    assert_eq!(rules().len(), ROWS);
}

/// The text with `{}` where the secret stands, which alone goes; and going over it again changes nothing.
fn check(rows: &[(&str, String)]) {
    let mut wrong = Vec::new();
    for (text, secret) in rows {
        let whole = text.replace("{}", secret);
        let got = redact(&whole);
        if got != text.replace("{}", REDACTED) {
            wrong.push(format!("{whole} became {got}"));
        }
        assert!(matches!(redact(&got), Cow::Borrowed(_)), "twice: {got}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn secrets_are_taken_out() {
    check(&[
        ("aws_id = '{}'", "AKIAIOSFODNN7EXAMPL3".to_owned()),
        ("token = \"{}\"", long("ghp_", 36)),
        (
            "git clone https://x:{}@github.com/a/b",
            long("github_pat_", 60),
        ),
        ("CI_TOKEN: {}", long("glpat-", 20)),
        ("Authorization: Bearer {}", long("sk-proj-", 40)),
        ("client = Client('{}')", long("sk-ant-api03-", 60)),
        ("const key = `{}`;", long("AIza", 35)),
        ("stripe.api_key = '{}'", long("sk_live_", 24)),
        ("slack('{}')", format!("xoxb-{}", hex("", 24))),
        (
            "https://hooks.slack.com/services/{}",
            long("T000/B000/", 24),
        ),
        ("login('{}')", long("hf_", 34)),
        ("//registry/:_authToken={}", long("npm_", 36)),
        ("__token__ {}", long("pypi-", 80)),
        (
            "curl -H 'Authorization: Basic {}'",
            "YWRtaW46aHVudGVyMjE=".to_owned(),
        ),
        (
            "let jwt = \"{}\";",
            format!("{}.{}.{}", long("eyJ", 20), long("eyJ", 30), long("", 20)),
        ),
        (
            "postgres://admin:{}@db.internal:5432/app",
            "hunter2".to_owned(),
        ),
        ("redis://:{}@localhost:6379/0", "p4ss!word".to_owned()),
        ("amqps://user:{}@mq", "correcthorse".to_owned()),
        ("DB_PASSWORD={}", "hunter2".to_owned()),
        ("export AWS_SECRET_ACCESS_KEY={}", long("", 40)),
        ("SESSION_SECRET=\"{}\"", hex("", 32)),
        ("SENTRY_AUTH={}", hex("", 20)),
        ("MAIL_PASS={} # the old one", "tr0ub4dor".to_owned()),
        ("SOMETHING={}", long("", 40)),
        // A private key as one line of base64.
        ("SIGNING_KEY={}", long("", 3_200)),
        ("signing_key: '{}'", long("", 3_200)),
        ("https://a/b?token={}&x=1", long("", 3_200)),
        ("password = \"{}\"", "hunter22".to_owned()),
        ("\"password\": \"{}\",", "s3cr3t-Pa55".to_owned()),
        ("db.password: {}", "hunter22".to_owned()),
        ("  api_key: {}", hex("", 32)),
        ("apiKey: '{}',", hex("", 32)),
        ("static API_KEY: &str = \"{}\";", hex("", 32)),
        ("config['client_secret'] = '{}'", long("", 24)),
        ("clientSecret := \"{}\"", long("", 24)),
        (
            "Server=db;User=sa;Password={};Encrypt=true",
            "hunter2".to_owned(),
        ),
        ("AccountName=a;AccountKey={};", long("", 86)),
        ("Server=db;User=sa;Password={}", "hunter2".to_owned()),
    ]);
}

#[test]
fn tokens_of_more_services_and_other_shapes_are_taken_out() {
    check(&[
        ("glc_token = {}", long("glc_", 40)),
        ("gem push --key {}", hex("rubygems_", 48)),
        ("cargo login {}", long("cio", 32)),
        ("mg = Mailgun('{}')", hex("key-", 32)),
        ("mailchimp({})", hex("", 32) + "-us12"),
        ("twilio({})", hex("SK", 32)),
        ("square {}", long("sq0atp-", 22)),
        (
            "newrelic: {}",
            format!("NRAK-{}", "A1B2C3D4E5F6G7H8I9J0K1L2M3N"),
        ),
        ("sentry {}", long("sntrys_", 60)),
        (
            "postman {}",
            format!("{}-{}", hex("PMAK-", 24), hex("", 34)),
        ),
        ("figma {}", long("figd_", 40)),
        ("notion {}", long("ntn_", 44)),
        (
            "airtable {}",
            format!("{}.{}", long("pat", 14), hex("", 64)),
        ),
        ("pinecone {}", long("pcsk_", 60)),
        (
            "terraform {}",
            format!("{}.atlasv1.{}", long("", 14), long("", 64)),
        ),
        (
            "discord.run('{}')",
            format!("{}.{}.{}", long("M", 23), long("", 6), long("", 30)),
        ),
        ("azure {}", format!("a1B8Q~{}", long("", 34))),
        ("vault {}", long("hvb.", 40)),
        ("Authorization: Basic {}", "dXNlcjpwdw==".to_owned()),
        ("\"Authorization\", \"Token {}\"", hex("", 16)),
        ("https://h/a?x=1&access_token={}&y=2", long("", 24)),
        ("jdbc:mysql://h/db?user=x&password={}", "hunter2".to_owned()),
        ("https://a.blob/b?sv=1&sig={}", long("", 43) + "%3D"),
        ("host=h user=u password={} dbname=x", "hunter2".to_owned()),
        ("machine h login me password {}", "hunter2".to_owned()),
        ("mysql --password={} -u root", "hunter2".to_owned()),
        ("curl -sS -u admin:{} https://h", "hunter2".to_owned()),
        ("define('DB_PASSWORD', '{}');", "hunter2".to_owned()),
        ("headers.set(\"X-Api-Key\", \"{}\")", hex("", 32)),
        ("<password>{}</password>", "hunter2".to_owned()),
        ("<add key=\"ApiKey\" value=\"{}\"/>", hex("", 32)),
        ("- name: DB_PASSWORD\n  value: {}\n", "hunter2".to_owned()),
        ("{\"name\": \"API_KEY\", \"value\": \"{}\"}", hex("", 32)),
        ("DB_PASSWORD=\"{}\"", "a(b) c1;".to_owned()),
        ("DB_PASSWORD='{}'", "it{works}1".to_owned()),
        ("DB_PASSWORD={}", "a(b];c".to_owned()),
        ("password: {}", "hunter2!".to_owned()),
        ("  password = {}", "p@ss&w0rd|x".to_owned()),
        ("{\\\"password\\\": \\\"{}\\\"}", "hunter22".to_owned()),
        ("const API_KEY: &'static str = \"{}\";", hex("", 32)),
        ("const apiKey string = \"{}\"", hex("", 32)),
        ("private static final String API_KEY = \"{}\";", hex("", 32)),
        ("aws_secret_access_key = {}", long("", 40)),
        ("bot {}", format!("123456789:{}", long("AA", 33))),
    ]);
}

#[test]
fn what_only_looks_like_a_secret_stays() {
    let mut wrong = Vec::new();
    for text in [
        // Hashes of lock files, UUIDs, commits.
        "checksum = \"9b1e6f4ae2a4d4d0b5f5c4b8e8d5f7d3c9a0b1c2d3e4f5a6b7c8d9e0f1a2b3c4\"",
        "\"integrity\": \"sha512-v2kDEe57lecTulaDIuNTPy3Ry4gLGJ6Z1O3vE1krgXZNrsQ+LFTGHVxVjcXPs17LhbZVGedAJv8XZ1tvj5FvSg==\",",
        "github.com/pkg/errors v0.9.1 h1:FEBLx1zS214owpjy7qsBeixbURkuhQAwrK5UwLGTwt4=",
        "resolved \"https://registry.yarnpkg.com/a/-/a-1.0.0.tgz#e5d3dd9d6c0a2a1d6a4c9e5c8d5f7d3c9a0b1c2d\"",
        "id = \"3f2504e0-4f89-11d3-9a0c-0305e82c3301\"",
        "image: nginx@sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
        "commit 494e3ec0f1e2d3c4b5a69788796a5b4c3d2e1f00",
        "sha256: 0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
        // Names, types, labels, examples.
        "fn token(api_key: &str, password: String) -> Token {",
        "password: string",
        "password: str = Field(min_length=8)",
        "let token = next_token(&mut lexer);",
        "token = \"identifier\"",
        "pad_token = \"<|endoftext|>\"",
        "\"password\": \"string\"",
        "<input type=\"password\" name=\"password\">",
        "password: 'Your password'",
        "password = \"changeme\"",
        "api_key = \"your-api-key-123\"",
        "API_KEY=<your key>",
        "API_KEY=${API_KEY}",
        "API_KEY=$(cat key)",
        "PASSWORD=",
        "api_key = os.environ[\"OPENAI_API_KEY\"]",
        "const apiKey = process.env.API_KEY;",
        "secret = Secret::new(\"${DB_PASSWORD}\")",
        "password = \"********\"",
        "TOKEN=xxxxxxxxxxxx",
        "MAX_TOKENS=4096",
        "max_tokens: 64",
        "NODE_ENV=production",
        "PORT=11434",
        "PRIMARY_KEY=id",
        "RUST_LOG=ghostline::inline=debug,info",
        "PYTHONPATH=/usr/lib/python3/dist-packages:/opt/app/Lib64/site3",
        "url = \"https://example.com:8080/a@b\"",
        "ssh://git@github.com:22/a.git",
        "mongodb://user:${PASSWORD}@host",
        "postgres://user:password@localhost/db",
        "http://{user}:{password}@{host}",
        "let sk-8 = risk-free",
        "class=\"sk-fading-circle-spinner-large\"",
        "task-a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2",
        "fn ghp_token(hf_model: &str)",
        "Basic authentication is a simple method",
        "bearer of interesting-but-long-news",
        "if text.contains(\"-----BEGIN PRIVATE KEY-----\") { return true; }",
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEabcdefghijklmnop\n-----END PUBLIC KEY-----",
        "publicKeyToken=b77a5c561934e089",
        "tokenizer: qwen2.5-coder-1.5b",
        "cancellation_token: CancellationToken",
        "token_type = \"refresh\"",
        // Arguments, queries and pairs without a secret in them.
        "docker run --token TOKEN -u 1000:1000 image",
        "curl -u user:password https://h",
        "git push --password-stdin",
        "https://h/a?token={token}&key=name&page=2",
        "https://h/search?key=interesting",
        "Authorization: Bearer credentials",
        "host=localhost user=me password=secret",
        "define('DB_HOST', 'localhost')",
        "map.set(\"token\", \"identifier1\")",
        "<token>identifier</token>",
        "- name: PRIMARY_KEY\n  value: id\n",
        "PASSWORD=getpass()",
        "PASSWORD_FILE=/run/secrets/db1",
        "GREETING=\"hello (world) 1\"",
        "let key-value-pairs-of-us-12 = 1",
        "password: &str",
        "if token == a1 || token == b2",
        "",
    ] {
        if !matches!(redact(text), Cow::Borrowed(_)) {
            wrong.push(format!("{text} became {}", redact(text)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn private_keys_lose_their_body_and_keep_their_lines() {
    let line = long("", 64);
    let key = |end: &str| {
        format!("a\n-----BEGIN RSA PRIVATE KEY-----\n{line}\n{line}\nabc=\n{end}fn main() {{}}\n")
    };
    let whole = key("-----END RSA PRIVATE KEY-----\n");
    let got = redact(&whole);
    assert!(!got.contains(&line) && !got.contains("abc="), "{got}");
    assert!(
        got.contains("-----END RSA PRIVATE KEY-----\nfn main"),
        "{got}"
    );
    assert_eq!(got.lines().count(), whole.lines().count());
    // Cut off by a window: what follows is not lost.
    let got = redact(&key("")).into_owned();
    assert!(!got.contains(&line) && got.contains("fn main"), "{got}");
    let putty = format!("Private-Lines: 2\n{line}\nabc=\nPrivate-MAC: 0a");
    let got = redact(&putty);
    assert!(
        !got.contains(&line) && got.ends_with("\nPrivate-MAC: 0a"),
        "{got}"
    );
    // In a string, and in PGP's form.
    let one_line =
        format!("k = '-----BEGIN PRIVATE KEY-----\\n{line}\\n-----END PRIVATE KEY-----'");
    assert!(!redact(&one_line).contains(&line));
    let pgp = format!("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{line}\n=abcd\n-----END PGP");
    assert!(!redact(&pgp).contains(&line));
}

#[test]
fn one_text_may_hold_many() {
    let token = long("ghp_", 36);
    let text = format!("A_TOKEN={token}\nB=1\nurl=redis://:{token}@h\n");
    let expected = format!("A_TOKEN={REDACTED}\nB=1\nurl=redis://:{REDACTED}@h\n");
    assert_eq!(redact(&text), expected);
}

#[test]
fn what_a_secret_hid_goes_too() {
    let key = "0Aaa0aAa00AaaAA0AAa0AAa0";
    let text = format!("PRIVATE KEY-----\"password=:-----@\"{key}");
    assert!(!redact(&text).contains(key));
}

/// Code is full of names such as `token` and of long words; none of this program's own is a secret.
#[test]
fn the_own_source_is_shown_as_it_is() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut taken = Vec::new();
    for file in ignore::WalkBuilder::new(root.join("src")).build().flatten() {
        let Ok(text) = std::fs::read_to_string(file.path()) else {
            continue;
        };
        let shown = redact(&text);
        let lines = text.lines().zip(shown.lines()).filter(|(a, b)| a != b);
        taken.extend(lines.map(|(line, _)| format!("{}: {line}", file.path().display())));
    }
    // Made for tests, to look like what they are.
    taken.retain(|line| !["/redact", "tests"].iter().any(|word| line.contains(word)));
    assert!(taken.is_empty(), "{}", taken.join("\n"));
}

proptest! {
    #[test]
    fn any_text_keeps_its_lines_and_is_redacted_once(
        text in "([a-z\u{e9}\n ]|password=|://|:|@|\"|'|-----|PRIVATE KEY|TOKEN=|ghp_|[A-Za-z0-9]{8,40}){0,60}"
    ) {
        let once = redact(&text).into_owned();
        prop_assert_eq!(once.matches('\n').count(), text.matches('\n').count());
        prop_assert_eq!(&redact(&once), &once);
    }
}

//! Printed settings read back to the same settings, and no text makes the resolver panic.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::Given;
use crate::config::keys::{Item, Shape, keys};
use crate::config::{
    BackendKind, BackendSettings, Candidate, ContextSettings, Debounce, IndexSettings,
    InlineSettings, MultiLine, PrivacySettings, Role, RoleSettings, Settings, defaults, show,
};

fn candidate() -> impl Strategy<Value = Candidate> {
    let backend = proptest::option::of(prop_oneof![
        Just("ollama".to_owned()),
        Just("team".to_owned())
    ]);
    let model = prop_oneof![
        "[a-z0-9.-]{1,12}(:[a-zA-Z0-9._-]{1,8}\\*?)?",
        Just("hf.co/user/repo:Q4_K_M".to_owned()),
    ];
    (backend, model).prop_map(|(backend, model)| Candidate { backend, model })
}

fn texts(item: Item, pattern: &'static str) -> impl Strategy<Value = Vec<String>> {
    vec(pattern, 0..4).prop_filter("must be allowed", move |texts| {
        Shape::List(item).check(&texts.clone().into()).is_ok()
    })
}

fn backend() -> impl Strategy<Value = BackendSettings> {
    let kind = prop_oneof![
        Just(BackendKind::Ollama),
        Just(BackendKind::LlamaServer),
        Just(BackendKind::Openai),
        Just(BackendKind::Embedded),
    ];
    let urls = vec("https?://[a-z]{1,8}(:[1-9][0-9]{0,3})?(/[a-z]{1,5})?", 1..3);
    let key = proptest::option::of("[A-Z_][A-Z0-9_]{0,8}");
    (kind, urls, key, proptest::option::of(1..=256_usize)).prop_map(
        |(kind, urls, api_key_env, threads)| BackendSettings {
            kind,
            urls: if kind == BackendKind::Embedded {
                Vec::new()
            } else {
                urls
            },
            api_key_env,
            threads,
        },
    )
}

prop_compose! {
    fn inline()(
        enabled: bool,
        debounce in proptest::option::of(0..=10_000_u64),
        deadline_ms in 10..=5000_u64,
        max_tokens in 1..=1024_u32,
        multi_line in prop_oneof![Just(MultiLine::Auto), Just(MultiLine::Always), Just(MultiLine::Never)],
        prefetch: bool,
        disabled_languages in texts(Item::Language, "[a-z+#-]{1,8}"),
    ) -> InlineSettings {
        InlineSettings {
            enabled,
            debounce: debounce.map_or(Debounce::Adaptive, |ms| Debounce::Fixed(Duration::from_millis(ms))),
            deadline: Duration::from_millis(deadline_ms),
            max_tokens,
            multi_line,
            prefetch,
            disabled_languages,
        }
    }
}

prop_compose! {
    fn index()(
        enabled: bool,
        embed: bool,
        max_file_kib in 1..=8192_u64,
        max_files in 1..=1_000_000_usize,
    ) -> IndexSettings {
        IndexSettings { enabled, embed, max_file_kib, max_files }
    }
}

prop_compose! {
    fn settings()(
        roles in vec(vec(candidate(), 0..5), Role::ALL.len()),
        ollama in backend(),
        team in backend(),
        inline in inline(),
        context: [bool; 4],
        tokens in [0..=2048_usize, 0..=2048, 0..=2048, 0..=2048],
        index in index(),
        ignore in texts(Item::Glob, "\\PC{1,10}"),
        redact_secrets: bool,
    ) -> Settings {
        let roles = Role::ALL.into_iter().zip(roles);
        let [open_files, recent_edits, declarations, clipboard] = context;
        let [open_files_tokens, recent_edits_tokens, declarations_tokens, clipboard_tokens] = tokens;
        let embedded = Settings::default().backends["embedded"].clone();
        let mut settings = Settings {
            roles: roles.map(|(role, candidates)| (role, RoleSettings { candidates })).collect(),
            backends: BTreeMap::from([
                ("embedded".to_owned(), embedded),
                ("ollama".to_owned(), ollama),
                ("team".to_owned(), team),
            ]),
            inline,
            context: ContextSettings {
                open_files,
                open_files_tokens,
                recent_edits,
                recent_edits_tokens,
                declarations,
                declarations_tokens,
                clipboard,
                clipboard_tokens,
            },
            index,
            privacy: PrivacySettings { ignore, redact_secrets },
        };
        // As the resolver leaves them: no word for another role, no candidate twice.
        defaults::expand_chat(&mut settings);
        settings
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn printed_settings_read_back(settings in settings()) {
        let user = show::to_toml(&settings, None);
        let read = Given { user: &user, ..Given::default() }.resolve();
        prop_assert_eq!(&read.problems, &[], "{}", user);
        prop_assert_eq!(&read.settings, &settings, "{}", &user);
        // With comments, and as the editor would send them.
        let user = show::to_toml(&settings, Some(&read.origins));
        let commented = Given { user: &user, ..Given::default() }.resolve();
        prop_assert_eq!(&commented.settings, &settings, "{}", user);
        let editor = show::to_json(&settings).to_string();
        let sent = Given { editor: &editor, ..Given::default() }.resolve();
        prop_assert_eq!(&sent.problems, &[]);
        prop_assert_eq!(&sent.settings, &settings);
    }

    #[test]
    fn any_text_resolves(
        user in "([\\[\\]a-z.=\"'#$!\\\\{}\n 0-9]|\\PC){0,80}",
        dotenv in "(OLLAMA_CHAT_MODEL|OLLAMA_HOST|[=\"'#$!\\\\{}\n :/a-z]|\\PC){0,40}",
        key in 0..keys().len(),
        value in "([\\[\\]a-z,\"'0-9.]){0,20}",
    ) {
        let path = keys()[key].path.replace('*', "chat");
        let workspace = format!("{path} = {value}");
        let given = Given { user: &user, workspace: &workspace, dotenv: &dotenv, ..Given::default() };
        let resolved = given.resolve();
        // Whatever a stranger writes, text goes where it went before.
        prop_assert_eq!(&resolved.settings.backends["ollama"].urls, &Settings::default().backends["ollama"].urls);
        prop_assert!(resolved.settings.privacy.redact_secrets);
    }
}

#[test]
fn defaults_print_as_a_file() {
    let resolved = Given {
        user: "inline.max_tokens = 9",
        ..Given::default()
    }
    .resolve();
    let printed = show::to_toml(&resolved.settings, Some(&resolved.origins));
    let inline: Vec<&str> = printed
        .lines()
        .skip_while(|line| *line != "[inline]")
        .take_while(|line| !line.is_empty())
        .collect();
    assert_eq!(
        inline,
        [
            "[inline]",
            "enabled = true  # default",
            "debounce = \"adaptive\"  # default",
            "deadline_ms = 100  # default",
            "max_tokens = 9  # user.toml:1",
            "multi_line = \"auto\"  # default",
            "prefetch = true  # default",
            "disabled_languages = []  # default",
        ]
    );
}

#[test]
fn every_key_but_trust_is_printed_once() {
    let mut settings = Settings::default();
    for backend in settings.backends.values_mut() {
        backend.threads = Some(1);
        backend.api_key_env = Some("K".to_owned());
    }
    let printed = show::to_json(&settings);
    for key in keys() {
        let path = match key.path.split_once('*') {
            Some(("roles.", rest)) => format!("roles.chat{rest}"),
            Some((_, rest)) => format!("backends.ollama{rest}"),
            None => key.path.to_owned(),
        };
        let found = printed.pointer(&format!("/{}", path.replace('.', "/")));
        assert_eq!(found.is_some(), key.path != "trust.folders", "{path}");
        assert!(key.doc.ends_with('.'), "{path}");
    }
}

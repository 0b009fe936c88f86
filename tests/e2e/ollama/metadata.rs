//! What a model says about itself, as `/api/show` tells it, goes before its name.

use ghostline::prompt::fim::Evidence;

use super::*;

const QWEN: &str = "{{- if .Suffix }}<|fim_prefix|>{{ .Prompt }}<|fim_suffix|>{{ .Suffix }}<|fim_middle|>\
                    {{ end }}{{ .Messages }}";

fn model(
    name: &str,
    capabilities: Option<Vec<&'static str>>,
    template: &'static str,
    metadata: Value,
) -> Model {
    Model {
        capabilities,
        template,
        metadata,
        ..Model::new(name)
    }
}

#[tokio::test]
async fn families_and_capabilities_come_from_the_model() {
    let bare = "{{ .Prompt }}";
    let table = [
        // Name, capabilities as listed, template, header → fim, family, chat, embedding.
        (
            model(
                "mine:latest",
                None,
                QWEN,
                json!({"general.architecture": "qwen2"}),
            ),
            (
                Some(true),
                Some(("qwen-coder", Evidence::Template)),
                Some(false),
                Some(false),
            ),
        ),
        (
            model(
                "work:1",
                Some(vec!["completion"]),
                bare,
                json!({"general.architecture": "qwen2", "general.basename": "Qwen2.5-Coder"}),
            ),
            (
                Some(true),
                Some(("qwen-coder", Evidence::Metadata)),
                None,
                Some(false),
            ),
        ),
        (
            model(
                "qwen2.5-coder:7b",
                Some(vec!["completion"]),
                bare,
                json!({}),
            ),
            (
                Some(true),
                Some(("qwen-coder", Evidence::Name)),
                None,
                Some(false),
            ),
        ),
        (
            model(
                "vectors:1",
                None,
                bare,
                json!({"general.architecture": "nomic-bert"}),
            ),
            (Some(false), None, Some(true), Some(true)),
        ),
        (
            model(
                "what:1",
                None,
                bare,
                json!({"general.architecture": "llama"}),
            ),
            (None, None, None, None),
        ),
    ];
    within(async {
        let models = table.iter().map(|(model, _)| model.clone()).collect();
        let config = Config {
            models,
            ..Config::default()
        };
        let (double, backend) = start(config).await;
        for _ in 0..2 {
            let installed = backend.probe().await.expect("a list");
            for (found, (model, expect)) in installed.iter().zip(&table) {
                let family = found.family.map(|known| (known.family.name, known.by));
                let cannot_chat = found.chat.map(|chats| !chats);
                let got = (found.fim, family, cannot_chat, found.embedding);
                assert_eq!(got.0, expect.0, "{}: {got:?}", model.name);
                assert_eq!(got.1, expect.1, "{}: {got:?}", model.name);
                assert_eq!(got.3, expect.3, "{}: {got:?}", model.name);
                if expect.2 == Some(true) {
                    assert_eq!(got.2, Some(true), "{}: {got:?}", model.name);
                }
            }
        }
        let log = double.log();
        let shows = log.requests.iter().filter(|r| r.path == "/api/show");
        assert_eq!(shows.count(), table.len(), "each model is asked once");
    })
    .await;
}

#[tokio::test]
async fn a_server_that_shows_nothing_is_listed_all_the_same() {
    within(async {
        let (double, backend) = start(Config::default()).await;
        double.answer_path("/api/show", Answer::error(404, "model 'x' not found"));
        let installed = backend.probe().await.expect("a list");
        assert_eq!(installed.len(), 1);
        assert_eq!(installed[0].family, None, "the router goes by the name");
    })
    .await;
}

#[tokio::test]
async fn a_prompt_fits_what_the_model_was_trained_for() {
    within(async {
        let mut small = Model::new(MODEL);
        small.metadata = json!({"general.architecture": "qwen2", "qwen2.context_length": 1024});
        let config = Config {
            models: vec![small],
            ..Config::default()
        };
        let (_double, backend) = start(config).await;
        let usual = backend.prompt_budget();
        backend.probe().await.expect("a list");
        backend.warm_up(MODEL).await.expect("a load");
        let budget = backend.prompt_budget();
        assert!(usual.prefix_tokens + usual.suffix_tokens > 512);
        assert!(
            budget.prefix_tokens + budget.suffix_tokens <= 512,
            "{budget:?}"
        );
    })
    .await;
}

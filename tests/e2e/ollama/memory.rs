//! What is in the Ollama's memory, held against what we believe, and what is said of it.

use ghostline::backend::Conversation;
use ghostline::prompt::{Message, Speaker};

use super::*;

fn pinned(examination: Duration) -> OllamaOptions {
    OllamaOptions {
        silence: Duration::ZERO,
        examination,
        ..OllamaOptions::default()
    }
}

/// A request that nobody answers, given up after a second.
async fn given_up(double: &OllamaDouble, backend: &Ollama) {
    let seen = double.log().generations().count();
    let mut stream = backend.stream(request("a"));
    tokio::select! {
        item = stream.next() => panic!("{item:?}"),
        _ = double.wait_for(|log| log.generations().count() > seen) => {}
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::time::resume();
}

fn remark(backend: &Ollama) -> String {
    backend.standing(MODEL).remark.unwrap_or_default()
}

#[tokio::test]
async fn a_model_that_answers_nothing_is_loaded_anew() {
    within(async {
        let (double, _) = start(Config::default()).await;
        let backend = backend(&double, pinned(Duration::from_millis(50)));
        backend.warm_up(MODEL).await.expect("a load");
        double.lose_turns(MODEL);
        for _ in 0..3 {
            given_up(&double, &backend).await;
        }
        assert_eq!(double.log().loads_started, 1);
        let (_, end) = collect(backend.stream(request("b"))).await;
        end.expect("an answer of the model that was loaded anew");
        let log = double.log();
        assert_eq!((log.loads_started, log.loads_aborted), (2, 0));
        let unloads = log.requests.iter().filter(|r| r.body["keep_alive"] == 0);
        assert_eq!(unloads.count(), 1);
        assert!(
            remark(&backend).contains("was loaded anew"),
            "{}",
            remark(&backend)
        );
    })
    .await;
}

#[tokio::test]
async fn a_slow_model_is_asked_and_left_alone() {
    within(async {
        let (double, _) = start(Config::default()).await;
        let backend = backend(&double, pinned(Duration::from_secs(20)));
        backend.warm_up(MODEL).await.expect("a load");
        for _ in 0..3 {
            double.answer(Answer::steps([Step::Hang]));
            given_up(&double, &backend).await;
        }
        let (_, end) = collect(backend.stream(request("b"))).await;
        end.expect("an answer");
        assert_eq!(double.log().loads_started, 1);
        assert_eq!(remark(&backend), "");
    })
    .await;
}

#[tokio::test]
async fn a_model_that_stays_silent_is_an_error_that_says_what_to_do() {
    within(async {
        let (double, _) = start(Config::default()).await;
        let backend = backend(&double, pinned(Duration::from_millis(50)));
        backend.warm_up(MODEL).await.expect("a load");
        double.lose_turns_for_ever(MODEL);
        for _ in 0..3 {
            given_up(&double, &backend).await;
        }
        let (_, end) = collect(backend.stream(request("b"))).await;
        let error = end.expect_err("silence");
        assert!(matches!(error, BackendError::Load { .. }), "{error:?}");
        assert!(
            error.to_string().contains("systemctl restart ollama"),
            "{error}"
        );
    })
    .await;
}

#[tokio::test]
async fn another_program_is_noticed_before_a_request_pays_for_it() {
    within(async {
        let (double, backend) = start(Config::default()).await;
        backend.warm_up(MODEL).await.expect("a load");
        // Another client loads it with its own context length.
        let other = OllamaOptions {
            num_ctx: 32_768,
            ..OllamaOptions::default()
        };
        let other = super::backend(&double, other);
        other.warm_up(MODEL).await.expect("a load");
        backend.probe().await.expect("a list");
        let said = remark(&backend);
        assert!(said.contains("32768") && said.contains("4096"), "{said}");
        // The load is a task of its own, not the request's.
        let before = double.log().requests.len();
        let (_, end) = collect(backend.stream(request("a"))).await;
        end.expect("an answer");
        let log = double.log();
        let paths: Vec<_> = log.requests[before..]
            .iter()
            .map(|r| r.prompt().is_some())
            .collect();
        assert!(!paths[0], "a load comes first");
        backend.probe().await.expect("a list");
        assert_eq!(remark(&backend), "");
    })
    .await;
}

#[tokio::test]
async fn placement_and_versions_are_said() {
    let gpu = 1_500_000_000;
    for (version, gpu_bytes, expect) in [
        ("0.33.0", gpu, ""),
        ("0.33.0", 0, "it runs on the processor alone"),
        ("0.33.0", gpu / 2, "only 50 % of it is on the GPU"),
        (
            "0.31.2",
            gpu,
            "Ollama 0.31.2 reads the model's header for every request, about 300 ms each, update it",
        ),
    ] {
        within(async {
            let config = Config {
                version: version.to_owned(),
                gpu_bytes,
                ..Config::default()
            };
            let (_double, backend) = start(config).await;
            backend.warm_up(MODEL).await.expect("a load");
            backend.probe().await.expect("a list");
            assert_eq!(remark(&backend), expect);
        })
        .await;
    }
}

#[tokio::test]
async fn a_chat_that_pushed_the_completion_out_is_followed_by_its_return() {
    within(async {
        let config = Config {
            models: vec![Model::new(MODEL), Model::new("chat:30b")],
            max_loaded: 1,
            ..Config::default()
        };
        let (double, backend) = start(config).await;
        backend.probe().await.expect("a list");
        backend.warm_up(MODEL).await.expect("a load");
        let chat = Request {
            model: "chat:30b".to_owned(),
            prompt: Conversation::from(vec![Message::new(Speaker::User, "hello")]).into(),
            priority: Priority::Chat,
            ..request("")
        };
        collect(backend.stream(chat)).await.1.expect("an answer");
        // Without a key and without a probe.
        double.wait_for(|log| log.loads_finished == 3).await;
        let (_, end) = collect(backend.stream(request("a"))).await;
        end.expect("an answer");
        assert_eq!(double.log().loads_started, 3, "it was there already");
        assert!(
            remark(&backend).contains("pushed it out"),
            "{}",
            remark(&backend)
        );
    })
    .await;
}

#[tokio::test]
async fn completions_go_before_those_who_wait_for_the_same_model() {
    within(async {
        let (double, backend) = start(Config::default()).await;
        backend.warm_up(MODEL).await.expect("a load");
        let gate = Arc::new(Semaphore::new(0));
        let held = Answer::steps([Step::Gate(Arc::clone(&gate)), Step::Done(String::new())]);
        double.answer(held);
        let ask = |priority, text: &str| {
            let request = Request {
                priority,
                ..request(text)
            };
            tokio::spawn(collect(backend.stream(request)))
        };
        let first = ask(Priority::Chat, "first");
        double.wait_for(|log| log.generations().count() == 3).await;
        let waiting = [
            ask(Priority::Chat, "chat"),
            ask(Priority::Completion, "key"),
        ];
        tokio::task::yield_now().await;
        gate.add_permits(1);
        for answer in [first].into_iter().chain(waiting) {
            answer.await.expect("no panic").1.expect("an answer");
        }
        let log = double.log();
        let order: Vec<_> = log
            .generations()
            .skip(2)
            .filter_map(|r| r.prompt())
            .collect();
        assert!(
            order[1].contains("key") && order[2].contains("chat"),
            "{order:?}"
        );
        assert_eq!(log.most_in_flight, 1);
    })
    .await;
}

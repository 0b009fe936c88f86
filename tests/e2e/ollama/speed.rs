//! How fast prompts are computed, and what they cost.

use ghostline::backend::PromptBudget;

use super::*;

/// What 0.1 ms a token comes to.
const SPEED: f64 = 10_000.0;

async fn measured() -> (OllamaDouble, Ollama) {
    let config = Config {
        prefill_per_token: Duration::from_micros(100),
        ..Config::default()
    };
    let (double, backend) = start(config).await;
    assert_eq!(backend.prompt_budget(), PromptBudget::UNMEASURED);
    backend.warm_up(MODEL).await.expect("it is loaded");
    assert_eq!(backend.prompt_budget(), PromptBudget::at_speed(SPEED));
    (double, backend)
}

#[tokio::test]
async fn a_load_measures_the_speed_once() {
    within(async {
        let (double, backend) = measured().await;
        let requests = double.log().requests.len();
        assert_eq!(requests, 3, "load, heat, measurement");
        backend.warm_up(MODEL).await.expect("still there");
        assert_eq!(double.log().requests.len(), 4, "a load");
    })
    .await;
}

/// The server counts cached tokens among those of the prompt, and their time not.
#[tokio::test]
async fn cached_prompts_do_not_look_fast() {
    within(async {
        let (_double, backend) = measured().await;
        let mut typed = "let a = 1;\n".repeat(400);
        for _ in 0..8 {
            typed.push('x');
            let (_, end) = collect(backend.stream(request(&typed))).await;
            assert!(end.expect("an answer").prompt_tokens > 1_000);
            assert_eq!(backend.prompt_budget(), PromptBudget::at_speed(SPEED));
        }
    })
    .await;
}

#[tokio::test]
async fn where_no_time_is_told_nothing_is_learnt() {
    within(async {
        let (_double, backend) = start(Config::default()).await;
        let cold = "let a = 1;\n".repeat(400);
        collect(backend.stream(request(&cold)))
            .await
            .1
            .expect("an answer");
        assert_eq!(backend.prompt_budget(), PromptBudget::UNMEASURED);
    })
    .await;
}

#[tokio::test]
async fn a_completion_that_is_cut_tells_about_what_its_prompt_costs() {
    within(async {
        let (double, backend) = start(Config::default()).await;
        double.answer(Answer::steps([Step::Token("a".to_owned()), Step::Hang]));
        let mut stream = backend.stream(request("let a = 1;"));
        let first = stream.next().await.expect("a chunk").expect("no error");
        let Chunk::Prompt {
            prompt_tokens,
            cached_tokens: None,
            estimated: true,
        } = first
        else {
            panic!("{first:?}")
        };
        // Of three bytes each, sentinels included.
        assert_eq!(prompt_tokens, 18);
        let second = stream.next().await.expect("a chunk").expect("no error");
        assert_eq!(second, Chunk::Text("a".to_owned()));
    })
    .await;
}

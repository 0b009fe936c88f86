//! The pool over scripted endpoints, in paused time.

use std::collections::VecDeque;
use std::future::pending;

use tokio::time::advance;

use super::*;
use crate::backend::{Chunk, Conversation, Finish, Priority, Prompt, StopReason};
use crate::prompt::{Message, Segment, Speaker};

/// One step of an endpoint's answer.
#[derive(Debug, Clone)]
enum Step {
    Say(&'static str),
    Think(&'static str),
    BreakOff,
    Refuse,
    Hang,
    Done,
}
use Step::{BreakOff, Done, Hang, Refuse, Say, Think};

#[derive(Debug)]
struct Fake {
    name: String,
    continues: bool,
    answers: Mutex<VecDeque<Vec<Step>>>,
    asked: Mutex<Vec<Request>>,
    warmed: AtomicUsize,
    probe: Mutex<Probe>,
}

#[derive(Debug, Clone, Copy)]
enum Probe {
    Good,
    Refused,
    Hangs,
}

impl Fake {
    fn texts(&self) -> Vec<String> {
        let asked = self.asked.lock().expect("no panic");
        let text = |request: &Request| match &request.prompt {
            Prompt::Fim(segments) => segments.iter().map(Segment::as_str).collect(),
            Prompt::Chat(conversation) => {
                let said = conversation.messages.iter().map(|m| m.text.as_str());
                said.collect::<Vec<_>>().join("|")
            }
        };
        asked.iter().map(text).collect()
    }

    fn answer(&self, steps: &[Step]) {
        self.answers
            .lock()
            .expect("no panic")
            .push_back(steps.to_vec());
    }

    fn refused(&self) -> BackendError {
        BackendError::Unreachable {
            backend: self.name.clone(),
            source: None,
        }
    }
}

impl Backend for Fake {
    fn name(&self) -> &str {
        &self.name
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Installed>, BackendError>> {
        async {
            let probe = *self.probe.lock().expect("no panic");
            let model = |name: &str| Installed {
                name: name.to_owned(),
                ..Installed::default()
            };
            match probe {
                Probe::Good => Ok(vec![model("m"), model(&format!("only-{}", self.name))]),
                Probe::Refused => Err(self.refused()),
                Probe::Hangs => pending().await,
            }
        }
        .boxed()
    }

    fn warm_up(&self, _: &str) -> BoxFuture<'static, Result<(), BackendError>> {
        self.warmed.fetch_add(1, Ordering::Relaxed);
        async { Ok(()) }.boxed()
    }

    fn stream(&self, request: Request) -> ChunkStream {
        self.asked.lock().expect("no panic").push(request);
        let next = self.answers.lock().expect("no panic").pop_front();
        let steps = next.unwrap_or_else(|| vec![Say("x"), Done]);
        let (broken, refused) = (
            BackendError::Interrupted {
                backend: self.name.clone(),
                message: "test".to_owned(),
            },
            self.refused(),
        );
        let mut errors = (Some(broken), Some(refused));
        stream::iter(steps)
            .then(move |step| {
                let error = match step {
                    BreakOff => errors.0.take(),
                    Refuse => errors.1.take(),
                    _ => None,
                };
                async move {
                    match step {
                        Say(text) => Ok(Chunk::Text(text.to_owned())),
                        Think(text) => Ok(Chunk::Thinking(text.to_owned())),
                        Done => Ok(Chunk::Done(Finish::default())),
                        Hang => pending().await,
                        BreakOff | Refuse => Err(error.expect("once")),
                    }
                }
            })
            .boxed()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            continues: self.continues,
            ..Capabilities::default()
        }
    }

    fn embed(&self, request: EmbedRequest) -> BoxFuture<'_, Result<Embeddings, BackendError>> {
        async move {
            match *self.probe.lock().expect("no panic") {
                Probe::Good => Ok(Embeddings {
                    vectors: vec![vec![1.0]; request.texts.len()],
                    ..Embeddings::default()
                }),
                _ => Err(self.refused()),
            }
        }
        .boxed()
    }

    fn prompt_budget(&self) -> PromptBudget {
        PromptBudget::SMALLEST
    }
}

fn pool_of(count: usize, continues: bool) -> (Pool, Vec<Arc<Fake>>) {
    let fakes: Vec<_> = (0..count)
        .map(|index| {
            Arc::new(Fake {
                name: format!("e{index}"),
                continues,
                answers: Mutex::default(),
                asked: Mutex::default(),
                warmed: AtomicUsize::new(0),
                probe: Mutex::new(Probe::Good),
            })
        })
        .collect();
    let members = fakes
        .iter()
        .map(|fake| Arc::clone(fake) as Arc<_>)
        .collect();
    (Pool::new("team", members).expect("members"), fakes)
}

fn fim(text: &str) -> Request {
    Request {
        model: "m".to_owned(),
        prompt: Prompt::Fim(vec![Segment::Text(text.to_owned())]),
        max_tokens: 10,
        stop: Vec::new(),
        priority: Priority::Completion,
    }
}

fn chat(text: &str) -> Request {
    let messages = vec![Message::new(Speaker::User, text)];
    Request {
        prompt: Prompt::Chat(Conversation::from(messages)),
        ..fim("")
    }
}

/// Text, thinking and the end of an answer.
async fn collect(mut chunks: ChunkStream) -> (String, String, Result<Finish, BackendError>) {
    let (mut text, mut thinking) = (String::new(), String::new());
    loop {
        match chunks.next().await.expect("an end") {
            Ok(Chunk::Text(piece)) => text.push_str(&piece),
            Ok(Chunk::Thinking(piece)) => thinking.push_str(&piece),
            Ok(Chunk::Prompt { .. }) => {}
            Ok(Chunk::Done(finish)) => {
                assert!(chunks.next().await.is_none());
                return (text, thinking, Ok(finish));
            }
            Err(error) => {
                assert!(chunks.next().await.is_none());
                return (text, thinking, Err(error));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_completion_goes_on_elsewhere_without_a_word() {
    for (first, expect) in [
        (vec![Refuse], "p"),
        (vec![BreakOff], "p"),
        (vec![Say("a"), Say("b"), BreakOff], "pab"),
        // Neither an end nor an error.
        (vec![Say("a")], "pa"),
    ] {
        let (pool, fakes) = pool_of(2, false);
        fakes[0].answer(&first);
        fakes[1].answer(&[Say("c"), Done]);
        let (text, _, end) = collect(pool.stream(fim("p"))).await;
        assert_eq!(text, format!("{}c", expect.trim_start_matches('p')));
        assert_eq!(fakes[1].texts(), [expect]);
        let left = fakes[1].asked.lock().expect("no panic")[0].max_tokens as usize;
        assert_eq!(left, 10 - (expect.len() - 1), "what was said counts");
        assert_eq!(end.expect("an end").generated_tokens as usize, expect.len());
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_whole_needs_nobody_else() {
    let (pool, fakes) = pool_of(2, false);
    fakes[0].answer(&[Say("a"), BreakOff]);
    let request = Request {
        max_tokens: 1,
        ..fim("p")
    };
    let (text, _, end) = collect(pool.stream(request)).await;
    assert_eq!(
        (text.as_str(), end.expect("an end").stop),
        ("a", StopReason::Length)
    );
    assert!(fakes[1].texts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_conversation_goes_on_where_that_can_be_done_or_says_so() {
    let broken = [Think("hm"), Say("a"), BreakOff];
    let (pool, fakes) = pool_of(2, true);
    fakes[0].answer(&broken);
    fakes[1].answer(&[Think("hm"), Say("b"), Done]);
    let (text, thinking, end) = collect(pool.stream(chat("q"))).await;
    assert_eq!((text.as_str(), thinking.as_str()), ("ab", "hm"));
    end.expect("an end");
    assert_eq!(fakes[1].texts(), ["q|a"]);

    let (pool, fakes) = pool_of(2, false);
    fakes[0].answer(&broken);
    let (text, _, end) = collect(pool.stream(chat("q"))).await;
    assert_eq!(text, "a");
    assert!(
        matches!(end, Err(BackendError::Interrupted { .. })),
        "{end:?}"
    );
    assert!(fakes[1].texts().is_empty());

    // Nothing was said yet: it is asked anew anywhere.
    let (pool, fakes) = pool_of(2, false);
    fakes[0].answer(&[BreakOff]);
    let (text, _, _) = collect(pool.stream(chat("q"))).await;
    assert_eq!(
        (text.as_str(), fakes[1].texts()),
        ("x", vec!["q".to_owned()])
    );
}

#[tokio::test(start_paused = true)]
async fn a_document_stays_where_its_cache_is() {
    let (pool, fakes) = pool_of(2, false);
    let documents = [
        "a".repeat(600),
        "b".repeat(600),
        "c".repeat(600),
        "d".repeat(600),
    ];
    for key in 0..5 {
        for document in &documents {
            collect(pool.stream(fim(&format!("{document}{key}"))))
                .await
                .2
                .expect("an end");
        }
    }
    for fake in &fakes {
        let texts = fake.texts();
        assert_eq!(texts.len(), 10, "spread evenly");
        let documents: BTreeSet<_> = texts.iter().map(|text| text.chars().next()).collect();
        assert_eq!(documents.len(), 2, "none moved");
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_cache_is_worth_less_than_a_free_endpoint() {
    let (pool, fakes) = pool_of(2, false);
    let document = "a".repeat(600);
    let mut running = Vec::new();
    for _ in 0..4 {
        fakes[0].answer(&[Say("x"), Hang]);
        fakes[1].answer(&[Say("x"), Hang]);
        let mut chunks = pool.stream(fim(&document));
        chunks.next().await.expect("a chunk").expect("text");
        running.push(chunks);
    }
    let counts = [fakes[0].texts().len(), fakes[1].texts().len()];
    assert_eq!(counts, [3, 1]);
    drop(running);
    let member = &pool.inner.members[0];
    assert_eq!(member.outstanding.load(Ordering::Relaxed), 0, "given back");
}

#[tokio::test(start_paused = true)]
async fn a_sick_endpoint_is_left_alone_and_returns_warm() {
    let (pool, fakes) = pool_of(2, false);
    pool.probe().await.expect("models");
    pool.warm_up("m").await.expect("warm");
    *fakes[0].probe.lock().expect("no panic") = Probe::Refused;
    fakes[0].answer(&[Refuse]);
    for _ in 0..5 {
        collect(pool.stream(fim("p"))).await.2.expect("an end");
    }
    assert_eq!(fakes[0].texts().len(), 1, "one failure is enough");
    assert_eq!(fakes[1].texts().len(), 5);
    pool.probe().await.expect("the other one is there");

    // Still away when it is tried again.
    advance(Duration::from_secs(5)).await;
    pool.probe().await.expect("the other one is there");
    collect(pool.stream(fim("p"))).await.2.expect("an end");
    assert_eq!(fakes[0].texts().len(), 1);

    let warmed = fakes[0].warmed.load(Ordering::Relaxed);
    *fakes[0].probe.lock().expect("no panic") = Probe::Good;
    advance(Duration::from_secs(5)).await;
    pool.probe().await.expect("both are there");
    assert_eq!(fakes[0].warmed.load(Ordering::Relaxed), warmed + 1);
    collect(pool.stream(fim("p"))).await.2.expect("an end");
    assert_eq!(fakes[0].texts().len(), 2, "it has served least");
}

#[tokio::test(start_paused = true)]
async fn a_request_may_be_the_trial_and_one_given_up_is_none() {
    let (pool, fakes) = pool_of(1, false);
    fakes[0].answer(&[Refuse]);
    let (_, _, end) = collect(pool.stream(fim("p"))).await;
    assert!(matches!(end, Err(BackendError::Unreachable { .. })));
    // At once and without asking.
    let (_, _, end) = collect(pool.stream(fim("p"))).await;
    assert!(matches!(end, Err(BackendError::Unreachable { .. })));
    assert_eq!(fakes[0].texts().len(), 1);

    advance(Duration::from_secs(5)).await;
    fakes[0].answer(&[Hang]);
    let mut hanging = pool.stream(fim("p"));
    assert!((&mut hanging.next()).now_or_never().is_none());
    let (_, _, end) = collect(pool.stream(fim("p"))).await;
    assert!(end.is_err(), "one trial at a time");
    drop(hanging);
    let (text, _, _) = collect(pool.stream(fim("p"))).await;
    assert_eq!(text, "x");
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_is_told_when_all_fail() {
    let (pool, fakes) = pool_of(3, true);
    for fake in &fakes {
        fake.answer(&[BreakOff]);
    }
    let (_, _, end) = collect(pool.stream(fim("p"))).await;
    assert!(
        matches!(end, Err(BackendError::Interrupted { .. })),
        "{end:?}"
    );
    let asked: usize = fakes.iter().map(|fake| fake.texts().len()).sum();
    assert_eq!(asked, 3, "each once");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_hangs_hides_no_other() {
    let (pool, fakes) = pool_of(2, false);
    *fakes[0].probe.lock().expect("no panic") = Probe::Hangs;
    let models = pool.probe().await.expect("the other one's");
    let names: Vec<_> = models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["m", "only-e1"]);
    *fakes[1].probe.lock().expect("no panic") = Probe::Refused;
    assert!(pool.probe().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_model_is_asked_of_who_has_it() {
    let (pool, fakes) = pool_of(2, false);
    pool.probe().await.expect("models");
    for _ in 0..3 {
        let request = Request {
            model: "only-e1".to_owned(),
            ..fim("p")
        };
        collect(pool.stream(request)).await.2.expect("an end");
    }
    assert_eq!((fakes[0].texts().len(), fakes[1].texts().len()), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn a_chat_is_sent_once_no_completion_is_under_way() {
    let (pool, fakes) = pool_of(1, false);
    let pool = pool.on_devices(vec![Arc::default()], false);
    fakes[0].answer(&[Say("a"), Hang]);
    let mut completion = pool.stream(fim("p"));
    completion.next().await.expect("a chunk").expect("text");
    let request = Request {
        priority: Priority::Chat,
        ..chat("q")
    };
    let mut talk = pool.stream(request);
    assert!((&mut talk.next()).now_or_never().is_none());
    // One that was given up while it waited leaves nothing behind.
    drop(talk);
    let waiting = pool.stream(Request {
        priority: Priority::Chat,
        ..chat("r")
    });
    drop(completion);
    assert_eq!(collect(waiting).await.0, "x");
    let inner = &pool.inner.members[0];
    assert_eq!(inner.outstanding.load(Ordering::Relaxed), 0);
}

#[tokio::test]
#[ignore = "measures; run it with --release -- --ignored --nocapture on a quiet machine"]
async fn the_pool_adds_little_to_a_first_chunk() {
    const REQUESTS: usize = 20_000;
    const CHUNKS: usize = 20;
    let document = "    let value = compute(previous, next);\n".repeat(100);
    for count in [1, 4] {
        let (pool, fakes) = pool_of(count, false);
        let mut whole = hdrhistogram::Histogram::<u64>::new(3).expect("bounds");
        let mut alone = whole.clone();
        for (histogram, pooled) in [(&mut whole, true), (&mut alone, false)] {
            for request in 0..REQUESTS {
                let mut steps = vec![Say("x"); CHUNKS];
                steps.push(Done);
                for fake in &fakes {
                    fake.answers.lock().expect("no panic").clear();
                    fake.asked.lock().expect("no panic").clear();
                    fake.answer(&steps);
                }
                let asked = fim(&format!("{}{document}{request}", request % 7));
                let started = std::time::Instant::now();
                let mut chunks = if pooled {
                    pool.stream(asked)
                } else {
                    fakes[0].stream(asked)
                };
                chunks.next().await.expect("a chunk").expect("text");
                let nanos = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
                histogram.record(nanos).expect("in bounds");
                while chunks.next().await.is_some() {}
            }
        }
        for (name, histogram) in [("pool", &whole), ("endpoint alone", &alone)] {
            let [p50, p99] = [0.5, 0.99].map(|q| histogram.value_at_quantile(q));
            eprintln!("{count} endpoints, {name}: first chunk p50 {p50} ns, p99 {p99} ns");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn texts_are_embedded_by_the_next_endpoint() {
    let (pool, fakes) = pool_of(2, false);
    *fakes[0].probe.lock().expect("no panic") = Probe::Refused;
    let request = EmbedRequest {
        model: "m".to_owned(),
        texts: vec!["a".to_owned()],
        priority: Priority::Embedding,
    };
    assert_eq!(pool.embed(request).await.expect("vectors").vectors.len(), 1);
}

#[test]
fn a_pool_of_nobody_is_none() {
    assert!(Pool::new("team", Vec::new()).is_none());
}

//! What is believed of a model, on the paused clock.

use super::*;

const MINUTE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn warmth_lasts_as_long_as_keep_alive() {
    let model = Residency::new();
    assert!(!model.is_warm());
    model.answered(KeepAlive::For(MINUTE));
    tokio::time::advance(SECOND * 59).await;
    assert!(model.is_warm());
    tokio::time::advance(SECOND * 2).await;
    assert!(!model.is_warm());
    model.answered(KeepAlive::Forever);
    tokio::time::advance(MINUTE * 1000).await;
    assert!(model.is_warm());
    model.doubt();
    assert!(!model.is_warm());
}

#[tokio::test(start_paused = true)]
async fn a_request_given_up_late_raises_doubt() {
    for (waited, answered, warm) in [
        (REAL_LOAD / 2, false, true),
        (REAL_LOAD * 2, false, false),
        (REAL_LOAD * 2, true, true),
    ] {
        let model = Arc::new(Residency::new());
        model.answered(KeepAlive::Forever);
        let watch = FirstByteWatch::start(Arc::clone(&model));
        tokio::time::advance(waited).await;
        if answered {
            watch.answered();
        } else {
            drop(watch);
        }
        assert_eq!(model.is_warm(), warm, "{waited:?} {answered}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_answers_nothing_is_suspected_after_a_while() {
    let model = Arc::new(Residency::new());
    let patience = SECOND * 10;
    let give_up = async || {
        let watch = FirstByteWatch::start(Arc::clone(&model));
        tokio::time::advance(SECOND * 4).await;
        drop(watch);
    };
    for _ in 0..2 {
        give_up().await;
        assert!(!model.is_suspect(patience));
    }
    FirstByteWatch::start(Arc::clone(&model)).answered();
    give_up().await;
    give_up().await;
    assert!(!model.is_suspect(patience), "it was heard in between");
    give_up().await;
    assert!(model.is_suspect(patience));
    model.heard();
    assert!(!model.is_suspect(patience));
    // One after the other at once is no reason yet.
    for _ in 0..3 {
        let watch = FirstByteWatch::start(Arc::clone(&model));
        tokio::time::advance(REAL_LOAD * 2).await;
        drop(watch);
    }
    assert!(!model.is_suspect(patience));
}

#[tokio::test(start_paused = true)]
async fn what_is_loaded_is_held_against_what_is_believed() {
    let at = |num_ctx| {
        Some(Placement {
            gpu_percent: 100,
            num_ctx,
            wanted_ctx: 4096,
        })
    };
    let model = Residency::new();
    let check = |placement, warm: bool, gone: bool| {
        model.answered(KeepAlive::Forever);
        let asked = Instant::now() + SECOND;
        assert_eq!(model.seen(placement, asked), gone, "{placement:?}");
        assert_eq!(model.is_warm(), warm, "{placement:?}");
    };
    check(at(Some(4096)), true, false);
    check(at(None), true, false);
    // Another program loaded it for itself: the next request would load it again.
    check(at(Some(32_768)), false, false);
    // A server that keeps to its own length is not asked to load before each request.
    check(at(Some(32_768)), true, false);
    check(None, false, true);
    // An answer that came after the question is the newer news.
    model.answered(KeepAlive::Forever);
    assert!(!model.seen(None, Instant::now()));
    assert!(model.is_warm());
}

#[test]
fn uses_agree_on_what_is_enough() {
    let model = Residency::new();
    let completes = Needs {
        num_ctx: 4096,
        keep_alive: KeepAlive::Forever,
        generates: true,
    };
    let chats = Needs {
        num_ctx: 8192,
        keep_alive: KeepAlive::For(MINUTE),
        generates: true,
    };
    assert_eq!(model.need(completes), completes);
    model.answered(KeepAlive::Forever);
    assert_eq!(model.need(completes), completes);
    assert!(model.is_warm());
    let both = Needs {
        num_ctx: 8192,
        ..completes
    };
    assert_eq!(model.need(chats), both);
    assert!(!model.is_warm(), "a longer context is another load");
    model.answered(KeepAlive::Forever);
    assert_eq!(model.need(completes), both);
    assert!(model.is_warm());
}

#[test]
fn needless_loads_are_told_once() {
    let model = Residency::new();
    assert!(!model.thrashes(None));
    assert!(!model.thrashes(Some(REAL_LOAD)));
    assert!(model.thrashes(Some(REAL_LOAD * 2)));
    assert!(!model.thrashes(Some(REAL_LOAD * 2)));
}

#[test]
fn only_the_first_load_and_real_loads_need_heat() {
    let model = Residency::new();
    assert!(model.needs_heat(Duration::ZERO));
    model.heated();
    assert!(!model.needs_heat(Duration::ZERO));
    assert!(model.needs_heat(REAL_LOAD * 2));
}

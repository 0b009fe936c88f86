//! Loads: never cancelled, shared, tried again.

use super::*;

#[tokio::test]
async fn cancelling_during_a_cold_load_does_not_end_the_load() {
    within(async {
        let gate = Arc::new(Semaphore::new(0));
        let config = Config {
            load_gate: Some(Arc::clone(&gate)),
            ..Config::default()
        };
        let (double, backend) = start(config).await;
        // A person types on while the model loads.
        for key in 0..5 {
            let mut stream = backend.stream(request(&format!("key {key}")));
            tokio::select! {
                item = stream.next() => panic!("{item:?}"),
                _ = double.wait_for(|log| log.loads_started == 1) => {}
            }
        }
        gate.add_permits(1);
        let (_, end) = collect(backend.stream(request("last key"))).await;
        end.expect("an answer");
        let log = double.log();
        assert_eq!(
            (log.loads_started, log.loads_finished, log.loads_aborted),
            (1, 1, 0)
        );
        assert_eq!(log.ended(End::Disconnected), 0);
        assert_eq!(
            log.generations().count(),
            3,
            "heat, measurement and the last key"
        );
    })
    .await;
}

#[tokio::test]
async fn warm_ups_share_one_load_and_outlive_their_callers() {
    within(async {
        let gate = Arc::new(Semaphore::new(0));
        let config = Config {
            load_gate: Some(Arc::clone(&gate)),
            ..Config::default()
        };
        let (double, backend) = start(config).await;
        tokio::select! {
            outcome = backend.warm_up(MODEL) => panic!("{outcome:?}"),
            _ = double.wait_for(|log| log.loads_started == 1) => {}
        }
        let (first, second) = (backend.warm_up(MODEL), backend.warm_up(MODEL));
        gate.add_permits(1);
        let (first, second) = tokio::join!(first, second);
        first.expect("a load");
        second.expect("the same load");
        let log = double.log();
        assert_eq!((log.loads_started, log.loads_aborted), (1, 0));
        assert_eq!(log.requests.len(), 3, "load, heat and measurement");
        // A warm model is only asked to stay.
        backend.warm_up(MODEL).await.expect("still there");
        assert_eq!(double.log().loads_started, 1);
        assert_eq!(double.log().requests.len(), 4);
    })
    .await;
}

#[tokio::test]
async fn those_who_wait_for_a_load_share_its_failure_and_the_next_tries_again() {
    within(async {
        let (double, backend) = start(Config::default()).await;
        double.answer_load(Answer::error(500, "error loading model: no"));
        let (first, second) = tokio::join!(backend.warm_up(MODEL), backend.warm_up(MODEL));
        assert!(matches!(first, Err(BackendError::Load { .. })), "{first:?}");
        assert!(
            matches!(second, Err(BackendError::Load { .. })),
            "{second:?}"
        );
        assert_eq!(double.log().requests.len(), 1);
        backend.warm_up(MODEL).await.expect("a second try");
    })
    .await;
}

#[tokio::test]
async fn an_unloaded_model_is_loaded_even_if_every_request_is_cancelled() {
    within(async {
        let gate = Arc::new(Semaphore::new(1));
        let config = Config {
            load_gate: Some(Arc::clone(&gate)),
            ..Config::default()
        };
        let (double, backend) = start(config).await;
        backend.warm_up(MODEL).await.expect("a load");
        double.evict();
        // The backend does not know, and its first request pays for that.
        for loads in [2, 3, 3, 3] {
            let mut stream = backend.stream(request("a"));
            tokio::select! {
                item = stream.next() => panic!("{item:?}"),
                _ = double.wait_for(|log| log.loads_started >= loads) => {}
            }
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(1)).await;
            tokio::time::resume();
            drop(stream);
            double.wait_for(|log| log.loads_aborted == 1).await;
        }
        gate.add_permits(1);
        collect(backend.stream(request("a")))
            .await
            .1
            .expect("an answer");
        assert_eq!(double.log().loads_aborted, 1);
    })
    .await;
}

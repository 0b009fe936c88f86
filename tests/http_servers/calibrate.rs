//! Two places for one model, both real: llama.cpp's server and the engine in this process.

use std::sync::Arc;

use ghostline::backend::embedded::{Embedded, EmbeddedModel, EngineOptions};
use ghostline::backend::llama_server::LlamaServer;
use ghostline::backend::{Backend, Limits};
use ghostline::config::{Candidate, Role};
use ghostline::router::calibrate::{Calibration, calibrate};
use ghostline::router::survey::survey;
use ghostline::router::{Choices, Router};

use super::support::{MODEL, Machine, within};

/// What is measured decides, in this process and in the next one.
pub(crate) async fn the_measured_place_serves(machine: &Machine) {
    let home = tempfile::tempdir().unwrap();
    let server = machine.serve(&["--slots", "2", "--context", "2048"]);
    let model = EmbeddedModel {
        name: MODEL.to_owned(),
        path: machine.weights().to_owned(),
        digest: None,
    };
    let options = EngineOptions {
        context_tokens: 2048,
        ..EngineOptions::default()
    };
    let engine = Embedded::new("embedded", move || vec![model.clone()], options);
    let llama = LlamaServer::new("llama", &server.url, None, Limits::default()).unwrap();
    let candidate = Candidate {
        backend: None,
        model: MODEL.to_owned(),
    };
    let path = home.path().join("speeds.json");
    let known = || Calibration::new(Some(path.clone()), "this machine".to_owned());
    let mut choices = Choices {
        backends: vec![Arc::new(llama) as Arc<dyn Backend>, Arc::new(engine)],
        candidates: [(Role::Completion, vec![candidate])].into(),
        calibration: Some(known()),
        ..Choices::default()
    };
    let measured = within(calibrate(&choices, Role::Completion)).await;
    assert_eq!(measured.len(), 2, "{measured:?}");
    assert!(measured.iter().all(|one| one.speed.is_ok()), "{measured:?}");
    choices.calibration = Some(known());
    let survey = within(survey(&choices)).await;
    let serving = survey.chosen(Role::Completion).unwrap();
    let router = Router::new(choices);
    within(router.check()).await;
    let route = within(router.ready(Role::Completion)).await.unwrap();
    assert_eq!(route.backend.name(), serving.route.backend.name());
}

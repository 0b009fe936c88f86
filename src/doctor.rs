//! Whether the whole set-up works as promised: checks that measure, and say what mends what fails.
//!
//! Called by `ghostline doctor`. [`Scene::look`] looks at settings, backends and machine once, [`examine`]
//! asks every check about it. Each check gives one sentence or more, never an error: what cannot be
//! looked at is a finding too. The limits are the guide's success criteria.

use serde::Serialize;

mod editors;
mod fix;
mod machine;
mod measure;
mod other_model;
mod placement;
mod places;
mod running;
mod scene;
mod served;
mod settings;
mod templates;
mod versions;

pub use fix::Fix;
pub use other_model::larger;
pub use places::{Places, table};
pub use scene::Scene;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Something promised does not work.
    Error,
    /// It works, and could work better.
    Warning,
    /// Worth knowing.
    Info,
}

/// One line of the doctor's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check; stable, for scripts.
    pub id: String,
    /// Whether all is well here.
    pub ok: bool,
    /// How much it matters.
    pub severity: Severity,
    /// What was seen, with the figures.
    pub message: String,
    /// What mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
}

impl Finding {
    /// All is well.
    fn good(id: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            ok: true,
            severity: Severity::Info,
            message: message.into(),
            fix: None,
        }
    }

    /// Something to mend.
    fn bad(
        id: impl Into<String>,
        severity: Severity,
        message: impl Into<String>,
        fix: Fix,
    ) -> Self {
        Self {
            id: id.into(),
            ok: false,
            severity,
            message: message.into(),
            fix: Some(fix),
        }
    }
}

#[cfg(test)]
pub(crate) use fix::samples;

/// Such as `1 model` and `2 models`.
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Asks every check; `say` hears of what takes a while.
pub async fn examine(scene: &Scene, say: &(dyn Fn(&str) + Sync)) -> Vec<Finding> {
    let mut findings = settings::check(scene);
    findings.extend(versions::check(scene));
    findings.extend(served::check(scene));
    findings.extend(places::check(scene));
    findings.extend(templates::check(scene).await);
    let measured = measure::check(scene, say).await;
    findings.extend(measured.findings);
    // After the measurements: they have loaded what is used.
    findings.extend(placement::check(scene, &measured.speeds).await);
    findings.extend(running::check(scene));
    findings.extend(machine::check(scene));
    findings.extend(editors::check());
    findings
}

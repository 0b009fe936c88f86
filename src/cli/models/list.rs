//! `ghostline models list`: roles, candidates, backends and weights, as they are at this moment.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::PathBuf;

use indicatif::HumanBytes;
use serde::Serialize;

use super::{Exit, Failure};
use crate::cli::output;
use crate::config::{BackendKind, Role, Settings};
use crate::host::LocalHost;
use crate::models::ollama::{self, OllamaHere, Running};
use crate::models::{MODELS, Store};
use crate::router::survey::{Standing, Survey, survey};

#[derive(Debug, Serialize)]
struct Listing {
    directory: PathBuf,
    models: Vec<Weights>,
    backends: Vec<BackendRow>,
    roles: Vec<RoleRow>,
}

/// Weights that ghostline keeps.
#[derive(Debug, Serialize)]
struct Weights {
    name: String,
    aliases: Vec<String>,
    backend: String,
    installed: bool,
    /// Where it is; absent when not installed.
    path: Option<PathBuf>,
    size_bytes: u64,
    /// What of it an unfinished fetch left.
    partial_bytes: u64,
    memory_bytes: Option<u64>,
    licence: Option<String>,
    sha256: String,
}

#[derive(Debug, Serialize)]
struct BackendRow {
    name: String,
    answers: bool,
    version: Option<String>,
    /// Why it does not answer.
    message: Option<String>,
    /// All models it has, whether or not a role names them.
    models: Vec<String>,
}

#[derive(Debug, Serialize)]
struct RoleRow {
    role: Role,
    candidates: Vec<CandidateRow>,
}

#[derive(Debug, Serialize)]
struct CandidateRow {
    candidate: String,
    installed: bool,
    chosen: bool,
    why: String,
    backend: Option<String>,
    model: Option<String>,
    size_bytes: Option<u64>,
    quantization: Option<String>,
    digest: Option<String>,
    /// Absent where the backend does not tell.
    loaded: Option<bool>,
    loaded_bytes: Option<u64>,
    gpu_bytes: Option<u64>,
    context_tokens: Option<u64>,
}

pub(super) async fn run(store: &Store, json: bool) -> Result<Exit, Failure> {
    let host = LocalHost::new();
    let (settings, choices, problems) = host.here()?;
    for problem in &problems {
        output::note(problem);
    }
    let (survey, ollamas) = tokio::join!(survey(&choices), ollama::of_settings(&settings));
    let mut running = BTreeMap::new();
    for here in &ollamas {
        if let Ok((ollama, _)) = &here.found
            && let Ok(models) = ollama.running().await
        {
            running.insert(here.backend.clone(), models);
        }
    }
    let listing = Listing {
        directory: store.dir().to_owned(),
        models: weights(store),
        backends: backends(&survey, &ollamas, &settings),
        roles: roles(&survey, &running),
    };
    let mut out = io::stdout().lock();
    if json {
        let text = serde_json::to_string_pretty(&listing).map_err(io::Error::from)?;
        writeln!(out, "{text}")?;
    } else {
        out.write_all(text(&listing).as_bytes())?;
    }
    Ok(Exit::Success)
}

fn weights(store: &Store) -> Vec<Weights> {
    let of_catalogue = MODELS.iter().map(|model| {
        let path = store.path_of(model);
        let aliases = model.aliases.iter().map(|&alias| alias.to_owned());
        Weights {
            name: model.name.to_owned(),
            aliases: aliases.collect(),
            backend: "embedded".to_owned(),
            installed: path.is_some(),
            path,
            size_bytes: model.size_bytes,
            partial_bytes: store.partial_bytes(model),
            memory_bytes: Some(model.memory_bytes),
            licence: Some(model.licence.to_owned()),
            sha256: model.sha256.to_owned(),
        }
    });
    let named = store.named().into_iter().map(|named| Weights {
        name: named.name,
        aliases: Vec::new(),
        backend: "embedded".to_owned(),
        installed: true,
        path: Some(named.path),
        size_bytes: named.size_bytes,
        partial_bytes: 0,
        memory_bytes: None,
        licence: None,
        sha256: named.sha256,
    });
    of_catalogue.chain(named).collect()
}

/// The backends that were asked, and those of kind `ollama` with what their own way of asking tells:
/// version and address.
fn backends(survey: &Survey, ollamas: &[OllamaHere], settings: &Settings) -> Vec<BackendRow> {
    let asked = survey.backends.iter().map(|asked| {
        let name = asked.backend.name();
        let here = ollamas.iter().find(|here| here.backend == name);
        let version = here.and_then(|here| Some(here.found.as_ref().ok()?.1.clone()));
        let message = match (&asked.installed, here) {
            (Ok(_), _) => None,
            (
                Err(_),
                Some(OllamaHere {
                    found: Err(error), ..
                }),
            ) => Some(error.to_string()),
            (Err(message), _) => Some(message.clone()),
        };
        BackendRow {
            name: name.to_owned(),
            answers: asked.installed.is_ok(),
            version,
            message,
            models: asked
                .installed
                .iter()
                .flatten()
                .map(|model| model.name.clone())
                .collect(),
        }
    });
    let known: Vec<BackendRow> = asked.collect();
    let missing = settings.backends.iter().filter(|(name, backend)| {
        backend.kind != BackendKind::Embedded && known.iter().all(|row| row.name != **name)
    });
    let missing: Vec<BackendRow> = missing
        .map(|(name, _)| BackendRow {
            name: name.clone(),
            answers: false,
            version: None,
            message: Some("could not be set up; `ghostline config` says why".to_owned()),
            models: Vec::new(),
        })
        .collect();
    known.into_iter().chain(missing).collect()
}

fn roles(survey: &Survey, running: &BTreeMap<String, Vec<Running>>) -> Vec<RoleRow> {
    let row = |(&role, standings): (&Role, &Vec<Standing>)| RoleRow {
        role,
        candidates: standings
            .iter()
            .enumerate()
            .map(|(rank, standing)| candidate(rank, standing, survey, running))
            .collect(),
    };
    survey.roles.iter().map(row).collect()
}

fn candidate(
    rank: usize,
    standing: &Standing,
    survey: &Survey,
    running: &BTreeMap<String, Vec<Running>>,
) -> CandidateRow {
    let found = standing.found.as_ref();
    let backend = found.map(|found| found.route.backend.name().to_owned());
    let installed = found.map(|found| &found.installed);
    let memory = backend.as_ref().and_then(|name| running.get(name));
    let loaded = memory.zip(installed).map(|(memory, model)| {
        memory.iter().find(|running| {
            // A model loaded under another of its names is the same model.
            running.name == model.name
                || (running.digest.is_some() && running.digest == model.digest)
        })
    });
    let in_memory = loaded.flatten();
    CandidateRow {
        candidate: standing.candidate.to_string(),
        installed: found.is_some(),
        chosen: standing.chosen,
        why: why(rank, standing, survey),
        model: installed.map(|model| model.name.clone()),
        size_bytes: installed.and_then(|model| model.size_bytes),
        quantization: installed.and_then(|model| model.quantization.clone()),
        digest: installed.and_then(|model| model.digest.clone()),
        loaded: loaded.map(|found| found.is_some()),
        loaded_bytes: in_memory.map(|model| model.size_bytes),
        gpu_bytes: in_memory.map(|model| model.gpu_bytes),
        context_tokens: in_memory.and_then(|model| model.context_tokens),
        backend,
    }
}

/// Why this candidate serves, or does not.
fn why(rank: usize, standing: &Standing, survey: &Survey) -> String {
    match &standing.found {
        Some(_) if standing.chosen && rank == 0 => "chosen: the first choice".to_owned(),
        Some(_) if standing.chosen => "chosen: the first that is there".to_owned(),
        Some(_) => "there; an earlier one serves".to_owned(),
        None => {
            let may = survey.backends.iter().filter(|asked| {
                let wanted = standing.candidate.backend.as_deref();
                wanted.is_none_or(|name| name == asked.backend.name())
            });
            let silent: Vec<&str> = may
                .filter(|asked| asked.installed.is_err())
                .map(|asked| asked.backend.name())
                .collect();
            if silent.is_empty() {
                "not installed".to_owned()
            } else {
                format!("not found; {} does not answer", silent.join(" and "))
            }
        }
    }
}

fn text(listing: &Listing) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let widths = listing.roles.iter().flat_map(|role| &role.candidates);
    let width = widths
        .map(|row| row.candidate.len())
        .max()
        .unwrap_or_default();
    // Writing to a string cannot fail.
    for role in &listing.roles {
        let _ = writeln!(text, "{}", role.role);
        for row in &role.candidates {
            let mark = if row.chosen { '*' } else { ' ' };
            let line = format!(
                "{mark} {:width$}  {}{}",
                row.candidate,
                row.why,
                details(row)
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
        if role.candidates.iter().all(|row| !row.chosen) {
            let _ = writeln!(
                text,
                "  nothing serves it: `ghostline models pull {}`",
                role.role
            );
        }
    }
    let _ = writeln!(text, "\nbackends");
    for row in &listing.backends {
        let state = match (&row.message, &row.version) {
            (Some(message), _) => message.clone(),
            (None, Some(version)) => format!("answers, version {version}"),
            (None, None) => "ready".to_owned(),
        };
        let _ = writeln!(text, "  {}: {state}", row.name);
    }
    let _ = writeln!(text, "\nweights in {}", listing.directory.display());
    let width = listing.models.iter().map(|row| row.name.len()).max();
    let width = width.unwrap_or_default();
    for row in &listing.models {
        let state = match &row.path {
            Some(_) => "installed".to_owned(),
            None if row.partial_bytes > 0 => format!(
                "not installed, {} of it fetched",
                HumanBytes(row.partial_bytes)
            ),
            None => "not installed".to_owned(),
        };
        let memory = row.memory_bytes.map_or_else(String::new, |bytes| {
            format!("  needs {} of memory", HumanBytes(bytes))
        });
        let size = HumanBytes(row.size_bytes).to_string();
        let _ = writeln!(text, "  {:width$}  {size:>10}{memory}  {state}", row.name);
    }
    text
}

/// What is known of a model that is there.
fn details(row: &CandidateRow) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    if let (Some(model), Some(backend)) = (&row.model, &row.backend) {
        let _ = write!(text, "; {model} on {backend}");
    }
    if let Some(bytes) = row.size_bytes {
        let _ = write!(text, ", {}", HumanBytes(bytes));
    }
    if let Some(quantization) = &row.quantization {
        let _ = write!(text, ", {quantization}");
    }
    match (row.loaded, row.loaded_bytes, row.gpu_bytes) {
        (Some(true), Some(all), Some(gpu)) => {
            let percent = gpu.min(all) * 100 / all.max(1);
            let _ = write!(text, ", loaded: {}, {percent} % GPU", HumanBytes(all));
        }
        (Some(false), ..) => text.push_str(", not loaded"),
        _ => {}
    }
    text
}

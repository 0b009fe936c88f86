//! `ghostline models verify [NAME]`: the weights' hashes, computed again.

use std::io::{self, Write as _};

use super::{Display, Exit, Failure};
use crate::models::{self, MODELS, Model, Named, Store};

enum Chosen {
    Catalogue(&'static Model),
    Named(Named),
}

pub(super) async fn run(store: &Store, name: Option<&str>) -> Result<Exit, Failure> {
    let chosen = if let Some(name) = name {
        vec![match store.find_named(name) {
            Some(named) => Chosen::Named(named),
            None => Chosen::Catalogue(models::find(name)?),
        }]
    } else {
        let installed = store.installed().into_iter();
        let installed = installed.map(|(model, _)| Chosen::Catalogue(model));
        let named = store.named().into_iter().map(Chosen::Named);
        installed.chain(named).collect()
    };
    if chosen.is_empty() {
        writeln!(
            io::stderr(),
            "no model is installed; fetch one with `ghostline models pull {}`",
            MODELS.first().map_or("NAME", |model| model.name)
        )?;
        return Ok(Exit::Failed);
    }
    let mut exit = Exit::Success;
    for chosen in chosen {
        let name = match &chosen {
            Chosen::Catalogue(model) => model.name,
            Chosen::Named(named) => &named.name,
        };
        let display = Display::new(name);
        let verified = match &chosen {
            Chosen::Catalogue(model) => models::verify(store, model, &display).await,
            Chosen::Named(named) => models::verify_named(named, &display)
                .await
                .map(|()| named.path.clone()),
        };
        display.finish();
        match verified {
            Ok(path) => writeln!(io::stdout(), "{name} is sound: {}", path.display())?,
            // The others are still worth a look.
            Err(error) => {
                writeln!(io::stderr(), "error: {error}")?;
                exit = Exit::Failed;
            }
        }
    }
    Ok(exit)
}

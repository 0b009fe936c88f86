//! Measured or not, one place or several: what the doctor says.

use std::sync::Arc;

use super::*;
use crate::backend::Installed;
use crate::backend::named::Named;
use crate::router::Route;
use crate::router::calibrate::Speed;
use crate::router::survey::Found;

/// A backend, its measured speeds, and whether it serves.
type Row = (&'static str, Option<(f64, f64)>, bool);

fn place((backend, speed, serves): Row) -> Place {
    Place {
        found: Found {
            route: Route::of(Arc::new(Named(backend)), "m:1"),
            installed: Installed::default(),
        },
        speed: speed.map(|(prefill, decode)| Speed {
            prefill_tokens_per_second: prefill,
            decode_tokens_per_second: decode,
        }),
        serves,
    }
}

#[test]
fn who_serves_and_why() {
    let rows: &[(&[Row], Option<&str>)] = &[
        (&[], None),
        (&[("ollama", None, true)], None),
        (
            &[("ollama", Some((48.4, 20.0)), true)],
            Some(
                "m:1: ollama 48 / 20 tokens a second (prompt / answer); ollama serves, as no other \
                 backend has it",
            ),
        ),
        (
            &[
                ("ollama", Some((48.0, 20.0)), true),
                ("embedded", Some((50.0, 22.0)), false),
            ],
            Some(
                "m:1: ollama 48 / 20 tokens a second (prompt / answer), embedded 50 / 22; ollama serves, \
                 which comes first; no other is clearly quicker",
            ),
        ),
        (
            &[
                ("ollama", Some((40.0, 10.0)), false),
                ("embedded", Some((80.0, 20.0)), true),
            ],
            Some(
                "m:1: ollama 40 / 10 tokens a second (prompt / answer), embedded 80 / 20; embedded serves, \
                 as a typical request takes 500 ms there and 1000 ms on ollama",
            ),
        ),
        (
            &[
                ("ollama", None, true),
                ("embedded", Some((80.0, 20.0)), false),
            ],
            Some(
                "m:1: ollama not measured, embedded 80 / 20 tokens a second (prompt / answer); ollama \
                 serves, which comes first; an editor's server measures completions when nobody types, \
                 and `ghostline doctor --calibrate completion` measures now",
            ),
        ),
    ];
    for (places, expect) in rows {
        let places: Vec<Place> = places.iter().copied().map(place).collect();
        let told = told(Role::Completion, &places);
        assert_eq!(told.as_deref(), *expect);
    }
}

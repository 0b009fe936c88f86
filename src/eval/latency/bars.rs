//! What is asked of each figure, and whether it is reached.

use super::Report;

/// A limit on one figure.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

/// One figure and what is asked of it.
struct Bar {
    name: &'static str,
    unit: &'static str,
    limit: Limit,
    figure: fn(&Report) -> f64,
}

/// The bars. Where they come from: a ghost must be there before the next key, and one key in twenty
/// comes within 34 ms of the last; the model needs that time, so the server may have a hundredth of it.
/// Below that lie the machine's own costs, measured on two shared cores: 25 µs to wake a process by a
/// pipe, 76 µs for an exchange over a kept connection, 6 µs to apply a change and build a prompt.
/// Beyond p99 lies the scheduler (about 4 ms), which no bar can ask anything of. Starting is asked to
/// stay below what is seen as a wait.
const BARS: &[Bar] = &[
    Bar {
        name: "server added, p50",
        unit: "ms",
        limit: Limit::AtMost(0.2),
        figure: |r| r.server_added_ms.p50,
    },
    Bar {
        name: "server added, p95",
        unit: "ms",
        limit: Limit::AtMost(0.5),
        figure: |r| r.server_added_ms.p95,
    },
    Bar {
        name: "server added, p99",
        unit: "ms",
        limit: Limit::AtMost(1.0),
        figure: |r| r.server_added_ms.p99,
    },
    Bar {
        name: "type-through, p50",
        unit: "ms",
        limit: Limit::AtMost(0.1),
        figure: |r| r.type_through_ms.p50,
    },
    Bar {
        name: "type-through, p99",
        unit: "ms",
        limit: Limit::AtMost(0.5),
        figure: |r| r.type_through_ms.p99,
    },
    Bar {
        name: "divergence to close, p99",
        unit: "ms",
        limit: Limit::AtMost(2.0),
        figure: |r| r.divergence_to_close_ms.p99,
    },
    Bar {
        name: "didChange over the pipe",
        unit: "/s",
        limit: Limit::AtLeast(50_000.0),
        figure: |r| r.did_change_per_second,
    },
    Bar {
        name: "didChange + prompt, one core",
        unit: "/s",
        limit: Limit::AtLeast(50_000.0),
        figure: |r| r.did_change_and_prompt_per_second,
    },
    Bar {
        name: "gate, p99",
        unit: "µs",
        limit: Limit::AtMost(20.0),
        figure: |r| r.gate_us.p99,
    },
    Bar {
        name: "router, p99",
        unit: "µs",
        limit: Limit::AtMost(50.0),
        figure: |r| r.router_us.p99,
    },
    Bar {
        name: "chat, first token added, p99",
        unit: "ms",
        limit: Limit::AtMost(1.0),
        figure: |r| r.chat_first_token_added_ms.p99,
    },
    Bar {
        name: "chat, delta added, p99",
        unit: "ms",
        limit: Limit::AtMost(0.5),
        figure: |r| r.chat_delta_added_ms.p99,
    },
    Bar {
        name: "listing code actions, p99",
        unit: "ms",
        limit: Limit::AtMost(1.0),
        figure: |r| r.action_list_ms.p99,
    },
    Bar {
        name: "100,000 lines over 1,000",
        unit: "x",
        limit: Limit::AtMost(2.0),
        figure: |r| r.large_file_ratio,
    },
    Bar {
        name: "start to initialize",
        unit: "ms",
        limit: Limit::AtMost(50.0),
        figure: |r| r.start_to_initialize_ms,
    },
];

/// A figure beside its bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// What was measured.
    pub name: &'static str,
    /// `ms`, `µs`, `/s` or `x`.
    pub unit: &'static str,
    /// What was measured.
    pub measured: f64,
    /// What is asked, such as `≤ 0.2`.
    pub asked: String,
    /// Whether it is reached.
    pub reached: bool,
}

/// Every figure beside its bar.
pub fn verdicts(report: &Report) -> Vec<Verdict> {
    let verdict = |bar: &Bar| {
        let measured = (bar.figure)(report);
        let (asked, reached) = match bar.limit {
            Limit::AtMost(most) => (format!("≤ {most}"), measured <= most),
            Limit::AtLeast(least) => (format!("≥ {least}"), measured >= least),
        };
        Verdict {
            name: bar.name,
            unit: bar.unit,
            measured,
            asked,
            reached,
        }
    };
    BARS.iter().map(verdict).collect()
}

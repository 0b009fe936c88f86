//! The replay's report as one HTML page with its plots inside.

use std::fmt::Write as _;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::figures::Figures;
use super::report::Report;

/// Width and height of a plot, in pixels.
const SIZE: (u32, u32) = (720, 340);
/// Size of letters, as the library counts it: about 13 pixels.
pub(super) const LABEL: u32 = 16;
/// The latency plot ends here: by 300 ms three in four people have typed on.
const LATEST_MS: f64 = 300.0;
/// Told apart by people who see colours differently (Okabe and Ito, 2008).
pub(super) const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(204, 121, 167),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(86, 180, 233),
];

/// A plot could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw the plot: {0}")]
pub struct PlotError(String);

/// A group of bars: what it is called and its height for a policy.
type Group = (&'static str, fn(&Figures) -> f64);

const SHARES: &[Group] = &[
    ("ghost before the next key", |f| f.ghost_before_next_key),
    ("right ghost, of all keys", |f| f.right_ghost),
    ("without a new request", |f| f.no_new_request),
];
const COSTS: &[Group] = &[
    ("requests per key", |f| f.requests_per_1000_keys / 1_000.0),
    ("tokens per key", |f| f.tokens_per_key),
];

/// The page.
pub fn html(report: &Report) -> Result<String, PlotError> {
    let policies = &report.policies;
    let latency = draw(|area| draw_latency(area, policies))?;
    let shares = draw(|area| draw_bars(area, "share of keys", SHARES, policies))?;
    let costs = draw(|area| draw_bars(area, "cost", COSTS, policies))?;
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>ghostline bench replay</title>\
         <style>body{font:16px/1.5 system-ui,sans-serif;max-width:760px;margin:2em auto;padding:0 1em;\
         color:#222;background:#fff}pre{overflow-x:auto;font-size:12px}svg{max-width:100%;height:auto}\
         </style><h1>ghostline bench replay</h1>",
    );
    page.push_str("<p>");
    for (policy, RGBColor(r, g, b)) in policies.iter().zip(COLOURS.iter().cycle()) {
        let name = escaped(policy.name);
        let _ = write!(
            page,
            "<b style=\"color:rgb({r},{g},{b})\">■</b> {name} &emsp;"
        );
    }
    let _ = write!(page, "</p><p>{}</p>", escaped(&report.heading()));
    for (title, svg) in [
        ("Share of keys with a ghost, by time since the key", latency),
        ("What the person sees", shares),
        ("What it costs", costs),
    ] {
        let _ = write!(page, "<h2>{title}</h2>{svg}");
    }
    let _ = write!(
        page,
        "<h2>All figures</h2><pre>{}</pre>",
        escaped(&report.table())
    );
    page.push_str("</html>\n");
    Ok(page)
}

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(super) type Drawn = Result<(), Box<dyn std::error::Error>>;

pub(super) fn draw(paint: impl Fn(&Area<'_>) -> Drawn) -> Result<String, PlotError> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let drawn = area.fill(&WHITE).map_err(Into::into);
        let drawn = drawn.and_then(|()| paint(&area));
        let drawn = drawn.and_then(|()| area.present().map_err(Into::into));
        drawn.map_err(|error: Box<dyn std::error::Error>| PlotError(error.to_string()))?;
    }
    Ok(svg)
}

fn draw_latency(area: &Area<'_>, policies: &[Figures]) -> Drawn {
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..LATEST_MS, 0.0..1.0_f64)?;
    chart
        .configure_mesh()
        .max_light_lines(0)
        .label_style(("sans-serif", LABEL))
        .x_desc("milliseconds since the key")
        .y_desc("share of keys")
        .draw()?;
    for (policy, &colour) in policies.iter().zip(COLOURS.iter().cycle()) {
        let (latencies, keys) = &policy.latencies;
        let points = cumulative(latencies, *keys);
        chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
    }
    Ok(())
}

/// The share of `keys` that have a ghost by each millisecond.
fn cumulative(latencies: &[f64], keys: usize) -> Vec<(f64, f64)> {
    let share = |by: f64| {
        let shown = latencies.partition_point(|&t| t <= by);
        super::figures::ratio(shown, keys)
    };
    let mut at = 0.0;
    let mut points = Vec::new();
    while at <= LATEST_MS {
        points.push((at, share(at)));
        at += 1.0;
    }
    points
}

fn draw_bars(area: &Area<'_>, label: &str, groups: &[Group], policies: &[Figures]) -> Drawn {
    let heights = groups.iter().flat_map(|(_, of)| policies.iter().map(of));
    let top = heights.fold(0.0, f64::max).max(0.01) * 1.15;
    #[expect(clippy::cast_precision_loss, reason = "a handful of bars")]
    let width = |n: usize| n as f64;
    let (count, per_group) = (width(groups.len()), width(policies.len()) + 1.0);
    let names: Vec<&str> = groups.iter().map(|(name, _)| *name).collect();
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..count, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .max_light_lines(0)
        .label_style(("sans-serif", LABEL))
        .y_desc(label)
        .draw()?;
    for (n, (policy, &colour)) in policies.iter().zip(COLOURS.iter().cycle()).enumerate() {
        let bar = |(group, (_, of)): (usize, &Group)| {
            let left = width(group) + (width(n) + 0.5) / per_group;
            let corners = [(left, 0.0), (left + 0.9 / per_group, of(policy))];
            Rectangle::new(corners, colour.filled())
        };
        chart.draw_series(groups.iter().enumerate().map(bar))?;
    }
    for (group, name) in names.into_iter().enumerate() {
        let at = chart.backend_coord(&(width(group) + 0.08, 0.0));
        let style = ("sans-serif", LABEL).into_font();
        area.draw(&Text::new(name, (at.0, at.1 + 8), style))?;
    }
    Ok(())
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_rises_to_what_was_ever_shown() {
        let points = cumulative(&[0.0, 10.0, 250.0], 4);
        assert_eq!(points.first(), Some(&(0.0, 0.25)));
        assert_eq!(points.get(10), Some(&(10.0, 0.5)));
        assert_eq!(points.last(), Some(&(300.0, 0.75)));
    }
}

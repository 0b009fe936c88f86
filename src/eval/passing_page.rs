//! The report of executed programs as one HTML page with its plot inside.

use std::fmt::Write as _;

use plotters::prelude::*;

use super::passing::{Candidate, Report};
use super::plot::{Area, COLOURS, Drawn, LABEL, PlotError, draw, escaped};

/// The page.
pub fn html(report: &Report) -> Result<String, PlotError> {
    let plot = draw(|area| draw_shares(area, &report.candidates))?;
    let title = format!("ghostline bench {}", report.setting.bench);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:860px;margin:2em auto;padding:0 1em;\
         color:#222;background:#fff}}pre{{overflow-x:auto;font-size:12px}}svg{{max-width:100%;\
         height:auto}}</style><h1>{title}</h1>"
    );
    let _ = write!(
        page,
        "<h2>Problems solved, with 95 % intervals</h2>{plot}<h2>All figures</h2><pre>{}</pre>\
         <h2>Problems</h2><pre>{}</pre></html>",
        escaped(&report.table()),
        escaped(&report.task_table()),
    );
    Ok(page)
}

/// A bar per candidate, with its interval.
fn draw_shares(area: &Area<'_>, candidates: &[Candidate]) -> Drawn {
    #[expect(clippy::cast_precision_loss, reason = "a handful of bars")]
    let place = |n: usize| n as f64;
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..place(candidates.len()), 0.0..1.0_f64)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .max_light_lines(0)
        .label_style(("sans-serif", LABEL))
        .y_desc("share of problems")
        .draw()?;
    for ((n, candidate), &colour) in candidates.iter().enumerate().zip(COLOURS.iter().cycle()) {
        let (left, middle, right) = (place(n) + 0.25, place(n) + 0.5, place(n) + 0.75);
        let bar = Rectangle::new([(left, 0.0), (right, candidate.rate)], colour.filled());
        let [low, high] = candidate.interval;
        let line = PathElement::new(vec![(middle, low), (middle, high)], BLACK.stroke_width(2));
        chart.draw_series([bar])?;
        chart.draw_series([line])?;
        let at = chart.backend_coord(&(left, 0.0));
        let text = Text::new(
            candidate.name.clone(),
            (at.0, at.1 + 10),
            ("sans-serif", LABEL),
        );
        area.draw(&text)?;
    }
    Ok(())
}

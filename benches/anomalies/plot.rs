//! Recall by size of the effect, drawn.

use std::fmt::Write;

use overstay::anomaly::Kind;

use crate::score::Tally;
use crate::world::{FALLS, RISES};

const COLOURS: [&str; 4] = ["#1f77b4", "#555", "#2ca02c", "#d62728"];

/// An SVG of two panels: rises at the left, drops at the right.
pub(crate) fn recall(tally: &Tally) -> String {
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 300\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
    );
    let y = |share: f64| 250.0 - 210.0 * share;
    let text = |svg: &mut String, x: f64, y: f64, anchor: &str, text: &str| {
        writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>")
            .unwrap();
    };
    for (left, right, title) in [
        (50.0, 400.0, "recall of rises, by times what is expected"),
        (460.0, 700.0, "of drops, by what is left"),
    ] {
        text(&mut svg, left, 20.0, "start", title);
        for tenth in [0.0, 0.25, 0.5, 0.75, 1.0] {
            let y = y(tenth);
            writeln!(
                svg,
                "<line x1=\"{left}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>"
            )
            .unwrap();
            text(&mut svg, left - 6.0, y + 4.0, "end", &format!("{tenth}"));
        }
    }
    for (n, kind) in Kind::ALL.into_iter().enumerate() {
        let (effects, left, width): (&[f64], f64, f64) =
            if kind == Kind::Drop { (&FALLS, 470.0, 220.0) } else { (&RISES, 60.0, 330.0) };
        let x = |at: usize| left + width * at as f64 / (effects.len() - 1) as f64;
        let points = effects.iter().enumerate().map(|(at, _)| {
            let (of, found) = tally.by_effect[n][at];
            format!("{:.1},{:.1}", x(at), y(found as f64 / of.max(1) as f64))
        });
        let (points, colour) = (points.collect::<Vec<_>>().join(" "), COLOURS[n]);
        writeln!(
            svg,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        )
        .unwrap();
        if matches!(kind, Kind::Spike | Kind::Drop) {
            for (at, effect) in effects.iter().enumerate() {
                let times = if kind == Kind::Drop { "" } else { " ×" };
                text(&mut svg, x(at), 268.0, "middle", &format!("{effect}{times}"));
            }
        }
        let at = 60.0 + 160.0 * n as f64;
        writeln!(svg, "<line x1=\"{at}\" y1=\"286\" x2=\"{}\" y2=\"286\" stroke=\"{colour}\" stroke-width=\"2\"/>", at + 24.0).unwrap();
        text(&mut svg, at + 30.0, 290.0, "start", kind.as_str());
    }
    svg.push_str("</svg>\n");
    svg
}

//! Plots as SVG, written by hand: bars and words are all that they have, and a library's would not change its
//! colours with the reader's, between a light page and a dark one.

use std::fmt::Write;

use crate::figure::{Figure, digits};

/// In pixels: the page, and its columns for names, bars and numbers.
const WIDTH: f64 = 1040.0;
const BARS_FROM: f64 = 450.0;
const BARS_WIDTH: f64 = 250.0;
const NUMBERS_FROM: f64 = 712.0;
const ROW: f64 = 24.0;
const TOP: f64 = 44.0;

/// The colours of both kinds of page; contrast is at least 4.5 (WCAG 2.2, 1.4.3) for words.
const STYLE: &str = "\
svg{background:#fff}text{font:13px system-ui,sans-serif;fill:#1f2328}.quiet{fill:#59636e}.title{font-weight:600}
.ours{fill:#1a7f64}.limit{fill:#9aa4af}.missed{fill:#bc4c00}.line{stroke:#59636e;stroke-dasharray:4 3}
@media(prefers-color-scheme:dark){svg{background:#0d1117}text{fill:#e6edf3}.quiet{fill:#9198a1}
.ours{fill:#3fb68b}.limit{fill:#59636e}.missed{fill:#f0883e}.line{stroke:#9198a1}}";

/// How far each figure is beyond its goal, which is at the same place for all.
pub(super) fn goals(figures: &[Figure]) -> String {
    /// Where a bar ends that is further beyond its goal, as a multiple of it.
    const MOST: f64 = 2.0;
    let rows: Vec<_> = figures.iter().filter_map(|figure| Some((figure, figure.goal?))).collect();
    let mut plot = Plot::new("Figures next to their goals: a bar that reaches the line meets it", rows.len());
    for (row, (figure, goal)) in rows.iter().enumerate() {
        let value = figure.value();
        let class = if goal.is_met(value) { "ours" } else { "missed" };
        let margin = goal.margin(value);
        let unit = if figure.limit.is_some() { String::new() } else { format!(" {}", figure.unit) };
        let label = format!("{}{unit} (goal {goal}{unit})", digits(value));
        plot.name(row, &figure.name);
        plot.bar(row, 0.0, 1.0, margin.min(MOST) / MOST, class);
        plot.label(row, 0.0, 1.0, &label);
    }
    plot.line(1.0 / MOST, "goal");
    plot.end()
}

/// Each rate and its limit: the longer of the two bars is always as long as there is room for.
pub(super) fn rates(figures: &[Figure]) -> String {
    let rows: Vec<_> = figures.iter().filter_map(|figure| Some((figure, figure.limit.as_ref()?))).collect();
    let mut plot = Plot::new("Ostiary (green) and its limit (grey), in the same run", rows.len());
    for (row, (figure, limit)) in rows.iter().enumerate() {
        let (ours, most) = (figure.ours.median(), limit.measured.median());
        let longest = ours.max(most);
        plot.name(row, &figure.name);
        for (half, value, class, name) in [(0.0, ours, "ours", ""), (0.5, most, "limit", limit.name.as_str())]
        {
            plot.bar(row, half, 0.5, value / longest, class);
            let label = format!("{} {} {name}", digits(value), figure.unit);
            plot.label(row, half, 0.5, label.trim());
        }
    }
    plot.end()
}

/// A plot with a row for each figure.
struct Plot {
    svg: String,
    height: f64,
}

impl Plot {
    #[expect(clippy::cast_precision_loss, reason = "there are few rows")]
    fn new(title: &str, rows: usize) -> Self {
        let height = TOP + ROW * rows as f64 + 16.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
             viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
             <title>{title}</title><style>{STYLE}</style>\n"
        );
        writeln!(svg, "<text class=\"title\" x=\"16\" y=\"24\">{title}</text>").expect(TAKES_ALL);
        Self { svg, height }
    }

    fn name(&mut self, row: usize, name: &str) {
        let (x, y) = (BARS_FROM - 10.0, top(row) + ROW / 2.0 + 4.0);
        self.text(x, y, " text-anchor=\"end\"", name);
    }

    /// A bar of a share (0 to 1) of the room, in the part of the row from `from`, `height` of it.
    fn bar(&mut self, row: usize, from: f64, height: f64, share: f64, class: &str) {
        let (y, height) = (top(row) + 2.0 + from * (ROW - 4.0), height * (ROW - 4.0) - 1.0);
        let width = (share * BARS_WIDTH).max(1.0);
        writeln!(
            self.svg,
            "<rect class=\"{class}\" x=\"{BARS_FROM}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
        )
        .expect(TAKES_ALL);
    }

    fn label(&mut self, row: usize, from: f64, height: f64, label: &str) {
        let y = top(row) + 2.0 + (from + height / 2.0) * (ROW - 4.0) + 4.0;
        let size =
            if height < 1.0 { " class=\"quiet\" style=\"font-size:10px\"" } else { " class=\"quiet\"" };
        self.text(NUMBERS_FROM, y, size, label);
    }

    /// A line at a share of the room, through all rows.
    fn line(&mut self, share: f64, name: &str) {
        let (x, from, to) = (BARS_FROM + share * BARS_WIDTH, TOP - 4.0, self.height - 12.0);
        writeln!(
            self.svg,
            "<line class=\"line\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{from:.1}\" y2=\"{to:.1}\"/>"
        )
        .expect(TAKES_ALL);
        self.text(x, TOP - 8.0, " class=\"quiet\" text-anchor=\"middle\"", name);
    }

    fn text(&mut self, x: f64, y: f64, attributes: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        writeln!(self.svg, "<text x=\"{x:.1}\" y=\"{y:.1}\"{attributes}>{text}</text>").expect(TAKES_ALL);
    }

    fn end(self) -> String {
        self.svg + "</svg>\n"
    }
}

const TAKES_ALL: &str = "a string takes all that is written";

#[expect(clippy::cast_precision_loss, reason = "there are few rows")]
fn top(row: usize) -> f64 {
    TOP + ROW * row as f64
}

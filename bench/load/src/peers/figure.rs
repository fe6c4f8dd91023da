//! What came of a comparison: figures as data, and as a page.

use std::fmt;

use serde::Serialize;

use crate::{figure::digits, turns::Measured};

/// Ostiary beside one peer.
#[derive(Debug, Clone, Serialize)]
pub struct PeerReport {
    /// The peer: `Better Auth`.
    pub name: &'static str,
    /// What both ran on: `PostgreSQL, Argon2id`.
    pub setting: String,
    /// The versions of the peer, of what it is made of, and of what runs it.
    pub version: String,
    /// What its refresh is, next to one that rotates.
    pub refresh: &'static str,
    /// What was measured; nothing if it failed.
    pub figures: Vec<PeerFigure>,
    /// Why it could not be measured.
    pub failure: Option<String>,
}

/// One thing that both did, in turns.
#[derive(Debug, Clone, Serialize)]
pub struct PeerFigure {
    /// What it is: `logins`, `login p99`.
    pub name: String,
    /// What it is counted in: `/s`, `ms`, `MiB`.
    pub unit: &'static str,
    /// What Ostiary gave, turn by turn.
    pub ours: Measured,
    /// What the peer gave, turn by turn.
    pub theirs: Measured,
    /// The least that the ratio is to be, where it is to be anything.
    pub goal: Option<f64>,
}

impl PeerFigure {
    /// The median of Ostiary's turns to that of the peer's.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.ours.median() / self.theirs.median()
    }

    /// Whether the goal is met, if there is one.
    #[must_use]
    pub fn is_met(&self) -> Option<bool> {
        self.goal.map(|least| self.ratio() >= least)
    }

    fn verdict(&self) -> String {
        let verdict = self.is_met().map(|is_met| if is_met { "met" } else { "NOT MET" });
        let goal = self.goal.zip(verdict).map(|(least, verdict)| format!("≥ {least}: {verdict}"));
        goal.unwrap_or_default()
    }
}

/// A part of a page of Markdown: a heading of the third level, and a table.
impl fmt::Display for PeerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, setting, version, refresh, figures, failure } = self;
        writeln!(f, "### {name}\n\n{version}. Both on {setting}. {refresh}\n")?;
        if let Some(failure) = failure {
            return writeln!(f, "Not measured:\n\n```text\n{failure}\n```");
        }
        writeln!(f, "| | Ostiary | {name} | Ostiary ÷ {name} | goal |\n| --- | ---: | ---: | ---: | --- |")?;
        for figure in figures {
            let PeerFigure { name, unit, ours, theirs, .. } = figure;
            let (ours, theirs) = (spread(ours), spread(theirs));
            let (ratio, verdict) = (digits(figure.ratio()), figure.verdict());
            writeln!(f, "| {name}, {unit} | {ours} | {theirs} | {ratio} | {verdict} |")?;
        }
        Ok(())
    }
}

/// The median, and the least and most: `61.20 (60.80 to 61.90)`.
fn spread(turns: &Measured) -> String {
    format!("{} ({} to {})", digits(turns.median()), digits(turns.least()), digits(turns.most()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refreshes(goal: f64) -> PeerFigure {
        PeerFigure {
            name: "refreshes".to_owned(),
            unit: "/s",
            ours: Measured(vec![8000.0, 8100.0, 7000.0]),
            theirs: Measured(vec![1000.4, 990.0, 1010.0]),
            goal: Some(goal),
        }
    }

    #[test]
    fn a_ratio_is_of_medians() {
        assert!((refreshes(8.0).ratio() - 8000.0 / 1000.4).abs() < 1e-9);
        assert_eq!((refreshes(7.9).is_met(), refreshes(8.0).is_met()), (Some(true), Some(false)));
        assert_eq!(PeerFigure { goal: None, ..refreshes(8.0) }.is_met(), None);
    }

    #[test]
    fn a_page_has_a_row_for_each_figure_or_says_why_there_is_none() {
        let report = PeerReport {
            name: "A",
            setting: "SQLite, bcrypt".to_owned(),
            version: "A 1".to_owned(),
            refresh: "It rotates.",
            figures: vec![refreshes(8.0)],
            failure: None,
        };
        let page = report.to_string();
        assert!(page.starts_with("### A\n\nA 1. Both on SQLite, bcrypt. It rotates.\n\n| |"), "{page}");
        let row = "| refreshes, /s | 8000 (7000 to 8100) | 1000 (990.0 to 1010) | 7.997 | ≥ 8: NOT MET |\n";
        assert!(page.ends_with(row), "{page}");
        let failed = PeerReport { failure: Some("no npm".to_owned()), ..report };
        assert!(failed.to_string().ends_with("Not measured:\n\n```text\nno npm\n```\n"));
    }
}

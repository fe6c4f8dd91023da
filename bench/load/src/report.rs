//! All figures of a run, as a page of Markdown with two plots.

mod plot;

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::figure::{Figure, digits};

/// A run, and what it gave.
#[derive(Debug)]
pub struct Report {
    /// The name of its files: the date and the commit.
    pub name: String,
    /// When it began, how long it took, and how many turns of which length it had.
    pub settings: Vec<(&'static str, String)>,
    /// What it was taken on.
    pub machine: Vec<(&'static str, String)>,
    /// The figures, in their order.
    pub figures: Vec<Figure>,
    /// A part of the page that another bench wrote, below the figures.
    pub appendix: String,
}

impl Report {
    /// Writes the page and its plots into `directory`; gives the path of the page.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn write(&self, directory: &Path) -> anyhow::Result<PathBuf> {
        fs::create_dir_all(directory)?;
        let path = |ending: &str| directory.join(format!("{}{ending}", self.name));
        fs::write(path("-rates.svg"), plot::rates(&self.figures))?;
        fs::write(path("-goals.svg"), plot::goals(&self.figures))?;
        fs::write(path(".md"), self.page())?;
        Ok(path(".md"))
    }

    fn page(&self) -> String {
        let Self { name, settings, machine, figures, appendix } = self;
        let figures: String = figures.iter().map(row).collect();
        let taken_on = settings.iter().chain(machine).map(|(what, value)| format!("| {what} | {value} |\n"));
        let taken_on: String = taken_on.collect();
        format!(
            "# Measured: {name}\n\n\
             What the figures mean, and how to repeat them, is in [bench/README.md](../README.md). Medians of turns; \
             ± is how far the largest is from the smallest, as a share of the median.\n\n\
             | | Ostiary | | its limit | | ratio | goal |\n\
             | --- | ---: | ---: | --- | ---: | ---: | --- |\n\
             {figures}\n\
             ![Figures next to their goals]({name}-goals.svg)\n\n\
             ![Rates next to their limits]({name}-rates.svg)\n\n\
             {appendix}\n\
             ## Taken on\n\n| | |\n| --- | --- |\n{taken_on}"
        )
    }
}

fn row(figure: &Figure) -> String {
    let Figure { name, ours, limit, unit, .. } = figure;
    let spread = |measured: &crate::turns::Measured| {
        if measured.0.len() > 1 { format!("± {:.0} %", measured.spread() * 100.0) } else { String::new() }
    };
    let (limit_name, limit, ratio) = match (limit, figure.ratio()) {
        (Some(limit), Some(ratio)) => {
            let rate = format!("{} {unit} {}", digits(limit.measured.median()), spread(&limit.measured));
            (limit.name.as_str(), rate, digits(ratio))
        }
        _ => ("", String::new(), String::new()),
    };
    let verdict = figure.verdict().unwrap_or_default();
    let median = digits(ours.median());
    format!(
        "| {name} | {median} {unit} | {} | {limit_name} | {} | {ratio} | {verdict} |\n",
        spread(ours),
        limit.trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{figure::Goal, turns::Measured};

    fn report() -> Report {
        let rates = |values: &[f64]| Measured(values.to_vec());
        Report {
            name: "2026-11-23-abc1234".to_owned(),
            settings: vec![("turns", "3 of 5 s".to_owned())],
            machine: vec![("cores", "2".to_owned())],
            figures: vec![
                Figure::rate(
                    "login",
                    rates(&[126.0, 128.0, 124.0]),
                    "the hash <alone>",
                    rates(&[130.0, 132.6, 130.0]),
                    Some(Goal::AtLeast(0.95)),
                ),
                Figure::alone("binary", rates(&[14.2]), "MB", None),
            ],
            appendix: "## Peers\n".to_owned(),
        }
    }

    #[test]
    fn a_page_has_each_figure_with_its_limit_its_goal_and_the_machine() {
        let page = report().page();
        for line in [
            "| login | 126.0 /s | ± 3 % | the hash <alone> | 130.0 /s ± 2 % | 0.969 | ≥ 0.95: met |",
            "| binary | 14.20 MB |  |  |  |  |  |",
            "## Peers",
            "| turns | 3 of 5 s |",
            "| cores | 2 |",
        ] {
            assert!(page.lines().any(|other| other == line), "no {line:?} in\n{page}");
        }
    }

    #[test]
    fn a_report_is_a_page_and_two_plots() {
        let directory = tempfile::tempdir().expect("a directory");
        let page = report().write(&directory.path().join("results")).expect("it can be written");
        assert!(page.ends_with("results/2026-11-23-abc1234.md"));
        for plot in ["goals", "rates"] {
            let plot = fs::read_to_string(page.with_file_name(format!("2026-11-23-abc1234-{plot}.svg")))
                .expect("there is a plot");
            assert!(plot.starts_with("<svg "), "{plot}");
            assert!(!plot.contains("<alone>"), "text is escaped: {plot}");
        }
    }
}

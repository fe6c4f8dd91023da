//! A figure: what was measured, next to its limit in the same run, and what their ratio is to be.

use std::fmt;

use crate::turns::Measured;

/// One line of the report.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What was measured: `login, Argon2id, 16 connections`.
    pub name: String,
    /// What Ostiary did.
    pub ours: Measured,
    /// What that is compared with, if it is not a figure by itself.
    pub limit: Option<Limit>,
    /// What all of it is counted in: `/s`, `ms`, `MiB`.
    pub unit: &'static str,
    /// What the ratio is to be; without a limit, what the figure itself is to be.
    pub goal: Option<Goal>,
}

/// What a figure is compared with.
#[derive(Debug, Clone)]
pub struct Limit {
    /// What it is: `the hash function alone`.
    pub name: String,
    /// What it did, in turns with ours.
    pub measured: Measured,
}

/// What a ratio or a figure is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Goal {
    /// How far `value` is beyond the goal, as a factor: 1 is just met, less is not met.
    #[must_use]
    pub fn margin(self, value: f64) -> f64 {
        match self {
            Self::AtLeast(least) => value / least,
            Self::AtMost(most) => most / value,
        }
    }

    /// Whether `value` meets it.
    #[must_use]
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::AtMost(most) => write!(f, "≤ {most}"),
        }
    }
}

impl Figure {
    /// A rate next to its limit.
    #[must_use]
    pub fn rate(name: &str, ours: Measured, limit: &str, measured: Measured, goal: Option<Goal>) -> Self {
        let limit = Limit { name: limit.to_owned(), measured };
        Self { name: name.to_owned(), ours, limit: Some(limit), unit: "/s", goal }
    }

    /// A figure that has no limit.
    #[must_use]
    pub fn alone(name: &str, ours: Measured, unit: &'static str, goal: Option<Goal>) -> Self {
        Self { name: name.to_owned(), ours, limit: None, unit, goal }
    }

    /// The median of ours to the median of the limit, if there is one.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        Some(self.ours.median() / self.limit.as_ref()?.measured.median())
    }

    /// What the goal is held against: the ratio, else the median.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.ratio().unwrap_or_else(|| self.ours.median())
    }

    /// The goal, and whether it is met: `≥ 0.95: met`.
    #[must_use]
    pub fn verdict(&self) -> Option<String> {
        let goal = self.goal?;
        Some(format!("{goal}: {}", if goal.is_met(self.value()) { "met" } else { "NOT MET" }))
    }
}

/// One line of a terminal.
impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, ours, limit, unit, .. } = self;
        let ours = format!("{} {unit}", digits(ours.median()));
        write!(f, "{name:<58} {ours:>12}")?;
        if let (Some(limit), Some(ratio)) = (limit, self.ratio()) {
            let most = format!("{} {unit}", digits(limit.measured.median()));
            write!(f, "  ÷ {most:>12}  = {:>6}", digits(ratio))?;
        }
        self.verdict().map_or(Ok(()), |verdict| write!(f, "  {verdict}"))
    }
}

/// A number with three significant digits or more, and no more places than it needs.
#[must_use]
pub fn digits(value: f64) -> String {
    match value.abs() {
        large if large >= 1000.0 => format!("{value:.0}"),
        large if large >= 100.0 => format!("{value:.1}"),
        large if large >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_for_the_ratio_where_there_is_a_limit() {
        let measured = |value| Measured(vec![value]);
        let login = |goal| Figure::rate("login", measured(96.0), "the hash", measured(100.0), Some(goal));
        assert_eq!(login(Goal::AtLeast(0.95)).verdict().as_deref(), Some("≥ 0.95: met"));
        assert_eq!(login(Goal::AtLeast(0.97)).verdict().as_deref(), Some("≥ 0.97: NOT MET"));
        let memory = Figure::alone("memory", measured(25.0), "MiB", Some(Goal::AtMost(20.0)));
        assert_eq!(memory.verdict().as_deref(), Some("≤ 20: NOT MET"));
        assert!((Goal::AtMost(20.0).margin(25.0) - 0.8).abs() < 1e-9);
        assert!((Goal::AtLeast(2.0).margin(3.0) - 1.5).abs() < 1e-9);
        assert_eq!(Figure::alone("binary", measured(1.0), "MB", None).verdict(), None);
    }

    #[test]
    fn a_number_has_three_digits_that_say_something() {
        let shown = [0.9536, 12.345, 123.45, 12345.6].map(digits);
        assert_eq!(shown, ["0.954", "12.35", "123.5", "12346"].map(String::from));
    }
}

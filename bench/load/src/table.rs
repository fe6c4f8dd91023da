//! Figures in columns, with the goals beside.

use std::fmt;

/// Rows of a name, a figure, and what it is to be.
#[derive(Debug, Default)]
pub struct Table(Vec<[String; 3]>);

impl Table {
    /// Adds a figure without a goal.
    pub fn figure(&mut self, name: &str, value: impl fmt::Display) {
        self.0.push([name.to_owned(), value.to_string(), String::new()]);
    }

    /// Adds a figure with its goal, and whether it is met.
    pub fn goal(&mut self, name: &str, value: impl fmt::Display, goal: &str, is_met: bool) {
        let verdict = if is_met { "met" } else { "NOT MET" };
        self.0.push([name.to_owned(), value.to_string(), format!("{goal}: {verdict}")]);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| self.0.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let (name_width, value_width) = (width(0), width(1));
        for [name, value, goal] in &self.0 {
            let line = format!("{name:<name_width$}  {value:<value_width$}  {goal}");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

//! The page that names all limits says what the settings are.

use std::collections::BTreeMap;

use clap::Args;
use ostiary_server::config::Settings;

const PAGE: &str = include_str!("../../../../../docs/limits.md");

/// The settings of a table whose rows begin with a name and a default in backticks.
fn documented() -> BTreeMap<String, String> {
    let (_, table) = PAGE.split_once("\n## All of them\n").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (name, rest) = row.split_once("` | ").unwrap();
        let default = rest.split(" | ").next().unwrap().trim_matches('`');
        (name.to_owned(), default.to_owned())
    })
    .collect()
}

#[test]
fn every_limit_is_in_its_table_with_its_default() {
    let of_limits = ["Limits on guessing passwords", "Connections"];
    let command = Settings::augment_args(clap::Command::new("ostiary"));
    let settings: BTreeMap<String, String> = command
        .get_arguments()
        .filter_map(|argument| {
            let name = argument.get_env()?.to_str()?;
            let is_limit = argument.get_help_heading().is_some_and(|heading| of_limits.contains(&heading))
                || ["HASH_THREADS", "HASH_DEADLINE", "REDIS_TIMEOUT"].contains(&name);
            let default = argument.get_default_values().first().map(|value| value.to_str().unwrap());
            is_limit.then(|| (name.to_owned(), default.unwrap_or_default().to_owned()))
        })
        .collect();
    let mut documented = documented();
    for (name, without) in [("HASH_THREADS", "a core each"), ("TRUSTED_PROXIES", "none")] {
        assert_eq!(documented.insert(name.to_owned(), String::new()).as_deref(), Some(without));
    }
    assert!(settings.len() >= 20, "{settings:?}");
    assert_eq!(settings, documented);
}

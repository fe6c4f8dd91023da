use clap::{Parser, Subcommand};

use super::*;

#[derive(Debug, PartialEq, Parser)]
#[command(name = "ostiary", subcommand_precedence_over_arg = true)]
struct CommandLine {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, PartialEq, Subcommand)]
enum Action {
    Serve,
    #[command(subcommand)]
    Keys(Keys),
    /// What happened
    Audit {
        #[arg(long)]
        follow: bool,
        #[arg(long, default_value_t = 100)]
        limit: u16,
        #[arg(long = "action", value_name = "NAME")]
        actions: Vec<String>,
    },
}

#[derive(Debug, PartialEq, Subcommand)]
enum Keys {
    List,
    /// Give the key up
    Retire {
        /// As the list has it
        key_id: String,
        #[arg(long)]
        now: bool,
    },
}

/// Of these, the environment of every test's process has a `CARGO_MANIFEST_DIR`.
#[derive(Debug, PartialEq, Args)]
struct Settings {
    /// Port to listen on
    #[arg(long, env = "PORT", default_value_t = 8001, help_heading = "Service")]
    port: u16,
    #[arg(long, env = "GROUPS", default_value = "customer", value_delimiter = ',')]
    groups: Vec<String>,
    #[arg(long, env = "LAX", default_value = "false", default_missing_value = "true",
          num_args = 0..=1, require_equals = true)]
    lax: bool,
    #[arg(long, env = "CARGO_MANIFEST_DIR")]
    secret: Option<String>,
    #[arg(long, env = "ENV_FILE")]
    env_file: Option<String>,
}

const FROM_THE_PROCESS: &str = env!("CARGO_MANIFEST_DIR");

/// Loads a line as a shell would split it, with no file but what `environment` names.
fn load_line(line: &str, environment: &[(&str, &str)]) -> Result<Loaded<CommandLine, Settings>, LoadError> {
    let arguments: Vec<OsString> = format!("ostiary {line}").split_whitespace().map(OsString::from).collect();
    let environment = [("ENV_FILE", "/dev/null")].iter().chain(environment);
    let environment = environment.map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
    load(&arguments, &environment)
}

fn loaded(line: &str, environment: &[(&str, &str)]) -> Loaded<CommandLine, Settings> {
    load_line(line, environment).unwrap_or_else(|error| panic!("{line}: {error:?}"))
}

/// What is printed instead of running the command, and the exit code.
fn refused(line: &str, environment: &[(&str, &str)]) -> (String, i32) {
    match load_line(line, environment) {
        Err(LoadError::CommandLine(error)) => (error.render().to_string(), error.exit_code()),
        other => panic!("{line}: {other:?}"),
    }
}

fn retire(key_id: &str, now: bool) -> Action {
    Action::Keys(Keys::Retire { key_id: key_id.to_owned(), now })
}

#[test]
fn a_setting_may_stand_before_after_and_between_commands_and_their_arguments() {
    for line in [
        "--port 7 --lax keys retire k1 --now",
        "--port=7 keys --lax retire --now k1",
        "keys --lax --port 7 retire k1 --now",
        "keys retire --lax --port 7 k1 --now",
        "keys retire k1 --port=7 --now --lax=true",
        "--port 8 keys --port 9 retire --lax k1 --port 7 --now",
    ] {
        let Loaded { command_line, settings, problems } = loaded(line, &[("PORT", "6")]);
        assert_eq!(command_line.action, Some(retire("k1", true)), "{line}");
        assert_eq!((settings.port, settings.lax), (7, true), "{line}");
        assert!(problems.is_empty(), "{line}: {problems:?}");
    }
}

#[test]
fn own_arguments_may_be_flags_values_lists_and_absent() {
    let audit = |follow, limit, actions: &[&str]| {
        let actions = actions.iter().map(|&action| action.to_owned()).collect();
        Some(Action::Audit { follow, limit, actions })
    };
    for (line, action, groups) in [
        ("", None, &["customer"] as &[_]),
        ("serve --groups a", Some(Action::Serve), &["a"]),
        ("keys list", Some(Action::Keys(Keys::List)), &["customer"]),
        ("audit", audit(false, 100, &[]), &["customer"]),
        (
            "audit --action x --groups a --limit 3 --action=y --groups=b,c --follow",
            audit(true, 3, &["x", "y"]),
            &["a", "b", "c"],
        ),
        ("--groups a,b audit --action x,y", audit(false, 100, &["x,y"]), &["a", "b"]),
        ("keys retire -- --groups=a", Some(retire("--groups=a", false)), &["customer"]),
        ("keys retire list", Some(retire("list", false)), &["customer"]),
    ] {
        let Loaded { command_line, settings, .. } = loaded(line, &[]);
        assert_eq!(command_line.action, action, "{line}");
        assert_eq!(settings.groups, groups, "{line}");
    }
}

#[test]
fn a_command_takes_its_settings_from_the_environment_and_the_file_and_its_own_arguments_from_neither() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "PORT=5\nGROUPS=a,b\nLIMIT=1\n").unwrap();
    let path = file.path().display();
    for line in [format!("--env-file {path} audit"), format!("audit --env-file {path}")] {
        let Loaded { command_line, settings, problems } =
            loaded(&line, &[("GROUPS", "c"), ("LIMIT", "2"), ("FOLLOW", "true")]);
        let audit = Action::Audit { follow: false, limit: 100, actions: Vec::new() };
        assert_eq!(command_line.action, Some(audit), "{line}");
        assert_eq!((settings.port, settings.groups), (5, vec!["c".to_owned()]), "{line}");
        assert_eq!(settings.secret, None, "only the environment that was given is read");
        assert!(problems.is_empty(), "{line}: {problems:?}");
    }
}

#[test]
fn all_bad_values_are_reported_by_name_whatever_the_command() {
    let Loaded { command_line, settings, problems } =
        loaded("--groups=x keys --port y retire k1", &[("LAX", "perhaps"), ("GROUPS", "z")]);
    assert_eq!(command_line.action, Some(retire("k1", false)));
    assert_eq!((settings.port, settings.groups), (8001, vec!["x".to_owned()]));
    let names: Vec<&str> = problems.iter().filter_map(|problem| problem.split(':').next()).collect();
    assert_eq!(names, ["--port", "LAX"], "{problems:?}");
}

#[test]
fn a_wrong_own_argument_is_an_error_of_the_command_line_with_its_usage() {
    for (line, what, usage) in [
        ("keys retire", "<KEY_ID>", "Usage: ostiary keys retire "),
        ("keys retire --secret canary --now", "<KEY_ID>", "Usage: ostiary keys retire "),
        ("keys retire k1 k2", "'k2'", "Usage: ostiary keys retire "),
        ("--port x keys retire k1 --later", "'--later'", "Usage: ostiary keys retire "),
        ("keys list --now", "'--now'", "Usage: ostiary keys list "),
        ("keys retier k1", "'retire'", "Usage: ostiary keys "),
        ("audit --limit x", "'x' for '--limit <LIMIT>'", "--help"),
        ("audit --secret canary --limit", "'--limit <LIMIT>'", "--help"),
    ] {
        let (text, code) = refused(line, &[("PORT", "x")]);
        assert_eq!(code, 2, "{line}");
        assert!(text.contains(what) && text.contains(usage) && !text.contains("canary"), "{line}\n{text}");
    }
}

#[test]
fn help_shows_a_command_s_own_arguments_and_points_to_the_manual_of_the_settings() {
    for line in [
        "keys retire --help",
        "keys retire -h",
        "--port x keys --secret canary retire -h",
        "help keys retire",
    ] {
        let (text, code) = refused(line, &[("PORT", "x")]);
        assert_eq!(code, 0, "{line}");
        for part in ["Give the key up", "<KEY_ID>", "As the list has it", "--now", "`ostiary serve --help`"] {
            assert!(text.contains(part), "{part} is not in {line}\n{text}");
        }
        for part in ["Port to listen on", "--secret", "canary", FROM_THE_PROCESS] {
            assert!(!text.contains(part), "{part} is in {line}\n{text}");
        }
    }
    let (text, code) = refused("keys", &[("PORT", "x")]);
    assert!(code == 2 && text.contains("retire  Give the key up") && text.contains("serve --help"), "{text}");
    let (text, code) = refused("--help", &[("PORT", "x")]);
    assert!(
        code == 0 && text.contains("audit  What happened") && !text.contains("Port to listen on"),
        "{text}"
    );
}

#[test]
fn help_of_serve_is_the_manual_and_shows_no_values() {
    for line in ["serve --help", "serve -h", "help serve", "--secret canary serve --port 9 --help"] {
        let (text, code) = refused(line, &[("PORT", "x")]);
        assert_eq!(code, 0, "{line}");
        for part in
            ["Service:", "Port to listen on", "[env: PORT]", "[default: 8001]", "[env: CARGO_MANIFEST_DIR]"]
        {
            assert!(text.contains(part), "{part} is not in {line}\n{text}");
        }
        for part in ["flags here too", "canary", FROM_THE_PROCESS] {
            assert!(!text.contains(part), "{part} is in {line}\n{text}");
        }
    }
}

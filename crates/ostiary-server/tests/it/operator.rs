//! What operators do from the command line: `ostiary keys`, `ostiary service`, `ostiary audit`.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Output},
};

use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{On, Place, Process, Tokens, command, http_client, registration};

const SECRET_KEY: (&str, &str) = ("SECRET_KEY", "one secret for all of the nodes there are");

/// A database, and the settings that name it.
struct Operated {
    place: Place,
    more: Vec<(&'static str, &'static str)>,
}

impl Operated {
    fn on(on: On, more: &[(&'static str, &'static str)]) -> Self {
        Self {
            place: Place::new(on),
            more: [&[SECRET_KEY, ("LOG_LEVEL", "warn,ostiary_server::cli=info")], more].concat(),
        }
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let named = self.place.settings();
        let settings: Vec<_> = named.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut command = command(self.place.path(), &[&settings[..], &self.more].concat());
        command.args(arguments);
        command
    }

    /// The code, the standard output and the standard error.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }

    fn good(&self, arguments: &[&str]) -> String {
        let (code, out, err) = self.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {out}{err}");
        out
    }

    fn bad(&self, arguments: &[&str]) -> String {
        let (code, out, err) = self.run(arguments);
        assert!(code != 0 && out.is_empty(), "{arguments:?}: {code} {out}");
        err
    }

    fn serve(&self) -> Process {
        let named = self.place.settings();
        let settings: Vec<_> = named.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Process::start(self.place.path(), &[&settings[..], &self.more].concat())
    }

    /// The events that the trail has, as `ostiary audit --json` prints them.
    fn events(&self, arguments: &[&str]) -> Vec<Value> {
        let out = self.good(&[&["audit", "--json"], arguments].concat());
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn actions(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["action"].as_str().unwrap()).collect()
}

async fn register(process: &Process, username: &str) -> Tokens {
    let request = http_client().post(process.url("/api/v1/auth/register")).json(&registration(username));
    Tokens::from(request.send().await.unwrap()).await
}

async fn log_in_wrongly(process: &Process, login: &str) {
    let body = json!({ "login": login, "password": "a wrong horse" });
    let answer = http_client().post(process.url("/api/v1/auth/login")).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 401);
}

#[rstest]
#[test]
fn keys_are_listed_rotated_and_retired(#[values(On::Sqlite, On::Postgres)] on: On) {
    let operated = Operated::on(on, &[("JWT_SECRET_KEY", "")]);
    operated.serve().kill();
    let rows = |out: &str| -> Vec<(String, String)> {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        out.lines().skip(1).map(words).map(|row| (row[0].clone(), row[4].clone())).collect()
    };
    let [(state, first)] = &rows(&operated.good(&["keys", "list"]))[..] else { panic!("one key") };
    assert_eq!(state, "active");
    let refused = operated.bad(&["keys", "retire", first]);
    assert!(refused.contains("this key signs now: run `ostiary keys rotate --now` first"), "{refused}");

    let rotated = operated.good(&["keys", "rotate"]);
    assert!(
        rotated.contains("It signs from 20") && rotated.contains("when every verifier can know it"),
        "{rotated}"
    );
    let rotated = operated.good(&["keys", "rotate", "--now"]);
    assert!(rotated.contains("It signs from now on") && rotated.contains("within 300 s"), "{rotated}");
    let listed = rows(&operated.good(&["keys", "list"]));
    let states: Vec<_> = listed.iter().map(|(state, _)| state.as_str()).collect();
    assert_eq!(states, ["retired", "active", "next"]);

    let retired = operated.good(&["keys", "retire", first]);
    assert!(retired.contains("within 5 s every server refuses its tokens"), "{retired}");
    assert_eq!(rows(&operated.good(&["keys", "list"])).len(), 2);
    let unknown = operated.bad(&["keys", "retire", first]);
    assert!(unknown.contains("there is no key") && unknown.contains("ostiary keys list"), "{unknown}");
    let hyphen = operated.bad(&["keys", "retire", "-hyphens-begin-some-names"]);
    assert!(hyphen.contains(r#"there is no key "-hyphens-begin-some-names""#), "{hyphen}");
    let events = operated.events(&["--action", "signing_key_rotated", "--action", "signing_key_retired"]);
    assert_eq!(actions(&events), ["signing_key_rotated", "signing_key_rotated", "signing_key_retired"]);
    assert_eq!((&events[2]["subject"], &events[2]["actor"]), (&json!(first), &json!("operator")));
}

/// The key of the algorithm of before signs until the new one does.
#[rstest]
#[test]
fn the_last_key_that_signs_is_not_retired(#[values(On::Sqlite, On::Postgres)] on: On) {
    let mut operated = Operated::on(on, &[("JWT_SECRET_KEY", "")]);
    operated.serve().kill();
    operated.more.push(("JWT_ALGORITHM", "ES256"));
    operated.serve().kill();
    let listed = operated.good(&["keys", "list"]);
    let signing = listed.lines().find(|line| line.contains("EdDSA")).unwrap();
    let refused = operated.bad(&["keys", "retire", signing.split_whitespace().last().unwrap()]);
    assert!(refused.contains("no other key signs yet"), "{refused}");
}

#[rstest]
#[test]
fn a_shared_secret_is_rotated_by_its_setting_alone(#[values(On::Sqlite, On::Postgres)] on: On) {
    let operated = Operated::on(on, &[]);
    operated.serve().kill();
    let refused = operated.bad(&["keys", "rotate"]);
    assert!(refused.contains("JWT_SECRET_KEY, which only you can change"), "{refused}");
    let listed = operated.good(&["keys", "list"]);
    let key = listed.lines().nth(1).unwrap().split_whitespace().last().unwrap().to_owned();
    assert!(key.starts_with("hs256-"), "{listed}");
    let refused = operated.bad(&["keys", "retire", &key]);
    assert!(refused.contains("set another secret"), "{refused}");
}

#[rstest]
#[tokio::test]
async fn a_service_has_a_credential_until_it_is_withdrawn(
    #[values(On::Sqlite, On::Postgres, On::Adopted)] on: On,
) {
    let operated = Operated::on(on, &[]);
    let process = operated.serve();
    let empty = operated.good(&["service", "list"]);
    assert!(empty.contains("`ostiary service create NAME` makes one"), "{empty}");
    let (code, out, err) = operated.run(&["service", "create", "billing"]);
    assert_eq!(code, 0, "{err}");
    let credential = out.trim();
    assert!(credential.starts_with("osc_") && out.lines().count() == 1, "alone, for a script: {out}");
    assert!(err.contains("shown once") && !err.contains(credential), "{err}");

    let introspect = async || {
        let request = http_client().post(process.url("/api/v1/auth/introspect"));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body("token=x");
        request.basic_auth("billing", Some(credential)).send().await.unwrap().status()
    };
    assert_eq!(introspect().await, 200);
    let listed = operated.good(&["service", "list"]);
    assert!(listed.contains("billing") && !listed.contains(credential), "{listed}");
    let id = listed.lines().nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let again = operated.good(&["service", "create", "billing"]);
    assert_ne!(again.trim(), credential, "one can take the place of another without a break");
    assert!(operated.good(&["service", "revoke", &id]).contains("withdrawn"));
    assert_eq!(introspect().await, 401);
    assert!(operated.bad(&["service", "revoke", &id]).contains("there is no credential"));
    assert!(operated.bad(&["service", "revoke", "x"]).contains("not an id"));
    assert!(operated.bad(&["service", "create", "a b"]).contains("a service is named by"));
    let events = operated.events(&[]);
    assert!(
        actions(&events).ends_with(&["service_credential_created", "service_credential_revoked"]),
        "{events:?}"
    );
    let kept = operated.place.everything();
    assert!(!kept.windows(credential.len()).any(|window| window == credential.as_bytes()));
    process.kill();
}

#[rstest]
#[tokio::test]
async fn the_trail_is_printed_for_people_and_for_programs(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let operated = Operated::on(on, &[]);
    let process = operated.serve();
    let anna = register(&process, "anna").await;
    register(&process, "boris").await;
    log_in_wrongly(&process, "anna").await;
    log_in_wrongly(&process, "nobody of that name").await;
    let events = operated.events(&[]);
    assert_eq!(
        actions(&events),
        [
            "signing_key_created",
            "user_registered",
            "user_registered",
            "user_login_failed",
            "user_login_failed"
        ]
    );
    let (known, unknown) = (&events[3], &events[4]);
    assert_eq!((&known["actor"], &known["user_id"]), (&json!("anyone"), &events[1]["user_id"]));
    assert_eq!((&unknown["user_id"], &unknown["address"]), (&Value::Null, &json!("127.0.0.1")));
    let printed = operated.good(&["audit"]);
    assert!(
        !printed.contains("nobody of that name") && !printed.contains("horse"),
        "what was typed is not kept"
    );
    assert!(!printed.contains('\u{1b}') && printed.lines().count() == 5, "{printed}");
    assert!(
        printed.lines().nth(3).unwrap().contains("user_login_failed          by=anyone user="),
        "{printed}"
    );

    let claims = base64::Engine::decode(
        &base64::prelude::BASE64_URL_SAFE_NO_PAD,
        anna.access.split('.').nth(1).unwrap(),
    );
    let claims: Value = serde_json::from_slice(&claims.unwrap()).unwrap();
    let about_anna = operated.events(&["--user", claims["sub"].as_str().unwrap()]);
    assert_eq!(actions(&about_anna), ["user_registered", "user_login_failed"]);
    assert_eq!(about_anna[0]["session_id"], claims["sid"]);
    assert_eq!(actions(&operated.events(&["-n", "1"])), ["user_login_failed"], "the newest");
    assert_eq!(operated.events(&["--since", "1h"]).len(), 5);
    assert!(operated.events(&["--since", "2040-01-01T00:00:00Z"]).is_empty());
    for (arguments, said) in [
        (["audit", "--action", "nothing"], "user_login_failed"),
        (["audit", "--since", "yesterday"], "not a time such as"),
        (["audit", "--user", "anna"], "not the id of a user"),
    ] {
        let (code, _, err) = operated.run(&arguments);
        assert!(code == 2 && err.contains(said), "{arguments:?}: {err}");
    }
    process.kill();
}

#[rstest]
#[tokio::test]
async fn a_command_with_other_settings_than_the_servers_makes_nothing(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let operated = Operated::on(on, &[]);
    operated.serve().kill();
    let with = |more: &[(&str, &str)], arguments: &[&str]| {
        let output = operated.command(arguments).envs(more.iter().copied()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, error) = with(&[("JWT_SECRET_KEY", "")], &["keys", "rotate"]);
    assert!(code == Some(1) && error.contains("no server has signed with EdDSA yet"), "{error}");
    let (code, error) =
        with(&[("SECRET_KEY", "another secret than the one of the servers")], &["service", "create", "x"]);
    assert!(code == Some(1) && error.contains("is used with another secret"), "{error}");
    let (code, error) = with(&[("JWT_SECRET_KEY", ""), ("SECRET_KEY", "")], &["service", "create", "x"]);
    assert!(code == Some(1) && error.contains("give the same SECRET_KEY"), "{error}");
    assert_eq!(actions(&operated.events(&[])), ["signing_key_created"]);
}

/// A command that follows, killed with the test.
struct Following(Child);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[rstest]
#[tokio::test]
async fn the_trail_is_followed(#[values(On::Sqlite, On::Postgres)] on: On) {
    let operated = Operated::on(on, &[]);
    let process = operated.serve();
    register(&process, "anna").await;
    let follow = ["audit", "--follow", "--json", "--limit", "1"];
    let mut following = Following(operated.command(&follow).spawn().unwrap());
    let mut lines = BufReader::new(following.0.stdout.take().unwrap()).lines();
    let mut next = || -> String {
        let event: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        event["action"].as_str().unwrap().to_owned()
    };
    assert_eq!(next(), "user_registered", "the last, and none of before");
    for _ in 0..3 {
        log_in_wrongly(&process, "anna").await;
        assert_eq!(next(), "user_login_failed", "each once");
    }
    process.kill();
}

#[test]
fn a_command_that_looks_after_a_database_makes_none() {
    let directory = TempDir::new().unwrap();
    for arguments in [
        &["keys", "list"][..],
        &["keys", "rotate"],
        &["service", "list"],
        &["service", "create", "x"],
        &["audit"],
    ] {
        let output = command(directory.path(), &[]).args(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(
            error.contains("there is no database at") && error.contains("set DATA_DIR or DATABASE_URL"),
            "{error}"
        );
        assert!(!directory.path().join("data").exists());
    }
}

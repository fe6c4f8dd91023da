//! The binary from outside: settings, commands, and what it says when it cannot start.

use std::{
    fs,
    io::BufRead,
    net::TcpListener,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::Output,
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::{Process, Tokens, command, http_client, registration};

/// Runs the binary to its end: exit code, standard output and standard error.
fn run(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> (i32, String, String) {
    said(&command(directory, environment).args(arguments).output().unwrap())
}

fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_first_start_needs_no_settings_and_makes_everything_for_its_owner_alone() {
    let directory = TempDir::new().unwrap();
    let process = Process::start(directory.path(), &[("JWT_SECRET_KEY", "")]);
    let data = directory.path().join("data");
    assert_eq!(mode(&data), 0o700);
    for file in ["ostiary.db", "secret.key"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    let secret = fs::read_to_string(data.join("secret.key")).unwrap();
    process.kill();
    let names: Vec<_> = fs::read_dir(&data).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(
        names.iter().all(|name| name == "secret.key" || name.to_str().unwrap().starts_with("ostiary.db")),
        "{names:?}"
    );
    Process::start(directory.path(), &[("JWT_SECRET_KEY", "")]).kill();
    assert_eq!(fs::read_to_string(data.join("secret.key")).unwrap(), secret, "the second start keeps it");
}

/// Servers that start at once on an empty directory agree on one secret, one key and one database.
#[tokio::test]
async fn servers_that_start_at_once_on_one_directory_agree() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().to_owned();
    let starting: Vec<_> = (0..4)
        .map(|_| {
            let path = path.clone();
            std::thread::spawn(move || Process::start(&path, &[("JWT_SECRET_KEY", "")]))
        })
        .collect();
    let servers: Vec<Process> = starting.into_iter().map(|thread| thread.join().unwrap()).collect();
    let http = http_client();
    let registered = http.post(servers[0].url("/api/v1/auth/register")).json(&registration("anna")).send();
    let mut token = Tokens::from(registered.await.unwrap()).await.refresh;
    let mut keys = Vec::new();
    for server in &servers {
        let body = serde_json::json!({ "refresh_token": token });
        let answer = http.post(server.url("/api/v1/auth/refresh")).json(&body).send().await.unwrap();
        token = Tokens::from(answer).await.refresh;
        keys.push(http.get(server.url("/.well-known/jwks.json")).send().await.unwrap().text().await.unwrap());
    }
    keys.dedup();
    assert_eq!(keys.len(), 1);
    servers.into_iter().for_each(Process::kill);
    let names: Vec<_> =
        fs::read_dir(path.join("data")).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(
        names.iter().filter(|name| name.to_str().unwrap().starts_with("secret.key")).count(),
        1,
        "{names:?}"
    );
}

#[test]
fn all_bad_values_are_reported_at_once_and_no_secret_is_repeated() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join(".env"), "PASSWORD_MIN_LENGTH=7\nLOG_FORMAT=pretty\n").unwrap();
    let (code, out, err) = run(
        directory.path(),
        &["serve", "--refresh-grace-seconds", "61"],
        &[
            ("PORT", "70000"),
            ("ACCESS_TOKEN_EXPIRE_MINUTES", "soon"),
            ("DEFAULT_REGION", "ZZ"),
            ("HEADER_TIMEOUT", "-1"),
            ("REGISTRATION_GROUPS", "a,,b"),
        ],
    );
    assert_eq!((code, out.as_str()), (2, ""));
    for name in [
        "PORT",
        "ACCESS_TOKEN_EXPIRE_MINUTES",
        "DEFAULT_REGION",
        "HEADER_TIMEOUT",
        "REGISTRATION_GROUPS",
        "PASSWORD_MIN_LENGTH",
        "LOG_FORMAT",
        "--refresh-grace-seconds",
    ] {
        assert!(err.contains(&format!("- {name}: ")), "{name} is not in\n{err}");
    }
    assert!(err.starts_with("ostiary: 8 settings cannot be used:"), "{err}");
    assert!(!directory.path().join("data").exists(), "nothing was made");

    let contradictions = [
        ("JWT_SECRET_KEY", "tooshortsecret"),
        ("SECRET_KEY", "shortsecret2"),
        ("POSTGRES_HOST", "db"),
        ("DATABASE_URL", "postgres://anna:hidden@host/db"),
        ("PORT", "x"),
    ];
    let (code, _, err) = run(directory.path(), &["--env-file", "/dev/null"], &contradictions);
    assert_eq!(code, 2);
    for part in [
        "JWT_SECRET_KEY",
        "ALLOW_SHORT_JWT_SECRET=true",
        "SECRET_KEY cannot",
        "DATABASE_URL and POSTGRES_HOST",
        "PORT: ",
        "14 bytes",
        "12 bytes",
    ] {
        assert!(err.contains(part), "{part} is not in\n{err}");
    }
    assert!(!err.contains("hidden") && !err.contains("tooshort") && !err.contains("shortsecret2"), "{err}");
}

#[test]
fn a_short_secret_is_accepted_only_when_told_to() {
    let directory = TempDir::new().unwrap();
    let short = [("JWT_SECRET_KEY", "secret"), ("ALLOW_SHORT_JWT_SECRET", "true")];
    Process::start(directory.path(), &short).kill();
    let (code, _, err) = run(directory.path(), &["serve"], &short[..1]);
    assert_eq!(code, 2, "{err}");
    let short_for_nothing_but_keys = [short[0], ("JWT_ALGORITHM", "EdDSA")];
    let (code, _, err) = run(directory.path(), &["serve"], &short_for_nothing_but_keys);
    assert!(code == 2 && err.contains("JWT_SECRET_KEY cannot be used"), "{err}");
    let (code, _, err) = run(directory.path(), &[], &[("JWT_SECRET_KEY", ""), ("JWT_ALGORITHM", "HS256")]);
    assert!(code == 2 && err.contains("needs JWT_SECRET_KEY"), "{err}");
}

#[test]
fn flags_go_before_the_environment_and_that_before_the_file() {
    let directory = TempDir::new().unwrap();
    fs::write(
        directory.path().join(".env"),
        "ACCESS_TOKEN_EXPIRE_MINUTES=1\nREFRESH_TOKEN_EXPIRE_DAYS=2\nREFRESH_GRACE_SECONDS=3\n",
    )
    .unwrap();
    let environment = [("REFRESH_TOKEN_EXPIRE_DAYS", "5"), ("REFRESH_GRACE_SECONDS", "6")];
    let (code, out, _) = run(directory.path(), &["doctor", "--refresh-grace-seconds=9"], &environment);
    assert!(out.contains("access token 1 min, session 5 days, grace 9 s"), "{code} {out}");
    fs::write(directory.path().join("other"), "ACCESS_TOKEN_EXPIRE_MINUTES=7\n").unwrap();
    let (_, out, _) = run(directory.path(), &["doctor"], &[("ENV_FILE", "other")]);
    assert!(out.contains("access token 7 min"), "{out}");
    let (code, _, err) = run(directory.path(), &["doctor"], &[("ENV_FILE", "nowhere")]);
    assert!(code == 2 && err.contains("nowhere"), "{err}");
    fs::write(directory.path().join("bad"), "JWT_SECRET_KEY='canary-of-a-secret\n").unwrap();
    let (code, _, err) = run(directory.path(), &["doctor"], &[("ENV_FILE", "bad")]);
    assert!(code == 2 && err.contains("NAME=VALUE") && !err.contains("canary"), "{err}");
}

#[test]
fn help_is_the_manual_and_shows_no_values() {
    let directory = TempDir::new().unwrap();
    let (code, out, _) =
        run(directory.path(), &["serve", "--help"], &[("SECRET_KEY", "canary-canary-canary-canary-canary")]);
    assert_eq!(code, 0);
    for name in [
        "POSTGRES_USER",
        "POSTGRES_PASSWORD",
        "POSTGRES_HOST",
        "POSTGRES_PORT",
        "POSTGRES_DB",
        "REDIS_HOST",
        "REDIS_PORT",
        "REDIS_DB",
        "JWT_SECRET_KEY",
        "JWT_ALGORITHM",
        "ACCESS_TOKEN_EXPIRE_MINUTES",
        "REFRESH_TOKEN_EXPIRE_DAYS",
        "HOST",
        "PORT",
        "DATA_DIR",
        "ENV_FILE",
        "SECRET_KEY",
        "PASSWORD_MIN_SCORE",
        "REGISTRATION_GROUPS",
    ] {
        assert!(out.contains(&format!("[env: {name}")), "{name}");
    }
    assert!(!out.contains("canary"));
    let (code, _, err) = run(directory.path(), &["serve", "--prot", "1"], &[]);
    assert!(code == 2 && err.contains("--port"), "{err}");
    assert_eq!(run(directory.path(), &["--version"], &[]).0, 0);
}

#[test]
fn doctor_says_what_is_there_without_secrets_and_makes_nothing() {
    let directory = TempDir::new().unwrap();
    let environment = [("JWT_SECRET_KEY", "canary-canary-canary-canary-canary")];
    let (code, out, err) = run(directory.path(), &["doctor"], &environment);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("none yet, made on the first start") && out.contains("HS256"), "{out}");
    assert!(!directory.path().join("data").exists());
    Process::start(directory.path(), &environment).kill();
    let (code, out, err) = run(directory.path(), &["doctor"], &environment);
    assert!(code == 0 && out.contains("schema 5 of 5, 0 users, 0 sessions"), "{out}{err}");
    assert!(!out.contains("canary") && !err.contains("canary"));
    assert!(!out.contains('\u{1b}'), "no colour in a pipe");
    fs::write(directory.path().join("data/ostiary.db"), "x".repeat(5000)).unwrap();
    let (code, out, _) = run(directory.path(), &["doctor"], &environment);
    assert!(code == 1 && out.contains("BAD database"), "{out}");
}

#[test]
fn openapi_prints_the_document() {
    let directory = TempDir::new().unwrap();
    let (code, out, _) = run(directory.path(), &["openapi"], &[]);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &document["info"]["title"]), (0, &"Auth Service".into()));
}

#[test]
fn a_port_in_use_is_named_and_nothing_is_made() {
    let directory = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, _, err) = run(directory.path(), &[], &[("PORT", &port)]);
    assert_eq!(code, 1);
    assert!(err.contains(&format!("port {port} is in use")) && err.contains("PORT"), "{err}");
    assert!(!directory.path().join("data").exists());
}

#[test]
fn a_secret_file_that_others_can_read_is_refused_with_the_remedy() {
    let directory = TempDir::new().unwrap();
    Process::start(directory.path(), &[("JWT_SECRET_KEY", "")]).kill();
    let file = directory.path().join("data/secret.key");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, _, err) = run(directory.path(), &[], &[("JWT_SECRET_KEY", "")]);
    assert!(code == 1 && err.contains("chmod 600"), "{err}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&file, "short").unwrap();
    let (code, _, err) = run(directory.path(), &[], &[("JWT_SECRET_KEY", "")]);
    assert!(code == 1 && err.contains("5 bytes"), "{err}");
    fs::write(&file, "another secret than the database was made with").unwrap();
    let (code, _, err) = run(directory.path(), &[], &[("JWT_SECRET_KEY", "")]);
    assert!(code == 1 && err.contains("another server's secret"), "{err}");
}

/// As root there is no directory that cannot be written, so the server runs as somebody else there.
#[test]
fn a_directory_that_cannot_be_written_is_named_with_the_remedy() {
    let directory = TempDir::new().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let binary = directory.path().join("ostiary");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_ostiary"), &binary).unwrap();
    fs::create_dir(directory.path().join("data")).unwrap();
    fs::set_permissions(directory.path().join("data"), fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = std::process::Command::new(&binary);
    command.env_clear().env("PORT", "0").env("HOST", "127.0.0.1").current_dir(directory.path());
    if rustix::process::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    let (code, _, err) = said(&command.output().unwrap());
    fs::set_permissions(directory.path().join("data"), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(code == 1 && err.contains("data/ostiary.db") && err.contains("DATA_DIR"), "{err}");
    assert_eq!(fs::read_dir(directory.path().join("data")).unwrap().count(), 0, "nothing half made");
}

#[test]
fn both_signals_end_it_with_success_and_it_says_so() {
    for signal in [Signal::TERM, Signal::INT] {
        let directory = TempDir::new().unwrap();
        let (code, log) = Process::start(directory.path(), &[]).end_by(signal);
        assert_eq!(code, Some(0));
        assert!(log.contains("stopping") && log.contains("\"stopped\""), "{log}");
    }
}

#[test]
fn lines_for_people_are_for_people_and_json_is_json() {
    let directory = TempDir::new().unwrap();
    let mut child = command(directory.path(), &[("LOG_FORMAT", "text")]).spawn().unwrap();
    let mut log = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut lines = Vec::new();
    while !lines.iter().any(|line: &String| line.contains("Ctrl-C")) {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "{lines:?}");
        lines.push(line);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let text = lines.concat();
    for part in ["Ostiary", "ready", "/api/v1/auth", "/docs", "data/ostiary.db"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "no colour in a pipe");
}

/// The log of a failed request names its cause and the request, and nothing that a user sent.
#[tokio::test]
async fn a_failure_of_the_store_is_logged_with_its_cause_and_without_the_request() {
    let directory = TempDir::new().unwrap();
    let process = Process::start(directory.path(), &[("LOG_LEVEL", "trace")]);
    let database = rusqlite::Connection::open(directory.path().join("data/ostiary.db")).unwrap();
    let fault =
        "create trigger fault before insert on users begin select raise(abort, 'injected fault'); end";
    database.execute_batch(fault).unwrap();
    let mut body = registration("canary-name");
    body["password"] = "canary-password".into();
    body["phone"] = "+7 916 555-44-33".into();
    let http = http_client();
    let answer =
        http.post(process.url("/api/v1/auth/register")).header("x-request-id", "the-request").json(&body);
    let answer = answer.send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.text().await.unwrap().as_str()),
        (500, r#"{"detail":"Internal Server Error"}"#)
    );
    database.execute_batch("drop trigger fault").unwrap();
    let registered = http.post(process.url("/api/v1/auth/register")).json(&body).send().await.unwrap();
    let token = Tokens::from(registered).await.refresh;
    let wrong = serde_json::json!({ "login": "canary-name", "password": "canary-wrong" });
    http.post(process.url("/api/v1/auth/login")).json(&wrong).send().await.unwrap();
    let (_, log) = process.end_by(Signal::TERM);
    assert!(log.contains("injected fault") && log.contains("the-request"), "{log}");
    for secret in ["canary", "5554433", "555-44-33", &token, &token[4..]] {
        assert!(!log.contains(secret), "{secret} is in\n{log}");
    }
}

/// A disk that is full at the start: the message says so, and what is made later is sound. As root, who
/// may mount; elsewhere the store's own test of a full disk stands alone.
#[test]
#[expect(clippy::print_stderr, reason = "a test that cannot run here says so")]
fn a_disk_that_is_full_at_the_start_is_named_with_the_remedy() {
    let directory = TempDir::new().unwrap();
    let disk = directory.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mount = |options: &str| {
        let arguments = ["-t", "tmpfs", "-o", options, "tmpfs", disk.to_str().unwrap()];
        std::process::Command::new("mount")
            .args(arguments)
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if !mount("size=64k") {
        eprintln!("IGNORED: this user may not mount a file system");
        return;
    }
    fs::write(disk.join("ballast"), vec![0; 60 * 1024]).unwrap();
    let data = disk.join("data");
    let settings = [("DATA_DIR", data.to_str().unwrap())];
    let (code, _, full) = run(directory.path(), &[], &settings);
    fs::remove_file(disk.join("ballast")).unwrap();
    let remounted = mount("remount,size=8m");
    if remounted {
        Process::start(directory.path(), &settings).kill();
    }
    std::process::Command::new("umount").arg(&disk).status().unwrap();
    assert!(code == 1 && full.contains("free space on its volume"), "{full}");
    assert!(remounted);
}

/// One start with the secret forgotten must not make another, which would end every session for good.
#[tokio::test]
async fn a_start_without_the_secret_that_the_database_was_used_with_is_refused_and_makes_none() {
    let directory = TempDir::new().unwrap();
    let process = Process::start(directory.path(), &[]);
    let http = http_client();
    let registered = http.post(process.url("/api/v1/auth/register")).json(&registration("anna")).send();
    let token = Tokens::from(registered.await.unwrap()).await.refresh;
    process.kill();
    let (code, _, err) = run(directory.path(), &[], &[("JWT_SECRET_KEY", "")]);
    assert!(code == 1 && err.contains("secret that is not set now"), "{err}");
    assert!(!directory.path().join("data/secret.key").exists());
    let process = Process::start(directory.path(), &[]);
    let body = serde_json::json!({ "refresh_token": token });
    let answer = http.post(process.url("/api/v1/auth/refresh")).json(&body).send().await.unwrap();
    Tokens::from(answer).await;
    process.kill();
}

#[test]
fn a_list_may_be_given_piece_by_piece_and_a_value_must_be_unicode() {
    let directory = TempDir::new().unwrap();
    let groups = ["doctor", "--registration-groups", "customer", "--registration-groups=courier,admin"];
    let (_, out, _) = run(directory.path(), &groups, &[]);
    assert!(out.contains("open to registration: customer, courier, admin"), "{out}");
    let not_unicode = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"caf\xe9");
    let mut command = command(directory.path(), &[]);
    let (code, _, err) = said(&command.arg("doctor").env("DATA_DIR", not_unicode).output().unwrap());
    assert!(code == 2 && err.contains("DATA_DIR: not Unicode"), "{err}");
}

#[test]
fn a_start_with_another_secret_says_that_all_sessions_have_ended() {
    let directory = TempDir::new().unwrap();
    Process::start(directory.path(), &[]).kill();
    let other = [("JWT_SECRET_KEY", "another secret of at least thirty-two bytes"), ("HOST", "127.0.0.1")];
    let mut child = command(directory.path(), &other).spawn().unwrap();
    let log = std::io::BufReader::new(child.stderr.take().unwrap());
    let lines: Vec<String> = log.lines().take(2).map(Result::unwrap).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(lines[0].contains("WARN") && lines[0].contains("all earlier sessions have ended"), "{lines:?}");
    assert!(lines[1].contains("ready"), "{lines:?}");
    Process::start(directory.path(), &other).kill();
}

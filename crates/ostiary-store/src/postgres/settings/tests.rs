use super::{
    parameters::{NOT_TEXT, STRAY_AT},
    *,
};

fn settings(url: &str) -> PostgresSettings {
    PostgresSettings::from_url(url).unwrap()
}

fn error(url: &str) -> SettingsError {
    PostgresSettings::from_url(url).unwrap_err()
}

#[test]
fn a_url_names_everything() {
    let settings = settings(
        "postgresql://us%40er:p%2Fa%25ss'\\ @db.example:5433/my%20db?sslmode=verify-full&\
         sslrootcert=%2Fca%20x.pem&sslcert=/c.pem&sslkey=/k.pem&application_name=it&connect_timeout=7&\
         keepalives_count=9&tcp_user_timeout=1500&target_session_attrs=read-write",
    );
    assert_eq!(settings.user(), "us@er");
    assert_eq!(settings.config.get_password(), Some(r"p/a%ss'\ ".as_bytes()));
    assert_eq!(settings.describe(), "db.example:5433/my db");
    assert_eq!(settings.config.get_application_name(), Some("it"));
    assert_eq!(settings.config.get_connect_timeout(), Some(&Duration::from_secs(7)));
    assert_eq!(settings.config.get_keepalives_retries(), Some(9));
    assert_eq!(settings.config.get_tcp_user_timeout(), Some(&Duration::from_millis(1500)));
    let ssl = SslSettings {
        mode: SslMode::VerifyFull,
        root_cert: Some("/ca x.pem".into()),
        cert: Some("/c.pem".into()),
        key: Some("/k.pem".into()),
    };
    assert_eq!(settings.ssl, ssl);
}

#[test]
fn what_a_url_leaves_out_has_a_default() {
    let settings = settings("postgres://");
    assert_eq!((settings.user(), settings.database()), ("postgres", "postgres"));
    assert_eq!(settings.describe(), "localhost:5432/postgres");
    assert_eq!(settings.config.get_password(), None);
    assert_eq!(settings.config.get_application_name(), Some("ostiary"));
    assert_eq!(settings.config.get_connect_timeout(), Some(&Duration::from_secs(2)));
    assert_eq!(settings.config.get_tcp_user_timeout(), Some(&Duration::from_secs(10)));
    assert_eq!(settings.config.get_keepalives_idle(), Duration::from_secs(10));
    assert_eq!(settings.config.get_keepalives_interval(), Some(Duration::from_secs(5)));
    assert_eq!(settings.config.get_keepalives_retries(), Some(3));
    assert_eq!(settings.ssl, SslSettings::default());
    assert_eq!(settings.pool, PoolSize { least: 10, most: 20 });
    assert_eq!(settings.prepared, PreparedStatements::Auto);
    assert_eq!(PostgresSettings::from_url("postgres://ann@db").unwrap().database(), "ann");
}

#[test]
fn servers_are_described_without_secrets() {
    for (url, description) in [
        ("postgres://u:p@one,two:5433/d", "one:5432,two:5433/d"),
        ("postgres://u:p@[::1]:7/d", "[::1]:7/d"),
        ("postgres://%2Frun%2Fpostgresql/d", "/run/postgresql:5432/d"),
        ("postgres:///d?host=/run/postgresql&port=6", "/run/postgresql:6/d"),
        ("postgres://one/d?host=two", "two:5432/d"),
        ("postgres:///d?user=a@b", "localhost:5432/d"),
        ("postgres://:5433/d", "localhost:5433/d"),
        ("postgres:///d?hostaddr=127.0.0.1", "127.0.0.1:5432/d"),
        ("postgres://u:p/w@one/d", "one:5432/d"),
        ("postgres://u:p?w@one/d", "one:5432/d"),
        ("host=one,two port=6 dbname='my d' user = u password='it\\'s'", "one:6,two:6/my d"),
    ] {
        assert_eq!(settings(url).describe(), description, "{url}");
    }
}

#[test]
fn words_are_read_as_well() {
    let settings =
        settings(r"host=/run user=u password='it\'s \\ a' sslmode=require dbname=d\ e application_name=''");
    assert_eq!(settings.config.get_password(), Some(r"it's \ a".as_bytes()));
    assert_eq!(settings.describe(), "/run:5432/d e");
    assert_eq!(settings.ssl.mode, SslMode::Require);
    assert_eq!(settings.config.get_application_name(), Some("ostiary"));
}

#[test]
fn parts_have_defaults_and_any_signs() {
    let none =
        PostgresParts { host: None, port: 5432, user: None, password: None, database: Some(String::new()) };
    let settings = PostgresSettings::from_parts(none);
    assert_eq!((settings.user(), settings.database()), ("postgres", "postgres"));
    assert_eq!(settings.describe(), "localhost:5432/postgres");

    let odd = r"a'b\ c=d@/?&%41,";
    let settings = PostgresSettings::from_parts(PostgresParts {
        host: Some("/run/postgresql".into()),
        port: 7,
        user: Some(odd.into()),
        password: Some(odd.into()),
        database: None,
    });
    assert_eq!((settings.user(), settings.database()), (odd, odd));
    assert_eq!(settings.config.get_password(), Some(odd.as_bytes()));
    assert_eq!(settings.config.get_hosts(), [Host::Unix("/run/postgresql".into())]);
}

#[test]
fn the_system_s_roots_mean_that_all_is_verified() {
    assert_eq!(settings("postgres://h?sslrootcert=system").ssl.mode, SslMode::VerifyFull);
    assert_eq!(settings("postgres://h?sslrootcert=/ca.pem").ssl.mode, SslMode::Prefer);
    assert_eq!(settings("postgres://h?ssl=true").ssl.mode, SslMode::Require);
}

#[test]
fn modes_have_the_names_of_libpq() {
    let names: Vec<_> = SslMode::ALL.into_iter().map(SslMode::as_str).collect();
    assert_eq!(names, ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]);
    for mode in SslMode::ALL {
        assert_eq!(mode.as_str().parse(), Ok(mode));
    }
    assert_eq!(SslMode::from_name("Require"), None);
    assert_eq!(SslMode::default(), SslMode::Prefer);
}

#[test]
fn an_error_says_what_is_wrong() {
    assert_eq!(error("postgresql+asyncpg://u:p@h/d"), SettingsError::Scheme("postgresql+asyncpg".into()));
    assert_eq!(error("mysql://u:p@h/d"), SettingsError::Scheme("mysql".into()));
    assert_eq!(error("postgres://u:p@h/d?pgbouncer=true"), SettingsError::Unknown("pgbouncer".into()));
    assert_eq!(error("host=h sslmod=require"), SettingsError::Unknown("sslmod".into()));
    assert_eq!(error("host=h password=a b=c"), SettingsError::UnknownUnnamed);
    assert_eq!(error("postgres://h/d?password=a&b=c"), SettingsError::UnknownUnnamed);
    assert_eq!(error("postgres://u:s@h?k=v@h/d"), SettingsError::UnknownUnnamed);
    assert_eq!(error("postgres://u:s@cret@h/d"), STRAY_AT);
    for no_form in ["", " ", "localhost/d", "u:p@h/d", "postgres://[::1/d", "postgres://[::1]x/d", "a b=c"] {
        assert_eq!(error(no_form), NO_FORM, "{no_form}");
    }
    assert_eq!(error("postgres://u:%ff@h/d"), NOT_TEXT);
    assert!(matches!(error("postgres://h/d?sslmode"), SettingsError::Malformed(_)));
    assert!(matches!(error("password='x"), SettingsError::Malformed(_)));
    for (url, name) in [
        ("postgres://h/d?sslmode=on", "sslmode"),
        ("postgres://h/d?tcp_user_timeout=1s", "tcp_user_timeout"),
        ("postgres://h/d?sslnegotiation=direct", "sslnegotiation"),
        ("postgres://h,i,j/d?port=1,2", "port"),
        ("postgres://h,i/d?hostaddr=127.0.0.1", "hostaddr"),
        ("postgres://h:port/d", "port"),
        ("postgres://h/d?channel_binding=x", "channel_binding"),
    ] {
        assert!(error(url).to_string().contains(&format!("`{name}`")), "{url}: {}", error(url));
    }
}

#[test]
fn nothing_shows_a_password() {
    let settings = settings("postgres://u:hunter2@h/d");
    assert!(!format!("{settings:?} {}", settings.describe()).contains("hunter"));
    for url in [
        "postgresql+asyncpg://u:hunter2@h/d",
        "postgres://u:hunter2@h:hunter2/d?port=hunter2",
        "postgres://u:x@hunter2@h/d",
        "postgres://u:x@y/hunter2@h/d",
        "postgres://u:x@y?hunter2=@h/d",
        "postgres://h/d?password=x&hunter2=1",
        "postgres://h/d?sslmode=hunter2",
        "password=x hunter2=y",
        "password='hunter2",
        "u:hunter2@h/d",
        "hunter2",
        "u:hunter2://h",
    ] {
        let error = error(url);
        assert!(!format!("{error} {error:?}").contains("hunter"), "{url}: {error}");
    }
}

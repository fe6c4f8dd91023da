//! TLS to PostgreSQL: each `sslmode`, against servers that have a good certificate, one of another name, one of
//! another authority, or none.

use std::{fs, path::Path, time::Duration};

use ostiary_core::store::Store;
use ostiary_harness::postgres::Cluster;
use ostiary_store::postgres::{PoolSize, PostgresSettings, PostgresStore, SslMode, SslSettings};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// What became of a connection.
#[derive(Debug, PartialEq)]
enum Came {
    Plain,
    Encrypted,
    Nowhere,
}

const MODES: [SslMode; 6] = [
    SslMode::Disable,
    SslMode::Allow,
    SslMode::Prefer,
    SslMode::Require,
    SslMode::VerifyCa,
    SslMode::VerifyFull,
];

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Gives the server a certificate for `name`, and lets it speak TLS from now on.
fn give_certificate(cluster: &Cluster, authority: &Authority, name: &str) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    cluster.write("server.crt", &certificate.pem());
    cluster.write("server.key", &key.serialize_pem());
    cluster.sql("postgres", "alter system set ssl = on");
    cluster.sql("postgres", "select pg_reload_conf()");
    while cluster.sql("postgres", "show ssl") != "on" {}
}

async fn connect(cluster: &Cluster, mode: SslMode, root: Option<&Path>) -> Came {
    let ssl = SslSettings { mode, root_cert: root.map(Path::to_owned), cert: None, key: None };
    let settings = PostgresSettings::from_url(&cluster.url("postgres"))
        .unwrap()
        .with_ssl(ssl)
        .with_pool(PoolSize { least: 0, most: 2 });
    let Ok(store) = PostgresStore::open(&settings, Duration::ZERO).await else { return Came::Nowhere };
    store.check().await.unwrap();
    let is_encrypted = "select bool_and(ssl) from pg_stat_ssl join pg_stat_activity using (pid)
                        where application_name = 'ostiary'";
    if cluster.sql("postgres", is_encrypted) == "t" { Came::Encrypted } else { Came::Plain }
}

async fn all_modes(cluster: &Cluster, root: Option<&Path>) -> Vec<Came> {
    let mut all = Vec::new();
    for mode in MODES {
        all.push(connect(cluster, mode, root).await);
    }
    all
}

#[tokio::test]
async fn each_mode_trusts_whom_libpq_would_trust() {
    use Came::{Encrypted, Nowhere, Plain};
    let directory = tempfile::TempDir::new().unwrap();
    let (ours, others) = (authority(), authority());
    let root = directory.path().join("root.pem");
    fs::write(&root, ours.pem()).unwrap();
    let root = Some(root.as_path());

    let cluster = Cluster::start(&[]);
    let without = [Plain, Plain, Plain, Nowhere, Nowhere, Nowhere];
    assert_eq!(all_modes(&cluster, None).await, without, "the server has no certificate");

    give_certificate(&cluster, &ours, "127.0.0.1");
    let good = [Plain, Plain, Encrypted, Encrypted, Encrypted, Encrypted];
    assert_eq!(all_modes(&cluster, root).await, good, "the certificate is good");
    let unknown = [Plain, Plain, Encrypted, Encrypted, Nowhere, Nowhere];
    assert_eq!(all_modes(&cluster, None).await, unknown, "nobody knows its authority");

    give_certificate(&cluster, &ours, "elsewhere.example");
    let misnamed = [Plain, Plain, Encrypted, Encrypted, Encrypted, Nowhere];
    assert_eq!(all_modes(&cluster, root).await, misnamed, "it is for another name");

    give_certificate(&cluster, &others, "127.0.0.1");
    let foreign = [Plain, Plain, Plain, Nowhere, Nowhere, Nowhere];
    assert_eq!(all_modes(&cluster, root).await, foreign, "it is of another authority");

    give_certificate(&cluster, &ours, "127.0.0.1");
    cluster.prepend_hba("hostssl all all 127.0.0.1/32 trust\nhostnossl all all 127.0.0.1/32 reject");
    let demanded = [Nowhere, Encrypted, Encrypted, Encrypted, Encrypted, Encrypted];
    assert_eq!(all_modes(&cluster, root).await, demanded, "the server demands TLS");
}

/// SCRAM binds a password to the channel that it goes over.
#[tokio::test]
async fn a_password_goes_over_tls_bound_to_it() {
    let cluster = Cluster::start(&[]);
    give_certificate(&cluster, &authority(), "127.0.0.1");
    cluster.sql("postgres", "create role anna superuser login password 'right'");
    cluster.prepend_hba("hostssl all anna 127.0.0.1/32 scram-sha-256");
    let url = |password: &str| {
        let login = format!("anna:{password}@");
        cluster.url("postgres").replace("postgres@", &login) + "?sslmode=require&channel_binding=require"
    };
    let open = async |url: &str| {
        PostgresStore::open(&PostgresSettings::from_url(url).unwrap(), Duration::ZERO).await
    };
    open(&url("right")).await.unwrap().check().await.unwrap();
    let error = open(&url("wrong")).await.unwrap_err().to_string();
    assert!(error.contains("password authentication failed") && !error.contains("wrong"), "{error}");
}

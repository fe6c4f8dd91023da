//! What a PostgreSQL role may have to do, and what it need not.

use std::time::Duration;

use ostiary_core::{
    audit::AuditAction,
    id::{NodeId, ServiceCredentialId},
    keys::{Keys, SigningAlgorithm, SigningMethod},
    service::{ServiceName, ServiceSecretHash},
    store::{
        Accounts, AuditQuery, AuditTrail, Change, Cleanup, ExchangeOutcome, Job, KnownSecret, Leftover,
        RotateOutcome, ServiceCredentials, Sessions, SigningKeys, StoredServiceCredential,
    },
};
use ostiary_harness::postgres::{Database, shared};
use ostiary_store::postgres::PostgresStore;

use crate::support::{
    KEY_RULES, Opened, after, event, exchange, foreign_token, in_its_place, open_postgres, postgres_settings,
    server_secret, start,
};

async fn open(url: &str) -> Result<PostgresStore, String> {
    PostgresStore::open(&postgres_settings(url), Duration::ZERO).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_role_that_may_not_create_anything_serves_what_is_in_place() {
    let database = shared().database();
    let name = database.name();
    database
        .sql(&format!("create role \"{name}\" login; grant connect on database \"{name}\" to \"{name}\""));
    let _role = Role(&database);
    let url = database.url().replace("postgres@", &format!("{name}@"));
    let error = open(&url).await.unwrap_err();
    assert!(error.contains("permission denied") && error.contains("ostiary migrate"), "{error}");
    assert!(error.contains(name), "the role is named: {error}");
    assert_eq!(database.sql("select count(*) from pg_namespace where nspname in ('auth', 'accounts')"), "0");

    open_postgres(&database.url()).await;
    let error = open(&url).await.unwrap_err();
    assert!(
        error.contains("permission denied for schema auth") && error.contains("docs/postgresql.md"),
        "{error}"
    );
    database.sql(&format!("grant usage on schema auth, accounts to \"{name}\""));
    database.sql(&format!("grant select on auth.ostiary_migrations, auth.ostiary_functions to \"{name}\""));
    database.sql("revoke execute on function auth.judge_rotation from public");
    let error = open(&url).await.unwrap_err();
    assert!(
        error.contains("update on auth.sessions") && error.contains("insert on accounts.users"),
        "{error}"
    );
    assert!(error.contains("execute on auth.judge_rotation("), "{error}");
    let documents = include_str!("../../../../docs/postgresql.md");
    let is_grants = |block: &&str| block.starts_with("sql\ngrant usage on schema auth, accounts");
    let grants = documents.split("```").find(is_grants).unwrap().strip_prefix("sql").unwrap();
    database.sql(&grants.replace("ostiary_server", &format!("\"{name}\"")));
    database.sql("grant execute on function auth.judge_rotation to public");
    use_every_right(&open(&url).await.unwrap()).await;
}

/// Reads, writes and deletes wherever serving does.
async fn use_every_right(store: &PostgresStore) {
    store.ensure_groups(&["customer".to_owned()], start()).await.unwrap();
    let opened = Opened::registered(store, "anna").await;
    let reuse = event(AuditAction::RefreshTokenReused, after(1));
    let rotated = store.rotate_session(opened.rotation(0, 1), reuse).await.unwrap();
    assert_eq!(rotated, RotateOutcome::Rotated(opened.live()));
    opened.log_in(store, 2, Some(1)).await;
    assert_eq!(store.revocations(start()).await.unwrap().len(), 1);

    let profile = store.find_account(opened.user_id).await.unwrap().unwrap().profile;
    let changed = opened.event(AuditAction::ProfileChanged, 3);
    assert_eq!(store.replace_profile(opened.user_id, profile, None, changed).await.unwrap(), Change::Made);
    let token = foreign_token('a');
    assert_eq!(exchange(store, &token, 3, Some(1)).await, ExchangeOutcome::Refused);
    let logged_out = event(AuditAction::UserLoggedOut, after(4));
    let session_id = in_its_place(&token).session_id;
    store.revoke_foreign_token(token.hash(), session_id, logged_out).await.unwrap();
    assert!(store.delete_account(opened.user_id, opened.event(AuditAction::UserDeleted, 5)).await.unwrap());
    let events = store.audit_events(&AuditQuery { limit: 9, ..AuditQuery::default() }).await.unwrap();
    assert_eq!(events.len(), 5);

    let method = SigningMethod::KeyPair { algorithm: SigningAlgorithm::EdDsa, before: None };
    let keys = Keys::open(&method, &server_secret(), store, KEY_RULES, false, start()).await.unwrap();
    keys.rotate(store, true, after(6)).await.unwrap();
    keys.rotate(store, true, after(7)).await.unwrap();
    let id = store.signing_keys().await.unwrap().remove(0).id;
    store.extend_signing_key(&id, after(1_000_000)).await.unwrap();
    assert!(Keys::retire(store, &id, after(7)).await.unwrap());
    assert_eq!(store.secret_fingerprint().await.unwrap(), None);
    assert!(store.remember_secret(None, server_secret().fingerprint(), start()).await.unwrap());

    let id = ServiceCredentialId::new(start());
    let created = event(AuditAction::ServiceCredentialCreated, start());
    let name = ServiceName::parse("billing").unwrap();
    let secret_hash = ServiceSecretHash::from_bytes([0; 32]);
    let credential = StoredServiceCredential { id, name, secret_hash, created_at: start() };
    store.add_service_credential(credential, created).await.unwrap();
    let revoked = event(AuditAction::ServiceCredentialRevoked, start());
    assert!(store.revoke_service_credential(id, revoked).await.unwrap());
    assert!(store.service_credentials().await.unwrap().is_empty());

    assert!(store.lease(Job::Cleanup, NodeId::new(start()), start(), after(1)).await.unwrap());
    for kind in Leftover::ALL {
        store.delete_leftovers(kind, after(1_000_001), 10).await.unwrap();
    }
    // The one that was withdrawn, and the newest.
    assert_eq!(store.signing_keys().await.unwrap().len(), 2);
    assert!(store.revocations(start()).await.unwrap().is_empty());
}

/// A role of the database's name, dropped before the database.
struct Role<'a>(&'a Database);

impl Drop for Role<'_> {
    fn drop(&mut self) {
        let name = self.0.name();
        self.0.sql(&format!("drop owned by \"{name}\"; drop role \"{name}\""));
    }
}

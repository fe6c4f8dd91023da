use ostiary_core::{
    audit::{Actor, AuditAction, AuditEvent, Client},
    keys::{KeyId, Keys, KeysError, SharedSecret, SigningAlgorithm, SigningMethod},
    secret::ServerSecret,
    store::{AuditQuery, Leftover, Store, StoredSigningKey},
};
use rstest::rstest;

use crate::support::{KEY_RULES, On, TestStore, after, server_secret, start};

const ED_DSA: SigningMethod = SigningMethod::KeyPair { algorithm: SigningAlgorithm::EdDsa, before: None };

async fn open(store: &dyn Store, secret: &ServerSecret) -> Result<Keys, KeysError> {
    Keys::open(&ED_DSA, secret, store, KEY_RULES, false, start()).await
}

#[rstest]
#[tokio::test]
async fn the_first_key_is_made_once_and_kept(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let first = open(&*store, &server_secret()).await.unwrap();
    drop(store);
    let store = test.open().await;
    let second = open(&*store, &server_secret()).await.unwrap();
    assert_eq!(first.published(start()), second.published(start()));
    assert_eq!(first.published(start()).len(), 1);
}

#[rstest]
#[tokio::test]
async fn servers_that_start_at_once_agree_on_one_key(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let mut starters = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        starters.spawn(async move { open(&*store, &server_secret()).await.unwrap().published(start()) });
    }
    let mut published = starters.join_all().await;
    published.dedup();
    assert_eq!(published.len(), 1);
    assert_eq!(store.signing_keys().await.unwrap().len(), 1);
    let created = "select count(*) from audit_events where action = 'signing_key_created'";
    assert_eq!(test.query::<i64>(created), 1);
}

/// A node whose clock is behind, or that read it before the other made its key, is not to fail, nor to make a key
/// that no verifier knows.
#[rstest]
#[tokio::test]
async fn a_key_of_a_node_whose_clock_is_ahead_signs_at_once(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
    #[values(false, true)] is_pair: bool,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let shared = SharedSecret::parse("a shared secret of at least 32 bytes", SigningAlgorithm::Hs256, false);
    let method =
        if is_pair { ED_DSA } else { SigningMethod::Shared(SigningAlgorithm::Hs256, shared.unwrap()) };
    for now in [after(2), start(), after(1)] {
        let keys = Keys::open(&method, &server_secret(), &*store, KEY_RULES, false, now).await.unwrap();
        keys.follow(&*store, now).await.unwrap();
        keys.signer(&*store, now).await.unwrap();
        assert_eq!(keys.published(now).len(), usize::from(is_pair));
    }
    assert_eq!(store.signing_keys().await.unwrap().len(), 1);
}

/// The first pair after a shared secret is published before it signs, also if the node that keeps the secret is
/// ahead of the one that makes the pair.
#[rstest]
#[tokio::test]
async fn a_secret_of_a_node_whose_clock_is_ahead_signs_until_the_pair_is_known(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let shared =
        || SharedSecret::parse("a shared secret of at least 32 bytes", SigningAlgorithm::Hs256, false);
    let before = SigningMethod::Shared(SigningAlgorithm::Hs256, shared().unwrap());
    Keys::open(&before, &server_secret(), &*store, KEY_RULES, true, after(2)).await.unwrap();
    let method =
        SigningMethod::KeyPair { algorithm: SigningAlgorithm::EdDsa, before: Some(shared().unwrap()) };
    let keys = Keys::open(&method, &server_secret(), &*store, KEY_RULES, true, start()).await.unwrap();
    assert_eq!(keys.algorithm(start()), Some(SigningAlgorithm::Hs256));
    assert_eq!(keys.published(start()).len(), 1, "the pair is published before it signs");
}

#[rstest]
#[tokio::test]
async fn a_key_does_not_open_under_another_servers_secret(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    open(&*store, &server_secret()).await.unwrap();
    let other = ServerSecret::parse("another secret of at least thirty-two bytes").unwrap();
    let error = open(&*store, &other).await.unwrap_err();
    assert!(matches!(error, KeysError::Sealed(_)));
    assert!(error.to_string().contains("SECRET_KEY"), "{error}");
}

#[rstest]
#[tokio::test]
async fn the_private_half_is_not_in_the_database(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let test = TestStore::new(on);
    let store = test.open().await;
    open(&*store, &server_secret()).await.unwrap();
    let sealed: Vec<u8> = test.query("select sealed_private_key from signing_keys");
    // Every PKCS #8 form of an Ed25519 key has the algorithm's object identifier, 1.3.101.112.
    assert!(!sealed.windows(5).any(|bytes| bytes == [0x06, 0x03, 0x2b, 0x65, 0x70]));
}

fn key(name: &str, algorithm: SigningAlgorithm, generation: u32) -> StoredSigningKey {
    StoredSigningKey {
        id: KeyId::from_stored(name.to_owned()),
        algorithm,
        generation,
        public_key: vec![1, 2],
        sealed_private_key: vec![3, 4],
        created_at: after(i64::from(generation)),
        activates_at: after(10),
        expires_at: after(100),
        retired_at: None,
    }
}

fn made(seconds: i64) -> AuditEvent {
    AuditEvent::new(AuditAction::SigningKeyRotated, Actor::Ostiary, &Client::default(), after(seconds))
}

async fn retire(store: &dyn Store, key: &StoredSigningKey, seconds: i64) -> bool {
    let (action, client) = (AuditAction::SigningKeyRetired, Client::default());
    let event = AuditEvent::new(action, Actor::Operator, &client, after(seconds));
    store.retire_signing_key(&key.id, event).await.unwrap()
}

#[rstest]
#[tokio::test]
async fn a_generation_of_an_algorithm_is_one_key(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let first = key("first", SigningAlgorithm::EdDsa, 1);
    let other = key("other", SigningAlgorithm::Rs256, 1);
    let next = key("next", SigningAlgorithm::EdDsa, 2);
    let shared =
        StoredSigningKey { public_key: Vec::new(), ..key("shared", SigningAlgorithm::Hs512, u32::MAX) };
    for (key, is_added) in [
        (&first, true),
        (&other, true),
        (&next, true),
        (&shared, true),
        (&key("late", SigningAlgorithm::EdDsa, 2), false),
        (&key("first", SigningAlgorithm::EdDsa, 3), false),
    ] {
        assert_eq!(store.add_signing_key(key.clone(), made(1)).await.unwrap(), is_added, "{key:?}");
    }
    let kept = store.signing_keys().await.unwrap();
    assert_eq!(kept, [first, other, next, shared], "the oldest first");
    let events = store.audit_events(&AuditQuery { limit: 10, ..AuditQuery::default() }).await.unwrap();
    let mut subjects: Vec<_> = events.iter().filter_map(|event| event.subject.as_deref()).collect();
    subjects.sort_unstable();
    assert_eq!(subjects, ["first", "next", "other", "shared"]);
    assert!(events.iter().all(|event| event.actor == "ostiary" && event.user_id.is_none()));
}

#[rstest]
#[tokio::test]
async fn trust_in_a_key_grows_until_it_is_withdrawn(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let (first, other) = (key("first", SigningAlgorithm::EdDsa, 1), key("other", SigningAlgorithm::EdDsa, 2));
    store.add_signing_key(first.clone(), made(1)).await.unwrap();
    store.add_signing_key(other.clone(), made(1)).await.unwrap();
    let extend = async |seconds| {
        store.extend_signing_key(&first.id, after(seconds)).await.unwrap();
        store.signing_keys().await.unwrap()[0].expires_at
    };
    assert_eq!(extend(200).await, after(200));
    assert_eq!(extend(150).await, after(200), "it is not trusted for less");
    assert!(retire(&*store, &first, 160).await);
    assert!(!retire(&*store, &first, 170).await, "once");
    assert!(!retire(&*store, &key("unknown", SigningAlgorithm::EdDsa, 3), 170).await);
    assert_eq!(extend(300).await, after(200));
    let retired = StoredSigningKey { expires_at: after(200), retired_at: Some(after(160)), ..first };
    assert_eq!(store.signing_keys().await.unwrap(), [retired, other]);
    let query =
        AuditQuery { actions: vec!["signing_key_retired".to_owned()], limit: 9, ..AuditQuery::default() };
    let [event] = &store.audit_events(&query).await.unwrap()[..] else { panic!("one event") };
    assert_eq!((event.subject.as_deref(), event.actor.as_str()), (Some("first"), "operator"));
}

#[rstest]
#[tokio::test]
async fn a_key_is_deleted_once_its_last_token_has_expired(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    for generation in 1..=3 {
        let key = key(&format!("key{generation}"), SigningAlgorithm::EdDsa, generation);
        let expires_at = after(i64::from(generation) * 100);
        store.add_signing_key(StoredSigningKey { expires_at, ..key }, made(1)).await.unwrap();
    }
    let delete =
        async |before| store.delete_leftovers(Leftover::ExpiredKeys, after(before), 10).await.unwrap();
    assert_eq!(delete(100).await, 0);
    assert_eq!(delete(201).await, 2);
    assert_eq!(store.signing_keys().await.unwrap()[0].id.as_str(), "key3");
}

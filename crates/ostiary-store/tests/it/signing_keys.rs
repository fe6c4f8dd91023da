use ostiary_core::{
    keys::{Keys, KeysError, SigningMethod},
    secret::ServerSecret,
};
use rstest::rstest;

use crate::support::{On, TestStore, server_secret, start};

#[rstest]
#[tokio::test]
async fn the_first_key_is_made_once_and_kept(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let first = Keys::open(&SigningMethod::EdDsa, &server_secret(), &*store, start()).await.unwrap();
    drop(store);
    let store = test.open().await;
    let second = Keys::open(&SigningMethod::EdDsa, &server_secret(), &*store, start()).await.unwrap();
    assert_eq!(first.published(), second.published());
    assert_eq!(first.published().len(), 1);
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
        starters.spawn(async move {
            Keys::open(&SigningMethod::EdDsa, &server_secret(), &*store, start())
                .await
                .unwrap()
                .published()
                .to_vec()
        });
    }
    let mut published = starters.join_all().await;
    published.dedup();
    assert_eq!(published.len(), 1);
    assert_eq!(store.signing_keys().await.unwrap().len(), 1);
}

#[rstest]
#[tokio::test]
async fn a_key_does_not_open_under_another_servers_secret(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    Keys::open(&SigningMethod::EdDsa, &server_secret(), &*store, start()).await.unwrap();
    let other = ServerSecret::parse("another secret of at least thirty-two bytes").unwrap();
    let error = Keys::open(&SigningMethod::EdDsa, &other, &*store, start()).await.unwrap_err();
    assert!(matches!(error, KeysError::Sealed(_)));
    assert!(error.to_string().contains("SECRET_KEY"), "{error}");
}

#[rstest]
#[tokio::test]
async fn the_private_half_is_not_in_the_database(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let test = TestStore::new(on);
    let store = test.open().await;
    Keys::open(&SigningMethod::EdDsa, &server_secret(), &*store, start()).await.unwrap();
    let sealed: Vec<u8> = test.query("select sealed_private_key from signing_keys");
    // Every PKCS #8 form of an Ed25519 key has the algorithm's object identifier, 1.3.101.112.
    assert!(!sealed.windows(5).any(|bytes| bytes == [0x06, 0x03, 0x2b, 0x65, 0x70]));
}

use ostiary_core::{
    audit::{Actor, AuditAction, AuditEvent, Client},
    id::ServiceCredentialId,
    service::{ServiceName, ServiceSecretHash},
    store::{AuditQuery, Store, StoredServiceCredential},
};
use rstest::rstest;

use crate::support::{On, TestStore, after};

async fn add(store: &dyn Store, name: &str, seconds: i64) -> StoredServiceCredential {
    let credential = StoredServiceCredential {
        id: ServiceCredentialId::new(after(seconds)),
        name: ServiceName::parse(name).unwrap(),
        secret_hash: ServiceSecretHash::from_bytes([u8::try_from(seconds).unwrap(); 32]),
        created_at: after(seconds),
    };
    let event = by_operator(AuditAction::ServiceCredentialCreated, seconds);
    store.add_service_credential(credential.clone(), event).await.unwrap();
    credential
}

fn by_operator(action: AuditAction, seconds: i64) -> AuditEvent {
    AuditEvent::new(action, Actor::Operator, &Client::default(), after(seconds))
}

#[rstest]
#[tokio::test]
async fn a_credential_is_found_until_it_is_revoked(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let first = add(&*store, "billing", 1).await;
    let second = add(&*store, "billing", 2).await;
    let find = async |id| store.find_service_credential(id).await.unwrap();
    assert_eq!(find(first.id).await.as_ref(), Some(&first));
    assert_eq!(find(ServiceCredentialId::new(after(1))).await, None);
    assert_eq!(store.service_credentials().await.unwrap(), [first.clone(), second.clone()]);

    let revoke = async |id, seconds| {
        let event = by_operator(AuditAction::ServiceCredentialRevoked, seconds);
        store.revoke_service_credential(id, event).await.unwrap()
    };
    assert!(revoke(first.id, 3).await);
    assert!(!revoke(first.id, 4).await, "once");
    assert!(!revoke(ServiceCredentialId::new(after(1)), 4).await);
    assert_eq!(find(first.id).await, None);
    assert_eq!(find(second.id).await.as_ref(), Some(&second));
    assert_eq!(store.service_credentials().await.unwrap(), std::slice::from_ref(&second));

    let query = AuditQuery { limit: 10, ..AuditQuery::default() };
    let events = store.audit_events(&query).await.unwrap();
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.action.as_str(), event.actor.as_str(), event.subject.clone().unwrap()))
        .collect();
    let expected = [
        ("service_credential_created", "operator", first.id.to_string()),
        ("service_credential_created", "operator", second.id.to_string()),
        ("service_credential_revoked", "operator", first.id.to_string()),
    ];
    assert_eq!(told, expected);
}

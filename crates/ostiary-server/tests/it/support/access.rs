//! Requests with an access token, and with the credential of a service.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ostiary_core::{
    audit::{Actor, AuditAction, AuditEvent, Client},
    id::ServiceCredentialId,
    service::ServiceName,
};
use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value};

use super::{Server, Tokens};

impl Server {
    /// A request with `token` as its access token.
    pub(crate) fn request(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        self.http.request(method, self.url(path)).bearer_auth(token)
    }

    /// The status of a look at the account whose access token this is.
    pub(crate) async fn status_of_me(&self, token: &str) -> u16 {
        self.request(Method::GET, "/api/v1/auth/me", token).send().await.unwrap().status().as_u16()
    }

    /// Logs `username` in again, by the password `correct horse`.
    pub(crate) async fn log_in_again(&self, username: &str) -> Tokens {
        Tokens::from(self.login(username, "correct horse").await).await
    }

    /// A new credential of the service `billing`.
    pub(crate) async fn service_credential(&self) -> String {
        let name = ServiceName::parse("billing").unwrap();
        self.credential_of(name).await.1
    }

    /// A new credential of a service: its id and text.
    pub(crate) async fn credential_of(&self, name: ServiceName) -> (ServiceCredentialId, String) {
        let ostiary = &self.app.ostiary;
        let now = ostiary.clock.now();
        let (credential, text) = ostiary.service_credentials.make(name, now);
        let id = credential.id;
        let action = AuditAction::ServiceCredentialCreated;
        let event = AuditEvent::new(action, Actor::Operator, &Client::default(), now);
        ostiary.store.add_service_credential(credential, event).await.unwrap();
        (id, text.expose().to_owned())
    }

    /// Asks about `token` as the service whose credential this is.
    pub(crate) fn introspection(&self, credential: &str, token: &str) -> RequestBuilder {
        let body = form_urlencoded::Serializer::new(String::new()).append_pair("token", token).finish();
        self.request(Method::POST, "/api/v1/auth/introspect", credential)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
    }

    /// What the server says of `token` to the service whose credential this is.
    pub(crate) async fn introspect(&self, credential: &str, token: &str) -> Value {
        let answer = self.introspection(credential, token).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    /// The ids of the sessions that the server tells a service are revoked, the first revoked first.
    pub(crate) async fn revoked(&self, credential: &str) -> Vec<String> {
        let request = self.request(Method::GET, "/api/v1/auth/revocations", credential);
        let list: Value = request.send().await.unwrap().json().await.unwrap();
        let sessions = list["sessions"].as_array().unwrap().iter();
        sessions.map(|session| session["sid"].as_str().unwrap().to_owned()).collect()
    }
}

/// The claims of an access token, as they are.
pub(crate) fn claims(token: &str) -> Map<String, Value> {
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

impl Tokens {
    /// A claim of the access token.
    pub(crate) fn claim(&self, name: &str) -> Value {
        claims(&self.access).remove(name).unwrap_or_default()
    }

    /// The id of the session.
    pub(crate) fn session(&self) -> String {
        self.claim("sid").as_str().unwrap().to_owned()
    }
}

//! How values are kept that have no type of their own in PostgreSQL, and the parameters of rows that several
//! statements write.

use ostiary_core::{
    audit::{AuditEvent, Client, UserAgent},
    store::{AuthenticationMethod, NewSession},
};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::database::Parameter;

/// Where a request came from.
struct ClientColumns<'a> {
    address: Option<String>,
    user_agent: Option<&'a str>,
}

impl<'a> ClientColumns<'a> {
    fn of(client: &'a Client) -> Self {
        Self {
            address: client.address.map(|address| address.to_string()),
            user_agent: client.user_agent.as_ref().map(UserAgent::as_str),
        }
    }

    /// `address`, `user_agent`.
    fn parameters(&self) -> [Parameter<'_>; 2] {
        [(&self.address, Type::TEXT), (&self.user_agent, Type::TEXT)]
    }
}

/// A session that is opened.
pub(super) struct SessionColumns<'a> {
    session: &'a NewSession,
    id: Uuid,
    secret_hash: &'a [u8],
    client: ClientColumns<'a>,
    methods: String,
}

impl<'a> SessionColumns<'a> {
    pub(super) fn of(session: &'a NewSession) -> Self {
        let names: Vec<_> = session.methods.iter().copied().map(AuthenticationMethod::as_str).collect();
        Self {
            session,
            id: session.id.as_uuid(),
            secret_hash: session.secret_hash.as_bytes(),
            client: ClientColumns::of(&session.client),
            methods: names.join(" "),
        }
    }

    /// `id`, `secret_hash`, `created_at`, `expires_at`, `address`, `user_agent`, `methods`.
    pub(super) fn parameters(&self) -> [Parameter<'_>; 7] {
        let [address, user_agent] = self.client.parameters();
        [
            (&self.id, Type::UUID),
            (&self.secret_hash, Type::BYTEA),
            (&self.session.created_at, Type::TIMESTAMPTZ),
            (&self.session.expires_at, Type::TIMESTAMPTZ),
            address,
            user_agent,
            (&self.methods, Type::TEXT),
        ]
    }
}

/// A line of the audit trail.
pub(super) struct EventColumns<'a> {
    event: &'a AuditEvent,
    id: Uuid,
    action: &'static str,
    client: ClientColumns<'a>,
}

impl<'a> EventColumns<'a> {
    pub(super) fn of(event: &'a AuditEvent) -> Self {
        Self {
            event,
            id: event.id.as_uuid(),
            action: event.action.as_str(),
            client: ClientColumns::of(&event.client),
        }
    }

    /// `id`, `at`, `action`, `address`, `user_agent`.
    pub(super) fn parameters(&self) -> [Parameter<'_>; 5] {
        let [address, user_agent] = self.client.parameters();
        [
            (&self.id, Type::UUID),
            (&self.event.at, Type::TIMESTAMPTZ),
            (&self.action, Type::TEXT),
            address,
            user_agent,
        ]
    }
}

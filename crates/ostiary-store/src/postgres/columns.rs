//! How values are kept that have no type of their own in PostgreSQL, and the parameters of rows that several
//! statements write.

use std::net::IpAddr;

use ostiary_core::{
    audit::{AuditEvent, Client, UserAgent},
    store::{AuthenticationMethod, NewSession},
};
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

use super::database::Parameter;

/// What a function says that was called for its one boolean.
pub(super) fn is_true(rows: &[Row]) -> bool {
    rows.first().is_some_and(|row| row.get::<_, Option<bool>>(0) == Some(true))
}

/// How the user of a session proved who they are, kept as one text. What only a newer version knows is left out.
pub(super) fn methods(kept: &str) -> Vec<AuthenticationMethod> {
    kept.split(' ').filter_map(AuthenticationMethod::from_name).collect()
}

/// Where a request came from.
pub(super) fn client(address: Option<&str>, user_agent: Option<&str>) -> Client {
    Client { address: address.and_then(ip_address), user_agent: user_agent.and_then(UserAgent::parse) }
}

/// An address.
pub(super) fn ip_address(kept: &str) -> Option<IpAddr> {
    kept.parse().ok()
}

/// Where a request comes from.
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
    actor: &'static str,
    client: ClientColumns<'a>,
}

impl<'a> EventColumns<'a> {
    pub(super) fn of(event: &'a AuditEvent) -> Self {
        Self {
            event,
            id: event.id.as_uuid(),
            action: event.action.as_str(),
            actor: event.actor.as_str(),
            client: ClientColumns::of(&event.client),
        }
    }

    /// `id`, `at`, `action`, `actor`, `address`, `user_agent`.
    pub(super) fn parameters(&self) -> [Parameter<'_>; 6] {
        let [address, user_agent] = self.client.parameters();
        [
            (&self.id, Type::UUID),
            (&self.event.at, Type::TIMESTAMPTZ),
            (&self.action, Type::TEXT),
            (&self.actor, Type::TEXT),
            address,
            user_agent,
        ]
    }
}

//! How values are kept that have no type of their own in PostgreSQL.

use ostiary_core::{
    audit::{Client, UserAgent},
    store::{AuthenticationMethod, NewSession},
};

/// The address that a request came from, as text.
pub(super) fn address(client: &Client) -> Option<String> {
    client.address.map(|address| address.to_string())
}

/// What a client calls itself.
pub(super) fn user_agent(client: &Client) -> Option<&str> {
    client.user_agent.as_ref().map(UserAgent::as_str)
}

/// How a user proved who they are: names with spaces between.
pub(super) fn methods(session: &NewSession) -> String {
    let names: Vec<_> = session.methods.iter().copied().map(AuthenticationMethod::as_str).collect();
    names.join(" ")
}

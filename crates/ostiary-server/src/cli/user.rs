//! `ostiary user`

use std::process::ExitCode;

use clap::Subcommand;
use ostiary_core::{
    audit::{Actor, AuditAction, AuditEvent, Client},
    contact::ContactRules,
    id::UserId,
    store::{Store, StoreError},
};

use super::paint;
use crate::{config::Settings, startup, telemetry};

/// What to do for a user.
#[derive(Debug, Subcommand)]
pub(super) enum UserAction {
    /// Let a user's password open sessions on all devices again, and forget the failed logins before
    Unlock {
        /// The user, by username, phone number, e-mail address or id
        login: String,
    },
}

pub(super) fn run(action: UserAction, settings: &Settings, no_color: bool) -> ExitCode {
    telemetry::start(settings.log_format, settings.log_level.clone(), no_color);
    let UserAction::Unlock { login } = action;
    paint::exit_code(super::block_on(unlock(settings, &login)).flatten(), no_color)
}

async fn unlock(settings: &Settings, login: &str) -> anyhow::Result<()> {
    let (store, clock) = startup::open_existing(settings).await?;
    let rules = ContactRules::new(settings.default_region);
    let Some(user_id) = find(&*store, &rules, login).await? else {
        anyhow::bail!(
            "there is no active user {login}: give a username, a phone number, an e-mail address or an id"
        );
    };
    let event =
        AuditEvent::new(AuditAction::PasswordUnlocked, Actor::Operator, &Client::default(), clock.now());
    if store.unlock_password(user_id, event).await? {
        paint::line(&format!(
            "The password of {user_id} is unlocked: it opens sessions on all devices again."
        ));
    } else {
        paint::line(&format!("The password of {user_id} was not locked; its failed logins are forgotten."));
    }
    Ok(())
}

async fn find(store: &dyn Store, rules: &ContactRules, login: &str) -> Result<Option<UserId>, StoreError> {
    if let Some(id) = UserId::parse(login) {
        match store.credentials_of(id).await {
            Ok(found) => return Ok(found.map(|credentials| credentials.user_id)),
            // A directory that cannot look users up by their id: the operator is believed.
            Err(StoreError::FunctionMissing(_)) => return Ok(Some(id)),
            Err(error) => return Err(error),
        }
    }
    match rules.look_up(login) {
        Some(contact) => Ok(store.find_credentials(&contact).await?.map(|credentials| credentials.user_id)),
        None => Ok(None),
    }
}

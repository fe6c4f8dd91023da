//! `ostiary service`

use std::process::ExitCode;

use clap::Subcommand;
use ostiary_core::{
    audit::{Actor, AuditAction, AuditEvent, Client},
    id::ServiceCredentialId,
    service::{ServiceCredentialKeys, ServiceName},
};

use super::paint::{self, Paint};
use crate::{config::Settings, startup, telemetry};

/// What to do with the credentials of services.
#[derive(Debug, Subcommand)]
pub(super) enum ServiceAction {
    /// Make a credential for a service, beside those that it has, and show it once
    Create {
        /// The service: letters, digits, dots, hyphens and underscores
        #[arg(value_parser = parse_name)]
        name: ServiceName,
    },
    /// List the credentials
    List,
    /// Withdraw a credential
    Revoke {
        /// The credential, as `ostiary service list` names it
        #[arg(value_parser = parse_id)]
        id: ServiceCredentialId,
    },
}

fn parse_name(text: &str) -> Result<ServiceName, String> {
    ServiceName::parse(text).map_err(|error| error.to_string())
}

fn parse_id(text: &str) -> Result<ServiceCredentialId, String> {
    ServiceCredentialId::parse(text)
        .ok_or_else(|| "not an id such as `ostiary service list` shows".to_owned())
}

pub(super) fn run(action: ServiceAction, settings: &Settings, no_color: bool) -> ExitCode {
    telemetry::start(settings.log_format, settings.log_level.clone(), no_color);
    let done = super::block_on(async {
        match action {
            ServiceAction::Create { name } => create(settings, name).await,
            ServiceAction::List => list(settings, no_color).await,
            ServiceAction::Revoke { id } => revoke(settings, id).await,
        }
    });
    paint::exit_code(done.flatten(), no_color)
}

async fn create(settings: &Settings, name: ServiceName) -> anyhow::Result<()> {
    let (store, clock, secret) = startup::open_with_secret(settings).await?;
    let (credential, text) = ServiceCredentialKeys::derive(&secret).make(name, clock.now());
    let (id, name) = (credential.id, credential.name.clone());
    let (action, client) = (AuditAction::ServiceCredentialCreated, Client::default());
    let event = AuditEvent::new(action, Actor::Operator, &client, clock.now());
    store.add_service_credential(credential, event).await?;
    // The credential alone on the standard output, for a script to take.
    paint::note(&format!("The credential {id} of {} is shown once and kept nowhere:", name.as_str()));
    paint::line(text.expose());
    paint::note("It is the password of HTTP Basic, with the service's name as the user, or a bearer token.");
    Ok(())
}

async fn list(settings: &Settings, no_color: bool) -> anyhow::Result<()> {
    let paint = Paint::for_stdout(no_color);
    let (store, _) = startup::open_existing(settings).await?;
    let credentials = store.service_credentials().await?;
    if credentials.is_empty() {
        paint::line("No service has a credential: `ostiary service create NAME` makes one.");
        return Ok(());
    }
    paint::line(&paint.bold(&format!("{:<36}  {:<20}  SERVICE", "CREDENTIAL", "MADE")));
    for credential in credentials {
        let made = paint::seconds(credential.created_at);
        paint::line(&format!("{}  {made}  {}", credential.id, credential.name.as_str()));
    }
    Ok(())
}

async fn revoke(settings: &Settings, id: ServiceCredentialId) -> anyhow::Result<()> {
    let (store, clock) = startup::open_existing(settings).await?;
    let (action, client) = (AuditAction::ServiceCredentialRevoked, Client::default());
    let event = AuditEvent::new(action, Actor::Operator, &client, clock.now());
    if !store.revoke_service_credential(id, event).await? {
        anyhow::bail!("there is no credential {id}: `ostiary service list` names them");
    }
    paint::line("The credential is withdrawn: every server refuses it from now on.");
    Ok(())
}

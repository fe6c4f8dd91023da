//! `ostiary keys`

use std::process::ExitCode;

use clap::Subcommand;
use ostiary_core::keys::{KeyId, KeyState, KeySummary, Keys};

use super::paint::{self, Paint};
use crate::{config::Settings, startup, telemetry};

/// What to do with the keys that sign access tokens.
#[derive(Debug, Subcommand)]
pub(super) enum KeysAction {
    /// List the keys that are trusted: `next` will sign, `active` signs, `retired` signs no more
    List,
    /// Make the next key, which signs as soon as every verifier can know it
    Rotate {
        /// Let it sign at once; verifiers refuse its tokens until they ask for the key set again
        #[arg(long)]
        now: bool,
    },
    /// Withdraw a key before its time: its tokens are refused from now on
    Retire {
        /// The key, as `ostiary keys list` names it
        // One in 64 names begins with a hyphen.
        #[arg(allow_hyphen_values = true)]
        key: String,
    },
}

pub(super) fn run(action: KeysAction, settings: &Settings, no_color: bool) -> ExitCode {
    telemetry::start(settings.log_format, settings.log_level.clone(), no_color);
    let done = super::block_on(async {
        match action {
            KeysAction::List => list(settings, no_color).await,
            KeysAction::Rotate { now } => rotate(settings, now).await,
            KeysAction::Retire { key } => retire(settings, KeyId::from_stored(key)).await,
        }
    });
    paint::exit_code(done.flatten(), no_color)
}

async fn list(settings: &Settings, no_color: bool) -> anyhow::Result<()> {
    let paint = Paint::for_stdout(no_color);
    let (store, clock) = startup::open_existing(settings).await?;
    let keys = KeySummary::of(&store.signing_keys().await?, clock.now());
    if keys.is_empty() {
        paint::line("There are no keys yet: they are made at the first start.");
        return Ok(());
    }
    let header = ["STATE  ", "ALGORITHM", "SIGNS FROM          ", "TRUSTED UNTIL       ", "KEY"].join("  ");
    paint::line(&paint.bold(&header));
    for key in keys {
        let state = format!("{:<7}", key.state.as_str());
        let state = if key.state == KeyState::Active { paint.good(&state) } else { state };
        let (from, until) = (paint::seconds(key.activates_at), paint::seconds(key.expires_at));
        paint::line(&format!("{state}  {:<9}  {from}  {until}  {}", key.algorithm.as_str(), key.id.as_str()));
    }
    Ok(())
}

async fn rotate(settings: &Settings, immediately: bool) -> anyhow::Result<()> {
    let algorithm = settings.signing_method().map_err(anyhow::Error::msg)?.algorithm();
    let (store, _) = startup::open_existing(settings).await?;
    // Of other settings than the servers have it would make a key that nobody is to sign with.
    if !store.signing_keys().await?.iter().any(|key| key.algorithm == algorithm) {
        anyhow::bail!(
            "no server has signed with {algorithm} yet: give this command the settings of the servers \
             (JWT_ALGORITHM, JWT_SECRET_KEY), or start one with these"
        );
    }
    let ostiary = startup::start(settings).await?.ostiary;
    let key = ostiary.keys.rotate(&*ostiary.store, immediately, ostiary.clock.now()).await?;
    let (id, algorithm) = (key.id.as_str(), key.algorithm);
    paint::line(&format!("The key {id} ({algorithm}) is made and published."));
    if immediately {
        paint::line(&format!(
            "It signs from now on. A verifier that keeps the key set learns of it within {} s.",
            ostiary.keys.max_age().as_secs()
        ));
    } else {
        paint::line(&format!(
            "It signs from {}, when every verifier can know it.",
            paint::seconds(key.activates_at)
        ));
    }
    Ok(())
}

async fn retire(settings: &Settings, id: KeyId) -> anyhow::Result<()> {
    let algorithm = settings.signing_method().map_err(anyhow::Error::msg)?.algorithm();
    let (store, clock) = startup::open_existing(settings).await?;
    let now = clock.now();
    let keys = KeySummary::of(&store.signing_keys().await?, now);
    let key = keys.iter().find(|key| key.id == id);
    match key.map(|key| (key.state, key.algorithm)) {
        None => anyhow::bail!("there is no key {:?}: `ostiary keys list` names them", id.as_str()),
        Some((KeyState::Active, signing)) if signing == algorithm && signing.is_shared() => anyhow::bail!(
            "JWT_SECRET_KEY signs with this key: set another secret and start the servers again, then retire it"
        ),
        Some((KeyState::Active, signing)) if signing == algorithm => {
            anyhow::bail!("this key signs now: run `ostiary keys rotate --now` first, then retire it")
        }
        Some(_) => {}
    }
    if !keys.iter().any(|other| other.id != id && other.state != KeyState::Next) {
        anyhow::bail!("no other key signs yet: run `ostiary keys rotate --now` first, then retire this one");
    }
    if !Keys::retire(&*store, &id, now).await? {
        anyhow::bail!("somebody else has just withdrawn it");
    }
    paint::line("The key is withdrawn: within 5 s every server refuses its tokens.");
    Ok(())
}

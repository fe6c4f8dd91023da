//! How keys come and go: made, rotated, followed and retired.

use jiff::Timestamp;

use super::{
    KeyId, Keys, KeysError, Preferred, SharedSecret, SigningAlgorithm, material, material::PublicJwk, name_of,
};
use crate::{
    audit::{Actor, AuditAction, AuditEvent, Client},
    clock::later,
    secret::MacKey,
    store::{SigningKeys, StoreError, StoredSigningKey},
};

/// The stages of a key's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Published, so that verifiers know it before it signs.
    Next,
    /// Signs new tokens, where its algorithm is the one that is set.
    Active,
    /// Signs no more; trusted until its last token has expired.
    Retired,
}

impl KeyState {
    /// What the standards call it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

/// A key, for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySummary {
    /// Its name.
    pub id: KeyId,
    /// What it signs by.
    pub algorithm: SigningAlgorithm,
    /// Its stage.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it begins to sign.
    pub activates_at: Timestamp,
    /// No token that it has signed lives longer than this.
    pub expires_at: Timestamp,
}

impl KeySummary {
    /// The keys in `stored` as they are at `now`, without those that are trusted no more.
    #[must_use]
    pub fn of(stored: &[StoredSigningKey], now: Timestamp) -> Vec<Self> {
        let signs = |key: &StoredSigningKey| key.retired_at.is_none() && key.activates_at <= now;
        let is_superseded = |key: &StoredSigningKey| {
            let is_later = |other: &StoredSigningKey| {
                (other.activates_at, other.generation) > (key.activates_at, key.generation)
            };
            stored.iter().any(|other| other.algorithm == key.algorithm && signs(other) && is_later(other))
        };
        let trusted = stored.iter().filter(|key| key.retired_at.is_none() && key.expires_at > now);
        let summary = |key: &StoredSigningKey| Self {
            id: key.id.clone(),
            algorithm: key.algorithm,
            state: if !signs(key) {
                KeyState::Next
            } else if is_superseded(key) {
                KeyState::Retired
            } else {
                KeyState::Active
            },
            created_at: key.created_at,
            activates_at: key.activates_at,
            expires_at: key.expires_at,
        };
        trusted.map(summary).collect()
    }
}

/// A key was not rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// A shared secret is the operator's to change.
    #[error(
        "access tokens are signed by JWT_SECRET_KEY, which only you can change: set another one, or set \
         JWT_ALGORITHM to EdDSA, ES256 or RS256 for keys that Ostiary makes and rotates"
    )]
    Shared,
    /// Others are rotating at the same time.
    #[error(
        "somebody else is rotating the keys at the same time: look at `ostiary keys list`, and try again"
    )]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Keys {
    /// Keeps a shared secret as a key, so that its tokens verify until they expire, whatever the settings are by
    /// then.
    pub(super) async fn keep_secret(
        &self,
        store: &(impl SigningKeys + ?Sized),
        names: &MacKey,
        algorithm: SigningAlgorithm,
        shared: &SharedSecret,
        now: Timestamp,
    ) -> Result<(), KeysError> {
        let id = name_of(names, algorithm, shared);
        // Where others add a key at the same time, this one gets the next number.
        loop {
            let stored = store.signing_keys().await?;
            if let Some(known) = stored.iter().find(|key| key.id == id) {
                if !self.preferred.is(&id, algorithm) {
                    return Ok(());
                }
                if known.retired_at.is_some() {
                    return Err(KeysError::SecretRetired);
                }
                return Ok(store.extend_signing_key(&id, self.rules.trust_until(now)).await?);
            }
            let key = StoredSigningKey {
                sealed_private_key: self.sealing.seal(&shared.0, id.as_str().as_bytes()),
                id: id.clone(),
                algorithm,
                generation: next_generation(&stored, algorithm),
                public_key: Vec::new(),
                created_at: now,
                activates_at: now,
                expires_at: self.rules.trust_until(now),
                retired_at: None,
            };
            let event = made_by_ostiary(AuditAction::SigningKeyCreated, now);
            if store.add_signing_key(key, event).await? {
                return Ok(());
            }
        }
    }

    /// Makes a key pair of `algorithm` unless there is one. Until it is known to the verifiers, whatever has
    /// signed before goes on. (A pair from before that, whose trust has ended meanwhile, is unknown to them too.)
    pub(super) async fn ensure_pair(
        &self,
        store: &(impl SigningKeys + ?Sized),
        algorithm: SigningAlgorithm,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let stored = store.signing_keys().await?;
        let mut standing = stored.iter().filter(|key| key.retired_at.is_none());
        let may_go_on = standing.clone().any(|key| key.expires_at > now);
        if standing.any(|key| key.algorithm == algorithm && (key.expires_at > now || !may_go_on)) {
            return Ok(());
        }
        let signs_from = if may_go_on { later(now, self.rules.lead()) } else { now };
        let event = made_by_ostiary(AuditAction::SigningKeyCreated, now);
        // If another node was first, its key is as good.
        self.add_pair(store, algorithm, &stored, signs_from, event).await.map(drop)
    }

    /// Makes the next key pair. It signs once every verifier can know it; or, if `immediately`, from now on,
    /// and verifiers refuse its tokens until they ask for the key set again.
    ///
    /// # Errors
    /// If a shared secret signs, others rotate at the same time, or the store fails.
    pub async fn rotate(
        &self,
        store: &(impl SigningKeys + ?Sized),
        immediately: bool,
        now: Timestamp,
    ) -> Result<StoredSigningKey, RotateError> {
        let Preferred::KeyPair(algorithm) = self.preferred else { return Err(RotateError::Shared) };
        let stored = store.signing_keys().await?;
        let signs_from = if immediately { now } else { later(now, self.rules.lead()) };
        let event = AuditEvent::new(AuditAction::SigningKeyRotated, Actor::Operator, &Client::default(), now);
        let made = self.add_pair(store, algorithm, &stored, signs_from, event).await?;
        self.load(store).await?;
        made.ok_or(RotateError::Busy)
    }

    /// Goes by what the store has now; makes the next key pair when its time has come.
    ///
    /// # Errors
    /// If the store fails; the keys stay as they are then.
    pub async fn follow(
        &self,
        store: &(impl SigningKeys + ?Sized),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if let Preferred::KeyPair(algorithm) = self.preferred {
            let stored = store.signing_keys().await?;
            self.ensure_pair(store, algorithm, now).await?;
            let newest = stored
                .iter()
                .filter(|key| key.algorithm == algorithm && key.retired_at.is_none() && key.expires_at > now)
                .max_by_key(|key| (key.activates_at, key.generation));
            if let Some(newest) = newest {
                self.rotate_if_due(store, &stored, newest, now).await?;
            }
        }
        let stored = self.load(store).await?;
        if let (Preferred::KeyPair(algorithm), None) = (&self.preferred, self.algorithm(now)) {
            // The key that signed was withdrawn just now, or does not open.
            let event = made_by_ostiary(AuditAction::SigningKeyCreated, now);
            self.add_pair(store, *algorithm, &stored, now, event).await?;
            self.load(store).await?;
        }
        // Whether or not anybody logs in, the key that signs stays trusted.
        self.signer(store, now).await.map(drop)
    }

    async fn rotate_if_due(
        &self,
        store: &(impl SigningKeys + ?Sized),
        stored: &[StoredSigningKey],
        newest: &StoredSigningKey,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(rotate_after) = self.rules.rotate_after else { return Ok(()) };
        let lead = self.rules.lead();
        let due = later(newest.activates_at, rotate_after);
        if later(now, lead) < due {
            return Ok(());
        }
        let signs_from = due.max(later(now, lead));
        let event = made_by_ostiary(AuditAction::SigningKeyRotated, now);
        if let Some(key) = self.add_pair(store, newest.algorithm, stored, signs_from, event).await? {
            tracing::info!(key = key.id.as_str(), %signs_from, "the next signing key was made and published");
        }
        Ok(())
    }

    /// Withdraws the trust in a key before its time: its tokens are refused from now on.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn retire(
        store: &(impl SigningKeys + ?Sized),
        id: &KeyId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let event = AuditEvent::new(AuditAction::SigningKeyRetired, Actor::Operator, &Client::default(), now);
        store.retire_signing_key(id, event).await
    }

    /// `None` if a node elsewhere was quicker to make the same generation.
    async fn add_pair(
        &self,
        store: &(impl SigningKeys + ?Sized),
        algorithm: SigningAlgorithm,
        stored: &[StoredSigningKey],
        activates_at: Timestamp,
        event: AuditEvent,
    ) -> Result<Option<StoredSigningKey>, StoreError> {
        // An RSA key takes up to a second to find.
        let made = tokio::task::spawn_blocking(move || material::generate(algorithm)).await;
        let pair = made.map_err(|error| StoreError::Failed(Box::new(error)))?;
        let id = PublicJwk::new(algorithm, &pair.public).expect("a key that was just made is one").id();
        let key = StoredSigningKey {
            sealed_private_key: self.sealing.seal(&pair.private, id.as_str().as_bytes()),
            id,
            algorithm,
            generation: next_generation(stored, algorithm),
            public_key: pair.public,
            created_at: event.at,
            activates_at,
            expires_at: self.rules.trust_until(activates_at),
            retired_at: None,
        };
        let is_kept = store.add_signing_key(key.clone(), event).await?;
        Ok(is_kept.then_some(key))
    }
}

fn next_generation(stored: &[StoredSigningKey], algorithm: SigningAlgorithm) -> u32 {
    let last = stored.iter().filter(|key| key.algorithm == algorithm).map(|key| key.generation).max();
    last.unwrap_or(0).saturating_add(1)
}

fn made_by_ostiary(action: AuditAction, now: Timestamp) -> AuditEvent {
    AuditEvent::new(action, Actor::Ostiary, &Client::default(), now)
}

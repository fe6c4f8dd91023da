//! Sessions: opening one, refreshing it, ending it.

use std::fmt;

use jiff::Timestamp;

use crate::{
    Ostiary,
    audit::{AuditAction, AuditEvent, Client},
    id::{SessionId, UserId},
    refresh_token::{ForeignToken, Generation, RefreshToken, SessionSecret},
    store::{
        AuthenticationMethod, Exchange, ExchangeOutcome, NewSession, Revocation, RevokeOutcome,
        RotateOutcome, Rotation, StoreError,
    },
};

/// What a client gets when a session is opened or refreshed.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenPair {
    /// A JWT.
    pub access_token: String,
    /// Spends the session's next generation.
    pub refresh_token: String,
}

impl fmt::Debug for TokenPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenPair(..)")
    }
}

/// A refresh failed.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The token is not good, for whatever reason.
    #[error("the refresh token is not good")]
    Refused,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Ostiary {
    /// Spends a refresh token. Repeated within the grace period, whether by a race, a retry or a lost
    /// answer, it gives the same successor; used again later, it ends its session. A token that the
    /// replaced service issued is exchanged for a session.
    ///
    /// # Errors
    /// If the token is not good, or the store fails; then the same token may be tried again.
    pub async fn refresh(&self, token: &str, client: &Client) -> Result<TokenPair, RefreshError> {
        let Ok(token) = self.refresh_tokens.read(token) else {
            let foreign = ForeignToken::parse(token).ok_or(RefreshError::Refused)?;
            return self.exchange(&foreign, client).await;
        };
        let now = self.clock.now();
        let rotation = Rotation {
            session_id: token.session_id,
            secret_hash: self.refresh_tokens.hash(&token.secret),
            generation: token.generation,
            now,
            grace: self.policy.refresh_grace,
        };
        let on_reuse = AuditEvent::new(AuditAction::RefreshTokenReused, client, now);
        match self.store.rotate_session(rotation, on_reuse).await? {
            RotateOutcome::Rotated(user_id) | RotateOutcome::Repeated(user_id) => {
                Ok(self.token_pair(user_id, &token.successor(), now))
            }
            RotateOutcome::Reused(user_id) => {
                tracing::warn!(%user_id, session_id = %token.session_id, "a spent refresh token was used again; its session is revoked");
                Err(RefreshError::Refused)
            }
            RotateOutcome::Refused(reason) => {
                tracing::debug!(session_id = %token.session_id, ?reason, "a refresh was refused");
                Err(RefreshError::Refused)
            }
        }
    }

    /// Opens a session in the place of a refresh token that the replaced service issued.
    async fn exchange(&self, foreign: &ForeignToken, client: &Client) -> Result<TokenPair, RefreshError> {
        let now = self.clock.now();
        let token = self.refresh_tokens.in_place_of(foreign);
        let exchange = Exchange {
            token_hash: foreign.hash(),
            session: self.session_of(&token, client, now),
            grace: self.policy.refresh_grace,
        };
        let event = AuditEvent::new(AuditAction::RefreshTokenExchanged, client, now);
        let on_reuse = AuditEvent::new(AuditAction::RefreshTokenReused, client, now);
        match self.store.exchange_token(exchange, event, on_reuse).await? {
            ExchangeOutcome::Opened(user_id) | ExchangeOutcome::Repeated(user_id) => {
                Ok(self.token_pair(user_id, &token, now))
            }
            ExchangeOutcome::Reused(user_id) => {
                tracing::warn!(%user_id, session_id = %token.session_id, "a refresh token of the replaced service was used again; the session that took its place is revoked");
                Err(RefreshError::Refused)
            }
            ExchangeOutcome::Refused => Err(RefreshError::Refused),
        }
    }

    /// Ends a session; its refresh tokens are dead from then on.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn revoke_session(
        &self,
        session_id: SessionId,
        why: Revocation,
        client: &Client,
    ) -> Result<RevokeOutcome, StoreError> {
        let event = AuditEvent::new(AuditAction::SessionRevoked, client, self.clock.now());
        self.store.revoke_session(session_id, why, event).await
    }

    /// A session for a user who has just given their password, and its first token.
    pub(crate) fn new_session(&self, client: &Client, now: Timestamp) -> (NewSession, RefreshToken) {
        let token = RefreshToken {
            session_id: SessionId::new(now),
            generation: Generation::FIRST,
            secret: SessionSecret::generate(),
        };
        (self.session_of(&token, client, now), token)
    }

    fn session_of(&self, token: &RefreshToken, client: &Client, now: Timestamp) -> NewSession {
        NewSession {
            id: token.session_id,
            secret_hash: self.refresh_tokens.hash(&token.secret),
            created_at: now,
            expires_at: now.saturating_add(self.policy.session_lifetime).unwrap_or(Timestamp::MAX),
            client: client.clone(),
            methods: vec![AuthenticationMethod::Password],
        }
    }

    pub(crate) fn token_pair(&self, user_id: UserId, token: &RefreshToken, now: Timestamp) -> TokenPair {
        let lifetime = self.policy.access_token_lifetime;
        TokenPair {
            access_token: self.keys.signer().access_token(user_id, token.session_id, now, lifetime),
            refresh_token: self.refresh_tokens.write(token),
        }
    }
}

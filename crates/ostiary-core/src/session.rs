//! Sessions: opening one, refreshing it, ending it.

use std::fmt;

use jiff::Timestamp;

use crate::{
    Ostiary,
    audit::{Actor, AuditAction, AuditEvent, Client},
    clock::later,
    id::{SessionId, TokenId, UserId},
    jwt::{AccessTokenClaims, Bearer},
    keys::Key,
    refresh_token::{ForeignToken, Generation, RefreshToken, SessionSecret},
    store::{
        AuthenticationMethod, Exchange, ExchangeOutcome, LiveSession, NewSession, RotateOutcome, Rotation,
        StoreError,
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
        let key = self.keys.signer(&*self.store, now).await?;
        let rotation = Rotation {
            session_id: token.session_id,
            secret_hash: self.refresh_tokens.hash(&token.secret),
            generation: token.generation,
            at: self.live_at(now),
            grace: self.policy.refresh_grace,
        };
        let on_reuse = AuditEvent::new(AuditAction::RefreshTokenReused, Actor::Anyone, client, now);
        match self.store.rotate_session(rotation, on_reuse).await? {
            RotateOutcome::Rotated(session) | RotateOutcome::Repeated(session) => {
                Ok(self.token_pair(&session, &token.successor(), &key, now).await)
            }
            RotateOutcome::Reused(user_id) => {
                self.recent.forget();
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
        let key = self.keys.signer(&*self.store, now).await?;
        let token = self.refresh_tokens.in_place_of(foreign);
        let exchange = Exchange {
            token_hash: foreign.hash(),
            session: self.session_of(&token, client, now),
            grace: self.policy.refresh_grace,
            most: self.policy.max_sessions,
        };
        let event = AuditEvent::new(AuditAction::RefreshTokenExchanged, Actor::User, client, now);
        let on_reuse = AuditEvent::new(AuditAction::RefreshTokenReused, Actor::Anyone, client, now);
        // It may end another session of the user.
        match self.recent.after(self.store.exchange_token(exchange, event, on_reuse)).await? {
            ExchangeOutcome::Opened(session) | ExchangeOutcome::Repeated(session) => {
                Ok(self.token_pair(&session, &token, &key, now).await)
            }
            ExchangeOutcome::Reused(user_id) => {
                tracing::warn!(%user_id, session_id = %token.session_id, "a refresh token of the replaced service was used again; the session that took its place is revoked");
                Err(RefreshError::Refused)
            }
            ExchangeOutcome::Refused => Err(RefreshError::Refused),
        }
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
            expires_at: later(now, self.policy.session_lifetime),
            client: client.clone(),
            methods: vec![AuthenticationMethod::Password],
        }
    }

    /// The tokens of a session that was opened or refreshed at `now`. It cannot fail: what was spent for them is
    /// spent, so `key` is had before.
    pub(crate) async fn token_pair(
        &self,
        session: &LiveSession,
        token: &RefreshToken,
        key: &Key,
        now: Timestamp,
    ) -> TokenPair {
        let groups = if self.policy.token_groups { self.groups_of(session.user_id).await } else { None };
        let bearer = Bearer {
            user_id: session.user_id,
            session_id: session.id,
            authenticated_at: session.created_at,
            methods: session.methods.iter().copied().map(AuthenticationMethod::as_str).collect(),
            groups,
        };
        let token_id = TokenId::new(now).to_string();
        let lifetime = self.policy.access_token_lifetime;
        let claims = AccessTokenClaims::issue(bearer, &token_id, &self.policy.token_parties, now, lifetime);
        TokenPair { access_token: claims.sign(key), refresh_token: self.refresh_tokens.write(token) }
    }

    /// The groups of a user. A token without them is worth more than a session that is lost for want of them.
    async fn groups_of(&self, user_id: UserId) -> Option<Vec<String>> {
        match self.store.find_account(user_id).await {
            Ok(account) => Some(account.map(|account| account.groups).unwrap_or_default()),
            Err(error) => {
                tracing::error!(%user_id, error = error.with_causes(), "an access token was issued without groups");
                None
            }
        }
    }
}

impl NewSession {
    /// The session as it is once it is open for `user_id`.
    #[must_use]
    pub fn of(&self, user_id: UserId) -> LiveSession {
        LiveSession { id: self.id, user_id, created_at: self.created_at, methods: self.methods.clone() }
    }
}

//! Access: whose request it is, whether a token is good, and which sessions were revoked.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::{
    Ostiary,
    clock::earlier,
    id::{SessionId, UserId},
    jwt::AccessTokenClaims,
    store::{Account, LiveAt, RevokedSession, StoreError},
};

/// A revocation can become visible this much after its time: no statement takes longer.
const LATEST_COMMIT: SignedDuration = SignedDuration::from_secs(10);

/// A user whose request it is.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The user.
    pub user_id: UserId,
    /// The session that the request's token was issued in.
    pub session_id: SessionId,
}

/// A request is not a user's.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Its token is not good, for whatever reason.
    #[error("the access token is not good")]
    BadToken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The sessions that were revoked, and whose access tokens may still be alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocations {
    /// The sessions.
    pub sessions: Vec<RevokedSession>,
    /// What to ask for next: all that is revoked after this is there then.
    pub next: Option<Timestamp>,
}

/// An access token whose signature and times are good.
struct ShownToken {
    claims: AccessTokenClaims,
    user_id: UserId,
    session_id: SessionId,
    /// When it was shown: its session is to be alive then.
    at: LiveAt,
}

impl Ostiary {
    /// The user whose access token this is.
    ///
    /// # Errors
    /// If it is not good, or its session is over, or the store fails.
    pub async fn authenticate(&self, token: &str) -> Result<Caller, AccessError> {
        let shown = self.verify(token).ok_or(AccessError::BadToken)?;
        // What they do may not stand on what was so a moment ago.
        let session = self.store.find_session(shown.session_id, shown.at).await?;
        let session =
            session.filter(|session| session.user_id == shown.user_id).ok_or(AccessError::BadToken)?;
        Ok(Caller { user_id: session.user_id, session_id: session.id })
    }

    /// The claims of an access token that is good: its session is alive and its user active. What another node
    /// changed a moment ago may not be seen yet ([`session_cache`](crate::policy::Policy::session_cache)).
    ///
    /// # Errors
    /// If the store fails.
    pub async fn introspect(&self, token: &str) -> Result<Option<AccessTokenClaims>, StoreError> {
        let Some(shown) = self.verify(token) else { return Ok(None) };
        let look = self.store.find_session(shown.session_id, shown.at);
        let session = self.recent.session(shown.session_id, shown.at.now, look).await?;
        Ok(session.filter(|session| session.user_id == shown.user_id).map(|_| shown.claims))
    }

    /// The account of the user whose access token this is. `None` if the directory of accounts has none of them. What
    /// another node changed a moment ago may not be seen yet ([`session_cache`](crate::policy::Policy::session_cache)).
    ///
    /// # Errors
    /// If the token is not good, or its session is over, or the store cannot serve it.
    pub async fn own_account(&self, token: &str) -> Result<Option<Account>, AccessError> {
        let shown = self.verify(token).ok_or(AccessError::BadToken)?;
        let look = self.store.find_session_account(shown.session_id, shown.at);
        let found = self.recent.account(shown.session_id, shown.at.now, look).await?;
        let (_, account) =
            found.filter(|(session, _)| session.user_id == shown.user_id).ok_or(AccessError::BadToken)?;
        Ok(account)
    }

    /// What a token says, if it was issued here and is good now, as far as it can tell by itself.
    fn verify(&self, token: &str) -> Option<ShownToken> {
        let now = self.clock.now();
        match AccessTokenClaims::verify(token, &self.keys, &self.policy.token_parties, now) {
            Ok(claims) => {
                // A token of the replaced service has no session, and could not be revoked.
                let (user_id, session_id) = claims.bearer()?;
                Some(ShownToken { claims, user_id, session_id, at: self.live_at(now) })
            }
            Err(reason) => {
                tracing::debug!(%reason, "an access token was refused");
                None
            }
        }
    }

    /// What it takes for a session to be alive at `now`.
    pub(crate) fn live_at(&self, now: Timestamp) -> LiveAt {
        let refreshed_after = match self.policy.session_idle {
            Some(idle) => earlier(now, idle),
            None => Timestamp::UNIX_EPOCH,
        };
        LiveAt { now, refreshed_after }
    }

    /// The sessions that were revoked after `since`, and while access tokens of theirs may still be alive; with
    /// them those of the last seconds before, since some of them may have become visible only now.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn revocations(&self, since: Option<Timestamp>) -> Result<Revocations, StoreError> {
        let still_alive = earlier(self.clock.now(), self.policy.access_token_lifetime);
        let after = since.map_or(still_alive, |since| still_alive.max(earlier(since, LATEST_COMMIT)));
        let sessions = self.store.revocations(after).await?;
        let newest = sessions.iter().map(|session| session.revoked_at).max();
        Ok(Revocations { sessions, next: newest.max(since) })
    }

    /// How long after its revocation no access token of a session is alive any more.
    #[must_use]
    pub fn access_token_lifetime(&self) -> Duration {
        self.policy.access_token_lifetime.unsigned_abs()
    }
}

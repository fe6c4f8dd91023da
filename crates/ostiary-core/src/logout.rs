//! Logging out, and looking after one's sessions.

use crate::{
    Ostiary,
    access::Caller,
    audit::{Actor, AuditAction, AuditEvent, Client},
    id::SessionId,
    refresh_token::ForeignToken,
    store::{Revocation, RevokeOutcome, SessionEvent, SessionRecord, StoreError},
};

impl Ostiary {
    /// Ends the session of a refresh token, if it is alive; which, is not said. A token that the replaced service
    /// issued becomes void.
    ///
    /// # Errors
    /// If the store fails; then the session may still be alive.
    pub async fn log_out(&self, token: &str, client: &Client) -> Result<(), StoreError> {
        let event = self.event(AuditAction::UserLoggedOut, client);
        if let Ok(token) = self.refresh_tokens.read(token) {
            let ended = self.store.revoke_session(token.session_id, None, Revocation::LoggedOut, event);
            self.recent.after(ended).await?;
        } else if let Some(foreign) = ForeignToken::parse(token) {
            let in_its_place = self.refresh_tokens.in_place_of(&foreign).session_id;
            self.recent.after(self.store.revoke_foreign_token(foreign.hash(), in_its_place, event)).await?;
        }
        Ok(())
    }

    /// Ends all sessions of a user, this one too.
    ///
    /// # Errors
    /// If the store fails; then they may still be alive.
    pub async fn log_out_everywhere(&self, caller: &Caller, client: &Client) -> Result<u64, StoreError> {
        let event = self.event(AuditAction::UserLoggedOutEverywhere, client);
        let event = SessionEvent { event, session_id: caller.session_id };
        let ended = self.store.revoke_sessions_of(caller.user_id, Revocation::LoggedOut, event);
        self.recent.after(ended).await
    }

    /// The sessions of a user that are alive, the last refreshed first.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn sessions(&self, caller: &Caller) -> Result<Vec<SessionRecord>, StoreError> {
        self.store.sessions_of(caller.user_id, self.live_at(self.clock.now())).await
    }

    /// Ends a session of the caller's. One that is over, or somebody else's, is not there.
    ///
    /// # Errors
    /// If the store fails; then it may still be alive.
    pub async fn end_session(
        &self,
        caller: &Caller,
        session_id: SessionId,
        client: &Client,
    ) -> Result<RevokeOutcome, StoreError> {
        let event = self.event(AuditAction::SessionRevoked, client);
        let why = Revocation::EndedByUser;
        let ended = self.store.revoke_session(session_id, Some(caller.user_id), why, event);
        self.recent.after(ended).await
    }

    /// `action`, by the user whom it is about, now.
    pub(crate) fn event(&self, action: AuditAction, client: &Client) -> AuditEvent {
        AuditEvent::new(action, Actor::User, client, self.clock.now())
    }
}

//! What users do with their own accounts: look, change the profile and the password, delete.

use crate::{
    Ostiary,
    access::Caller,
    account::{NewPassword, words_about},
    audit::{Actor, AuditAction, AuditEvent, Client},
    guess::NotAdmitted,
    hasher::{HasherError, Standing, Verdict},
    id::UserId,
    password::{Password, PasswordHash},
    policy::PasswordPolicy,
    profile::{self, MergePatch, ProfileRefusal},
    store::{About, Account, Change, Credentials, PasswordChange, SessionEvent, StoreError},
};

/// A change is tried again when somebody else was quicker. Of so many at once even the last is made; with more,
/// something else is wrong.
const TRIES: u32 = 32;

/// What a user asked for was not done. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum SelfServiceError {
    /// The account is gone or disabled.
    #[error("the account is gone")]
    NoSuchUser,
    /// The current password is another one, or there is none.
    #[error("the current password is wrong")]
    WrongPassword,
    /// It was not compared, because of the ones before.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// The profile would be more than is kept.
    #[error("the profile would be too large or too deep")]
    Profile(ProfileRefusal),
    /// Others changed the same thing all the time.
    #[error("others change the same thing at the same time")]
    Busy,
    /// The password could not be compared or hashed.
    #[error(transparent)]
    Hasher(#[from] HasherError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Ostiary {
    /// A user's own account.
    ///
    /// # Errors
    /// If it is gone, or the store cannot serve it.
    pub async fn account(&self, user_id: UserId) -> Result<Account, SelfServiceError> {
        self.store.find_account(user_id).await?.ok_or(SelfServiceError::NoSuchUser)
    }

    /// The words that an attacker who knows a user tries first, as far as the directory of accounts can say.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn words_about_user(&self, user_id: UserId) -> Result<Vec<String>, StoreError> {
        match self.store.find_account(user_id).await {
            Ok(account) => {
                let contacts = account.map(|account| account.contacts).unwrap_or_default();
                Ok(words_about(
                    contacts.iter().map(|contact| (contact.typed.as_str(), contact.value.as_str())),
                ))
            }
            Err(StoreError::FunctionMissing(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Merges `patch` into a user's profile (RFC 7396), whoever else does so at the same time.
    ///
    /// # Errors
    /// If the account is gone, the profile would become too large, or the store cannot serve.
    pub async fn patch_profile(
        &self,
        caller: &Caller,
        patch: &MergePatch,
        client: &Client,
    ) -> Result<Account, SelfServiceError> {
        for _ in 0..TRIES {
            let mut account = self.account(caller.user_id).await?;
            let new = profile::merge_patch(account.profile.clone(), patch.clone());
            if let Some(new) = &new {
                profile::check(new).map_err(SelfServiceError::Profile)?;
            }
            if new == account.profile {
                return Ok(account);
            }
            let event = self.event(AuditAction::ProfileChanged, client);
            let changed_at = event.at;
            let event = SessionEvent { event, session_id: caller.session_id };
            let seen = account.profile.take();
            let change = self.store.replace_profile(caller.user_id, seen, new.clone(), event);
            if self.recent.after(change).await? == Change::Made {
                return Ok(Account { profile: new, updated_at: Some(changed_at), ..account });
            }
        }
        Err(SelfServiceError::Busy)
    }

    /// Changes a user's password, and ends their other sessions.
    ///
    /// # Errors
    /// If the current password is wrong, or was too often, or the lane or the store cannot serve.
    pub async fn change_password(
        &self,
        caller: &Caller,
        current: &str,
        new: NewPassword,
        client: &Client,
    ) -> Result<(), SelfServiceError> {
        let new = self.hasher.hash(new.into_password(), Standing::Known).await?;
        // A login at the same time may have replaced a weak hash of the same password.
        for _ in 0..TRIES {
            let seen = self.confirm_password(caller, current, client).await?;
            let change = PasswordChange { user_id: caller.user_id, seen, new: new.clone() };
            let event = self.event(AuditAction::PasswordChanged, client);
            let event = SessionEvent { event, session_id: caller.session_id };
            if self.recent.after(self.store.change_password(change, event)).await? == Change::Made {
                return Ok(());
            }
        }
        Err(SelfServiceError::Busy)
    }

    /// Deletes a user's account, with all that hangs on it.
    ///
    /// # Errors
    /// If the current password is wrong, or was too often, or the lane or the store cannot serve.
    pub async fn delete_account(
        &self,
        caller: &Caller,
        current: &str,
        client: &Client,
    ) -> Result<(), SelfServiceError> {
        self.confirm_password(caller, current, client).await?;
        // Of an account that is gone its events keep the id alone.
        let event = self.event(AuditAction::UserDeleted, &Client::default());
        let event = SessionEvent { event, session_id: caller.session_id };
        let is_deleted = self.recent.after(self.store.delete_account(caller.user_id, event)).await?;
        if is_deleted { Ok(()) } else { Err(SelfServiceError::NoSuchUser) }
    }

    /// The hash that `current` was just compared with.
    async fn confirm_password(
        &self,
        caller: &Caller,
        current: &str,
        client: &Client,
    ) -> Result<PasswordHash, SelfServiceError> {
        let credentials = self.store.credentials_of(caller.user_id).await?;
        let Credentials { password_hash: stored, lock, .. } =
            credentials.ok_or(SelfServiceError::NoSuchUser)?;
        let guess = self.admit_confirmation(caller, lock).await?;
        let verdict = if current.chars().count() > PasswordPolicy::MAX_CHARS {
            Ok(Verdict::Wrong)
        } else {
            self.hasher.verify(Password::new(current), stored.clone(), guess.standing).await
        };
        match (verdict, stored) {
            (Ok(Verdict::Right | Verdict::RightButWeak), Some(stored)) if !guess.is_shut_out => {
                self.guessed_right(&guess, caller.user_id, client).await;
                return Ok(stored);
            }
            (Ok(_), _) => self.guessed_wrong(&guess, Some(caller.user_id)).await,
            (Err(error), _) => {
                self.guess_withdrawn(&guess).await;
                return Err(error.into());
            }
        }
        let now = self.clock.now();
        let event = AuditEvent::new(AuditAction::PasswordRefused, Actor::User, client, now);
        let about = About { user_id: Some(caller.user_id), session_id: Some(caller.session_id) };
        self.store.record(event, about).await?;
        Err(SelfServiceError::WrongPassword)
    }
}

//! A guess at a password: counted before it is compared, and settled by what comes of it.

use std::time::Duration;

use crate::{
    Ostiary,
    access::Caller,
    audit::{Actor, AuditAction, AuditEvent, Client},
    contact::Contact,
    hasher::Standing,
    id::UserId,
    known_device::KnownDevice,
    limit::{Admission, Budget, GuessedAt, Settlement},
    store::{Credentials, PasswordLock},
};

/// A guess is not compared, whoever makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// There were too many wrong ones. The next may be made after this time.
    #[error("too many wrong passwords")]
    TooManyAttempts(Duration),
    /// Others have all of the places, and nothing came of them for a while; try again after this time.
    #[error("too many passwords are being compared")]
    Busy(Duration),
}

/// How long a guess waits for others that are under way, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A guess that was let through.
pub(crate) struct Guess {
    /// What it is counted in.
    budgets: Vec<Budget>,
    /// What the failures elsewhere are counted in, if a success ends those too.
    elsewhere: Option<Budget>,
    /// Consecutive failures, if this is one.
    failures: u32,
    /// Whether it is made where the user is known.
    pub(crate) standing: Standing,
    /// What was known of the password when it was made.
    lock: PasswordLock,
    /// Whether even the right password is refused.
    pub(crate) is_shut_out: bool,
}

impl Ostiary {
    /// Counts a guess at a login, on a device that may be known.
    ///
    /// # Errors
    /// If it is not to be compared.
    pub(crate) async fn admit_login(
        &self,
        (login, contact): (&str, Option<&Contact>),
        credentials: Option<&Credentials>,
        device: Option<&KnownDevice>,
        client: &Client,
    ) -> Result<Guess, NotAdmitted> {
        let limits = &self.policy.limits;
        let lock = credentials.map(|credentials| credentials.lock).unwrap_or_default();
        let account = match (credentials, contact) {
            (Some(credentials), _) => GuessedAt::User(credentials.user_id),
            (None, Some(contact)) => GuessedAt::Nobody(contact.canonical()),
            (None, None) => GuessedAt::Nothing(login),
        };
        let budget = |key, rule| Budget { key, rule, forgiven_at: lock.unlocked_at };
        let of_account = budget(self.budget_keys.account(account), limits.consecutive);
        let of_user = credentials.map(|credentials| credentials.user_id);
        if let Some(device) = device.filter(|device| Some(device.user_id) == of_user) {
            let budgets = vec![budget(self.budget_keys.device(device), limits.consecutive)];
            return self.admit(budgets, Some(of_account), Standing::Known, lock).await;
        }
        let mut budgets = vec![of_account, budget(self.budget_keys.total(), limits.total)];
        budgets
            .extend(client.address.map(|address| budget(self.budget_keys.address(address), limits.address)));
        self.admit(budgets, None, Standing::Unknown, lock).await
    }

    /// Counts a guess at the current password of a user who is logged in.
    ///
    /// # Errors
    /// If it is not to be compared.
    pub(crate) async fn admit_confirmation(
        &self,
        caller: &Caller,
        lock: PasswordLock,
    ) -> Result<Guess, NotAdmitted> {
        let key = self.budget_keys.session(caller.session_id);
        let rule = self.policy.limits.consecutive;
        let budgets = vec![Budget { key, rule, forgiven_at: lock.unlocked_at }];
        self.admit(budgets, None, Standing::Known, lock).await
    }

    async fn admit(
        &self,
        budgets: Vec<Budget>,
        elsewhere: Option<Budget>,
        standing: Standing,
        lock: PasswordLock,
    ) -> Result<Guess, NotAdmitted> {
        let mut waited = Duration::ZERO;
        loop {
            let refused = match self.limiter.admit(&budgets, self.clock.now()).await {
                Admission::Admitted { failures } => {
                    self.limit_metrics.admitted.inc();
                    let is_shut_out = match standing {
                        Standing::Unknown => lock.locked_at.is_some(),
                        Standing::Known => failures > self.policy.limits.lock_after,
                    };
                    return Ok(Guess { budgets, elsewhere, failures, standing, lock, is_shut_out });
                }
                Admission::Pending if waited < PATIENCE => {
                    tokio::time::sleep(LOOK_AGAIN).await;
                    waited += LOOK_AGAIN;
                    continue;
                }
                Admission::Pending => NotAdmitted::Busy(Duration::from_secs(1)),
                Admission::Refused(retry_after) => NotAdmitted::TooManyAttempts(retry_after),
            };
            self.limit_metrics.refused.inc();
            return Err(refused);
        }
    }

    /// Settles a guess that was right, by `user_id`. On a known device that also opens the password elsewhere.
    pub(crate) async fn guessed_right(&self, guess: &Guess, user_id: UserId, client: &Client) {
        let now = self.clock.now();
        self.limiter.settle(&guess.budgets, Settlement::Succeeded, now).await;
        let Some(elsewhere) = guess.elsewhere else { return };
        self.limiter.settle(&[elsewhere], Settlement::Reset, now).await;
        if guess.lock.locked_at.is_some() {
            let event = AuditEvent::new(AuditAction::PasswordUnlocked, Actor::User, client, now);
            if let Err(error) = self.store.unlock_password(user_id, event).await {
                tracing::warn!(%user_id, error = error.with_causes(), "a password stays locked elsewhere until the next login");
            }
        }
    }

    /// Settles a guess at the password of `user_id`, or of nobody, that was wrong. Too many in a row shut the
    /// password for devices that are not known.
    pub(crate) async fn guessed_wrong(&self, guess: &Guess, user_id: Option<UserId>) {
        let now = self.clock.now();
        self.limiter.settle(&guess.budgets, Settlement::Failed, now).await;
        let Some(user_id) = user_id else { return };
        let is_too_many = guess.failures >= self.policy.limits.lock_after;
        if guess.standing == Standing::Known || guess.lock.locked_at.is_some() || !is_too_many {
            return;
        }
        let event = AuditEvent::new(AuditAction::PasswordLocked, Actor::Ostiary, &Client::default(), now);
        match self.store.lock_password(user_id, event).await {
            Ok(is_locked) => {
                if is_locked {
                    self.limit_metrics.locked.inc();
                    tracing::warn!(%user_id, failures = guess.failures, "too many wrong passwords: it opens nothing on unknown devices until its owner logs in on a known one, or `ostiary user unlock`");
                }
            }
            // The next failure tries again.
            Err(error) => tracing::warn!(%user_id, error = error.with_causes(), "a password was not locked"),
        }
    }

    /// Settles a guess that was not compared, or whose success could not be used.
    pub(crate) async fn guess_withdrawn(&self, guess: &Guess) {
        self.limiter.settle(&guess.budgets, Settlement::Withdrawn, self.clock.now()).await;
    }
}

//! What an operator decides.

use jiff::SignedDuration;

use crate::{jwt::TokenParties, limit::LimitPolicy};

/// The rules of a server.
#[derive(Debug, Clone)]
pub struct Policy {
    /// How long an access token is good.
    pub access_token_lifetime: SignedDuration,
    /// How long a session lasts, however often it is refreshed.
    pub session_lifetime: SignedDuration,
    /// How long a session lasts without being refreshed; `None` for as long as any.
    pub session_idle: Option<SignedDuration>,
    /// How many sessions a user may have; a new one ends the one that was refreshed the longest ago.
    pub max_sessions: Option<u32>,
    /// For how long what the store said of a session serves others; zero if it is asked each time.
    pub session_cache: SignedDuration,
    /// How long after a rotation the spent token still gets the same answer; 0 to 60 s.
    pub refresh_grace: SignedDuration,
    /// Who issues access tokens, and for whom.
    pub token_parties: TokenParties,
    /// Whether access tokens name the user's groups.
    pub token_groups: bool,
    /// The groups that anyone may register into.
    pub registration_groups: Vec<String>,
    /// What a new password must be.
    pub password: PasswordPolicy,
    /// How many guesses at a password are allowed.
    pub limits: LimitPolicy,
    /// How long a device is known after the last login on it.
    pub known_device_lifetime: SignedDuration,
}

/// What a new password must be (NIST SP 800-63B-4 §3.1.1.2): long enough, and not among the first
/// that an attacker tries. No rules on its characters.
#[derive(Debug, Clone, Copy)]
pub struct PasswordPolicy {
    /// The least length in code points.
    pub min_chars: usize,
    /// The least score of zxcvbn, 0 (off) to 4.
    pub min_score: u8,
}

impl PasswordPolicy {
    /// `min_chars` cannot go below this.
    pub const FLOOR_CHARS: usize = 8;
    /// The greatest length in code points; longer ones would only cost time.
    pub const MAX_CHARS: usize = 256;
}

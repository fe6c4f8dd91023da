//! What strangers send, and what must hold whatever it is: a function for each reader of it.
//!
//! A target takes any bytes, and panics if what must hold does not. `scripts/fuzz.sh` looks for such bytes; those
//! that are known to be interesting are in `corpus/`, a folder a target, and are replayed by the tests.

mod access_token;
mod body;
mod client_address;
mod contact;
mod database_url;
mod edits;
mod env_file;
mod oauth_form;
mod password_hash;
mod profile;
mod refresh_token;
mod user_agent;

pub use access_token::access_token;
pub use body::body;
pub use client_address::client_address;
pub use contact::contact;
pub use database_url::database_url;
pub use env_file::env_file;
pub use oauth_form::oauth_form;
pub use password_hash::password_hash;
pub use profile::profile;
pub use refresh_token::refresh_token;
pub use user_agent::user_agent;

/// A target, which panics if what must hold does not.
pub type Target = fn(&[u8]);

/// All targets, under the names of their programs and of the folders of their inputs.
pub const TARGETS: [(&str, Target); 11] = [
    ("access_token", access_token),
    ("body", body),
    ("client_address", client_address),
    ("contact", contact),
    ("database_url", database_url),
    ("env_file", env_file),
    ("oauth_form", oauth_form),
    ("password_hash", password_hash),
    ("profile", profile),
    ("refresh_token", refresh_token),
    ("user_agent", user_agent),
];

/// Planted where no answer, message or log may show it.
const SECRET: &str = "never-to-be-seen";

//! Contacts: the names by which a user can be found. A username (`second_login` in the contract), a
//! phone number and an e-mail address live in one namespace, each as one canonical text.
//!
//! Storing and looking up call the same functions, so whatever a user registered with, in any
//! spelling, is found again in any other spelling of it. Three properties hold, and are tested:
//! a canonical value is its own canonical value; distinct canonical values stay distinct; and no
//! value is canonical for two kinds.

use std::fmt;

mod email;
mod phone;
mod username;

pub use phone::{Region, UnknownRegion};

/// What a contact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ContactKind {
    /// A username; the contract calls it `second_login`.
    SecondLogin,
    /// A phone number.
    Phone,
    /// An e-mail address.
    Email,
}

impl ContactKind {
    /// The name that the contract and the stores use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SecondLogin => "second_login",
            Self::Phone => "phone",
            Self::Email => "email",
        }
    }

    /// The kind that the contract and the stores call `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::SecondLogin, Self::Phone, Self::Email].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// The one spelling of a contact that is compared and kept unique.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CanonicalContact {
    kind: ContactKind,
    value: String,
}

impl CanonicalContact {
    /// What the contact is.
    #[must_use]
    pub const fn kind(&self) -> ContactKind {
        self.kind
    }

    /// The canonical text: `user@xn--bcher-kva.example`, `+79161234567`, `anna`.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// A contact is personal data: logs show what it is, not which one.
impl fmt::Debug for CanonicalContact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CanonicalContact({}, ..)", self.kind.as_str())
    }
}

/// A contact as a user gave it: the canonical value, and what was typed, for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    canonical: CanonicalContact,
    typed: Typed,
}

#[derive(Clone, PartialEq, Eq)]
struct Typed(String);

impl fmt::Debug for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

impl Contact {
    fn new(kind: ContactKind, value: String, typed: &str) -> Self {
        Self { canonical: CanonicalContact { kind, value }, typed: Typed(typed.trim().to_owned()) }
    }

    /// The spelling that is compared.
    #[must_use]
    pub const fn canonical(&self) -> &CanonicalContact {
        &self.canonical
    }

    /// What was typed, trimmed.
    #[must_use]
    pub fn typed(&self) -> &str {
        &self.typed.0
    }
}

/// A text is no contact of the kind that it was given as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContactError {
    /// Not an e-mail address that mail can be sent to.
    #[error("not a valid e-mail address")]
    NotAnEmail,
    /// Not a phone number by the numbering plan of its country.
    #[error("not a valid phone number")]
    NotAPhone,
    /// A username that could be taken for an e-mail address.
    #[error("a username cannot contain '@'")]
    UsernameWithAt,
    /// A username that could be taken for a phone number.
    #[error("a username cannot be a phone number")]
    UsernameIsPhone,
    /// A username with control, invisible or text-direction characters, or with nothing visible.
    #[error("a username cannot contain control or invisible characters")]
    UsernameUnprintable,
}

/// The rules by which text becomes a contact.
#[derive(Debug, Clone, Copy)]
pub struct ContactRules {
    default_region: Region,
}

impl ContactRules {
    /// Rules that read a phone number without a country code as one of `default_region`.
    #[must_use]
    pub const fn new(default_region: Region) -> Self {
        Self { default_region }
    }

    /// The e-mail address that `text` spells.
    ///
    /// # Errors
    /// [`ContactError::NotAnEmail`].
    pub fn email(&self, text: &str) -> Result<Contact, ContactError> {
        let value = email::canonical(text).ok_or(ContactError::NotAnEmail)?;
        Ok(Contact::new(ContactKind::Email, value, text))
    }

    /// The phone number that `text` spells.
    ///
    /// # Errors
    /// [`ContactError::NotAPhone`].
    pub fn phone(&self, text: &str) -> Result<Contact, ContactError> {
        let value = phone::canonical(text, self.default_region).ok_or(ContactError::NotAPhone)?;
        Ok(Contact::new(ContactKind::Phone, value, text))
    }

    /// The username that `text` spells.
    ///
    /// # Errors
    /// If it could be taken for an e-mail address or a phone number, or cannot be read.
    pub fn username(&self, text: &str) -> Result<Contact, ContactError> {
        let value = username::canonical(text).ok_or(ContactError::UsernameUnprintable)?;
        if value.contains('@') {
            return Err(ContactError::UsernameWithAt);
        }
        if phone::canonical(&value, self.default_region).is_some() {
            return Err(ContactError::UsernameIsPhone);
        }
        Ok(Contact::new(ContactKind::SecondLogin, value, text))
    }

    /// The contact that a user who typed `login` means: with an `@` an e-mail address, else a phone
    /// number if it is one, else a username. `None` is a login that nobody can have.
    #[must_use]
    pub fn look_up(&self, login: &str) -> Option<Contact> {
        let contact = if login.contains('@') {
            self.email(login)
        } else {
            self.phone(login).or_else(|_| self.username(login))
        };
        contact.ok()
    }
}

#[cfg(test)]
mod tests;

//! What can be wrong with a value, in the words and with the facts that pydantic would use.

use ostiary_core::profile::{self, ProfileRefusal};
use serde_json::{Value, json};

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub(super) kind: &'static str,
    pub(super) msg: String,
    pub(super) ctx: Option<Value>,
}

impl Fault {
    /// A fault of a kind that has no further facts.
    pub fn new(kind: &'static str, msg: impl Into<String>) -> Self {
        Self { kind, msg: msg.into(), ctx: None }
    }

    /// A text with fewer than `least` characters.
    #[must_use]
    pub fn too_short(least: usize) -> Self {
        let ctx = Some(json!({ "min_length": least }));
        Self {
            kind: "string_too_short",
            msg: format!("String should have at least {}", characters(least)),
            ctx,
        }
    }

    /// A text with more than `most` characters.
    #[must_use]
    pub fn too_long(most: usize) -> Self {
        let ctx = Some(json!({ "max_length": most }));
        Self { kind: "string_too_long", msg: format!("String should have at most {}", characters(most)), ctx }
    }

    /// A text that does not match `pattern`.
    #[must_use]
    pub fn pattern_mismatch(pattern: &str) -> Self {
        let ctx = Some(json!({ "pattern": pattern }));
        Self { kind: "string_pattern_mismatch", msg: format!("String should match pattern '{pattern}'"), ctx }
    }

    pub(super) fn missing() -> Self {
        Self::new("missing", "Field required")
    }

    pub(super) fn not_permitted() -> Self {
        Self::new("extra_forbidden", "Extra inputs are not permitted")
    }

    pub(super) fn not_a_string() -> Self {
        Self::new("string_type", "Input should be a valid string")
    }
}

fn characters(count: usize) -> String {
    format!("{count} character{}", if count == 1 { "" } else { "s" })
}

/// A regular expression to show, and the function that decides.
pub type Pattern = (&'static str, fn(&str) -> bool);

/// What a text must be; lengths are in code points.
#[derive(Debug, Clone, Copy, Default)]
pub struct Text {
    /// The least length.
    pub min: Option<usize>,
    /// The greatest length.
    pub max: Option<usize>,
    /// What it must match.
    pub pattern: Option<Pattern>,
}

impl Text {
    /// Any text.
    pub const ANY: Self = Self { min: None, max: None, pattern: None };

    pub(super) fn check(&self, text: &str) -> Result<(), Fault> {
        let length = text.chars().count();
        if let Some(least) = self.min.filter(|least| length < *least) {
            return Err(Fault::too_short(least));
        }
        if let Some(most) = self.max.filter(|most| length > *most) {
            return Err(Fault::too_long(most));
        }
        match self.pattern {
            Some((pattern, matches)) if !matches(text) => Err(Fault::pattern_mismatch(pattern)),
            _ => Ok(()),
        }
    }
}

impl From<ProfileRefusal> for Fault {
    fn from(refusal: ProfileRefusal) -> Self {
        match refusal {
            ProfileRefusal::TooLarge => Self::new(
                "object_too_large",
                format!("Input should be at most {} bytes as JSON", profile::MAX_BYTES),
            ),
            ProfileRefusal::TooDeep => Self::new(
                "nesting_too_deep",
                format!("Input should have at most {} levels", profile::MAX_DEPTH),
            ),
        }
    }
}

/// A text with a NUL character, which ends it for other programs.
#[must_use]
pub fn nul_character() -> Fault {
    Fault::new("null_character", "Input should not contain a NUL character")
}

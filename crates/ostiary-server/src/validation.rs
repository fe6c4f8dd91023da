//! Request bodies: decoded and validated in one pass that collects every error, in the order of the
//! fields and in the form of the contract (that of pydantic).
//!
//! A handler asks a [`Form`] for its members one by one, says what each must be, and at last calls
//! [`Form::finish`]. Whatever is asked for after an error is still checked, so that a client learns
//! of everything at once. No error repeats a member named `password`. (A body that is not JSON is repeated
//! as the text that it is; the contract has it so.)

use std::fmt;

use ostiary_core::profile::{self, ProfileRefusal};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Members that are never repeated in an answer.
const SECRET_MEMBERS: &[&str] = &["password"];

/// Numbers that are stored may have exponents of this size: twice those of a 64-bit float, and more.
const MAX_EXPONENT: u32 = 1_000;

/// Why a required member is there once [`Form::finish`] has found nothing wrong.
pub const COMPLETE: &str = "a form without errors has all that was required";

/// One error, as a client sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldError {
    #[serde(rename = "type")]
    kind: &'static str,
    loc: Vec<Value>,
    msg: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ctx: Option<Value>,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    kind: &'static str,
    msg: String,
    ctx: Option<Value>,
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

    fn missing() -> Self {
        Self::new("missing", "Field required")
    }

    fn not_a_string() -> Self {
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

    fn check(&self, text: &str) -> Result<(), Fault> {
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

/// The members of a JSON object, and the errors found in them so far.
pub struct Form {
    members: Map<String, Value>,
    errors: Vec<FieldError>,
}

/// A body has secrets: a log may know how much of it there is, not what.
impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Form({} members, {} errors)", self.members.len(), self.errors.len())
    }
}

impl Form {
    /// The form in a body.
    ///
    /// # Errors
    /// If the body is empty, not JSON, or no object.
    pub fn parse(body: &[u8], is_json: bool) -> Result<Self, Vec<FieldError>> {
        if body.is_empty() {
            return Err(vec![whole_body(Fault::missing(), Value::Null)]);
        }
        let value = if is_json {
            // Some systems put a byte-order mark before everything that they write.
            let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
            serde_json::from_slice(body).map_err(|error| vec![syntax_error(body, &error)])?
        } else {
            Value::String(String::from_utf8_lossy(body).into_owned())
        };
        match value {
            Value::Object(members) => Ok(Self { members, errors: Vec::new() }),
            other => Err(vec![whole_body(
                Fault::new(
                    "model_attributes_type",
                    "Input should be a valid dictionary or object to extract fields from",
                ),
                without_secrets(&other),
            )]),
        }
    }

    /// A text that must be there.
    pub fn required_text(&mut self, name: &str, rule: &Text) -> Option<String> {
        match self.members.get(name).cloned() {
            None => self.refuse_missing(name),
            Some(value) => self.text(name, value, rule),
        }
    }

    /// A text that may be absent or `null`.
    pub fn optional_text(&mut self, name: &str, rule: &Text) -> Option<String> {
        match self.members.get(name).cloned() {
            None | Some(Value::Null) => None,
            Some(value) => self.text(name, value, rule),
        }
    }

    /// A JSON object to be stored, that may be absent or `null`.
    pub fn optional_object(&mut self, name: &str) -> Option<Map<String, Value>> {
        match self.members.get(name).cloned() {
            None | Some(Value::Null) => None,
            Some(Value::Object(object)) => match storable(&object) {
                Ok(()) => Some(object),
                Err(fault) => {
                    // Not repeated: it may be as long as the body.
                    self.push(vec![name.into()], fault, None);
                    None
                }
            },
            Some(_) => self.refuse(name, Fault::new("dict_type", "Input should be a valid dictionary")),
        }
    }

    /// A list of at least one text that must be there.
    pub fn required_texts(&mut self, name: &str) -> Option<Vec<String>> {
        let items = match self.members.get(name).cloned() {
            None => return self.refuse_missing(name),
            Some(Value::Array(items)) => items,
            Some(_) => return self.refuse(name, Fault::new("list_type", "Input should be a valid list")),
        };
        if items.is_empty() {
            let msg = "List should have at least 1 item after validation, not 0".to_owned();
            let ctx = Some(json!({ "field_type": "List", "min_length": 1, "actual_length": 0 }));
            return self.refuse(name, Fault { kind: "too_short", msg, ctx });
        }
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            match item {
                Value::String(text) => texts.push(text),
                other => {
                    let input = (!is_secret(name)).then(|| without_secrets(&other));
                    self.push(vec![name.into(), index.into()], Fault::not_a_string(), input);
                }
            }
        }
        Some(texts)
    }

    /// Adds what else is wrong with a member. Gives `None`, for a caller that goes on without it.
    pub fn refuse<T>(&mut self, name: &str, fault: Fault) -> Option<T> {
        let input = if is_secret(name) { None } else { self.members.get(name).map(without_secrets) };
        self.push(vec![name.into()], fault, input);
        None
    }

    /// Ends the pass.
    ///
    /// # Errors
    /// If anything was refused: all of it.
    pub fn finish(self) -> Result<(), Vec<FieldError>> {
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors) }
    }

    fn text(&mut self, name: &str, value: Value, rule: &Text) -> Option<String> {
        let Value::String(text) = value else { return self.refuse(name, Fault::not_a_string()) };
        match rule.check(&text) {
            Ok(()) => Some(text),
            Err(fault) => self.refuse(name, fault),
        }
    }

    fn refuse_missing<T>(&mut self, name: &str) -> Option<T> {
        let whole = (!is_secret(name)).then(|| without_secrets(&Value::Object(self.members.clone())));
        self.push(vec![name.into()], Fault::missing(), whole);
        None
    }

    fn push(&mut self, place: Vec<Value>, fault: Fault, input: Option<Value>) {
        let loc = [vec!["body".into()], place].concat();
        self.errors.push(FieldError { kind: fault.kind, loc, msg: fault.msg, input, ctx: fault.ctx });
    }
}

fn whole_body(fault: Fault, input: Value) -> FieldError {
    FieldError {
        kind: fault.kind,
        loc: vec!["body".into()],
        msg: fault.msg,
        input: Some(input),
        ctx: fault.ctx,
    }
}

fn syntax_error(body: &[u8], error: &serde_json::Error) -> FieldError {
    let lines_before: usize = body
        .split_inclusive(|byte| *byte == b'\n')
        .take(error.line().saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    let position = lines_before + error.column();
    FieldError {
        kind: "json_invalid",
        loc: vec!["body".into(), position.into()],
        msg: "JSON decode error".to_owned(),
        input: Some(json!({})),
        ctx: None,
    }
}

fn is_secret(name: &str) -> bool {
    SECRET_MEMBERS.contains(&name)
}

fn without_secrets(value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .iter()
                .filter(|(name, _)| !is_secret(name))
                .map(|(name, value)| (name.clone(), without_secrets(value)))
                .collect(),
        ),
        Value::Array(items) => items.iter().map(without_secrets).collect(),
        other => other.clone(),
    }
}

/// What both stores can keep, within the limits of a profile: PostgreSQL's `jsonb` has no NUL character, and
/// writes numbers out in full.
fn storable(object: &Map<String, Value>) -> Result<(), Fault> {
    fn check(value: &Value) -> Result<(), Fault> {
        match value {
            Value::Array(items) => items.iter().try_for_each(check),
            Value::Object(members) => check_members(members),
            Value::String(text) => check_text(text),
            Value::Number(number) => check_number(number.as_str()),
            Value::Null | Value::Bool(_) => Ok(()),
        }
    }
    fn check_members(members: &Map<String, Value>) -> Result<(), Fault> {
        members.iter().try_for_each(|(name, value)| {
            check_text(name)?;
            check(value)
        })
    }
    fn check_number(digits: &str) -> Result<(), Fault> {
        let Some((_, exponent)) = digits.split_once(['e', 'E']) else { return Ok(()) };
        match exponent.parse::<i32>() {
            Ok(exponent) if exponent.unsigned_abs() <= MAX_EXPONENT => Ok(()),
            _ => Err(Fault::new(
                "number_out_of_range",
                format!("Input should have numbers with exponents of at most {MAX_EXPONENT}"),
            )),
        }
    }
    fn check_text(text: &str) -> Result<(), Fault> {
        if text.contains('\0') { Err(nul_character()) } else { Ok(()) }
    }
    profile::check(object)?;
    check_members(object)
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

#[cfg(test)]
mod tests;

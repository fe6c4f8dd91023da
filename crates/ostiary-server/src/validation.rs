//! Request bodies: decoded and validated in one pass that collects every error, in the order of the
//! fields and in the form of the contract (that of pydantic).
//!
//! A handler asks a [`Form`] for its members one by one, says what each must be, and at last calls
//! [`Form::finish`]. Whatever is asked for after an error is still checked, so that a client learns
//! of everything at once.
//!
//! The endpoints of the contract ignore members that nobody asked for, and their errors repeat what was given,
//! but no member named `password`. (A body that is not JSON is repeated as the text that it is; the contract
//! has it so.) All others take a closed form: it refuses such members, and its errors repeat nothing, since
//! even a misspelt name may stand before a secret.

use std::fmt;

use ostiary_core::profile::MergePatch;
use serde::Serialize;
use serde_json::{Map, Value, json};

mod fault;
mod storable;
mod strict;

pub use fault::{Fault, Pattern, Text, nul_character};

/// Members that are never repeated in an answer.
const SECRET_MEMBERS: &[&str] = &["password"];

/// Of the name of a member that nobody asked for, an error shows this many characters.
const SHOWN_NAME_CHARS: usize = 64;

/// Why a required member is there once [`Form::finish`] has found nothing wrong.
pub const COMPLETE: &str = "a form without errors has all that was required";

/// One error, as a client sees it.
#[derive(Clone, PartialEq, Serialize)]
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

/// The input may be a token that was put in the wrong place.
impl fmt::Debug for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FieldError").field("kind", &self.kind).field("loc", &self.loc).finish_non_exhaustive()
    }
}

impl FieldError {
    /// What is wrong with a member of the body, without repeating it.
    #[must_use]
    pub fn of_member(name: &str, fault: Fault) -> Self {
        Self::at(vec!["body".into(), name.into()], fault)
    }

    /// What is wrong with a parameter of the query, or with all of it, without repeating it.
    #[must_use]
    pub fn of_query(name: Option<&str>, fault: Fault) -> Self {
        let place = [Some("query"), name].into_iter().flatten().map(Value::from);
        Self::at(place.collect(), fault)
    }

    fn at(loc: Vec<Value>, fault: Fault) -> Self {
        Self { kind: fault.kind, loc, msg: fault.msg, input: None, ctx: fault.ctx }
    }
}

/// The members of a JSON object, and the errors found in them so far.
pub struct Form {
    members: Map<String, Value>,
    asked_for: Vec<&'static str>,
    is_closed: bool,
    errors: Vec<FieldError>,
}

/// A body has secrets: a log may know how much of it there is, not what.
impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Form({} members, {} errors)", self.members.len(), self.errors.len())
    }
}

impl Form {
    /// The form in the body of one of the contract's requests.
    ///
    /// # Errors
    /// If the body is empty, not JSON, or no object.
    pub fn parse(body: &[u8], is_json: bool) -> Result<Self, Vec<FieldError>> {
        if body.is_empty() {
            return Err(vec![whole_body(Fault::missing(), Value::Null)]);
        }
        let value = if is_json {
            let body = without_byte_order_mark(body);
            serde_json::from_slice(body).map_err(|error| vec![syntax_error(body, &error)])?
        } else {
            Value::String(String::from_utf8_lossy(body).into_owned())
        };
        match value {
            Value::Object(members) => {
                Ok(Self { members, asked_for: Vec::new(), is_closed: false, errors: Vec::new() })
            }
            other => Err(vec![whole_body(
                Fault::new(
                    "model_attributes_type",
                    "Input should be a valid dictionary or object to extract fields from",
                ),
                without_secrets(&other),
            )]),
        }
    }

    /// The closed form in the body of any other request.
    ///
    /// # Errors
    /// If the body is empty, not JSON, no object, has an object that names a member twice or has very many, or
    /// a very long text.
    pub fn parse_closed(body: &[u8], is_json: bool) -> Result<Self, Vec<FieldError>> {
        Self::parse(body, is_json)
            .and_then(|form| match strict::check(without_byte_order_mark(body), &form.members) {
                Ok(()) => Ok(Self { is_closed: true, ..form }),
                Err(fault) => Err(vec![whole_body(fault, Value::Null)]),
            })
            .map_err(without_inputs)
    }

    /// A text that must be there.
    pub fn required_text(&mut self, name: &'static str, rule: &Text) -> Option<String> {
        match self.ask_for(name) {
            None => self.refuse_missing(name),
            Some(value) => self.text(name, value, rule),
        }
    }

    /// A text that may be absent or `null`.
    pub fn optional_text(&mut self, name: &'static str, rule: &Text) -> Option<String> {
        match self.ask_for(name) {
            None | Some(Value::Null) => None,
            Some(value) => self.text(name, value, rule),
        }
    }

    /// A JSON object to be stored, that may be absent or `null`.
    pub fn optional_object(&mut self, name: &'static str) -> Option<Map<String, Value>> {
        match self.ask_for(name) {
            None | Some(Value::Null) => None,
            Some(value) => self.object(name, value),
        }
    }

    /// A merge patch for an object that is stored: an object or `null`, that may be absent.
    pub fn optional_merge_patch(&mut self, name: &'static str) -> Option<MergePatch> {
        match self.ask_for(name)? {
            Value::Null => Some(MergePatch::Remove),
            value => self.object(name, value).map(MergePatch::Merge),
        }
    }

    /// A list of at least one text that must be there.
    pub fn required_texts(&mut self, name: &'static str) -> Option<Vec<String>> {
        let items = match self.ask_for(name) {
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

    /// Ends the pass. A closed form refuses what nobody has asked for.
    ///
    /// # Errors
    /// If anything was refused: all of it.
    pub fn finish(mut self) -> Result<(), Vec<FieldError>> {
        if self.is_closed {
            self.refuse_others();
            self.errors = without_inputs(self.errors);
        }
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors) }
    }

    fn ask_for(&mut self, name: &'static str) -> Option<Value> {
        self.asked_for.push(name);
        self.members.get(name).cloned()
    }

    fn refuse_others(&mut self) {
        let others = self.members.keys().filter(|name| !self.asked_for.contains(&name.as_str()));
        let shown: Vec<String> = others.map(|name| name.chars().take(SHOWN_NAME_CHARS).collect()).collect();
        for name in shown {
            self.push(vec![name.into()], Fault::not_permitted(), None);
        }
    }

    fn text(&mut self, name: &str, value: Value, rule: &Text) -> Option<String> {
        let Value::String(text) = value else { return self.refuse(name, Fault::not_a_string()) };
        match rule.check(&text) {
            Ok(()) => Some(text),
            Err(fault) => self.refuse(name, fault),
        }
    }

    fn object(&mut self, name: &str, value: Value) -> Option<Map<String, Value>> {
        let Value::Object(object) = value else {
            return self.refuse(name, Fault::new("dict_type", "Input should be a valid dictionary"));
        };
        match storable::check(&object) {
            Ok(()) => Some(object),
            Err(fault) => {
                // Not repeated: it may be as long as the body.
                self.push(vec![name.into()], fault, None);
                None
            }
        }
    }

    fn refuse_missing<T>(&mut self, name: &str) -> Option<T> {
        let whole = (!is_secret(name)).then(|| without_secrets(&Value::Object(self.members.clone())));
        self.push(vec![name.into()], Fault::missing(), whole);
        None
    }

    fn push(&mut self, place: Vec<Value>, fault: Fault, input: Option<Value>) {
        let loc = [vec!["body".into()], place].concat();
        self.errors.push(FieldError { input, ..FieldError::at(loc, fault) });
    }
}

fn whole_body(fault: Fault, input: Value) -> FieldError {
    FieldError { input: Some(input), ..FieldError::at(vec!["body".into()], fault) }
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

/// Some systems put the mark before everything that they write.
fn without_byte_order_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

fn without_inputs(errors: Vec<FieldError>) -> Vec<FieldError> {
    errors.into_iter().map(|error| FieldError { input: None, ..error }).collect()
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

#[cfg(test)]
mod tests;

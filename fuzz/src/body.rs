//! Bodies of requests: read as a plainer reader reads them, held to the limits, and never repeated where they
//! may be secrets.

use ostiary_core::profile::{self, MergePatch};
use ostiary_server::validation::{FieldError, Form, Text};
use serde_json::{Map, Value};

use crate::{SECRET, profile::depth};

/// The limits of a closed form: members of an object, and bytes of a text.
const MOST_MEMBERS: usize = 256;
const MOST_BYTES: usize = 8 * 1024;

/// How JSON numbers of any size come out of the parser; an object with a member of that name is taken for one.
const NUMBER_NAME: &str = "$serde_json::private::Number";

type Errors = Vec<FieldError>;

/// What a handler asked for, and got.
#[derive(Default)]
struct Answers {
    texts: Vec<(&'static str, String)>,
    profile: Option<Map<String, Value>>,
    patch: Option<MergePatch>,
    groups: Option<Vec<String>>,
}

/// Reads a body as a form of the contract and as a closed one, and asks for members of every kind.
pub fn body(data: &[u8]) {
    let json = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
    let read = serde_json::from_slice::<Value>(json).ok();
    check(Form::parse(data, true).and_then(ask), read.as_ref());
    check(Form::parse(data, false).and_then(ask), None);
    check(Form::parse_closed(data, false).and_then(ask), None);
    check_closed(data, read.as_ref());
    if let Some(read) = read {
        check_secrets(read);
    }
}

fn ask(mut form: Form) -> Result<Answers, Errors> {
    const SHORT: Text =
        Text { min: Some(3), max: Some(64), pattern: Some(("no spaces", |text| !text.contains(' '))) };
    let mut texts = Vec::new();
    for (name, rule) in [("login", &SHORT), ("refresh_token", &Text::ANY)] {
        texts.extend(form.required_text(name, rule).map(|text| (name, text)));
    }
    for (name, rule) in [("password", &SHORT), ("email", &Text::ANY)] {
        texts.extend(form.optional_text(name, rule).map(|text| (name, text)));
    }
    let profile = form.optional_object("profile");
    let patch = form.optional_merge_patch("patch");
    let groups = form.required_texts("group_names");
    form.finish().map(|()| Answers { texts, profile, patch, groups })
}

/// `read` is what there is to be found, if it is JSON.
fn check(outcome: Result<Answers, Errors>, read: Option<&Value>) {
    let answers = match outcome {
        Ok(answers) => answers,
        Err(errors) => return check_errors(&errors),
    };
    let members = read.and_then(Value::as_object).expect("only an object is a form");
    for (name, text) in &answers.texts {
        assert_eq!(members[*name], **text);
    }
    let groups = answers.groups.expect("a form without errors has all that was required");
    assert_eq!(members["group_names"], Value::from(groups));
    let patch = match answers.patch {
        Some(MergePatch::Merge(patch)) => Some(patch),
        Some(MergePatch::Remove) | None => None,
    };
    for (name, object) in [("profile", answers.profile), ("patch", patch)] {
        let found = members.get(name).and_then(Value::as_object);
        assert_eq!(object.as_ref(), found);
        if let Some(object) = object {
            assert_eq!(profile::check(&object), Ok(()));
            assert!(
                !serde_json::json!(object).to_string().contains(r"\u0000"),
                "no store keeps a NUL character"
            );
        }
    }
}

fn check_errors(errors: &Errors) {
    assert!(!errors.is_empty());
    for error in shown(errors) {
        assert_eq!(error["loc"][0], "body");
        assert!(error["type"].as_str().is_some_and(|kind| !kind.is_empty()));
        assert!(error["msg"].as_str().is_some_and(|msg| !msg.is_empty()));
    }
}

/// A closed form is taken if and only if each object names its members once and nothing is beyond the limits.
fn check_closed(data: &[u8], read: Option<&Value>) {
    let form = Form::parse_closed(data, true);
    match read {
        // An object that is taken for a number has fewer members than it seems to have.
        Some(value) if value.is_object() && !contains(data, NUMBER_NAME) => {
            let is_within = colons(data) == members(value) && is_within_limits(value);
            assert_eq!(form.is_ok(), is_within, "{form:?}");
        }
        Some(value) if value.is_object() => {}
        _ => assert!(form.is_err()),
    }
    let outcome = form.and_then(ask);
    if let Err(errors) = &outcome {
        assert!(shown(errors).iter().all(|error| error.get("input").is_none()));
    } else {
        let deepest = read.map_or(0, depth);
        assert!(deepest <= 1 + profile::MAX_DEPTH, "{deepest} levels");
    }
    check(outcome, read);
}

/// No error of a closed form repeats any text, and none of the contract's forms a password.
fn check_secrets(read: Value) {
    if read.to_string().contains(SECRET) {
        return;
    }
    let is_shown = |outcome: Result<Answers, Errors>| {
        outcome.is_err_and(|errors| Value::from(shown(&errors)).to_string().contains(SECRET))
    };
    let with_password = with_secrets(read.clone(), false).to_string();
    assert!(!is_shown(Form::parse(with_password.as_bytes(), true).and_then(ask)));
    let all_secret = with_secrets(read, true).to_string();
    for is_json in [true, false] {
        assert!(!is_shown(Form::parse_closed(all_secret.as_bytes(), is_json).and_then(ask)));
    }
}

/// `value` with a secret for each text; or only for those that are, or are within, a `password`.
fn with_secrets(value: Value, is_secret: bool) -> Value {
    match value {
        Value::String(_) if is_secret => SECRET.into(),
        Value::Array(items) => items.into_iter().map(|item| with_secrets(item, is_secret)).collect(),
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    let is_secret = is_secret || name == "password";
                    (name, with_secrets(value, is_secret))
                })
                .collect(),
        ),
        other => other,
    }
}

fn shown(errors: &Errors) -> Vec<Value> {
    errors.iter().map(|error| serde_json::to_value(error).expect("an error has a JSON form")).collect()
}

/// How many members the objects of a JSON text name: each has a colon outside of texts.
fn colons(json: &[u8]) -> usize {
    let (mut count, mut is_text, mut is_escaped) = (0, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b':' if !is_text => count += 1,
            _ => {}
        }
    }
    count
}

fn members(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(members).sum(),
        Value::Object(object) => object.len() + object.values().map(members).sum::<usize>(),
        _ => 0,
    }
}

fn is_within_limits(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(is_within_limits),
        Value::Object(members) => {
            members.len() <= MOST_MEMBERS
                && members.iter().all(|(name, value)| name.len() <= MOST_BYTES && is_within_limits(value))
        }
        Value::String(text) => text.len() <= MOST_BYTES,
        _ => true,
    }
}

fn contains(data: &[u8], text: &str) -> bool {
    data.windows(text.len()).any(|window| window == text.as_bytes())
}

//! What a closed form takes of JSON: an object names each member once, so that no two programs read it
//! differently, and nothing is larger than any member of ours.

use std::{collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value, json};

use super::Fault;

/// An object has at most this many members.
const MAX_MEMBERS: usize = 256;

/// A text, or the name of a member, has at most this many bytes in UTF-8.
const MAX_TEXT_BYTES: usize = 8 * 1024;

/// Holds a body to this: the text, and the members that were read from it.
pub(super) fn check(json: &[u8], members: &Map<String, Value>) -> Result<(), Fault> {
    let Distinct(is_distinct) = serde_json::from_slice(json).expect("what has been read reads again");
    if !is_distinct {
        return Err(Fault::new("json_duplicate_member", "Objects should name each member once"));
    }
    check_members(members)
}

fn check_members(members: &Map<String, Value>) -> Result<(), Fault> {
    if members.len() > MAX_MEMBERS {
        let count = members.len();
        return Err(Fault {
            kind: "too_many_members",
            msg: format!("Objects should have at most {MAX_MEMBERS} members, not {count}"),
            ctx: Some(json!({ "max_length": MAX_MEMBERS, "actual_length": count })),
        });
    }
    members.iter().try_for_each(|(name, value)| {
        check_text(name)?;
        check_value(value)
    })
}

fn check_value(value: &Value) -> Result<(), Fault> {
    match value {
        Value::Object(members) => check_members(members),
        Value::Array(items) => items.iter().try_for_each(check_value),
        Value::String(text) => check_text(text),
        Value::Number(_) | Value::Bool(_) | Value::Null => Ok(()),
    }
}

fn check_text(text: &str) -> Result<(), Fault> {
    if text.len() <= MAX_TEXT_BYTES {
        return Ok(());
    }
    Err(Fault {
        kind: "string_too_long",
        msg: format!("Strings should have at most {MAX_TEXT_BYTES} bytes in UTF-8"),
        ctx: Some(json!({ "max_length": MAX_TEXT_BYTES })),
    })
}

/// Whether the objects in a JSON text name each member once. A [`Value`] cannot say: in it the last one has
/// won already.
struct Distinct(bool);

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NameReader)
    }
}

struct NameReader;

impl<'de> Visitor<'de> for NameReader {
    type Value = Distinct;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Distinct, E> {
        Ok(Distinct(true))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Distinct, E> {
        Ok(Distinct(true))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Distinct, E> {
        Ok(Distinct(true))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Distinct, E> {
        Ok(Distinct(true))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Distinct, E> {
        Ok(Distinct(true))
    }

    fn visit_str<E>(self, _: &str) -> Result<Distinct, E> {
        Ok(Distinct(true))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Distinct, A::Error> {
        let mut is_distinct = true;
        while let Some(Distinct(item)) = items.next_element()? {
            is_distinct &= item;
        }
        Ok(Distinct(is_distinct))
    }

    /// A number that no machine's number is equal to comes here too: as an object whose one member is its text.
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Distinct, A::Error> {
        let mut names = HashSet::new();
        let mut is_distinct = true;
        while let Some((name, Distinct(member))) = members.next_entry::<String, _>()? {
            is_distinct &= member && names.insert(name);
        }
        Ok(Distinct(is_distinct))
    }
}

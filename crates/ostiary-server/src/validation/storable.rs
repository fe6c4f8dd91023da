//! What of JSON both stores can keep.

use ostiary_core::profile;
use serde_json::{Map, Value};

use super::{Fault, nul_character};

/// Numbers that are stored may have exponents of this size: twice those of a 64-bit float, and more.
const MAX_EXPONENT: u32 = 1_000;

/// Holds an object to the limits of a profile, and to what PostgreSQL's `jsonb` takes: it has no NUL
/// character, and writes numbers out in full.
pub(super) fn check(object: &Map<String, Value>) -> Result<(), Fault> {
    profile::check(object)?;
    check_members(object)
}

fn check_members(members: &Map<String, Value>) -> Result<(), Fault> {
    members.iter().try_for_each(|(name, value)| {
        check_text(name)?;
        check_value(value)
    })
}

fn check_value(value: &Value) -> Result<(), Fault> {
    match value {
        Value::Array(items) => items.iter().try_for_each(check_value),
        Value::Object(members) => check_members(members),
        Value::String(text) => check_text(text),
        Value::Number(number) => check_number(number.as_str()),
        Value::Null | Value::Bool(_) => Ok(()),
    }
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

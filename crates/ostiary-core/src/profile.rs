//! Profiles: what users say about themselves. A profile is any JSON object within two limits, and is changed
//! by a merge patch (RFC 7396).

use serde_json::{Map, Value};

/// A profile has at most this many bytes as compact JSON in UTF-8.
pub const MAX_BYTES: usize = 16 * 1024;

/// A profile has at most this many levels of objects and arrays; it is the first of them itself.
pub const MAX_DEPTH: usize = 16;

/// Why a profile is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileRefusal {
    /// It has more than [`MAX_BYTES`].
    TooLarge,
    /// It has more than [`MAX_DEPTH`] levels.
    TooDeep,
}

/// What a merge patch does to a profile.
#[derive(Debug, Clone, PartialEq)]
pub enum MergePatch {
    /// `null`: there is no profile any more.
    Remove,
    /// An object: its members replace those of the same names, `null` removes one, and an object goes into
    /// the one that is there.
    Merge(Map<String, Value>),
}

/// Holds a profile to the limits: one that is given, a patch, and what a patch has made of a profile.
///
/// # Errors
/// If it is beyond one of them.
pub fn check(profile: &Map<String, Value>) -> Result<(), ProfileRefusal> {
    if profile.values().any(|value| is_deeper_than(MAX_DEPTH - 1, value)) {
        return Err(ProfileRefusal::TooDeep);
    }
    let text = serde_json::to_vec(profile).expect("an object whose names are texts is JSON");
    if text.len() > MAX_BYTES { Err(ProfileRefusal::TooLarge) } else { Ok(()) }
}

/// Whether `value` has more than `levels` levels of objects and arrays. Goes no deeper than it must know.
fn is_deeper_than(levels: usize, value: &Value) -> bool {
    match value {
        Value::Array(_) | Value::Object(_) if levels == 0 => true,
        Value::Array(items) => items.iter().any(|item| is_deeper_than(levels - 1, item)),
        Value::Object(members) => members.values().any(|member| is_deeper_than(levels - 1, member)),
        _ => false,
    }
}

/// The profile that `patch` makes of `profile` (RFC 7396 §2). Members stay in their order, new ones follow.
/// It goes as deep as the patch, which has passed [`check`]; what comes of it is to pass too.
#[must_use]
pub fn merge_patch(profile: Option<Map<String, Value>>, patch: MergePatch) -> Option<Map<String, Value>> {
    match patch {
        MergePatch::Remove => None,
        MergePatch::Merge(patch) => Some(merge(profile.unwrap_or_default(), patch)),
    }
}

fn merge(mut target: Map<String, Value>, patch: Map<String, Value>) -> Map<String, Value> {
    for (name, value) in patch {
        match value {
            Value::Null => {
                target.shift_remove(&name);
            }
            Value::Object(patch) => {
                let member = match target.get_mut(&name).map(Value::take) {
                    Some(Value::Object(member)) => member,
                    _ => Map::new(),
                };
                target.insert(name, Value::Object(merge(member, patch)));
            }
            other => {
                target.insert(name, other);
            }
        }
    }
    target
}

#[cfg(test)]
mod tests;

//! Profiles: their limits hold, and a merge patch does what RFC 7396 says and nothing else.

use ostiary_core::profile::{self, MAX_BYTES, MAX_DEPTH, MergePatch, ProfileRefusal, merge_patch};
use serde_json::{Map, Value};

/// Reads a profile in the first line and a patch in the others, and applies the one to the other.
pub fn profile(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let mut next = || serde_json::from_slice::<Value>(parts.next().unwrap_or_default()).ok();
    let (Some(profile), Some(patch)) = (next(), next()) else { return };
    for value in [&profile, &patch] {
        check_limits(value);
    }
    let profile = match profile {
        Value::Object(members) => Some(members),
        _ => None,
    };
    let patch = match patch {
        Value::Object(members) => MergePatch::Merge(members),
        _ => MergePatch::Remove,
    };
    let is_within = |members: &Map<String, Value>| profile::check(members).is_ok();
    let MergePatch::Merge(members) = &patch else {
        return assert_eq!(merge_patch(profile, patch), None);
    };
    if !is_within(members) || !profile.as_ref().is_none_or(is_within) {
        return;
    }
    let merged = merge_patch(profile.clone(), patch.clone()).expect("a merge leaves an object");
    check_merge(&profile.unwrap_or_default(), members, &merged);
    assert_ne!(profile::check(&merged), Err(ProfileRefusal::TooDeep), "as deep as the deeper of both");
    let again = merge_patch(Some(merged.clone()), patch).expect("a merge leaves an object");
    assert_eq!(text(&again), text(&merged), "the same patch again changes nothing");
}

fn check_limits(value: &Value) {
    let Value::Object(members) = value else { return };
    let expected = if depth(value) > MAX_DEPTH {
        Err(ProfileRefusal::TooDeep)
    } else if value.to_string().len() > MAX_BYTES {
        Err(ProfileRefusal::TooLarge)
    } else {
        Ok(())
    };
    assert_eq!(profile::check(members), expected);
}

/// What RFC 7396 §2 says of each member, on every level.
fn check_merge(before: &Map<String, Value>, patch: &Map<String, Value>, after: &Map<String, Value>) {
    for (name, value) in before.iter().filter(|(name, _)| !patch.contains_key(*name)) {
        assert_eq!(after.get(name), Some(value), "what the patch does not name stays");
    }
    assert!(after.keys().all(|name| before.contains_key(name) || patch.contains_key(name)));
    for (name, value) in patch {
        match (value, after.get(name)) {
            (Value::Null, found) => assert_eq!(found, None),
            (Value::Object(patch), Some(Value::Object(after))) => {
                let empty = Map::new();
                check_merge(before.get(name).and_then(Value::as_object).unwrap_or(&empty), patch, after);
            }
            (value, found) => assert_eq!(found, Some(value)),
        }
    }
}

/// How many levels of objects and arrays a value has.
pub(crate) fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn text(members: &Map<String, Value>) -> String {
    serde_json::to_string(members).expect("an object whose names are texts is JSON")
}

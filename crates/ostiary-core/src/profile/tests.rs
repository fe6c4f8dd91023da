use proptest::{collection::vec, prelude::*};
use serde_json::json;

use super::*;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("{other} is no object"),
    }
}

/// What `patch` makes of `profile`, as a text: objects are equal in any order, texts are not.
fn patched(profile: Value, patch: Value) -> String {
    let profile = (!profile.is_null()).then(|| object(profile));
    let patch = if patch.is_null() { MergePatch::Remove } else { MergePatch::Merge(object(patch)) };
    json!(merge_patch(profile, patch)).to_string()
}

/// Those of RFC 7396's examples (appendix A) whose patch is an object or null. Where the target is no object,
/// it counts for nothing, as a profile that is absent does.
#[test]
fn a_patch_does_what_the_examples_of_the_rfc_say() {
    for (profile, patch, result) in [
        (json!({"a": "b"}), json!({"a": "c"}), r#"{"a":"c"}"#),
        (json!({"a": "b"}), json!({"b": "c"}), r#"{"a":"b","b":"c"}"#),
        (json!({"a": "b"}), json!({"a": null}), "{}"),
        (json!({"a": "b", "b": "c"}), json!({"a": null}), r#"{"b":"c"}"#),
        (json!({"a": ["b"]}), json!({"a": "c"}), r#"{"a":"c"}"#),
        (json!({"a": "c"}), json!({"a": ["b"]}), r#"{"a":["b"]}"#),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), r#"{"a":{"b":"d"}}"#),
        (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), r#"{"a":[1]}"#),
        (json!({"a": "foo"}), json!(null), "null"),
        (json!({"e": null}), json!({"a": 1}), r#"{"e":null,"a":1}"#),
        (json!(null), json!({"a": "b", "c": null}), r#"{"a":"b"}"#),
        (json!({}), json!({"a": {"bb": {"ccc": null}}}), r#"{"a":{"bb":{}}}"#),
    ] {
        assert_eq!(patched(profile.clone(), patch.clone()), result, "{profile} {patch}");
    }
}

#[test]
fn a_patch_leaves_the_members_in_their_order() {
    let profile = json!({"z": 1, "y": {"b": 1, "a": 2}, "x": 3, "w": 4});
    let patch = json!({"new": 5, "w": 0, "z": null, "y": {"c": 3, "b": null, "a": 0}});
    assert_eq!(patched(profile, patch), r#"{"y":{"a":0,"c":3},"x":3,"w":0,"new":5}"#);
}

#[test]
fn a_patch_keeps_the_nulls_of_lists_and_the_spelling_of_numbers() {
    let patch: Value = serde_json::from_str(r#"{"l": [null, {"a": null}], "n": 1.10}"#).unwrap();
    assert_eq!(patched(json!(null), patch), r#"{"l":[null,{"a":null}],"n":1.10}"#);
}

#[test]
fn a_profile_is_measured_in_bytes_of_its_text() {
    // {"a":""} are eight; é is two, and is not escaped.
    for (filling, refusal) in [
        ("x".repeat(MAX_BYTES - 8), None),
        ("é".repeat((MAX_BYTES - 8) / 2), None),
        ("x".repeat(MAX_BYTES - 7), Some(ProfileRefusal::TooLarge)),
        ("é".repeat(MAX_BYTES / 2 - 3), Some(ProfileRefusal::TooLarge)),
    ] {
        assert_eq!(check(&object(json!({"a": filling}))).err(), refusal);
    }
}

#[test]
fn the_levels_of_a_profile_are_counted_from_itself() {
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(check(&object(json!({"a": nested(MAX_DEPTH - 1)}))), Ok(()));
    assert_eq!(check(&object(json!({"a": nested(MAX_DEPTH)}))), Err(ProfileRefusal::TooDeep));
    let objects = (1..MAX_DEPTH).fold(json!({}), |inner, _| json!({"a": inner}));
    assert_eq!(check(&object(objects.clone())), Ok(()));
    assert_eq!(check(&object(json!({"a": objects}))), Err(ProfileRefusal::TooDeep));
}

/// Objects with few names, so that a patch meets what it patches.
fn any_object() -> impl Strategy<Value = Map<String, Value>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,4}".prop_map(Value::from),
    ];
    let name = "[a-d]";
    let member = leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::Array),
            vec((name, inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    vec((name, member), 0..4).prop_map(|members| members.into_iter().collect())
}

proptest! {
    #[test]
    fn a_patch_that_is_repeated_changes_nothing(profile in any_object(), patch in any_object()) {
        let patch = MergePatch::Merge(patch);
        let once = merge_patch(Some(profile), patch.clone());
        let twice = merge_patch(once.clone(), patch);
        prop_assert_eq!(json!(once).to_string(), json!(twice).to_string());
    }

    #[test]
    fn an_empty_patch_changes_nothing(profile in any_object()) {
        let patched = merge_patch(Some(profile.clone()), MergePatch::Merge(Map::new()));
        prop_assert_eq!(json!(patched).to_string(), json!(profile).to_string());
    }

    #[test]
    fn a_member_is_what_it_was_unless_the_patch_names_it(profile in any_object(), patch in any_object()) {
        let patched = merge_patch(Some(profile.clone()), MergePatch::Merge(patch.clone())).unwrap();
        for name in ["a", "b", "c", "d"] {
            match patch.get(name) {
                None => prop_assert_eq!(patched.get(name), profile.get(name)),
                Some(Value::Null) => prop_assert_eq!(patched.get(name), None),
                Some(Value::Object(_)) => prop_assert!(patched[name].is_object()),
                given => prop_assert_eq!(patched.get(name), given),
            }
        }
        let kept = profile.keys().filter(|name| patched.contains_key(*name));
        prop_assert!(patched.keys().zip(kept).all(|(found, wanted)| found == wanted));
    }

    #[test]
    fn a_patch_makes_nothing_deeper_than_both_are(profile in any_object(), patch in any_object()) {
        let depth = |object: &Map<String, Value>| {
            let value = Value::Object(object.clone());
            (0..=MAX_DEPTH).find(|levels| !is_deeper_than(*levels, &value)).unwrap()
        };
        let deepest = depth(&profile).max(depth(&patch));
        let patched = merge_patch(Some(profile), MergePatch::Merge(patch)).unwrap();
        prop_assert!(depth(&patched) <= deepest);
    }
}

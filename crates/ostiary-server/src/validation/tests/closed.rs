use ostiary_core::profile::MergePatch;
use proptest::{collection::vec, prelude::*};

use super::super::*;

fn closed(body: &str) -> Form {
    Form::parse_closed(body.as_bytes(), true).unwrap()
}

/// The one error of a body that is no closed form.
fn refusal(body: &str) -> Value {
    let errors = json!(Form::parse_closed(body.as_bytes(), true).unwrap_err());
    assert_eq!(errors.as_array().unwrap().len(), 1);
    errors[0].clone()
}

#[test]
fn a_closed_form_refuses_what_nobody_asked_for_in_the_order_of_the_body() {
    let mut form = closed(r#"{"z": 1, "known": "x", "maybe": null, "pasword": "secret", "a": {"b": 2}}"#);
    form.required_text("absent", &Text::ANY);
    form.required_text("known", &Text::ANY);
    form.optional_text("maybe", &Text::ANY);
    form.optional_text("not there", &Text::ANY);
    let missing = json!({ "type": "missing", "loc": ["body", "absent"], "msg": "Field required" });
    let extra = |name: &str| json!({ "type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted" });
    let errors = json!(form.finish().unwrap_err());
    assert_eq!(errors, json!([missing, extra("z"), extra("pasword"), extra("a")]));
}

#[test]
fn a_closed_form_is_good_if_every_member_was_asked_for() {
    let mut form = closed(r#"{"a": "x", "o": {"any": {"thing": 1}}, "l": ["x"]}"#);
    form.required_text("a", &Text::ANY);
    form.optional_object("o");
    form.required_texts("l");
    assert!(form.finish().is_ok());
    assert!(closed("{}").finish().is_ok());
}

#[test]
fn a_form_of_the_contract_ignores_what_nobody_asked_for_and_takes_the_last_of_two() {
    let mut form = Form::parse(br#"{"a": 1, "b": 2, "a": "x"}"#, true).unwrap();
    assert_eq!(form.required_text("a", &Text::ANY).as_deref(), Some("x"));
    assert!(form.finish().is_ok());
}

#[test]
fn a_long_name_is_cut_where_it_is_shown() {
    let form = closed(&json!({ "é".repeat(100): 1 }).to_string());
    assert_eq!(json!(form.finish().unwrap_err())[0]["loc"], json!(["body", "é".repeat(64)]));
}

#[test]
fn an_object_names_a_member_once_wherever_it_stands() {
    for body in [
        r#"{"a": 1, "a": 1}"#,
        r#"{"a": 1, "\u0061": 2}"#,
        r#"{"o": {"a": 1, "b": 2, "a": 3}}"#,
        r#"{"l": [{"a": 1}, [{"": 1, "": 2}]]}"#,
        r#"{"a": 1, "o": {"a": {"a": 1}, "a": {}}}"#,
        "\u{feff}{\"a\": 1, \"a\": 1}",
    ] {
        let error = refusal(body);
        assert_eq!(error["type"], "json_duplicate_member", "{body}");
        assert_eq!(error["loc"], json!(["body"]));
    }
    for body in [r#"{"a": {"a": {"a": 1.5}}, "A": [{"a": 1}, {"a": true}]}"#, "\u{feff}{}"] {
        closed(body);
    }
}

#[test]
fn an_object_has_at_most_256_members() {
    let members = |count: usize| -> Value { (0..count).map(|n| (n.to_string(), json!(n))).collect() };
    closed(&members(256).to_string());
    closed(&json!({ "a": [members(256), members(256)] }).to_string());
    for body in [members(257), json!({ "a": [members(257)] })] {
        assert_eq!(
            refusal(&body.to_string()),
            json!({
                "type": "too_many_members", "loc": ["body"],
                "msg": "Objects should have at most 256 members, not 257",
                "ctx": { "max_length": 256, "actual_length": 257 },
            })
        );
    }
}

#[test]
fn a_text_has_at_most_8_kib() {
    let longest = "é".repeat(4096);
    let longer = format!("{longest}x");
    closed(&json!({ "a": [longest], &*longest: 1 }).to_string());
    for body in [json!({ "a": longer }), json!({ "a": [{ "b": longer }] }), json!({ &*longer: 1 })] {
        assert_eq!(
            refusal(&body.to_string()),
            json!({
                "type": "string_too_long", "loc": ["body"],
                "msg": "Strings should have at most 8192 bytes in UTF-8", "ctx": { "max_length": 8192 },
            })
        );
    }
    // A number is no text, however many digits it has.
    closed(&format!(r#"{{"a": 1{}}}"#, "0".repeat(9000)));
}

#[test]
fn half_a_surrogate_pair_is_no_json() {
    for body in [r#"{"a": "\ud800"}"#, r#"{"a": "\udc00\ud800"}"#, r#"{"a": "\ud800x"}"#, r#"{"\udfff": 1}"#]
    {
        assert_eq!(refusal(body)["type"], "json_invalid", "{body}");
    }
    let mut form = closed(r#"{"a": "\ud83d\ude00"}"#);
    assert_eq!(form.required_text("a", &Text::ANY).as_deref(), Some("😀"));
}

#[test]
fn a_body_that_is_no_form_is_refused_without_being_repeated() {
    let missing = json!({ "type": "missing", "loc": ["body"], "msg": "Field required" });
    assert_eq!(refusal(""), missing);
    for (body, is_json) in [(r#"["secret"]"#, true), (r#"{"token": "secret"}"#, false), ("secret", true)] {
        let errors = json!(Form::parse_closed(body.as_bytes(), is_json).unwrap_err());
        assert_eq!(errors[0].get("input"), None, "{errors}");
        assert!(!errors.to_string().contains("secret"), "{errors}");
    }
}

#[test]
fn a_closed_form_keeps_numbers_as_written_and_members_in_their_order() {
    let text = r#"{"z":1.10,"a":[1e+400,-0],"m":123456789012345678901234567890,"b":0.1e-7}"#;
    let mut form = closed(&format!(r#"{{"o": {text}}}"#));
    assert_eq!(json!(form.optional_object("o")).to_string(), text);
}

#[test]
fn a_merge_patch_is_an_object_or_null_or_absent() {
    let patch = |body: &Value| {
        let mut form = closed(&body.to_string());
        let patch = form.optional_merge_patch("p");
        form.finish().map(|()| patch)
    };
    let object = json!({ "a": null, "b": { "c": 1 } });
    let merge = MergePatch::Merge(object.as_object().unwrap().clone());
    assert_eq!(patch(&json!({})), Ok(None));
    assert_eq!(patch(&json!({ "p": null })), Ok(Some(MergePatch::Remove)));
    assert_eq!(patch(&json!({ "p": object })), Ok(Some(merge)));
    let half = "x".repeat(8192);
    for (refused, kind) in [
        (json!([]), "dict_type"),
        (json!("x"), "dict_type"),
        (json!({ "a": "\0" }), "null_character"),
        (json!({ "a": half, "b": half }), "object_too_large"),
    ] {
        let errors = json!(patch(&json!({ "p": refused })).unwrap_err());
        assert_eq!((&errors[0]["type"], &errors[0]["loc"]), (&json!(kind), &json!(["body", "p"])));
    }
}

const SECRET: &str = "never to be seen";

/// JSON whose every text is a secret, under names that a form may ask for.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(json!(null)), any::<bool>().prop_map(Value::from), Just(json!(SECRET))];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec(("[a-g]", inner), 0..5).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_error_of_a_closed_form_repeats_a_value(body in any_json(), is_json: bool) {
        let decoded = Form::parse_closed(body.to_string().as_bytes(), is_json).and_then(|mut form| {
            form.required_text("a", &Text { max: Some(1), ..Text::ANY });
            form.optional_text("b", &Text { max: Some(1), ..Text::ANY });
            form.optional_object("c");
            form.required_texts("d");
            form.optional_merge_patch("e");
            let _: Option<()> = form.refuse("f", Fault::new("odd", "Odd"));
            form.finish()
        });
        let errors = decoded.unwrap_err();
        prop_assert!(errors.iter().all(|error| error.input.is_none()));
        prop_assert!(!json!(errors).to_string().contains(SECRET));
    }

    #[test]
    fn a_closed_form_is_read_as_one_of_the_contract_unless_names_repeat(names in vec("[a-c]|\\PC{0,3}", 0..5)) {
        let members: Vec<String> = names.iter().map(|name| format!("{}:{{\"n\":1.10}}", json!(name))).collect();
        let body = format!("{{{}}}", members.join(","));
        let mut distinct = names.clone();
        distinct.sort_unstable();
        distinct.dedup();
        match Form::parse_closed(body.as_bytes(), true) {
            Ok(form) => {
                prop_assert_eq!(json!(form.members).to_string(), body);
                prop_assert_eq!(distinct.len(), names.len());
            }
            Err(errors) => {
                prop_assert_eq!(errors[0].kind, "json_duplicate_member");
                prop_assert!(distinct.len() < names.len());
            }
        }
    }

    #[test]
    fn no_body_is_too_strange_for_a_closed_form(
        bytes in vec(any::<u8>(), 0..64),
        nearly_json in r#"\{"a":[\[\]{}:,"\\u01-9ed. -]{0,40}\}"#,
    ) {
        for body in [&bytes, nearly_json.as_bytes()] {
            if let Err(errors) = Form::parse_closed(body, true) {
                prop_assert_eq!(errors.len(), 1);
            }
        }
    }
}

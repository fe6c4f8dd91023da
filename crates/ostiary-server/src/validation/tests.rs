use serde_json::from_value;

use super::*;

mod closed;

fn form(body: &Value) -> Form {
    Form::parse(body.to_string().as_bytes(), true).unwrap()
}

fn errors(form: Form) -> Value {
    json!(form.finish().unwrap_err())
}

#[test]
fn every_error_is_collected_in_the_order_of_the_questions() {
    let mut form = form(&json!({ "b": 1, "c": "xyz" }));
    assert_eq!(form.required_text("a", &Text::ANY), None);
    assert_eq!(form.optional_text("b", &Text::ANY), None);
    assert_eq!(form.required_text("c", &Text { max: Some(2), ..Text::ANY }), None);
    assert_eq!(
        errors(form),
        json!([
            { "type": "missing", "loc": ["body", "a"], "msg": "Field required", "input": { "b": 1, "c": "xyz" } },
            { "type": "string_type", "loc": ["body", "b"], "msg": "Input should be a valid string", "input": 1 },
            { "type": "string_too_long", "loc": ["body", "c"], "msg": "String should have at most 2 characters",
              "input": "xyz", "ctx": { "max_length": 2 } },
        ])
    );
}

#[test]
fn what_is_good_is_given() {
    let mut form = form(&json!({ "a": "x", "b": null, "o": { "k": [1] }, "l": ["x", "y"] }));
    assert_eq!(form.required_text("a", &Text::ANY).as_deref(), Some("x"));
    assert_eq!(form.optional_text("b", &Text::ANY), None);
    assert_eq!(form.optional_text("absent", &Text::ANY), None);
    assert_eq!(form.optional_object("o"), from_value(json!({ "k": [1] })).unwrap());
    assert_eq!(form.required_texts("l"), Some(vec!["x".to_owned(), "y".to_owned()]));
    assert!(form.finish().is_ok());
}

#[test]
fn lengths_are_counted_in_code_points() {
    let rule = Text { min: Some(2), max: Some(2), pattern: None };
    for (text, fits) in
        [("é", false), ("éé", true), ("e\u{301}", true), ("\u{1f40e}\u{1f40e}", true), ("eee", false)]
    {
        let mut form = form(&json!({ "a": text }));
        assert_eq!(form.required_text("a", &rule).is_some(), fits, "{text}");
    }
    assert_eq!(Fault::too_short(1).msg, "String should have at least 1 character");
}

#[test]
fn the_place_of_a_syntax_error_is_a_position_in_the_body() {
    for (body, position) in [("{bad", 2), ("{\n  \"a\": x}", 10), ("[", 1)] {
        let errors = json!(Form::parse(body.as_bytes(), true).unwrap_err());
        assert_eq!(errors[0]["type"], "json_invalid");
        assert_eq!(errors[0]["loc"], json!(["body", position]), "{body}");
    }
}

#[test]
fn secrets_are_left_out_wherever_they_stand() {
    let body = json!({ "password": "x", "deep": [{ "password": "x", "other": 1 }] });
    let mut form = form(&body);
    let _: Option<String> = form.required_text("absent", &Text::ANY);
    let _: Option<String> = form.required_text("deep", &Text::ANY);
    let _: Option<String> = form.refuse("password", Fault::new("odd", "Odd"));
    let errors = errors(form);
    assert_eq!(errors[0]["input"], json!({ "deep": [{ "other": 1 }] }));
    assert_eq!(errors[1]["input"], json!([{ "other": 1 }]));
    assert_eq!(errors[2], json!({ "type": "odd", "loc": ["body", "password"], "msg": "Odd" }));
}

//! What a request brings: names in their canonical spelling, and the body of a registration.
//!
//! `cargo bench --package ostiary-bench --bench input`

use std::{hint::black_box, time::Duration};

use criterion::Criterion;
use ostiary_core::contact::ContactRules;
use ostiary_server::validation::{Form, Text};
use serde_json::json;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(50)
        .configure_from_args();
    let rules = ContactRules::new("RU".parse().expect("a region of the metadata"));
    normalisation(&mut criterion, rules);
    registration(&mut criterion, rules);
    criterion.final_summary();
}

fn normalisation(criterion: &mut Criterion, rules: ContactRules) {
    let mut group = criterion.benchmark_group("normalisation");
    for (name, text) in [("phone", "8 (916) 123-45-67"), ("phone abroad", "+44 20 7946 0958")] {
        group.bench_function(name, |bencher| bencher.iter(|| rules.phone(black_box(text))));
    }
    for (name, text) in
        [("e-mail", "Anna.Karenina@Example.com"), ("e-mail, IDNA", "anna@B\u{fc}cher.example")]
    {
        group.bench_function(name, |bencher| bencher.iter(|| rules.email(black_box(text))));
    }
    for (name, text) in [("username", "Anna-Karenina"), ("username, Cyrillic", "Анна-Каренина")] {
        group.bench_function(name, |bencher| bencher.iter(|| rules.username(black_box(text))));
    }
    for (name, text) in [("login, phone", "8 (916) 123-45-67"), ("login, username", "Anna-Karenina")] {
        group.bench_function(name, |bencher| bencher.iter(|| rules.look_up(black_box(text))));
    }
    group.finish();
}

/// As the handler asks for it, but for the password's strength, which the hashing lane estimates.
fn registration(criterion: &mut Criterion, rules: ContactRules) {
    const USERNAME: Text = Text { min: Some(3), max: Some(64), pattern: None };
    const PHONE: Text = Text { min: Some(10), max: Some(20), pattern: None };
    let body = json!({
        "second_login": "anna", "phone": "+79991234567", "email": "anna@example.com", "password": "correct horse",
        "profile": {"first_name": "Anna", "last_name": "Karenina"}, "group_names": ["customer"],
    })
    .to_string();
    let wrong = json!({
        "second_login": "a", "phone": "+7999", "email": 1, "profile": [], "group_names": "customer",
    })
    .to_string();
    let validate = |body: &str| {
        let mut form = Form::parse(body.as_bytes(), true)?;
        let username = form.required_text("second_login", &USERNAME).map(|text| rules.username(&text));
        let phone = form.required_text("phone", &PHONE).map(|text| rules.phone(&text));
        let email = form.optional_text("email", &Text::ANY).map(|text| rules.email(&text));
        let profile = form.optional_object("profile");
        let password = form.required_text("password", &Text::ANY);
        let groups = form.required_texts("group_names");
        form.finish().map(|()| (username, phone, email, profile, password, groups))
    };
    assert!(validate(&body).is_ok() && validate(&wrong).is_err());
    let mut group = criterion.benchmark_group("registration");
    for (name, body) in [("good body", &body), ("body with six errors", &wrong)] {
        group.bench_function(name, |bencher| bencher.iter(|| validate(black_box(body))));
    }
    group.finish();
}

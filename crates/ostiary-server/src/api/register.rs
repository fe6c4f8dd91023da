//! `POST /api/v1/auth/register`

use axum::{extract::State, response::Response};
use ostiary_core::{
    Ostiary,
    account::{PasswordRefusal, Registration, words_about},
    contact::{Contact, ContactError},
    hasher::Standing,
};
use utoipa::ToSchema;

use super::{
    device::Device,
    schemas::{ErrorResponse, HTTPValidationError, TokenResponse},
};
use crate::{
    app::App,
    extract::RequestClient,
    problem::Problem,
    validation::{COMPLETE, Fault, Form, Text, nul_character},
};

/// A new account.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `decode` takes; it gives a `Registration`")]
pub(super) struct RegisterRequest {
    /// A username; compared without regard to case.
    #[schema(min_length = 3, max_length = 64, example = "anna")]
    second_login: String,
    /// A phone number in any spelling.
    #[schema(min_length = 10, max_length = 20, example = "+79991234567")]
    phone: String,
    /// An e-mail address.
    #[schema(pattern = r"^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}$", example = "anna@example.com")]
    email: Option<String>,
    /// What the user says about themselves; any JSON object of at most 16 KiB and 16 levels.
    #[schema(value_type = Option<Object>, example = json!({"first_name": "Anna"}))]
    profile: Option<String>,
    /// A password; at most 256 characters, and none of the most common ones.
    #[schema(min_length = 8, max_length = 256, format = "password", example = "correct horse")]
    password: String,
    /// Groups that are open to registration.
    #[schema(min_items = 1, example = json!(["customer"]))]
    group_names: Vec<String>,
}

const USERNAME: Text = Text { min: Some(3), max: Some(64), pattern: None };
const PHONE: Text = Text { min: Some(10), max: Some(20), pattern: None };
const EMAIL: Text = Text {
    min: None,
    max: None,
    pattern: Some((r"^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}$", matches_email_pattern)),
};

/// The pattern of [`EMAIL`], without an engine for it.
fn matches_email_pattern(text: &str) -> bool {
    let parts = text.split_once('@').and_then(|(local, domain)| Some((local, domain.rsplit_once('.')?)));
    let Some((local, (host, top))) = parts else { return false };
    let only = |text: &str, others: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
    };
    only(local, "._%+-") && only(host, ".-") && top.len() >= 2 && top.chars().all(|c| c.is_ascii_alphabetic())
}

impl RegisterRequest {
    async fn decode(mut form: Form, ostiary: &Ostiary) -> Result<Registration, Problem> {
        let rules = &ostiary.contacts;
        let second_login = form.required_text("second_login", &USERNAME);
        let second_login = contact(&mut form, "second_login", second_login, |text| rules.username(text));
        let phone = form.required_text("phone", &PHONE);
        let phone = contact(&mut form, "phone", phone, |text| rules.phone(text));
        let email = form.optional_text("email", &EMAIL);
        let email = contact(&mut form, "email", email, |text| rules.email(text));
        let profile = form.optional_object("profile");
        let contacts: Vec<Contact> = [second_login, phone, email].into_iter().flatten().collect();

        let password = match form.required_text("password", &Text::ANY) {
            Some(text) => {
                let spellings = contacts.iter().map(|contact| (contact.typed(), contact.canonical().value()));
                match ostiary.accept_password(&text, words_about(spellings), Standing::Unknown).await? {
                    Ok(password) => Some(password),
                    Err(refusal) => form.refuse("password", refusal.into()),
                }
            }
            None => None,
        };
        let groups = form.required_texts("group_names");
        form.finish()?;
        let (password, groups) = password.zip(groups).expect(COMPLETE);
        Ok(Registration { contacts, profile, groups, password })
    }
}

/// The contact that `text` spells, if there is a text and it spells one.
fn contact(
    form: &mut Form,
    name: &str,
    text: Option<String>,
    parse: impl Fn(&str) -> Result<Contact, ContactError>,
) -> Option<Contact> {
    match parse(&text?) {
        Ok(contact) => Some(contact),
        Err(error) => form.refuse(name, error.into()),
    }
}

impl From<ContactError> for Fault {
    fn from(error: ContactError) -> Self {
        let kind = match error {
            ContactError::NotAnEmail => "email_invalid",
            ContactError::NotAPhone => "phone_invalid",
            ContactError::UsernameWithAt
            | ContactError::UsernameIsPhone
            | ContactError::UsernameUnprintable => "username_invalid",
        };
        Self::new(kind, format!("Value refused: {error}"))
    }
}

impl From<PasswordRefusal> for Fault {
    fn from(refusal: PasswordRefusal) -> Self {
        match refusal {
            PasswordRefusal::TooShort(least) => Self::too_short(least),
            PasswordRefusal::TooLong(most) => Self::too_long(most),
            PasswordRefusal::TooLongForBcrypt => {
                Self::new("password_too_long", "Password should have at most 72 bytes in UTF-8")
            }
            PasswordRefusal::Nul => nul_character(),
            PasswordRefusal::TooCommon => Self::new(
                "password_too_common",
                "Password is among the first that an attacker would try: choose a longer or less usual one",
            ),
        }
    }
}

/// Make an account and log in.
#[utoipa::path(
    post,
    path = "/api/v1/auth/register",
    tag = "auth",
    params(("Ostiary-Device" = Option<String>, Header, description = "`request`, to be given a device token")),
    request_body = RegisterRequest,
    responses(
        (status = 200, description = "The account is made and a session is open", body = TokenResponse),
        (status = 400, description = "A contact is taken, or a group is not open", body = ErrorResponse),
        (status = 422, description = "Validation Error", body = HTTPValidationError),
        (status = 503, description = "Too many logins at once; see `Retry-After`", body = ErrorResponse),
    )
)]
pub(super) async fn register(
    State(app): State<App>,
    RequestClient(client): RequestClient,
    device: Device,
    form: Form,
) -> Result<Response, Problem> {
    let registration = RegisterRequest::decode(form, &app.ostiary).await?;
    let logged_in = app.ostiary.register(registration, &client).await?;
    Ok(device.answer(logged_in))
}

#[cfg(test)]
mod tests {
    use super::matches_email_pattern;

    #[test]
    fn the_email_pattern_is_decided_as_its_text_says() {
        for text in ["a@b.co", "A.b_c%d+e-f@x-y.z.example", "a@..co", "a@.co.uk", "a@-.org"] {
            assert!(matches_email_pattern(text), "{text}");
        }
        for text in [
            "",
            "a",
            "@b.co",
            "a@b",
            "a@b.c",
            "a@.c",
            "a@b.c0",
            "a@b@c.org",
            "é@b.co",
            "a@b_c.org",
            "a@b.co\n",
        ] {
            assert!(!matches_email_pattern(text), "{text}");
        }
    }
}

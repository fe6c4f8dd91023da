//! What `accounts.get_account` answers, read as an account. Whoever made that function may leave out whatever their
//! directory does not know.

use jiff::Timestamp;
use ostiary_core::{
    contact::ContactKind,
    id::UserId,
    store::{Account, AccountContact},
};
use serde_json::{Map, Value};

/// An answer is not of the form that `docs/adopting.md` describes. What it says is personal, and is not repeated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("accounts.get_account(uuid) gave {0}; see docs/adopting.md")]
pub(super) struct Malformed(&'static str);

/// The account of `id` that `answer` describes.
///
/// # Errors
/// If it is of another form.
pub(super) fn account(id: UserId, answer: Value) -> Result<Account, Malformed> {
    let Value::Object(mut answer) = answer else { return Err(Malformed("no object")) };
    let mut member = |name| answer.remove(name).unwrap_or_default();
    Ok(Account {
        id,
        contacts: contacts(member("contacts"))?,
        groups: groups(member("groups"))?,
        profile: profile(member("profile"))?,
        created_at: time(&member("created_at"))?,
        updated_at: time(&member("updated_at"))?,
    })
}

fn contacts(member: Value) -> Result<Vec<AccountContact>, Malformed> {
    let contacts = list(member, Malformed("contacts that are no array"))?;
    contacts.iter().filter_map(|contact| self::contact(contact).transpose()).collect()
}

/// `None` for a contact of a kind that Ostiary does not know.
fn contact(member: &Value) -> Result<Option<AccountContact>, Malformed> {
    let text = |name: &str| member.get(name).and_then(Value::as_str);
    let kind = text("kind").ok_or(Malformed("a contact without the text `kind`"))?;
    let Some(kind) = ContactKind::from_name(kind) else { return Ok(None) };
    let value = text("value").ok_or(Malformed("a contact without the text `value`"))?;
    let is_verified = match member.get("verified") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(is_verified)) => *is_verified,
        Some(_) => return Err(Malformed("a contact whose `verified` is no boolean")),
    };
    let typed = match member.get("typed") {
        None | Some(Value::Null) => value,
        Some(Value::String(typed)) => typed,
        Some(_) => return Err(Malformed("a contact whose `typed` is no text")),
    };
    Ok(Some(AccountContact { kind, value: value.to_owned(), typed: typed.to_owned(), is_verified }))
}

fn groups(member: Value) -> Result<Vec<String>, Malformed> {
    let names = list(member, Malformed("groups that are no array"))?.into_iter().map(|name| match name {
        Value::String(name) => Ok(name),
        _ => Err(Malformed("a group that is no text")),
    });
    names.collect()
}

fn profile(member: Value) -> Result<Option<Map<String, Value>>, Malformed> {
    match member {
        Value::Null => Ok(None),
        Value::Object(profile) => Ok(Some(profile)),
        _ => Err(Malformed("a profile that is no object")),
    }
}

fn time(member: &Value) -> Result<Option<Timestamp>, Malformed> {
    match member {
        Value::Null => Ok(None),
        Value::String(text) => {
            text.parse().map(Some).map_err(|_| Malformed("a time without an offset from UTC"))
        }
        _ => Err(Malformed("a time that is no text")),
    }
}

fn list(member: Value, otherwise: Malformed) -> Result<Vec<Value>, Malformed> {
    match member {
        Value::Null => Ok(Vec::new()),
        Value::Array(members) => Ok(members),
        _ => Err(otherwise),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(answer: Value) -> Result<Account, Malformed> {
        account(UserId::from_uuid(uuid::Uuid::nil()), answer)
    }

    #[test]
    fn all_that_is_said_is_read() {
        let account = read(json!({
            "contacts": [
                {"kind": "second_login", "value": "anna", "typed": "Anna", "verified": true},
                {"kind": "fax", "value": "1"},
                {"kind": "email", "value": "anna@example.com"},
            ],
            "groups": ["customer"],
            "profile": {"first_name": "Anna"},
            "created_at": "2026-11-22 12:00:00.5+05:30",
            "updated_at": "2026-11-22T12:00:00Z",
            "more": 1,
        }))
        .unwrap();
        let contact = |kind, value: &str, typed: &str, is_verified| {
            let (value, typed) = (value.to_owned(), typed.to_owned());
            AccountContact { kind, value, typed, is_verified }
        };
        let expected = [
            contact(ContactKind::SecondLogin, "anna", "Anna", true),
            contact(ContactKind::Email, "anna@example.com", "anna@example.com", false),
        ];
        assert_eq!(account.contacts, expected, "a fax has no use here");
        assert_eq!(account.groups, ["customer"]);
        assert_eq!(account.profile.unwrap()["first_name"], "Anna");
        assert_eq!(account.created_at, Some("2026-11-22T06:30:00.5Z".parse().unwrap()));
        assert_eq!(account.updated_at, Some("2026-11-22T12:00:00Z".parse().unwrap()));
    }

    #[test]
    fn whatever_is_not_known_may_be_left_out() {
        let nothing = read(json!({})).unwrap();
        assert!(nothing.contacts.is_empty() && nothing.groups.is_empty());
        assert_eq!((nothing.profile.clone(), nothing.created_at, nothing.updated_at), (None, None, None));
        let nulls = json!({"contacts": null, "groups": null, "profile": null, "created_at": null});
        assert_eq!(read(nulls).unwrap(), nothing);
    }

    #[test]
    fn another_form_is_named_without_what_it_says() {
        for (answer, named) in [
            (json!("anna"), "no object"),
            (json!({"contacts": {"anna": 1}}), "contacts that are no array"),
            (json!({"contacts": ["anna"]}), "`kind`"),
            (json!({"contacts": [{"kind": "email"}]}), "`value`"),
            (json!({"contacts": [{"kind": "email", "value": "anna", "typed": 1}]}), "`typed`"),
            (json!({"contacts": [{"kind": "email", "value": "anna", "verified": "anna"}]}), "`verified`"),
            (json!({"groups": "anna"}), "groups that are no array"),
            (json!({"groups": [null]}), "a group that is no text"),
            (json!({"profile": "anna"}), "a profile that is no object"),
            (json!({"created_at": "2026-11-22T12:00:00"}), "a time without an offset"),
            (json!({"updated_at": 1}), "a time that is no text"),
        ] {
            let error = read(answer).unwrap_err().to_string();
            assert!(error.contains(named) && !error.contains("anna"), "{error}");
        }
    }
}

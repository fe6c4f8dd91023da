//! The bodies of OAuth's endpoints: `application/x-www-form-urlencoded`, read strictly (RFC 6749 §3.2 and
//! appendix B).

use std::{collections::HashMap, fmt};

use axum::extract::{FromRequest, Request};

use crate::{
    app::App,
    extract::{media_type, read_body},
    problem::{OAuthError, Problem},
};

/// The parameters of a request. A handler asks for those that it knows; all others are ignored.
pub struct OAuthForm(HashMap<String, String>);

/// Why a body is no form of OAuth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OAuthFormFault {
    /// It does not say that it is one.
    OtherMediaType,
    /// It is not encoded as a form, or what was encoded is not UTF-8 or has control characters.
    Malformed,
    /// It gives a parameter two values: others might read the other one.
    Repeated,
}

impl From<OAuthFormFault> for Problem {
    fn from(fault: OAuthFormFault) -> Self {
        let description = match fault {
            OAuthFormFault::OtherMediaType => "The body must be application/x-www-form-urlencoded",
            OAuthFormFault::Malformed => "The body is not a well-formed application/x-www-form-urlencoded",
            OAuthFormFault::Repeated => "A parameter is included more than once",
        };
        Self::OAuth { error: OAuthError::InvalidRequest, description }
    }
}

impl OAuthForm {
    /// The form in a body. A parameter without a value counts as absent.
    ///
    /// # Errors
    /// If it is malformed, or gives a parameter two values.
    pub fn parse(body: &[u8]) -> Result<Self, OAuthFormFault> {
        if !is_encoded(body) {
            return Err(OAuthFormFault::Malformed);
        }
        let mut parameters = HashMap::new();
        for (name, value) in form_urlencoded::parse(body) {
            if !is_text(&name) || !is_text(&value) {
                return Err(OAuthFormFault::Malformed);
            }
            if !value.is_empty() && parameters.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(OAuthFormFault::Repeated);
            }
        }
        Ok(Self(parameters))
    }

    /// The value of a parameter, if it has one.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// A form has secrets: a log may know how much of it there is, not what.
impl fmt::Debug for OAuthForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OAuthForm({} parameters)", self.0.len())
    }
}

impl FromRequest<App> for OAuthForm {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Self::Rejection> {
        let media_type = media_type(request.headers());
        let body = read_body(request, app).await?;
        if media_type.as_deref() != Some("application/x-www-form-urlencoded") {
            return Err(OAuthFormFault::OtherMediaType.into());
        }
        Ok(Self::parse(&body)?)
    }
}

/// Whether a body is printable ASCII, and each `%` in it begins an octet. The decoder would take it otherwise.
fn is_encoded(body: &[u8]) -> bool {
    let is_octet =
        |digits: &[u8]| matches!(digits, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    body.iter().all(u8::is_ascii_graphic) && body.split(|byte| *byte == b'%').skip(1).all(is_octet)
}

/// Whether a text has only characters that some parameter may have (RFC 6749 appendix A: all but control
/// characters), and none that stands for what the decoder could not read.
fn is_text(text: &str) -> bool {
    text.chars().all(|character| {
        character == '\t' || !(character.is_ascii_control() || character == char::REPLACEMENT_CHARACTER)
    })
}

#[cfg(test)]
mod tests {
    use proptest::{collection::hash_map, prelude::*};

    use super::*;

    #[test]
    fn parameters_are_decoded_and_others_are_none_of_our_business() {
        let form = OAuthForm::parse(b"token=a%2Bb+c%26d%3D&hint=%D0%96&x=1&%74wo=2=3").unwrap();
        assert_eq!(form.parameter("token"), Some("a+b c&d="));
        assert_eq!(form.parameter("hint"), Some("Ж"));
        assert_eq!(form.parameter("two"), Some("2=3"));
        assert_eq!(form.parameter("Token"), None);
    }

    /// The example of RFC 6749 appendix B.
    #[test]
    fn the_example_of_the_rfc_is_decoded() {
        let form = OAuthForm::parse(b"value=+%25%26%2B%C2%A3%E2%82%AC").unwrap();
        assert_eq!(form.parameter("value"), Some(" %&+£€"));
    }

    #[test]
    fn a_parameter_without_a_value_is_absent() {
        for body in ["", "&", "&&", "token", "token=", "token&token=", "=", "=x"] {
            assert_eq!(OAuthForm::parse(body.as_bytes()).unwrap().parameter("token"), None, "{body}");
        }
        assert_eq!(OAuthForm::parse(b"token=&token=x").unwrap().parameter("token"), Some("x"));
    }

    #[test]
    fn a_parameter_that_has_two_values_is_refused() {
        for body in ["a=1&a=2", "a=1&a=1", "a=1&b=2&a=3", "a=1&%61=2", "a=1&a=&a=2"] {
            assert_eq!(OAuthForm::parse(body.as_bytes()).unwrap_err(), OAuthFormFault::Repeated, "{body}");
        }
    }

    #[test]
    fn what_is_not_encoded_as_a_form_is_refused() {
        for body in [
            "a=%",
            "a=%4",
            "a=%4g",
            "a=%%41",
            "a=b c",
            "a=b\n",
            "a=\0",
            "a=Ж",
            "%zz=1",
            "a=%FF",
            "a=%C3%28",
            "a=%ED%A0%80",
            "a=%C0%80",
            "%E2%82=1",
            "a=%00",
            "a=1%0A",
            "%0D=1",
            "a=%7F",
            "a=%EF%BF%BD",
        ] {
            assert_eq!(OAuthForm::parse(body.as_bytes()).unwrap_err(), OAuthFormFault::Malformed, "{body:?}");
        }
        assert_eq!(OAuthForm::parse(b"a=%09").unwrap().parameter("a"), Some("\t"));
    }

    #[test]
    fn debug_output_shows_no_parameter() {
        let form = OAuthForm::parse(b"client_secret=x&token=y").unwrap();
        assert_eq!(format!("{form:?}"), "OAuthForm(2 parameters)");
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_read_back(
            parameters in hash_map("[\\PC&&[^\u{fffd}]]{0,8}", "[\\PC&&[^\u{fffd}]]{1,16}", 0..6),
        ) {
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&parameters).finish();
            let form = OAuthForm::parse(body.as_bytes()).unwrap();
            prop_assert_eq!(form.0, parameters);
        }

        #[test]
        fn whatever_is_read_has_only_parameters_with_values(body in "[a-c=&%+0-9 ]{0,24}|(.|\\n){0,24}") {
            if let Ok(form) = OAuthForm::parse(body.as_bytes()) {
                prop_assert!(form.0.iter().all(|(name, value)| is_text(name) && is_text(value) && !value.is_empty()));
            }
        }

        #[test]
        fn no_bytes_are_too_strange(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = OAuthForm::parse(&body);
        }
    }
}

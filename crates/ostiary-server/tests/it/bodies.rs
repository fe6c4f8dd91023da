//! The forms that handlers take, each at an endpoint of its own.

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    http::{Request, Response},
    routing::{MethodRouter, post},
};
use ostiary_server::{
    app::App,
    extract::ClosedForm,
    middleware,
    oauth_form::OAuthForm,
    problem::{OAuthError, Problem},
    startup,
    validation::{COMPLETE, Text},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::support::settings;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// An endpoint alone, in all that is around endpoints.
struct Endpoint {
    router: Router,
    _directory: TempDir,
}

impl Endpoint {
    async fn new(handler: MethodRouter<App>) -> Self {
        let directory = TempDir::new().unwrap();
        let settings = settings(directory.path(), &[]);
        let started = Box::pin(startup::start(&settings)).await.unwrap();
        let app = App::new(started.ostiary, started.limiter_metrics, &settings);
        let router = Router::new().route("/", handler).with_state(app.clone());
        Self { router: middleware::around(router, app), _directory: directory }
    }

    async fn post(&self, content_type: &str, body: impl Into<Body>) -> Response<Body> {
        let request = Request::post("/").header("content-type", content_type).body(body.into()).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn answer(&self, content_type: &str, body: impl Into<Body>) -> (u16, Value) {
        read(self.post(content_type, body).await).await
    }
}

async fn read(answer: Response<Body>) -> (u16, Value) {
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&to_bytes(answer.into_body(), 100_000).await.unwrap()).unwrap())
}

#[tokio::test]
async fn a_closed_form_takes_what_its_handler_asks_for_and_nothing_else() {
    async fn echo(ClosedForm(mut form): ClosedForm) -> Result<Json<Value>, Problem> {
        let token = form.required_text("token", &Text::ANY);
        form.finish()?;
        Ok(Json(json!({ "token": token.expect(COMPLETE) })))
    }
    let endpoint = Endpoint::new(post(echo)).await;
    assert_eq!(endpoint.answer(JSON, r#"{"token": "x"}"#).await, (200, json!({ "token": "x" })));
    let forbidden = json!({
        "type": "extra_forbidden", "loc": ["body", "pasword"], "msg": "Extra inputs are not permitted"
    });
    assert_eq!(
        endpoint.answer(JSON, r#"{"token": "x", "pasword": "y"}"#).await,
        (422, json!({ "detail": [forbidden] }))
    );
    let missing = json!({ "type": "missing", "loc": ["body"], "msg": "Field required" });
    assert_eq!(endpoint.answer(JSON, "").await, (422, json!({ "detail": [missing] })));
    for (content_type, body, kind) in [
        (JSON, r#"{"token": "x", "token": "x"}"#, "json_duplicate_member"),
        (JSON, r#"{"token": "\ud800"}"#, "json_invalid"),
        ("text/plain", r#"{"token": "x"}"#, "model_attributes_type"),
    ] {
        let (status, answer) = endpoint.answer(content_type, body).await;
        assert_eq!((status, &answer["detail"][0]["type"]), (422, &json!(kind)), "{body}");
        assert_eq!(answer["detail"][0].get("input"), None, "{answer}");
    }
    assert_eq!(endpoint.answer(JSON, "x".repeat(70_000)).await.0, 413);
}

#[tokio::test]
async fn an_oauth_form_gives_parameters_or_an_error_in_the_form_of_the_rfc() {
    async fn echo(form: OAuthForm) -> Result<String, Problem> {
        match (form.parameter("token"), form.parameter("client_id")) {
            (Some(token), Some("gateway")) => Ok(format!("\"{token}\"")),
            (Some(_), _) => {
                Err(Problem::OAuth { error: OAuthError::InvalidClient, description: "No such client" })
            }
            (None, _) => {
                Err(Problem::OAuth { error: OAuthError::InvalidRequest, description: "token is missing" })
            }
        }
    }
    let endpoint = Endpoint::new(post(echo)).await;
    for content_type in [FORM, "Application/X-WWW-Form-Urlencoded; charset=UTF-8"] {
        let answer = endpoint.answer(content_type, "token=a%20b&client_id=gateway&unknown=1").await;
        assert_eq!(answer, (200, json!("a b")));
    }
    let invalid =
        |description: &str| (400, json!({ "error": "invalid_request", "error_description": description }));
    let malformed = invalid("The body is not a well-formed application/x-www-form-urlencoded");
    let repeated = invalid("A parameter is included more than once");
    assert_eq!(endpoint.answer(FORM, "token=%zz").await, malformed);
    assert_eq!(endpoint.answer(FORM, "token=a&token=b").await, repeated);
    assert_eq!(endpoint.answer(FORM, "").await, invalid("token is missing"));
    for content_type in ["application/json", "text/plain", "multipart/form-data", ""] {
        let other = invalid("The body must be application/x-www-form-urlencoded");
        assert_eq!(endpoint.answer(content_type, "token=a").await, other, "{content_type}");
    }
    assert_eq!(endpoint.answer(FORM, format!("token={}", "x".repeat(70_000))).await.0, 413);

    let refused = endpoint.post(FORM, "token=a&client_id=nobody").await;
    assert_eq!(refused.headers()["www-authenticate"], "Basic realm=\"ostiary\"");
    assert_eq!(refused.headers()["cache-control"], "no-store");
    let error = json!({ "error": "invalid_client", "error_description": "No such client" });
    assert_eq!(read(refused).await, (401, error));
}

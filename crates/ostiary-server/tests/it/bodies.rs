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
    problem::Problem,
    startup,
    validation::{COMPLETE, Text},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::support::settings;

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
        let app = App::new(started.ostiary, settings.body_limits(), settings.request_timeout);
        let router = Router::new().route("/", handler).with_state(app.clone());
        Self { router: middleware::around(router, app), _directory: directory }
    }

    async fn post(&self, content_type: &str, body: impl Into<Body>) -> Response<Body> {
        let request = Request::post("/").header("content-type", content_type).body(body.into()).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn answer(&self, content_type: &str, body: impl Into<Body>) -> (u16, Value) {
        let answer = self.post(content_type, body).await;
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&to_bytes(answer.into_body(), 100_000).await.unwrap()).unwrap())
    }
}

#[tokio::test]
async fn a_closed_form_takes_what_its_handler_asks_for_and_nothing_else() {
    async fn echo(ClosedForm(mut form): ClosedForm) -> Result<Json<Value>, Problem> {
        let token = form.required_text("token", &Text::ANY);
        form.finish()?;
        Ok(Json(json!({ "token": token.expect(COMPLETE) })))
    }
    let endpoint = Endpoint::new(post(echo)).await;
    let json = "application/json";
    assert_eq!(endpoint.answer(json, r#"{"token": "x"}"#).await, (200, json!({ "token": "x" })));
    let forbidden = json!({
        "type": "extra_forbidden", "loc": ["body", "pasword"], "msg": "Extra inputs are not permitted"
    });
    assert_eq!(
        endpoint.answer(json, r#"{"token": "x", "pasword": "y"}"#).await,
        (422, json!({ "detail": [forbidden] }))
    );
    let missing = json!({ "type": "missing", "loc": ["body"], "msg": "Field required" });
    assert_eq!(endpoint.answer(json, "").await, (422, json!({ "detail": [missing] })));
    for (content_type, body, kind) in [
        (json, r#"{"token": "x", "token": "x"}"#, "json_duplicate_member"),
        (json, r#"{"token": "\ud800"}"#, "json_invalid"),
        ("text/plain", r#"{"token": "x"}"#, "model_attributes_type"),
    ] {
        let (status, answer) = endpoint.answer(content_type, body).await;
        assert_eq!((status, &answer["detail"][0]["type"]), (422, &json!(kind)), "{body}");
        assert_eq!(answer["detail"][0].get("input"), None, "{answer}");
    }
    assert_eq!(endpoint.answer(json, "x".repeat(70_000)).await.0, 413);
}

//! `ostiary openapi`

use std::process::ExitCode;

use super::paint;
use crate::api;

pub(super) fn run() -> ExitCode {
    paint::line(&api::document().to_pretty_json().expect("the document is plain data"));
    ExitCode::SUCCESS
}

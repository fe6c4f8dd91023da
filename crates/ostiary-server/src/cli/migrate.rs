//! `ostiary migrate`

use std::process::ExitCode;

use super::paint::{self, Paint};
use crate::{config::Settings, startup, telemetry};

pub(super) fn run(settings: &Settings, no_color: bool) -> ExitCode {
    telemetry::start(settings.log_format, settings.log_level.clone(), no_color);
    match super::block_on(async { Ok(startup::migrate(settings).await?) }).flatten() {
        Ok((database, applied)) => {
            let paint = Paint::for_stdout(no_color);
            for step in &applied {
                paint::line(&format!("{} {step}", paint.good("applied")));
            }
            paint::line(&format!("{database} is up to date"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            paint::failure(no_color, &format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

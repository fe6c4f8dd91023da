//! The binary `ostiary`: see `ostiary --help`.

use std::{env, process::ExitCode};

use ostiary_server::{cli, config::load::Environment};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let environment: Environment =
        env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
    let arguments: Vec<_> = env::args_os().collect();
    cli::run(&arguments, &environment)
}

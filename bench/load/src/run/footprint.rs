//! What a server takes of a machine: time to start, memory, and room on the disk.

use std::{fs, sync::Arc, time::Duration};

use anyhow::Context;
use ostiary_bench::{
    client::Client,
    figure::{Figure, Goal},
    server::Server,
    turns::Measured,
    users::Users,
    wire::Wire,
    work,
};

use super::{
    Bench,
    stage::{Filled, Store},
};

/// Requests after which memory is looked at again, and the clients that make them.
const REQUESTS: usize = 100_000;
const CLIENTS: usize = 16;
/// Starts of which the median is taken.
const STARTS: usize = 11;
/// How long a server is left alone before its memory counts as that at rest.
const REST: Duration = Duration::from_secs(2);
/// How long it is left alone before its memory counts as that after the load: hashing threads keep theirs for five
/// seconds.
const AFTER: Duration = Duration::from_secs(10);

pub(super) async fn footprint(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for store in Store::ALL {
        let filled = bench.stage.filled(store, &bench.server).await?;
        figures.push(start(bench, store, filled).await?);
        figures.extend(memory(bench, store, filled).await?);
    }
    let bytes = fs::metadata(&bench.server)?.len();
    #[expect(clippy::cast_precision_loss, reason = "a size is far below 2^52")]
    let megabytes = Measured(vec![bytes as f64 / 1e6]);
    figures.push(Figure::alone("release binary", megabytes, "MB", None));
    Ok(figures)
}

/// From the process' begin to the first 200 of `/readyz`, which asks the database.
async fn start(bench: &Bench, store: Store, filled: &Filled) -> anyhow::Result<Figure> {
    let mut starts = Measured::default();
    for _ in 0..STARTS {
        let server = filled.server(&bench.server, &[])?;
        let answer = Client::http1(server.address).get("/readyz").await;
        anyhow::ensure!(answer.status == 200, "a server that has just started answers {}", answer.status);
        starts.0.push(server.started_at.elapsed().as_secs_f64() * 1e3);
    }
    let name = format!("start to first 200, {}", store.name());
    Ok(Figure::alone(&name, starts, "ms", Some(Goal::AtMost(100.0))))
}

/// Resident memory: after a start, while requests come, after many of them, and once all is quiet again.
async fn memory(bench: &Bench, store: Store, filled: &Filled) -> anyhow::Result<Vec<Figure>> {
    let server = filled.server(&bench.server, &[])?;
    tokio::time::sleep(REST).await;
    let at_rest = server.mebibytes("VmRSS")?;
    let requests = if bench.is_quick { REQUESTS / 5 } else { REQUESTS };
    let users = Users::register(Client::http1(server.address), bench.stage.numbers(CLIENTS)).await?;
    ask(&Arc::new(users), filled, &server, requests).await?;
    let most = server.mebibytes("VmHWM")?;
    let after = server.mebibytes("VmRSS")?;
    tokio::time::sleep(AFTER).await;
    let quiet = server.mebibytes("VmRSS")?;
    let figure = |when: &str, value, goal| {
        let name = format!("resident memory {when}, {}", store.name());
        Figure::alone(&name, Measured(vec![value]), "MiB", goal)
    };
    Ok(vec![
        figure("at rest", at_rest, Some(Goal::AtMost(20.0))),
        figure("at most, under load", most, None),
        figure("as the load ends", after, None),
        figure(&format!("after {requests} requests"), quiet, Some(Goal::AtMost(60.0))),
    ])
}

/// Of a hundred requests one is a login, forty are refreshes, forty ask for the account, and the others are of a
/// service that asks about access tokens.
async fn ask(users: &Arc<Users>, filled: &Filled, server: &Server, requests: usize) -> anyhow::Result<()> {
    let tokens = filled.access_tokens(server, CLIENTS).await?;
    let asking = tokens.into_iter().enumerate().map(|(client, token)| {
        let (users, address) = (Arc::clone(users), server.address);
        let (me, introspect) =
            (work::request_of_me(&token), work::request_of_introspect(filled.credential(), &token));
        tokio::spawn(async move {
            let mut wire = Wire::open(address).await?;
            for number in (client..requests).step_by(CLIENTS) {
                match number / CLIENTS % 100 {
                    0 => answered(users.log_in(number).await)?,
                    1..=40 => answered(users.refresh().await)?,
                    41..=80 => drop(wire.ask(&me).await?),
                    _ => drop(wire.ask(&introspect).await?),
                }
            }
            anyhow::Ok(())
        })
    });
    for client in asking.collect::<Vec<_>>() {
        client.await.context("a client panicked")??;
    }
    Ok(())
}

fn answered(status: u16) -> anyhow::Result<()> {
    anyhow::ensure!(status == 200, "a request was answered with {status}");
    Ok(())
}

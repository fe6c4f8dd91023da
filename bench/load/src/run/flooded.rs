//! What a flood of wrong logins does to the refreshes of others.

use std::{sync::Arc, time::Duration};

use ostiary_bench::{
    client::Client,
    figure::{Figure, Goal},
    samples::Samples,
    server::Server,
    turns::{Turns, rate},
    users::Users,
};

use super::{Bench, stage::Store};
use crate::flood;

pub(super) async fn flooded(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for store in Store::ALL {
        // Guesses are of users by their numbers, which are the first ones.
        let server = Server::start(&bench.server, store.is_postgres(), &[])?;
        let client = Client::http1(server.address);
        let users = &Arc::new(Users::register(client, 0..flood::USERS).await?);
        let server = &server;
        let without = rate(move |duration| async move { p99(&flood::good(users, duration).await.refreshes) });
        let with = rate(move |duration| async move {
            let (good, _) = flood::flooded(server, users, duration).await;
            // Logins that the flood left in the queue are answered before the next turn.
            tokio::time::sleep(Duration::from_secs(1)).await;
            p99(&good.refreshes)
        });
        let [without, with] = turns(bench.is_quick).take([without, with]).await?;
        let name = format!("refresh p99 in a login flood, {}", store.name());
        let mut figure = Figure::rate(&name, with, "without the flood", without, Some(Goal::AtMost(3.0)));
        figure.unit = "ms";
        figures.push(figure);
    }
    Ok(figures)
}

/// Fewer and longer ones: of 50 requests a second, a percentile takes a while.
const fn turns(is_quick: bool) -> Turns {
    let (count, seconds) = if is_quick { (1, 6) } else { (3, 12) };
    Turns { count, each: Duration::from_secs(seconds), warm_up: Duration::from_secs(1) }
}

/// The 99th percentile in milliseconds.
fn p99(refreshes: &Samples) -> anyhow::Result<f64> {
    let good = refreshes.share(|sample| sample.status == 200);
    anyhow::ensure!(good >= 1.0, "not all refreshes were answered well: {}", refreshes.by_status());
    Ok(refreshes.percentile(0.99).as_secs_f64() * 1e3)
}

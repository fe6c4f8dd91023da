//! The same works on ten times the users and sessions, in turns with those on the data of all other works.

use ostiary_bench::{
    client::Client,
    figure::{Figure, Goal},
    turns::Turns,
    users::Users,
};

use super::{
    Bench,
    passwords::logins,
    sessions::{Asked, Question, refreshes},
    stage::{Filled, Store, USERS},
};

/// A figure may lose 15 %.
const LEAST: Goal = Goal::AtLeast(0.85);
const CONNECTIONS: usize = 16;
/// Users who log in.
const LOGGING_IN: usize = 200;

pub(super) async fn tenfold(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for store in Store::ALL {
        let few = bench.stage.filled(store, &bench.server).await?;
        let many = Filled::new(store, &bench.server, 10 * USERS).await?;
        figures.extend(compare(bench, store, few, &many).await?);
    }
    Ok(figures)
}

async fn compare(bench: &Bench, store: Store, few: &Filled, many: &Filled) -> anyhow::Result<Vec<Figure>> {
    let (asked_few, asked_many) =
        (Asked::new(few, bench, Question::Me).await?, Asked::new(many, bench, Question::Me).await?);
    let (few_server, many_server) = (asked_few.server(), asked_many.server());
    let numbers = bench.stage.numbers(LOGGING_IN);
    let register = |address| Users::register(Client::http1(address), numbers.clone());
    let few_users = register(few_server.address).await?;
    let many_users = register(many_server.address).await?;
    let works = [
        ("login, Argon2id", [logins(&few_users, CONNECTIONS), logins(&many_users, CONNECTIONS)]),
        ("refresh", [refreshes(few, few_server, CONNECTIONS), refreshes(many, many_server, CONNECTIONS)]),
        ("GET /me", [asked_few.rate(), asked_many.rate()]),
    ];
    let mut figures = Vec::new();
    for (name, rates) in works {
        // Fewer than of the other works: it is one question, asked of six works.
        let [of_few, of_many] = Turns { count: 3, ..bench.turns }.take(rates).await?;
        let name = format!("{name}, {}, {CONNECTIONS} connections, ten times the data", store.name());
        figures.push(Figure::rate(&name, of_many, &format!("with {USERS} users"), of_few, Some(LEAST)));
    }
    Ok(figures)
}

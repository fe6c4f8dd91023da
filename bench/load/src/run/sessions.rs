//! Refreshes, and what tells of a session: next to the database alone, and to HTTP alone.

use std::{env, time::Duration};

use ostiary_bench::{
    figure::{Figure, Goal},
    limit::{
        pgbench,
        route::Route,
        sqlite::{BareLoop, GROUP},
    },
    server::Server,
    turns::{Rate, blocking, rate},
    wire::Wire,
    work,
};

use super::{
    Bench,
    stage::{Filled, Store},
};

/// How many clients ask at a time for what only reads.
const CONNECTIONS: usize = 16;
/// Sessions whose access tokens are asked with, in turn.
const SESSIONS: usize = 1000;

pub(super) async fn refresh(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    Ok([refresh_on_postgres(bench).await?, refresh_on_sqlite(bench).await?].concat())
}

/// `pgbench` updates the same rows with the same statement, prepared, as durable, on as many connections.
async fn refresh_on_postgres(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let filled = bench.stage.filled(Store::Postgres, &bench.server).await?;
    let cluster = filled.database.cluster().expect("it is on PostgreSQL");
    let server = &filled.server(&bench.server, &[])?;
    let mut figures = Vec::new();
    for connections in [16, 64] {
        let update =
            blocking(move |duration| pgbench::updates(cluster, filled.sessions, connections, duration));
        let [limit, ours] = bench.turns.take([update, refreshes(filled, server, connections)]).await?;
        let name = format!("refresh, PostgreSQL, {connections} connections");
        figures.push(Figure::rate(&name, ours, "pgbench, the same update", limit, Some(Goal::AtLeast(0.6))));
    }
    Ok(figures)
}

/// A loop updates a copy of the file, each time waiting for the disk, or in groups which wait together: that is
/// how the server does it, so a group is what it can come near to.
async fn refresh_on_sqlite(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let filled = bench.stage.filled(Store::Sqlite, &bench.server).await?;
    let file = filled.database.file();
    let (mut single, mut group) = (BareLoop::on_copy_of(&file)?, BareLoop::on_copy_of(&file)?);
    let server = &filled.server(&bench.server, &[])?;
    let rates = [
        blocking(|duration| single.one_by_one(duration)),
        blocking(|duration| group.in_groups(duration)),
        refreshes(filled, server, 16),
        refreshes(filled, server, 64),
    ];
    let [single, group, sixteen, sixty_four] = bench.turns.take(rates).await?;
    let mut figures = Vec::new();
    for (connections, ours) in [(16, sixteen), (64, sixty_four)] {
        let name = format!("refresh, SQLite, {connections} connections");
        let single = ("a bare loop, one by one", single.clone(), Some(Goal::AtLeast(5.0)));
        let group = (format!("a bare loop, {GROUP} to a transaction"), group.clone(), None);
        figures.push(Figure::rate(&name, ours.clone(), single.0, single.1, single.2));
        figures.push(Figure::rate(&name, ours, &group.0, group.1, group.2));
    }
    Ok(figures)
}

pub(super) async fn me(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    beside_route(bench, "GET /me", Question::Me, [0.6, 0.35].map(Some)).await
}

pub(super) async fn introspect(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    beside_route(bench, "introspect", Question::Introspect, [None, None]).await
}

/// Who asks about a session.
#[derive(Debug, Clone, Copy)]
pub(super) enum Question {
    /// Its user.
    Me,
    /// A service.
    Introspect,
}

/// A question on both stores, next to a route that gives the same answer from memory.
async fn beside_route(
    bench: &Bench,
    name: &str,
    question: Question,
    least: [Option<f64>; 2],
) -> anyhow::Result<Vec<Figure>> {
    let [sqlite, postgres] = [Store::Sqlite, Store::Postgres];
    let on_sqlite = Asked::new(bench.stage.filled(sqlite, &bench.server).await?, bench, question).await?;
    let on_postgres = Asked::new(bench.stage.filled(postgres, &bench.server).await?, bench, question).await?;
    let route = Route::start(&env::current_exe()?, &on_sqlite.answer().await?)?;
    let limit = rate(|duration| on_sqlite.ask_at(route.address, duration));
    let rates = [limit, on_sqlite.rate(), on_postgres.rate()];
    let [limit, ours_on_sqlite, ours_on_postgres] = bench.turns.take(rates).await?;
    let figure = |store: Store, ours, least: Option<f64>| {
        let name = format!("{name}, {}, {CONNECTIONS} connections", store.name());
        let goal = least.map(Goal::AtLeast);
        Figure::rate(&name, ours, "a route that answers the same from memory", limit.clone(), goal)
    };
    Ok(vec![figure(sqlite, ours_on_sqlite, least[0]), figure(postgres, ours_on_postgres, least[1])])
}

/// A server that is asked a question.
pub(super) struct Asked<'a> {
    server: Server,
    filled: &'a Filled,
    access_tokens: Vec<String>,
    question: Question,
}

impl<'a> Asked<'a> {
    pub(super) async fn new(filled: &'a Filled, bench: &Bench, question: Question) -> anyhow::Result<Self> {
        let server = filled.server(&bench.server, &[])?;
        let access_tokens = filled.access_tokens(&server, SESSIONS).await?;
        Ok(Self { server, filled, access_tokens, question })
    }

    pub(super) const fn server(&self) -> &Server {
        &self.server
    }

    /// Answers a second.
    pub(super) fn rate(&self) -> Rate<'_> {
        rate(|duration| self.ask_at(self.server.address, duration))
    }

    async fn ask_at(&self, address: std::net::SocketAddr, duration: Duration) -> anyhow::Result<f64> {
        let Self { filled, access_tokens, question, .. } = self;
        match question {
            Question::Me => work::me(address, access_tokens, CONNECTIONS, duration).await,
            Question::Introspect => {
                work::introspect(address, filled.credential(), access_tokens, CONNECTIONS, duration).await
            }
        }
    }

    /// An answer as it came.
    async fn answer(&self) -> anyhow::Result<Vec<u8>> {
        let token = &self.access_tokens[0];
        let request = match self.question {
            Question::Me => work::request_of_me(token),
            Question::Introspect => work::request_of_introspect(self.filled.credential(), token),
        };
        let mut wire = Wire::open(self.server.address).await?;
        wire.ask(&request).await?;
        Ok(wire.answer().to_vec())
    }
}

pub(super) fn refreshes<'a>(filled: &'a Filled, server: &'a Server, connections: usize) -> Rate<'a> {
    rate(move |duration| filled.refresh(server, connections, duration))
}

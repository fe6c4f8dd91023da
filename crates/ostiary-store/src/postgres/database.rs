//! Connections: a pool for what writes, a few shared ones for what reads.
//!
//! A commit waits for the disk, and commits on one connection wait one after another; on several they share
//! the wait. Reads wait for nothing, so many go down one connection without waiting for each other's answers.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::{
    ClientWrapper, Connect, Manager, ManagerConfig, Object, Pool, QueueMode, RecyclingMethod, Runtime,
};
use ostiary_core::store::StoreError;
use prometheus_client::registry::Registry;
use tokio::time::Instant;
use tokio_postgres::{
    Config, Row,
    error::DbError,
    types::{ToSql, Type},
};

use super::{
    faults::{Fault, is_statement_stale},
    pool_metrics::PoolMetrics,
    settings::{PoolSize, PostgresSettings},
    tls::{Connected, Connector},
};
use crate::metrics::StatementMetrics;

/// How long a request waits for a connection of the pool, or for a new one.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a request waits for the database in all: whoever asks hears within 3 s that it is away.
const DEADLINE: Duration = Duration::from_millis(2_800);
/// How long the server works on a statement that nobody waits for any more, in PostgreSQL's words.
const SESSION_LIMITS: &str = "set statement_timeout = '5s'; set idle_in_transaction_session_timeout = '10s'";
/// Plans a statement once. PostgreSQL would plan those with arrays anew each time, which takes longer than to run them.
const PLAN_ONCE: &str = "set plan_cache_mode = force_generic_plan";
/// How long a connection whose request went away may take to become free.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(6);
/// Shared connections that read. Two keep a server's two cores busy (100 thousand look-ups a second).
pub(super) const READERS: usize = 2;

/// How long after the start the first connections of the pool are opened. At once they would take the processor from
/// the start itself: each costs the two sides milliseconds of cryptography.
const WARM_AFTER: Duration = Duration::from_millis(300);

/// A parameter of a statement and its type.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// A database, through as many connections as it takes.
pub(super) struct Database {
    writers: Pool,
    readers: Readers,
    prepared: bool,
    metrics: StatementMetrics,
}

impl Database {
    /// `prepared` says that a connection is a session of its own, so that statements can be prepared on it,
    /// and requests can share it. Behind a pooler that hands out sessions by the transaction they cannot.
    ///
    /// `is_ours` says that nothing runs in it that we did not write: functions of somebody else's may depend on how
    /// they are planned. `readers` are connections that are there already.
    pub(super) async fn new(
        settings: &PostgresSettings,
        connector: &Connector,
        prepared: bool,
        is_ours: bool,
        readers: Vec<Connected>,
    ) -> Result<Self, tokio_postgres::Error> {
        let plan = if is_ours { PLAN_ONCE } else { "" };
        let session = prepared.then(|| format!("{SESSION_LIMITS}; {plan}"));
        let link = Link { connector: connector.clone(), config: settings.config.clone(), session };
        let manager = Manager::from_connect(
            settings.config.clone(),
            link.clone(),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let PoolSize { least, most } = settings.pool;
        let writers = Pool::builder(manager)
            .max_size(usize::from(most.max(least)))
            // A process of PostgreSQL that has just worked has what it needs in the processor's caches.
            .queue_mode(QueueMode::Lifo)
            .wait_timeout(Some(ACQUIRE_TIMEOUT))
            .create_timeout(Some(ACQUIRE_TIMEOUT))
            .recycle_timeout(Some(ACQUIRE_TIMEOUT))
            .runtime(Runtime::Tokio1)
            .build()
            .expect("a pool with a runtime can have time-outs");
        tokio::spawn(warm(writers.clone(), usize::from(least)));
        let readers = if prepared { readers } else { Vec::new() };
        let readers = Readers::new(link, readers).await?;
        Ok(Self { writers, readers, prepared, metrics: StatementMetrics::new("postgres") })
    }

    /// Whether statements are prepared.
    pub(super) const fn is_prepared(&self) -> bool {
        self.prepared
    }

    /// Adds the figures of statements and of the pool.
    pub(super) fn register_metrics(&self, registry: &mut Registry) {
        self.metrics.register(registry);
        registry.register_collector(Box::new(PoolMetrics::new(self.writers.clone())));
    }

    /// Runs a statement of the verb `verb` that may change something, once, or twice if the first time it
    /// cannot have.
    pub(super) async fn write(
        &self,
        verb: &'static str,
        sql: &'static str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let outcome = self.try_write(verb, sql, parameters, |_| false).await;
        outcome.map_err(Fault::into_store_error)
    }

    /// [`Database::write`], for a caller who knows what some faults mean. What `is_answer` holds of is not counted
    /// as an error.
    pub(super) async fn try_write(
        &self,
        verb: &'static str,
        sql: &'static str,
        parameters: &[Parameter<'_>],
        is_answer: impl Fn(&DbError) -> bool,
    ) -> Result<Vec<Row>, Fault> {
        let statement = Statement { sql, parameters, deadline: Instant::now() + DEADLINE };
        let start = std::time::Instant::now();
        let outcome = match self.write_once(statement).await {
            Err(fault) if fault.may_be_retried(false) => self.write_once(statement).await,
            outcome => outcome,
        };
        let failed = outcome.as_ref().is_err_and(|fault| !fault.database_error().is_some_and(is_answer));
        self.metrics.record(verb, start, failed);
        outcome
    }

    async fn write_once(&self, statement: Statement<'_>) -> Result<Vec<Row>, Fault> {
        let checkout = Checkout(Some(statement.in_time(self.writers.get()).await??));
        let outcome = statement.run(checkout.client(), self.prepared).await;
        let fault = outcome.as_ref().err();
        if fault.is_some_and(Fault::is_read_only) {
            self.readers.forget_all();
        }
        // A statement that may still run keeps its place in the pool, or there would soon be too many.
        if !fault.is_some_and(Fault::is_too_slow) {
            checkout.finish(fault);
        }
        outcome
    }

    /// Lets reads open new connections: those that are there lead to a server that takes no writes.
    pub(super) fn forget_readers(&self) {
        self.readers.forget_all();
    }

    /// Runs a statement of the verb `verb` that changes nothing.
    pub(super) async fn read(
        &self,
        verb: &'static str,
        sql: &'static str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let statement = Statement { sql, parameters, deadline: Instant::now() + DEADLINE };
        let start = std::time::Instant::now();
        let outcome = match self.read_once(statement).await {
            Err(fault) if fault.may_be_retried(true) => self.read_once(statement).await,
            outcome => outcome,
        };
        self.metrics.record(verb, start, outcome.is_err());
        outcome.map_err(Fault::into_store_error)
    }

    async fn read_once(&self, statement: Statement<'_>) -> Result<Vec<Row>, Fault> {
        // A pooler gives each transaction a session; it need not expect several on one connection.
        if !self.prepared {
            return self.write_once(statement).await;
        }
        let reader = self.readers.any();
        let client = statement.in_time(reader.client(&self.readers.link)).await??;
        let outcome = statement.run(&client, self.prepared).await;
        match &outcome {
            Err(fault) if fault.is_too_slow() => reader.replace_slow(client),
            Err(fault) if fault.breaks_the_connection() => reader.forget(&client),
            _ => {}
        }
        outcome
    }
}

/// A statement to be run, and until when.
#[derive(Clone, Copy)]
struct Statement<'a> {
    sql: &'static str,
    parameters: &'a [Parameter<'a>],
    deadline: Instant,
}

impl Statement<'_> {
    async fn run(self, client: &ClientWrapper, prepared: bool) -> Result<Vec<Row>, Fault> {
        self.in_time(async {
            if prepared {
                self.run_prepared(client).await
            } else {
                client.query_typed(self.sql, self.parameters).await.map_err(Fault::Failed)
            }
        })
        .await?
    }

    async fn run_prepared(self, client: &ClientWrapper) -> Result<Vec<Row>, Fault> {
        let types: Vec<Type> = self.parameters.iter().map(|(_, kind)| kind.clone()).collect();
        let values: Vec<&(dyn ToSql + Sync)> = self.parameters.iter().map(|(value, _)| *value).collect();
        let prepare =
            async || client.prepare_typed_cached(self.sql, &types).await.map_err(Fault::NotPrepared);
        match client.query(&prepare().await?, &values).await {
            Err(error) if is_statement_stale(&error) => {
                client.statement_cache.clear();
                client.query(&prepare().await?, &values).await.map_err(Fault::Failed)
            }
            outcome => outcome.map_err(Fault::Failed),
        }
    }

    async fn in_time<T>(self, work: impl Future<Output = T>) -> Result<T, Fault> {
        tokio::time::timeout_at(self.deadline, work).await.map_err(|_| Fault::TooSlow)
    }
}

/// Opens the first connections before they are asked for.
async fn warm(pool: Pool, count: usize) {
    tokio::time::sleep(WARM_AFTER).await;
    let mut opened = Vec::with_capacity(count);
    for _ in 0..count {
        // What cannot be had now is tried again when it is needed.
        let Ok(connection) = pool.get().await else { return };
        opened.push(connection);
    }
}

/// How a connection is made.
#[derive(Clone)]
struct Link {
    connector: Connector,
    config: Config,
    /// What is said on it first; nothing behind a pooler, where the next statement may be in another session.
    session: Option<String>,
}

impl Link {
    async fn open(&self, config: &Config) -> Result<Connected, tokio_postgres::Error> {
        let connected = self.connector.connect(config).await?;
        self.begin(&connected).await?;
        Ok(connected)
    }

    async fn begin(&self, (client, _): &Connected) -> Result<(), tokio_postgres::Error> {
        match &self.session {
            Some(session) => client.batch_execute(session).await,
            None => Ok(()),
        }
    }
}

/// What deadpool asks of a way to connect.
type Opening<'a> = Pin<Box<dyn Future<Output = Result<Connected, tokio_postgres::Error>> + Send + 'a>>;

impl Connect for Link {
    fn connect(&self, config: &Config) -> Opening<'_> {
        let config = config.clone();
        Box::pin(async move { self.open(&config).await })
    }
}

/// A connection of the pool, for one statement.
struct Checkout(Option<Object>);

impl Checkout {
    fn client(&self) -> &ClientWrapper {
        self.0.as_ref().expect("it is there until it is finished")
    }

    /// Gives the connection back, unless it is of no more use.
    fn finish(mut self, fault: Option<&Fault>) {
        let Some(connection) = self.0.take() else { return };
        if fault.is_some_and(Fault::breaks_the_connection) {
            drop(Object::take(connection));
        }
    }
}

/// Whoever waited went away, and the statement may still run: the connection goes back to the pool when it
/// is free, so that the next request does not wait behind it.
impl Drop for Checkout {
    fn drop(&mut self) {
        let (Some(connection), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        runtime.spawn(async move {
            if !becomes_idle(&connection).await {
                drop(Object::take(connection));
            }
        });
    }
}

/// Whether all that was asked on a connection is answered before long.
async fn becomes_idle(connection: &ClientWrapper) -> bool {
    let idle = tokio::time::timeout(DRAIN_TIMEOUT, connection.simple_query("")).await;
    matches!(idle, Ok(Ok(_)))
}

struct Readers {
    link: Link,
    slots: Vec<Reader>,
    next: AtomicUsize,
}

impl Readers {
    async fn new(link: Link, connected: Vec<Connected>) -> Result<Self, tokio_postgres::Error> {
        let slots: Vec<Reader> = (0..READERS).map(|_| Reader::default()).collect();
        for (reader, connected) in slots.iter().zip(connected) {
            link.begin(&connected).await?;
            let (client, task) = connected;
            *reader.slot() = Some(Arc::new(ClientWrapper::new(client, task)));
        }
        Ok(Self { link, slots, next: AtomicUsize::new(0) })
    }

    fn forget_all(&self) {
        self.slots.iter().for_each(|reader| *reader.slot() = None);
    }

    fn any(&self) -> &Reader {
        &self.slots[self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len()]
    }
}

/// A shared connection, opened when it is first needed and again when it is lost.
#[derive(Default)]
struct Reader {
    client: Mutex<Option<Arc<ClientWrapper>>>,
    opening: tokio::sync::Mutex<()>,
    /// A connection that another has replaced, while what was asked on it may still run.
    slow: Mutex<Weak<ClientWrapper>>,
}

impl Reader {
    async fn client(&self, link: &Link) -> Result<Arc<ClientWrapper>, Fault> {
        if let Some(client) = self.open_client() {
            return Ok(client);
        }
        let _one_at_a_time = self.opening.lock().await;
        if let Some(client) = self.open_client() {
            return Ok(client);
        }
        let opened = tokio::time::timeout(ACQUIRE_TIMEOUT, link.open(&link.config)).await;
        let (client, task) = opened
            .map_err(|elapsed| Fault::NotConnected(Box::new(elapsed)))?
            .map_err(|error| Fault::NotConnected(Box::new(error)))?;
        let client = Arc::new(ClientWrapper::new(client, task));
        *self.slot() = Some(client.clone());
        Ok(client)
    }

    fn open_client(&self) -> Option<Arc<ClientWrapper>> {
        self.slot().as_ref().filter(|client| !client.is_closed()).cloned()
    }

    /// Lets the next request open another connection in the place of `client`.
    fn forget(&self, client: &Arc<ClientWrapper>) {
        let mut slot = self.slot();
        if slot.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, client)) {
            *slot = None;
        }
    }

    /// Lets the next request open another connection in the place of `client`, on which something takes too
    /// long; but one such at a time, or there would soon be too many.
    fn replace_slow(&self, client: Arc<ClientWrapper>) {
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        if slow.strong_count() > 0 {
            return;
        }
        *slow = Arc::downgrade(&client);
        self.forget(&client);
        tokio::spawn(async move { becomes_idle(&client).await });
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<ClientWrapper>>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

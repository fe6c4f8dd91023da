//! Look-ups of rows by their ids, for several requests at once.

use std::{collections::HashMap, sync::Arc};

use ostiary_core::store::StoreError;
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

use super::database::Database;
use crate::gathered::Batch;

/// A look for many rows by one statement, which takes their ids as its one parameter. The first column of a row is
/// the id that it belongs to.
pub(super) struct RowsById<Found> {
    pub(super) database: Arc<Database>,
    pub(super) verb: &'static str,
    pub(super) sql: &'static str,
    /// Reads the rows of one id; there is one at least.
    pub(super) read: fn(&[&Row]) -> Found,
}

impl<Found: Send + 'static> Batch for RowsById<Found> {
    type Request = Uuid;
    type Answer = Option<Found>;

    async fn run(&self, ids: Vec<Uuid>) -> Result<Vec<Option<Found>>, StoreError> {
        let rows = self.database.read(self.verb, self.sql, &[(&ids, Type::UUID_ARRAY)]).await?;
        let mut by_id: HashMap<Uuid, Vec<&Row>> = HashMap::new();
        for row in &rows {
            by_id.entry(row.get(0)).or_default().push(row);
        }
        Ok(ids.iter().map(|id| by_id.get(id).map(|rows| (self.read)(rows))).collect())
    }
}

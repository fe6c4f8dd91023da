//! The audit trail, beside the changes that write to it.

use async_trait::async_trait;
use ostiary_core::{
    audit::AuditEvent,
    id::{EventId, SessionId, UserId},
    store::{About, AuditQuery, AuditTrail, RecordedEvent, StoreError},
};
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

use super::{
    PostgresStore,
    columns::{EventColumns, ip_address},
    database::Parameter,
};

#[async_trait]
impl AuditTrail for PostgresStore {
    async fn record(&self, event: AuditEvent, about: About) -> Result<(), StoreError> {
        let sql = "
            insert into auth.audit_events (user_id, session_id, id, at, action, actor, address, user_agent)
            values ($1, $2, $3, $4, $5, $6, $7, $8)";
        let (user_id, session_id) =
            (about.user_id.map(|id| id.as_uuid()), about.session_id.map(|id| id.as_uuid()));
        let event = EventColumns::of(&event);
        let own: [Parameter<'_>; 2] = [(&user_id, Type::UUID), (&session_id, Type::UUID)];
        self.database.write("record", sql, &[&own[..], &event.parameters()].concat()).await?;
        Ok(())
    }

    async fn audit_events(&self, query: &AuditQuery) -> Result<Vec<RecordedEvent>, StoreError> {
        let sql = "
            with newest as (
                select id, at, action, actor, user_id, session_id, subject, address, user_agent
                from auth.audit_events
                where ($1::timestamptz is null or at >= $1) and ($2::uuid is null or user_id = $2)
                    and (action = any($3) or pg_catalog.cardinality($3) = 0)
                order by at desc, id desc
                limit $4
            )
            select id, at, action, actor, user_id, session_id, subject, address, user_agent
            from newest order by at, id";
        let user_id = query.user_id.map(|id| id.as_uuid());
        let parameters: [Parameter<'_>; 4] = [
            (&query.since, Type::TIMESTAMPTZ),
            (&user_id, Type::UUID),
            (&query.actions, Type::TEXT_ARRAY),
            (&i64::from(query.limit), Type::INT8),
        ];
        Ok(self.database.read("audit_events", sql, &parameters).await?.iter().map(from_row).collect())
    }
}

fn from_row(row: &Row) -> RecordedEvent {
    RecordedEvent {
        id: EventId::from_uuid(row.get(0)),
        at: row.get(1),
        action: row.get(2),
        actor: row.get(3),
        user_id: row.get::<_, Option<Uuid>>(4).map(UserId::from_uuid),
        session_id: row.get::<_, Option<Uuid>>(5).map(SessionId::from_uuid),
        subject: row.get(6),
        address: row.get::<_, Option<&str>>(7).and_then(ip_address),
        user_agent: row.get(8),
    }
}

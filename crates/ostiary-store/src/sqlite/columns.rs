//! How values are kept: a UUID as its 16 bytes, a time as microseconds since 1970, methods of authentication as
//! their names.

use jiff::Timestamp;
use ostiary_core::{id::Id, store::AuthenticationMethod};
use rusqlite::{
    ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};
use uuid::Uuid;

/// An id in a column or a parameter.
pub(super) struct IdColumn<Of>(pub(super) Id<Of>);

impl<Of> ToSql for IdColumn<Of> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.as_uuid().into_bytes().to_vec()))
    }
}

impl<Of> FromSql for IdColumn<Of> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = <[u8; 16]>::column_result(value)?;
        Ok(Self(Id::from_uuid(Uuid::from_bytes(bytes))))
    }
}

/// A time in a column or a parameter.
pub(super) struct TimeColumn(pub(super) Timestamp);

impl ToSql for TimeColumn {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.as_microsecond()))
    }
}

impl FromSql for TimeColumn {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let microseconds = i64::column_result(value)?;
        Timestamp::from_microsecond(microseconds).map(Self).map_err(FromSqlError::other)
    }
}

/// Methods of authentication in a column or a parameter: names with spaces between.
pub(super) struct MethodsColumn(pub(super) Vec<AuthenticationMethod>);

impl ToSql for MethodsColumn {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let names: Vec<_> = self.0.iter().copied().map(AuthenticationMethod::as_str).collect();
        Ok(ToSqlOutput::from(names.join(" ")))
    }
}

impl FromSql for MethodsColumn {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let names = value.as_str()?.split_whitespace();
        // One that a newer version wrote is unknown here.
        Ok(Self(names.filter_map(AuthenticationMethod::from_name).collect()))
    }
}

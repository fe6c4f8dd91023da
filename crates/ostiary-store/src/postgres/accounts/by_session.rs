//! A session with its user's account, from a directory of our own: all of it in one statement, since it is what
//! most clients ask most often. Somebody else's directory is asked through its functions.

use ostiary_core::{
    contact::ContactKind,
    id::UserId,
    store::{Account, AccountContact},
};
use serde_json::{Map, Value};
use tokio_postgres::{Row, types::Json};

use crate::postgres::sessions::OpenSession;

/// `id`, `user_id`, `created_at`, `methods`, `expires_at`, `refreshed_at` of the session; `profile`, `created_at`,
/// `updated_at`, groups of the account; `kind`, `value`, `typed` of a contact, and whether it is verified. A row for
/// each contact, and one if there is none. (`offset 0`, or the groups would be looked up for each.)
pub(in crate::postgres) const FIND: &str = "
    select session.*, contact.kind, contact.value, contact.typed, contact.verified_at is not null
    from (
        select session.id, session.user_id, session.created_at, session.methods, session.expires_at,
            session.refreshed_at, account.profile, account.created_at as account_created_at, account.updated_at,
            array(select group_name from accounts.memberships where memberships.user_id = account.id) as groups
        from auth.sessions as session
        join accounts.users as account on account.id = session.user_id and account.active
        where session.id = any($1) and session.revoked_at is null
        offset 0
    ) as session
    left join accounts.contacts as contact on contact.user_id = session.user_id";

/// What the rows of one session say.
pub(in crate::postgres) fn read(rows: &[&Row]) -> (OpenSession, Account) {
    let first = rows[0];
    let mut contacts: Vec<AccountContact> = rows.iter().copied().filter_map(contact).collect();
    contacts.sort_unstable_by_key(|contact| match contact.kind {
        ContactKind::SecondLogin => 0,
        ContactKind::Phone => 1,
        ContactKind::Email => 2,
    });
    let mut groups: Vec<String> = first.get(9);
    groups.sort_unstable();
    let account = Account {
        id: UserId::from_uuid(first.get(1)),
        contacts,
        groups,
        profile: first.get::<_, Option<Json<Map<String, Value>>>>(6).map(|Json(profile)| profile),
        created_at: first.get(7),
        updated_at: first.get(8),
    };
    (OpenSession::of(first), account)
}

/// `None` where there is none, or only a newer version knows its kind.
fn contact(row: &Row) -> Option<AccountContact> {
    Some(AccountContact {
        kind: ContactKind::from_name(row.get::<_, Option<&str>>(10)?)?,
        value: row.get(11),
        typed: row.get(12),
        is_verified: row.get(13),
    })
}

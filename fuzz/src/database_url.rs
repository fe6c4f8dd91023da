//! The address of a PostgreSQL database: read or refused, and no message shows the password.

use ostiary_store::postgres::PostgresSettings;

use crate::SECRET;

/// Reads an address, alone and after a password.
pub fn database_url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(settings) = PostgresSettings::from_url(&text) {
        assert!(!settings.user().is_empty() && !settings.database().is_empty());
        assert!(settings.describe().ends_with(&format!("/{}", settings.database())));
    }
    for start in [
        "postgresql://user:SECRET@",
        "postgres://host/?password=SECRET",
        "password=SECRET ",
        "password='SECRET' ",
    ] {
        let url = format!("{}{text}", start.replace("SECRET", SECRET));
        let shown = match PostgresSettings::from_url(&url) {
            Ok(settings) => format!("{settings:?} {} {}", settings.describe(), settings.user()),
            Err(error) => format!("{error:?} {error}"),
        };
        assert!(!shown.contains(SECRET), "{start}: {shown}");
    }
}

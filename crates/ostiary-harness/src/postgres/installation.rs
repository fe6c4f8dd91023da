//! Where PostgreSQL's programs are.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use crate::system::find_program;

/// The programs of one version.
#[derive(Debug, Clone)]
pub(super) struct Installation {
    programs: PathBuf,
}

impl Installation {
    /// The one in the path, or the newest of Debian's, which are not in the path.
    pub(super) fn find() -> Option<Self> {
        let mut debian: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let entry = entry.ok()?;
                Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
            })
            .collect();
        debian.sort_by(|(a, _), (b, _)| b.cmp(a));
        let debian: Vec<PathBuf> = debian.into_iter().map(|(_, programs)| programs).collect();
        // A link to it may stand alone in its directory.
        let initdb = fs::canonicalize(find_program("initdb", &debian)?).ok()?;
        let programs = initdb.parent()?.to_owned();
        programs.join("pg_ctl").is_file().then_some(Self { programs })
    }

    pub(super) fn required() -> Self {
        Self::find().expect(
            "PostgreSQL is not here: install postgresql (Debian: apt-get install postgresql), or set \
             TEST_DATABASE_URL",
        )
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// What stops the server whose data is in this directory, and does nothing if there is none.
    pub(super) fn stop_command(&self, data: &Path) -> Vec<OsString> {
        let mut command = vec![self.program("pg_ctl").into(), "stop".into(), "-D".into(), data.into()];
        command.extend(["-m", "immediate"].map(OsString::from));
        command
    }
}

//! The server's secret: from a setting, from a file, or made on the first start.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use ostiary_core::secret::{self, SecretTooShort, ServerSecret};

use super::Settings;

/// The file in the data directory.
const FILE_NAME: &str = "secret.key";

/// Where the secret came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// The setting `SECRET_KEY`.
    Setting,
    /// A file that was there.
    File(PathBuf),
    /// A file that was made now.
    Made(PathBuf),
    /// The setting `JWT_SECRET_KEY`.
    JwtSecret,
}

/// There is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It is too short.
    #[error("the secret in {path} cannot be used: {cause}")]
    TooShort {
        /// The file.
        path: PathBuf,
        /// How short.
        cause: SecretTooShort,
    },
    /// The setting is too short; the command line has said so before.
    #[error("SECRET_KEY cannot be used: {0}")]
    SettingTooShort(#[from] SecretTooShort),
    /// Others can read it.
    #[error("the secret file {path} can be read by other users (mode {mode:03o}): run `chmod 600 {path}`")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It cannot be read or made.
    #[error("{what} {path}: {cause}; give this user the right to, or set {setting}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
        /// The setting that names another place.
        setting: &'static str,
    },
}

/// The secret in an operator's words.
///
/// # Errors
/// If it is too short.
pub fn parse(text: &str) -> Result<ServerSecret, SecretTooShort> {
    ServerSecret::parse(text)
}

/// The secret that these settings name, or `None` if one is to be made.
///
/// A file that is there goes before `JWT_SECRET_KEY`: setting that key later must not make every
/// refresh token invalid.
///
/// # Errors
/// If it cannot be read, or others can read it.
pub fn find(settings: &Settings) -> Result<Option<(ServerSecret, SecretSource)>, SecretError> {
    if let Some(text) = &settings.secret_key {
        return Ok(Some((parse(text.expose())?, SecretSource::Setting)));
    }
    if let Some(path) = &settings.secret_key_file {
        return Ok(Some((read(path, "SECRET_KEY_FILE")?, SecretSource::File(path.clone()))));
    }
    let path = settings.data_dir.join(FILE_NAME);
    if path.exists() {
        return Ok(Some((read(&path, "DATA_DIR")?, SecretSource::File(path))));
    }
    let jwt_secret = settings.jwt_secret_key.as_ref().map(|text| text.expose().as_bytes());
    Ok(jwt_secret.map(|bytes| (ServerSecret::from_jwt_secret(bytes), SecretSource::JwtSecret)))
}

/// Makes the data directory, for its owner alone.
///
/// # Errors
/// If it cannot be made.
pub fn make_data_dir(path: &Path) -> Result<(), SecretError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .map_err(|cause| io_error("the data directory cannot be made:", path, cause, "DATA_DIR"))
}

fn read(path: &Path, setting: &'static str) -> Result<ServerSecret, SecretError> {
    let failed = |cause| io_error("the secret file cannot be read:", path, cause, setting);
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(path).map_err(failed)?) & 0o777;
        if mode & 0o077 != 0 {
            return Err(SecretError::Exposed { path: path.to_owned(), mode });
        }
    }
    let text = zeroize::Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
    parse(&text).map_err(|cause| SecretError::TooShort { path: path.to_owned(), cause })
}

/// Makes a secret in the data directory, or takes the one that another server has made meanwhile.
///
/// It is written under another name and linked into place, so that servers that start at once agree on
/// one, and one that is killed half-way leaves nothing under the name itself.
///
/// # Errors
/// If it cannot be made.
pub fn make(settings: &Settings) -> Result<(ServerSecret, SecretSource), SecretError> {
    let path = &settings.data_dir.join(FILE_NAME);
    let failed = |cause| io_error("the secret file cannot be made:", path, cause, "DATA_DIR");
    let draft = path.with_extension(format!("key.{:x}", u64::from_ne_bytes(secret::random())));
    let written = write_new(&draft, &ServerSecret::generate());
    let linked = written.and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let removed = fs::remove_file(&draft);
    linked.and(removed).and_then(|()| sync_directory(path)).map_err(failed)?;
    read(path, "DATA_DIR").map(|secret| (secret, SecretSource::Made(path.clone())))
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

fn io_error(what: &'static str, path: &Path, cause: io::Error, setting: &'static str) -> SecretError {
    SecretError::Io { what, path: path.to_owned(), cause, setting }
}

//! Redis: a server for one test.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
};

use rustix::process::Signal;

use crate::{daemon::Daemon, system::must};

const HOST: &str = "127.0.0.1";

/// A private Redis that keeps nothing on the disk, and believes everyone. Dropped, it is stopped.
#[derive(Debug)]
pub struct Redis(Daemon);

impl Redis {
    /// Starts a server with nothing in it.
    #[must_use]
    pub fn start() -> Self {
        // https://redis.io/docs/latest/operate/oss_and_stack/management/config/
        let settings = |port| format!("bind {HOST}\nport {port}\nsave \"\"\nappendonly no\n");
        Self(Daemon::start("redis-server", settings))
    }

    /// The address that it listens on.
    #[must_use]
    pub fn host(&self) -> &'static str {
        HOST
    }

    /// The port on that address.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port()
    }

    /// Lets it stand still: its connections stay open, and nothing is answered.
    pub fn pause(&self) {
        self.0.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.0.signal(Signal::CONT);
    }

    /// Kills it at once. It does not come back.
    pub fn kill(&self) {
        self.0.signal(Signal::KILL);
    }

    /// Removes everything from all of its databases.
    pub fn flush(&self) {
        assert_eq!(self.ask("FLUSHALL"), "+OK", "Redis keeps what it has");
    }

    /// Sends a command, its words divided by spaces, and gives the first line of the answer as it stands in
    /// the protocol (<https://redis.io/docs/latest/develop/reference/protocol-spec/>): `+OK`, `:1`, `-ERR ...`.
    pub fn ask(&self, command: &str) -> String {
        let mut stream = must(TcpStream::connect((HOST, self.port())), "connect to Redis");
        must(stream.write_all(format!("{command}\r\n").as_bytes()), "write to Redis");
        let mut line = String::new();
        must(BufReader::new(stream).read_line(&mut line), "read from Redis");
        line.trim_end().to_owned()
    }
}

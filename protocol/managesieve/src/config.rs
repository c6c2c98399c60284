//! What an operator may set, and the bounds that are fixed.

use std::time::Duration;
use zcluster_api::delivery::{SCRIPT_BYTES_MAX, SCRIPT_NAME_BYTES_MAX};
use zcluster_auth::RESPONSE_BYTES_MAX;
use zcluster_sieve::Limits;

/// Settings of the ManageSieve service.
#[derive(Clone, Debug)]
pub struct Config {
    /// Passwords without TLS. Loopback clients always may send them so: nobody listens there.
    pub allow_plaintext_auth: bool,
    /// Silence after which a signed-in client is disconnected (RFC 5804 §1.2: at least 30 minutes).
    pub idle_timeout: Duration,
    /// Time a client has to sign in.
    pub login_timeout: Duration,
    /// How long a call into the cluster may take, over all its retries.
    pub call_timeout: Duration,
    /// What the server calls itself in the `IMPLEMENTATION` capability.
    pub implementation: String,
    /// What scripts are held to: the same as where they run.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            allow_plaintext_auth: false,
            idle_timeout: Duration::from_secs(30 * 60),
            login_timeout: Duration::from_secs(3 * 60),
            call_timeout: Duration::from_secs(20),
            implementation: "zcluster".into(),
            limits: Limits::default(),
        }
    }
}

/// Bytes between the quotes of a string (RFC 5804 §4).
pub const QUOTED_BYTES_MAX: usize = 1024;
/// Bytes of a line: two quoted strings, all escapes, and what stands around them.
pub const LINE_BYTES_MAX: usize = 4 * 1024;
/// Bytes of a literal once signed in.
pub const LITERAL_BYTES_MAX: usize = SCRIPT_BYTES_MAX;
/// Bytes of a command once signed in.
pub const COMMAND_BYTES_MAX: usize = SCRIPT_BYTES_MAX + SCRIPT_NAME_BYTES_MAX + LINE_BYTES_MAX;
/// Bytes of a line, a string and a command before sign-in. Clients put tokens of any length between quotes.
pub const LOGIN_BYTES_MAX: usize = RESPONSE_BYTES_MAX + 512;
/// Literals of one command.
pub const LITERALS_MAX: usize = 4;
/// Literals of one command that are read over.
pub const LITERALS_SKIPPED_MAX: usize = 16;
/// Bytes of a literal that is read over. A larger one ends the connection.
pub const DISCARD_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The same before sign-in.
pub const LOGIN_DISCARD_BYTES_MAX: u64 = 512 * 1024;
/// Commands one after the other that made no sense, before the connection is closed.
pub const BAD_COMMANDS_MAX: u32 = 20;
/// Refused sign-ins before the connection is closed.
pub const LOGIN_FAILURES_MAX: u32 = 5;
/// What is told of a script that is no good.
pub const DIAGNOSTICS_MAX: usize = 20;
/// Characters of a text that came from elsewhere.
pub const TEXT_CHARS_MAX: usize = 300;

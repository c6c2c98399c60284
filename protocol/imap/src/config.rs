//! What an operator may set, and the bounds that are fixed.

use std::time::Duration;

/// Settings of the IMAP service.
#[derive(Clone, Debug)]
pub struct ImapConfig {
    /// LOGIN and AUTHENTICATE without TLS. Otherwise LOGINDISABLED is shown until STARTTLS (RFC 3501 §6.2.3).
    pub allow_plaintext_auth: bool,
    /// The largest message APPEND takes, bytes (APPENDLIMIT, RFC 7889).
    pub append_bytes_max: u64,
    /// Bytes of messages that all sessions together may hold while they are appended.
    pub append_memory_bytes: u64,
    /// Silence after which a signed-in client is disconnected (RFC 3501 §5.4: at least 30 minutes).
    pub idle_timeout: Duration,
    /// How long a client may take to sign in.
    pub login_timeout: Duration,
    /// How long a call into the cluster may take, over all its retries.
    pub call_timeout: Duration,
    /// How long a command is silent before its client is told that it is under way (RFC 9585).
    pub progress_every: Duration,
    /// What the server calls itself in ID (RFC 2971); no version is shown when it is empty.
    pub version: String,
}

impl Default for ImapConfig {
    fn default() -> Self {
        ImapConfig {
            allow_plaintext_auth: false,
            append_bytes_max: 50 * 1024 * 1024,
            append_memory_bytes: 512 * 1024 * 1024,
            idle_timeout: Duration::from_secs(30 * 60),
            login_timeout: Duration::from_secs(60),
            call_timeout: Duration::from_secs(20),
            progress_every: Duration::from_secs(10),
            version: String::new(),
        }
    }
}

/// Bytes of one line of a command (RFC 7162 §4 asks for 8,192).
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a command, literals included; an appended message is counted apart.
pub const COMMAND_BYTES_MAX: usize = 256 * 1024;
/// Bytes of one literal that is no message.
pub const LITERAL_BYTES_MAX: u64 = 64 * 1024;
/// Bytes of a line, of a literal and of a whole command before sign-in: AUTHENTICATE with the longest initial response.
pub const BYTES_MAX_BEFORE_LOGIN: usize = 13 * 1024;
/// Literals in one command.
pub const LITERALS_MAX: usize = 128;
/// Literals of a refused command that are passed over.
pub const LITERALS_SKIPPED_MAX: usize = 10_000;
/// A refused literal that the client does not wait with is read and thrown away up to this size, bytes; beyond it the
/// connection is closed (RFC 7888 §4).
pub const DISCARD_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Commands in a row that make no sense, before the connection is closed.
pub const BAD_COMMANDS_MAX: u32 = 20;
/// Refused sign-ins before the connection is closed.
pub const LOGIN_FAILURES_MAX: u32 = 5;
/// Bytes of a SASL response line (RFC 4954 §4 takes 12,288).
pub const SASL_LINE_BYTES_MAX: usize = 12 * 1024;
/// Response bytes gathered before they are handed to the connection.
pub const SPILL_BYTES: usize = 16 * 1024;
/// Messages asked for at once by FETCH without bodies.
pub const PAGE_MESSAGES: u32 = 500;
/// Messages asked for at once by FETCH with bodies.
pub const PAGE_MESSAGES_WITH_BODIES: u32 = 50;
/// A FETCH looks for changes only when the last look is older.
pub const FETCH_SYNC_AFTER: Duration = Duration::from_secs(1);
/// Bodies up to this many bytes are read once when a FETCH asks for several pieces of them.
pub const BODY_CACHED_MAX: u64 = 256 * 1024;
/// How long a client may be silent in the middle of a message.
pub const UPLOAD_SILENCE_MAX: Duration = Duration::from_secs(5 * 60);
/// Room for appended messages is taken in steps of so many KiB.
pub const APPEND_STEP_KIB: u32 = 256;
/// How long an APPEND waits for room.
pub const APPEND_ROOM_WAIT: Duration = Duration::from_secs(10);
/// Parts of one message put together by CATENATE.
pub const CATENATE_PARTS_MAX: usize = 1_000;
/// Messages of one APPEND that are uploaded because they are large; a mailbox can have 32 uploads at once.
pub const APPEND_UPLOADS_MAX: usize = 16;
/// Messages above this many bytes are hashed, compressed and parsed on a blocking thread.
pub const PARSE_INLINE_MAX: usize = 64 * 1024;

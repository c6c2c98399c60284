//! Bytes to commands, replies to bytes, data to messages. No I/O.

mod command;
mod data;
mod params;
mod path;
mod reply;
mod url;

pub use command::{Command, MailFrom, RcptTo, SyntaxError, parse};
pub use data::{DataDecoder, LineCheck};
pub use params::{BodyType, Hold, Notify, Return};
pub use path::is_domain;
pub use reply::Reply;
pub use url::{Access, SubmitUrl};

/// Bytes of a command line without its ending: RFC 5321 §4.5.3.1.4's 512 plus what extensions add, of which AUTH with a
/// token in its initial response adds most.
pub const COMMAND_BYTES_MAX: usize = AUTH_BYTES_MAX + 512;
/// Bytes of a line within AUTH (RFC 4954 §4).
pub const AUTH_BYTES_MAX: usize = 12_288;

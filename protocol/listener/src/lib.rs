//! Accepting connections, TLS, framing and limits; knows no protocol.
//!
//! A [`Listener`] accepts and admits; a [`Protocol`] serves one [`Connection`] at a time in a task of its own. The
//! connection hides whether there is TLS, bounds everything that is read, sends buffered replies when it must wait for
//! input (so that pipelined commands are answered in one write), and holds no buffers while it is idle.

mod connection;
mod deflate;
mod limits;
mod listener;
mod networks;
mod proxy;
mod read;
mod shutdown;
mod stream;
mod tls;
mod write;

pub use connection::Connection;
pub use limits::{Limits, Refusal};
pub use listener::{Listener, ListenerConfig, TlsMode};
pub use networks::Networks;
pub use read::{DRAIN_BYTES_MAX, Ending, Line, LongLine, ReadError, TOO_LONG_END_MAX, TOO_LONG_START_MAX};
pub use shutdown::{Shutdown, Stage};
pub use stream::Stream;
pub use tls::{NamedCertificate, TlsError, TlsSettings};
pub use write::WriteError;

use futures::future::BoxFuture;
use std::sync::Arc;

/// A language spoken on connections.
pub trait Protocol: Send + Sync + 'static {
    /// Name in metrics and logs: `imap`, `lmtp`.
    fn name(&self) -> &'static str;

    /// Speaks to one client until the conversation is over. TLS on implicit ports is already up.
    fn serve(self: Arc<Self>, connection: Connection) -> BoxFuture<'static, ()>;

    /// What a client is told, as a complete line, that cannot be served now. Nothing is sent when it is empty or when
    /// the port speaks TLS from the start.
    fn refuse_text(&self, why: Refusal) -> String {
        let _ = why;
        String::new()
    }
}

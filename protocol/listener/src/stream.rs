//! What a connection runs over: a plain byte stream or TLS on top of one.

use crate::deflate::Deflated;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

/// A byte stream both ways: a TCP socket, a test's in-memory pipe, the simulator's network.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// The stream in its present state.
pub(crate) enum Io {
    Plain(Box<dyn Stream>),
    Tls(Box<TlsStream<Box<dyn Stream>>>),
    /// One of the others with DEFLATE on top.
    Deflated(Box<Deflated>),
    /// Given up: a failed or cancelled handshake leaves nothing to talk on.
    Gone,
}

fn gone() -> io::Error {
    io::Error::from(io::ErrorKind::NotConnected)
}

impl Io {
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Io::Plain(s) => Pin::new(s).poll_read(cx, buf),
            Io::Tls(s) => Pin::new(s).poll_read(cx, buf),
            Io::Deflated(s) => s.poll_read(cx, buf),
            Io::Gone => Poll::Ready(Err(gone())),
        }
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Io::Plain(s) => Pin::new(s).poll_write(cx, bytes),
            Io::Tls(s) => Pin::new(s).poll_write(cx, bytes),
            Io::Deflated(s) => s.poll_write(cx, bytes),
            Io::Gone => Poll::Ready(Err(gone())),
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Io::Plain(s) => Pin::new(s).poll_flush(cx),
            Io::Tls(s) => Pin::new(s).poll_flush(cx),
            Io::Deflated(s) => s.poll_flush(cx),
            Io::Gone => Poll::Ready(Ok(())),
        }
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Io::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Io::Tls(s) => Pin::new(s).poll_shutdown(cx),
            Io::Deflated(s) => s.poll_shutdown(cx),
            Io::Gone => Poll::Ready(Ok(())),
        }
    }
}

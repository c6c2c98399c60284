//! Where a service listens.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// Where a service listens: `host:port`, `inet:host:port`, `inet:port@host`, `unix:/path` or `/path`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// A name or address, and a port.
    Tcp(String, u16),
    /// A socket of this machine.
    Unix(PathBuf),
}

/// A connection to a service.
pub type Stream = Box<dyn Bytestream>;

/// What a connection can do.
pub trait Bytestream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytestream for T {}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let path = ["unix:", "local:"].iter().find_map(|p| text.strip_prefix(p));
        if let Some(path) = path.or(text.starts_with('/').then_some(text)) {
            let absolute = path.starts_with('/');
            return if absolute { Ok(Endpoint::Unix(path.into())) } else { Err(format!("{text:?}: not a full path")) };
        }
        let rest = text.strip_prefix("inet6:").or_else(|| text.strip_prefix("inet:")).unwrap_or(text);
        // Postfix writes host:port, Sendmail port@host.
        let parts = rest.split_once('@').map(|(port, host)| (host, port)).or_else(|| rest.rsplit_once(':'));
        let (host, port) = parts.ok_or_else(|| format!("{text:?}: neither host:port nor unix:/path"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match port.parse() {
            Ok(port) if port > 0 && !host.is_empty() => Ok(Endpoint::Tcp(host.into(), port)),
            _ => Err(format!("{text:?}: neither host:port nor unix:/path")),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp(host, port) if host.contains(':') => write!(f, "inet:[{host}]:{port}"),
            Endpoint::Tcp(host, port) => write!(f, "inet:{host}:{port}"),
            Endpoint::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Endpoint {
    pub(crate) async fn connect(&self) -> std::io::Result<Stream> {
        Ok(match self {
            Endpoint::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Endpoint::Unix(path) => Box::new(UnixStream::connect(path).await?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tcp(host: &str, port: u16) -> Result<Endpoint, String> {
        Ok(Endpoint::Tcp(host.into(), port))
    }

    #[test]
    fn addresses_as_postfix_and_sendmail_write_them() {
        let parse = |text: &str| text.parse::<Endpoint>();
        assert_eq!(parse("localhost:3310"), tcp("localhost", 3310));
        assert_eq!(parse("inet:127.0.0.1:8891"), tcp("127.0.0.1", 8891));
        assert_eq!(parse("inet:8891@localhost"), tcp("localhost", 8891));
        assert_eq!(parse("inet6:[::1]:8891"), tcp("::1", 8891));
        assert_eq!(parse("unix:/run/x.sock"), Ok(Endpoint::Unix("/run/x.sock".into())));
        assert_eq!(parse("/run/x.sock"), Ok(Endpoint::Unix("/run/x.sock".into())));
        for wrong in ["", "localhost", "unix:x", "a:0", ":25", "a:99999", "inet:"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(host in "[a-z0-9.:]{1,20}", port in 1u16.., path in "/[a-z/.]{0,20}") {
            for endpoint in [Endpoint::Tcp(host, port), Endpoint::Unix(path.into())] {
                prop_assert_eq!(endpoint.to_string().parse::<Endpoint>(), Ok(endpoint));
            }
        }
        #[test]
        fn any_text_is_answered(text in ".{0,40}") {
            let _ = text.parse::<Endpoint>();
        }
    }
}

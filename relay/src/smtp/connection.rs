//! A connection to a host: greeting, EHLO, STARTTLS, AUTH.

use super::reply::Reply;
use crate::config::{Credential, RelayConfig};
use crate::policy::Demand;
use crate::reports::ResultType;
use crate::tls::Tls;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use smtp_proto::{
    AUTH_LOGIN, AUTH_PLAIN, EXT_8BIT_MIME, EXT_BINARY_MIME, EXT_CHUNKING, EXT_DSN, EXT_PIPELINING, EXT_REQUIRE_TLS,
    EXT_SIZE, EXT_SMTP_UTF8, EXT_START_TLS, EhloResponse,
};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use zcluster_delivery::carry::Failure;
use zcluster_delivery::carry::transport::Speech;
use zcluster_runtime::timeout;

/// Bytes read at a time.
const READ_BYTES: usize = 4_096;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// How a connection is opened.
pub struct Opening<'a> {
    pub config: &'a RelayConfig,
    pub tls: &'a Tls,
    /// The host's name, for people and for certificates.
    pub host: &'a str,
    pub address: SocketAddr,
    pub speech: Speech,
    pub demand: &'a Demand,
    pub credential: Option<&'a Credential>,
}

/// A greeted host, ready for a transaction.
pub struct Connection {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    pub host: String,
    pub speech: Speech,
    capabilities: u32,
    auth: u64,
    /// The largest message the host takes; 0: it does not say.
    pub size: usize,
    /// Nobody on the way can read along.
    pub secret: bool,
    /// A transaction was begun that must be reset before the next.
    pub dirty: bool,
    /// The whole message was sent and the host has not said whether it has it.
    pub unsure: bool,
    /// Messages carried.
    pub carried: u32,
    step: Duration,
}

/// A failure of the connection itself.
pub(super) fn broken(host: &str, text: impl Into<String>) -> Failure {
    Failure { host: Some(host.to_string()), ..Failure::temporary("4.4.2", text) }
}

impl Connection {
    /// Connects and greets.
    ///
    /// # Errors
    /// Why this host cannot be used now.
    pub async fn open(opening: &Opening<'_>) -> Result<Connection, Failure> {
        let secret_if_offered = opening.demand.wants_tls();
        match Self::open_once(opening, secret_if_offered).await {
            // A host that offers TLS but cannot speak it is spoken to without, as Postfix's `may` does.
            Err(Opened::TlsFailed(failure)) if !opening.demand.required => {
                tracing::debug!(host = opening.host, failure = failure.text, "TLS failed: again without");
                metrics::counter!("zcluster_relay_tls_total", "result" => "fell back").increment(1);
                Self::open_once(opening, false).await.map_err(Opened::into_failure)
            }
            other => other.map_err(Opened::into_failure),
        }
    }

    async fn open_once(opening: &Opening<'_>, tls: bool) -> Result<Connection, Opened> {
        let (config, host, demand) = (opening.config, opening.host, opening.demand);
        let refused = |text: String| {
            let text = format!("connect to {host}[{}]: {text}", opening.address);
            Opened::Failed(Failure { host: Some(host.to_string()), ..Failure::temporary("4.4.1", text) })
        };
        let stream = match timeout(config.connect_timeout, TcpStream::connect(opening.address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(e)) => return Err(refused(e.to_string())),
            Err(_) => return Err(refused("timed out".into())),
        };
        let _ = stream.set_nodelay(true);
        let mut plain = Plain { stream, buffer: Vec::new() };
        let greeting = read(&mut plain.stream, &mut plain.buffer, config.step_timeout, host).await?;
        if !greeting.is_positive() {
            // Whatever the code: it is about us now, not about the message.
            return Err(Opened::Failed(Failure { permanent: false, ..greeting.failure(host) }.softened()));
        }
        let mut ehlo = hello(&mut plain.stream, &mut plain.buffer, opening).await?;
        let offered = ehlo.capabilities & EXT_START_TLS != 0;
        if tls && !offered {
            demand.session.failed(ResultType::StartTlsNotSupported, &plain.stream, None);
        }
        if demand.required && !offered {
            let text = format!("{host} offers no TLS, which {} demands", demand.label);
            return Err(Opened::Failed(Failure { host: Some(host.into()), ..demand.unmet("4.7.4", text) }));
        }
        let (stream, buffer): (Box<dyn Stream>, Vec<u8>) = if tls && offered {
            command(&mut plain.stream, &mut plain.buffer, "STARTTLS\r\n", config.step_timeout, host)
                .await?
                .positive(host)
                .inspect_err(|f| demand.session.failed(ResultType::StartTlsNotSupported, &plain.stream, Some(&f.text)))
                .map_err(Opened::TlsFailed)?;
            if !plain.buffer.is_empty() {
                // What stands behind the reply was not said by whom we are about to prove (CVE-2011-0411).
                return Err(Opened::Failed(broken(host, "the host went on talking after STARTTLS")));
            }
            let session = demand.session.at(&plain.stream);
            let shaken = timeout(config.step_timeout, opening.tls.connect(plain.stream, host, &demand.proof)).await;
            let shaken = shaken.unwrap_or_else(|_| Err(std::io::Error::other("timed out")));
            let (mut stream, unproven) = shaken.map_err(|e| {
                session.broke(&e);
                let text = format!("TLS with {host} ({}): {e}", demand.label);
                Opened::TlsFailed(Failure { host: Some(host.into()), ..demand.unmet("4.7.5", text) })
            })?;
            session.done(unproven.as_ref());
            let mut buffer = Vec::new();
            ehlo = hello(&mut stream, &mut buffer, opening).await?;
            metrics::counter!("zcluster_relay_tls_total", "result" => demand.label).increment(1);
            (Box::new(stream), buffer)
        } else {
            metrics::counter!("zcluster_relay_tls_total", "result" => "plain").increment(1);
            (Box::new(plain.stream), plain.buffer)
        };
        let mut connection = Connection {
            stream,
            buffer,
            host: host.to_string(),
            speech: opening.speech,
            capabilities: ehlo.capabilities,
            auth: ehlo.auth_mechanisms,
            size: ehlo.size,
            secret: tls && offered,
            dirty: false,
            unsure: false,
            carried: 0,
            step: config.step_timeout,
        };
        if let Some(credential) = opening.credential {
            connection.sign_in(credential, opening.address.ip().is_loopback()).await.map_err(Opened::Failed)?;
        }
        Ok(connection)
    }

    /// AUTH PLAIN or LOGIN (RFC 4954).
    async fn sign_in(&mut self, credential: &Credential, near: bool) -> Result<(), Failure> {
        let host = self.host.clone();
        let failed = |text: String| Failure { host: Some(host.clone()), ..Failure::temporary("4.7.8", text) };
        if !self.secret && !near {
            return Err(failed(format!("{host} offers no TLS: the password is not sent")));
        }
        let reply = if self.auth & AUTH_PLAIN != 0 {
            let secret = BASE64.encode(format!("\0{}\0{}", credential.user, credential.password));
            self.say(&format!("AUTH PLAIN {secret}\r\n")).await?
        } else if self.auth & AUTH_LOGIN != 0 {
            for words in ["AUTH LOGIN\r\n".to_string(), format!("{}\r\n", BASE64.encode(&credential.user))] {
                let reply = self.say(&words).await?;
                if reply.code != 334 {
                    return Err(failed(format!("signing in: {}", reply.text())));
                }
            }
            self.say(&format!("{}\r\n", BASE64.encode(&credential.password))).await?
        } else {
            return Err(failed(format!("{host} offers no way to sign in that is known here")));
        };
        match reply.is_positive() {
            true => Ok(()),
            // A wrong password is the operator's to correct, not the sender's.
            false => Err(failed(format!("signing in: {}", reply.text()))),
        }
    }

    /// Whether the host can do something (`EXT_...`).
    pub fn can(&self, extension: u32) -> bool {
        self.capabilities & extension == extension
    }

    /// Time for one step.
    pub(super) fn step_timeout(&self) -> Duration {
        self.step
    }

    /// Says a command and hears the reply.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn say(&mut self, words: &str) -> Result<Reply, Failure> {
        self.write(words.as_bytes()).await?;
        self.hear(self.step).await
    }

    /// Hears a reply.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn hear(&mut self, wait: Duration) -> Result<Reply, Failure> {
        match read(&mut self.stream, &mut self.buffer, wait, &self.host).await {
            // The host closes the channel (RFC 5321 §3.8): what comes next would be in vain.
            Ok(reply) if reply.code == 421 => Err(reply.failure(&self.host)),
            other => other.map_err(Opened::into_failure),
        }
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let work = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout(self.step, work).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(broken(&self.host, format!("lost connection: {e}"))),
            Err(_) => Err(broken(&self.host, "timed out while sending")),
        }
    }

    /// Says goodbye and does not wait for the answer.
    pub async fn close(mut self) {
        let _ = timeout(Duration::from_secs(2), self.stream.write_all(b"QUIT\r\n")).await;
        let _ = timeout(Duration::from_secs(2), self.stream.shutdown()).await;
    }
}

struct Plain {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// Why a connection is not there.
enum Opened {
    Failed(Failure),
    TlsFailed(Failure),
}

impl Opened {
    fn into_failure(self) -> Failure {
        match self {
            Opened::Failed(failure) | Opened::TlsFailed(failure) => failure,
        }
    }
}

trait Softened {
    fn softened(self) -> Self;
}

impl Softened for Failure {
    /// A permanent status under a failure that is not.
    fn softened(self) -> Self {
        let status = match self.status.strip_prefix('5') {
            Some(rest) if !self.permanent => format!("4{rest}"),
            _ => self.status.clone(),
        };
        Failure { status, ..self }
    }
}

impl Reply {
    fn positive(self, host: &str) -> Result<Reply, Failure> {
        match self.is_positive() {
            true => Ok(self),
            false => Err(Failure { permanent: false, ..self.failure(host) }.softened()),
        }
    }
}

async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
    wait: Duration,
    host: &str,
) -> Result<Reply, Opened> {
    let failed = |text: String| Opened::Failed(broken(host, text));
    let work = async {
        loop {
            match Reply::take(buffer) {
                Ok(Some(reply)) => return Ok(reply),
                Ok(None) => {}
                Err(e) => return Err(failed(format!("not a reply: {}", e.0))),
            }
            let mut bytes = [0; READ_BYTES];
            match stream.read(&mut bytes).await {
                Ok(0) => return Err(failed("the host closed the connection".into())),
                Ok(n) => buffer.extend_from_slice(&bytes[..n]),
                Err(e) => return Err(failed(format!("lost connection: {e}"))),
            }
        }
    };
    timeout(wait, work).await.unwrap_or_else(|_| Err(failed("timed out while waiting for a reply".into())))
}

async fn command(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    buffer: &mut Vec<u8>,
    words: &str,
    wait: Duration,
    host: &str,
) -> Result<Reply, Opened> {
    let sent = timeout(wait, async {
        stream.write_all(words.as_bytes()).await?;
        stream.flush().await
    });
    match sent.await {
        Ok(Ok(())) => read(stream, buffer, wait, host).await,
        Ok(Err(e)) => Err(Opened::Failed(broken(host, format!("lost connection: {e}")))),
        Err(_) => Err(Opened::Failed(broken(host, "timed out while sending"))),
    }
}

/// EHLO, or LHLO; HELO where a host knows nothing better.
async fn hello(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    buffer: &mut Vec<u8>,
    opening: &Opening<'_>,
) -> Result<EhloResponse<String>, Opened> {
    let (config, host) = (opening.config, opening.host);
    let verb = if opening.speech == Speech::Lmtp { "LHLO" } else { "EHLO" };
    let words = format!("{verb} {}\r\n", config.hostname);
    let reply = command(stream, buffer, &words, config.step_timeout, host).await?;
    if reply.is_positive() {
        return Ok(capabilities(&reply));
    }
    if !reply.is_permanent() || opening.speech == Speech::Lmtp {
        return Err(Opened::Failed(Failure { permanent: false, ..reply.failure(host) }.softened()));
    }
    let words = format!("HELO {}\r\n", config.hostname);
    let reply = command(stream, buffer, &words, config.step_timeout, host).await?;
    reply.positive(host).map_err(Opened::Failed)?;
    Ok(EhloResponse { capabilities: 0, ..EhloResponse::new(host.to_string()) })
}

/// What a host can do, by its reply to EHLO.
pub(super) fn capabilities(reply: &Reply) -> EhloResponse<String> {
    let mut text = String::new();
    for (n, line) in reply.lines.iter().enumerate() {
        let sign = if n + 1 == reply.lines.len() { ' ' } else { '-' };
        text += &format!("250{sign}{line}\r\n");
    }
    EhloResponse::parse(&mut text.as_bytes().iter()).unwrap_or_else(|_| EhloResponse::new(String::new()))
}

/// Names of the extensions that matter here, for the transaction.
pub(super) const PIPELINING: u32 = EXT_PIPELINING;
pub(super) const SIZE: u32 = EXT_SIZE;
pub(super) const EIGHT_BIT: u32 = EXT_8BIT_MIME;
pub(super) const BINARY: u32 = EXT_BINARY_MIME | EXT_CHUNKING;
pub(super) const UTF8: u32 = EXT_SMTP_UTF8;
pub(super) const DSN: u32 = EXT_DSN;
pub(super) const REQUIRE_TLS: u32 = EXT_REQUIRE_TLS;

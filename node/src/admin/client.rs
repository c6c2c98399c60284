//! The commands' side of the admin service.

use super::Problem;
use crate::cli::Reach;
use crate::config::{Config, host_port};
use crate::datadir::DataDir;
use crate::ports::Ports;
use anyhow::{Context, Result, anyhow, bail};
use reqwest::{Certificate, RequestBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use std::time::Duration;
use zcluster_rpc::node_dns_name;

/// Time for a call.
const TIMEOUT: Duration = Duration::from_secs(40);
/// Time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of a line.
const LINE_MAX: usize = 512 * 1024 * 1024;

/// A way to a node's admin service.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    shown: String,
    auth: Auth,
}

/// What a node is shown of who asks.
#[derive(Clone)]
pub enum Auth {
    /// The node's own secret, or an auth token.
    Secret(String),
    /// An administrator's address and password.
    Password(String, String),
    /// Only for calls that need no sign-in.
    None,
}

/// A refusal by the node, with its code.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct CallError {
    /// Zimbra's code where there is one.
    pub code: String,
    /// For people.
    pub text: String,
}

impl Client {
    /// As the command line says.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn new(reach: &Reach) -> Result<Client> {
        match (&reach.data, &reach.server) {
            (_, Some(server)) => Self::remote(server, reach),
            (Some(data), None) => Self::local(data),
            (None, None) => {
                bail!(
                    "say where the cluster is: --data DIR (of a node on this machine) or --server ADDR --admin ADDRESS --password-file FILE"
                )
            }
        }
    }

    /// A node on this machine, by its data directory.
    ///
    /// # Errors
    /// No node there, or not readable.
    pub fn local(data: &Path) -> Result<Client> {
        Self::local_as(data, Auth::Secret(DataDir::at(data).admin_secret()?))
    }

    /// The same as somebody else.
    ///
    /// # Errors
    /// See [`local`](Self::local).
    pub fn local_as(data: &Path, auth: Auth) -> Result<Client> {
        let dir = DataDir::at(data);
        let node = dir.read_node()?;
        let config = Config::load(&node.overrides)?;
        let address = config.local(config.ports.admin);
        let name = node_dns_name(node.number, &node.cluster);
        let ca = Certificate::from_pem(dir.ca_pem()?.as_bytes())?;
        let http = builder().tls_certs_only([ca]).resolve(&name, address).build()?;
        Ok(Client {
            http,
            base: format!("https://{name}:{}", config.ports.admin),
            shown: format!("the node at {address} ({})", data.display()),
            auth,
        })
    }

    fn remote(server: &str, reach: &Reach) -> Result<Client> {
        let auth = match (&reach.token_file, &reach.admin, &reach.password_file) {
            (Some(file), ..) => Auth::Secret(read_password(file)?),
            (None, Some(admin), Some(file)) => Auth::Password(admin.clone(), read_password(file)?),
            _ => bail!("--server needs --admin ADDRESS and --password-file FILE, or --token-file FILE"),
        };
        Self::signed_in(server, auth, reach.ca.as_deref())
    }

    /// A node that is asked over the network.
    ///
    /// # Errors
    /// The certificate to trust is not readable.
    pub fn signed_in(server: &str, auth: Auth, ca: Option<&Path>) -> Result<Client> {
        let mut http = builder();
        if let Some(path) = ca {
            let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            http = http.tls_certs_only(Certificate::from_pem_bundle(&pem)?);
        }
        let address = with_port(server, Ports::default().admin);
        Ok(Client { http: http.build()?, base: format!("https://{address}"), shown: address, auth })
    }

    /// The same without signing in.
    #[must_use]
    pub fn unsigned(mut self) -> Client {
        self.auth = Auth::None;
        self
    }

    /// Asks for something.
    ///
    /// # Errors
    /// [`CallError`] when the node refused; else what went wrong on the way.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.send(self.http.get(format!("{}{path}", self.base))).await
    }

    /// Asks for something named by a query.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub async fn get_with<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T> {
        let mut url = reqwest::Url::parse(&format!("{}{path}", self.base))?;
        url.query_pairs_mut().extend_pairs(query);
        self.send(self.http.get(url)).await
    }

    /// Asks for something to be done.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.send(self.http.post(format!("{}{path}", self.base)).json(body)).await
    }

    /// The same for what may take longer.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub async fn post_within<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        timeout: Duration,
    ) -> Result<T> {
        self.send(self.http.post(format!("{}{path}", self.base)).json(body).timeout(timeout)).await
    }

    /// Asks for something that is told line by line; `each` says whether to go on.
    ///
    /// # Errors
    /// See [`get`](Self::get); also when it ends within a line.
    pub async fn post_lines<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        timeout: Duration,
        mut each: impl FnMut(T) -> bool,
    ) -> Result<()> {
        let mut lines = self.lines(path, body, timeout).await?;
        while let Some(line) = lines.next().await? {
            if !each(line) {
                break;
            }
        }
        Ok(())
    }

    /// Sends JSON; the answer is lines of JSON that come as they come up.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub async fn lines(&self, path: &str, body: &impl Serialize, timeout: Duration) -> Result<Lines> {
        let request = self.http.post(format!("{}{path}", self.base)).json(body).timeout(timeout);
        let response = self.signed(request).send().await.map_err(|e| self.unreachable(&e))?;
        let status = response.status();
        if status.is_success() {
            return Ok(Lines { response, rest: Vec::new(), looked: 0, shown: self.shown.clone() });
        }
        Err(refusal(status, &response.bytes().await.map_err(|e| self.unreachable(&e))?))
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.auth {
            Auth::Secret(secret) => request.bearer_auth(secret),
            Auth::Password(user, password) => request.basic_auth(user, Some(password)),
            Auth::None => request,
        }
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let response = self.signed(request).send().await.map_err(|e| self.unreachable(&e))?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(|e| self.unreachable(&e))?;
        if status.is_success() {
            return serde_json::from_slice(&bytes).with_context(|| format!("{} sent an unusable answer", self.shown));
        }
        Err(refusal(status, &bytes))
    }

    fn unreachable(&self, e: &reqwest::Error) -> anyhow::Error {
        let mut why = e.to_string();
        let mut source = std::error::Error::source(e);
        while let Some(e) = source {
            why = e.to_string();
            source = e.source();
        }
        let hint = if why.contains("ertificate") || why.contains("UnknownIssuer") {
            "; if it uses a self-signed certificate, give it with --ca FILE"
        } else {
            "; is it running (`zcluster serve`)?"
        };
        anyhow!("cannot reach {}: {why}{hint}", self.shown)
    }
}

/// Why a request was not carried out.
fn refusal(status: reqwest::StatusCode, bytes: &[u8]) -> anyhow::Error {
    match serde_json::from_slice::<Problem>(bytes) {
        Ok(problem) => CallError { code: problem.code, text: problem.error }.into(),
        Err(_) => CallError { code: status.to_string(), text: String::from_utf8_lossy(bytes).into_owned() }.into(),
    }
}

/// Lines of JSON as they come.
pub struct Lines {
    response: reqwest::Response,
    rest: Vec<u8>,
    looked: usize,
    shown: String,
}

impl Lines {
    /// The next one; `None` at the end.
    ///
    /// # Errors
    /// The connection broke, or what came is no such line.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        loop {
            // What was looked through is not looked through again: lines may hold whole messages.
            let fresh = self.rest.get(self.looked..).unwrap_or_default();
            if let Some(end) = fresh.iter().position(|byte| *byte == b'\n').map(|at| self.looked + at) {
                self.looked = 0;
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                let line = serde_json::from_slice(&line);
                return line.map(Some).with_context(|| format!("{} sent an unusable answer", self.shown));
            }
            self.looked = self.rest.len();
            match self.response.chunk().await.with_context(|| format!("{} broke off", self.shown))? {
                Some(more) if self.rest.len() + more.len() <= LINE_MAX => self.rest.extend_from_slice(&more),
                Some(_) => bail!("{} sent a line without end", self.shown),
                None if self.rest.is_empty() => return Ok(None),
                None => bail!("{} broke off", self.shown),
            }
        }
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder().timeout(TIMEOUT).connect_timeout(CONNECT_TIMEOUT).no_proxy()
}

/// The first line of a file.
///
/// # Errors
/// Unreadable or empty.
pub fn read_password(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let password = text.lines().next().unwrap_or_default().to_string();
    if password.is_empty() {
        bail!("{} is empty: its first line must be the password", file.display());
    }
    Ok(password)
}

/// `host` or `host:port` with a port in any case.
pub fn with_port(address: &str, port: u16) -> String {
    let bare_v6 = address.parse::<std::net::Ipv6Addr>().is_ok();
    let has_port = !bare_v6 && address.rsplit_once(':').is_some_and(|(_, p)| p.parse::<u16>().is_ok());
    if has_port { address.to_string() } else { host_port(address.trim_matches(['[', ']']), port) }
}

#[cfg(test)]
mod tests {
    use super::with_port;

    #[test]
    fn ports_are_added_where_there_is_none() {
        assert_eq!(with_port("a", 1), "a:1");
        assert_eq!(with_port("a:2", 1), "a:2");
        assert_eq!(with_port("::1", 1), "[::1]:1");
        assert_eq!(with_port("[::1]", 1), "[::1]:1");
        assert_eq!(with_port("[::1]:2", 1), "[::1]:2");
    }
}

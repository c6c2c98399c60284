//! The way to other directories (OpenLDAP, Active Directory): LDAP over TLS or not, several servers, a few connections
//! kept. What is asked and why is `zcluster-auth`'s business.

mod book;
mod pool;
mod tls;

pub use book::{Book, BookConfig};
pub use tls::TlsError;

use futures::FutureExt;
use futures::future::BoxFuture;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, Scope, SearchEntry, SearchOptions};
use pool::Pool;
use rustls::ClientConfig;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::directory::Attributes;
use zcluster_auth::{ExternalDirectory, ExternalEntry, ExternalError, ExternalQuery, ExternalServer};
use zcluster_runtime::timeout;

/// The result code for a wrong password, an unknown name, and (to tell attackers nothing) much else.
const INVALID_CREDENTIALS: u32 = 49;
/// There is no such entry: to a bind some servers say so, and it means the same; to a search it means that nothing is found.
const NO_SUCH_OBJECT: u32 = 32;
/// A name that is none, or a password that breaks a rule: nobody's.
const NOT_A_PASSWORD: [u32; 4] = [INVALID_CREDENTIALS, NO_SUCH_OBJECT, 34, 48];
/// More than the search's size limit, or the server's.
const SIZE_LIMIT_EXCEEDED: u32 = 4;
/// The server cannot answer now: busy, unavailable.
const BUSY: [u32; 2] = [51, 52];
/// Entries of one page (RFC 2696).
const PAGE: i32 = 500;

/// Bounds.
#[derive(Clone, Copy, Debug)]
pub struct ExternalConfig {
    /// How long a server may take to be reached, with TLS.
    pub connect_timeout: Duration,
    /// How long it may take to answer one question, or for one page of a search.
    pub answer_timeout: Duration,
    /// Connections kept to a server.
    pub idle_max: usize,
    /// How long one is kept.
    pub idle_time: Duration,
    /// Questions under way at once, to all servers; more wait.
    pub concurrency: usize,
}

impl Default for ExternalConfig {
    fn default() -> Self {
        ExternalConfig {
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(10),
            idle_max: 4,
            idle_time: Duration::from_secs(60),
            concurrency: 64,
        }
    }
}

/// Dials other directories.
pub struct LdapClient {
    config: ExternalConfig,
    tls: Arc<ClientConfig>,
    pool: Pool,
    turns: tokio::sync::Semaphore,
}

/// What may be asked.
enum Question<'a> {
    Bind {
        dn: &'a str,
        password: &'a str,
    },
    /// `cut`: the first entries are enough, if there are more.
    Search {
        bind: Option<(&'a str, &'a str)>,
        query: &'a ExternalQuery,
        cut: bool,
    },
}

/// What it says.
enum Answer {
    Password(bool),
    Entries(Vec<ExternalEntry>),
}

/// Why one server was of no use.
enum Fault {
    /// The next one may be.
    Server(String),
    /// It has answered: the question is at fault.
    Question(String),
    /// The same, and there is more to come on this connection, which is of no use any more.
    TooMuch(String),
}

impl From<LdapError> for Fault {
    fn from(error: LdapError) -> Self {
        match error {
            LdapError::LdapResult { result } if !BUSY.contains(&result.rc) => {
                Fault::Question(format!("result {} ({})", result.rc, result.text))
            }
            LdapError::FilterParsing => Fault::Question("the filter is none".into()),
            other => Fault::Server(other.to_string()),
        }
    }
}

impl LdapClient {
    /// With the system's certificate authorities and those of `authorities` (PEM), if any.
    ///
    /// # Errors
    /// That file cannot be read.
    pub fn new(config: ExternalConfig, authorities: Option<&Path>) -> Result<Self, TlsError> {
        Ok(LdapClient {
            tls: tls::client_config(authorities)?,
            pool: Pool::new(config.idle_max, config.idle_time),
            turns: tokio::sync::Semaphore::new(config.concurrency.max(1)),
            config,
        })
    }

    /// As a search, but the first entries are enough: `query.limit` of them at most.
    ///
    /// # Errors
    /// [`ExternalError`].
    pub async fn first(
        &self,
        server: &ExternalServer,
        bind: Option<(&str, &str)>,
        query: &ExternalQuery,
    ) -> Result<Vec<ExternalEntry>, ExternalError> {
        self.found(server, Question::Search { bind, query, cut: true }).await
    }

    async fn found(
        &self,
        server: &ExternalServer,
        question: Question<'_>,
    ) -> Result<Vec<ExternalEntry>, ExternalError> {
        match self.ask(server, &question).await? {
            Answer::Entries(entries) => Ok(entries),
            Answer::Password(_) => Ok(Vec::new()),
        }
    }

    async fn connect(&self, url: &str, start_tls: bool) -> Result<Ldap, Fault> {
        if !is_usable(url) {
            return Err(Fault::Server(format!("{url:?} is not ldap://HOST[:PORT] or ldaps://HOST[:PORT]")));
        }
        let settings = LdapConnSettings::new()
            .set_conn_timeout(self.config.connect_timeout)
            .set_config(self.tls.clone())
            .set_starttls(start_tls && url.starts_with("ldap://"));
        let connecting = LdapConnAsync::with_settings(settings, url);
        let connected = timeout(self.config.connect_timeout, connecting).await;
        let (connection, ldap) = connected.map_err(|_| Fault::Server("no connection in time".into()))??;
        zcluster_runtime::spawn(async move {
            if let Err(error) = connection.drive().await {
                tracing::debug!(%error, "a connection to an external directory ended");
            }
        });
        Ok(ldap)
    }

    /// Asks the servers one after the other until one answers. A kept connection that turns out to be dead is replaced.
    async fn ask(&self, server: &ExternalServer, question: &Question<'_>) -> Result<Answer, ExternalError> {
        let busy = || ExternalError::Unreachable("too many questions at once".into());
        let turn = timeout(self.config.answer_timeout, self.turns.acquire()).await.map_err(|_| busy())?;
        let _turn = turn.map_err(|_| busy())?;
        let mut faults = Vec::new();
        for url in &server.urls {
            let kept = self.pool.take(url, server.start_tls);
            let mut attempts = kept.into_iter().map(Some).chain([None]);
            let fault = loop {
                let Some(attempt) = attempts.next() else { break None };
                let fresh = attempt.is_none();
                let connected = match attempt {
                    Some(ldap) => Ok(ldap),
                    None => self.connect(url, server.start_tls).await,
                };
                let outcome = match connected {
                    Ok(mut ldap) => (self.answer(question, &mut ldap).await, Some(ldap)),
                    Err(fault) => (Err(fault), None),
                };
                match outcome {
                    (Ok(answer), ldap) => {
                        self.keep(url, server.start_tls, ldap);
                        return Ok(answer);
                    }
                    (Err(Fault::Question(why)), ldap) => {
                        self.keep(url, server.start_tls, ldap);
                        return Err(ExternalError::Refused(format!("{url}: {why}")));
                    }
                    (Err(Fault::TooMuch(why)), _) => return Err(ExternalError::Refused(format!("{url}: {why}"))),
                    (Err(Fault::Server(why)), _) if fresh => break Some(why),
                    (Err(Fault::Server(_)), _) => {}
                }
            };
            let why = fault.unwrap_or_default();
            tracing::warn!(%url, error = %why, "an external directory's server does not answer");
            faults.push(format!("{url}: {why}"));
        }
        Err(ExternalError::Unreachable(faults.join("; ")))
    }

    fn keep(&self, url: &str, start_tls: bool, ldap: Option<Ldap>) {
        if let Some(mut ldap) = ldap
            && !ldap.is_closed()
        {
            self.pool.put(url, start_tls, ldap);
        }
    }

    /// As long as each piece may take, and no longer in all.
    async fn answer(&self, question: &Question<'_>, ldap: &mut Ldap) -> Result<Answer, Fault> {
        let pieces = match question {
            Question::Bind { .. } => 1,
            Question::Search { query, .. } => 2 + query.limit / PAGE as usize,
        };
        let patience = self.config.answer_timeout.saturating_mul(u32::try_from(pieces).unwrap_or(u32::MAX));
        let put = timeout(patience, self.put(question, ldap)).await;
        put.unwrap_or_else(|_| Err(Fault::Server("no answer in time".into())))
    }

    async fn put(&self, question: &Question<'_>, ldap: &mut Ldap) -> Result<Answer, Fault> {
        match question {
            Question::Bind { dn, password } => match self.bound(ldap, dn, password).await? {
                0 => Ok(Answer::Password(true)),
                code if NOT_A_PASSWORD.contains(&code) => Ok(Answer::Password(false)),
                code => Err(Fault::Question(format!("bind: result {code}"))),
            },
            Question::Search { bind, query, cut } => {
                self.search_bound(ldap, *bind, query, *cut).await.map(Answer::Entries)
            }
        }
    }

    /// Every question begins with a bind, so that a kept connection never acts as whom it was used for before.
    async fn bound(&self, ldap: &mut Ldap, dn: &str, password: &str) -> Result<u32, Fault> {
        let result = ldap.with_timeout(self.config.answer_timeout).simple_bind(dn, password).await?;
        match result.rc {
            0 => Ok(0),
            code if BUSY.contains(&code) => Err(Fault::Server(format!("result {code} ({})", result.text))),
            code => Ok(code),
        }
    }

    async fn search_bound(
        &self,
        ldap: &mut Ldap,
        bind: Option<(&str, &str)>,
        query: &ExternalQuery,
        cut: bool,
    ) -> Result<Vec<ExternalEntry>, Fault> {
        let (dn, password) = bind.unwrap_or_default();
        if !dn.is_empty() && password.is_empty() {
            return Err(Fault::Question(format!("there is no password to bind as {dn}")));
        }
        match self.bound(ldap, dn, password).await? {
            0 => {}
            code => return Err(Fault::Question(format!("cannot bind as {dn:?}: result {code}"))),
        }
        let attributes: Vec<&str> = match query.attributes.is_empty() {
            // RFC 4511 §4.5.1.8: none.
            true => vec!["1.1"],
            false => query.attributes.iter().map(String::as_str).collect(),
        };
        let scope = if query.base_only { Scope::Base } else { Scope::Subtree };
        let adapters: Vec<Box<dyn ldap3::adapters::Adapter<_, _>>> = match query.limit > PAGE as usize && !cut {
            true => {
                vec![Box::new(ldap3::adapters::EntriesOnly::new()), Box::new(ldap3::adapters::PagedResults::new(PAGE))]
            }
            false => vec![Box::new(ldap3::adapters::EntriesOnly::new())],
        };
        let most = if cut { i32::try_from(query.limit).unwrap_or(i32::MAX) } else { 0 };
        let mut stream = ldap
            .with_timeout(self.config.answer_timeout)
            .with_search_options(SearchOptions::new().sizelimit(most))
            .streaming_search_with(adapters, &query.base, scope, &query.filter, attributes)
            .await?;
        let mut entries = Vec::new();
        while let Some(entry) = stream.next().await? {
            if entries.len() >= query.limit && cut {
                // A server that does not know the limit; what it goes on to say is of no use.
                drop(stream);
                let _ = ldap.unbind().await;
                return Ok(entries);
            }
            if entries.len() >= query.limit {
                return Err(Fault::TooMuch(format!("more than {} entries", query.limit)));
            }
            entries.push(as_entry(SearchEntry::construct(entry)));
        }
        let result = stream.finish().await;
        match result.rc {
            0 => Ok(entries),
            NO_SUCH_OBJECT => Ok(Vec::new()),
            SIZE_LIMIT_EXCEEDED if cut => Ok(entries),
            SIZE_LIMIT_EXCEEDED => Err(Fault::Question("more entries than the server gives at once".into())),
            code => Err(Fault::Question(format!("result {code} ({})", result.text))),
        }
    }
}

/// Whether the URL names a server and nothing else, perhaps with a slash behind it.
fn is_usable(url: &str) -> bool {
    let Some(authority) = url.strip_prefix("ldap://").or_else(|| url.strip_prefix("ldaps://")) else { return false };
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let (host, port) = match authority.rsplit_once(':') {
        // A colon inside brackets is of an IPv6 address.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let v6 = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .is_some_and(|h| h.parse::<std::net::Ipv6Addr>().is_ok());
    let named = !host.is_empty() && host.chars().all(plain);
    (named || v6) && port.is_none_or(|p| p.parse::<u16>().is_ok_and(|p| p != 0))
}

fn as_entry(entry: SearchEntry) -> ExternalEntry {
    let mut attrs = Attributes::new();
    for (name, values) in entry.attrs {
        attrs.set(&name, values);
    }
    ExternalEntry { dn: entry.dn, attrs }
}

impl ExternalDirectory for LdapClient {
    fn bind<'a>(
        &'a self,
        server: &'a ExternalServer,
        dn: &'a str,
        password: &'a str,
    ) -> BoxFuture<'a, Result<bool, ExternalError>> {
        async move {
            // RFC 4513 §5.1.2: the server would take it for an anonymous bind and say yes. The same for an empty name.
            if password.is_empty() || dn.is_empty() {
                return Ok(false);
            }
            let answer = self.ask(server, &Question::Bind { dn, password }).await?;
            Ok(matches!(answer, Answer::Password(true)))
        }
        .boxed()
    }

    fn search<'a>(
        &'a self,
        server: &'a ExternalServer,
        bind: Option<(&'a str, &'a str)>,
        query: &'a ExternalQuery,
    ) -> BoxFuture<'a, Result<Vec<ExternalEntry>, ExternalError>> {
        async move { self.found(server, Question::Search { bind, query, cut: false }).await }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::is_usable;

    #[test]
    fn urls() {
        for good in [
            "ldap://a",
            "ldaps://a.example.com:636/",
            "ldap://192.0.2.1:389",
            "ldap://[2001:db8::1]",
            "ldaps://[::1]:636",
        ] {
            assert!(is_usable(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "ldap://",
            "ldap:///",
            "ldap://:389",
            "ldap://a:",
            "ldap://a:0",
            "ldap://a:x",
            "http://a",
            "ldapi:///",
            "ldap://u@a",
            "ldap://a/dc=x",
            "ldap://a b",
            "ldap://[::1",
            "ldap://[x]",
            "LDAP://a",
        ] {
            assert!(!is_usable(bad), "{bad}");
        }
    }
}

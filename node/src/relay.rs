//! Handing messages to other hosts: through the site's smart host (`zimbraMtaRelayHost`). Finding hosts by MX comes with
//! the outbound queue's own issue.

use futures::future::BoxFuture;
use mail_send::smtp::message::Parameters;
use mail_send::smtp::tls::build_tls_connector;
use mail_send::{Error as SendError, SmtpClient, SmtpClientBuilder};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use zcluster_api::{Bytes, DirectoryApi, DirectoryQuery, DirectoryReply, Freshness};
use zcluster_delivery::carry::{Failure, Relay, Results};

/// How long one step of a conversation may take (RFC 5321 §4.5.3.2 has two to ten minutes).
const STEP_MAX: Duration = Duration::from_secs(120);

/// Sends through the smart host that the cluster's config names.
pub struct SmartHost {
    directory: Arc<dyn DirectoryApi>,
    /// The name we greet with.
    hostname: String,
}

impl SmartHost {
    /// A relay that looks the smart host up for each message.
    pub fn new(directory: Arc<dyn DirectoryApi>, hostname: String) -> Arc<Self> {
        Arc::new(SmartHost { directory, hostname })
    }

    /// `zimbraMtaRelayHost`: `host`, `host:port`, brackets around the host (which tell Postfix not to look for MX) allowed.
    async fn hosts(&self) -> Vec<(String, u16)> {
        match self.directory.read(DirectoryQuery::Cluster, Freshness::Local).await {
            Ok(DirectoryReply::Cluster(cluster)) => {
                cluster.config.all("zimbraMtaRelayHost").iter().filter_map(|value| host_and_port(value)).collect()
            }
            _ => Vec::new(),
        }
    }

    async fn send_now(&self, sender: &str, recipients: Vec<String>, raw: Bytes) -> Results {
        let all = |failure: Failure| recipients.iter().map(|r| (r.clone(), Err(failure.clone()))).collect::<Results>();
        // Addresses were checked where they came from; a line break here would be a command of somebody else's.
        let unfit = |a: &str| a.chars().any(|c| c.is_control() || c == '<' || c == '>');
        if unfit(sender) || recipients.iter().any(|r| unfit(r)) {
            return all(Failure::permanent("5.1.3", "an address that cannot be said"));
        }
        let hosts = self.hosts().await;
        if hosts.is_empty() {
            return all(Failure::temporary("4.4.4", "no way to other hosts is configured (zimbraMtaRelayHost)"));
        }
        let mut last = Failure::temporary("4.4.1", "no smart host answered");
        for (host, port) in hosts {
            match self.through(&host, port, sender, &recipients, &raw).await {
                Ok(results) => return results,
                Err(failure) => last = failure,
            }
        }
        all(last)
    }

    /// One host's answers, or why there was no conversation.
    async fn through(
        &self,
        host: &str,
        port: u16,
        sender: &str,
        recipients: &[String],
        raw: &[u8],
    ) -> Result<Results, Failure> {
        let failed = |e: SendError| failure(host, e);
        // Encrypted where the host can, as Postfix's `may`: whom the host is proves the operator's network.
        let tls = build_tls_connector(true).map_err(|e| Failure::temporary("4.7.5", e))?;
        let builder = SmtpClientBuilder::new_with_tls_connector(host.to_string(), port, tls.clone());
        let builder = builder.timeout(STEP_MAX).helo_host(&self.hostname).say_ehlo(false);
        let mut client = builder.connect_plain().await.map_err(failed)?;
        let offers = client.capabilities(&self.hostname, false).await.map_err(failed)?;
        if offers.has_capability(smtp_proto::EXT_START_TLS) {
            let mut client = client.start_tls(&tls, host).await.map_err(failed)?;
            client.capabilities(&self.hostname, false).await.map_err(failed)?;
            return converse(client, host, sender, recipients, raw).await;
        }
        converse(client, host, sender, recipients, raw).await
    }
}

impl Relay for SmartHost {
    fn send<'a>(&'a self, sender: &'a str, recipients: Vec<String>, raw: Bytes) -> BoxFuture<'a, Results> {
        Box::pin(self.send_now(sender, recipients, raw))
    }
}

async fn converse<T: AsyncRead + AsyncWrite + Unpin>(
    mut client: SmtpClient<T>,
    host: &str,
    sender: &str,
    recipients: &[String],
    raw: &[u8],
) -> Result<Results, Failure> {
    let none = Parameters::default();
    client.mail_from(sender, &none).await.map_err(|e| failure(host, e))?;
    let mut results = Results::new();
    for recipient in recipients {
        let result = client.rcpt_to(recipient, &none).await;
        results.push((recipient.clone(), result.map_err(|e| failure(host, e))));
    }
    if results.iter().any(|(_, r)| r.is_ok()) {
        let sent = client.data(raw).await.map_err(|e| failure(host, e));
        if let Err(failure) = &sent {
            results.iter_mut().filter(|(_, r)| r.is_ok()).for_each(|(_, r)| *r = Err(failure.clone()));
        }
    }
    let _ = client.quit().await;
    Ok(results)
}

/// A reply's class says whether to try again; what is no reply may be different next time.
fn failure(host: &str, error: SendError) -> Failure {
    let failure = match &error {
        SendError::UnexpectedReply(reply) | SendError::AuthenticationFailed(reply) => {
            let [class, subject, detail] = reply.esc;
            let status = match class {
                0 if reply.code >= 500 => "5.0.0".to_string(),
                0 => "4.0.0".to_string(),
                _ => format!("{class}.{subject}.{detail}"),
            };
            let text = format!("{} {}", reply.code, reply.message.trim());
            Failure { permanent: reply.code >= 500, status, text, host: None }
        }
        other => Failure::temporary("4.4.2", other.to_string()),
    };
    Failure { host: Some(host.to_string()), ..failure }
}

fn host_and_port(value: &str) -> Option<(String, u16)> {
    let value = value.trim();
    let (host, port) = match value.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':'))
        }
        None => match value.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') => (host, Some(port)),
            _ => (value, None),
        },
    };
    let port = port.map_or(Ok(25), str::parse).ok()?;
    (!host.is_empty()).then(|| (host.to_string(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smart_hosts_as_postfix_writes_them() {
        let of = |text: &str| host_and_port(text).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(of("relay.example.org").as_deref(), Some("relay.example.org 25"));
        assert_eq!(of("[relay.example.org]:587").as_deref(), Some("relay.example.org 587"));
        assert_eq!(of("127.0.0.1:10025").as_deref(), Some("127.0.0.1 10025"));
        assert_eq!(of("[::1]:25").as_deref(), Some("::1 25"));
        assert_eq!(of("x:port"), None);
        assert_eq!(of(""), None);
    }
}

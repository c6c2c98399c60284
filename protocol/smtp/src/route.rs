//! Where a recipient lives: in a mailbox here, behind another host, nowhere.

use crate::codec::Reply;
use crate::errors;
use crate::service::Service;
use crate::session::Session;
use zcluster_api::directory::{Account, AccountBy, Attributes, Kinds, Object, ObjectBy, split_address};
use zcluster_api::{DirectoryQuery, DirectoryReply, Error, Freshness, Result};

/// How often one address is rewritten.
const REWRITES_MAX: usize = 4;

/// What the directory says of an address.
pub enum Found {
    /// An account's.
    Account {
        /// Whose.
        account: Box<Account>,
        /// Its domain's attributes.
        domain: Attributes,
    },
    /// A list's or group's.
    List(Box<Object>),
    /// Of a domain, or an account, of ours whose mailboxes are on another host (`zimbraMailTransport`).
    Transport {
        /// The address after all rewriting.
        address: String,
    },
    /// Of a domain of ours, and nobody has it.
    Nobody,
    /// Of a domain that is not ours.
    Elsewhere,
}

impl Session {
    /// Finds an address' owner: by itself, without its tag (`zimbraMtaRecipientDelimiter`), or as its domain rewrites it
    /// (`zimbraMailCatchAllForwardingAddress`: `@target` puts another domain in its place, `user@target` another
    /// address).
    ///
    /// # Errors
    /// The directory's, `NotFound` and `Invalid` apart.
    pub(crate) async fn find(&self, address: &str) -> Result<Found> {
        let mut address = address.to_string();
        for _ in 0..REWRITES_MAX {
            // Addresses that we could never have given out may still be in somebody else's domain.
            let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain).to_string();
            let attrs = match self.directory(DirectoryQuery::Domain(domain)).await? {
                Some(DirectoryReply::Domain(domain)) => domain.attrs,
                _ => return Ok(Found::Elsewhere),
            };
            let Ok((local, domain)) = split_address(&address) else {
                // Quoted local parts: the other half of a split domain may have given them out.
                return Ok(self.elsewhere(&attrs, address).await?.unwrap_or(Found::Nobody));
            };
            let tag = self.policy.without_tag(&local).map(|bare| format!("{bare}@{domain}"));
            for name in [Some(format!("{local}@{domain}")), tag].into_iter().flatten() {
                if let Some(account) = self.account_of(name.clone()).await? {
                    if let Some(elsewhere) = self.elsewhere(&account.attrs, address.clone()).await? {
                        return Ok(elsewhere);
                    }
                    return Ok(Found::Account { account, domain: attrs });
                }
                if let Some(list) = self.list_of(name).await? {
                    return Ok(Found::List(list));
                }
            }
            if let Some(elsewhere) = self.elsewhere(&attrs, address.clone()).await? {
                return Ok(elsewhere);
            }
            match attrs.get("zimbraMailCatchAllForwardingAddress") {
                Some(to) if to.starts_with('@') && !to[1..].eq_ignore_ascii_case(&domain) => {
                    address = format!("{local}{to}");
                }
                Some(to) if to.contains('@') && !to.starts_with('@') && !to.eq_ignore_ascii_case(&address) => {
                    address = to.to_string();
                }
                _ => return Ok(Found::Nobody),
            }
        }
        Ok(Found::Nobody)
    }

    async fn account_of(&self, address: String) -> Result<Option<Box<Account>>> {
        match self.directory(DirectoryQuery::Account(AccountBy::Address(address))).await? {
            Some(DirectoryReply::Account(account)) => Ok(Some(account)),
            _ => Ok(None),
        }
    }

    async fn list_of(&self, address: String) -> Result<Option<Box<Object>>> {
        match self.directory(DirectoryQuery::Object(ObjectBy::Address(address))).await? {
            Some(DirectoryReply::Object(object)) if Kinds::GROUPS.has(object.kind) => Ok(Some(object)),
            _ => Ok(None),
        }
    }

    /// An answer; what does not exist, or cannot, is `None`.
    async fn directory(&self, query: DirectoryQuery) -> Result<Option<DirectoryReply>> {
        match self.smtp.backend.directory.read(query, Freshness::Local).await {
            Ok(reply) => Ok(Some(reply)),
            Err(Error::NotFound(_) | Error::Invalid(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether `zimbraMailTransport` says another host than ours.
    async fn elsewhere(&self, attrs: &Attributes, address: String) -> Result<Option<Found>> {
        let Some(host) = attrs.get("zimbraMailTransport").and_then(transport_host) else { return Ok(None) };
        if host.eq_ignore_ascii_case(&self.smtp.config.hostname) || host.eq_ignore_ascii_case("localhost") {
            return Ok(None);
        }
        let is_ours = match self.directory(DirectoryQuery::Nodes).await? {
            Some(DirectoryReply::Nodes(nodes)) => nodes.iter().any(|n| n.advertise.eq_ignore_ascii_case(host)),
            _ => false,
        };
        Ok((!is_ours).then_some(Found::Transport { address }))
    }

    /// What a recipient that is not there is told.
    pub(crate) fn not_found(&self, found: &Found) -> Reply {
        match (found, self.service()) {
            (Found::Elsewhere, Service::Lmtp) => Reply::new(550, "5.1.2", "no such domain here"),
            (Found::Elsewhere, _) => Reply::new(550, "5.7.1", "relay access denied"),
            _ => Reply::new(550, "5.1.1", "no such user here"),
        }
    }

    pub(crate) fn lookup_failed(&self, error: &Error) -> Reply {
        tracing::warn!(%error, "cannot look up a recipient");
        errors::api(error, &self.smtp.config)
    }

    /// `zimbraDefaultDomainName`, else this host's name.
    pub(crate) async fn default_domain(&self) -> String {
        let reply = self.smtp.backend.directory.read(DirectoryQuery::Cluster, Freshness::Local).await;
        let domain = match &reply {
            Ok(DirectoryReply::Cluster(cluster)) => cluster.config.get("zimbraDefaultDomainName"),
            _ => None,
        };
        domain.unwrap_or(&self.smtp.config.hostname).to_string()
    }
}

/// The host of a Postfix transport: `lmtp:host:port`, `smtp:[host]:port`, `relay:host`. `None` when it names none, or a
/// service that is no host's (`virtual:`, `error:`).
fn transport_host(transport: &str) -> Option<&str> {
    let (scheme, hop) = transport.trim().split_once(':')?;
    if !["lmtp", "smtp", "relay", "smtps"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return None;
    }
    // Postfix names Unix sockets and tells how to look hosts up.
    let hop = hop.strip_prefix("inet:").unwrap_or(hop);
    let host = match hop.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?.0,
        None => hop.split(':').next()?,
    };
    (!host.is_empty() && host != "unix").then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn transports() {
        for (text, host) in [
            ("lmtp:mbox1.example.com:7025", Some("mbox1.example.com")),
            ("smtp:[192.0.2.1]:25", Some("192.0.2.1")),
            ("relay:old.example.com", Some("old.example.com")),
            ("SMTP:[2001:db8::1]", Some("2001:db8::1")),
            ("lmtp:inet:mbox:24", Some("mbox")),
            ("lmtp:unix:/run/lmtp", None),
            ("smtp:", None),
            ("error:no", None),
            ("mbox", None),
            ("smtp:[x", None),
        ] {
            assert_eq!(transport_host(text), host, "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "(smtp|lmtp)?:?\\PC{0,20}") {
            let _ = transport_host(&text);
        }
    }
}

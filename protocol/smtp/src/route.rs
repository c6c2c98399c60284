//! Where a recipient lives: in a mailbox here, behind another host, nowhere.

use crate::codec::Reply;
use crate::errors;
use crate::service::Service;
use crate::session::Session;
use zcluster_api::directory::{Account, AccountBy, Attributes, Kinds, Object, ObjectBy, split_address};
use zcluster_api::{DirectoryQuery, DirectoryReply, Error, Freshness, Result};
use zcluster_delivery::carry::transport::{self, Transport};

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
    /// Of ours, and the operator has it refused, with this text (`zimbraMailTransport: error:text`).
    Refused(String),
    /// Of a domain of ours, and nobody has it.
    Nobody,
    /// Of a domain that is not ours.
    Elsewhere,
}

impl Session {
    /// Finds an address' owner: by itself, without its tag (`zimbraMtaRecipientDelimiter`), by whom its domain's unknown
    /// addresses belong to (an account's `zimbraMailCatchAllAddress`), or as its domain rewrites it
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
            let attrs = match self.directory(DirectoryQuery::Domain(domain), Freshness::Local).await? {
                Some(DirectoryReply::Domain(domain)) => domain.attrs,
                _ => return Ok(Found::Elsewhere),
            };
            let Ok((local, domain)) = split_address(&address) else {
                // Quoted local parts: the other half of a split domain may have given them out.
                return Ok(self.elsewhere(&attrs, address).await?.unwrap_or(Found::Nobody));
            };
            // The first "no such" is confirmed by the directory's leader; what is asked behind it is answered here, or an
            // address that does not exist would cost a question to the leader for each thing that it might have been.
            let mut fresh = Freshness::Local;
            let tag = self.policy.without_tag(&local).map(|bare| format!("{bare}@{domain}"));
            for name in [Some(format!("{local}@{domain}")), tag].into_iter().flatten() {
                if let Some(account) = self.account_of(AccountBy::Address(name.clone()), fresh).await? {
                    if let Some(elsewhere) = self.elsewhere(&account.attrs, address.clone()).await? {
                        return Ok(elsewhere);
                    }
                    return Ok(Found::Account { account, domain: attrs });
                }
                fresh = Freshness::AsIs;
                if let Some(list) = self.list_of(name).await? {
                    return Ok(Found::List(list));
                }
            }
            if let Some(elsewhere) = self.elsewhere(&attrs, address.clone()).await? {
                return Ok(elsewhere);
            }
            if let Some(account) = self.account_of(AccountBy::CatchAll(domain.clone()), Freshness::AsIs).await? {
                let elsewhere = self.elsewhere(&account.attrs, account.name.clone()).await?;
                return Ok(elsewhere.unwrap_or(Found::Account { account, domain: attrs }));
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

    async fn account_of(&self, by: AccountBy, fresh: Freshness) -> Result<Option<Box<Account>>> {
        match self.directory(DirectoryQuery::Account(by), fresh).await? {
            Some(DirectoryReply::Account(account)) => Ok(Some(account)),
            _ => Ok(None),
        }
    }

    async fn list_of(&self, address: String) -> Result<Option<Box<Object>>> {
        match self.directory(DirectoryQuery::Object(ObjectBy::Address(address)), Freshness::AsIs).await? {
            Some(DirectoryReply::Object(object)) if Kinds::GROUPS.has(object.kind) => Ok(Some(object)),
            _ => Ok(None),
        }
    }

    /// An answer; what does not exist, or cannot, is `None`.
    async fn directory(&self, query: DirectoryQuery, fresh: Freshness) -> Result<Option<DirectoryReply>> {
        match self.smtp.backend.directory.read(query, fresh).await {
            Ok(reply) => Ok(Some(reply)),
            Err(Error::NotFound(_) | Error::Invalid(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Where `zimbraMailTransport` sends it, if not here.
    async fn elsewhere(&self, attrs: &Attributes, address: String) -> Result<Option<Found>> {
        let (directory, here) = (&self.smtp.backend.directory, &self.smtp.config.hostname);
        Ok(transport::elsewhere(directory.as_ref(), here, attrs).await?.map(|way| match way {
            Transport::Refuse(text) => Found::Refused(text),
            Transport::Via(..) | Transport::Discard | Transport::Defer(_) => Found::Transport { address },
        }))
    }

    /// What a recipient that is not there is told.
    pub(crate) fn not_found(&self, found: &Found) -> Reply {
        match (found, self.service()) {
            (Found::Elsewhere, Service::Lmtp) => Reply::new(550, "5.1.2", "no such domain here"),
            (Found::Refused(text), _) => Reply::new(550, "5.7.1", text.clone()),
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

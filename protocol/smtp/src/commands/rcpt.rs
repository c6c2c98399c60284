//! RCPT.

use crate::codec::{RcptTo, Reply};
use crate::errors;
use crate::service::Service;
use crate::session::{Recipient, Session};
use zcluster_api::directory::{Account, AccountBy, split_address};
use zcluster_api::{DirectoryQuery, DirectoryReply, Error, Freshness};

impl Session {
    /// RFC 5321 §4.1.1.3.
    pub(crate) async fn rcpt(&mut self, to: RcptTo) -> Reply {
        let Some(transaction) = &self.transaction else {
            return Reply::new(503, "5.5.1", "say MAIL first");
        };
        if transaction.chunks.is_some() {
            return Reply::new(503, "5.5.1", "not within a message");
        }
        if transaction.recipients.len() >= self.smtp.config.recipients_max {
            // RFC 5321 §4.5.3.1.10: the client sends the message to these and comes again with the others.
            return Reply::new(452, "4.5.3", "too many recipients");
        }
        let result = self.local_account(&to.path).await.and_then(|account| match status_refusal(&account) {
            None => Ok(account),
            Some(refusal) => Err(refusal),
        });
        let label = if result.is_ok() { "accepted" } else { "refused" };
        metrics::counter!("zcluster_smtp_recipients_total", "service" => self.service().name(), "result" => label)
            .increment(1);
        match result {
            Ok(account) => {
                let recipient = Recipient { address: to.path, account: account.id };
                if let Some(transaction) = &mut self.transaction {
                    transaction.recipients.push(recipient);
                }
                Reply::new(250, "2.1.5", "Ok")
            }
            Err(reply) => {
                self.recipient_refused(&to.path, &reply);
                reply
            }
        }
    }

    fn recipient_refused(&mut self, address: &str, reply: &Reply) {
        // An MTA behind LMTP, or a user, is not guessing addresses.
        if self.service() == Service::Mx && !reply.is_temporary() {
            self.unknown_recipients += 1;
        }
        tracing::info!(peer = %self.conn.peer(), recipient = %address.escape_debug(), code = reply.code, "recipient refused");
    }

    async fn local_account(&self, path: &str) -> Result<Account, Reply> {
        // RFC 5321 §4.5.1: <Postmaster> is the one of this place.
        let address =
            if path.contains('@') { path.to_string() } else { format!("{path}@{}", self.default_domain().await) };
        // Addresses we could never have given out may still be in somebody else's domain.
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain).to_string();
        let query = DirectoryQuery::Account(AccountBy::Address(address.clone()));
        let directory = &self.smtp.backend.directory;
        let found = match split_address(&address) {
            Ok(_) => directory.read(query, Freshness::Local).await.and_then(DirectoryReply::into_account),
            Err(error) => Err(error),
        };
        match found {
            Ok(account) => Ok(account),
            Err(Error::NotFound(_) | Error::Invalid(_)) => Err(self.not_found(domain).await),
            Err(error) => Err(self.lookup_failed(&error)),
        }
    }

    /// No such account: is it a domain of ours at all?
    async fn not_found(&self, domain: String) -> Reply {
        match self.smtp.backend.directory.read(DirectoryQuery::Domain(domain), Freshness::Local).await {
            Ok(_) => Reply::new(550, "5.1.1", "no such user here"),
            Err(Error::NotFound(_) | Error::Invalid(_)) => match self.service() {
                Service::Lmtp => Reply::new(550, "5.1.2", "no such domain here"),
                Service::Mx => Reply::new(550, "5.7.1", "relay access denied"),
                Service::Submission => Reply::new(550, "5.7.1", "relaying to other domains is not configured"),
            },
            Err(error) => self.lookup_failed(&error),
        }
    }

    fn lookup_failed(&self, error: &Error) -> Reply {
        tracing::warn!(%error, "cannot look up a recipient");
        errors::api(error, &self.smtp.config)
    }

    /// `zimbraDefaultDomainName`, else this host's name.
    async fn default_domain(&self) -> String {
        let reply = self.smtp.backend.directory.read(DirectoryQuery::Cluster, Freshness::Local).await;
        let domain = match &reply {
            Ok(DirectoryReply::Cluster(cluster)) => cluster.config.get("zimbraDefaultDomainName"),
            _ => None,
        };
        domain.unwrap_or(&self.smtp.config.hostname).to_string()
    }
}

/// Zimbra's account statuses as delivery sees them: a locked account cannot sign in but still gets mail; one under
/// maintenance (being moved, restored) gets it later.
fn status_refusal(account: &Account) -> Option<Reply> {
    if account.effective("zimbraMailStatus") == Some("disabled") {
        return Some(Reply::new(550, "5.2.1", "mailbox is disabled"));
    }
    match account.status() {
        "active" | "locked" | "lockout" => None,
        "maintenance" => Some(Reply::new(450, "4.2.1", "mailbox is under maintenance, try again later")),
        _ => Some(Reply::new(550, "5.2.1", "mailbox is disabled")),
    }
}

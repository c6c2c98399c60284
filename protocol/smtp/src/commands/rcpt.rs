//! RCPT.

use crate::codec::{Notify, RcptTo, Reply};
use crate::defence::{What, Who};
use crate::errors;
use crate::journal;
use crate::route::Found;
use crate::service::Service;
use crate::session::{Place, Recipient, Session};
use std::time::Duration;
use zcluster_api::directory::{Account, Attributes, Object, split_address};
use zcluster_api::{Actor, Call, DirectoryQuery, DirectoryReply, Freshness, MailboxQuery, MailboxReply, RequestId};
use zcluster_directory::{Directory, Sender};
use zcluster_runtime::random_bytes;

/// How long a mailbox may take to say how full it is; one that takes longer is asked when the message is delivered.
const QUOTA_TIMEOUT: Duration = Duration::from_secs(2);
/// The span of the bounds on recipients sent to.
const DAY: Duration = Duration::from_secs(86_400);

impl Session {
    /// RFC 5321 §4.1.1.3.
    pub(crate) async fn rcpt(&mut self, to: RcptTo) -> Reply {
        let Some(transaction) = &self.transaction else {
            return Reply::new(503, "5.5.1", "say MAIL first");
        };
        if transaction.chunks.is_some() {
            return Reply::new(503, "5.5.1", "not within a message");
        }
        if self.service() == Service::Lmtp && (to.notify.is_some() || to.orcpt.is_some()) {
            return errors::syntax(crate::codec::SyntaxError::UnknownParameter);
        }
        if transaction.recipients.len() >= self.smtp.config.recipients_max {
            // RFC 5321 §4.5.3.1.10: the client sends the message to these and comes again with the others.
            return Reply::new(452, "4.5.3", "too many recipients");
        }
        let result = self.recipient(&to).await;
        let label = if result.is_ok() { "accepted" } else { "refused" };
        metrics::counter!("zcluster_smtp_recipients_total", "service" => self.service().name(), "result" => label)
            .increment(1);
        match result {
            Ok(recipient) => {
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

    async fn recipient(&mut self, to: &RcptTo) -> Result<Recipient, Reply> {
        if let Some(refusal) = self.envelope_refusal().await {
            return Err(refusal);
        }
        let ip = self.conn.peer().ip();
        let stranger = self.service() == Service::Mx && !self.client.trusted;
        if stranger && self.smtp.backend.edge.defence.is_guessing(&self.policy, ip) {
            return Err(Reply::new(450, "4.7.1", "too many unknown recipients from your address, try again later"));
        }
        // RFC 5321 §4.5.1: <Postmaster> is the one of this place.
        let path = match to.path.contains('@') {
            true => to.path.clone(),
            false => format!("{}@{}", to.path, self.default_domain().await),
        };
        let found = self.find(&path).await.map_err(|error| self.lookup_failed(&error))?;
        let (notify, orcpt) = (to.notify, to.orcpt.clone());
        let recipient = match found {
            Found::Account { account, domain } => {
                if let Some(refusal) = status_refusal(&account, &domain) {
                    return Err(refusal);
                }
                if let Some(refusal) = self.quota_refusal(&account, &domain).await {
                    return Err(refusal);
                }
                let archives = journal::archives(&account);
                let (address, place) = (to.path.clone(), Place::Here(account.id));
                Recipient { address, place, queued_as: account.name, notify, orcpt, archives }
            }
            Found::List(list) => {
                if let Some(refusal) = self.list_refusal(&list).await {
                    return Err(refusal);
                }
                let (address, place) = (to.path.clone(), Place::List);
                Recipient { address, place, queued_as: list.name, notify, orcpt, archives: Vec::new() }
            }
            Found::Transport { address } => away(address, notify, orcpt),
            Found::Elsewhere if self.may_relay() && is_relayable(&path) => away(path, notify, orcpt),
            other => {
                if stranger && matches!(other, Found::Nobody) {
                    self.smtp.backend.edge.defence.unknown_recipient(&self.policy, ip);
                }
                return Err(self.not_found(&other));
            }
        };
        self.pace_recipient(stranger, &recipient.address).await?;
        Ok(recipient)
    }

    /// A closed list; a sender who may not write to it (`sendToDistList`).
    async fn list_refusal(&self, list: &Object) -> Option<Reply> {
        if list.attrs.get("zimbraMailStatus") == Some("disabled") {
            return Some(Reply::new(550, "5.2.1", "the list is closed"));
        }
        let envelope = self.transaction.as_ref().map_or("", |t| t.sender.as_str());
        let sender = match &self.account {
            Some(account) => Sender::Account(account.id),
            // The MTA in front of LMTP, or a host of ours, answers for its senders.
            None if self.service() == Service::Lmtp || self.may_relay() => Sender::Trusted(envelope),
            None => Sender::Stranger(envelope),
        };
        match Directory::nearby(self.smtp.backend.directory.clone()).may_send_to(sender, list).await {
            Ok(true) => None,
            Ok(false) => Some(Reply::new(550, "5.7.1", "you may not write to this list")),
            Err(error) => {
                tracing::warn!(%error, "cannot look up a list's rights");
                Some(Reply::new(451, "4.3.0", "cannot look up the list, try again later"))
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

    /// Greylisting, and bounds on how many recipients are sent to.
    async fn pace_recipient(&mut self, stranger: bool, address: &str) -> Result<(), Reply> {
        let (defence, ip) = (self.smtp.backend.edge.defence.clone(), self.conn.peer().ip());
        if stranger {
            if !defence.allow(&self.policy, ip, What::Recipients, 1) {
                return Err(Reply::new(450, "4.7.1", "too many recipients from your address, try again later"));
            }
            let sender = self.transaction.as_ref().map_or("", |t| t.sender.as_str());
            if let Some(how) = &self.policy.greylisting
                && let Some(wait) = defence.greylisted(how, ip, sender, address)
            {
                metrics::counter!("zcluster_smtp_greylisted_total").increment(1);
                let text = format!("greylisted, try again in {} seconds", wait.as_secs().max(1));
                return Err(Reply::new(451, "4.7.1", text));
            }
        }
        if self.service() == Service::Submission
            && let Some(account) = &self.account
        {
            let max = number(account.effective("zclusterMailSendMaxRecipientsPerDay"));
            if !defence.may_send(What::SentDaily, Who::Account(account.id), DAY, 1, max) {
                return Err(Reply::new(450, "4.7.1", "you have sent to too many recipients today"));
            }
            let domain = account.name.rsplit_once('@').map_or("", |(_, domain)| domain).to_string();
            let query = DirectoryQuery::Domain(domain.clone());
            if let Ok(DirectoryReply::Domain(found)) = self.smtp.backend.directory.read(query, Freshness::Local).await {
                let max = number(found.attrs.get("zclusterDomainMailSendMaxRecipientsPerDay"));
                if !defence.may_send(What::SentDaily, Who::Domain(domain), DAY, 1, max) {
                    return Err(Reply::new(450, "4.7.1", "your domain has sent to too many recipients today"));
                }
            }
        }
        Ok(())
    }

    /// A mailbox that is full, or will be with this message, says so before the message is sent. Delivery asks again.
    async fn quota_refusal(&self, account: &Account, domain: &Attributes) -> Option<Reply> {
        let mailboxes = self.smtp.backend.edge.mailboxes.as_ref()?;
        // A domain's bound stands above those of its accounts.
        let quota = match (account.quota(), number_64(domain.get("zimbraMailDomainQuota"))) {
            (0, domain) => domain,
            (own, 0) => own,
            (own, domain) => own.min(domain),
        };
        // A question to the mailbox's shard for each recipient would cost as much as a delivery: one that has room for
        // long is believed to have it.
        let defence = &self.smtp.backend.edge.defence;
        if quota == 0 || defence.usage(account.id).is_some_and(|used| used < quota / 10 * 9) {
            return None;
        }
        let call = Call {
            actor: Actor::Delivery,
            account: account.id,
            request: RequestId(random_bytes()),
            timeout: QUOTA_TIMEOUT,
            body: MailboxQuery::Info,
        };
        let MailboxReply::Info { used, .. } = mailboxes.read(call).await.ok()? else { return None };
        defence.learn_usage(account.id, used);
        if used < quota {
            return None;
        }
        let permanent = account.effective("zimbraLmtpPermanentFailureWhenOverQuota");
        match permanent.map_or(self.smtp.config.quota_failure_permanent, |v| v == "TRUE") {
            true => Some(errors::full_for_good()),
            false => Some(errors::api(&zcluster_api::Error::QuotaExceeded, &self.smtp.config)),
        }
    }
}

fn away(address: String, notify: Option<Notify>, orcpt: Option<String>) -> Recipient {
    Recipient { queued_as: address.clone(), address, place: Place::Away, notify, orcpt, archives: Vec::new() }
}

/// A number of an attribute; 0 where there is none.
fn number(value: Option<&str>) -> u32 {
    value.and_then(|v| v.trim().parse().ok()).unwrap_or(0)
}

fn number_64(value: Option<&str>) -> u64 {
    value.and_then(|v| v.trim().parse().ok()).unwrap_or(0)
}

/// Whether an address is one that another host can be told: what was taken apart here must mean the same there. An
/// address with an address literal of ours, a route or a second `@` is none.
fn is_relayable(address: &str) -> bool {
    split_address(address).is_ok() && address.len() <= zcluster_api::delivery::OUTGOING_ADDRESS_BYTES_MAX
}

/// Zimbra's account and domain statuses as delivery sees them: a locked account cannot sign in but still gets mail; one
/// under maintenance (being moved, restored) gets it later.
fn status_refusal(account: &Account, domain: &Attributes) -> Option<Reply> {
    if account.effective("zimbraMailStatus") == Some("disabled") {
        return Some(Reply::new(550, "5.2.1", "mailbox is disabled"));
    }
    match (domain.get("zimbraDomainStatus"), account.status()) {
        (Some("closed"), _) => Some(Reply::new(550, "5.2.1", "domain is closed")),
        (Some("maintenance" | "suspended" | "shutdown"), "active" | "locked" | "lockout" | "maintenance") => {
            Some(Reply::new(450, "4.2.1", "domain is under maintenance, try again later"))
        }
        (_, "active" | "locked" | "lockout") => None,
        (_, "maintenance") => Some(Reply::new(450, "4.2.1", "mailbox is under maintenance, try again later")),
        _ => Some(Reply::new(550, "5.2.1", "mailbox is disabled")),
    }
}

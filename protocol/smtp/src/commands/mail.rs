//! MAIL.

use crate::codec::{MailFrom, Reply};
use crate::errors;
use crate::service::Service;
use crate::session::{Session, Transaction};
use zcluster_api::directory::{Account, AccountBy};
use zcluster_api::{DirectoryQuery, DirectoryReply, Error, Freshness};

impl Session {
    /// RFC 5321 §4.1.1.2.
    pub(crate) async fn mail(&mut self, from: MailFrom) -> Reply {
        if self.greeting.is_none() {
            let verb = if self.service() == Service::Lmtp { "LHLO" } else { "EHLO" };
            return Reply::new(503, "5.5.1", format!("say {verb} first"));
        }
        if self.transaction.is_some() {
            return Reply::new(503, "5.5.1", "nested MAIL command");
        }
        // RFC 1870 §6.1.
        if from.size.is_some_and(|size| size > self.smtp.config.max_message_bytes) {
            return Reply::new(552, "5.3.4", "message is larger than allowed");
        }
        if let Some(refusal) = self.sender_refusal(&from.path).await {
            return refusal;
        }
        self.transaction = Some(Transaction::new(from.path, from.utf8));
        Reply::new(250, "2.1.0", "Ok")
    }

    /// RFC 6409 §4.3, §6.1: who submits has signed in and writes under an own address. The null sender is for receipts
    /// (MDN).
    async fn sender_refusal(&self, sender: &str) -> Option<Reply> {
        if self.service() != Service::Submission {
            return None;
        }
        let Some(account) = &self.account else {
            let text =
                if self.conn.can_start_tls() { "say STARTTLS, then authenticate" } else { "authentication required" };
            return Some(Reply::new(530, "5.7.0", text));
        };
        if sender.is_empty() || is_allowed_otherwise(account, sender) {
            return None;
        }
        let query = DirectoryQuery::Account(AccountBy::Address(sender.to_string()));
        match self.smtp.backend.directory.read(query, Freshness::Local).await.and_then(DirectoryReply::into_account) {
            Ok(owner) if owner.id == account.id => None,
            Ok(_) | Err(Error::NotFound(_) | Error::Invalid(_)) => {
                Some(Reply::new(553, "5.7.1", "sender address does not belong to you"))
            }
            Err(error) => Some(errors::api(&error, &self.smtp.config)),
        }
    }
}

/// `zimbraAllowAnyFromAddress` and `zimbraAllowFromAddress`.
fn is_allowed_otherwise(account: &Account, sender: &str) -> bool {
    account.effective("zimbraAllowAnyFromAddress") == Some("TRUE")
        || account.attrs.all("zimbraAllowFromAddress").iter().any(|a| a.eq_ignore_ascii_case(sender))
}

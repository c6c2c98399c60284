//! MAIL.

use crate::codec::{Hold, MailFrom, Reply};
use crate::errors;
use crate::identity::Right;
use crate::service::Service;
use crate::session::{Session, Transaction};
use zcluster_runtime::wall_ms;

impl Session {
    /// RFC 5321 §4.1.1.2.
    pub(crate) async fn mail(&mut self, from: MailFrom) -> Reply {
        let may_skip_hello = self.service() == Service::Mx && !self.policy.helo_required;
        if self.greeting.is_none() && !may_skip_hello {
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
        if let Some(refusal) = self.parameter_refusal(&from) {
            return refusal;
        }
        let hold_until_ms = match from.hold.map(|hold| self.hold(hold)).transpose() {
            Ok(until) => until,
            Err(refusal) => return refusal,
        };
        let right = match self.right(&from.path).await {
            Ok(right) => right,
            Err(refusal) => return refusal,
        };
        self.transaction = Some(Transaction { hold_until_ms, right, ..Transaction::new(from) });
        Reply::new(250, "2.1.0", "Ok")
    }

    /// Parameters that are not offered here.
    fn parameter_refusal(&self, from: &MailFrom) -> Option<Reply> {
        let lmtp = self.service() == Service::Lmtp;
        if lmtp && (from.ret.is_some() || from.envid.is_some() || from.require_tls)
            || from.hold.is_some() && self.service() != Service::Submission
        {
            return Some(errors::syntax(crate::codec::SyntaxError::UnknownParameter));
        }
        // RFC 8689 §4.1: it cannot be kept when it was broken already.
        if from.require_tls && !self.conn.is_tls() {
            return Some(Reply::new(530, "5.7.10", "REQUIRETLS needs TLS: say STARTTLS first"));
        }
        None
    }

    /// RFC 4865 §4: until when, Unix milliseconds.
    fn hold(&self, hold: Hold) -> Result<u64, Reply> {
        let now = wall_ms();
        let until = match hold {
            Hold::For(seconds) => now.saturating_add(seconds.saturating_mul(1_000)),
            Hold::Until(at) => u64::try_from(at).unwrap_or(0),
        };
        let max = now.saturating_add(u64::try_from(self.smtp.config.hold_max.as_millis()).unwrap_or(u64::MAX));
        // A second more: the client reckoned from what EHLO told it.
        if until > max.saturating_add(1_000) {
            return Err(Reply::new(501, "5.5.4", "that is too far in the future"));
        }
        // RFC 4865 §5.2.2: what is over is due now.
        Ok(until.max(now))
    }

    /// RFC 6409 §4.3, §6.1: who submits has signed in and writes under an address that he may use. The null sender is
    /// for receipts (MDN).
    async fn right(&self, sender: &str) -> Result<Right, Reply> {
        if self.service() != Service::Submission {
            return Ok(Right::Own);
        }
        let Some(account) = &self.account else {
            let text =
                if self.conn.can_start_tls() { "say STARTTLS, then authenticate" } else { "authentication required" };
            return Err(Reply::new(530, "5.7.0", text));
        };
        if self.smtp.backend.delivery.domain_is_full(account, true) {
            return Err(Reply::new(452, "4.2.2", "your domain is over its quota and may send no mail for now"));
        }
        if sender.is_empty() {
            return Ok(Right::Own);
        }
        match self.right_to(account, sender).await {
            Ok(Some(right)) => Ok(right),
            Ok(None) => Err(Reply::new(553, "5.7.1", "sender address does not belong to you")),
            Err(error) => Err(errors::api(&error, &self.smtp.config)),
        }
    }
}

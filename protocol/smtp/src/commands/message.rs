//! What DATA, BDAT and BURL have in common: trace fields before the message, checks and delivery after it.

use crate::codec::{BodyType, Reply};
use crate::defence::{What, Who};
use crate::deliver::{Mail, archive, deliver, submit};
use crate::errors;
use crate::header::{Additions, Seen, complete};
use crate::identity::Right;
use crate::incoming::{Incoming, Problem};
use crate::journal;
use crate::service::Service;
use crate::session::{Place, Recipient, Session, Transaction};
use bytes::Bytes;
use std::time::Duration;
use zcluster_api::directory::AccountBy;
use zcluster_api::{AccountId, DirectoryQuery, DirectoryReply, Error, Freshness, Result};
use zcluster_delivery::{Fate, Peer};
use zcluster_runtime::{Instant, random_u64, wall_ms};
use zcluster_screen::{Arrival, Disposition};

/// The span of the bound on messages sent.
const HOUR: Duration = Duration::from_secs(3_600);

/// What became of a message for one recipient.
enum Outcome {
    /// As delivery says.
    Here(Result<Fate>),
    /// It is queued, or is not.
    Queued(Result<()>),
}

impl Outcome {
    fn is_taken(&self) -> bool {
        matches!(self, Outcome::Here(Ok(Fate::Taken { .. })) | Outcome::Queued(Ok(())))
    }
}

impl Session {
    /// Why there can be no message now.
    pub(crate) fn message_refusal(&self) -> Option<Reply> {
        match &self.transaction {
            None => Some(Reply::new(503, "5.5.1", "say MAIL first")),
            // RFC 5321 §4.1.1.4 and RFC 2033 §4.2: 503 when no recipient was accepted.
            Some(t) if t.recipients.is_empty() => Some(Reply::new(503, "5.5.1", "no valid recipients")),
            Some(_) => None,
        }
    }

    /// A message that begins with our trace fields.
    pub(crate) async fn begin_message(&self) -> Result<Incoming, Problem> {
        let trace = self.transaction.as_ref().map(|t| self.trace(t)).unwrap_or_default();
        Incoming::begin(trace, self.smtp.config.max_message_bytes, &self.smtp.backend.budget).await
    }

    /// RFC 5321 §4.4: Return-Path at final delivery, and one Received.
    fn trace(&self, transaction: &Transaction) -> Vec<u8> {
        let peer = self.conn.peer().ip().to_canonical().to_string();
        let helo = self.greeting.as_ref().map_or("", |g| g.name.as_str());
        let only = match transaction.recipients.as_slice() {
            // RFC 5321 §7.6: several recipients are not told of each other.
            [one] => Some(one.address.as_str()),
            _ => None,
        };
        let mut trace = zcluster_mail::return_path(&transaction.sender).into_bytes();
        let received = zcluster_mail::received(&zcluster_mail::Received {
            helo,
            ip: &peer,
            by: &self.smtp.config.hostname,
            with: self.with_protocol(transaction.utf8),
            id: &transaction.id,
            recipient: only,
            unix_ms: wall_ms() as i64,
        });
        trace.extend_from_slice(received.as_bytes());
        trace
    }

    /// RFC 3848 §1, RFC 6531 §4.3: the protocol as Received names it.
    fn with_protocol(&self, utf8: bool) -> &'static str {
        let tls = self.conn.is_tls();
        let auth = self.account.is_some();
        match self.service() {
            Service::Lmtp => match (utf8, tls) {
                (false, false) => "LMTP",
                (false, true) => "LMTPS",
                (true, false) => "UTF8LMTP",
                (true, true) => "UTF8LMTPS",
            },
            Service::Mx | Service::Submission if utf8 => match (tls, auth) {
                (false, false) => "UTF8SMTP",
                (true, false) => "UTF8SMTPS",
                (false, true) => "UTF8SMTPA",
                (true, true) => "UTF8SMTPSA",
            },
            Service::Mx | Service::Submission => {
                match (self.greeting.as_ref().is_some_and(|g| g.extended), tls, auth) {
                    (false, _, _) => "SMTP",
                    (true, false, false) => "ESMTP",
                    (true, true, false) => "ESMTPS",
                    (true, false, true) => "ESMTPA",
                    (true, true, true) => "ESMTPSA",
                }
            }
        }
    }

    /// Why a message does not begin now although its envelope is in order: bounds on how many there may be.
    pub(crate) fn pace_refusal(&mut self) -> Option<Reply> {
        let (defence, ip) = (&self.smtp.backend.edge.defence, self.conn.peer().ip());
        if self.service() == Service::Mx && !self.client.trusted && !defence.allow(&self.policy, ip, What::Messages, 1)
        {
            return Some(Reply::new(450, "4.7.1", "too many messages from your address, try again later"));
        }
        if let Some(account) = &self.account {
            let max = account.effective("zclusterMailSendMaxMessagesPerHour").and_then(|v| v.parse().ok()).unwrap_or(0);
            if !defence.may_send(What::SentHourly, Who::Account(account.id), HOUR, 1, max) {
                return Some(Reply::new(450, "4.7.1", "you have sent too many messages within an hour"));
            }
        }
        None
    }

    /// The client has sent all: checks it, delivers it, replies. The transaction is over.
    pub(crate) async fn finish_message(&mut self, verb: &'static str, incoming: Incoming) {
        let begun = Instant::now();
        let Some(transaction) = self.transaction.take() else { return };
        let size = incoming.received().len();
        let replies = match self.accept(&transaction, incoming).await {
            Ok(replies) => replies,
            Err(reply) => vec![reply; transaction.recipients.len()],
        };
        let seconds = begun.elapsed().as_secs_f64();
        metrics::histogram!("zcluster_smtp_delivery_seconds", "service" => self.service().name()).record(seconds);
        self.answer(verb, &transaction, replies, size);
    }

    /// A reply for each recipient, or one that says why nobody gets it.
    async fn accept(&self, transaction: &Transaction, mut incoming: Incoming) -> Result<Vec<Reply>, Reply> {
        let config = &self.smtp.config;
        let is_binary = transaction.body == BodyType::Binary && !incoming.is_text();
        incoming.finish(config.refuse_bare_lf, transaction.body == BodyType::Binary);
        let seen = Seen::of(incoming.received());
        if seen.hops > config.hops_max {
            incoming.refuse(Problem::Loop);
        }
        if let Some(problem) = incoming.problem() {
            return Err(errors::problem(problem));
        }
        // Two messages without an id may well be the same words said twice.
        let recognise = config.duplicate_suppression && seen.message_id;
        let content = recognise.then(|| blake3::hash(incoming.received()));
        // The share of memory is held until the message is delivered.
        let (whole, trace_len, _share) = incoming.into_parts();
        let whole = Bytes::from(whole);
        let received = whole.slice(trace_len..);
        let Some(raw) =
            self.screened(transaction, self.in_order(transaction, &received, &seen, is_binary).await?).await?
        else {
            return Ok(transaction.recipients.iter().map(|_| ok(transaction)).collect());
        };
        let is_changed = raw.as_ptr() != received.as_ptr() || raw.len() != received.len();
        let bytes = if is_changed { [&whole[..trace_len], &raw[..]].concat().into() } else { whole };
        let peer = Peer {
            helo: self.greeting.as_ref().map_or_else(String::new, |g| g.name.clone()),
            ip: self.conn.peer().ip().to_canonical().to_string(),
        };
        let auth = self.account.as_ref().map(|account| account.name.clone());
        let return_path = zcluster_mail::return_path(&transaction.sender).len();
        let mail = Mail { bytes, return_path, content, peer, auth, binary: is_binary };
        let outcomes = self.hand_over(transaction, &mail).await;
        self.journal(transaction, &mail, &outcomes).await?;
        let mut replies = Vec::with_capacity(outcomes.len());
        for (recipient, outcome) in transaction.recipients.iter().zip(&outcomes) {
            replies.push(match (outcome, recipient.place) {
                (Outcome::Here(result), Place::Here(account)) => {
                    self.recipient_reply(transaction, account, result).await
                }
                (Outcome::Here(_), Place::Away | Place::List) => errors::api(&Error::Internal(String::new()), config),
                (Outcome::Queued(Ok(())), _) => ok(transaction),
                (Outcome::Queued(Err(error)), _) => errors::queue(error),
            });
        }
        Ok(replies)
    }

    /// The message as it may be kept: octets that no text has are encoded, the header of one that a user or a host of
    /// ours sends is put in order.
    async fn in_order(&self, t: &Transaction, received: &Bytes, seen: &Seen, is_binary: bool) -> Result<Bytes, Reply> {
        let mut raw = received.clone();
        if is_binary && memchr::memchr(0, &raw).is_some() {
            raw = zcluster_mail::without_nul(&raw).ok_or_else(|| errors::problem(Problem::Nul))?.into();
        }
        if !self.may_relay() {
            return Ok(raw);
        }
        let (id, host) = (&t.id, &self.smtp.config.hostname);
        let mut additions = Additions {
            date: (!seen.date).then(|| zcluster_mail::rfc5322_date(wall_ms() as i64)),
            message_id: (!seen.message_id).then(|| format!("{id}.{:016x}@{host}", random_u64())),
            ..Additions::default()
        };
        if let Some(account) = &self.account {
            additions.from = seen.from.is_empty().then(|| account.name.clone());
            additions.sender = self.needs_sender(t, seen).await.then(|| account.name.clone());
        }
        Ok(complete(&raw, &additions).map_or(raw, Bytes::from))
    }

    /// RFC 6409 §8.1: whether the header must say that it was this account that sent it.
    async fn needs_sender(&self, transaction: &Transaction, seen: &Seen) -> bool {
        let Some(account) = &self.account else { return false };
        if transaction.right == Right::OnBehalf {
            return true;
        }
        let named = match (&seen.sender, seen.from.as_slice()) {
            (Some(sender), _) => sender,
            (None, []) => return false,
            (None, [one]) => one,
            // RFC 5322 §3.6.2: several authors need a sender.
            (None, _) => return true,
        };
        let is_own = named.eq_ignore_ascii_case(&transaction.sender) || named.eq_ignore_ascii_case(&account.name);
        !is_own && !matches!(self.right_to(account, named).await, Ok(Some(Right::Own)))
    }

    /// What the screen makes of it; `None`: it is to vanish.
    async fn screened(&self, transaction: &Transaction, raw: Bytes) -> Result<Option<Bytes>, Reply> {
        let Some(screen) = self.smtp.backend.edge.screen.clone().filter(|_| self.service() != Service::Lmtp) else {
            return Ok(Some(raw));
        };
        let ip = self.conn.peer().ip().to_canonical();
        let authenticated = match &self.account {
            Some(account) => Some(account.name.clone()),
            // A host of ours submits too.
            None => self.client.may_relay.then(|| format!("[{ip}]")),
        };
        let arrival = Arrival {
            client_ip: ip,
            client_name: self.client_name().await,
            helo: self.greeting.as_ref().map_or_else(String::new, |g| g.name.clone()),
            tls: self.conn.is_tls(),
            authenticated,
            sender: transaction.sender.clone(),
            recipients: transaction.recipients.iter().map(|r| r.address.clone()).collect(),
            raw,
            queue_id: transaction.id.clone(),
        };
        let screened = screen.screen(&arrival).await;
        match &screened.disposition {
            Disposition::Accept | Disposition::Junk => Ok(Some(screened.apply(&arrival.raw))),
            Disposition::Discard => Ok(None),
            Disposition::Defer(answer) | Disposition::Reject(answer) => {
                Err(Reply::new(answer.code, answer.status.clone(), one_line(&answer.text)))
            }
        }
    }

    /// To the mailboxes here at once, into the queue what is for elsewhere or for later. What a user submits to several
    /// is answered as one: whoever cannot have it at once gets it through the queue too, which tells the user when it
    /// cannot be done.
    async fn hand_over(&self, transaction: &Transaction, mail: &Mail) -> Vec<Outcome> {
        let all = &transaction.recipients;
        let wants_report = |r: &Recipient| self.service() != Service::Lmtp && r.notify.is_some_and(|n| n.success);
        // Who is also in a list that the message is for shall have it once: the queue sees both.
        let answers = self.may_relay() || self.service() == Service::Lmtp;
        let spreads = answers && all.iter().any(|r| r.place == Place::List);
        let queued_first = |r: &Recipient| spreads || transaction.hold_until_ms.is_some() || wants_report(r);
        let here: Vec<(usize, AccountId)> = all
            .iter()
            .enumerate()
            .filter_map(|(i, r)| match r.place {
                Place::Here(account) if !queued_first(r) => Some((i, account)),
                _ => None,
            })
            .collect();
        let to: Vec<(AccountId, &str)> = here.iter().map(|(i, a)| (*a, all[*i].address.as_str())).collect();
        let results = deliver(&self.smtp, transaction, mail, &to).await;
        let mut outcomes: Vec<Option<Outcome>> = all.iter().map(|_| None).collect();
        for ((i, _), result) in here.into_iter().zip(results) {
            let later = match &result {
                Ok(Fate::Taken { .. }) => false,
                Err(Error::Unavailable(_) | Error::WrongHome { .. }) => true,
                Ok(Fate::Refused(_)) | Err(_) => all.len() > 1,
            };
            if !(later && self.account.is_some()) {
                outcomes[i] = Some(Outcome::Here(result));
            }
        }
        let rest: Vec<&Recipient> = all.iter().zip(&outcomes).filter(|(_, o)| o.is_none()).map(|(r, _)| r).collect();
        if rest.is_empty() {
            return outcomes.into_iter().flatten().collect();
        }
        let owner = self.account.as_ref().map(|account| account.id);
        let queued = submit(&self.smtp, transaction, mail, owner, &rest).await;
        outcomes.into_iter().map(|o| o.unwrap_or_else(|| Outcome::Queued(queued.clone()))).collect()
    }

    /// Journal copies of what was taken. Without them nothing is acknowledged: the client comes again, which those who
    /// have the message recognise.
    async fn journal(&self, transaction: &Transaction, mail: &Mail, outcomes: &[Outcome]) -> Result<(), Reply> {
        let got = outcomes.iter().enumerate().filter(|(_, o)| o.is_taken()).map(|(i, _)| i);
        let is_sent = outcomes.iter().any(Outcome::is_taken);
        let to = journal::copies(transaction, got, self.account.as_ref().filter(|_| is_sent));
        if to.is_empty() {
            return Ok(());
        }
        let from = self.policy.archive_sender.as_deref().unwrap_or_default();
        archive(&self.smtp, transaction, mail, from, to).await.map_err(|error| errors::queue(&error))
    }

    async fn recipient_reply(&self, transaction: &Transaction, account: AccountId, result: &Result<Fate>) -> Reply {
        match result {
            Ok(Fate::Taken { .. }) => ok(transaction),
            // RFC 5429 §2.1.1.
            Ok(Fate::Refused(reason)) => Reply::new(550, "5.7.1", one_line(reason)),
            Err(Error::QuotaExceeded) if self.is_full_for_good(account).await => errors::full_for_good(),
            Err(error) => errors::api(error, &self.smtp.config),
        }
    }

    /// `zimbraLmtpPermanentFailureWhenOverQuota` of the account or its COS, before the server's.
    async fn is_full_for_good(&self, account: AccountId) -> bool {
        let query = DirectoryQuery::Account(AccountBy::Id(account));
        let found = self.smtp.backend.directory.read(query, Freshness::Local).await;
        let account = found.and_then(DirectoryReply::into_account).ok();
        let own = account.as_ref().and_then(|a| a.effective("zimbraLmtpPermanentFailureWhenOverQuota"));
        own.map_or(self.smtp.config.quota_failure_permanent, |value| value == "TRUE")
    }

    /// LMTP: a reply for each recipient in the order of RCPT (RFC 2033 §4.2). SMTP: one for all (see [`one_for_all`]).
    fn answer(&mut self, verb: &'static str, transaction: &Transaction, mut replies: Vec<Reply>, size: usize) {
        if self.service() != Service::Lmtp {
            replies = vec![one_for_all(replies)];
        }
        let service = self.service().name();
        for reply in &replies {
            metrics::counter!("zcluster_smtp_messages_total", "service" => service, "code" => reply.code.to_string())
                .increment(1);
            self.count(verb, reply);
            self.reply(reply);
        }
        let accepted = replies.iter().filter(|r| r.is_positive()).count();
        if accepted > 0 {
            metrics::counter!("zcluster_smtp_bytes_total", "service" => service).increment(size as u64);
        }
        tracing::info!(
            service,
            message = %transaction.id,
            peer = %self.conn.peer(),
            sender = %transaction.sender.escape_debug(),
            recipients = transaction.recipients.len(),
            bytes = size,
            code = replies.last().map_or(0, |r| r.code),
            "message handled"
        );
    }
}

fn ok(transaction: &Transaction) -> Reply {
    Reply::new(250, "2.0.0", format!("Ok {}", transaction.id))
}

/// A refusal's words as a reply can carry them: printable ASCII, a line.
fn one_line(text: &str) -> String {
    let plain = |c: char| match c {
        ' '..='~' => c,
        c if c.is_whitespace() => ' ',
        _ => '?',
    };
    let line: String = text.trim().chars().map(plain).take(400).collect();
    if line.is_empty() { "message refused".into() } else { line }
}

/// The one reply SMTP has for all recipients. 250 means that every mailbox has it. If one may have it later, 451 makes
/// the client come again with the message, which those who have it recognise. If one will never have it, its refusal
/// is the answer although others have the message: the sender must learn of the failure, and a report to a stranger may
/// hit somebody whose name was forged. (Users who submit get reports: see `hand_over`.)
fn one_for_all(replies: Vec<Reply>) -> Reply {
    let rank = |reply: &Reply| match (reply.is_temporary(), reply.is_positive()) {
        (true, _) => 0,
        (_, false) => 1,
        (_, true) => 2,
    };
    let several = replies.len() > 1;
    match replies.into_iter().min_by_key(rank) {
        Some(reply) if reply.is_temporary() && several => {
            Reply::new(451, reply.status, format!("{} (some recipients)", reply.text))
        }
        Some(reply) => reply,
        None => Reply::new(451, "4.3.0", "nothing was delivered"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_outcome_answers_for_all() {
        let ok = || Reply::new(250, "2.0.0", "Ok");
        let later = || Reply::new(452, "4.2.2", "full");
        let never = || Reply::new(550, "5.1.1", "gone");
        assert_eq!(one_for_all(vec![ok(), ok()]).code, 250);
        assert_eq!(one_for_all(vec![ok(), never(), later()]).code, 451);
        assert_eq!(one_for_all(vec![ok(), never()]).code, 550);
        assert_eq!(one_for_all(vec![later()]).code, 452);
        assert_eq!(one_for_all(vec![]).code, 451);
    }
}

//! What DATA and BDAT have in common: trace fields before the message, checks and delivery after it.

use crate::codec::Reply;
use crate::deliver::{Mail, deliver};
use crate::errors;
use crate::incoming::{Incoming, Problem};
use crate::service::Service;
use crate::session::{Session, Transaction};
use bytes::Bytes;
use zcluster_api::directory::AccountBy;
use zcluster_api::{AccountId, DirectoryQuery, DirectoryReply, Error, Freshness, Result};
use zcluster_delivery::{Fate, Peer};
use zcluster_runtime::{Instant, random_u64, wall_ms};
use zcluster_screen::{Arrival, Disposition};

/// What the client's header says that matters here.
#[derive(Default)]
struct Header {
    message_id: bool,
    date: bool,
    hops: usize,
}

impl Header {
    fn of(message: &[u8]) -> Self {
        let mut header = Header::default();
        for field in zcluster_mail::fields(message) {
            header.message_id |= field.is("Message-ID");
            header.date |= field.is("Date");
            header.hops += usize::from(field.is("Received"));
        }
        header
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

    /// The client has sent all: checks it, delivers it, replies. The transaction is over.
    pub(crate) async fn finish_message(&mut self, verb: &'static str, mut incoming: Incoming) {
        let begun = Instant::now();
        let Some(transaction) = self.transaction.take() else { return };
        let size = incoming.received().len();
        let content = self.inspect(&mut incoming, &transaction);
        let problem = incoming.problem();
        let refusal = match problem {
            None => self.screened(&transaction, &mut incoming).await,
            Some(_) => None,
        };
        let (bytes, _share) = incoming.into_parts();
        let replies = match (problem, refusal) {
            (Some(problem), _) => vec![errors::problem(problem); transaction.recipients.len()],
            (None, Some(reply)) => vec![reply; transaction.recipients.len()],
            (None, None) => {
                let peer = Peer {
                    helo: self.greeting.as_ref().map_or_else(String::new, |g| g.name.clone()),
                    ip: self.conn.peer().ip().to_canonical().to_string(),
                };
                let auth = self.account.as_ref().map(|account| account.name.clone());
                let results = deliver(&self.smtp, &transaction, Mail { bytes, content, peer, auth }).await;
                let mut replies = Vec::with_capacity(results.len());
                for (recipient, result) in transaction.recipients.iter().zip(&results) {
                    replies.push(self.recipient_reply(&transaction, recipient.account, result).await);
                }
                replies
            }
        };
        let seconds = begun.elapsed().as_secs_f64();
        metrics::histogram!("zcluster_smtp_delivery_seconds", "service" => self.service().name()).record(seconds);
        self.answer(verb, &transaction, replies, size);
    }

    /// What the checks of content and sender want; `None`: it is taken, as they have changed it.
    async fn screened(&self, transaction: &Transaction, incoming: &mut Incoming) -> Option<Reply> {
        let screen = self.smtp.backend.screen.clone().filter(|_| self.service() != Service::Lmtp)?;
        let arrival = Arrival {
            client_ip: self.conn.peer().ip().to_canonical(),
            client_name: None,
            helo: self.greeting.as_ref().map_or_else(String::new, |g| g.name.clone()),
            tls: self.conn.is_tls(),
            authenticated: self.account.as_ref().map(|account| account.name.clone()),
            sender: transaction.sender.clone(),
            recipients: transaction.recipients.iter().map(|r| r.address.clone()).collect(),
            raw: Bytes::copy_from_slice(incoming.received()),
            queue_id: transaction.id.clone(),
        };
        let screened = screen.screen(&arrival).await;
        match &screened.disposition {
            Disposition::Accept | Disposition::Junk => {
                incoming.replace(&screened.apply(&arrival.raw));
                None
            }
            Disposition::Discard => Some(Reply::new(250, "2.0.0", format!("Ok {}", transaction.id))),
            Disposition::Defer(answer) | Disposition::Reject(answer) => {
                Some(Reply::new(answer.code, "", format!("{} {}", answer.status, one_line(&answer.text))))
            }
        }
    }

    /// Decides whether the message can be taken, and completes a submitted one. Returns the hash that a repetition is
    /// recognised by, if it shall be.
    fn inspect(&self, incoming: &mut Incoming, transaction: &Transaction) -> Option<blake3::Hash> {
        let config = &self.smtp.config;
        incoming.finish(config.refuse_bare_lf);
        if incoming.problem().is_some() {
            return None;
        }
        let header = Header::of(incoming.received());
        if header.hops > config.hops_max {
            incoming.refuse(Problem::Loop);
            return None;
        }
        // Two messages without an id may well be the same words said twice.
        let recognise = config.duplicate_suppression && header.message_id;
        let content = recognise.then(|| blake3::hash(incoming.received()));
        if self.service() == Service::Submission {
            incoming.insert_fields(&self.missing_fields(&header, transaction));
        }
        content
    }

    /// RFC 6409 §8.1, §8.2: a submission server may add what RFC 5322 §3.6 wants.
    fn missing_fields(&self, header: &Header, transaction: &Transaction) -> String {
        let mut fields = String::new();
        if !header.date {
            fields.push_str(&format!("Date: {}\r\n", zcluster_mail::rfc5322_date(wall_ms() as i64)));
        }
        if !header.message_id {
            let (id, host) = (&transaction.id, &self.smtp.config.hostname);
            fields.push_str(&format!("Message-ID: <{id}.{:016x}@{host}>\r\n", random_u64()));
        }
        fields
    }

    async fn recipient_reply(&self, transaction: &Transaction, account: AccountId, result: &Result<Fate>) -> Reply {
        match result {
            Ok(Fate::Taken { .. }) => Reply::new(250, "2.0.0", format!("Ok {}", transaction.id)),
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
/// is the answer although others have the message: the sender must learn of the failure, and we send no reports of our
/// own yet.
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

    #[test]
    fn header_is_read_to_its_end_only() {
        let header = Header::of(b"Received: a\r\nreceived: b\r\nDATE: x\r\n\r\nMessage-ID: <a@b>\r\n");
        assert_eq!((header.hops, header.date, header.message_id), (2, true, false));
    }
}

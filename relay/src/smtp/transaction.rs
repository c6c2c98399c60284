//! One message to one host.

use super::connection::{BINARY, Connection, DSN, EIGHT_BIT, PIPELINING, REQUIRE_TLS, SIZE, UTF8};
use super::reply::Reply;
use crate::convert::{Width, has_wide_body};
use std::fmt::Write;
use std::time::Duration;
use zcluster_api::queue::{BodyKind, Notify, Ret, Terms};
use zcluster_delivery::carry::transport::Speech;
use zcluster_delivery::carry::{Failure, Results, Taken};

/// Bytes written at a time.
const WRITE_BYTES: usize = 64 * 1024;

/// A message as it is handed over.
#[derive(Clone, Copy, Debug)]
pub struct Mail<'a> {
    pub sender: &'a str,
    pub recipients: &'a [String],
    pub terms: Option<&'a Terms>,
    pub raw: &'a [u8],
    /// Not made of lines (RFC 3030 §3).
    pub binary: bool,
}

/// An address that must not be said: a line break in it would be a command of somebody else's.
pub fn unfit(address: &str) -> bool {
    address.chars().any(|c| c.is_control() || c == '<' || c == '>')
}

impl Mail<'_> {
    fn asks(&self, f: impl Fn(&Terms) -> bool) -> bool {
        self.terms.is_some_and(f)
    }

    /// Whether a host that does not know SMTPUTF8 cannot take it: by its addresses, or by its header.
    fn needs_utf8(&self) -> bool {
        let header = || zcluster_mail::fields(self.raw).all(|f| f.raw.is_ascii());
        !self.sender.is_ascii()
            || self.recipients.iter().any(|r| !r.is_ascii())
            || (self.asks(|t| t.smtputf8) && !header())
    }

    /// Why this host can never take this message.
    fn refusal(&self, host: &Connection) -> Option<Failure> {
        let name = &host.host;
        let no =
            |status: &str, text: String| Some(Failure { host: Some(name.clone()), ..Failure::permanent(status, text) });
        if host.size > 0 && self.raw.len() > host.size {
            return no("5.3.4", format!("the message has {} bytes; {name} takes {}", self.raw.len(), host.size));
        }
        if self.needs_utf8() && !host.can(UTF8) {
            return no("5.6.7", format!("{name} does not take internationalized mail (SMTPUTF8)"));
        }
        if self.asks(|t| t.require_tls) && !host.can(REQUIRE_TLS) {
            return no("5.7.30", format!("{name} does not promise to go on with TLS (REQUIRETLS)"));
        }
        None
    }

    fn mail_from(&self, host: &Connection) -> String {
        let mut out = format!("MAIL FROM:<{}>", self.sender);
        if host.can(SIZE) {
            let _ = write!(out, " SIZE={}", self.raw.len());
        }
        if self.binary {
            out += " BODY=BINARYMIME";
        } else if host.can(EIGHT_BIT) && (!self.raw.is_ascii() || self.asks(|t| t.body == BodyKind::EightBit)) {
            out += " BODY=8BITMIME";
        }
        if host.can(UTF8) && (self.needs_utf8() || self.asks(|t| t.smtputf8)) {
            out += " SMTPUTF8";
        }
        if self.asks(|t| t.require_tls) {
            out += " REQUIRETLS";
        }
        if host.can(DSN)
            && let Some(terms) = self.terms
        {
            match terms.ret {
                Some(Ret::Full) => out += " RET=FULL",
                Some(Ret::Headers) => out += " RET=HDRS",
                None => {}
            }
            if let Some(envid) = &terms.envid {
                let _ = write!(out, " ENVID={envid}");
            }
        }
        out + "\r\n"
    }

    fn rcpt_to(&self, recipient: &str, host: &Connection) -> String {
        let mut out = format!("RCPT TO:<{recipient}>");
        if host.can(DSN)
            && let Some(asked) = self.terms.and_then(|t| t.of(recipient))
        {
            if let Some(notify) = asked.notify {
                let words = [(Notify::SUCCESS, "SUCCESS"), (Notify::FAILURE, "FAILURE"), (Notify::DELAY, "DELAY")];
                let words: Vec<&str> = words.iter().filter(|(n, _)| notify.contains(*n)).map(|(_, w)| *w).collect();
                let words = if words.is_empty() { "NEVER".to_string() } else { words.join(",") };
                let _ = write!(out, " NOTIFY={words}");
            }
            if let Some(orcpt) = &asked.orcpt {
                let _ = write!(out, " ORCPT={orcpt}");
            }
        }
        out + "\r\n"
    }
}

/// Lines as DATA wants them: each ended by CRLF, a dot before each dot that begins one, and the last line's end. A lone
/// CR or LF becomes a line's end, so that no host can take a part of the message for commands (SMTP smuggling).
fn stuffed(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() + raw.len() / 64 + 8);
    let (mut at, mut start) = (0, true);
    while let Some(&b) = raw.get(at) {
        at += 1;
        match b {
            b'\r' | b'\n' => {
                if b == b'\r' && raw.get(at) == Some(&b'\n') {
                    at += 1;
                }
                out.extend_from_slice(b"\r\n");
                start = true;
            }
            _ => {
                if start && b == b'.' {
                    out.push(b'.');
                }
                start = false;
                out.push(b);
            }
        }
    }
    if !start {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

impl Connection {
    /// What the message must be converted to before this host can have it; none: it can.
    pub fn narrower(&self, mail: &Mail<'_>) -> Option<Width> {
        let eight = self.can(EIGHT_BIT);
        match mail.binary && !self.can(BINARY) {
            true => Some(if eight { Width::Eight } else { Width::Seven }),
            false => (!mail.binary && !eight && has_wide_body(mail.raw)).then_some(Width::Seven),
        }
    }

    /// Hands a message over that the host can have ([`Self::narrower`]); a result for each recipient.
    ///
    /// # Errors
    /// Why there was no transaction, or none that ended: nobody has the message for certain.
    pub async fn hand_over(&mut self, mail: &Mail<'_>, data_timeout: Duration) -> Result<Results, Failure> {
        let all = |failure: Failure| mail.recipients.iter().map(|r| (r.clone(), Err(failure.clone()))).collect();
        if let Some(failure) = mail.refusal(self) {
            return Ok(all(failure));
        }
        if self.dirty {
            let reply = self.say("RSET\r\n").await?;
            if !reply.is_positive() {
                return Err(reply.failure(&self.host));
            }
        }
        self.dirty = true;
        self.carried += 1;
        let step = self.step_timeout();
        let pipelined = self.can(PIPELINING);
        let data = if mail.binary { None } else { Some("DATA\r\n") };
        let mut commands = vec![mail.mail_from(self)];
        commands.extend(mail.recipients.iter().map(|r| mail.rcpt_to(r, self)));
        if pipelined {
            self.write((commands.concat() + data.unwrap_or_default()).as_bytes()).await?;
        } else {
            self.write(commands[0].as_bytes()).await?;
        }
        let from = self.hear(step).await?;
        if !from.is_positive() && !pipelined {
            return refused(&from, &self.host, all);
        }
        let mut replies = Vec::with_capacity(mail.recipients.len());
        for command in &commands[1..] {
            if !pipelined {
                self.write(command.as_bytes()).await?;
            }
            replies.push(self.hear(step).await?);
        }
        let accepted = if from.is_positive() { replies.iter().filter(|r| r.is_positive()).count() } else { 0 };
        let ready = match data {
            Some(words) if pipelined || accepted > 0 => {
                if !pipelined {
                    self.write(words.as_bytes()).await?;
                }
                Some(self.hear(step).await?)
            }
            _ => None,
        };
        if accepted == 0 {
            if ready.is_some_and(|r| r.code == 354) {
                // RFC 2920 §3.1: a host that wants data for nobody gets none.
                self.write(b".\r\n").await?;
                self.hear(step).await?;
            }
            if !from.is_positive() {
                return refused(&from, &self.host, all);
            }
            let none = |(r, reply): (&String, Reply)| (r.clone(), Err(reply.failure(&self.host)));
            return Ok(mail.recipients.iter().zip(replies).map(none).collect());
        }
        if let Some(ready) = ready.filter(|r| r.code != 354) {
            return refused(&ready, &self.host, all);
        }
        self.send_body(mail).await?;
        self.unsure = true;
        let mut ends = Vec::new();
        // LMTP answers for each recipient that it took (RFC 2033 §4.2).
        for _ in 0..if self.speech == Speech::Lmtp { accepted } else { 1 } {
            ends.push(self.hear(data_timeout).await?);
        }
        self.unsure = false;
        self.dirty = !ends.iter().all(Reply::is_positive);
        Ok(self.results(mail, replies, ends))
    }

    async fn send_body(&mut self, mail: &Mail<'_>) -> Result<(), Failure> {
        let lost = |f: Failure| Failure { text: format!("{} while sending the message", f.text), ..f };
        if mail.binary {
            self.write(format!("BDAT {} LAST\r\n", mail.raw.len()).as_bytes()).await.map_err(lost)?;
            for piece in mail.raw.chunks(WRITE_BYTES) {
                self.write(piece).await.map_err(lost)?;
            }
            return Ok(());
        }
        for piece in stuffed(mail.raw).chunks(WRITE_BYTES) {
            self.write(piece).await.map_err(lost)?;
        }
        Ok(())
    }

    fn results(&self, mail: &Mail<'_>, replies: Vec<Reply>, ends: Vec<Reply>) -> Results {
        let reports = self.can(DSN);
        let mut ends = ends.iter();
        let mut end = ends.next();
        let mut results = Results::new();
        for (recipient, reply) in mail.recipients.iter().zip(replies) {
            let result = match (reply.is_positive(), end) {
                (true, Some(last)) if last.is_positive() => {
                    Ok(Taken { host: Some(self.host.clone()), text: last.text(), reports })
                }
                (true, Some(last)) => Err(last.failure(&self.host)),
                _ => Err(reply.failure(&self.host)),
            };
            if reply.is_positive() && self.speech == Speech::Lmtp {
                end = ends.next();
            }
            results.push((recipient.clone(), result));
        }
        results
    }
}

/// A reply that ends a transaction before there is a message: for good, it is the message's; for now, another host may
/// take it.
fn refused(reply: &Reply, host: &str, all: impl Fn(Failure) -> Results) -> Result<Results, Failure> {
    match reply.is_permanent() {
        true => Ok(all(reply.failure(host))),
        false => Err(Failure { permanent: false, ..reply.failure(host) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_whole_and_dots_doubled() {
        let of = |raw: &str| String::from_utf8(stuffed(raw.as_bytes())).unwrap();
        assert_eq!(of("a\r\n.b\r\n..\r\n"), "a\r\n..b\r\n...\r\n.\r\n");
        assert_eq!(of("a"), "a\r\n.\r\n");
        assert_eq!(of(""), ".\r\n");
        assert_eq!(of("a\n.\nMAIL FROM:<>\r.\r\r\n"), "a\r\n..\r\nMAIL FROM:<>\r\n..\r\n\r\n.\r\n");
    }

    #[test]
    fn addresses_that_would_be_commands() {
        assert!(unfit("a@b>\r\nRCPT TO:<c") && unfit("a\0@b") && !unfit("ä@b") && !unfit(""));
    }

    proptest! {
        #[test]
        fn a_message_ends_where_it_ends(raw in "[a.\r\n]{0,40}") {
            let out = stuffed(raw.as_bytes());
            prop_assert!(out.ends_with(b".\r\n"));
            // A host that reads lines by CRLF finds the lone dot at the end only, and no bare CR or LF.
            let text = String::from_utf8(out).unwrap();
            let lines: Vec<&str> = text.split("\r\n").collect();
            prop_assert!(lines.iter().all(|l| !l.contains(['\r', '\n'])));
            prop_assert_eq!(lines.iter().position(|l| *l == "."), Some(lines.len() - 2));
        }
    }
}

//! HELO, EHLO and LHLO.

use crate::codec::Reply;
use crate::service::Service;
use crate::session::{Greeting, Next, Session};
use zcluster_runtime::wall_ms;

/// RFC 3339 with seconds, UTC.
fn rfc3339(unix_ms: u64) -> String {
    let at = i64::try_from(unix_ms).ok().and_then(chrono::DateTime::from_timestamp_millis).unwrap_or_default();
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Session {
    /// RFC 5321 §4.1.1.1; RFC 2033 §4.1 forbids HELO in LMTP.
    pub(crate) fn hello(&mut self, name: String) -> Reply {
        if self.service() == Service::Lmtp {
            return Reply::new(500, "5.5.1", "this is LMTP: say LHLO");
        }
        self.greet(false, name);
        Reply::new(250, "", self.smtp.config.hostname.clone())
    }

    /// RFC 5321 §4.1.1.1 and RFC 2033 §4.1: each protocol has its own verb, so that neither is taken for the other.
    pub(crate) fn extended_hello(&mut self, verb: &'static str, name: String) -> Next {
        let lmtp = self.service() == Service::Lmtp;
        if lmtp != (verb == "LHLO") {
            let text = if lmtp { "this is LMTP: say LHLO" } else { "this is SMTP: say EHLO" };
            let reply = Reply::new(500, "5.5.1", text);
            self.count(verb, &reply);
            self.reply(&reply);
            return Next::Go;
        }
        self.greet(true, name);
        self.count(verb, &Reply::new(250, "", ""));
        let lines = self.extensions();
        self.reply_lines(250, &lines);
        Next::Go
    }

    /// Either verb also resets (RFC 5321 §4.1.4).
    fn greet(&mut self, extended: bool, name: String) {
        self.transaction = None;
        self.greeting = Some(Greeting { extended, name });
    }

    fn extensions(&self) -> Vec<String> {
        let config = &self.smtp.config;
        let mut lines = vec![
            config.hostname.clone(),
            "PIPELINING".into(),
            format!("SIZE {}", config.max_message_bytes),
            "8BITMIME".into(),
            "SMTPUTF8".into(),
            "ENHANCEDSTATUSCODES".into(),
            "CHUNKING".into(),
            "BINARYMIME".into(),
            // RFC 9422 §4.
            format!("LIMITS RCPTMAX={}", config.recipients_max),
        ];
        if self.service() != Service::Lmtp {
            lines.push("DSN".into());
        }
        // RFC 8689 §2: only where TLS protects it already.
        if self.conn.is_tls() && self.service() != Service::Lmtp {
            lines.push("REQUIRETLS".into());
        }
        if self.service() == Service::Submission {
            let hold = config.hold_max.as_secs();
            lines.push(format!("FUTURERELEASE {hold} {}", rfc3339(wall_ms() + hold * 1_000)));
        }
        if self.account.is_some() && self.smtp.backend.edge.mailboxes.is_some() {
            lines.push("BURL imap".into());
        }
        if self.conn.can_start_tls() {
            lines.push("STARTTLS".into());
        }
        if self.service() == Service::Submission && self.account.is_none() {
            let mechanisms = self.smtp.backend.authenticator.mechanisms(&self.channel());
            if !mechanisms.is_empty() {
                lines.push(format!("AUTH {}", mechanisms.join(" ")));
            }
        }
        lines
    }
}

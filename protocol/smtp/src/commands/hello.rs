//! HELO, EHLO and LHLO.

use crate::codec::Reply;
use crate::service::Service;
use crate::session::{Greeting, Next, Session};

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
        ];
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

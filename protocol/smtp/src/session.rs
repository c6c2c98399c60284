//! The state of one conversation.

use crate::codec::{COMMAND_BYTES_MAX, Command, Reply, SyntaxError, parse};
use crate::errors;
use crate::incoming::Incoming;
use crate::service::{Service, Smtp};
use std::sync::Arc;
use zcluster_api::AccountId;
use zcluster_api::directory::Account;
use zcluster_listener::{Connection, Ending, ReadError};
use zcluster_runtime::{Instant, random_bytes};

/// Commands that made no sense, before the session is ended.
const ERRORS_MAX: u32 = 20;
/// Recipients that do not exist, before an unknown client's session is ended (address harvesting).
const UNKNOWN_RECIPIENTS_MAX: u32 = 100;

/// What happens after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next command.
    Go,
    /// The conversation is over.
    Close,
}

/// What the client called itself.
pub struct Greeting {
    /// The verb was EHLO or LHLO.
    pub extended: bool,
    /// The name.
    pub name: String,
}

/// One recipient that was accepted.
pub struct Recipient {
    /// As the client wrote it.
    pub address: String,
    /// Who that is.
    pub account: AccountId,
}

/// From MAIL to the end of the message.
pub struct Transaction {
    /// Names it in replies, in Received and in logs.
    pub id: String,
    /// The reverse-path; empty for `<>`.
    pub sender: String,
    /// SMTPUTF8 was asked for.
    pub utf8: bool,
    /// Accepted recipients in the order of their RCPT.
    pub recipients: Vec<Recipient>,
    /// What BDAT has brought so far.
    pub chunks: Option<Incoming>,
}

impl Transaction {
    /// A new one.
    pub fn new(sender: String, utf8: bool) -> Self {
        let id = random_bytes::<6>().iter().map(|b| format!("{b:02x}")).collect();
        Transaction { id, sender, utf8, recipients: Vec::new(), chunks: None }
    }
}

/// One client's conversation.
pub struct Session {
    pub(crate) smtp: Arc<Smtp>,
    pub(crate) conn: Connection,
    pub(crate) greeting: Option<Greeting>,
    pub(crate) account: Option<Account>,
    pub(crate) transaction: Option<Transaction>,
    pub(crate) failed_auths: u32,
    pub(crate) unknown_recipients: u32,
    errors: u32,
    scratch: Vec<u8>,
}

impl Session {
    /// A session that has not begun.
    pub fn new(smtp: Arc<Smtp>, conn: Connection) -> Self {
        Session {
            smtp,
            conn,
            greeting: None,
            account: None,
            transaction: None,
            failed_auths: 0,
            unknown_recipients: 0,
            errors: 0,
            scratch: Vec::new(),
        }
    }

    /// Holds the conversation to its end.
    pub async fn run(mut self) {
        let kind = if self.service() == Service::Lmtp { "LMTP" } else { "ESMTP" };
        self.conn.set_idle_timeout(self.smtp.config.command_timeout);
        // RFC 5321 §4.2: the greeting begins with the host's name.
        self.reply(&Reply::new(220, "", format!("{} {kind} zcluster", self.smtp.config.hostname)));
        if let Err(error) = self.converse().await {
            self.farewell(&error);
        }
        self.conn.shutdown().await;
    }

    async fn converse(&mut self) -> Result<(), ReadError> {
        loop {
            let reply = match self.conn.read_line(COMMAND_BYTES_MAX).await {
                Ok(line) if line.ending == Ending::Lf => Some(Reply::new(500, "5.5.2", "lines must end with CR LF")),
                Ok(line) => match parse(&line) {
                    Ok(command) => {
                        let (verb, begun) = (command.verb(), Instant::now());
                        let next = self.execute(command).await?;
                        metrics::histogram!("zcluster_command_seconds",
                            "protocol" => self.service().name(), "command" => verb)
                        .record(begun.elapsed().as_secs_f64());
                        if next == Next::Close {
                            return Ok(());
                        }
                        None
                    }
                    Err(SyntaxError::Http) => {
                        self.reply(&errors::syntax(SyntaxError::Http));
                        return Ok(());
                    }
                    Err(error) => Some(errors::syntax(error)),
                },
                Err(ReadError::TooLong(_)) => Some(Reply::new(500, "5.5.6", "command line too long")),
                Err(error) => return Err(error),
            };
            if let Some(reply) = reply {
                self.count("invalid", &reply);
                self.reply(&reply);
            }
            if self.errors > ERRORS_MAX || self.unknown_recipients > UNKNOWN_RECIPIENTS_MAX {
                self.reply(&Reply::new(421, "4.7.0", "too many errors, goodbye"));
                return Ok(());
            }
        }
    }

    /// RFC 5321 §3.8: a server that gives up says 421 first.
    fn farewell(&mut self, error: &ReadError) {
        let reply = match error {
            ReadError::Timeout => Reply::new(421, "4.4.2", "timeout, closing connection"),
            ReadError::Shutdown => Reply::new(421, "4.3.2", "service shutting down, try again later"),
            ReadError::TooLong(_) | ReadError::Eof | ReadError::Injected | ReadError::Io(_) => {
                tracing::debug!(%error, "session broken off");
                return;
            }
        };
        self.reply(&reply);
    }

    async fn execute(&mut self, command: Command) -> Result<Next, ReadError> {
        let (verb, reply) = match command {
            Command::Data => return self.data().await,
            Command::Bdat { size, last } => return self.bdat(size, last).await,
            Command::Auth { mechanism, initial } => return self.auth(&mechanism, initial).await,
            Command::StartTls => return self.start_tls().await,
            Command::Quit => {
                self.reply(&Reply::new(221, "2.0.0", "goodbye"));
                return Ok(Next::Close);
            }
            Command::Ehlo(name) => return Ok(self.extended_hello("EHLO", name)),
            Command::Lhlo(name) => return Ok(self.extended_hello("LHLO", name)),
            Command::Helo(name) => ("HELO", self.hello(name)),
            Command::Mail(from) => ("MAIL", self.mail(from).await),
            Command::Rcpt(to) => ("RCPT", self.rcpt(to).await),
            Command::Rset => ("RSET", self.reset()),
            Command::Noop => ("NOOP", Reply::new(250, "2.0.0", "Ok")),
            // RFC 5321 §3.5.3, §7.3: who exists here is not told.
            Command::Vrfy => ("VRFY", Reply::new(252, "2.1.5", "cannot VRFY user, but will accept message")),
            Command::Help => ("HELP", Reply::new(214, "2.0.0", "see RFC 5321")),
        };
        self.count(verb, &reply);
        self.reply(&reply);
        Ok(Next::Go)
    }

    pub(crate) fn service(&self) -> Service {
        self.smtp.service
    }

    /// Puts a reply into the output; it is sent when the session next waits, together with others.
    pub(crate) fn reply(&mut self, reply: &Reply) {
        self.scratch.clear();
        reply.write(&mut self.scratch);
        self.conn.push(&self.scratch);
    }

    pub(crate) fn reply_lines(&mut self, code: u16, lines: &[String]) {
        self.scratch.clear();
        Reply::write_lines(code, lines, &mut self.scratch);
        self.conn.push(&self.scratch);
    }

    /// Notes how a command went. Replies in the 50x range (and 55x to unknown parameters) show a confused client.
    pub(crate) fn count(&mut self, verb: &'static str, reply: &Reply) {
        if (500..=504).contains(&reply.code) || reply.code == 555 {
            self.errors += 1;
        }
        let result = if reply.is_positive() {
            "ok"
        } else if reply.is_temporary() {
            "temporary"
        } else {
            "permanent"
        };
        metrics::counter!("zcluster_commands_total",
            "protocol" => self.service().name(), "command" => verb, "result" => result)
        .increment(1);
    }

    /// RFC 5321 §4.1.1.5.
    fn reset(&mut self) -> Reply {
        self.transaction = None;
        Reply::new(250, "2.0.0", "Ok")
    }
}

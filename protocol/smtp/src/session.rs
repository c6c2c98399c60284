//! The state of one conversation.

use crate::codec::{BodyType, COMMAND_BYTES_MAX, Command, MailFrom, Notify, Reply, Return, SyntaxError, parse};
use crate::defence::{Admission, Client};
use crate::errors;
use crate::identity::Right;
use crate::incoming::Incoming;
use crate::policy::Policy;
use crate::service::{Service, Smtp};
use std::sync::Arc;
use zcluster_api::AccountId;
use zcluster_api::directory::Account;
use zcluster_listener::{Connection, Ending, ReadError};
use zcluster_runtime::{Instant, random_bytes, sleep};

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

/// Where a recipient is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this mailbox.
    Here(AccountId),
    /// On another host: it goes into the queue.
    Away,
    /// With its members: it goes into the queue, where the list becomes them.
    List,
}

/// One recipient that was accepted.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// As the client wrote it, or what it was rewritten to.
    pub address: String,
    /// Where that is.
    pub place: Place,
    /// What the queue calls it: it knows no tags and no rewriting.
    pub queued_as: String,
    /// NOTIFY.
    pub notify: Option<Notify>,
    /// ORCPT, as it was written.
    pub orcpt: Option<String>,
    /// Where copies of its mail are kept (`zimbraArchiveAccount`).
    pub archives: Vec<String>,
}

/// From MAIL to the end of the message.
pub struct Transaction {
    /// Names it in replies, in Received and in logs.
    pub id: String,
    /// The reverse-path; empty for `<>`.
    pub sender: String,
    /// SMTPUTF8 was asked for.
    pub utf8: bool,
    /// BODY.
    pub body: BodyType,
    /// RET.
    pub ret: Option<Return>,
    /// ENVID, as it was written.
    pub envid: Option<String>,
    /// REQUIRETLS.
    pub require_tls: bool,
    /// Not before then, Unix milliseconds.
    pub hold_until_ms: Option<u64>,
    /// By what right the signed-in account writes as this sender.
    pub right: Right,
    /// Accepted recipients in the order of their RCPT.
    pub recipients: Vec<Recipient>,
    /// What BDAT and BURL have brought so far.
    pub chunks: Option<Incoming>,
    /// Why no recipient is taken, once that was found out.
    pub checked: Option<Option<Reply>>,
}

impl Transaction {
    /// A new one.
    pub fn new(from: MailFrom) -> Self {
        let id = random_bytes::<6>().iter().map(|b| format!("{b:02x}")).collect();
        Transaction {
            id,
            sender: from.path,
            utf8: from.utf8,
            body: from.body,
            ret: from.ret,
            envid: from.envid,
            require_tls: from.require_tls,
            hold_until_ms: None,
            right: Right::Own,
            recipients: Vec::new(),
            chunks: None,
            checked: None,
        }
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
    pub(crate) policy: Arc<Policy>,
    pub(crate) client: Client,
    errors: u32,
    /// Refusals of any kind so far.
    faults: u32,
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
            policy: Arc::default(),
            client: Client::default(),
            errors: 0,
            faults: 0,
            scratch: Vec::new(),
        }
    }

    /// Holds the conversation to its end.
    pub async fn run(mut self) {
        let kind = if self.service() == Service::Lmtp { "LMTP" } else { "ESMTP" };
        self.conn.set_idle_timeout(self.smtp.config.command_timeout);
        let ended = match self.admit().await {
            Ok(Admission::Go) => {
                // RFC 5321 §4.2: the greeting begins with the host's name.
                self.reply(&Reply::new(220, "", format!("{} {kind} zcluster", self.smtp.config.hostname)));
                self.converse().await
            }
            Ok(Admission::Refuse(reply)) => {
                self.reply(&reply);
                Ok(())
            }
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            self.farewell(&error);
        }
        self.conn.shutdown().await;
    }

    async fn converse(&mut self) -> Result<(), ReadError> {
        loop {
            let faults = self.faults;
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
            // Whoever makes many mistakes gets his answers late: a guess shall cost something.
            if self.faults > faults && self.faults > self.policy.soft_errors && !self.client.trusted {
                sleep(self.policy.error_sleep).await;
            }
            if self.errors > self.policy.hard_errors || self.unknown_recipients > UNKNOWN_RECIPIENTS_MAX {
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
            Command::Burl { url, last } => return self.burl(&url, last).await,
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
        self.faults += u32::from(!reply.is_positive());
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

    /// The signed-in account, or a host of ours that may relay.
    pub(crate) fn may_relay(&self) -> bool {
        self.account.is_some() || (self.service() == Service::Mx && self.client.may_relay)
    }

    /// RFC 5321 §4.1.1.5.
    fn reset(&mut self) -> Reply {
        self.transaction = None;
        Reply::new(250, "2.0.0", "Ok")
    }
}

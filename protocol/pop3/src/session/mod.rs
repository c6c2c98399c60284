//! The states of a conversation (RFC 1939 §4-§6): sign-in, transaction, and the update at QUIT.

mod maildrop;
mod policy;

pub use maildrop::{Entry, Maildrop};

use crate::Pop3;
use crate::codec::command::{Command, ParseError, parse};
use crate::commands;
use crate::config::{ERRORS_MAX, LINE_BYTES_MAX, LOGIN_LINE_BYTES_MAX};
use crate::errors::{Failure, Next, Outcome, parting, refused};
use std::sync::Arc;
use zcluster_api::{Actor, Call, MailboxApi};
use zcluster_auth::{Bindings, Channel, Service};
use zcluster_listener::{Connection, ReadError};

/// One client's conversation.
pub struct Session {
    pub service: Arc<Pop3>,
    pub conn: Connection,
    pub state: State,
    errors: u32,
    pub login_failures: u32,
}

/// Where the conversation stands.
pub enum State {
    /// RFC 1939 §4; the name that USER gave.
    Authorization(Option<String>),
    /// RFC 1939 §5.
    Transaction(Box<Maildrop>),
}

/// Speaks to one client until the conversation is over.
pub async fn serve(service: Arc<Pop3>, mut conn: Connection) {
    conn.set_idle_timeout(service.config.login_timeout);
    let state = State::Authorization(None);
    let mut session = Session { service, conn, state, errors: 0, login_failures: 0 };
    let greeting = format!("{} POP3 ready", session.service.config.implementation);
    session.ok(&greeting);
    session.converse().await;
    // Ends with what was written, if the client still takes it.
    session.conn.shutdown().await;
}

impl Session {
    async fn converse(&mut self) {
        loop {
            let max = match self.state {
                State::Authorization(_) => LOGIN_LINE_BYTES_MAX,
                State::Transaction(_) => LINE_BYTES_MAX,
            };
            let line = match self.conn.read_line(max).await {
                Ok(line) => line.bytes,
                Err(error) => {
                    if let Some(text) = parting(&error) {
                        self.err(text);
                    }
                    match error {
                        ReadError::TooLong(_) if self.may_err_again() => continue,
                        _ => return,
                    }
                }
            };
            match self.answer(&line).await {
                Ok(Next::Command) => {}
                Ok(Next::Close) | Err(Failure::Ended) => return,
                Err(Failure::Refused(text)) => {
                    self.err(&text);
                    if !self.may_err_again() {
                        return;
                    }
                }
            }
        }
    }

    async fn answer(&mut self, line: &[u8]) -> Outcome {
        let command = match parse(line) {
            Ok(command) => command,
            Err(ParseError::Unknown) => return Err(refused("unknown command")),
            Err(ParseError::Arguments(why)) => return Err(refused(why)),
        };
        let verb = command.verb();
        let begun = zcluster_runtime::Instant::now();
        let outcome = self.dispatch(command).await;
        metrics::histogram!("zcluster_command_seconds", "protocol" => "pop3", "command" => verb)
            .record(begun.elapsed().as_secs_f64());
        let result = match &outcome {
            Ok(_) => "ok",
            Err(Failure::Refused(_)) => "refused",
            Err(Failure::Ended) => "ended",
        };
        metrics::counter!("zcluster_commands_total", "protocol" => "pop3", "command" => verb, "result" => result)
            .increment(1);
        outcome
    }

    async fn dispatch(&mut self, command: Command<'_>) -> Outcome {
        match command {
            Command::User(name) => commands::user::run(self, name),
            Command::Pass(password) => commands::pass::run(self, password).await,
            Command::Auth(request) => commands::auth::run(self, request).await,
            Command::Capa => commands::capa::run(self),
            Command::Stls => commands::stls::run(self).await,
            Command::Utf8 => commands::utf8::run(self),
            Command::Lang(range) => commands::lang::run(self, range),
            Command::Quit => commands::quit::run(self).await,
            Command::Stat => commands::stat::run(self),
            Command::List(which) => commands::list::run(self, which).await,
            Command::Uidl(which) => commands::uidl::run(self, which).await,
            Command::Retr(number) => commands::retr::run(self, number).await,
            Command::Top(number, lines) => commands::top::run(self, number, lines).await,
            Command::Dele(number) => commands::dele::run(self, number),
            Command::Rset => commands::rset::run(self),
            Command::Noop => commands::noop::run(self),
        }
    }

    /// Answers `+OK`.
    pub fn ok(&mut self, text: &str) {
        self.conn.push(format!("+OK {text}\r\n").as_bytes());
    }

    fn err(&mut self, text: &str) {
        self.conn.push(format!("-ERR {text}\r\n").as_bytes());
    }

    /// Counts an error; a client that makes too many is told goodbye.
    fn may_err_again(&mut self) -> bool {
        self.errors += 1;
        let again = self.errors < ERRORS_MAX;
        if !again {
            self.err("too many errors");
        }
        again
    }

    /// The Inbox, once signed in.
    pub fn maildrop(&mut self) -> Result<&mut Maildrop, Failure> {
        match &mut self.state {
            State::Transaction(maildrop) => Ok(maildrop),
            State::Authorization(_) => Err(refused("sign in first")),
        }
    }

    /// Fails once signed in.
    pub fn before_sign_in(&self) -> Result<(), Failure> {
        match self.state {
            State::Authorization(_) => Ok(()),
            State::Transaction(_) => Err(refused("already signed in")),
        }
    }

    /// Whether passwords may be sent as they are: over TLS, from this machine, or when the operator says so.
    pub fn may_send_passwords(&self) -> bool {
        let local = self.conn.peer().ip().to_canonical().is_loopback();
        self.conn.is_tls() || local || self.service.config.allow_plaintext_auth
    }

    /// What a sign-in comes over.
    pub fn channel(&self) -> Channel {
        Channel {
            service: Service::Pop3,
            peer: self.conn.peer().ip(),
            tls: self.conn.is_tls(),
            plaintext: self.may_send_passwords(),
            success_data: false,
            bindings: Bindings { exporter: self.conn.tls_exporter(), end_point: self.conn.tls_server_end_point() },
        }
    }
}

impl Pop3 {
    /// A call on an account's behalf.
    pub(crate) fn call<T>(&self, account: zcluster_api::AccountId, body: T) -> Call<T> {
        Call {
            actor: Actor::Account(account),
            account,
            request: zcluster_api::RequestId(zcluster_runtime::random_bytes()),
            timeout: self.config.call_timeout,
            body,
        }
    }
    pub(crate) fn mailboxes(&self) -> &dyn MailboxApi {
        &*self.mailboxes
    }
}

//! The conversation: greeting, sign-in, commands, and how it ends.

mod input;

pub use input::Input;

use crate::ManageSieve;
use crate::codec::command::{Command, ParseError, parse};
use crate::codec::reply::{Code, Reply};
use crate::commands;
use crate::config::{BAD_COMMANDS_MAX, LITERAL_BYTES_MAX};
use crate::errors::{End, Failure, Outcome, refused};
use std::sync::Arc;
use zcluster_api::directory::Account;
use zcluster_api::{AccountId, MailboxCommand, MailboxQuery, MailboxReply, Receipt};
use zcluster_auth::{Bindings, Channel, Service};
use zcluster_listener::Connection;
use zcluster_runtime::Instant;

/// One client's conversation.
pub struct Session {
    pub service: Arc<ManageSieve>,
    pub conn: Connection,
    pub user: Option<Box<User>>,
    pub login_failures: u32,
    bad_commands: u32,
    login_by: Instant,
    /// LOGOUT was asked for.
    pub leaving: bool,
}

/// Who signed in.
pub struct User {
    pub account: AccountId,
    pub name: String,
    /// Bytes of a script: `zimbraMailSieveScriptMaxSize` as it was at sign-in, within our own bound.
    pub script_bytes_max: usize,
}

impl User {
    /// The account's owner.
    pub fn new(account: &Account) -> Self {
        let set = account.effective("zimbraMailSieveScriptMaxSize").and_then(|v| v.parse::<usize>().ok());
        let script_bytes_max = set.filter(|n| *n > 0).map_or(LITERAL_BYTES_MAX, |n| n.min(LITERAL_BYTES_MAX));
        User { account: account.id, name: account.name.clone(), script_bytes_max }
    }
}

/// The answer to a script of more than `max` bytes.
pub fn too_large(max: usize) -> Reply {
    Reply::no(format!("a script may have {max} bytes")).with(Code::MaxSize)
}

/// Speaks to one client until the conversation is over.
pub async fn serve(service: Arc<ManageSieve>, conn: Connection) {
    let mut session = Session {
        service,
        conn,
        user: None,
        login_failures: 0,
        bad_commands: 0,
        login_by: Instant::now(),
        leaving: false,
    };
    session.await_sign_in();
    commands::capability::list(&mut session);
    session.say(&Reply::ok("ManageSieve ready"));
    if let End::Bye(reply) = session.converse().await {
        session.say(&reply);
    }
    // Ends with what was written, if the client still takes it.
    session.conn.shutdown().await;
}

impl Session {
    async fn converse(&mut self) -> End {
        loop {
            let outcome = match self.read().await {
                Ok(Input::Words(words)) => match parse(words) {
                    // Boxed: what a command needs must not weigh on a session that waits for one.
                    Ok(command) => Box::pin(self.answer(command)).await,
                    Err(ParseError::Unknown) => self.bad(Reply::no("unknown command")),
                    Err(ParseError::Arguments(why)) => self.bad(Reply::no(why)),
                },
                Ok(Input::Bad(reply)) => self.bad(reply),
                Ok(Input::Refused(reply)) => Err(Failure::Refused(reply)),
                Err(end) => return end,
            };
            match outcome {
                Ok(reply) | Err(Failure::Refused(reply)) => self.say(&reply),
                Err(Failure::End(end)) => return end,
            }
            if self.leaving {
                return End::Over;
            }
        }
    }

    /// Counts a command that makes no sense; a client that knows nothing else is told goodbye.
    fn bad(&mut self, reply: Reply) -> Outcome {
        count("none", "bad");
        self.bad_commands += 1;
        if self.bad_commands < BAD_COMMANDS_MAX {
            return Err(Failure::Refused(reply));
        }
        self.say(&reply);
        Err(Failure::End(End::Bye(Reply::bye("too many bad commands"))))
    }

    async fn answer(&mut self, command: Command) -> Outcome {
        self.bad_commands = 0;
        let verb = command.verb();
        let begun = Instant::now();
        let outcome = self.dispatch(command).await;
        metrics::histogram!("zcluster_command_seconds", "protocol" => "managesieve", "command" => verb)
            .record(begun.elapsed().as_secs_f64());
        let result = match &outcome {
            Ok(_) => "ok",
            Err(Failure::Refused(_)) => "refused",
            Err(Failure::End(_)) => "ended",
        };
        count(verb, result);
        outcome
    }

    async fn dispatch(&mut self, command: Command) -> Outcome {
        match command {
            Command::Authenticate(mechanism, initial) => commands::authenticate::run(self, &mechanism, initial).await,
            Command::StartTls => commands::starttls::run(self).await,
            Command::Logout => commands::logout::run(self),
            Command::Capability => commands::capability::run(self),
            Command::HaveSpace(name, size) => commands::havespace::run(self, &name, size).await,
            Command::PutScript(name, source) => commands::putscript::run(self, name, source).await,
            Command::ListScripts => commands::listscripts::run(self).await,
            Command::SetActive(name) => commands::setactive::run(self, name).await,
            Command::GetScript(name) => commands::getscript::run(self, name).await,
            Command::DeleteScript(name) => commands::deletescript::run(self, name).await,
            Command::RenameScript(from, to) => commands::renamescript::run(self, from, to).await,
            Command::CheckScript(source) => commands::checkscript::run(self, source).await,
            Command::Noop(tag) => Ok(commands::noop::run(tag)),
            Command::Unauthenticate => commands::unauthenticate::run(self),
        }
    }

    fn say(&mut self, reply: &Reply) {
        let mut out = Vec::new();
        reply.write(&mut out);
        self.conn.push(&out);
    }

    /// Begins the time before sign-in, anew.
    pub fn await_sign_in(&mut self) {
        let timeout = self.service.config.login_timeout;
        self.user = None;
        self.login_by = Instant::now() + timeout;
        self.conn.set_idle_timeout(timeout);
    }

    /// Who signed in.
    pub fn user(&self) -> Result<&User, Failure> {
        self.user.as_deref().ok_or_else(|| refused("sign in first"))
    }

    /// Fails once signed in.
    pub fn before_sign_in(&self) -> Result<(), Failure> {
        match self.user {
            None => Ok(()),
            Some(_) => Err(refused("already signed in")),
        }
    }

    /// What a sign-in would come over.
    pub fn channel(&self) -> Channel {
        let (peer, tls) = (self.conn.peer().ip(), self.conn.is_tls());
        let local = peer.to_canonical().is_loopback();
        Channel {
            service: Service::ManageSieve,
            peer,
            tls,
            plaintext: tls || local || self.service.config.allow_plaintext_auth,
            success_data: true,
            bindings: Bindings { exporter: self.conn.tls_exporter(), end_point: self.conn.tls_server_end_point() },
        }
    }

    /// Asks the user's mailbox.
    pub async fn ask(&self, query: MailboxQuery) -> Result<zcluster_api::Result<MailboxReply>, Failure> {
        let account = self.user()?.account;
        Ok(self.service.mailboxes.read(self.service.call(account, query)).await)
    }

    /// Changes the user's mailbox.
    pub async fn change(&self, command: MailboxCommand) -> Result<zcluster_api::Result<Receipt>, Failure> {
        let account = self.user()?.account;
        Ok(self.service.mailboxes.write(self.service.call(account, command)).await)
    }
}

fn count(verb: &'static str, result: &'static str) {
    metrics::counter!("zcluster_commands_total", "protocol" => "managesieve", "command" => verb, "result" => result)
        .increment(1);
}

//! The conversation: states, reading and answering commands.

mod input;
pub mod mailbox;
pub mod named;
pub mod numbers;
mod progress;
pub mod selected;
pub mod sharing;

pub use input::reply_to as fault_reply;
pub use mailbox::Mailbox;
pub use named::Named;
pub use selected::{Dialect, Expunges, Selected};

use crate::codec::command::{Command, Request};
use crate::codec::sequence::SequenceSet;
use crate::commands::{self, annotations::Annotations, notify::Notifier};
use crate::config::{BAD_COMMANDS_MAX, SPILL_BYTES};
use crate::errors::{self, End, Failure, Reply};
use crate::{Imap, ImapConfig};
use input::Input;
use std::io::Write;
use std::sync::Arc;
use tracing::Instrument;
use zcluster_api::{Error, UidSet};
use zcluster_listener::Connection;
use zcluster_mail::Zone;
use zcluster_runtime::Instant;

/// One client's conversation. What is rarely there is boxed: an idle session should cost little.
pub struct Session {
    pub imap: Arc<Imap>,
    pub connection: Connection,
    /// The response being composed.
    pub out: Vec<u8>,
    /// Where in `out` the response to one message begins; nothing once part of it has left.
    pub mark: Option<usize>,
    pub user: Option<Box<User>>,
    pub selected: Option<Box<Selected>>,
    /// The client knows mod-sequences (RFC 7162 §3.1).
    pub condstore: bool,
    /// Names are UTF-8: the client enabled UTF8=ACCEPT (RFC 6855) or IMAP4rev2 (RFC 9051 §5.1).
    pub utf8: bool,
    /// Which other forms of responses the client enabled.
    pub dialect: Dialect,
    /// What NOTIFY asked for (RFC 5465).
    pub notifier: Option<Box<Notifier>>,
    /// What is told of annotations unasked (RFC 5464 §4.4).
    pub annotations: Option<Box<Annotations>>,
    pub login_failures: u32,
    bad_commands: u32,
    login_by: Instant,
    /// When the command under way was begun, or last told of (RFC 9585).
    spoke: Instant,
    /// LOGOUT was asked for.
    pub leaving: bool,
}

/// Who signed in.
pub struct User {
    pub mailbox: Mailbox,
    /// The account's address.
    pub name: String,
    /// Where the account's clocks are (`zimbraPrefTimeZoneId`).
    pub zone: Zone,
    /// Parent of what this session logs.
    pub span: tracing::Span,
}

/// Serves one connection.
pub async fn serve(imap: Arc<Imap>, connection: Connection) {
    let mut session = Session::new(imap, connection);
    let end = session.converse().await;
    Box::pin(session.finish(end)).await;
}

impl Session {
    fn new(imap: Arc<Imap>, mut connection: Connection) -> Self {
        let login_by = Instant::now() + imap.config.login_timeout;
        connection.set_idle_timeout(imap.config.login_timeout);
        Session {
            imap,
            connection,
            out: Vec::new(),
            mark: None,
            user: None,
            selected: None,
            condstore: false,
            utf8: false,
            dialect: Dialect::default(),
            notifier: None,
            annotations: None,
            login_failures: 0,
            bad_commands: 0,
            login_by,
            spoke: Instant::now(),
            leaving: false,
        }
    }

    /// The settings.
    pub fn config(&self) -> &ImapConfig {
        &self.imap.config
    }

    /// Greets (RFC 3501 §7.1.5) and answers commands until the conversation ends.
    async fn converse(&mut self) -> End {
        let text = commands::capability::text(self);
        self.connection.push(format!("* OK [CAPABILITY {text}] zcluster ready\r\n").as_bytes());
        loop {
            let step = match self.next_input().await {
                // Boxed: what a command needs must not weigh on a session that waits for one.
                Ok(input) => Box::pin(self.answer(input)).await,
                Err(end) => Err(end),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn next_input(&mut self) -> Result<Input, End> {
        if self.notifier.is_some() {
            return Box::pin(self.read_while_notifying()).await;
        }
        if self.user.is_some() {
            return self.read_command().await;
        }
        let by = self.login_by;
        zcluster_runtime::timeout_at(by, self.read_command()).await.unwrap_or(Err(End::Idle))
    }

    async fn answer(&mut self, input: Input) -> Result<(), End> {
        match input {
            Input::Refused { tag, reply } => {
                count("none", reply.outcome());
                self.conclude(tag.as_deref().unwrap_or("*"), reply).await
            }
            Input::Command(command) => self.execute(command).await,
        }
    }

    async fn execute(&mut self, Command { tag, request }: Command) -> Result<(), End> {
        let verb = request.verb();
        let waits = matches!(request, Request::Idle);
        let begun = Instant::now();
        self.spoke = begun;
        let span = self.user.as_ref().map_or_else(tracing::Span::none, |u| u.span.clone());
        let answer = commands::run(self, &tag, request).instrument(span).await;
        let outcome = match answer {
            Ok(reply) | Err(Failure::Reply(reply)) => Ok(reply),
            Err(Failure::Api(error)) => Ok(errors::no(&error)),
            Err(Failure::End(end)) => Err(end),
        };
        let label = outcome.as_ref().map_or("end", Reply::outcome);
        count(verb, label);
        if !waits {
            metrics::histogram!("zcluster_command_seconds", "protocol" => "imap", "command" => verb)
                .record(begun.elapsed().as_secs_f64());
        }
        self.conclude(&tag, outcome?).await
    }

    /// Writes the tagged response (RFC 3501 §7.1).
    async fn conclude(&mut self, tag: &str, reply: Reply) -> Result<(), End> {
        let (word, text) = match &reply {
            Reply::Ok(text) => ("OK", text),
            Reply::No(text) => ("NO", text),
            Reply::Bad(text) => ("BAD", text),
            Reply::Sent => return self.send().await,
        };
        let _ = write!(self.out, "{tag} {word} {text}\r\n");
        self.bad_commands = if matches!(reply, Reply::Bad(_)) { self.bad_commands + 1 } else { 0 };
        self.send().await?;
        if self.leaving {
            return Err(End::Over);
        }
        if self.bad_commands >= BAD_COMMANDS_MAX {
            return Err(End::Bye("too many bad commands"));
        }
        Ok(())
    }

    /// Hands what was composed to the connection, which sends it when it next waits for the client.
    pub async fn send(&mut self) -> Result<(), End> {
        self.spill().await?;
        if !self.connection.has_line() {
            self.out = Vec::new();
        }
        Ok(())
    }

    /// Hands what was composed to the connection; waits while the client does not read.
    pub async fn spill(&mut self) -> Result<(), End> {
        self.mark = None;
        self.connection.write(&self.out).await?;
        self.out.clear();
        Ok(())
    }

    /// The same once enough has gathered.
    pub async fn spill_if_full(&mut self) -> Result<(), End> {
        if self.out.len() >= SPILL_BYTES { self.spill().await } else { Ok(()) }
    }

    /// Appends a line.
    pub fn line(&mut self, text: std::fmt::Arguments<'_>) {
        let _ = self.out.write_fmt(text);
        self.out.extend_from_slice(b"\r\n");
    }

    /// The signed-in account's mailbox.
    pub fn mailbox(&self) -> Result<Mailbox, Failure> {
        let user = self.user.as_ref().ok_or_else(|| Failure::bad("sign in first"))?;
        Ok(user.mailbox.clone())
    }

    /// Where the user's clocks are.
    pub fn zone(&self) -> Zone {
        self.user.as_ref().map_or_else(Zone::default, |u| u.zone)
    }

    /// The mailbox that the selected folder is in, which may be another account's.
    pub fn selected_mailbox(&self) -> Result<Mailbox, Failure> {
        self.view().map(|view| view.mailbox.clone())
    }

    /// The selected mailbox.
    pub fn view(&self) -> Result<&Selected, Failure> {
        self.selected.as_deref().ok_or_else(|| Failure::bad("select a mailbox first"))
    }

    /// The same, to change it.
    pub fn view_mut(&mut self) -> Result<&mut Selected, Failure> {
        self.selected.as_deref_mut().ok_or_else(|| Failure::bad("select a mailbox first"))
    }

    /// The selected mailbox, if it may be changed.
    pub fn writable_view(&self) -> Result<&Selected, Failure> {
        let view = self.view()?;
        if view.read_only { Err(Failure::no("[READ-ONLY] mailbox is open read-only")) } else { Ok(view) }
    }

    /// The UIDs that a command's set stands for.
    pub fn resolve(&self, uid: bool, set: &SequenceSet) -> Result<UidSet, Failure> {
        let view = self.view()?;
        if uid {
            return Ok(set.uids(&view.uids, &view.saved));
        }
        set.numbers(&view.uids, &view.saved).ok_or_else(|| Failure::bad("there is no message with such a number"))
    }

    /// Tells mod-sequences from now on (RFC 7162 §3.1: "CONDSTORE enabling command").
    pub fn enable_condstore(&mut self) {
        if std::mem::replace(&mut self.condstore, true) {
            return;
        }
        if let Some(modseq) = self.selected.as_ref().map(|v| v.highest_modseq) {
            self.line(format_args!("* OK [HIGHESTMODSEQ {modseq}] mod-sequences are told from now on"));
        }
    }

    async fn finish(&mut self, end: End) {
        let bye = match end {
            End::Over | End::Lost | End::Torn => None,
            End::Idle => Some("silent for too long"),
            End::Shutdown => Some("[UNAVAILABLE] server is shutting down"),
            End::Bye(text) => Some(text),
        };
        if let Some(text) = bye {
            self.connection.push(format!("* BYE {text}\r\n").as_bytes());
        }
        if matches!(end, End::Torn) {
            tracing::warn!("connection closed in the middle of a response");
        }
        self.connection.shutdown().await;
        // Whatever arrived while the mailbox was open has been \Recent once. A node that stops has no time for it.
        if !matches!(end, End::Shutdown) {
            self.deselect().await;
        }
    }
}

/// An error that a command may pass over: its own work is done.
pub fn passed_over(result: Result<(), Failure>) -> Result<(), Failure> {
    match result {
        Err(Failure::Api(error @ (Error::Unavailable(_) | Error::WrongHome { .. }))) => {
            tracing::debug!(%error, "cannot look for changes now");
            Ok(())
        }
        other => other,
    }
}

fn count(verb: &'static str, result: &'static str) {
    metrics::counter!("zcluster_commands_total", "protocol" => "imap", "command" => verb, "result" => result)
        .increment(1);
}

//! The conversation: messages in, replies out, and what goes on beside a long search.

mod intake;

pub use intake::Incoming;

use crate::Ldap;
use crate::access::Who;
use crate::codec::controls::Control;
use crate::codec::reply::{self, Extras};
use crate::codec::request::{Message, Nonsense, Operation};
use crate::commands;
use crate::commands::bind::SaslUnderway;
use crate::commands::paging::Sorted;
use crate::commands::view::Viewed;
use crate::config::{ANONYMOUS_MESSAGE_BYTES_MAX, BAD_MESSAGES_MAX, MESSAGE_BYTES_MAX};
use crate::errors::{Code, End, Outcome, Stop};
use std::collections::VecDeque;
use std::sync::Arc;
use zcluster_auth::{Bindings, Channel, Service};
use zcluster_listener::Connection;
use zcluster_runtime::Instant;

/// One client's conversation.
pub struct Session {
    pub ldap: Arc<Ldap>,
    pub conn: Connection,
    /// Who signed in.
    pub who: Option<Who>,
    /// A sign-in of several steps.
    pub sasl: Option<SaslUnderway>,
    pub login_failures: u32,
    /// Sorted results of which the client takes page after page: the last ones only.
    pub sorted: Option<Sorted>,
    /// The sorted result that the client looks at parts of.
    pub viewed: Option<Viewed>,
    bad_messages: u32,
    /// Requests that came while another was being answered, and their bytes.
    waiting: VecDeque<(usize, Incoming)>,
    waiting_bytes: usize,
    /// Who wants the request under way cancelled (RFC 3909): the number of that message.
    cancelled_by: Option<u32>,
}

/// How an operation ends that went well: its outcome, and what its reply carries besides.
pub type Done = Result<(Outcome, Extras), Stop>;

/// All went well.
pub fn done() -> Done {
    Ok((Outcome::success(), Extras::default()))
}

/// Speaks to one client until the conversation is over.
pub async fn serve(ldap: Arc<Ldap>, conn: Connection) {
    let mut session = Session {
        ldap,
        conn,
        who: None,
        sasl: None,
        login_failures: 0,
        sorted: None,
        viewed: None,
        bad_messages: 0,
        waiting: VecDeque::new(),
        waiting_bytes: 0,
        cancelled_by: None,
    };
    session.forget_who();
    if let End::Notice(code, text) = session.converse().await {
        session.conn.push(&reply::notice_of_disconnection(code, &text));
    }
    session.conn.shutdown().await;
}

impl Session {
    async fn converse(&mut self) -> End {
        loop {
            let handled = match self.next().await {
                Ok(Ok(message)) if matches!(message.operation, Operation::Unbind) => return End::Lost,
                // Boxed: what an operation needs must not weigh on a session that waits for one.
                Ok(Ok(message)) => Box::pin(self.answer(message)).await,
                Ok(Err(nonsense)) => self.bad(nonsense),
                Err(end) => return end,
            };
            if let Err(end) = handled {
                return end;
            }
        }
    }

    /// RFC 4511 §4.1.1: what can be told apart is answered, what cannot ends the conversation.
    fn bad(&mut self, nonsense: Nonsense) -> Result<(), End> {
        count("none", "bad");
        self.bad_messages += 1;
        match nonsense.answer {
            Some((id, tag)) if self.bad_messages < BAD_MESSAGES_MAX => {
                let outcome = Outcome::new(Code::ProtocolError, nonsense.why.0);
                self.conn.push(&reply::result(id, tag, &outcome, &Extras::default()));
                Ok(())
            }
            _ => Err(End::Notice(Code::ProtocolError, nonsense.why.0.into())),
        }
    }

    async fn answer(&mut self, message: Message) -> Result<(), End> {
        self.bad_messages = 0;
        self.cancelled_by = None;
        let Message { id, operation, controls } = message;
        let (verb, tag) = (operation.verb(), operation.reply_tag());
        let begun = Instant::now();
        let done = self.dispatch(id, operation, &controls).await;
        metrics::histogram!("zcluster_command_seconds", "protocol" => "ldap", "command" => verb)
            .record(begun.elapsed().as_secs_f64());
        let (outcome, extras) = match done {
            Ok(done) => done,
            Err(Stop::With(outcome)) => (outcome, Extras::default()),
            Err(Stop::Answered) => {
                count(verb, "ok");
                return Ok(());
            }
            Err(Stop::Abandoned) => {
                count(verb, "abandoned");
                return self.say_cancelled(id, tag).await;
            }
            Err(Stop::End(end)) => {
                count(verb, "ended");
                return Err(end);
            }
        };
        count(verb, outcome.code.result());
        tracing::debug!(verb, id, code = ?outcome.code, text = %outcome.text, "ldap operation");
        if let Some(tag) = tag {
            self.conn.write(&reply::result(id, tag, &outcome, &extras)).await?;
        }
        // RFC 3909 §2: it came too late.
        if let Some(by) = self.cancelled_by.take() {
            self.conn.push(&reply::result(by, reply::EXTENDED, &Outcome::new(Code::TooLate, ""), &Extras::default()));
        }
        Ok(())
    }

    /// An abandoned operation has no reply; a cancelled one has, and so has the request to cancel it.
    async fn say_cancelled(&mut self, id: u32, tag: Option<u8>) -> Result<(), End> {
        let Some(by) = self.cancelled_by.take() else { return Ok(()) };
        if let Some(tag) = tag {
            self.conn.write(&reply::result(id, tag, &Outcome::new(Code::Canceled, ""), &Extras::default())).await?;
        }
        self.conn.write(&reply::result(by, reply::EXTENDED, &Outcome::success(), &Extras::default())).await?;
        Ok(())
    }

    async fn dispatch(&mut self, id: u32, operation: Operation, controls: &[Control]) -> Done {
        commands::check_controls(&operation, controls)?;
        match operation {
            Operation::Bind { version, name, credentials } => {
                commands::bind::run(self, version, &name, credentials).await
            }
            Operation::Search(search) => commands::search::run(self, id, *search, controls).await,
            Operation::Compare(dn, attr, value) => commands::compare::run(self, &dn, &attr, &value, controls).await,
            Operation::Add(dn, attributes) => commands::add::run(self, &dn, attributes, controls).await,
            Operation::Modify(dn, changes) => commands::modify::run(self, &dn, changes, controls).await,
            Operation::Delete(dn) => commands::delete::run(self, &dn, controls).await,
            Operation::ModifyDn { dn, new_rdn, delete_old, new_superior } => {
                let to = commands::modify_dn::To { new_rdn, delete_old, new_superior };
                commands::modify_dn::run(self, &dn, &to, controls).await
            }
            Operation::Extended(oid, value) => commands::extended::run(self, id, &oid, value).await,
            // Nothing of that number is under way here.
            Operation::Abandon(_) | Operation::Unbind => done(),
        }
    }

    /// Nobody has signed in, or no more (RFC 4513 §4).
    pub fn forget_who(&mut self) {
        self.who = None;
        (self.sorted, self.viewed) = (None, None);
        let timeout = self.ldap.config.login_timeout;
        self.conn.set_idle_timeout(timeout);
    }

    /// Somebody has signed in.
    pub fn welcome(&mut self, who: Who) {
        self.who = Some(who);
        (self.sorted, self.viewed) = (None, None);
        let timeout = self.ldap.config.idle_timeout;
        self.conn.set_idle_timeout(timeout);
    }

    /// Who signed in.
    ///
    /// # Errors
    /// Nobody.
    pub fn who(&self) -> Result<&Who, Stop> {
        self.who.as_ref().ok_or_else(|| Outcome::new(Code::InsufficientAccessRights, "sign in (bind) first").into())
    }

    /// Who signed in, if it may change things.
    ///
    /// # Errors
    /// Nobody, or no administrator.
    pub fn administrator(&self) -> Result<&Who, Stop> {
        let who = self.who()?;
        if who.administers() {
            return Ok(who);
        }
        Err(Outcome::new(Code::InsufficientAccessRights, "only administrators change entries").into())
    }

    /// What a sign-in would come over.
    pub fn channel(&self) -> Channel {
        let (peer, tls) = (self.conn.peer().ip(), self.conn.is_tls());
        let local = peer.to_canonical().is_loopback();
        Channel {
            service: Service::Ldap,
            peer,
            tls,
            plaintext: tls || local || self.ldap.config.allow_plaintext_auth,
            success_data: true,
            bindings: Bindings { exporter: self.conn.tls_exporter(), end_point: self.conn.tls_server_end_point() },
        }
    }

    /// Answers the requests that came while changes are being followed, which is all that this connection does then.
    pub fn turn_waiting_away(&mut self) {
        for (_, message) in std::mem::take(&mut self.waiting) {
            if let Ok(message) = message
                && let Some(tag) = message.operation.reply_tag()
            {
                let outcome = Outcome::new(Code::Busy, "this connection follows changes: use another one");
                self.conn.push(&reply::result(message.id, tag, &outcome, &Extras::default()));
            }
        }
        self.waiting_bytes = 0;
    }

    /// Bytes of a message.
    fn message_max(&self) -> usize {
        if self.who.is_some() { MESSAGE_BYTES_MAX } else { ANONYMOUS_MESSAGE_BYTES_MAX }
    }
}

fn count(verb: &'static str, result: &'static str) {
    metrics::counter!("zcluster_commands_total", "protocol" => "ldap", "command" => verb, "result" => result)
        .increment(1);
}

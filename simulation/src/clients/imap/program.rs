//! The mail program's day: its operations one after the other, with reconnects and retries.

use super::book::Book;
use super::response::{Kind, Status};
use super::session::{Answer, Session, SignIn, sign_in};
use super::view::Known;
use crate::clients::Shared;
use crate::clients::servers::Servers;
use crate::clients::wire::Lost;
use crate::history::{Outcome, Refusal, Reply, What};
use crate::plan::{Op, TimedOp};
use crate::world;
use std::sync::Arc;

/// Why an attempt at an operation did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The connection is gone.
    Lost(Lost),
    /// The server said: not now.
    Later(String),
}

impl From<Lost> for Trouble {
    fn from(lost: Lost) -> Self {
        Trouble::Lost(lost)
    }
}

/// Nothing to say, or trouble.
pub type Attempt<T = ()> = Result<T, Trouble>;

/// A mail program.
pub struct Program {
    pub(super) shared: Arc<Shared>,
    pub(super) client: u32,
    pub(super) account: u32,
    pub(super) book: Book,
    pub(super) session: Option<Box<Session>>,
    /// The plan id of the operation under way.
    pub(super) op: u32,
    /// Its command has been sent: the operation is not to be begun again.
    pub(super) committed: bool,
    /// The node that was left last.
    left: u32,
}

impl Program {
    /// A mail program of this account that has not signed in yet.
    pub fn new(shared: Arc<Shared>, client: u32, account: u32) -> Self {
        let book = Book::new(client);
        Program { shared, client, account, book, session: None, op: 0, committed: false, left: 0 }
    }

    /// Carries out all operations.
    pub async fn work(mut self, ops: Vec<TimedOp>) {
        let shared = self.shared.clone();
        for TimedOp { wait_ms, id, op } in ops {
            shared.think(wait_ms).await;
            (self.op, self.committed) = (id, false);
            let mut why = String::from("it was not begun");
            if shared.phase.until_over(self.carry_out(&op, &mut why)).await.is_none() {
                // What was under way is torn: the connection is of no use.
                self.session = None;
                shared.history.stuck(self.client, id, why);
            }
        }
        if let Some(mut session) = self.session.take() {
            let _ = session.run(&mut self.book, "LOGOUT", super::view::Doing::Other).await;
        }
    }

    /// Tries until it is done, or until nobody can know whether it is.
    async fn carry_out(&mut self, op: &Op, why: &mut String) {
        let mut tries = 0;
        loop {
            let Err(trouble) = self.attempt(op).await else { return };
            if !matches!(trouble, Trouble::Later(_)) {
                self.drop_session(&trouble);
            }
            if self.committed {
                world::count("client.unknown_outcome");
                return;
            }
            *why = format!("{trouble:?}");
            self.shared.back_off(tries).await;
            tries += 1;
            // A server that cannot now may be the one that is cut off.
            if tries % 2 == 0 {
                self.drop_session(&trouble);
            }
        }
    }

    fn drop_session(&mut self, why: &Trouble) {
        if let Some(session) = self.session.take() {
            self.left = session.node();
            let client = self.client;
            world::count("client.reconnect");
            world::note(world::OUTSIDE, "client", || {
                format!("client {client} leaves node {}: {why:?}", session.node())
            });
        }
    }

    async fn attempt(&mut self, op: &Op) -> Attempt {
        match *op {
            Op::Append { folder, bytes } => self.append(folder, bytes).await,
            Op::Fetch { folder } => self.fetch(folder).await,
            Op::Store { folder, pick, flag, set, unchanged_since } => {
                self.store(folder, pick, flag, set, unchanged_since).await
            }
            Op::Copy { folder, pick, to } => self.copy(folder, pick, to, false).await,
            Op::Move { folder, pick, to } => self.copy(folder, pick, to, true).await,
            Op::Expunge { folder, pick } => self.expunge(folder, pick).await,
            Op::Create { name } => self.create(name).await,
            Op::Rename { name, to } => self.rename(name, to).await,
            Op::Delete { name } => self.delete(name).await,
            Op::Idle { folder, ms } => self.idle(folder, ms).await,
            Op::Search { folder, of } => self.search(folder, of).await,
            Op::Status { folder } => self.status(folder).await,
            Op::Reconnect => self.reconnect().await,
            Op::Deliver { .. }
            | Op::CreateAccount { .. }
            | Op::DeleteAccount { .. }
            | Op::SetPassword { .. }
            | Op::ReadAccount { .. } => Ok(()),
        }
    }

    /// Signs in if there is no connection that works.
    pub(super) async fn connect(&mut self) -> Attempt {
        if let Some(session) = &mut self.session {
            if session.poke(&mut self.book).await.is_ok() {
                return Ok(());
            }
            self.drop_session(&Trouble::Lost(Lost::Closed));
        }
        let node = self.shared.choose_node(self.left);
        let (user, password) = (format!("u{}@sim.example", self.account), format!("pw-{}", self.account));
        match sign_in(&*self.shared.servers, &mut self.book, node, &user, &password).await {
            SignIn::In(session) => {
                self.session = Some(session);
                Ok(())
            }
            SignIn::Refused(status) => {
                self.left = node;
                world::count("client.sign_in_refused");
                Err(Trouble::Later(format!("sign-in at node {node}: {}", status.text)))
            }
            SignIn::Lost(lost) => {
                self.left = node;
                Err(lost.into())
            }
        }
    }

    /// The connection, which [`Self::connect`] has made, and the memory.
    pub(super) fn parts(&mut self) -> Attempt<(&mut Session, &mut Book)> {
        match &mut self.session {
            Some(session) => Ok((session, &mut self.book)),
            None => Err(Trouble::Lost(Lost::Closed)),
        }
    }

    /// Runs a command on the connection.
    pub(super) async fn run(&mut self, command: &str) -> Attempt<Answer> {
        let (session, book) = self.parts()?;
        let answer = session.run(book, command, super::view::Doing::Other).await?;
        if !answer.is_ok() {
            noted_refusal(self.client, command, &answer.status);
        }
        Ok(answer)
    }

    /// Runs a write that must not be sent twice, and writes down how it went.
    pub(super) async fn write(
        &mut self,
        what: What,
        command: &str,
        reply: impl FnOnce(&mut Program, &Answer) -> Outcome,
    ) -> Attempt<Outcome> {
        let (session, _) = self.parts()?;
        let node = session.node();
        let (history, client, op) = (self.shared.history.clone(), self.client, self.op);
        let ticket = history.begin(client, op, what);
        history.sent_to(ticket, node);
        self.committed = true;
        let answer = self.run(command).await?;
        let outcome = if answer.is_ok() { reply(self, &answer) } else { refused(&answer.status) };
        history.end(ticket, outcome.clone());
        Ok(outcome)
    }

    /// One of the messages last seen in a folder. Looks, if the folder was never looked at.
    pub(super) async fn pick(&mut self, folder: u32, pick: u32) -> Attempt<Option<(u32, Known)>> {
        if self.book.folder(folder).pick(pick).is_none() {
            self.fetch(folder).await?;
        }
        let picked = self.book.folder(folder).pick(pick);
        if picked.is_none() {
            world::count("client.nothing_to_pick");
        }
        Ok(picked)
    }

    async fn reconnect(&mut self) -> Attempt {
        if let Some(mut session) = self.session.take() {
            self.left = session.node();
            // A server that does not answer is left all the same.
            let _ = session.run(&mut self.book, "LOGOUT", super::view::Doing::Other).await;
        }
        self.connect().await
    }
}

/// Signs in and leaves at once: whether a password opens a mailbox at this node.
pub async fn try_password(servers: &dyn Servers, client: u32, node: u32, user: &str, password: &str) -> Outcome {
    match sign_in(servers, &mut Book::new(client), node, user, password).await {
        SignIn::In(_) => Outcome::Done(Reply::Accepted),
        SignIn::Refused(status) => refused(&status),
        SignIn::Lost(_) => Outcome::Unknown,
    }
}

/// What a NO means for a command that changes something. Only what is decided before or instead of the change surely
/// had no effect; `[UNAVAILABLE]` says that the server does not know either, and so may `[SERVERBUG]`.
pub fn refused(status: &Status) -> Outcome {
    let text = || format!("{} {}", status.refusal(), status.text);
    match status.refusal() {
        "ALREADYEXISTS" => Outcome::Failed(Refusal::Exists),
        "NONEXISTENT" | "TRYCREATE" => Outcome::Failed(Refusal::NotFound),
        "AUTHENTICATIONFAILED" => Outcome::Failed(Refusal::Credentials),
        "CANNOT" | "NOPERM" | "OVERQUOTA" | "LIMIT" | "TOOBIG" | "INUSE" | "HASCHILDREN" | "READ-ONLY" => {
            Outcome::Failed(Refusal::Other(text()))
        }
        _ => Outcome::Unknown,
    }
}

/// Counts and notes a NO.
pub fn noted_refusal(client: u32, command: &str, status: &Status) {
    world::count(if status.kind == Kind::No { "client.told_no" } else { "client.told_bad" });
    if matches!(&status.code, Some(super::response::Code::Other(name)) if name == "SERVERBUG") {
        world::count("client.told_server_bug");
    }
    world::note(world::OUTSIDE, "client", || {
        format!("client {client}: {command} -> {:?} {:?} {}", status.kind, status.code, status.text)
    });
}

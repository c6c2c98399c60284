//! An administrator who works with accounts through some node's directory, as `prov` and the admin API do.
//!
//! An administrator's tool that is told "unavailable" repeats the command under the same request id, at any node: the
//! state machine answers a repetition with the first one's reply. Replies are kept for ten minutes, and so the tool
//! gives up long before.

use super::Shared;
use super::imap;
use crate::history::{Outcome, Refusal, Reply, Ticket, What};
use crate::plan::{Op, TimedOp};
use crate::world::{self, Random, Stream};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::directory::{Account, AccountBy, Modification};
use zcluster_api::{
    AccountId, Actor, DirectoryApi, DirectoryCommand, DirectoryQuery, DirectoryReply, Error, Freshness, GroupId,
    RequestId,
};
use zcluster_auth::{HashParams, hash_password_with};
use zcluster_runtime::{Either, select};

/// How long one call may take before the node is taken for dead.
const CALL_MAX: Duration = Duration::from_secs(30);
/// Longest way from the administrator to a node, microseconds.
const WAY_MICROS_MAX: u64 = 2_000;
/// One in so many new passwords is tried by signing in.
const SIGN_IN_ONE_IN: u64 = 3;
/// How long a command is repeated; replies are kept for ten minutes.
const REPEAT_NS_MAX: u64 = 240_000_000_000;
/// The attribute that shows which operation set the password.
const MARK: &str = "description";

/// Carries out all operations, one after the other.
pub async fn work(shared: Arc<Shared>, client: u32, ops: Vec<TimedOp>) {
    for TimedOp { wait_ms, id, op } in ops {
        shared.think(wait_ms).await;
        let mut admin = Admin { shared: shared.clone(), client, op: id, trouble: String::new() };
        let finished = shared.phase.until_over(admin.carry_out(&op)).await.is_some();
        if !finished {
            shared.history.stuck(client, id, admin.trouble);
        }
    }
}

struct Admin {
    shared: Arc<Shared>,
    client: u32,
    op: u32,
    trouble: String,
}

type Answered = Result<DirectoryReply, Error>;

impl Admin {
    async fn carry_out(&mut self, op: &Op) {
        match *op {
            Op::CreateAccount { name } => self.create(name).await,
            Op::DeleteAccount { name } => self.delete(name).await,
            Op::SetPassword { name } => self.set_password(name).await,
            Op::ReadAccount { name } => drop(self.read(name).await),
            _ => {}
        }
    }

    async fn create(&mut self, name: u32) {
        let id = AccountId(random_bytes());
        let command = DirectoryCommand::CreateAccount {
            id,
            name: address(name),
            attrs: self.password(),
            group: GroupId::DIRECTORY,
        };
        let outcome = self.write(What::CreateAccount { name, id: id.to_string() }, command).await;
        if matches!(outcome, Outcome::Done(_)) {
            self.try_password(name).await;
        }
    }

    async fn delete(&mut self, name: u32) {
        let Some(id) = self.read(name).await else { return };
        let what = What::DeleteAccount { name, id: id.to_string() };
        self.write(what, DirectoryCommand::DeleteAccount(id)).await;
    }

    async fn set_password(&mut self, name: u32) {
        let Some(id) = self.read(name).await else { return };
        let command = DirectoryCommand::ModifyAccount { id, changes: self.password() };
        let outcome = self.write(What::SetPassword { name, id: id.to_string() }, command).await;
        if matches!(outcome, Outcome::Done(_)) {
            self.try_password(name).await;
        }
    }

    /// The operation's password, and its mark.
    fn password(&self) -> Vec<Modification> {
        let hash = hash_password_with(HashParams::cheap(), &format!("pw-{}", self.op));
        vec![Modification::set("userPassword", &hash), Modification::set(MARK, self.op.to_string())]
    }

    /// Reads an account until there is an answer; its id.
    async fn read(&mut self, name: u32) -> Option<AccountId> {
        let mut tries = 0;
        loop {
            let (ticket, node) = self.begin(What::ReadAccount { name });
            let query = DirectoryQuery::Account(AccountBy::Address(address(name)));
            let answer = self.call(node, move |directory| {
                Box::pin(async move { directory.read(query, Freshness::Linearizable).await })
            });
            match answer.await {
                Some(Ok(DirectoryReply::Account(account))) => {
                    self.shared.history.end(ticket, Outcome::Done(shown(&account)));
                    return Some(account.id);
                }
                Some(Err(Error::NotFound(_))) => {
                    self.shared.history.end(ticket, Outcome::Failed(Refusal::NotFound));
                    return None;
                }
                other => self.trouble = format!("node {node}: {other:?}"),
            }
            self.shared.back_off(tries).await;
            tries += 1;
        }
    }

    /// Sends a command until there is an answer, always under the same request id.
    async fn write(&mut self, what: What, command: DirectoryCommand) -> Outcome {
        let request = RequestId(random_bytes());
        let (ticket, mut node) = self.begin(what);
        let (begun, mut tries) = (world::now(), 0);
        while world::now() - begun < REPEAT_NS_MAX {
            let command = command.clone();
            let answer = self.call(node, move |directory| {
                let actor = Actor::Admin(AccountId([0; 16]));
                Box::pin(async move { directory.write(actor, request, command).await })
            });
            let answer = answer.await;
            let outcome = answer.as_ref().map_or(Outcome::Unknown, outcome_of);
            if outcome != Outcome::Unknown {
                self.shared.history.end(ticket, outcome.clone());
                return outcome;
            }
            self.trouble = format!("node {node}: {answer:?}");
            world::count("client.command_repeated");
            self.shared.back_off(tries).await;
            tries += 1;
            node = self.shared.choose_node(node);
            self.shared.history.sent_to(ticket, node);
        }
        world::count("client.unknown_outcome");
        Outcome::Unknown
    }

    fn begin(&self, what: What) -> (Ticket, u32) {
        let node = self.shared.choose_node(0);
        let ticket = self.shared.history.begin(self.client, self.op, what);
        self.shared.history.sent_to(ticket, node);
        (ticket, node)
    }

    /// Makes a call at a node; nothing when the node is down or takes too long.
    async fn call(
        &self,
        node: u32,
        ask: impl FnOnce(Arc<dyn DirectoryApi>) -> BoxFuture<'static, Answered>,
    ) -> Option<Answered> {
        on_the_way().await;
        let directory = self.shared.servers.directory(node)?;
        let answer = match select(ask(directory), world::sleep(CALL_MAX)).await {
            Either::Left(answer) => Some(answer),
            Either::Right(()) => None,
        };
        on_the_way().await;
        answer
    }

    /// Now and then: does the new password open the mailbox?
    async fn try_password(&mut self, name: u32) {
        if world::draw(Stream::Workload, |r| r.below(SIGN_IN_ONE_IN)) != 0 {
            return;
        }
        let (ticket, node) = self.begin(What::Login { name, password: self.op });
        let password = format!("pw-{}", self.op);
        let outcome = imap::try_password(&*self.shared.servers, self.client, node, &address(name), &password).await;
        world::count("client.new_password_tried");
        self.shared.history.end(ticket, outcome);
    }
}

/// What a directory's answer to a command says. `Unavailable` is the outcome nobody knows; faults of ours may be, too.
fn outcome_of(answer: &Answered) -> Outcome {
    match answer {
        Ok(DirectoryReply::Account(account)) => Outcome::Done(shown(account)),
        Ok(_) => Outcome::Done(Reply::Accepted),
        Err(Error::Exists(_)) => Outcome::Failed(Refusal::Exists),
        Err(Error::NotFound(_)) => Outcome::Failed(Refusal::NotFound),
        Err(Error::Unavailable(_) | Error::Internal(_) | Error::WrongHome { .. }) => Outcome::Unknown,
        Err(
            error @ (Error::Denied(_)
            | Error::QuotaExceeded
            | Error::Conflict(_)
            | Error::TooLarge(_)
            | Error::Invalid(_)),
        ) => Outcome::Failed(Refusal::Other(error.to_string())),
    }
}

fn shown(account: &Account) -> Reply {
    let password = account.attrs.get(MARK).and_then(|mark| mark.parse().ok());
    Reply::Account { id: account.id.to_string(), password }
}

fn address(name: u32) -> String {
    format!("a{name}@sim.example")
}

async fn on_the_way() {
    let micros = world::draw(Stream::Workload, |r| r.range(50, WAY_MICROS_MAX));
    world::sleep(Duration::from_micros(micros)).await;
}

fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    world::draw(Stream::Workload, |r: &mut Random| r.fill(&mut bytes));
    bytes
}

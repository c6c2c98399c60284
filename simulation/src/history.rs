//! What clients asked for and what they were told: the recorded history the checkers judge.
//!
//! A record is made when a client begins an operation and completed when it knows the outcome. An operation whose
//! outcome the client never learned stays open: it may have happened at any time after its beginning, or never.

use crate::world;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Everything clients did in one world, in order of beginning. Shared by all clients.
#[derive(Default)]
pub struct History {
    records: Mutex<Vec<Record>>,
    stuck: Mutex<Vec<Stuck>>,
}

/// A plan operation that its client still tried to carry out when the heal phase was over: the healed cluster did not
/// serve it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Which client.
    pub client: u32,
    /// The plan's operation id.
    pub op: u32,
    /// What stood in the way last.
    pub why: String,
}

/// One operation of one client. Some plan operations make several records (an expunge is a STORE and an EXPUNGE).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which client, numbered as in the plan.
    pub client: u32,
    /// The plan's operation id.
    pub op: u32,
    /// When the client began, true nanoseconds.
    pub invoke: u64,
    /// When the client had its answer. `None`: it never had one, the operation is open.
    pub ret: Option<u64>,
    /// The node that was asked last (0: none was reached).
    pub node: u32,
    /// What was asked for.
    pub what: What,
    /// What the client knows of the outcome.
    pub outcome: Outcome,
}

/// What an operation asks for. Accounts are the plan's numbers: `u<account>@sim.example`, and `a<name>@sim.example` for
/// the administrator's. Mail folders are the plan's numbers: 0 is INBOX, 1-3 are `F1`-`F3`. Messages are named by the
/// plan id of the operation that made them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants' texts speak of their fields")]
pub enum What {
    /// LMTP: one record per recipient, begun with the first of all attempts. -> `Accepted`
    Deliver { account: u32, message: u32 },
    /// APPEND. -> `Appended`
    Append { account: u32, folder: u32, message: u32 },
    /// SELECT, then FETCH of everything. -> `Fetched`
    Fetch { account: u32, folder: u32 },
    /// UID STORE of one flag on one message that the client takes for `message`. -> `Stored`
    Store {
        account: u32,
        folder: u32,
        uid_validity: u32,
        uid: u32,
        message: Option<u32>,
        flag: String,
        set: bool,
        unchanged_since: Option<u64>,
    },
    /// UID COPY. -> `Copied`
    Copy { account: u32, folder: u32, uid_validity: u32, uid: u32, message: Option<u32>, to: u32 },
    /// UID MOVE. -> `Copied`
    Move { account: u32, folder: u32, uid_validity: u32, uid: u32, message: Option<u32>, to: u32 },
    /// UID EXPUNGE. -> `Expunged`
    Expunge { account: u32, folder: u32, uid_validity: u32, uid: u32, message: Option<u32> },
    /// CREATE; the name is the mailbox name on the wire (`X1`, `F2`). -> `Accepted`, or refused with `Exists`
    Create { account: u32, name: String },
    /// RENAME. -> `Accepted`, or refused with `NotFound` (the old name) or `Exists` (the new one)
    Rename { account: u32, name: String, to: String },
    /// DELETE. -> `Accepted`, or refused with `NotFound`
    Delete { account: u32, name: String },
    /// STATUS. -> `Status`
    Status { account: u32, folder: u32 },
    /// UID SEARCH for the subject of `of` in a folder selected before. -> `Found`
    Search { account: u32, folder: u32, uid_validity: u32, of: u32 },
    /// SELECT and IDLE. -> `Idled`
    Idle { account: u32, folder: u32 },
    /// Admin: creates `a<name>` with this id (its `zimbraId` as text) and password `op`. -> `Account`, or refused with
    /// `Exists`
    CreateAccount { name: u32, id: String },
    /// Admin: deletes the account of this id. -> `Accepted`, or refused with `NotFound`
    DeleteAccount { name: u32, id: String },
    /// Admin: sets the password of the account of this id to `op`. -> `Account`, or refused with `NotFound`
    SetPassword { name: u32, id: String },
    /// Admin: reads `a<name>` linearizably. -> `Account`, or refused with `NotFound`
    ReadAccount { name: u32 },
    /// IMAP LOGIN as `a<name>` with password `password`. -> `Accepted`, or refused with `Credentials`
    Login { name: u32, password: u32 },
}

/// How an operation ended, as far as its client knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out; the server said so.
    Done(Reply),
    /// It surely had no effect: the server refused it.
    Failed(Refusal),
    /// The client does not know (yet): the operation may take effect at any time, or never. Reads that broke off are
    /// unknown too, and say nothing.
    Unknown,
}

/// Why an operation was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The name is taken: `[ALREADYEXISTS]`, `Error::Exists`.
    Exists,
    /// There is no such thing: `[NONEXISTENT]`, `[TRYCREATE]`, `Error::NotFound`.
    NotFound,
    /// Wrong user name or password.
    Credentials,
    /// Anything else; the server's words.
    Other(String),
}

/// A message as a FETCH or STORE showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// UID.
    pub uid: u32,
    /// The plan id in its Subject (`m<id>`); `None` where it was not asked for or is not one of ours.
    pub message: Option<u32>,
    /// Flags and keywords without `\Recent`.
    pub flags: BTreeSet<String>,
    /// MODSEQ.
    pub modseq: u64,
}

/// What the server told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants' texts speak of their fields")]
pub enum Reply {
    /// Yes, and nothing more.
    Accepted,
    /// APPENDUID.
    Appended { uid_validity: u32, uid: u32 },
    /// SELECT's facts, at one position between `invoke` and `selected`; and what FETCH showed later, between `selected`
    /// and the return: messages in UID order. A message that was expunged meanwhile is not shown.
    Fetched { uid_validity: u32, uid_next: u32, highest_modseq: u64, exists: u32, selected: u64, messages: Vec<Seen> },
    /// STORE was answered with OK. `modified`: the message was left alone because it had changed (`[MODIFIED]`).
    /// `after`: how the message is now; `None` when it was left alone or is not there.
    Stored { modified: bool, after: Option<Seen> },
    /// COPYUID: the UID in the target; `None` when the message was not there any more.
    Copied { copied: Option<CopiedTo> },
    /// Whether the message is gone from the client's view after the command.
    Expunged { gone: bool },
    /// STATUS.
    Status { messages: u32, uid_next: u32, uid_validity: u32, highest_modseq: u64, unseen: u32 },
    /// SEARCH.
    Found { uids: BTreeSet<u32> },
    /// The number of messages on SELECT, then after each EXISTS and EXPUNGE while the client was idle.
    Idled { uid_validity: u32, exists: Vec<u32> },
    /// The account as it is: its id and its description (the plan id that stands for the password).
    Account { id: String, password: Option<u32> },
}

/// Where a copied or moved message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopiedTo {
    /// The target's UIDVALIDITY.
    pub uid_validity: u32,
    /// UID there.
    pub uid: u32,
}

/// A record's place in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(usize);

impl History {
    /// An empty history.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A client begins an operation.
    pub fn begin(&self, client: u32, op: u32, what: What) -> Ticket {
        let record = Record { client, op, invoke: world::now(), ret: None, node: 0, what, outcome: Outcome::Unknown };
        let mut records = self.records.lock();
        records.push(record);
        Ticket(records.len() - 1)
    }

    /// The operation is being sent to this node.
    pub fn sent_to(&self, ticket: Ticket, node: u32) {
        if let Some(record) = self.records.lock().get_mut(ticket.0) {
            record.node = node;
        }
    }

    /// The client knows the outcome; completing a record twice, or with `Unknown`, changes nothing.
    pub fn end(&self, ticket: Ticket, outcome: Outcome) {
        if outcome == Outcome::Unknown {
            return;
        }
        let now = world::now();
        let ended = {
            let mut records = self.records.lock();
            match records.get_mut(ticket.0).filter(|r| r.ret.is_none()) {
                Some(record) => {
                    record.ret = Some(now);
                    record.outcome = outcome;
                    Some(record.clone())
                }
                None => None,
            }
        };
        if let Some(record) = ended {
            announce(ticket, &record);
        }
    }

    /// A client had to give up on an operation because the heal phase is over.
    pub fn stuck(&self, client: u32, op: u32, why: impl Into<String>) {
        let stuck = Stuck { client, op, why: why.into() };
        world::note(world::OUTSIDE, "stuck", || format!("client {client} op {op}: {}", stuck.why));
        self.stuck.lock().push(stuck);
    }

    /// Operations that could not be carried out in a healed cluster.
    pub fn stuck_ops(&self) -> Vec<Stuck> {
        self.stuck.lock().clone()
    }

    /// A copy of all records, in order of beginning.
    pub fn records(&self) -> Vec<Record> {
        self.records.lock().clone()
    }

    /// A look at all records without copying; `f` must not call the history again.
    pub fn with_records<R>(&self, f: impl FnOnce(&[Record]) -> R) -> R {
        f(&self.records.lock())
    }

    /// How many operations were acknowledged (carried out, as their clients know).
    pub fn acknowledged(&self) -> u64 {
        self.with_records(|records| records.iter().filter(|r| matches!(r.outcome, Outcome::Done(_))).count() as u64)
    }
}

/// Puts a completed record into the world's trace: one event for the hash, one line for people.
fn announce(ticket: Ticket, record: &Record) {
    let done = matches!(record.outcome, Outcome::Done(_));
    let facts = [ticket.0 as u64, record.client.into(), record.op.into(), u64::from(done)];
    world::event(if done { "ack" } else { "refused" }, &facts);
    world::note(world::OUTSIDE, if done { "ack" } else { "refused" }, || {
        let Record { client, op, node, what, outcome, .. } = record;
        let told = match outcome {
            Outcome::Done(reply) => format!("{reply:?}"),
            other => format!("{other:?}"),
        };
        format!("client {client} op {op} at node {node}: {what:?} -> {}", shortened(told))
    });
}

/// A line that a person can still read: replies of large folders are cut.
fn shortened(mut text: String) -> String {
    const TOLD_BYTES_MAX: usize = 400;
    if text.len() > TOLD_BYTES_MAX {
        let mut end = TOLD_BYTES_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str("...");
    }
    text
}

//! Proving that every body is where its shard says, and that nothing lies on volumes that no shard knows (Zimbra's
//! `zmblobchk`).
//!
//! Each shard's leader compares its own rows with its own part of each volume (names begin with `packs/<shard>/`), at a
//! position that it has proved to be the latest; who was asked gathers what they find and looks at what lies outside of
//! all shards' parts. What changes meanwhile is looked at again before it is called a problem.

mod gather;
mod recover;
mod shard;
mod strangers;

pub(crate) use recover::have;
pub(crate) use shard::serve;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use zcluster_api::GroupId;

/// Problems told one by one of a shard, and of a volume outside of shards; more are counted.
pub const PROBLEMS_MAX: u64 = 10_000;

/// What is to be looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct VerifyAsk {
    /// Only this volume; none: all, and the shards.
    #[n(0)]
    pub volume: Option<String>,
    /// Every body is read, and compared with its name; every pack's index is verified.
    #[n(1)]
    pub deep: bool,
    /// What can be put right is.
    #[n(2)]
    pub repair: bool,
}

/// The same of one shard.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct VerifyShard {
    #[n(0)]
    pub group: GroupId,
    #[n(1)]
    pub ask: VerifyAsk,
}

/// What was looked at so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Tally {
    /// Shards.
    #[n(0)]
    pub shards: u64,
    /// Messages whose body's row was looked for.
    #[n(1)]
    pub messages: u64,
    /// Bodies that lie in shards.
    #[n(2)]
    pub shard_bodies: u64,
    /// Bodies that lie on volumes.
    #[n(3)]
    pub volume_bodies: u64,
    /// Objects that bodies lie in.
    #[n(4)]
    pub objects: u64,
    /// Their bytes.
    #[n(5)]
    pub object_bytes: u64,
    /// Objects without bodies, that will be deleted.
    #[n(6)]
    pub trash: u64,
    /// Bodies that were read and compared with their names.
    #[n(7)]
    pub verified_bodies: u64,
    /// Problems.
    #[n(8)]
    pub problems: u64,
    /// Problems that were put right.
    #[n(9)]
    pub repaired: u64,
}

impl Tally {
    fn add(&mut self, other: &Tally) {
        let Tally { shards, messages, shard_bodies, volume_bodies, objects, object_bytes, trash, .. } = other;
        self.shards += shards;
        self.messages += messages;
        self.shard_bodies += shard_bodies;
        self.volume_bodies += volume_bodies;
        self.objects += objects;
        self.object_bytes += object_bytes;
        self.trash += trash;
        self.verified_bodies += other.verified_bodies;
        self.problems += other.problems;
        self.repaired += other.repaired;
    }
}

/// Kinds of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// A message names a body that its shard does not know.
    #[n(0)]
    UnknownBody,
    /// A body's row and those of its object do not agree.
    #[n(1)]
    WrongPlace,
    /// A body in a shard cannot be read there, or is not what its name says.
    #[n(2)]
    DamagedShardBody,
    /// An object in which bodies lie is not on its volume.
    #[n(3)]
    MissingObject,
    /// It has another length.
    #[n(4)]
    WrongLength,
    /// It is no whole pack, or its index is damaged.
    #[n(5)]
    DamagedPack,
    /// A body in an object is not what its name says.
    #[n(6)]
    DamagedBody,
    /// An object that no shard knows.
    #[n(7)]
    Orphan,
    /// Something could not be asked: nothing is said about it.
    #[n(8)]
    Unanswered,
}

impl ProblemKind {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            ProblemKind::UnknownBody => "unknown-body",
            ProblemKind::WrongPlace => "wrong-place",
            ProblemKind::DamagedShardBody => "damaged-shard-body",
            ProblemKind::MissingObject => "missing-object",
            ProblemKind::WrongLength => "wrong-length",
            ProblemKind::DamagedPack => "damaged-pack",
            ProblemKind::DamagedBody => "damaged-body",
            ProblemKind::Orphan => "orphan",
            ProblemKind::Unanswered => "unanswered",
        }
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Problem {
    /// What.
    #[n(0)]
    pub kind: ProblemKind,
    /// In which shard.
    #[n(1)]
    pub shard: Option<u32>,
    /// Volume and object.
    #[n(2)]
    pub object: Option<String>,
    /// The body.
    #[n(3)]
    pub body: Option<String>,
    /// More of it, for people.
    #[n(4)]
    pub text: String,
    /// It was put right.
    #[n(5)]
    pub repaired: bool,
}

impl Problem {
    fn new(kind: ProblemKind, text: impl Into<String>) -> Problem {
        Problem { kind, shard: None, object: None, body: None, text: text.into(), repaired: false }
    }
    fn on(mut self, volume: &str, object: &str) -> Problem {
        self.object = Some(format!("{volume}:{object}"));
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind.name())?;
        if let Some(shard) = self.shard {
            write!(f, " shard={shard}")?;
        }
        if let Some(object) = &self.object {
            write!(f, " object={object}")?;
        }
        if let Some(body) = &self.body {
            write!(f, " body={body}")?;
        }
        write!(f, ": {}", self.text)
    }
}

/// What is told meanwhile and at the end.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerifyNews {
    /// So far.
    #[n(0)]
    Progress(#[n(0)] Tally),
    /// A problem.
    #[n(1)]
    Problem(#[n(0)] Problem),
    /// All was looked at.
    #[n(2)]
    Done(#[n(0)] Tally),
}

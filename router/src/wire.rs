//! What routers say to each other: methods 100-199.
//!
//! A request is a small head and a payload that is passed on as it came: the payload of a write is the very log entry
//! that the leader proposes, so that a body is encoded once on its way. An answer is one byte of kind and its bytes.

use bytes::{BufMut, Bytes, BytesMut};
use minicbor::{Decode, Encode};
use zcluster_api::{
    AccountId, BlobRef, Epoch, Error, Find, GroupId, Hit, MailboxId, MailboxQuery, ModSeq, RequestId, Result, codec,
};

/// Propose the payload in a group that the receiver leads.
pub const WRITE: u16 = 100;
/// Answer a mailbox query as the group's leader.
pub const READ: u16 = 101;
/// Report on the receiver: [`crate::NodeReport`].
pub const REPORT: u16 = 102;
/// The groups that the receiver leads, proved by a round of each, with their members: a list of
/// [`crate::ReplicaReport`]. What a deposed leader believes is not among them.
pub const LED: u16 = 103;
/// How many bodies lie on a volume (its name), by the shards that the receiver leads: a list of group and number.
pub const VOLUME_USE: u16 = 104;
/// How far the receiver's text indexes are, and have a mailbox indexed anew: [`TextsHead`] -> a list of group and state.
pub const TEXTS: u16 = 107;
/// What the receiver's volume policies do, or shall do: [`crate::hsm::HsmAsk`], answered by [`crate::HsmStatus`].
pub const HSM: u16 = 105;
/// Which of these bodies the receiver has in some shard: a list of names, answered by a list of name and group.
pub const HAVE: u16 = 106;
/// Stream a body's bytes.
pub const BODY: u16 = 110;
/// Stream a mailbox's mod-sequences.
pub const WATCH: u16 = 111;

/// Stream what a search finds in mailboxes of a shard that the receiver leads: [`DiscoverHead`] -> [`DiscoverFrame`]s.
pub const DISCOVER: u16 = 113;
/// Stream what the leader of a shard finds when it compares bodies, objects and volumes: [`crate::verify::VerifyShard`],
/// answered by [`crate::VerifyNews`].
pub const VERIFY: u16 = 112;

/// Bytes of a head; a longer one is refused before it is decoded.
const HEAD_MAX: usize = 1 << 20;

/// Head of [`WRITE`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct WriteHead {
    #[n(0)]
    pub group: GroupId,
    #[n(1)]
    pub request: RequestId,
    #[n(2)]
    pub timeout_ms: u64,
    #[n(3)]
    pub account: Option<AccountId>,
}

/// Head of [`READ`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ReadHead {
    #[n(0)]
    pub group: GroupId,
    #[n(1)]
    pub request: RequestId,
    #[n(2)]
    pub timeout_ms: u64,
    #[n(3)]
    pub account: Option<AccountId>,
    #[n(4)]
    pub mailbox: MailboxId,
    #[n(5)]
    pub epoch: Epoch,
    #[n(6)]
    pub quota: u64,
    #[n(7)]
    pub query: MailboxQuery,
    /// The asking account, when it is not the owner.
    #[n(8)]
    pub actor: Option<AccountId>,
}

/// Head of [`TEXTS`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TextsHead {
    /// Of this group alone.
    #[n(0)]
    pub group: Option<GroupId>,
    /// Have this mailbox of it indexed anew.
    #[n(1)]
    pub anew: Option<MailboxId>,
}

/// Head of [`DISCOVER`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DiscoverHead {
    #[n(0)]
    pub group: GroupId,
    /// Which mailboxes, at which home epochs.
    #[n(1)]
    pub mailboxes: Vec<(MailboxId, Epoch)>,
    #[n(2)]
    pub find: Find,
    #[n(3)]
    pub timeout_ms: u64,
}

/// A mailbox with hits, or the end.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DiscoverFrame {
    /// None: this is the end, and nothing was left out.
    #[n(0)]
    pub mailbox: Option<MailboxId>,
    #[n(1)]
    pub hits: Vec<Hit>,
    #[n(2)]
    pub total: u64,
    #[n(3)]
    pub position: Option<u64>,
    /// Why it goes no further.
    #[n(4)]
    pub error: Option<Error>,
}

/// Head of [`BODY`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BodyHead {
    #[n(0)]
    pub group: GroupId,
    #[n(1)]
    pub blob: BlobRef,
    #[n(2)]
    pub from: u64,
    #[n(3)]
    pub to: u64,
}

/// Head of [`WATCH`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct WatchHead {
    #[n(0)]
    pub group: GroupId,
    #[n(1)]
    pub mailbox: MailboxId,
    #[n(2)]
    pub since: ModSeq,
}

/// Why a try brought no result.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Miss {
    /// The asked node does not lead the group; surely no effect.
    #[n(0)]
    NotLeader(#[n(0)] Option<u64>),
    /// Overload, no such group there, not reached; surely no effect.
    #[n(1)]
    Refused(#[n(0)] String),
    /// There may or may not be an effect.
    #[n(2)]
    Unknown(#[n(0)] String),
    /// An answer after all: it will not get better by trying again.
    #[n(3)]
    Api(#[n(0)] Error),
}

impl std::fmt::Display for Miss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Miss::NotLeader(_) => f.write_str("no leader"),
            Miss::Refused(s) | Miss::Unknown(s) => f.write_str(s),
            Miss::Api(e) => e.fmt(f),
        }
    }
}

/// Joins head and payload.
pub fn request<T: Encode<()>>(head: &T, payload: &[u8]) -> Bytes {
    let head = codec::encode(head);
    let mut out = BytesMut::with_capacity(4 + head.len() + payload.len());
    // Heads are far below 4 GiB: the receiver refuses more than HEAD_MAX.
    out.put_u32_le(u32::try_from(head.len()).unwrap_or(u32::MAX));
    out.put_slice(&head);
    out.put_slice(payload);
    out.freeze()
}

/// Takes a request apart.
///
/// # Errors
/// `Invalid` when it is none.
pub fn open_request<T: for<'b> Decode<'b, ()>>(mut body: Bytes) -> Result<(T, Bytes)> {
    let bad = || Error::Invalid("request head".into());
    let len = body.first_chunk::<4>().map(|b| u32::from_le_bytes(*b) as usize).ok_or_else(bad)?;
    if len > HEAD_MAX || body.len() - 4 < len {
        return Err(bad());
    }
    let head = codec::decode(&body[4..4 + len])?;
    Ok((head, body.split_off(4 + len)))
}

const HIT: u8 = 0;
const MISS: u8 = 1;

/// Encodes an answer.
pub fn answer(outcome: Result<Bytes, Miss>) -> Bytes {
    let (kind, bytes) = match outcome {
        Ok(bytes) => (HIT, bytes),
        Err(miss) => (MISS, codec::encode(&miss).into()),
    };
    let mut out = BytesMut::with_capacity(1 + bytes.len());
    out.put_u8(kind);
    out.put_slice(&bytes);
    out.freeze()
}

/// Decodes an answer. One that is none leaves the outcome unknown.
///
/// # Errors
/// The miss.
pub fn open_answer(mut bytes: Bytes) -> Result<Bytes, Miss> {
    let unknown = |what: &str| Miss::Unknown(format!("unreadable answer: {what}"));
    let kind = *bytes.first().ok_or_else(|| unknown("empty"))?;
    let rest = bytes.split_off(1);
    match kind {
        HIT => Ok(rest),
        MISS => Err(codec::decode(&rest).unwrap_or_else(|e| unknown(&e.to_string()))),
        _ => Err(unknown("unknown kind")),
    }
}

/// A write's result: the index that the leader has applied (at least the write's), and the machine's reply.
pub fn written(applied: u64, reply: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(8 + reply.len());
    out.put_u64_le(applied);
    out.put_slice(reply);
    out.freeze()
}

/// Takes a write's result apart.
///
/// # Errors
/// `Unknown` when it is none.
pub fn open_written(mut bytes: Bytes) -> Result<(u64, Bytes), Miss> {
    let applied = bytes.first_chunk::<8>().map(|b| u64::from_le_bytes(*b));
    let applied = applied.ok_or_else(|| Miss::Unknown("unreadable answer: short".into()))?;
    Ok((applied, bytes.split_off(8)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_and_answers_come_back() {
        let head = WatchHead { group: GroupId(3), mailbox: MailboxId(9), since: ModSeq(77) };
        let (back, payload) = open_request::<WatchHead>(request(&head, b"payload")).unwrap();
        assert_eq!((back, &payload[..]), (head, &b"payload"[..]));
        assert_eq!(open_answer(answer(Ok(written(7, b"x")))).and_then(open_written), Ok((7, Bytes::from_static(b"x"))));
        for miss in [Miss::NotLeader(Some(3)), Miss::Refused("a".into()), Miss::Api(Error::QuotaExceeded)] {
            assert_eq!(open_answer(answer(Err(miss.clone()))), Err(miss));
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let bytes = Bytes::from(bytes);
            let _ = open_request::<ReadHead>(bytes.clone());
            let _ = open_request::<WriteHead>(bytes.clone());
            let _ = open_request::<BodyHead>(bytes.clone());
            let _ = open_answer(bytes.clone()).map(open_written);
        }
    }
}

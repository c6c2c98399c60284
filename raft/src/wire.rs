//! What peers say to each other: openraft's messages in our codec. Every message begins with a version byte and the
//! group it is for.

use crate::codec::{Reader, Writer};
use crate::log::Vote;
use crate::types::{
    C, RaftId, RaftVote, entry_from_raft, entry_to_raft, from_raft, to_raft, vote_from_raft, vote_to_raft,
};
use crate::{Entry, LogId, ReadError};
use bytes::Bytes;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderError, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use std::io;

/// Version of all messages.
const VERSION: u8 = 1;
/// Entries in one append at most; a bound for decoding.
const MAX_ENTRIES: u64 = 1 << 16;

/// Methods of the raft service (0-99 are ours).
pub(crate) mod method {
    pub(crate) const APPEND: u16 = 0;
    pub(crate) const VOTE: u16 = 1;
    pub(crate) const PRE_VOTE: u16 = 2;
    pub(crate) const TRANSFER_LEADER: u16 = 3;
    pub(crate) const READ_INDEX: u16 = 4;
    pub(crate) const SNAPSHOT_BEGIN: u16 = 5;
    pub(crate) const SNAPSHOT_CHUNK: u16 = 6;
    pub(crate) const SNAPSHOT_FINISH: u16 = 7;
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

pub(crate) fn writer(capacity: usize, group: u32) -> Writer {
    let mut w = Writer::with_capacity(capacity + 5);
    w.u8(VERSION);
    w.u32(group);
    w
}

/// Reads the head of a request: the group it is for.
pub(crate) fn open(body: Bytes) -> io::Result<(u32, Reader)> {
    let mut r = Reader::new(body);
    r.version(VERSION)?;
    let group = r.u32()?;
    Ok((group, r))
}

fn answer(capacity: usize) -> Writer {
    let mut w = Writer::with_capacity(capacity + 1);
    w.u8(VERSION);
    w
}

fn open_answer(body: Bytes) -> io::Result<Reader> {
    let mut r = Reader::new(body);
    r.version(VERSION)?;
    Ok(r)
}

fn put_vote(w: &mut Writer, v: &RaftVote) {
    w.vote(vote_from_raft(v));
}

fn get_vote(r: &mut Reader) -> io::Result<RaftVote> {
    r.vote().map(vote_to_raft)
}

fn put_opt(w: &mut Writer, id: Option<&RaftId>) {
    w.opt_id(id.map(from_raft));
}

fn get_opt(r: &mut Reader) -> io::Result<Option<RaftId>> {
    Ok(r.opt_id()?.map(to_raft))
}

/// Entries are contiguous: only the first index is written.
pub(crate) fn encode_append(group: u32, req: AppendEntriesRequest<C>) -> Bytes {
    let entries: Vec<Entry> = req.entries.into_iter().map(entry_from_raft).collect();
    let bytes: usize = entries.iter().map(crate::log::weight).sum();
    let mut w = writer(96 + bytes, group);
    put_vote(&mut w, &req.vote);
    put_opt(&mut w, req.prev_log_id.as_ref());
    put_opt(&mut w, req.leader_commit.as_ref());
    w.u32(entries.len() as u32);
    w.u64(entries.first().map_or(0, |e| e.id.index));
    for entry in &entries {
        let (kind, body) = crate::log::kind_parts(&entry.kind);
        w.u64(entry.id.term);
        w.u8(kind);
        w.bytes(body);
    }
    w.finish()
}

pub(crate) fn decode_append(mut r: Reader) -> io::Result<AppendEntriesRequest<C>> {
    let vote = get_vote(&mut r)?;
    let prev_log_id = get_opt(&mut r)?;
    let leader_commit = get_opt(&mut r)?;
    let count = r.count(MAX_ENTRIES)?;
    let first = r.u64()?;
    if count > 0 && first != prev_log_id.map_or(0, |p| p.index.saturating_add(1)) {
        return Err(invalid("entries do not follow the previous one"));
    }
    let mut entries = Vec::new();
    for n in 0..count {
        let term = r.u64()?;
        let kind = r.u8()?;
        let kind = crate::log::kind_from_parts(kind, r.bytes()?)?;
        let index = first.checked_add(n).ok_or_else(|| invalid("index out of range"))?;
        entries.push(entry_to_raft(Entry { id: LogId { term, index }, kind })?);
    }
    r.end()?;
    Ok(AppendEntriesRequest { vote, prev_log_id, entries, leader_commit })
}

pub(crate) fn encode_append_answer(a: &AppendEntriesResponse<C>) -> Bytes {
    let mut w = answer(24);
    match a {
        AppendEntriesResponse::Success => w.u8(0),
        AppendEntriesResponse::PartialSuccess(id) => {
            w.u8(1);
            put_opt(&mut w, id.as_ref());
        }
        AppendEntriesResponse::Conflict => w.u8(2),
        AppendEntriesResponse::HigherVote(v) => {
            w.u8(3);
            put_vote(&mut w, v);
        }
    }
    w.finish()
}

pub(crate) fn decode_append_answer(body: Bytes) -> io::Result<AppendEntriesResponse<C>> {
    let mut r = open_answer(body)?;
    let a = match r.u8()? {
        0 => AppendEntriesResponse::Success,
        1 => AppendEntriesResponse::PartialSuccess(get_opt(&mut r)?),
        2 => AppendEntriesResponse::Conflict,
        3 => AppendEntriesResponse::HigherVote(get_vote(&mut r)?),
        _ => return Err(invalid("unknown answer")),
    };
    r.end()?;
    Ok(a)
}

pub(crate) fn encode_vote(group: u32, req: &VoteRequest<C>) -> Bytes {
    let mut w = writer(40, group);
    put_vote(&mut w, &req.vote);
    put_opt(&mut w, req.last_log_id.as_ref());
    w.u8(u8::from(req.leadership_transfer));
    w.finish()
}

pub(crate) fn decode_vote(mut r: Reader) -> io::Result<VoteRequest<C>> {
    let vote = get_vote(&mut r)?;
    let mut req = VoteRequest::new(vote, get_opt(&mut r)?);
    req.leadership_transfer = r.bool()?;
    r.end()?;
    Ok(req)
}

pub(crate) fn encode_vote_answer(a: &VoteResponse<C>) -> Bytes {
    let mut w = answer(40);
    put_vote(&mut w, &a.vote);
    w.u8(u8::from(a.vote_granted));
    put_opt(&mut w, a.last_log_id.as_ref());
    w.finish()
}

pub(crate) fn decode_vote_answer(body: Bytes) -> io::Result<VoteResponse<C>> {
    let mut r = open_answer(body)?;
    let vote = get_vote(&mut r)?;
    let granted = r.bool()?;
    let a = VoteResponse::new(vote, get_opt(&mut r)?, granted);
    r.end()?;
    Ok(a)
}

pub(crate) fn encode_transfer(group: u32, req: &TransferLeaderRequest<C>) -> Bytes {
    let mut w = writer(48, group);
    put_vote(&mut w, req.from_leader());
    w.u64(*req.to_node_id());
    put_opt(&mut w, req.last_log_id());
    w.finish()
}

pub(crate) fn decode_transfer(mut r: Reader) -> io::Result<TransferLeaderRequest<C>> {
    let from = get_vote(&mut r)?;
    let to = r.u64()?;
    let req = TransferLeaderRequest::new(from, to, get_opt(&mut r)?);
    r.end()?;
    Ok(req)
}

pub(crate) fn encode_transfer_answer(a: &TransferLeaderResponse<C>) -> Bytes {
    let mut w = answer(40);
    match a {
        Ok(()) => w.u8(0),
        Err(TransferLeaderError::VoteChanged { expected, actual }) => {
            w.u8(1);
            put_vote(&mut w, expected);
            put_vote(&mut w, actual);
        }
        Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
            w.u8(2);
            put_opt(&mut w, expected.as_ref());
            put_opt(&mut w, actual.as_ref());
        }
    }
    w.finish()
}

pub(crate) fn decode_transfer_answer(body: Bytes) -> io::Result<TransferLeaderResponse<C>> {
    let mut r = open_answer(body)?;
    let a = match r.u8()? {
        0 => Ok(()),
        1 => Err(TransferLeaderError::VoteChanged { expected: get_vote(&mut r)?, actual: get_vote(&mut r)? }),
        2 => Err(TransferLeaderError::LogNotFlushed { expected: get_opt(&mut r)?, actual: get_opt(&mut r)? }),
        _ => return Err(invalid("unknown answer")),
    };
    r.end()?;
    Ok(a)
}

pub(crate) fn encode_read_answer(a: &Result<LogId, ReadError>) -> Bytes {
    let mut w = answer(24);
    match a {
        Ok(id) => {
            w.u8(0);
            w.id(*id);
        }
        Err(ReadError::NotLeader { leader }) => {
            w.u8(1);
            w.u8(u8::from(leader.is_some()));
            w.u64(leader.unwrap_or(0));
        }
        Err(ReadError::Unavailable) => w.u8(2),
    }
    w.finish()
}

pub(crate) fn decode_read_answer(body: Bytes) -> io::Result<Result<LogId, ReadError>> {
    let mut r = open_answer(body)?;
    let a = match r.u8()? {
        0 => Ok(r.id()?),
        1 => {
            let known = r.bool()?;
            let leader = r.u64()?;
            Err(ReadError::NotLeader { leader: known.then_some(leader) })
        }
        2 => Err(ReadError::Unavailable),
        _ => return Err(invalid("unknown answer")),
    };
    r.end()?;
    Ok(a)
}

/// The vote a snapshot's receiver holds: higher than the sender's if the sender was deposed.
pub(crate) fn encode_vote_only(v: &RaftVote) -> Bytes {
    let mut w = answer(17);
    put_vote(&mut w, v);
    w.finish()
}

pub(crate) fn decode_vote_only(body: Bytes) -> io::Result<RaftVote> {
    let mut r = open_answer(body)?;
    let v = get_vote(&mut r)?;
    r.end()?;
    Ok(v)
}

/// Announces a snapshot.
pub(crate) struct SnapshotBegin {
    /// The sending leader's vote.
    pub(crate) vote: Vote,
    /// Drawn by the sender; names this transfer in the messages that follow.
    pub(crate) session: u64,
    /// What the snapshot has applied.
    pub(crate) applied: crate::Applied,
    /// The machine's own description.
    pub(crate) manifest: Bytes,
}

pub(crate) fn encode_begin(group: u32, b: &SnapshotBegin) -> Bytes {
    let mut w = writer(128 + b.manifest.len(), group);
    w.vote(b.vote);
    w.u64(b.session);
    w.opt_id(b.applied.last);
    w.opt_id(b.applied.membership.as_ref().map(|(at, _)| *at));
    w.bytes(b.applied.membership.as_ref().map_or(&[], |(_, m)| m));
    w.bytes(&b.manifest);
    w.finish()
}

pub(crate) fn decode_begin(mut r: Reader) -> io::Result<SnapshotBegin> {
    let vote = r.vote()?;
    let session = r.u64()?;
    let last = r.opt_id()?;
    let at = r.opt_id()?;
    let membership = r.bytes()?;
    let manifest = r.bytes()?;
    r.end()?;
    let applied = crate::Applied { last, membership: at.map(|at| (at, membership)) };
    Ok(SnapshotBegin { vote, session, applied, manifest })
}

/// One chunk of a snapshot.
pub(crate) struct SnapshotChunk {
    pub(crate) session: u64,
    pub(crate) n: u64,
    pub(crate) hash: [u8; 32],
    pub(crate) data: Bytes,
}

pub(crate) fn encode_chunk(group: u32, session: u64, n: u64, hash: &[u8; 32], data: &[u8]) -> Bytes {
    let mut w = writer(56 + data.len(), group);
    w.u64(session);
    w.u64(n);
    w.raw(hash);
    w.bytes(data);
    w.finish()
}

pub(crate) fn decode_chunk(mut r: Reader) -> io::Result<SnapshotChunk> {
    let (session, n) = (r.u64()?, r.u64()?);
    let hash = read_hash(&mut r)?;
    let data = r.bytes()?;
    r.end()?;
    Ok(SnapshotChunk { session, n, hash, data })
}

/// The end of a snapshot: how many chunks there were, and a hash over all their hashes.
pub(crate) struct SnapshotFinish {
    pub(crate) session: u64,
    pub(crate) chunks: u64,
    pub(crate) hash: [u8; 32],
}

pub(crate) fn encode_finish(group: u32, f: &SnapshotFinish) -> Bytes {
    let mut w = writer(48, group);
    w.u64(f.session);
    w.u64(f.chunks);
    w.raw(&f.hash);
    w.finish()
}

pub(crate) fn decode_finish(mut r: Reader) -> io::Result<SnapshotFinish> {
    let (session, chunks) = (r.u64()?, r.u64()?);
    let hash = read_hash(&mut r)?;
    r.end()?;
    Ok(SnapshotFinish { session, chunks, hash })
}

fn read_hash(r: &mut Reader) -> io::Result<[u8; 32]> {
    r.raw(32)?.as_ref().try_into().map_err(|_| invalid("hash"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EntryKind;
    use proptest::prelude::*;

    fn append() -> AppendEntriesRequest<C> {
        let entry = |index, kind| entry_to_raft(Entry { id: LogId { term: 2, index }, kind }).unwrap();
        AppendEntriesRequest {
            vote: RaftVote::new_committed(2, 65537),
            prev_log_id: Some(to_raft(LogId { term: 1, index: 8 })),
            leader_commit: None,
            entries: vec![entry(9, EntryKind::Blank), entry(10, EntryKind::Normal(Bytes::from_static(b"hi")))],
        }
    }

    #[test]
    fn golden_append() {
        let bytes = encode_append(7, append());
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hex,
            "01000000070000000000000002000000000001000101\
             0100000000000000010000000000000008\
             00\
             000000020000000000000009\
             00000000000000020000000000\
             000000000000000201000000026869"
        );
        let (group, r) = open(bytes).unwrap();
        let back = decode_append(r).unwrap();
        assert_eq!((group, back.entries.len(), back.vote), (7, 2, append().vote));
        assert_eq!(back.entries, append().entries);
    }

    #[test]
    fn answers_survive() {
        let id = Some(to_raft(LogId { term: 3, index: 4 }));
        for a in [
            AppendEntriesResponse::Success,
            AppendEntriesResponse::PartialSuccess(id),
            AppendEntriesResponse::PartialSuccess(None),
            AppendEntriesResponse::Conflict,
            AppendEntriesResponse::HigherVote(RaftVote::new(9, 1)),
        ] {
            assert_eq!(decode_append_answer(encode_append_answer(&a)).unwrap(), a);
        }
        for a in [
            Ok(()),
            Err(TransferLeaderError::VoteChanged { expected: RaftVote::new(1, 2), actual: RaftVote::new(3, 4) }),
            Err(TransferLeaderError::LogNotFlushed { expected: id, actual: None }),
        ] {
            assert_eq!(decode_transfer_answer(encode_transfer_answer(&a)).unwrap(), a);
        }
        for a in [
            Ok(LogId { term: 1, index: 2 }),
            Err(ReadError::Unavailable),
            Err(ReadError::NotLeader { leader: None }),
            Err(ReadError::NotLeader { leader: Some(0) }),
        ] {
            assert_eq!(decode_read_answer(encode_read_answer(&a)).unwrap(), a);
        }
        let v = VoteResponse::<C>::new(RaftVote::new(2, 3), id, true);
        assert_eq!(decode_vote_answer(encode_vote_answer(&v)).unwrap(), v);
        let mut q = VoteRequest::<C>::new(RaftVote::new(2, 3), id);
        q.leadership_transfer = true;
        assert_eq!(decode_vote(open(encode_vote(1, &q)).unwrap().1).unwrap(), q);
        let t = TransferLeaderRequest::<C>::new(RaftVote::new_committed(1, 2), 3, id);
        assert_eq!(decode_transfer(open(encode_transfer(1, &t)).unwrap().1).unwrap(), t);
    }

    proptest! {
        #[test]
        fn garbage_is_refused(bytes: Vec<u8>) {
            let bytes = Bytes::from(bytes);
            decode_all(&bytes);
            // The same behind a good head reaches deeper.
            let mut w = writer(bytes.len(), 1);
            w.raw(&bytes);
            decode_all(&w.finish());
        }

        #[test]
        fn a_cut_message_is_refused(at: prop::sample::Index) {
            let bytes = encode_append(7, append());
            let cut = bytes.slice(..at.index(bytes.len()));
            prop_assert!(open(cut).and_then(|(_, r)| decode_append(r)).is_err());
        }
    }

    fn decode_all(bytes: &Bytes) {
        let _ = open(bytes.clone()).and_then(|(_, r)| decode_append(r));
        let _ = open(bytes.clone()).and_then(|(_, r)| decode_vote(r));
        let _ = open(bytes.clone()).and_then(|(_, r)| decode_transfer(r));
        let _ = open(bytes.clone()).and_then(|(_, r)| decode_begin(r));
        let _ = open(bytes.clone()).and_then(|(_, r)| decode_chunk(r));
        let _ = open(bytes.clone()).and_then(|(_, r)| decode_finish(r));
        let _ = decode_append_answer(bytes.clone());
        let _ = decode_vote_answer(bytes.clone());
        let _ = decode_transfer_answer(bytes.clone());
        let _ = decode_read_answer(bytes.clone());
        let _ = decode_vote_only(bytes.clone());
        let _ = crate::types::decode_members(bytes.clone());
    }
}

//! The messages clients send: real ones, each known by the plan id of the operation that made it.

use crate::plan::{ClientPlan, Op};
use std::collections::BTreeMap;

/// Columns of a padding line, as mail programs wrap.
const LINE_COLUMNS: usize = 72;

/// All messages a plan makes, so that any client can say what the bytes of any message must be.
pub struct Catalogue(BTreeMap<u32, Entry>);

#[derive(Clone, Copy)]
struct Entry {
    bytes: u32,
    delivered: bool,
}

impl Catalogue {
    /// The messages of these clients.
    pub fn of(plans: &[ClientPlan]) -> Self {
        let ops = plans.iter().flat_map(|plan| &plan.ops);
        let entries = ops.filter_map(|timed| match &timed.op {
            Op::Deliver { bytes, .. } => Some((timed.id, Entry { bytes: *bytes, delivered: true })),
            Op::Append { bytes, .. } => Some((timed.id, Entry { bytes: *bytes, delivered: false })),
            _ => None,
        });
        Catalogue(entries.collect())
    }

    /// What is wrong with the bytes of message `id` as a server gave them. A delivered message may have trace header
    /// fields before what was sent.
    pub fn fault_in(&self, id: u32, got: &[u8]) -> Option<String> {
        let Some(entry) = self.0.get(&id) else { return Some(format!("message m{id} was never sent")) };
        let sent = text(id, entry.bytes);
        let Some(before) = got.strip_suffix(sent.as_slice()) else {
            return Some(format!("message m{id} is not what was sent: {} bytes, sent {}", got.len(), sent.len()));
        };
        let trace_only = entry.delivered && before.starts_with(b"Return-Path: ") && before.ends_with(b"\r\n");
        (!before.is_empty() && !trace_only).then(|| format!("message m{id} has {} bytes before it", before.len()))
    }
}

/// The subject, which names the message.
pub fn subject(id: u32) -> String {
    format!("m{id}")
}

/// What a search for exactly this message looks for in its Message-ID (a subject may be part of another).
pub fn message_id(id: u32) -> String {
    format!("<m{id}@sim.example>")
}

/// The id in the text of a header that holds a Subject.
pub fn id_in_header(header: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(header).ok()?;
    text.lines().find_map(|line| line.strip_prefix("Subject: m")).and_then(|id| id.trim().parse().ok())
}

/// The message's RFC 5322 text of at least `bytes` bytes (and at least a header); always the same for the same id.
pub fn text(id: u32, bytes: u32) -> Vec<u8> {
    let mut out = format!(
        "Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nFrom: Sender <sender@outside.example>\r\n\
         To: Somebody <somebody@sim.example>\r\nSubject: {}\r\nMessage-ID: {}\r\n\r\n.This line begins with a dot.\r\n",
        subject(id),
        message_id(id)
    )
    .into_bytes();
    let mut column = 0;
    while out.len() + 2 < bytes as usize {
        out.push(b'a' + ((id as usize + out.len() * 7) % 26) as u8);
        column += 1;
        if column == LINE_COLUMNS {
            out.extend_from_slice(b"\r\n");
            column = 0;
        }
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// The message as DATA carries it: dots at the beginning of lines doubled, and the final dot (RFC 5321 §4.5.2).
pub fn stuffed(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 16);
    for line in text.split_inclusive(|b| *b == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    out.extend_from_slice(b".\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{ClientKind, TimedOp};

    #[test]
    fn messages_are_known_by_their_id() {
        let one = text(12, 500);
        assert!((500..560).contains(&one.len()) && one.ends_with(b"\r\n"));
        assert_eq!(id_in_header(&one), Some(12));
        assert_eq!(id_in_header(b"Subject: other\r\n\r\n"), None);
        assert!(one.split(|b| *b == b'\n').all(|line| line.len() <= 80));
        let wire = stuffed(&one);
        assert!(wire.ends_with(b"\r\n.\r\n") && wire.windows(4).any(|w| w == b"\n..T"));
    }

    #[test]
    fn bytes_are_compared_with_what_was_sent() {
        let op = |id, op| TimedOp { wait_ms: 0, id, op };
        let ops =
            vec![op(1, Op::Deliver { accounts: vec![0], bytes: 10 }), op(2, Op::Append { folder: 0, bytes: 900 })];
        let all = Catalogue::of(&[ClientPlan { kind: ClientKind::Lmtp, ops }]);
        let traced = [b"Return-Path: <x>\r\nReceived: y\r\n".to_vec(), text(1, 10)].concat();
        assert_eq!(all.fault_in(1, &traced), None);
        assert_eq!(all.fault_in(2, &text(2, 900)), None);
        assert!(all.fault_in(2, &[b"Return-Path: <x>\r\n".to_vec(), text(2, 900)].concat()).is_some());
        assert!(all.fault_in(2, &text(1, 10)).is_some());
        assert!(all.fault_in(3, &text(3, 10)).is_some());
    }
}

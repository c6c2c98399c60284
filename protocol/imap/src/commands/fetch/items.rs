//! FETCH items that need no body.

use crate::codec::body::{write_envelope, write_structure};
use crate::codec::command::FetchItems;
use crate::codec::date::write_date_time;
use crate::codec::flags::write_flags;
use crate::codec::write::{number, string};
use zcluster_api::mailbox::Message;
use zcluster_mail::{Envelope, Summary, Zone};

/// One message's response.
pub struct Line<'a> {
    pub number: u32,
    pub message: &'a Message,
    pub summary: Option<&'a Summary>,
    pub recent: bool,
    /// What object ids end in.
    pub suffix: &'a str,
    /// `\Seen` was just set: flags are told, asked for or not (RFC 3501 §6.4.5).
    pub newly_seen: bool,
    /// The client knows mod-sequences: each told flag comes with one (RFC 7162 §3.1).
    pub condstore: bool,
    /// For INTERNALDATE and SAVEDATE.
    pub zone: Zone,
    /// The UID stands in place of the sequence number (RFC 9586 §3.3).
    pub uid_only: bool,
}

/// Appends `* n FETCH (` and the items; bodies and the closing parenthesis are left to the caller. Says whether there
/// were any items.
pub fn write(line: &Line<'_>, items: FetchItems, out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(b"* ");
    if line.uid_only {
        number(line.message.uid.0.into(), out);
        out.extend_from_slice(b" UIDFETCH (");
    } else {
        number(line.number.into(), out);
        out.extend_from_slice(b" FETCH (");
    }
    let mut w = Writer { start: out.len(), out };
    w.stored(line, items);
    if let Some(summary) = line.summary {
        w.parsed(summary, items);
    }
    w.rarer(line, items);
    w.out.len() > w.start
}

struct Writer<'o> {
    /// Where the items begin.
    start: usize,
    out: &'o mut Vec<u8>,
}

impl Writer<'_> {
    /// Appends an item's name, after a space unless it is the first.
    fn item(&mut self, name: &[u8]) {
        if self.out.len() > self.start {
            self.out.push(b' ');
        }
        self.out.extend_from_slice(name);
    }

    fn stored(&mut self, line: &Line<'_>, items: FetchItems) {
        let m = line.message;
        let flags = items.has(FetchItems::FLAGS) || line.newly_seen;
        if items.has(FetchItems::UID) || line.newly_seen && line.condstore && !line.uid_only {
            self.item(b"UID ");
            number(m.uid.0.into(), self.out);
        }
        if flags {
            self.item(b"FLAGS ");
            write_flags(m.flags, &m.keywords, line.recent, self.out);
        }
        if items.has(FetchItems::MODSEQ) || line.newly_seen && line.condstore {
            self.item(b"MODSEQ (");
            number(m.modseq.0, self.out);
            self.out.push(b')');
        }
        if items.has(FetchItems::INTERNALDATE) {
            self.item(b"INTERNALDATE ");
            write_date_time(m.internal_ms, line.zone.minutes_at(m.internal_ms), self.out);
        }
        if items.has(FetchItems::SIZE) {
            self.item(b"RFC822.SIZE ");
            number(m.size, self.out);
        }
    }

    fn parsed(&mut self, summary: &Summary, items: FetchItems) {
        if items.has(FetchItems::ENVELOPE) {
            self.item(b"ENVELOPE ");
            write_envelope(&Envelope::as_written(summary.header.as_bytes()), self.out);
        }
        if items.has(FetchItems::BODY) {
            self.item(b"BODY ");
            write_structure(&summary.root, false, self.out);
        }
        if items.has(FetchItems::BODYSTRUCTURE) {
            self.item(b"BODYSTRUCTURE ");
            write_structure(&summary.root, true, self.out);
        }
        // RFC 8970 §3: at most 256 characters of UTF-8; there is always one here, if only an empty one.
        if items.has(FetchItems::PREVIEW) {
            self.item(b"PREVIEW ");
            string(summary.preview.as_bytes(), self.out);
        }
    }

    fn rarer(&mut self, line: &Line<'_>, items: FetchItems) {
        // RFC 8514 §4.2.
        if items.has(FetchItems::SAVEDATE) {
            self.item(b"SAVEDATE ");
            write_date_time(line.message.saved_ms, line.zone.minutes_at(line.message.saved_ms), self.out);
        }
        // RFC 8474 §5: a message keeps its id when it is moved and shares it with its copies.
        if items.has(FetchItems::EMAILID) {
            self.item(b"EMAILID (M");
            number(line.message.copy_of.unwrap_or(line.message.item).0.into(), self.out);
            self.out.extend_from_slice(line.suffix.as_bytes());
            self.out.push(b')');
        }
        if items.has(FetchItems::THREADID) {
            self.item(b"THREADID ");
            match line.message.thread {
                Some(thread) => {
                    self.out.extend_from_slice(b"(T");
                    number(thread.0.into(), self.out);
                    self.out.extend_from_slice(line.suffix.as_bytes());
                    self.out.push(b')');
                }
                None => self.out.extend_from_slice(b"NIL"),
            }
        }
    }
}

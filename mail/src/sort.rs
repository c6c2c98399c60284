//! The keys that SORT and THREAD compare (RFC 5256, RFC 5957), from a header.

use crate::address::{Address, addresses};
use crate::collate::casemap;
use crate::header::{Raw, fields, msg_ids};
use crate::subject::base_subject;
use zcluster_api::sort::{NAME_BYTES_MAX, REFERENCES_MAX, SUBJECT_BYTES_MAX, SortKeys};

/// Bytes of an address field that are read to find its first address.
const FIELD_BYTES_MAX: usize = 2 * 1024;

/// The sort keys of a message with this header (or the kept fields of it).
pub(crate) fn keys(header: &[u8], sent_ms: Option<i64>, sent_day: Option<i64>) -> SortKeys {
    let mut keys = SortKeys { sent_ms, sent_day, ..SortKeys::default() };
    let (mut from, mut to, mut cc, mut subject) = (None, None, None, false);
    for field in fields(header) {
        let slot = match field.name.to_ascii_lowercase().as_slice() {
            b"from" => &mut from,
            b"to" => &mut to,
            b"cc" => &mut cc,
            b"subject" if !subject => {
                subject = true;
                let (base, reply) = base_subject(field.value);
                (keys.subject, keys.reply) = (casemap(&base, SUBJECT_BYTES_MAX), reply);
                continue;
            }
            _ => continue,
        };
        if slot.is_none() {
            *slot = addresses(&field.value[..field.value.len().min(FIELD_BYTES_MAX)]).into_iter().next();
        }
    }
    keys.from = mailbox(from.as_ref());
    keys.to = mailbox(to.as_ref());
    keys.cc = mailbox(cc.as_ref());
    keys.display_from = display(from.as_ref());
    keys.display_to = display(to.as_ref());
    keys.id = msg_ids(header, "message-id").first().map(hash);
    keys.references = references(header);
    keys
}

/// RFC 5256 §3: the address's mailbox; for a group its name.
fn mailbox(address: Option<&Address>) -> String {
    let name = address.and_then(|a| a.mailbox.as_ref());
    name.map_or_else(String::new, |m| casemap(&m.to_text(), NAME_BYTES_MAX))
}

/// RFC 5957 §3: the display name decoded, else `mailbox@host`; for a group its name.
fn display(address: Option<&Address>) -> String {
    let Some(address) = address else { return String::new() };
    let name = address.name.as_ref().map(|n| crate::decode_words(&n.0)).filter(|n| !n.is_empty());
    let shown = name.or_else(|| address.addr_spec());
    let shown = shown.or_else(|| address.mailbox.as_ref().map(|m| crate::decode_words(&m.0)));
    casemap(&shown.unwrap_or_default(), NAME_BYTES_MAX)
}

/// RFC 5256 §3: References, or where it has no id, the first of In-Reply-To. Of an endless list the first one, which
/// began the thread, and the last ones count.
fn references(header: &[u8]) -> Vec<u64> {
    let mut ids = msg_ids(header, "references");
    if ids.is_empty() {
        ids = msg_ids(header, "in-reply-to");
        ids.truncate(1);
    }
    if ids.len() > REFERENCES_MAX {
        ids.drain(1..=ids.len() - REFERENCES_MAX);
    }
    ids.iter().map(hash).collect()
}

/// A message id's hash. White space and needless quotes do not tell ids apart (RFC 5256 §3).
fn hash(id: &Raw) -> u64 {
    let plain: Vec<u8> = normal(id.as_bytes());
    let hash = blake3::hash(&plain);
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_be_bytes(first)
}

fn normal(id: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(id.len());
    let mut bytes = id.iter().copied();
    while let Some(b) = bytes.next() {
        match b {
            b'"' => {}
            b'\\' => out.extend(bytes.next()),
            b if b.is_ascii_whitespace() => {}
            b => out.push(b),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: &str) -> SortKeys {
        keys(header.as_bytes(), None, None)
    }

    #[test]
    fn names_and_subjects() {
        let k = of("From: =?utf-8?q?J=C3=B6rg?= <joerg@x.org>, b@c\r\nTo: Friends: al@b, c@d;\r\nCc: plain@x\r\n\
             Subject: Re: [l] Hello\r\nSubject: second\r\n");
        assert_eq!((k.subject.as_str(), k.reply), ("HELLO", true));
        assert_eq!((k.from.as_str(), k.to.as_str(), k.cc.as_str()), ("JOERG", "FRIENDS", "PLAIN"));
        assert_eq!((k.display_from.as_str(), k.display_to.as_str()), ("JO\u{308}RG", "FRIENDS"));
        assert_eq!(of("From: al@b\r\n").display_from, "AL@B");
        assert_eq!(of(""), SortKeys::default());
    }

    #[test]
    fn ids() {
        let k = of("Message-ID: < a@b >\r\nReferences: <x@y>\r\n <\"z\"@y>\r\nIn-Reply-To: <other@y>\r\n");
        assert_eq!(k.id, of("Message-ID: <a@b>\r\n").id);
        assert_eq!(k.references, of("References: <x@y><z@y>\r\n").references);
        assert_eq!(of("In-Reply-To: <x@y> <z@y>\r\n").references, k.references[..1]);
        let many: String = (0..1_000).map(|i| format!(" <{i}@x>\r\n")).collect();
        let last = of("References: <0@x> <999@x>\r\n").references;
        let kept = of(&format!("References:{many}")).references;
        assert_eq!((kept.len(), kept[0], kept[63]), (REFERENCES_MAX, last[0], last[1]));
    }
}

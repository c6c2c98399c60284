//! IMAP's ENVELOPE (RFC 3501 §7.4.2), made from raw header fields.

use crate::address::{Address, addresses};
use crate::header::{Raw, fields, unfold};

/// The envelope. Strings are the header's, unfolded, encoded words kept; absent fields are `None` or empty lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Date, as written.
    pub date: Option<Raw>,
    /// Subject.
    pub subject: Option<Raw>,
    /// From.
    pub from: Vec<Address>,
    /// Sender; From's when absent or empty.
    pub sender: Vec<Address>,
    /// Reply-To; From's when absent or empty.
    pub reply_to: Vec<Address>,
    /// To, all of them.
    pub to: Vec<Address>,
    /// Cc, all of them.
    pub cc: Vec<Address>,
    /// Bcc, all of them.
    pub bcc: Vec<Address>,
    /// In-Reply-To.
    pub in_reply_to: Option<Raw>,
    /// Message-ID.
    pub message_id: Option<Raw>,
}

/// Fields that an envelope is made of, lower case.
pub(crate) const ENVELOPE_FIELDS: [&str; 10] =
    ["date", "subject", "from", "sender", "reply-to", "to", "cc", "bcc", "in-reply-to", "message-id"];

impl Envelope {
    /// Reads the envelope from a header block (or from some of its fields).
    ///
    /// Of a field that may stand once only (RFC 5322 §3.6) the first one counts; several recipient fields add up, as
    /// §4.5.3 has it.
    pub fn from_header(header: &[u8]) -> Self {
        let mut e = Envelope::as_written(header);
        if e.sender.is_empty() {
            e.sender = e.from.clone();
        }
        if e.reply_to.is_empty() {
            e.reply_to = e.from.clone();
        }
        e
    }

    /// The same, but Sender and Reply-To stay empty where the header does not have them: for those who write From in
    /// their place without a copy of it.
    pub fn as_written(header: &[u8]) -> Self {
        let mut e = Envelope::default();
        for field in fields(header) {
            // The longest of our names has 11 letters.
            let mut lower = [0; 16];
            let Some(lower) = lower.get_mut(..field.name.len()) else { continue };
            lower.copy_from_slice(field.name);
            lower.make_ascii_lowercase();
            match &*lower {
                b"date" => first(&mut e.date, field.value),
                b"subject" => first(&mut e.subject, field.value),
                b"in-reply-to" => first(&mut e.in_reply_to, field.value),
                b"message-id" => first(&mut e.message_id, field.value),
                b"from" if e.from.is_empty() => e.from = addresses(field.value),
                b"sender" if e.sender.is_empty() => e.sender = addresses(field.value),
                b"reply-to" if e.reply_to.is_empty() => e.reply_to = addresses(field.value),
                b"to" => more(&mut e.to, field.value),
                b"cc" => more(&mut e.cc, field.value),
                b"bcc" => more(&mut e.bcc, field.value),
                _ => {}
            }
        }
        e
    }
}

fn first(slot: &mut Option<Raw>, value: &[u8]) {
    if slot.is_none() {
        *slot = Some(Raw(unfold(value)));
    }
}

fn more(list: &mut Vec<Address>, value: &[u8]) {
    if list.len() < crate::ADDRESSES_MAX {
        list.append(&mut addresses(value));
    }
}

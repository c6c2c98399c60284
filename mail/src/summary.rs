//! What is learned from a message once, on arrival, and stored beside it.

use crate::date::parse_date;
use crate::header::{Raw, header_fields, is_kept, kept_fields, msg_ids};
use crate::structure::{Part, PartKind};
use crate::{Envelope, preview, scan};
use minicbor::{Decode, Encode};
use std::ops::Range;
use zcluster_api::Bytes;
use zcluster_api::mailbox::Parsed;

/// All that FETCH of metadata, SEARCH of common headers and byte ranges of sections need, so that the body stays shut.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Summary {
    /// The raw lines of the top header's [`crate::KEPT_FIELDS`], in their order, each with its line break.
    #[n(0)]
    pub header: Raw,
    /// Some kept field did not fit into [`crate::KEPT_BYTES_MAX`]: `header` does not tell everything.
    #[n(1)]
    pub header_cut: bool,
    /// The message as its outermost part.
    #[n(2)]
    pub root: Part,
    /// `Date:` as Unix milliseconds.
    #[n(3)]
    pub sent_ms: Option<i64>,
    /// The calendar day that `Date:` names, its own zone disregarded, days since 1970-01-01 (SENTON and kin).
    #[n(4)]
    pub sent_day: Option<i64>,
    /// The first words of the text, decoded, white space collapsed (RFC 8970).
    #[n(5)]
    pub preview: String,
    /// Whether some part is meant to be saved rather than read.
    #[n(6)]
    pub has_attachment: bool,
}

impl Summary {
    /// The stored form.
    pub fn encode(&self) -> Bytes {
        zcluster_api::codec::encode(self).into()
    }
    /// Reads the stored form.
    ///
    /// # Errors
    /// `Internal` when the bytes are none of ours.
    pub fn decode(bytes: &[u8]) -> zcluster_api::Result<Self> {
        zcluster_api::codec::decode(bytes)
    }
    /// The ENVELOPE, made from the kept fields (RFC 3501 §7.4.2).
    pub fn envelope(&self) -> Envelope {
        Envelope::from_header(&self.header.0)
    }
    /// The whole message's size.
    pub fn size(&self) -> u64 {
        self.root.body_end
    }
    /// The top header with its empty line.
    pub fn header_range(&self) -> Range<u64> {
        self.root.header_range()
    }
    /// The answer to `BODY[HEADER.FIELDS (names)]` without the body; `None` when the header itself must be read
    /// (see [`crate::header_fields`]).
    pub fn header_fields(&self, names: &[impl AsRef<[u8]>]) -> Option<Vec<u8>> {
        let known = !self.header_cut && names.iter().all(|n| is_kept(n.as_ref()));
        known.then(|| header_fields(&self.header.0, names, false))
    }
    /// Message ids this message refers to, oldest first: References, else In-Reply-To (RFC 5256 §3).
    pub fn references(&self) -> Vec<Raw> {
        let references = msg_ids(&self.header.0, "references");
        if references.is_empty() { msg_ids(&self.header.0, "in-reply-to") } else { references }
    }
    /// What SORT and THREAD compare.
    pub fn sort_keys(&self) -> zcluster_api::sort::SortKeys {
        crate::sort::keys(&self.header.0, self.sent_ms, self.sent_day)
    }
    /// The message's own id.
    pub fn message_id(&self) -> Option<Raw> {
        msg_ids(&self.header.0, "message-id").into_iter().next()
    }
}

/// The front of a stored [`Summary`], read without the rest: enough for conditions on kept header fields.
#[derive(Debug, Decode)]
pub struct Head<'b> {
    /// See [`Summary::header`].
    #[cbor(n(0), with = "minicbor::bytes")]
    pub header: &'b [u8],
    /// See [`Summary::header_cut`].
    #[n(1)]
    pub header_cut: bool,
}

impl<'b> Head<'b> {
    /// Reads the front of the stored form.
    ///
    /// # Errors
    /// `Internal` when the bytes are none of ours.
    pub fn decode(bytes: &'b [u8]) -> zcluster_api::Result<Self> {
        zcluster_api::codec::decode(bytes)
    }
}

/// [`Summary::sent_day`] of a stored summary, without reading the rest.
///
/// # Errors
/// `Internal` when the bytes are none of ours.
pub fn stored_sent_day(bytes: &[u8]) -> zcluster_api::Result<Option<i64>> {
    #[derive(Decode)]
    struct Day {
        #[n(4)]
        sent_day: Option<i64>,
    }
    zcluster_api::codec::decode(bytes).map(|day: Day| day.sent_day)
}

/// Parses a message. Any bytes are a message: what is missing or broken has its defaults.
pub fn parse(raw: &[u8]) -> Summary {
    let root = scan::scan(raw);
    let (header, header_cut) = kept_fields(&raw[..root.body_start as usize]);
    let date = crate::header::first_value(&header.0, "date").and_then(|v| parse_date(&v));
    let preview = preview::preview(raw, &root);
    let has_attachment = has_attachment(&root, None);
    Summary {
        header,
        header_cut,
        root,
        sent_ms: date.map(|d| d.unix_ms),
        sent_day: date.map(|d| d.local_day),
        preview,
        has_attachment,
    }
}

/// Parses a message into what a command carries.
pub fn parsed(raw: &[u8]) -> Parsed {
    let summary = parse(raw);
    let keys = summary.sort_keys();
    let header = &raw[..summary.root.body_start as usize];
    Parsed {
        sent_ms: summary.sent_ms,
        has_attachment: summary.has_attachment,
        conversation: Some(crate::conversation::keys(header, &keys)),
        keys: Some(Box::new(keys)),
        summary: summary.encode(),
    }
}

/// Whether `part` or one inside is an attachment: marked or named as one, or of a type nobody reads inline. Images that
/// a multipart/related's HTML shows, signatures, and the message that a delivery report returns are none.
fn has_attachment(part: &Part, parent: Option<&Part>) -> bool {
    let within = |subtype| parent.is_some_and(|p| p.is("multipart", subtype));
    match &part.kind {
        PartKind::Multipart(parts) => parts.iter().any(|p| has_attachment(p, Some(part))),
        PartKind::Message { .. } => !within("report"),
        PartKind::Leaf => leaf_is_attachment(part, within("related")),
    }
}

fn leaf_is_attachment(part: &Part, related: bool) -> bool {
    const MACHINE: [&str; 4] = ["pgp-signature", "pkcs7-signature", "x-pkcs7-signature", "pgp-encrypted"];
    if part.is_type("application") && MACHINE.iter().any(|s| part.subtype.eq_ignore_case(s)) {
        return false;
    }
    if part.disposition.as_ref().is_some_and(|d| d.kind.eq_ignore_case("attachment")) {
        return true;
    }
    if related && part.id.is_some() {
        return false;
    }
    let named = part.file_name().is_some();
    named || !(part.is_type("text") || part.is_type("message"))
}

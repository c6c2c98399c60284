//! The tree of MIME parts, with what IMAP's BODYSTRUCTURE tells of each and where each one lies.

use crate::header::Raw;
use crate::params::Param;
use minicbor::{Decode, Encode};
use std::ops::Range;

/// A MIME part, or the message itself as the outermost part. Offsets are bytes of the raw message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Part {
    /// Type as written, `text` by default.
    #[n(0)]
    pub media_type: Raw,
    /// Subtype as written, `plain` by default.
    #[n(1)]
    pub subtype: Raw,
    /// Content-Type's parameters, continuations joined (RFC 2231 §3).
    #[n(2)]
    pub params: Vec<Param>,
    /// Content-ID.
    #[n(3)]
    pub id: Option<Raw>,
    /// Content-Description, encoded words kept.
    #[n(4)]
    pub description: Option<Raw>,
    /// Content-Transfer-Encoding as written; absent: `7bit`.
    #[n(5)]
    pub encoding: Option<Raw>,
    /// First byte of the part's header.
    #[n(6)]
    pub header_start: u64,
    /// First byte after the header and its empty line.
    #[n(7)]
    pub body_start: u64,
    /// First byte after the body; the line break before a delimiter belongs to the delimiter (RFC 2046 §5.1.1).
    #[n(8)]
    pub body_end: u64,
    /// Line feeds in the body; 0 for multiparts, where nobody asks.
    #[n(9)]
    pub lines: u64,
    /// Content-MD5.
    #[n(10)]
    pub md5: Option<Raw>,
    /// Content-Disposition.
    #[n(11)]
    pub disposition: Option<Disposition>,
    /// Content-Language tags.
    #[n(12)]
    pub language: Vec<Raw>,
    /// Content-Location.
    #[n(13)]
    pub location: Option<Raw>,
    /// What is inside.
    #[n(14)]
    pub kind: PartKind,
}

/// What a part holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub enum PartKind {
    /// Bytes.
    #[default]
    #[n(0)]
    Leaf,
    /// Parts; never empty.
    #[n(1)]
    Multipart(#[n(0)] Vec<Part>),
    /// A whole message (`message/rfc822`, `message/global`).
    #[n(2)]
    Message {
        /// The embedded header's fields that an envelope is made of, raw: see [`Part::envelope`].
        #[n(0)]
        header: Raw,
        /// The embedded message as a part: its header is the message's header.
        #[n(1)]
        root: Box<Part>,
    },
}

/// Content-Disposition (RFC 2183).
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Disposition {
    /// `inline`, `attachment` or other, as written.
    #[n(0)]
    pub kind: Raw,
    /// Its parameters.
    #[n(1)]
    pub params: Vec<Param>,
}

impl Part {
    /// The header with its empty line (`BODY[n.MIME]`).
    pub fn header_range(&self) -> Range<u64> {
        self.header_start..self.body_start
    }
    /// The body as encoded (`BODY[n]`).
    pub fn body_range(&self) -> Range<u64> {
        self.body_start..self.body_end
    }
    /// Octets of the body as encoded (BODYSTRUCTURE's size).
    pub fn size(&self) -> u64 {
        self.body_end - self.body_start
    }
    /// Whether the type is `media_type` (any case).
    pub fn is_type(&self, media_type: &str) -> bool {
        self.media_type.eq_ignore_case(media_type)
    }
    /// Whether type and subtype are these (any case).
    pub fn is(&self, media_type: &str, subtype: &str) -> bool {
        self.is_type(media_type) && self.subtype.eq_ignore_case(subtype)
    }
    /// The raw value of a Content-Type parameter.
    pub fn param(&self, name: &str) -> Option<&Raw> {
        self.params.iter().find(|p| p.name.eq_ignore_case(name)).map(|p| &p.value)
    }
    /// The parts directly inside: of a multipart its parts, of an embedded message its outermost part.
    pub fn children(&self) -> &[Part] {
        match &self.kind {
            PartKind::Leaf => &[],
            PartKind::Multipart(parts) => parts,
            PartKind::Message { root, .. } => std::slice::from_ref(root),
        }
    }
    /// The envelope of an embedded message; `None` for other parts.
    pub fn envelope(&self) -> Option<crate::Envelope> {
        match &self.kind {
            PartKind::Message { header, .. } => Some(crate::Envelope::from_header(&header.0)),
            _ => None,
        }
    }
    /// The file name, decoded: from Content-Disposition, else from Content-Type's `name`.
    pub fn file_name(&self) -> Option<String> {
        let disposition = self.disposition.as_ref().and_then(|d| crate::decoded_param(&d.params, "filename"));
        disposition.or_else(|| crate::decoded_param(&self.params, "name"))
    }
}

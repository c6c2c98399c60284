//! Mail as bytes and what they mean: hashing and compressing bodies, parsing a message once into a [`Summary`], byte
//! ranges of IMAP sections, search over decoded text, and trace header writing.
//!
//! The edge parses a message when it arrives ([`parsed`], [`prepare`]); everybody else reads the stored [`Summary`] and
//! byte ranges. Nothing here opens a socket or a file or reads a clock, and no input makes anything here panic.

mod address;
mod binary;
mod body;
mod charset;
mod collate;
mod date;
mod decode;
mod envelope;
mod header;
mod params;
mod percent;
mod preview;
mod scan;
mod search;
mod section;
mod sort;
mod structure;
mod subject;
mod summary;
mod text;
mod trace;
mod url;
mod words;
mod zone;

pub use address::{Address, addresses};
pub use binary::without_nul;
pub use body::{BodyError, RangeDecoder, decompress, prepare};
pub use charset::to_utf8;
pub use collate::casemap;
pub use date::{SentDate, parse_date, rfc5322_date, rfc5322_date_at};
pub use decode::{PartDecoder, TransferEncoding, decode_part, decode_text};
pub use envelope::Envelope;
pub use header::{Field, KEPT_FIELDS, Raw, fields, header_fields, is_kept, unfold};
pub use params::{Param, decoded_param};
pub use percent::percent_decoded;
pub use search::{Needle, matches_any_field, matches_body, matches_header, matches_header_bytes, matches_text};
pub use section::{Section, find_part, section};
pub use structure::{Disposition, Part, PartKind};
pub use subject::base_subject;
pub use summary::{Head, Summary, parse, parsed, stored_sent_day};
pub use text::{AttachedFile, attached_files, decode_file, text_doc};
pub use trace::{Received, received, return_path};
pub use url::{IMAP_URL_BYTES_MAX, ImapUrl, UrlAccess, UrlAuth};
pub use words::decode_words;
pub use zone::Zone;

/// Multiparts and embedded messages within each other; what lies deeper is shown as an opaque part.
pub const DEPTH_MAX: usize = 32;
/// Parts of one message; delimiters after that many are taken as text of the last part.
pub const PARTS_MAX: usize = 1_000;
/// Bytes of one header block that are looked at; fields after that are part of the header but have no meaning.
pub const HEADER_BYTES_MAX: usize = 256 * 1024;
/// Bytes of top header fields kept in a summary.
pub const KEPT_BYTES_MAX: usize = 32 * 1024;
/// Bytes of text (parameters, ids, headers of embedded messages) that a summary's structure keeps.
pub const STRUCTURE_TEXT_MAX: usize = 64 * 1024;
/// Bytes of the preview, UTF-8.
pub const PREVIEW_BYTES_MAX: usize = 256;
/// Addresses taken from one header field.
pub const ADDRESSES_MAX: usize = 2_000;
/// Parameters taken from one Content-Type or Content-Disposition field.
pub const PARAMS_MAX: usize = 64;

//! Parts that are files: those whose text somebody else must get out of them.

use crate::decode::{PartDecoder, TransferEncoding};
use crate::structure::{Part, PartKind};
use crate::summary::Summary;
use std::ops::Range;

/// A part whose text is not in [`crate::text_doc`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedFile {
    /// Its number as IMAP has it (`2.1`); parts of embedded messages too.
    pub path: Vec<u32>,
    /// `major/minor`, lower case, as its sender says.
    pub media_type: String,
    /// Its name, decoded.
    pub file_name: Option<String>,
    /// Where it lies in the message, encoded.
    pub range: Range<u64>,
    /// How it is encoded.
    pub encoding: TransferEncoding,
}

/// Text parts that are documents of their own.
const DOCUMENTS: [&str; 7] = ["calendar", "vcard", "x-vcard", "directory", "rtf", "richtext", "x-vcalendar"];

/// Whether a part, not the message's own text, is there to be seen for itself: `attachment:`'s types.
pub(super) fn is_attached(part: &Part) -> bool {
    let own = part.is("text", "plain") || part.is("text", "html");
    let marked = part.disposition.as_ref().is_some_and(|d| d.kind.eq_ignore_case("attachment"));
    !own || marked || part.file_name().is_some()
}

/// Whether a text's words are to be got by who knows its format.
pub(super) fn text_elsewhere(part: &Part) -> bool {
    DOCUMENTS.iter().any(|s| part.subtype.eq_ignore_case(s))
}

/// The files in a message that may have text: neither its own texts nor pictures, sound, film or signatures. In their
/// order; whoever reads them decides by type, name and content.
pub fn attached_files(summary: &Summary) -> Vec<AttachedFile> {
    let mut out = Vec::new();
    let path = if matches!(summary.root.kind, PartKind::Multipart(_)) { vec![] } else { vec![1] };
    walk(&summary.root, path, &mut out);
    out
}

/// `path` is the part's own number, as [`crate::find_part`] reads it.
fn walk(part: &Part, path: Vec<u32>, out: &mut Vec<AttachedFile>) {
    match &part.kind {
        PartKind::Multipart(parts) => {
            for (number, inner) in (1..).zip(parts) {
                walk(inner, [path.as_slice(), &[number]].concat(), out);
            }
        }
        PartKind::Message { root, .. } => {
            // A message that is nothing but another one: that is its part 1.
            let path =
                if matches!(root.kind, PartKind::Multipart(_)) { path } else { [path.as_slice(), &[1]].concat() };
            walk(root, path, out);
        }
        PartKind::Leaf if has_text(part) => out.push(AttachedFile {
            path,
            media_type: super::media_type(part),
            file_name: part.file_name(),
            range: part.body_range(),
            encoding: TransferEncoding::of(part),
        }),
        PartKind::Leaf => {}
    }
}

fn has_text(part: &Part) -> bool {
    const MACHINE: [&str; 4] = ["pgp-signature", "pkcs7-signature", "x-pkcs7-signature", "pgp-encrypted"];
    if part.is_type("text") {
        return text_elsewhere(part);
    }
    let silent = ["image", "audio", "video", "font", "message", "multipart"].iter().any(|t| part.is_type(t));
    !silent && part.size() > 0 && !MACHINE.iter().any(|s| part.subtype.eq_ignore_case(s))
}

/// A file's content: `encoded` are the bytes of its range.
pub fn decode_file(file: &AttachedFile, encoded: &[u8]) -> Vec<u8> {
    let mut decoder = PartDecoder::new(file.encoding);
    let mut out = Vec::new();
    decoder.push(encoded, &mut out);
    decoder.finish(&mut out);
    out
}

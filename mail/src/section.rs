//! IMAP's sections as byte ranges (RFC 3501 §6.4.5).

use crate::structure::{Part, PartKind};
use crate::summary::Summary;
use std::ops::Range;

/// Which bytes of the part that a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// `BODY[]`, or `BODY[1.2]`: the part's body.
    Whole,
    /// `HEADER` (also the input of `HEADER.FIELDS`): the header of the message, or of the embedded message at the path.
    Header,
    /// `TEXT`: the same without the header.
    Text,
    /// `MIME`: the part's own header.
    Mime,
}

/// The part at `path`, numbered from 1 as RFC 3501 §6.4.5 says; the empty path is the message itself.
///
/// A message that is no multipart has the one part 1, which is its body; the parts of an embedded message are numbered
/// as if it were the part itself.
pub fn find_part<'s>(summary: &'s Summary, path: &[u32]) -> Option<&'s Part> {
    let mut part = &summary.root;
    // Whether `part` is a message (outermost or embedded) whose parts the next number chooses from.
    let mut is_message = true;
    for number in path {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        if let PartKind::Message { root, .. } = &part.kind
            && !is_message
        {
            part = root;
            is_message = true;
        }
        part = match &part.kind {
            PartKind::Multipart(parts) => parts.get(index)?,
            _ if is_message && index == 0 => part,
            _ => return None,
        };
        is_message = false;
    }
    Some(part)
}

/// The bytes of a section within the raw message; `None` when there is no such part (IMAP answers NIL).
pub fn section(summary: &Summary, path: &[u32], what: Section) -> Option<Range<u64>> {
    let part = find_part(summary, path)?;
    let message = if path.is_empty() {
        Some(&summary.root)
    } else {
        match &part.kind {
            PartKind::Message { root, .. } => Some(&**root),
            _ => None,
        }
    };
    match what {
        Section::Whole if path.is_empty() => Some(part.header_start..part.body_end),
        Section::Whole => Some(part.body_range()),
        Section::Header => message.map(Part::header_range),
        Section::Text => message.map(Part::body_range),
        // MIME needs a part number (RFC 3501 §6.4.5).
        Section::Mime => (!path.is_empty()).then(|| part.header_range()),
    }
}

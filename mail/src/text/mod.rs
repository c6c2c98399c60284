//! What there is to be found of a message: its words' texts, field by field.

mod attached;
mod flowed;
mod html;

pub use attached::{AttachedFile, attached_files, decode_file};

use crate::decode::decode_text;
use crate::header::{fields, msg_ids};
use crate::structure::{Part, PartKind};
use crate::summary::Summary;
use crate::words::decode_words;
use crate::{HEADER_BYTES_MAX, unfold};
use attached::{is_attached, text_elsewhere};
use zcluster_api::search::TextField;
use zcluster_api::text::{TEXT_BYTES_MAX, TextDoc};

/// Encoded bytes of one part that are read: HTML has more markup than text.
const PART_BYTES_MAX: usize = 4 * TEXT_BYTES_MAX;

/// The texts of a message: header fields, text parts, embedded messages, names and types of attachments. Texts of other
/// files are not in it: see [`attached_files`].
pub fn text_doc(summary: &Summary, raw: &[u8]) -> TextDoc {
    let mut reader = Reader { raw, doc: TextDoc::default(), room: TEXT_BYTES_MAX, cut: false };
    let header = reader.slice(summary.root.header_range());
    let header = &header[..header.len().min(HEADER_BYTES_MAX)];
    reader.header(header);
    reader.part(&summary.root, &mut Vec::new());
    reader.doc.types.sort();
    reader.doc.types.dedup();
    let header_cut = summary.root.body_start - summary.root.header_start > header.len() as u64;
    let plain = matches!(summary.root.kind, PartKind::Leaf) && summary.root.is("text", "plain") && !reader.cut;
    // Where spaces vanish between lines, the words are others than those that IMAP sees.
    let plain = plain && flow(&summary.root) != Some(true);
    TextDoc { plain, header_cut, ..reader.doc }
}

struct Reader<'r> {
    raw: &'r [u8],
    doc: TextDoc,
    /// Bytes of text still wanted.
    room: usize,
    cut: bool,
}

impl<'r> Reader<'r> {
    fn slice(&self, range: std::ops::Range<u64>) -> &'r [u8] {
        let at = |o: u64| usize::try_from(o).unwrap_or(usize::MAX).min(self.raw.len());
        self.raw.get(at(range.start)..at(range.end)).unwrap_or_default()
    }

    fn push(&mut self, field: TextField, mut text: String) {
        if text.len() > self.room {
            self.cut = true;
            text.truncate(text.floor_char_boundary(self.room));
        }
        self.room -= text.len();
        if !text.trim_ascii().is_empty() {
            self.doc.texts.push((field, text));
        }
    }

    /// The message's own header. Each field as a whole: names, addresses and comments.
    fn header(&mut self, header: &[u8]) {
        for field in fields(header) {
            let Some(to) = text_field(field.name) else { continue };
            self.push(to, decode_words(field.value));
        }
        let mut ids: Vec<String> = msg_ids(header, "message-id").iter().map(|id| id.to_text().into_owned()).collect();
        if ids.is_empty() {
            // Some write it without brackets.
            ids.extend(
                fields(header)
                    .find(|f| f.is("message-id"))
                    .map(|f| String::from_utf8_lossy(&unfold(f.value)).into_owned()),
            );
        }
        ids.into_iter().for_each(|id| self.push(TextField::MessageId, id));
    }

    /// A part and what is inside. `known`: the words of alternatives to it that were read.
    fn part(&mut self, part: &Part, known: &mut Vec<u64>) {
        match &part.kind {
            PartKind::Multipart(parts) if part.is("multipart", "alternative") => {
                parts.iter().for_each(|p| self.part(p, known));
            }
            PartKind::Multipart(parts) => parts.iter().for_each(|p| self.part(p, &mut known.clone())),
            PartKind::Message { root, .. } => self.message(part, root),
            PartKind::Leaf => self.leaf(part, known),
        }
    }

    /// An embedded message: what its reader sees is content.
    fn message(&mut self, part: &Part, root: &Part) {
        self.name(part);
        self.doc.types.push("message/rfc822".into());
        let header = self.slice(root.header_range());
        for field in fields(&header[..header.len().min(HEADER_BYTES_MAX)]) {
            let shown = ["subject", "from", "sender", "to", "cc"].iter().any(|name| field.is(name));
            if shown {
                self.push(TextField::Content, decode_words(field.value));
            }
        }
        self.part(root, &mut Vec::new());
    }

    fn name(&mut self, part: &Part) {
        if let Some(name) = part.file_name() {
            self.push(TextField::FileName, name);
        }
    }

    fn leaf(&mut self, part: &Part, known: &mut Vec<u64>) {
        self.name(part);
        if is_attached(part) {
            self.doc.types.push(media_type(part));
        }
        let text = part.is_type("text") && !text_elsewhere(part) || part.is_type("message");
        if !text || self.room == 0 {
            self.cut |= text;
            return;
        }
        let body = self.slice(part.body_range());
        self.cut |= body.len() > PART_BYTES_MAX;
        let text = decode_text(part, &body[..body.len().min(PART_BYTES_MAX)]);
        if part.is("text", "html") {
            let html = html::read(&text);
            let seen = if known.is_empty() { html.text } else { unknown_lines(&html.text, known) };
            add_known(&seen, known);
            self.push(TextField::Content, seen);
            self.push(TextField::Content, unknown_lines(&html.behind, known));
        } else {
            let text = match flow(part) {
                Some(delsp) => flowed::joined(&text, delsp),
                None => text,
            };
            add_known(&text, known);
            self.push(TextField::Content, text);
        }
    }
}

/// Which field a header field is searched as.
fn text_field(name: &[u8]) -> Option<TextField> {
    let named = |names: &[&str]| names.iter().any(|n| name.eq_ignore_ascii_case(n.as_bytes()));
    Some(match name.first()?.to_ascii_lowercase() {
        b's' if named(&["subject"]) => TextField::Subject,
        b'f' | b's' if named(&["from", "sender"]) => TextField::From,
        b't' if named(&["to"]) => TextField::To,
        b'c' | b'b' if named(&["cc", "bcc"]) => TextField::Cc,
        b'x' | b'r' if named(&["x-envelope-from", "return-path"]) => TextField::EnvelopeFrom,
        b'x' | b'd' if named(&["x-envelope-to", "delivered-to"]) => TextField::EnvelopeTo,
        _ => return None,
    })
}

/// `major/minor`, lower case.
fn media_type(part: &Part) -> String {
    format!("{}/{}", part.media_type.to_text(), part.subtype.to_text()).to_lowercase()
}

/// Whether a text is flowed, and whether spaces at line ends vanish.
fn flow(part: &Part) -> Option<bool> {
    let is = |name: &str, value: &str| part.param(name).is_some_and(|v| v.eq_ignore_case(value));
    is("format", "flowed").then(|| is("delsp", "yes"))
}

/// The words of a text as hashes (FNV-1a without case): enough to tell whether an alternative says something new.
fn hashes(text: &str) -> impl Iterator<Item = u64> + '_ {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(|word| {
        let lower = word.chars().flat_map(char::to_lowercase);
        lower.fold(0xcbf2_9ce4_8422_2325, |hash, c| (hash ^ u64::from(c)).wrapping_mul(0x100_0000_01b3))
    })
}

fn add_known(text: &str, known: &mut Vec<u64>) {
    known.extend(hashes(text));
    known.sort_unstable();
    known.dedup();
}

/// The lines with a word that is not known.
fn unknown_lines(text: &str, known: &[u64]) -> String {
    let mut out = String::new();
    for line in text.lines().filter(|l| hashes(l).any(|h| known.binary_search(&h).is_err())) {
        out.push_str(line);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests;

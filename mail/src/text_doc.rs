//! What there is to be found in a message. (For the time being: the plain texts.)

use crate::structure::{Part, PartKind};
use crate::summary::Summary;
use crate::{decode_text, decode_words, fields};
use zcluster_api::TextField;
use zcluster_api::text::TextDoc;

/// A file attached to a message.
#[derive(Clone, Debug)]
pub struct AttachedFile {
    /// Lower case.
    pub media_type: String,
    /// Its name.
    pub name: String,
}

impl AttachedFile {
    /// Its bytes.
    pub fn decode(&self, _raw: &[u8]) -> Vec<u8> {
        Vec::new()
    }
}

/// Files attached to a message.
pub fn attached_files(_summary: &Summary) -> Vec<AttachedFile> {
    Vec::new()
}

/// What there is to be found in a message.
pub fn text_doc(summary: &Summary, raw: &[u8]) -> TextDoc {
    let mut doc = TextDoc::default();
    for field in fields(&summary.header.0) {
        for (name, to) in [("subject", TextField::Subject), ("from", TextField::From), ("to", TextField::To)] {
            if field.is(name) {
                doc.texts.push((to, decode_words(field.value).to_string()));
            }
        }
    }
    texts(&summary.root, raw, &mut doc);
    doc
}

fn texts(part: &Part, raw: &[u8], doc: &mut TextDoc) {
    match &part.kind {
        PartKind::Multipart(parts) => parts.iter().for_each(|part| texts(part, raw, doc)),
        PartKind::Message { root, .. } => texts(root, raw, doc),
        PartKind::Leaf if part.is_type("text") => {
            let range = part.body_range();
            let at = |o: u64| usize::try_from(o).unwrap_or(usize::MAX).min(raw.len());
            let body = raw.get(at(range.start)..at(range.end)).unwrap_or_default();
            doc.texts.push((TextField::Content, decode_text(part, body).to_string()));
        }
        PartKind::Leaf => {}
    }
}

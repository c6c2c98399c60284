//! What a message comes to: words at places in fields, and marks that say yes or no.

use crate::words::{self, take_apart};
use zcluster_api::search::TextField;
use zcluster_api::text::{TEXT_BYTES_MAX, TextDoc};

/// Between two texts of one field: so their words are no neighbours.
const GAP: u32 = 1;
/// Behind a property's name.
const NAME_END: char = '\u{1f}';
/// Bytes of a property's name.
const NAME_BYTES_MAX: usize = 32;

/// The fields that a search in content looks at.
pub(crate) const CONTENT: [char; 6] = ['b', 's', 'f', 't', 'c', 'n'];

/// What stands in front of a field's words.
pub(crate) fn prefix(field: &TextField) -> String {
    let letter = match field {
        TextField::Content => 'b',
        TextField::Subject => 's',
        TextField::From => 'f',
        TextField::To => 't',
        TextField::Cc => 'c',
        TextField::EnvelopeFrom => 'e',
        TextField::EnvelopeTo => 'g',
        TextField::FileName => 'n',
        TextField::MessageId => MESSAGE_ID,
        TextField::Property(name) => {
            let name: String = words::whole(name).chars().filter(|c| *c > ' ').collect();
            return format!("P{}{NAME_END}", &name[..name.floor_char_boundary(NAME_BYTES_MAX)]);
        }
    };
    letter.to_string()
}

const MESSAGE_ID: char = 'i';

/// The mark of a Message-ID: its hash, because ids are long, all different, and looked up whole.
pub(crate) fn message_id(text: &str) -> String {
    let hash = blake3::hash(words::whole(text).as_bytes());
    format!("{MESSAGE_ID}{}", data_encoding::BASE64URL_NOPAD.encode(&hash.as_bytes()[..9]))
}

/// The mark of a media type.
pub(crate) fn media_type(text: &str) -> String {
    let mut out = format!("m{}", words::whole(text));
    out.truncate(out.floor_char_boundary(words::ADDRESS_BYTES_MAX));
    out
}

/// The mark of something recognised.
pub(crate) fn recognised(kind: &str) -> String {
    format!("r{}", words::whole(kind))
}

/// The mark of a message whose text IMAP's BODY sees otherwise than we do.
pub(crate) const NOT_PLAIN: &str = "zbody";
/// The mark of a message whose header we do not have whole.
pub(crate) const HEADER_CUT: &str = "zheader";
/// The mark of a message with a word that was cut.
pub(crate) const WORD_CUT: &str = "zword";

/// Takes a message apart. Each word comes with its field's prefix and its place in the field; the words of a field come
/// together, places rising from 0. Says whether there may be words that were cut.
pub(crate) fn words_of(doc: &TextDoc, sink: &mut dyn FnMut(&str, u32)) -> bool {
    let kept = kept(doc);
    let mut word_cut = false;
    let mut fields: Vec<&TextField> = Vec::new();
    for (field, _) in &kept {
        if !fields.contains(field) {
            fields.push(field);
        }
    }
    let mut term = String::new();
    for field in fields.into_iter().filter(|f| **f != TextField::MessageId) {
        term.clear();
        term.push_str(&prefix(field));
        let (head, mut base) = (term.len(), 0);
        for (_, text) in kept.iter().filter(|(f, _)| *f == field) {
            let mut last = None;
            take_apart(text, &mut |token| {
                term.truncate(head);
                term.push_str(token.word);
                sink(&term, base + token.position);
                last = Some(token.position);
                // A character less when the next one did not fit.
                word_cut |= token.word.len() > words::WORD_BYTES_MAX - 4;
            });
            if let Some(last) = last {
                base += last + 1 + GAP;
            }
        }
    }
    word_cut
}

/// The marks of a message; some may come twice. `words_of` tells whether it met a word of full length.
pub(crate) fn marks_of(doc: &TextDoc, word_cut: bool, sink: &mut dyn FnMut(&str)) {
    if word_cut {
        sink(WORD_CUT);
    }
    doc.types.iter().for_each(|t| sink(&media_type(t)));
    let kept = kept(doc);
    for (field, text) in &kept {
        match field {
            TextField::MessageId => sink(&message_id(text)),
            TextField::Content | TextField::Subject => {
                crate::recognise::kinds(text).for_each(|kind| sink(&recognised(kind)))
            }
            _ => {}
        }
    }
    let cut = kept.iter().map(|(_, t)| t.len()).sum::<usize>() < doc.texts.iter().map(|(_, t)| t.len()).sum();
    if !doc.plain || cut {
        sink(NOT_PLAIN);
    }
    if doc.header_cut || cut {
        sink(HEADER_CUT);
    }
}

/// The texts, as far as they are looked at.
fn kept(doc: &TextDoc) -> Vec<(&TextField, &str)> {
    let mut room = TEXT_BYTES_MAX;
    let mut out = Vec::with_capacity(doc.texts.len());
    for (field, text) in &doc.texts {
        let len = text.floor_char_boundary(room.min(text.len()));
        room -= len;
        out.push((field, &text[..len]));
    }
    out
}

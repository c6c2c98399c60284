//! What is taken out of a page's content before pdf-extract sees it: all but text.
//!
//! pdf-extract knows no `'` and no `"` (Ghostscript writes them for every second line), and panics over graphics operators with
//! odd operands; a panic costs the rest of the page.

use pdf_extract::Object;
use pdf_extract::content::{Content, Operation};

/// Bytes of a page's content. In memory operations take some fifty times as much: a page that is a map of a country must not
/// cost the text of the others.
const CONTENT_BYTES_MAX: usize = 8 << 20;

/// The content with operators of text and position only; `None` when it cannot be read.
pub fn tidied(content: &[u8]) -> Option<Vec<u8>> {
    if content.len() > CONTENT_BYTES_MAX {
        return None;
    }
    let content = Content::decode(content).ok()?;
    let mut operations = Vec::new();
    for operation in content.operations {
        keep(operation, &mut operations);
    }
    Content { operations }.encode().ok()
}

fn keep(mut operation: Operation, kept: &mut Vec<Operation>) {
    let operands = operation.operands.as_mut_slice();
    let is_kept = match (operation.operator.as_str(), operands) {
        // Two in one: to the next line, and show; to the next line with two spacings, and show.
        ("'", [text @ Object::String(..)]) => {
            let text = std::mem::replace(text, Object::Null);
            kept.extend([Operation::new("T*", vec![]), Operation::new("Tj", vec![text])]);
            false
        }
        ("\"", [words, characters, text @ Object::String(..)]) if is_number(words) && is_number(characters) => {
            let [words, characters, text] = [words, characters, text].map(|o| std::mem::replace(o, Object::Null));
            kept.extend([Operation::new("Tw", vec![words]), Operation::new("Tc", vec![characters])]);
            kept.extend([Operation::new("T*", vec![]), Operation::new("Tj", vec![text])]);
            false
        }
        ("BT" | "ET" | "q" | "Q" | "T*", _) => true,
        ("cm" | "Tm", operands) => are_numbers(operands, 6),
        ("Td" | "TD", operands) => are_numbers(operands, 2),
        ("Tc" | "Tw" | "Tz" | "TL" | "Ts", operands) => are_numbers(operands, 1),
        ("Tf", [Object::Name(_), size]) => is_number(size),
        ("Tj", [Object::String(..)]) | ("TJ", [Object::Array(_)]) | ("Do", [Object::Name(_)]) => true,
        _ => false,
    };
    if is_kept {
        kept.push(operation);
    }
}

fn are_numbers(operands: &[Object], count: usize) -> bool {
    operands.len() == count && operands.iter().all(is_number)
}

fn is_number(object: &Object) -> bool {
    matches!(object, Object::Integer(_) | Object::Real(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tidy(content: &str) -> String {
        String::from_utf8(tidied(content.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn only_text_is_kept() {
        assert_eq!(tidy("q 1 0 0 RG 10 10 m 5 w BT /F1 12 Tf (a) Tj ET Q"), "q\nBT\n/F1 12 Tf\n(a) Tj\nET\nQ");
    }

    #[test]
    fn lines_that_are_shown_as_they_begin() {
        assert_eq!(tidy("20 TL (a) '"), "20 TL\nT*\n(a) Tj");
        assert_eq!(tidy("1 2 (a) \""), "1 Tw\n2 Tc\nT*\n(a) Tj");
    }

    #[test]
    fn odd_operands_are_dropped() {
        assert_eq!(tidy("1 0 0 cm (x) Tm 1 Tj /F Tf 2 TL"), "2 TL");
    }
}

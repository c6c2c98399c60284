//! Word 97 to 2003 (MS-DOC): the pieces that the document's text lies in, in their order, with footnotes, headers and comments.

use super::ole::{Ole, stream, u16_at, u32_at};
use super::reading::{Reading, Stop};
use crate::ExtractError;
use encoding_rs::{UTF_16LE, WINDOWS_1252};

/// Offsets of the File Information Block that lead to the piece table.
const FLAGS: usize = 0x0a;
const PIECES_AT: usize = 0x01a2;
const PIECES_LENGTH: usize = 0x01a6;

const ENCRYPTED: u16 = 0x0100;
const SECOND_TABLE: u16 = 0x0200;
/// The first version with a piece table that this reads.
const WORD_97: u16 = 0x00c1;

pub fn read(file: &mut Ole, to: &mut Reading) -> Result<(), Stop> {
    let document = stream(file, "/WordDocument", to.limits.input_bytes).map_err(Stop::malformed)?;
    let flags = u16_at(&document, FLAGS).ok_or_else(|| Stop::malformed("it has no header"))?;
    if flags & ENCRYPTED != 0 {
        return Err(Stop::Failed(ExtractError::Encrypted));
    }
    if u16_at(&document, 2).is_none_or(|version| version < WORD_97) {
        return Err(Stop::Failed(ExtractError::Unsupported("a document of Word 95 or older".into())));
    }
    let name = if flags & SECOND_TABLE != 0 { "/1Table" } else { "/0Table" };
    let table = stream(file, name, to.limits.input_bytes).map_err(Stop::malformed)?;
    let pieces = piece_table(&document, &table).ok_or_else(|| Stop::malformed("it has no piece table"))?;
    push_pieces(&document, pieces, to)
}

/// The `PlcPcd` within the `Clx`: character positions, then where each piece lies.
fn piece_table<'a>(document: &[u8], table: &'a [u8]) -> Option<&'a [u8]> {
    let (at, length) = (u32_at(document, PIECES_AT)? as usize, u32_at(document, PIECES_LENGTH)? as usize);
    let mut clx = table.get(at..at.checked_add(length)?)?;
    // Property modifiers stand before it.
    while clx.first() == Some(&1) {
        clx = clx.get(3 + usize::from(u16_at(clx, 1)?)..)?;
    }
    let length = u32_at(clx, 1)? as usize;
    (clx.first() == Some(&2)).then(|| clx.get(5..5usize.checked_add(length)?)).flatten()
}

fn push_pieces(document: &[u8], pieces: &[u8], to: &mut Reading) -> Result<(), Stop> {
    let count = pieces.len().saturating_sub(4) / 12;
    let mut field = Field::default();
    for n in 0..count {
        let (Some(from), Some(until)) = (u32_at(pieces, n * 4), u32_at(pieces, n * 4 + 4)) else { break };
        let Some(place) = u32_at(pieces, (count + 1) * 4 + n * 8 + 2) else { break };
        let characters = until.saturating_sub(from) as usize;
        // Bit 30: one byte a character, at half the offset.
        let is_narrow = place & 0x4000_0000 != 0;
        let place = (place & 0x3fff_ffff) as usize;
        let (start, length) = if is_narrow { (place / 2, characters) } else { (place, characters.saturating_mul(2)) };
        let Some(bytes) = document.get(start..start.saturating_add(length)) else {
            return Err(Stop::malformed("a piece lies outside of it"));
        };
        let encoding = if is_narrow { WINDOWS_1252 } else { UTF_16LE };
        for c in encoding.decode_without_bom_handling(bytes).0.chars() {
            field.push(c, to)?;
        }
    }
    Ok(())
}

/// Whether what comes is a field's instruction (`HYPERLINK "..."`) or something that is seen.
#[derive(Default)]
struct Field {
    instructions: u32,
}

impl Field {
    fn push(&mut self, c: char, to: &mut Reading) -> Result<(), Stop> {
        match c {
            '\u{13}' => self.instructions += 1,
            '\u{14}' => self.instructions = self.instructions.saturating_sub(1),
            // A field without a result ends in its instruction.
            '\u{15}' => self.instructions = 0,
            _ if self.instructions > 0 => {}
            // Paragraph, line, page, cell.
            '\r' | '\u{b}' | '\u{c}' | '\u{7}' => to.line(),
            '\u{1e}' => to.push_char('-')?,
            '\u{1f}' => {}
            c => to.push_char(c)?,
        }
        Ok(())
    }
}

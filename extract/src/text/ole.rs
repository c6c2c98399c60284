//! OLE compound files: Excel and Word before 2007, what their property set says of them, and encrypted newer documents.

use super::reading::{Reading, Stop};
use super::{plain, word97};
use crate::ExtractError;
use calamine::{Data, Range, Reader, Xls, XlsError, Xlsb};
use std::io::{Cursor, Read};

/// A compound file in memory.
pub type Ole<'a> = cfb::CompoundFile<Cursor<&'a [u8]>>;

/// Bytes of a property set that are looked at.
const PROPERTIES_BYTES_MAX: u64 = 256 * 1024;

pub fn read(bytes: &[u8], to: &mut Reading) -> Result<(), Stop> {
    let mut file = Ole::open(Cursor::new(bytes)).map_err(Stop::malformed)?;
    if file.exists("/EncryptedPackage") {
        return Err(Stop::Failed(ExtractError::Encrypted));
    }
    if let Ok(properties) = stream(&mut file, "/\u{5}SummaryInformation", PROPERTIES_BYTES_MAX) {
        summary(&properties, &[(2, "title"), (3, "subject"), (4, "author"), (5, "keywords"), (6, "description")], to);
    }
    if let Ok(properties) = stream(&mut file, "/\u{5}DocumentSummaryInformation", PROPERTIES_BYTES_MAX) {
        summary(&properties, &[(15, "company")], to);
    }
    if file.exists("/Workbook") || file.exists("/Book") {
        return read_workbook(bytes, to);
    }
    if file.exists("/WordDocument") {
        return word97::read(&mut file, to);
    }
    Err(Stop::Failed(ExtractError::Unsupported("an OLE file of another program".into())))
}

/// The content of a stream, `max` bytes of it at most.
pub fn stream(file: &mut Ole, path: &str, max: u64) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.open_stream(path)?.take(max).read_to_end(&mut content)?;
    Ok(content)
}

fn read_workbook(bytes: &[u8], to: &mut Reading) -> Result<(), Stop> {
    let mut book = Xls::new(Cursor::new(bytes)).map_err(|e| match e {
        XlsError::Password => Stop::Failed(ExtractError::Encrypted),
        e => Stop::malformed(e),
    })?;
    push_sheets(book.worksheets(), to)
}

/// Excel's binary workbook (`.xlsb`), which lies in a zip.
pub fn read_binary_workbook(bytes: &[u8], to: &mut Reading) -> Result<(), Stop> {
    let mut book = Xlsb::new(Cursor::new(bytes)).map_err(Stop::malformed)?;
    push_sheets(book.worksheets(), to)
}

fn push_sheets(sheets: Vec<(String, Range<Data>)>, to: &mut Reading) -> Result<(), Stop> {
    for (name, cells) in sheets {
        to.push(&name)?;
        to.line();
        for row in cells.rows() {
            for cell in row.iter().filter(|c| **c != Data::Empty) {
                to.push(&cell.to_string())?;
                to.space();
            }
            to.line();
        }
    }
    Ok(())
}

/// Strings of a property set (MS-OLEPS), by property number.
fn summary(bytes: &[u8], wanted: &[(u32, &str)], to: &mut Reading) -> Option<()> {
    let section = bytes.get(u32_at(bytes, 44)? as usize..)?;
    let count = u32_at(section, 4)?.min(256) as usize;
    let property = |index: usize| Some((u32_at(section, 8 + index * 8)?, u32_at(section, 12 + index * 8)? as usize));
    // Property 1 is the code page of the strings.
    let code_page =
        (0..count).filter_map(property).find(|(id, _)| *id == 1).and_then(|(_, at)| u16_at(section, at + 4));
    for (id, at) in (0..count).filter_map(property) {
        let Some((_, name)) = wanted.iter().find(|(number, _)| *number == id) else { continue };
        if let Some(value) = string_at(section, at, code_page.unwrap_or(1252)) {
            to.field(name, &value);
        }
    }
    Some(())
}

fn string_at(section: &[u8], at: usize, code_page: u16) -> Option<String> {
    const VT_LPSTR: u32 = 30;
    const VT_LPWSTR: u32 = 31;
    let (kind, length) = (u32_at(section, at)?, u32_at(section, at.checked_add(4)?)? as usize);
    let start = at.checked_add(8)?;
    let text = match kind {
        VT_LPSTR => {
            let bytes = section.get(start..start.checked_add(length)?)?;
            match code_page {
                1200 => encoding_rs::UTF_16LE.decode_without_bom_handling(bytes).0.into_owned(),
                65001 => String::from_utf8_lossy(bytes).into_owned(),
                page => plain::code_page(page).decode_without_bom_handling(bytes).0.into_owned(),
            }
        }
        VT_LPWSTR => {
            let bytes = section.get(start..start.checked_add(length.checked_mul(2)?)?)?;
            encoding_rs::UTF_16LE.decode_without_bom_handling(bytes).0.into_owned()
        }
        _ => return None,
    };
    Some(text.trim_end_matches('\0').to_string())
}

/// A little-endian number, if it is there.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

/// A little-endian number, if it is there.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?).map(|b| u16::from_le_bytes([b[0], b[1]]))
}

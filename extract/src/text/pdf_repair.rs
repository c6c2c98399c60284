//! PDF files whose table of objects is wrong: cut off, shifted by what stands before them, or with other line ends than they had.
//! Like other readers we then look for the objects themselves and write a new table.

use memchr::memmem;
use std::collections::BTreeMap;

/// Bytes before the header that are skipped (Adobe's number).
const HEADER_WITHIN: usize = 1024;

/// The file from its header on.
pub fn from_header(bytes: &[u8]) -> &[u8] {
    let head = &bytes[..bytes.len().min(HEADER_WITHIN)];
    memmem::find(head, b"%PDF-").map_or(bytes, |at| &bytes[at..])
}

/// The file with a new table at its end; `None` when it has no root, or is encrypted (which needs more than its objects).
pub fn repaired(bytes: &[u8]) -> Option<Vec<u8>> {
    if !bytes.starts_with(b"%PDF-") || memmem::find(bytes, b"/Encrypt").is_some() {
        return None;
    }
    let objects = objects(bytes);
    let root = reference(bytes, b"/Root").or_else(|| catalog(bytes, &objects))?;
    let size = objects.keys().next_back()? + 1;
    let mut out = bytes.to_vec();
    let table = out.len() + 1;
    out.extend_from_slice(b"\nxref\n0 1\n0000000000 65535 f \n");
    for (number, (at, generation)) in &objects {
        out.extend_from_slice(format!("{number} 1\n{at:010} {generation:05} n \n").as_bytes());
    }
    out.extend_from_slice(format!("trailer\n<< /Size {size} /Root {root} 0 R").as_bytes());
    if let Some(info) = reference(bytes, b"/Info") {
        out.extend_from_slice(format!(" /Info {info} 0 R").as_bytes());
    }
    out.extend_from_slice(format!(" >>\nstartxref\n{table}\n%%EOF\n").as_bytes());
    Some(out)
}

/// Where each object begins, by its number: the last one of a number counts, as it replaced the others.
fn objects(bytes: &[u8]) -> BTreeMap<u32, (usize, u16)> {
    let find = |at: usize| {
        let (generation, start) = number_before(bytes, at)?;
        let (number, start) = number_before(bytes, start.checked_sub(1)?)?;
        let generation = u16::try_from(generation).ok()?;
        // Zero is the head of the list of free objects.
        (number > 0).then_some((number, (start, generation)))
    };
    memmem::find_iter(bytes, b" obj").filter_map(find).collect()
}

/// The number that ends before `end`, and where it begins.
fn number_before(bytes: &[u8], end: usize) -> Option<(u32, usize)> {
    let digits = bytes[..end].iter().rev().take(10).take_while(|b| b.is_ascii_digit()).count();
    let start = end - digits;
    let number = std::str::from_utf8(&bytes[start..end]).ok()?.parse().ok()?;
    Some((number, start))
}

/// The object that the last `key` refers to.
fn reference(bytes: &[u8], key: &[u8]) -> Option<u32> {
    let rest = bytes[memmem::rfind(bytes, key)? + key.len()..].trim_ascii_start();
    let digits = rest.iter().take(10).take_while(|b| b.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

fn catalog(bytes: &[u8], objects: &BTreeMap<u32, (usize, u16)>) -> Option<u32> {
    let at = memmem::rfind(bytes, b"/Catalog")?;
    let holder = objects.iter().filter(|(_, (start, _))| *start < at).max_by_key(|(_, (start, _))| *start);
    holder.map(|(number, _)| *number)
}

#[cfg(test)]
mod tests {
    use crate::{Extracted, Limits, text};

    const GOOD: &[u8] = include_bytes!("../../tests/fixtures/reportlab.pdf");

    fn extracted(bytes: &[u8]) -> Extracted {
        text::extract("application/pdf", "", bytes, &Limits::default()).unwrap()
    }

    fn position(what: &[u8]) -> usize {
        memchr::memmem::rfind(GOOD, what).unwrap()
    }

    #[test]
    fn without_its_table() {
        let expected = extracted(GOOD);
        assert_eq!(extracted(&GOOD[..position(b"startxref")]), expected);
        let cut = extracted(&GOOD[..position(b"xref\n0 ")]);
        assert_eq!(cut.text, expected.text);
    }

    #[test]
    fn shifted() {
        let expected = extracted(GOOD);
        assert_eq!(extracted(&[b"\r\njunk before it\r\n", GOOD].concat()), expected);
        let inserted = [&GOOD[..9], &[b'\n'; 300], &GOOD[9..]].concat();
        assert_eq!(extracted(&inserted).text, expected.text);
    }

    #[test]
    fn nothing_to_repair() {
        for bytes in
            [&b""[..], b"%PDF-1.4", b"%PDF-1.4 obj 0 obj 99999999999 0 obj /Root x", b"%PDF-1.4\n1 0 obj\n/Root 7"]
        {
            assert!(text::extract("application/pdf", "", bytes, &Limits::default()).is_err());
        }
    }
}

//! Tar archives (POSIX ustar and pax, GNU's long names).

use super::archive::{Member, Packing, Unreadable};

const BLOCK: usize = 512;

/// Whether it begins with a header that is one by its magic or by its checksum (old tar has no magic).
pub fn is_tar(data: &[u8]) -> bool {
    let Some(header) = data.get(..BLOCK) else { return false };
    header[257..262] == *b"ustar" || (header[0] != 0 && octal(&header[148..156]) == Some(checksum(header)))
}

fn checksum(header: &[u8]) -> usize {
    let byte = |(i, b): (usize, &u8)| if (148..156).contains(&i) { 32 } else { usize::from(*b) };
    header.iter().enumerate().map(byte).sum()
}

/// A number: octal digits, or GNU's binary form.
fn octal(field: &[u8]) -> Option<usize> {
    if field.first().is_some_and(|b| b & 0x80 != 0) {
        let bytes = field.get(field.len().checked_sub(8)?..)?;
        return usize::try_from(u64::from_be_bytes(bytes.try_into().ok()?)).ok();
    }
    let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    let text = text.split(['\0', ' ']).next()?;
    if text.is_empty() { Some(0) } else { usize::from_str_radix(text, 8).ok() }
}

fn name(field: &[u8]) -> String {
    let end = memchr::memchr(0, field).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// The files.
pub fn members(data: &[u8]) -> impl Iterator<Item = Result<Member<'_>, Unreadable>> {
    let mut rest = data;
    let mut said: Vec<String> = Vec::new();
    std::iter::from_fn(move || {
        loop {
            let header = rest.get(..BLOCK)?;
            if header.iter().all(|b| *b == 0) {
                // The end. Readers that are told to look behind it: what follows is looked at as well.
                rest = &rest[BLOCK..];
                continue;
            }
            let Some(size) = octal(&header[124..136]) else {
                rest = &[];
                return Some(Err(Unreadable));
            };
            let body = &rest[BLOCK..];
            let data = &body[..size.min(body.len())];
            let after = size.checked_next_multiple_of(BLOCK).unwrap_or(usize::MAX);
            rest = body.get(after..).unwrap_or(&[]);
            match header[156] {
                b'L' => said.push(name(data)),
                b'x' => said.extend(pax_path(data)),
                b'g' | b'K' | b'5' => {}
                _ => {
                    let mut names = std::mem::take(&mut said);
                    let prefix = if &header[257..262] == b"ustar" { name(&header[345..500]) } else { String::new() };
                    names.push(format!("{prefix}/{}", name(&header[..100])));
                    return Some(Ok(Member { names, encrypted: false, data, packing: Packing::Stored }));
                }
            }
        }
    })
}

/// `path` of a pax header: `LENGTH path=NAME\n`.
fn pax_path(mut records: &[u8]) -> Option<String> {
    let mut found = None;
    while let Some(space) = memchr::memchr(b' ', records) {
        let length = std::str::from_utf8(&records[..space]).ok().and_then(|n| n.parse::<usize>().ok());
        let Some(record) = length.and_then(|n| records.get(space + 1..n)) else { break };
        if let Some(path) = record.strip_prefix(b"path=") {
            found = Some(String::from_utf8_lossy(path).trim_end().to_string());
        }
        records = &records[length.unwrap_or(records.len())..];
    }
    found
}

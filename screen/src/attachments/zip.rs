//! Zip archives (PKWARE's APPNOTE.TXT): the central directory, and what the files' own headers say.

use super::archive::{Member, Packing, Unreadable};

const END: &[u8] = b"PK\x05\x06";
const END64_LOCATOR: &[u8] = b"PK\x06\x07";
const END64: &[u8] = b"PK\x06\x06";
const ENTRY: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";
/// The end of the directory with the longest comment.
const END_BYTES_MAX: usize = 22 + 65_535;

fn u16_at(data: &[u8], at: usize) -> Option<usize> {
    let bytes = data.get(at..at.checked_add(2)?)?;
    Some(usize::from(u16::from_le_bytes(bytes.try_into().ok()?)))
}

fn u32_at(data: &[u8], at: usize) -> Option<usize> {
    let bytes = data.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
}

fn u64_at(data: &[u8], at: usize) -> Option<usize> {
    let bytes = data.get(at..at.checked_add(8)?)?;
    usize::try_from(u64::from_le_bytes(bytes.try_into().ok()?)).ok()
}

fn slice(data: &[u8], at: usize, len: usize) -> Option<&[u8]> {
    data.get(at..at.checked_add(len)?)
}

/// Where the directory lies: its place, its size, and how far everything is shifted by what stands before the archive.
struct Directory {
    at: usize,
    size: usize,
    shift: usize,
}

fn directory(data: &[u8]) -> Option<Directory> {
    let from = data.len().saturating_sub(END_BYTES_MAX);
    // The last end whose comment fits is the one that readers use.
    let end = memchr::memmem::rfind_iter(&data[from..], END).map(|at| from + at);
    let end =
        end.into_iter().find(|at| u16_at(data, at + 20).is_some_and(|comment| at + 22 + comment <= data.len()))?;
    let (mut size, mut offset, mut tail) = (u32_at(data, end + 12)?, u32_at(data, end + 16)?, end);
    let locator = end.checked_sub(20).filter(|at| data[*at..].starts_with(END64_LOCATOR));
    if let Some(locator) = locator {
        // APPNOTE §4.3.15: the larger numbers stand before it. Something before the archive moves it.
        let said = u64_at(data, locator + 8)?;
        let found = data.get(said..).is_some_and(|rest| rest.starts_with(END64));
        let end64 = if found { said } else { memchr::memmem::rfind(&data[..locator], END64)? };
        (size, offset, tail) = (u64_at(data, end64 + 40)?, u64_at(data, end64 + 48)?, end64);
    }
    let at = tail.checked_sub(size)?;
    Some(Directory { at, size, shift: at.checked_sub(offset)? })
}

/// Whether there is a directory at the end.
pub fn has_directory(data: &[u8]) -> bool {
    directory(data).is_some_and(|d| d.size == 0 || data[d.at..].starts_with(ENTRY))
}

/// The files; `None` when there is no directory.
pub fn members(data: &[u8]) -> Option<impl Iterator<Item = Result<Member<'_>, Unreadable>>> {
    let Directory { at, size, shift } = directory(data)?;
    let end = at.checked_add(size)?;
    let mut next = Some(at);
    Some(std::iter::from_fn(move || {
        let at = next.filter(|at| *at < end)?;
        match member(data, at, shift) {
            Some((member, after)) => {
                next = Some(after);
                Some(Ok(member))
            }
            None => {
                next = None;
                Some(Err(Unreadable))
            }
        }
    }))
}

/// The file of the directory's entry at `at`, and where the next entry begins.
fn member(data: &[u8], at: usize, shift: usize) -> Option<(Member<'_>, usize)> {
    if !data.get(at..)?.starts_with(ENTRY) {
        return None;
    }
    let (flags, method) = (u16_at(data, at + 8)?, u16_at(data, at + 10)?);
    let (packed, name_len) = (u32_at(data, at + 20)?, u16_at(data, at + 28)?);
    let (extra_len, comment_len) = (u16_at(data, at + 30)?, u16_at(data, at + 32)?);
    let mut offset = u32_at(data, at + 42)?;
    let name = slice(data, at + 46, name_len)?;
    let extra = slice(data, at + 46 + name_len, extra_len)?;
    let after = at + 46 + name_len + extra_len + comment_len;
    if offset == u32::MAX as usize {
        offset = offset64(extra, u32_at(data, at + 24)?, packed)?;
    }
    let local = offset.checked_add(shift)?;
    if !data.get(local..)?.starts_with(LOCAL) {
        return None;
    }
    let (local_flags, local_name_len) = (u16_at(data, local + 6)?, u16_at(data, local + 26)?);
    let local_name = slice(data, local + 30, local_name_len)?;
    let body = data.get(local + 30 + local_name_len + u16_at(data, local + 28)?..)?;
    let body = if packed == u32::MAX as usize { body } else { &body[..packed.min(body.len())] };
    let mut names = vec![String::from_utf8_lossy(name).into_owned()];
    if local_name != name {
        names.push(String::from_utf8_lossy(local_name).into_owned());
    }
    let packing = match method {
        0 => Packing::Stored,
        8 => Packing::Deflated,
        _ => Packing::Unknown,
    };
    // Bit 0: encrypted; bit 13: the directory is masked; method 99: AES.
    let encrypted = (flags | local_flags) & 0x2001 != 0 || method == 99;
    Some((Member { names, encrypted, data: body, packing }, after))
}

/// The offset in the Zip64 field (APPNOTE §4.5.3), after the sizes that did not fit either.
fn offset64(mut extra: &[u8], unpacked: usize, packed: usize) -> Option<usize> {
    loop {
        let (id, len) = (u16_at(extra, 0)?, u16_at(extra, 2)?);
        let field = slice(extra, 4, len)?;
        if id == 1 {
            let before = [unpacked, packed].iter().filter(|size| **size == u32::MAX as usize).count();
            return u64_at(field, before * 8);
        }
        extra = &extra[4 + len..];
    }
}

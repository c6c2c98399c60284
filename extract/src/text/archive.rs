//! Containers: a zip is an office document or an archive; tar and gzip are archives. Of an archive the members' names are text,
//! and so is what the members say.

use super::reading::{Reading, Stop};
use super::{kind, kind::Kind, odf, ooxml};
use crate::ExtractError;
use flate2::read::MultiGzDecoder;
use std::io::{Cursor, Read};
use zip9::ZipArchive;

pub type Zip<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// What decides what a member is, before it is unpacked.
const SNIFFED_BYTES: u64 = 4096;

pub fn read_zip(bytes: &[u8], depth: u64, to: &mut Reading) -> Result<(), Stop> {
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(Stop::malformed)?;
    if zip.index_for_name("[Content_Types].xml").is_some() {
        return ooxml::read(&mut zip, bytes, to);
    }
    if zip.index_for_name("content.xml").is_some() && zip.index_for_name("META-INF/manifest.xml").is_some() {
        return odf::read(&mut zip, to);
    }
    read_members(&mut zip, depth, to)
}

/// Whether an archive that lies `depth` archives deep may be opened. What it is was told by its content: names lie.
fn may_open(depth: u64, to: &mut Reading) -> bool {
    let may = depth < to.limits.depth;
    to.truncated |= !may;
    may
}

fn read_members(zip: &mut Zip, depth: u64, to: &mut Reading) -> Result<(), Stop> {
    if !may_open(depth, to) {
        return Ok(());
    }
    for index in 0..zip.len() {
        // Encrypted members and unknown methods still have a name.
        let name = zip.name_for_index(index).and_then(Result::ok).unwrap_or_default().into_owned();
        if name.ends_with('/') {
            continue;
        }
        if !enter(&name, to)? {
            return Ok(());
        }
        match zip.by_index(index) {
            Ok(member) => read_member(&name, member, depth, to)?,
            Err(_) => to.truncated = true,
        }
    }
    Ok(())
}

pub fn read_tar(bytes: &[u8], depth: u64, to: &mut Reading) -> Result<(), Stop> {
    read_tar_from(bytes, depth, to)
}

fn read_tar_from(source: impl Read, depth: u64, to: &mut Reading) -> Result<(), Stop> {
    if !may_open(depth, to) {
        return Ok(());
    }
    let mut archive = tar::Archive::new(source);
    for entry in archive.entries().map_err(Stop::malformed)? {
        let entry = entry.map_err(Stop::malformed)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !enter(&name, to)? {
            return Ok(());
        }
        read_member(&name, entry, depth, to)?;
    }
    Ok(())
}

pub fn read_gzip(bytes: &[u8], depth: u64, to: &mut Reading) -> Result<(), Stop> {
    if !may_open(depth, to) {
        return Ok(());
    }
    let mut head = [0; 512];
    let n = fill(&mut MultiGzDecoder::new(bytes), &mut head).map_err(Stop::malformed)?;
    let unpacked = to.meter.reader(MultiGzDecoder::new(bytes));
    if kind::of("", "", &head[..n]) == Some(Kind::Tar) {
        return read_tar_from(unpacked, depth, to);
    }
    // Gzip may know the name that the file had.
    let decoder = MultiGzDecoder::new(bytes);
    let name = decoder.header().and_then(|h| h.filename()).map(|n| String::from_utf8_lossy(n).into_owned());
    read_member(&name.unwrap_or_default(), unpacked, depth, to)
}

/// Writes down a member's name; `false` when no more may be looked at.
fn enter(name: &str, to: &mut Reading) -> Result<bool, Stop> {
    if to.members_left == 0 {
        to.truncated = true;
        return Ok(false);
    }
    to.members_left -= 1;
    to.line();
    // Folders and the parts of a name are words of their own.
    for c in name.chars() {
        to.push_char(if c == '/' || c == '\\' { ' ' } else { c })?;
    }
    to.line();
    Ok(true)
}

/// Reads a member of a format that has a reader. Whatever is wrong with it is its own affair, except a bomb.
fn read_member(name: &str, member: impl Read, depth: u64, to: &mut Reading) -> Result<(), Stop> {
    let mut member = to.meter.reader(member);
    let mut bytes = Vec::new();
    let end = member.by_ref().take(SNIFFED_BYTES).read_to_end(&mut bytes);
    let Some(kind) = kind::of("", name, &bytes) else { return Ok(()) };
    let room = to.limits.input_bytes.saturating_sub(bytes.len() as u64);
    let end = end.and_then(|_| member.by_ref().take(room + 1).read_to_end(&mut bytes));
    if to.meter.is_exceeded() {
        return Err(Stop::Failed(ExtractError::TooLarge("it unpacks to too much".into())));
    }
    let is_cut = end.is_err() || bytes.len() as u64 > to.limits.input_bytes;
    to.truncated |= is_cut;
    // The beginning of a text is text; of the others it is nothing.
    if bytes.len() as u64 > to.limits.input_bytes {
        if !matches!(kind, Kind::Text | Kind::Html | Kind::Xml) {
            return Ok(());
        }
        bytes.truncate(to.limits.input_bytes as usize);
    }
    match super::read(kind, None, &bytes, depth + 1, to) {
        Err(Stop::Full) => Err(Stop::Full),
        Err(_) if to.meter.is_exceeded() => Err(Stop::Failed(ExtractError::TooLarge("it unpacks to too much".into()))),
        Err(Stop::Failed(ExtractError::Unsupported(_))) | Ok(()) => Ok(()),
        Err(Stop::Failed(_)) => {
            to.truncated = true;
            Ok(())
        }
    }
}

fn fill(from: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut n = 0;
    while n < buffer.len() {
        match from.read(&mut buffer[n..])? {
            0 => break,
            more => n += more,
        }
    }
    Ok(n)
}

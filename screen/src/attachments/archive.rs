//! Looking into archives within bounds.

use super::{Bounds, Finding, Rules, magic, names, tar, zip};
use flate2::read::{DeflateDecoder, MultiGzDecoder};
use std::io::Read;

/// Bytes of a file in an archive by which its content is known.
const HEAD_BYTES: usize = 512;

/// What is left to spend on a message.
pub struct Budget {
    files: usize,
    bytes: usize,
}

/// The archive is broken or has more than may be looked at.
pub struct Unreadable;

impl Budget {
    pub fn new(bounds: &Bounds) -> Self {
        Budget { files: bounds.files, bytes: bounds.bytes }
    }

    fn file(&mut self) -> Result<(), Unreadable> {
        self.files = self.files.checked_sub(1).ok_or(Unreadable)?;
        Ok(())
    }
}

/// A file in an archive.
pub struct Member<'a> {
    /// Its names: an archive may tell two readers two names.
    pub names: Vec<String>,
    /// It needs a password.
    pub encrypted: bool,
    /// As it lies in the archive.
    pub data: &'a [u8],
    /// How it is packed.
    pub packing: Packing,
}

/// How a file lies in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    Stored,
    Deflated,
    Gzip,
    /// By a method that we do not unpack: only its name is known.
    Unknown,
}

/// Looks into `data` if it is an archive that we can open.
pub fn walk(data: &[u8], name: &str, depth: usize, rules: &Rules, budget: &mut Budget) -> Result<(), Finding> {
    let unreadable = || match rules.unreadable {
        true => Err(Finding::Unreadable { name: name.into() }),
        false => Ok(()),
    };
    let members: Box<dyn Iterator<Item = Result<Member<'_>, Unreadable>> + '_> = match format(data, name) {
        Some(_) if depth >= rules.bounds.depth => return unreadable(),
        Some(Format::Zip) => match zip::members(data) {
            Some(members) => Box::new(members),
            None => return unreadable(),
        },
        Some(Format::Tar) => Box::new(tar::members(data)),
        Some(Format::Gzip) => Box::new(std::iter::once(Ok(gzip_member(data, name)))),
        None => return Ok(()),
    };
    for member in members {
        let Ok(member) = member else { return unreadable() };
        if budget.file().is_err() {
            return unreadable();
        }
        if look(&member, name, depth, rules, budget)?.is_err() {
            return unreadable();
        }
    }
    Ok(())
}

/// Looks at one file.
fn look(
    member: &Member<'_>,
    archive: &str,
    depth: usize,
    rules: &Rules,
    budget: &mut Budget,
) -> Result<Result<(), Unreadable>, Finding> {
    for name in &member.names {
        rules.check_name(name)?;
    }
    if member.encrypted {
        return if rules.encrypted { Err(Finding::Encrypted { name: archive.into() }) } else { Ok(Ok(())) };
    }
    let name = member.names.first().map_or("", String::as_str);
    let Some(head) = unpack(member, HEAD_BYTES, budget) else { return Ok(Err(Unreadable)) };
    rules.check_content(name, &head)?;
    if format(&head, name).is_none() && !is_named_zip(name) {
        return Ok(Ok(()));
    }
    if member.packing == Packing::Stored {
        walk(member.data, name, depth + 1, rules, budget)?;
        return Ok(Ok(()));
    }
    let left = budget.bytes;
    match unpack(member, left, budget) {
        // Exactly all that was left: there may be more.
        Some(inner) if inner.len() < left => walk(&inner, name, depth + 1, rules, budget).map(Ok),
        _ => Ok(Err(Unreadable)),
    }
}

/// At most `max` bytes of a file, paid for. What is broken after its beginning counts as what is there; `None` when the
/// means are used up.
fn unpack(member: &Member<'_>, max: usize, budget: &mut Budget) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut take = |reader: &mut dyn Read| {
        // An error ends it: readers of the archive get no further either.
        let _ = reader.take(max as u64).read_to_end(&mut out);
    };
    match member.packing {
        Packing::Stored => return Some(member.data[..member.data.len().min(max)].to_vec()),
        Packing::Deflated => take(&mut DeflateDecoder::new(member.data)),
        Packing::Gzip => take(&mut MultiGzDecoder::new(member.data)),
        Packing::Unknown => return Some(Vec::new()),
    }
    budget.bytes = budget.bytes.checked_sub(out.len())?;
    Some(out)
}

enum Format {
    Zip,
    Tar,
    Gzip,
}

/// Which archive this is that we can open. An archive may have anything before it (a program that unpacks itself): there
/// the name decides.
fn format(data: &[u8], name: &str) -> Option<Format> {
    match magic::kind(data) {
        Some("zip") => return Some(Format::Zip),
        Some("gz") => return Some(Format::Gzip),
        _ => {}
    }
    if tar::is_tar(data) {
        return Some(Format::Tar);
    }
    (is_named_zip(name) && zip::has_directory(data)).then_some(Format::Zip)
}

fn is_named_zip(name: &str) -> bool {
    matches!(names::extension(name).as_deref(), Some("zip" | "jar" | "apk" | "exe"))
}

/// What gunzip makes of it: named as it says, or as it is named without its last extension.
fn gzip_member<'a>(data: &'a [u8], name: &str) -> Member<'a> {
    let mut names = Vec::new();
    if let Some(stem) = name.rsplit_once('.').map(|(stem, _)| stem) {
        let tar = name.to_ascii_lowercase().ends_with(".tgz");
        names.push(if tar { format!("{stem}.tar") } else { stem.to_string() });
    }
    let decoder = flate2::read::GzDecoder::new(data);
    let own = decoder.header().and_then(|header| header.filename()).map(|n| String::from_utf8_lossy(n).into_owned());
    names.extend(own);
    Member { names, encrypted: false, data, packing: Packing::Gzip }
}

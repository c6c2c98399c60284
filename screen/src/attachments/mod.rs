//! Blocked attachments: by name, by declared type, by content, also inside archives.
//!
//! A name is blocked when its extension is in `zimbraMtaBlockedExtension`; a declared type or a content is when the
//! extension that it usually has is. Of a file in an archive only the name and the first bytes are looked at; an archive
//! in an archive is unpacked for the same, within the bounds of [`Bounds`]: a message costs at most so much, whatever it
//! unpacks to.

mod archive;
mod magic;
mod names;
mod tar;
mod zip;

#[cfg(test)]
mod tests;

use archive::{Budget, walk};
use names::Names;
use std::collections::BTreeSet;
use zcluster_mail::{Part, PartKind};

/// How much is unpacked of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Archives in archives.
    pub depth: usize,
    /// Files in all archives together.
    pub files: usize,
    /// Bytes that unpacking makes, all archives together.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { depth: 4, files: 10_000, bytes: 64 * 1024 * 1024 }
    }
}

/// What is not let through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Extensions, lower case, without their dot (`zimbraMtaBlockedExtension`).
    pub extensions: BTreeSet<String>,
    /// Archives that need a password (`zimbraVirusBlockEncryptedArchive`).
    pub encrypted: bool,
    /// Archives that are broken or larger than the bounds, so that nobody knows what is in them.
    pub unreadable: bool,
    /// How much is unpacked.
    pub bounds: Bounds,
}

/// Why a message is not let through. Names are as the sender chose them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// A file by its name.
    #[error("file name {name}")]
    Name {
        /// The file's name.
        name: String,
    },
    /// A file by its content or its declared type.
    #[error("file type {kind} of {name}")]
    Kind {
        /// The file's name.
        name: String,
        /// The extension that such files have.
        kind: &'static str,
    },
    /// An archive with a password.
    #[error("encrypted archive {name}")]
    Encrypted {
        /// The archive's name.
        name: String,
    },
    /// An archive that cannot be looked into within the bounds.
    #[error("archive {name} that cannot be checked")]
    Unreadable {
        /// The archive's name.
        name: String,
    },
}

impl Rules {
    /// Whether there is anything to look for.
    pub fn is_empty(&self) -> bool {
        self.extensions.is_empty() && !self.encrypted
    }

    fn blocks(&self, extension: &str) -> bool {
        self.extensions.contains(extension)
    }

    /// The name as a finding, if it is blocked.
    fn check_name(&self, name: &str) -> Result<(), Finding> {
        match names::extension(name) {
            Some(extension) if self.blocks(&extension) => Err(Finding::Name { name: name.into() }),
            _ => Ok(()),
        }
    }

    fn check_content(&self, name: &str, head: &[u8]) -> Result<(), Finding> {
        match magic::kind(head) {
            Some(kind) if self.blocks(kind) => Err(Finding::Kind { name: name.into(), kind }),
            _ => Ok(()),
        }
    }
}

/// The first reason not to let the message through.
///
/// # Errors
/// [`Finding`].
pub fn inspect(raw: &[u8], rules: &Rules) -> Result<(), Finding> {
    if rules.is_empty() {
        return Ok(());
    }
    let summary = zcluster_mail::parse(raw);
    let mut budget = Budget::new(&rules.bounds);
    let mut parts = vec![&summary.root];
    while let Some(part) = parts.pop() {
        if matches!(part.kind, PartKind::Leaf) {
            leaf(raw, part, rules, &mut budget)?;
        }
        parts.extend(part.children().iter().rev());
    }
    Ok(())
}

fn leaf(raw: &[u8], part: &Part, rules: &Rules, budget: &mut Budget) -> Result<(), Finding> {
    let names = Names::of(part);
    for name in names.all() {
        rules.check_name(name)?;
    }
    let name = names.first().unwrap_or("(without a name)");
    let media_type = format!("{}/{}", text(&part.media_type.0), text(&part.subtype.0));
    match magic::kind_of_type(&media_type) {
        Some(kind) if rules.blocks(kind) => return Err(Finding::Kind { name: name.into(), kind }),
        _ => {}
    }
    let range = part.body_range();
    let body = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
    let Some(body) = body.and_then(|(start, end)| raw.get(start..end)) else { return Ok(()) };
    let decoded = zcluster_mail::decode_part(part, body);
    if part.is_type("text") {
        for name in names::uuencoded(&decoded) {
            rules.check_name(&name)?;
        }
    }
    rules.check_content(name, &decoded)?;
    walk(&decoded, name, 0, rules, budget)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).to_ascii_lowercase()
}

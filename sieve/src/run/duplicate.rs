//! The `duplicate` test (RFC 7352).

use super::{Run, Runner};
use crate::outcome::Remember;
use crate::program::DuplicateSource;
use crate::text::Text;

/// A hash of pieces, each with its length, so that no two lists are the same bytes.
pub(crate) fn hash(pieces: &[&str]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for piece in pieces {
        hasher.update(&(piece.len() as u64).to_le_bytes());
        hasher.update(piece.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

impl Runner<'_> {
    pub(super) fn duplicate(
        &mut self,
        source: &DuplicateSource,
        handle: Option<&Text>,
        seconds: u64,
        last: bool,
    ) -> Run<bool> {
        let header = |name: &str| self.mail.fields.iter().find(|f| f.name.eq_ignore_ascii_case(name)).map(|f| f.text());
        let value = match source {
            DuplicateSource::MessageId => header("message-id"),
            DuplicateSource::Header(name) => {
                let name = self.expand(name)?;
                self.mail.fields.iter().find(|f| f.name.eq_ignore_ascii_case(&name)).map(|f| f.text())
            }
            DuplicateSource::UniqueId(id) => Some(self.expand(id)?),
        };
        let handle = handle.map(|h| self.expand(h)).transpose()?.unwrap_or_default();
        // RFC 7352 §3: no id, no duplicate.
        let Some(value) = value.filter(|v| !v.is_empty()) else { return Ok(false) };
        let id = hash(&["sieve duplicate", &handle, &value]);
        // The same question has the same answer all through the run.
        if let Some(answer) = self.asked.get(&id) {
            return Ok(*answer);
        }
        if self.asked.len() >= self.limits.duplicates {
            return Err(format!("the script asks for more than {} duplicates", self.limits.duplicates).into());
        }
        let seen = self.context.seen(&id);
        self.asked.insert(id, seen);
        // Without `:last` time counts from the first message, so a later one changes nothing.
        if !seen || last {
            self.remember.push(Remember { id, seconds });
        }
        Ok(seen)
    }
}

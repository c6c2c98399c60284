//! What the cluster keeps for itself (certificates' keys, accounts at authorities, who works on them): compared and set.

use super::Work;
use crate::kv::{KvRead, Table, behind, each, load, save};
use minicbor::{Decode, Encode};
use zcluster_api::directory::{SECRET_BYTES_MAX, SECRET_NAME_BYTES_MAX, SECRETS_PER_PAGE_MAX, Secret};
use zcluster_api::{DirectoryReply, Error, Result};

/// A row of [`Table::Secret`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Kept {
    /// The log's index when it was written: never used twice, also when it was forgotten in between.
    #[n(0)]
    version: u64,
    #[n(1)]
    value: Secret,
}

pub(super) fn put(
    work: &mut Work<'_>,
    name: &str,
    value: Option<&Secret>,
    expect: Option<u64>,
) -> Result<DirectoryReply> {
    if name.is_empty() || name.len() > SECRET_NAME_BYTES_MAX || !name.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::Invalid(format!("secret's name: {name:?}")));
    }
    if let Some(Secret(bytes)) = value
        && bytes.len() > SECRET_BYTES_MAX
    {
        return Err(Error::TooLarge(format!("secret of {} bytes", bytes.len())));
    }
    let there = load::<Kept>(work.kv, Table::Secret, name.as_bytes())?.map_or(0, |k| k.version);
    if expect.is_some_and(|version| version != there) {
        return Err(Error::Conflict(format!("secret {name} is at version {there}")));
    }
    match value {
        Some(value) => {
            let kept = Kept { version: work.stamp.index, value: value.clone() };
            save(work.kv, Table::Secret, name.as_bytes(), &kept);
            Ok(DirectoryReply::Version(kept.version))
        }
        None => {
            work.kv.delete(Table::Secret, name.as_bytes());
            Ok(DirectoryReply::Version(0))
        }
    }
}

pub(super) fn get(kv: &dyn KvRead, name: &str) -> Result<DirectoryReply> {
    let kept = load::<Kept>(kv, Table::Secret, name.as_bytes())?;
    let Kept { version, value } = kept.ok_or_else(|| Error::NotFound(format!("secret {name}")))?;
    Ok(DirectoryReply::Secret(value, version))
}

pub(super) fn names(kv: &dyn KvRead, prefix: &str, after: Option<&str>, limit: u32) -> Result<DirectoryReply> {
    let (mut from, to) = (prefix.as_bytes().to_vec(), behind(prefix.as_bytes()));
    if let Some(after) = after {
        let mut next = after.as_bytes().to_vec();
        next.push(0);
        from = from.max(next);
    }
    let limit = limit.clamp(1, SECRETS_PER_PAGE_MAX) as usize;
    let mut out = Vec::new();
    each(kv, Table::Secret, &from, &to, |key, kept: Kept| {
        out.push((String::from_utf8_lossy(key).into_owned(), kept.version));
        Ok(out.len() < limit)
    })?;
    Ok(DirectoryReply::Secrets(out))
}

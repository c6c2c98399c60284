//! Stored sort keys of messages, read for an index.

use super::super::items;
use super::super::read::View;
use super::super::rows::ColdRow;
use super::super::sort::Texts;
use super::columns::Columns;
use super::ids;
use crate::content::Content;
use crate::kv::Table;
use minicbor::Decode;
use zcluster_api::sort::SortBy;
use zcluster_api::{Result, codec};

/// The part of `zcluster_api::sort::SortKeys` that threading needs.
#[derive(Debug, Default, Decode)]
struct References {
    #[n(9)]
    id: Option<u64>,
    #[n(10)]
    references: Vec<u64>,
}

/// Whether the hot row is enough.
pub(super) fn is_hot(by: SortBy) -> bool {
    matches!(by, SortBy::Arrival | SortBy::Size)
}

/// Writes what the criterion compares as bytes that compare as it does.
pub(super) fn write_key(by: SortBy, columns: &Columns, at: usize, keys: &Texts<'_>, out: &mut Vec<u8>) {
    let number = |n: i64, out: &mut Vec<u8>| out.extend_from_slice(&((n as u64) ^ (1 << 63)).to_be_bytes());
    match by {
        SortBy::Arrival => number(columns.internal_ms[at], out),
        SortBy::Date => number(keys.sent_ms.unwrap_or(columns.internal_ms[at]), out),
        SortBy::Size => out.extend_from_slice(&columns.size[at].to_be_bytes()),
        SortBy::Cc => out.extend_from_slice(keys.cc.as_bytes()),
        SortBy::From => out.extend_from_slice(keys.from.as_bytes()),
        SortBy::To => out.extend_from_slice(keys.to.as_bytes()),
        SortBy::Subject => out.extend_from_slice(keys.subject.as_bytes()),
        SortBy::DisplayFrom => out.extend_from_slice(keys.display_from.as_bytes()),
        SortBy::DisplayTo => out.extend_from_slice(keys.display_to.as_bytes()),
    }
}

/// [`write_key`] of one message.
pub(in super::super) fn key_of(
    view: &View<'_>,
    content: &dyn Content,
    by: SortBy,
    columns: &Columns,
    at: usize,
) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    if is_hot(by) {
        write_key(by, columns, at, &Texts::default(), &mut out);
        return Ok(out);
    }
    each_keys(view, content, &columns.item[at..=at], |_, keys| {
        write_key(by, columns, at, &codec::decode(keys)?, &mut out);
        Ok(())
    })?;
    Ok(out)
}

pub(super) fn read_ids(keys: &[u8], texts: &Texts<'_>) -> Result<ids::Read> {
    let References { id, references } = codec::decode(keys)?;
    Ok(ids::Read { own: id, references, reply: texts.reply, no_subject: texts.subject.is_empty() })
}

/// Calls `visit` with each item's place in the list and its stored keys. A message from before keys were kept has them made
/// now.
pub(super) fn each_keys(
    view: &View<'_>,
    content: &dyn Content,
    ids: &[u32],
    mut visit: impl FnMut(usize, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut without = Vec::new();
    items::each_row(view.kv, Table::Keys, view.mailbox, ids, |at, keys| match keys {
        Some(keys) => visit(at, keys),
        None => {
            without.push(at);
            Ok(())
        }
    })?;
    let ids: Vec<u32> = without.iter().filter_map(|at| ids.get(*at).copied()).collect();
    items::each_row(view.kv, Table::Cold, view.mailbox, &ids, |i, row| {
        let at = without.get(i).copied().unwrap_or_default();
        let row = row.ok_or_else(|| items::missing(view.mailbox, ids.get(i).copied().unwrap_or_default()))?;
        let cold: ColdRow = codec::decode(row)?;
        let keys = content.sort_keys(&cold.summary, cold.sent_ms)?;
        visit(at, &codec::encode(&keys))
    })
}

//! Reading one row each of many items: where they lie close together, by one walk over the table instead of a look-up
//! each.

use super::rows;
use crate::kv::{KvRead, Table, behind, key_u32};
use zcluster_api::{Error, MailboxId, Result};

/// Items read together.
const TOGETHER: usize = 512;
/// A walk may pass over so many rows for each one wanted.
const SPREAD_MAX: u32 = 4;

/// Calls `visit` with the index and the row of each of `items`; the order is the items', not the list's. Items without a
/// row come with `None`.
pub(super) fn each_row(
    kv: &dyn KvRead,
    table: Table,
    mailbox: MailboxId,
    items: &[u32],
    mut visit: impl FnMut(usize, Option<&[u8]>) -> Result<()>,
) -> Result<()> {
    let mut sorted: Vec<(u32, usize)> = items.iter().copied().zip(0..).collect();
    sorted.sort_unstable();
    for group in sorted.chunks(TOGETHER) {
        let (Some((first, _)), Some((last, _))) = (group.first(), group.last()) else { continue };
        let wanted = u32::try_from(group.len()).unwrap_or(u32::MAX);
        if group.len() > 1 && last - first <= wanted.saturating_mul(SPREAD_MAX) {
            walk(kv, table, mailbox, group, &mut visit)?;
        } else {
            for (item, at) in group {
                visit(*at, kv.get(table, &rows::number_key(mailbox, *item)).as_deref())?;
            }
        }
    }
    Ok(())
}

fn walk(
    kv: &dyn KvRead,
    table: Table,
    mailbox: MailboxId,
    group: &[(u32, usize)],
    visit: &mut impl FnMut(usize, Option<&[u8]>) -> Result<()>,
) -> Result<()> {
    let (Some((first, _)), Some((last, _))) = (group.first(), group.last()) else { return Ok(()) };
    let (from, to) = (rows::number_key(mailbox, *first), behind(&rows::number_key(mailbox, *last)));
    let mut left = group;
    let mut outcome = Ok(());
    kv.scan(table, &from, &to, &mut |key, value| {
        outcome = key_u32(key, 8).and_then(|item| {
            while let Some(((wanted, at), rest)) = left.split_first().filter(|((wanted, _), _)| *wanted <= item) {
                visit(*at, (*wanted == item).then_some(value))?;
                left = rest;
            }
            Ok(())
        });
        outcome.is_ok() && !left.is_empty()
    });
    outcome?;
    left.iter().try_for_each(|(_, at)| visit(*at, None))
}

/// The error for an item whose content is not there.
pub(super) fn missing(mailbox: MailboxId, item: u32) -> Error {
    Error::Internal(format!("item {item} of mailbox {mailbox} has no content"))
}

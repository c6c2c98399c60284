//! How many messages of each conversation are in a mailbox.

use super::read::View;
use super::{each_message, index, names};
use crate::content::Content;
use zcluster_api::{Result, UidSet};

/// Messages by the item that began their conversation. Four bytes for each item that the mailbox ever had.
pub(super) struct Sizes(Vec<u32>);

impl Sizes {
    /// How many messages a conversation has here.
    pub fn of(&self, thread: u32) -> u32 {
        self.0.get(thread as usize).copied().unwrap_or(0)
    }

    /// The conversations that have messages here, with how many.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.0.iter().enumerate().skip(1).filter(|(_, n)| **n > 0).map(|(thread, n)| (thread as u32, *n))
    }

    fn count(&mut self, thread: u32) {
        if let Some(n) = self.0.get_mut(thread as usize) {
            *n += 1;
        }
    }
}

/// Counts all folders.
pub(super) fn sizes(view: &View<'_>, content: &dyn Content) -> Result<Sizes> {
    let mut sizes = Sizes(vec![0; view.next_item() as usize]);
    for (folder, row) in names::all(view.kv, view.mailbox)? {
        if row.messages == 0 {
            continue;
        }
        match index::open(view, folder, None, content)? {
            Some(index) => index.columns.thread.iter().for_each(|thread| sizes.count(*thread)),
            None => each_message(view.kv, (view.mailbox, folder), &UidSet::range(1, u32::MAX), |_, row| {
                sizes.count(row.thread.map_or(0, |t| t.0));
                Ok(true)
            })?,
        }
    }
    Ok(sizes)
}

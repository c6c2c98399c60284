//! One search over many mailboxes of a shard, at one position.

use crate::content::MailContent;
use crate::replicas::Replicas;
use crate::texts::TextLook;
use std::sync::Arc;
use zcluster_api::{AccountId, Epoch, Find, GroupId, Hit, MailboxId, MailboxQuery, MailboxReply, Result};
use zcluster_state::{Asking, read_mailbox_with};

/// Mailboxes searched in one view at the most: an old view keeps rows on the disk that are deleted since.
pub const DISCOVER_MAX: usize = 20_000;

/// A mailbox with hits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// Whose.
    pub mailbox: MailboxId,
    /// The first of them, in order.
    pub hits: Vec<Hit>,
    /// How many there are.
    pub total: u64,
    /// The shard's log position that this is true of; `None`: bodies had to be read elsewhere, and it is true of a later
    /// one.
    pub position: Option<u64>,
}

/// A mailbox to be searched.
pub type Sought = (MailboxId, Epoch);

impl Replicas {
    /// Searches mailboxes, and tells of each that has hits, or of which it cannot be told, until `tell` says no. All of
    /// them are seen at one position, which is not older than the call. Blocks.
    ///
    /// # Errors
    /// The disk; what a search documents, of the first mailbox that has that error, but for `WrongHome` (it has moved, or
    /// was never used) and `NotFound` (no such folder there): such mailboxes have no hits.
    pub fn discover(
        self: &Arc<Self>,
        group: GroupId,
        mailboxes: &[Sought],
        find: &Find,
        tell: &mut dyn FnMut(Told) -> bool,
    ) -> Result<()> {
        use zcluster_api::Error::{NotFound, WrongHome};
        let look = TextLook::now(&self.node, group);
        let life = self.node.indexes.life(group);
        let query = MailboxQuery::Find(find.clone());
        self.node.view_of(group, |kv, rows| {
            let position = crate::meta::read_position(rows.all, group).or_else(|e| self.node.disk_failed(&e))?.1;
            let position = position.map(|last| last.index);
            let content = MailContent::knowing(&self.node, Default::default(), 1);
            if let Some(look) = look {
                content.look(look, rows, group, None).or_else(|e| self.node.disk_failed(&e))?;
            }
            for (mailbox, epoch) in mailboxes.iter().take(DISCOVER_MAX).copied() {
                let indexes = self.node.indexes.of(group, rows.generation, life);
                let asking = Asking { group, mailbox, epoch, quota: 0, actor: None::<AccountId> };
                let reply = read_mailbox_with(kv, asking, &query, &content, &indexes);
                if content.forget_noted() {
                    if !tell(Told::Elsewhere(mailbox, epoch)) {
                        break;
                    }
                    continue;
                }
                let (hits, total) = match reply {
                    Ok(MailboxReply::Hits { hits, total, .. }) => (hits, total),
                    Err(WrongHome { .. } | NotFound(_)) | Ok(_) => continue,
                    Err(e) => return Err(e),
                };
                if total > 0 && !tell(Told::Found(Discovered { mailbox, hits, total, position })) {
                    break;
                }
            }
            Ok(())
        })
    }
}

/// What is told of a mailbox.
pub enum Told {
    /// It has hits.
    Found(Discovered),
    /// It takes bodies that are not here: ask it alone.
    Elsewhere(MailboxId, Epoch),
}

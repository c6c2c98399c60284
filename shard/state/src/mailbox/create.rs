//! `CreateMailbox`: a mailbox with Zimbra's reserved folders.

use super::Place;
use super::rows::{self, FolderRow, Header, Life};
use super::work::Work;
use crate::group::Group;
use crate::kv::Kv;
use crate::proposal::Stamp;
use zcluster_api::mailbox::{FolderView, folders};
use zcluster_api::{Epoch, Error, FolderId, ModSeq, Receipt, Result, Uid};

/// Data model §1: id, name, view, subscribed. Their parent is the root, 1.
const RESERVED: [(u32, &str, FolderView, bool); 11] = [
    (2, "Inbox", FolderView::Message, true),
    (3, "Trash", FolderView::Message, true),
    (4, "Junk", FolderView::Message, true),
    (5, "Sent", FolderView::Message, true),
    (6, "Drafts", FolderView::Message, true),
    (7, "Contacts", FolderView::Contact, false),
    (10, "Calendar", FolderView::Appointment, false),
    (13, "Emailed Contacts", FolderView::Contact, false),
    (14, "Chats", FolderView::Chat, false),
    (15, "Tasks", FolderView::Task, false),
    (16, "Briefcase", FolderView::Document, false),
];

pub(super) fn create_mailbox(
    kv: &mut dyn Kv,
    group: &mut Group,
    stamp: Stamp,
    at: Place,
) -> Result<(Receipt, Option<ModSeq>)> {
    match rows::header(kv, at.mailbox)? {
        Some(header) if header.epoch == at.epoch && header.life == Life::Live => return Ok((Receipt::Done, None)),
        Some(header) => return Err(Error::WrongHome { group: at.group, epoch: header.epoch }),
        None if at.epoch == Epoch(0) => return Err(Error::Invalid("epoch 0".into())),
        None => {}
    }
    let mut work = Work::new(kv, group, stamp, at, new_header(at.epoch));
    work.put_folder(folders::USER_ROOT, new_folder(NewFolder::root(), 0, ModSeq(1)));
    work.tree_changed();
    for (id, name, view, subscribed) in RESERVED {
        let (uid_validity, modseq) = (next_validity(&mut work), work.modseq());
        let new = NewFolder { parent: folders::USER_ROOT, name: name.into(), view, subscribed };
        work.put_folder(FolderId(id), new_folder(new, uid_validity, modseq));
    }
    Ok((Receipt::Done, work.finish()))
}

fn new_header(epoch: Epoch) -> Header {
    Header {
        epoch,
        life: Life::Live,
        modseq: ModSeq(0),
        next_item: folders::FIRST_FREE,
        used: 0,
        messages: 0,
        uid_validity: 0,
        folders: 0,
        tags: 0,
        uploads: 0,
        delivery_from: 0,
        delivery_next: 0,
        delivery_due_ms: 0,
        thread_from: None,
        thread_next: None,
        annotation_bytes: None,
        subscribed_names: None,
        filters: None,
        traits: None,
        kept: None,
    }
}

/// The tombstone of a mailbox that is gone, or never was.
pub(super) fn tombstone(epoch: Epoch) -> Header {
    Header { life: Life::Gone, ..new_header(epoch) }
}

/// What distinguishes a new folder.
pub(super) struct NewFolder {
    pub parent: FolderId,
    pub name: String,
    pub view: FolderView,
    pub subscribed: bool,
}

impl NewFolder {
    fn root() -> Self {
        NewFolder { parent: FolderId(0), name: "USER_ROOT".into(), view: FolderView::Unknown, subscribed: false }
    }
}

pub(super) fn new_folder(new: NewFolder, uid_validity: u32, modseq: ModSeq) -> FolderRow {
    FolderRow {
        parent: new.parent,
        name: new.name,
        view: new.view,
        special_use: None,
        subscribed: new.subscribed,
        uid_validity,
        uid_next: Uid(1),
        messages: 0,
        unread: 0,
        deleted: 0,
        bytes: 0,
        highest_modseq: modseq,
        recent_from: Uid(1),
    }
}

/// A UIDVALIDITY that no folder of this mailbox ever had (RFC 3501 §2.3.1.1), so a name that is used again by another
/// folder is told apart: seconds, as the RFC suggests, or the next number when several are needed in one.
pub(super) fn next_validity(work: &mut Work<'_>) -> u32 {
    let seconds = u32::try_from(work.stamp.wall_ms / 1000).unwrap_or(u32::MAX);
    work.header.uid_validity = seconds.max(work.header.uid_validity.saturating_add(1));
    work.header.uid_validity
}

//! STATUS (RFC 3501 §6.3.10) with the items of RFC 7162, 7889, 8438, 8474 and 9051.

use crate::codec::command::StatusItems;
use crate::codec::write::{self, number};
use crate::errors::{Answer, Failure, Reply};
use crate::session::{Mailbox, Session, numbers, sharing::require};
use zcluster_api::mailbox::Folder;
use zcluster_api::sharing::Rights;

pub async fn status(s: &mut Session, name: &str, items: StatusItems) -> Answer {
    let named = s.named(name).await?;
    let folder = named.folder().await?;
    require(&folder, Rights::READ)?;
    if items.has(StatusItems::HIGHESTMODSEQ) {
        s.enable_condstore();
    }
    let recent = recent_count(&named.mailbox, items, &folder).await?;
    let append_limit = s.config().append_bytes_max;
    let utf8 = s.utf8;
    write_status(&Line { name: &named.shown(&folder), folder: &folder, items, recent, append_limit, utf8 }, &mut s.out);
    Ok(Reply::Ok("STATUS completed".into()))
}

/// Messages that no session has yet been told of; the UIDs are read only when there may be some.
pub async fn recent_count(mailbox: &Mailbox, items: StatusItems, folder: &Folder) -> Result<u64, Failure> {
    // Nothing is recent to who is not the owner: he must not take it from the owner.
    if !items.has(StatusItems::RECENT) || mailbox.is_others() || folder.recent_from >= folder.uid_next {
        return Ok(0);
    }
    let uids = mailbox.uids(folder.id).await?.uids;
    Ok(numbers::from(&uids, folder.recent_from.0).len())
}

/// What a STATUS response is made of.
pub struct Line<'a> {
    pub name: &'a str,
    pub folder: &'a Folder,
    pub items: StatusItems,
    pub recent: u64,
    pub append_limit: u64,
    pub utf8: bool,
}

/// Appends a STATUS response (RFC 3501 §7.2.4).
pub fn write_status(line: &Line<'_>, out: &mut Vec<u8>) {
    let f = line.folder;
    out.extend_from_slice(b"* STATUS ");
    write::mailbox(line.name, line.utf8, out);
    out.extend_from_slice(b" (");
    let values = [
        (StatusItems::MESSAGES, "MESSAGES", u64::from(f.messages)),
        (StatusItems::RECENT, "RECENT", line.recent),
        (StatusItems::UIDNEXT, "UIDNEXT", f.uid_next.0.into()),
        (StatusItems::UIDVALIDITY, "UIDVALIDITY", f.uid_validity.into()),
        (StatusItems::UNSEEN, "UNSEEN", f.unread.into()),
        (StatusItems::DELETED, "DELETED", f.deleted.into()),
        (StatusItems::SIZE, "SIZE", f.bytes),
        (StatusItems::HIGHESTMODSEQ, "HIGHESTMODSEQ", f.highest_modseq.0.max(1)),
        (StatusItems::APPENDLIMIT, "APPENDLIMIT", line.append_limit),
    ];
    let mut first = true;
    let mut item = |name: &str, out: &mut Vec<u8>| {
        out.extend_from_slice(if std::mem::take(&mut first) { b"" } else { b" " });
        out.extend_from_slice(name.as_bytes());
        out.push(b' ');
    };
    for (bit, name, value) in values {
        if line.items.has(bit) {
            item(name, out);
            number(value, out);
        }
    }
    if line.items.has(StatusItems::MAILBOXID) {
        item("MAILBOXID", out);
        out.extend_from_slice(b"(F");
        number(f.id.0.into(), out);
        out.push(b')');
    }
    out.extend_from_slice(b")\r\n");
}

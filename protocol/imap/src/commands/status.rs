//! STATUS (RFC 3501 §6.3.10) with the items of RFC 7162, 7889, 8438, 8474 and 9051.

use crate::codec::command::StatusItems;
use crate::codec::write::{self, number};
use crate::config::PAGE_MESSAGES;
use crate::errors::{Answer, Failure, Reply};
use crate::session::{Mailbox, Session, numbers, sharing::require};
use zcluster_api::mailbox::{Folder, Want};
use zcluster_api::sharing::Rights;
use zcluster_api::{Flags, SearchExpr};

pub async fn status(s: &mut Session, name: &str, items: StatusItems) -> Answer {
    let named = s.named(name).await?;
    let folder = named.folder().await?;
    require(&folder, Rights::READ)?;
    if items.has(StatusItems::HIGHESTMODSEQ) {
        s.enable_condstore();
    }
    let recent = recent_count(&named.mailbox, items, &folder).await?;
    let deleted_bytes = deleted_bytes(&named.mailbox, items, &folder).await?;
    let append_limit = s.config().append_bytes_max;
    let utf8 = s.utf8;
    let name = &named.shown(&folder);
    let suffix = &named.mailbox.object_suffix();
    let line = Line { name, folder: &folder, suffix, items, recent, deleted_bytes, append_limit, utf8 };
    write_status(&line, &mut s.out);
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

/// Bytes of the messages with `\Deleted` (RFC 9208 §4.1.4); they are added up only when there are some.
pub async fn deleted_bytes(mailbox: &Mailbox, items: StatusItems, folder: &Folder) -> Result<u64, Failure> {
    if !items.has(StatusItems::DELETED_STORAGE) || folder.deleted == 0 {
        return Ok(0);
    }
    let (mut uids, _) = mailbox.search(folder.id, None, SearchExpr::Flags(Flags::DELETED)).await?;
    let mut sum = 0u64;
    loop {
        let (page, next) = mailbox.messages(folder.id, uids.clone(), Want::default(), None, PAGE_MESSAGES).await?;
        sum = page.iter().fold(sum, |sum, m| sum.saturating_add(m.size));
        match next {
            Some(next) => uids = numbers::from(&uids, next.0),
            None => return Ok(sum),
        }
    }
}

/// What a STATUS response is made of.
pub struct Line<'a> {
    pub name: &'a str,
    pub folder: &'a Folder,
    /// What its MAILBOXID ends in.
    pub suffix: &'a str,
    pub items: StatusItems,
    pub recent: u64,
    pub deleted_bytes: u64,
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
        (StatusItems::DELETED_STORAGE, "DELETED-STORAGE", line.deleted_bytes),
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
        out.extend_from_slice(line.suffix.as_bytes());
        out.push(b')');
    }
    out.extend_from_slice(b")\r\n");
}

//! `Expunge`.

use super::dumpster;
use super::work::Work;
use zcluster_api::{Flags, FolderId, Receipt, Result, UidSet};

/// RFC 3501 §6.4.3 and RFC 4315 §2.1 (`only_deleted`), RFC 1939 §6 UPDATE (all named ones).
pub(super) fn expunge(work: &mut Work<'_>, folder: FolderId, uids: &UidSet, only_deleted: bool) -> Result<Receipt> {
    let mut gone = UidSet::new();
    let fate = dumpster::fate(work, folder)?;
    for (uid, row) in super::messages(work, folder, uids)? {
        if only_deleted && !row.flags.contains(Flags::DELETED) {
            continue;
        }
        dumpster::remove(work, folder, uid, &row, &fate)?;
        gone.insert(uid.0);
    }
    Ok(Receipt::Expunged { uids: gone, modseq: work.header.modseq })
}

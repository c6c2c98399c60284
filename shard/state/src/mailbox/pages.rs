//! Which UIDs a folder has and which are unread, 512 to a row: SELECT of 100,000 messages reads 200 small rows, not
//! 100,000, and the first unread message is found without looking at the read ones.

use super::rows::folder_key;
use crate::kv::{KvRead, Table, behind, key_u32};
use zcluster_api::{Error, FolderId, MailboxId, Result, UidSet};

/// UIDs per page.
const PAGE_UIDS: u32 = 512;
const MAP_BYTES: usize = PAGE_UIDS as usize / 8;

/// A row of [`Table::Page`]: two bitmaps; bit `uid % 512`, lowest bit of the first byte first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    present: [u8; MAP_BYTES],
    unread: [u8; MAP_BYTES],
}

/// The page that `uid` is on.
pub(crate) fn number(uid: u32) -> u32 {
    uid / PAGE_UIDS
}

fn slot(uid: u32) -> (usize, u8) {
    let bit = uid % PAGE_UIDS;
    ((bit / 8) as usize, 1 << (bit % 8))
}

impl Page {
    /// A page without messages.
    pub fn empty() -> Self {
        Page { present: [0; MAP_BYTES], unread: [0; MAP_BYTES] }
    }

    /// Reads the page of a folder.
    pub fn load(kv: &dyn KvRead, mailbox: MailboxId, folder: FolderId, number: u32) -> Result<Page> {
        match kv.get(Table::Page, &folder_key(mailbox, folder, number)) {
            Some(bytes) => Page::decode(&bytes),
            None => Ok(Page::empty()),
        }
    }

    /// The stored form: both bitmaps, one behind the other. The table's rows have no version byte; a new form would
    /// have another length.
    pub fn encode(&self) -> Vec<u8> {
        [self.present, self.unread].concat()
    }

    fn decode(bytes: &[u8]) -> Result<Page> {
        let mut page = Page::empty();
        if bytes.len() != 2 * MAP_BYTES {
            return Err(Error::Internal(format!("UID page of {} bytes", bytes.len())));
        }
        page.present.copy_from_slice(&bytes[..MAP_BYTES]);
        page.unread.copy_from_slice(&bytes[MAP_BYTES..]);
        Ok(page)
    }

    /// Sets a message's bits.
    pub fn set(&mut self, uid: u32, present: bool, unread: bool) {
        let (byte, bit) = slot(uid);
        self.present[byte] = if present { self.present[byte] | bit } else { self.present[byte] & !bit };
        self.unread[byte] = if unread { self.unread[byte] | bit } else { self.unread[byte] & !bit };
    }

    /// Whether no message is on the page: its row goes.
    pub fn is_empty(&self) -> bool {
        self.present.iter().all(|b| *b == 0)
    }

    fn first_unread(&self, number: u32) -> Option<u32> {
        let byte = self.unread.iter().position(|b| *b != 0)?;
        Some(number * PAGE_UIDS + byte as u32 * 8 + self.unread[byte].trailing_zeros())
    }

    fn collect(&self, number: u32, out: &mut UidSet) {
        let base = number * PAGE_UIDS;
        for (i, byte) in self.present.iter().enumerate() {
            let first = base + i as u32 * 8;
            match byte {
                0 => {}
                0xFF => out.insert_range(first, first + 7),
                bits => (0..8).filter(|n| bits & (1 << n) != 0).for_each(|n| out.insert(first + n)),
            }
        }
    }
}

/// All UIDs of a folder, and the first unread one.
pub(crate) fn uids(kv: &dyn KvRead, mailbox: MailboxId, folder: FolderId) -> Result<(UidSet, Option<u32>)> {
    let (mut all, mut unread, mut outcome) = (UidSet::new(), None, Ok(()));
    let prefix = super::rows::number_key(mailbox, folder.0);
    kv.scan(Table::Page, &prefix, &behind(&prefix), &mut |key, value| {
        let page = key_u32(key, prefix.len()).and_then(|n| Ok((n, Page::decode(value)?)));
        match page {
            Ok((number, page)) => {
                page.collect(number, &mut all);
                unread = unread.or_else(|| page.first_unread(number));
                true
            }
            Err(e) => {
                outcome = Err(e);
                false
            }
        }
    });
    outcome.map(|()| (all, unread))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_two_bitmaps() {
        let mut page = Page::empty();
        page.set(512, true, false);
        page.set(521, true, true);
        page.set(1023, true, true);
        let bytes = page.encode();
        assert_eq!((bytes[0], bytes[1], bytes[63], bytes[65], bytes[127]), (1, 2, 128, 2, 128));
        assert_eq!(bytes.len(), 128);
        let again = Page::decode(&bytes).unwrap();
        assert_eq!(again, page);
        let mut set = UidSet::new();
        again.collect(1, &mut set);
        assert_eq!(set.to_string(), "512,521,1023");
        assert_eq!(again.first_unread(1), Some(521));
        page.set(512, false, false);
        page.set(521, false, false);
        page.set(1023, false, false);
        assert!(page.is_empty());
        assert!(Page::decode(&bytes[1..]).is_err());
    }
}

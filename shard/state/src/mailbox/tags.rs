//! Keywords: tags with ids. Names are unique without case; the first spelling wins.

use super::rows::{self, fold};
use super::work::Work;
use crate::kv::{KvRead, Table, behind, key_u32};
use std::collections::BTreeMap;
use zcluster_api::mailbox::{KEYWORD_BYTES_MAX, KEYWORDS_PER_MESSAGE_MAX};
use zcluster_api::{Error, MailboxId, Result};

/// Keywords a mailbox may have.
const TAGS_MAX: u32 = 1_000;

/// Checks a keyword.
///
/// # Errors
/// `Invalid` when it is empty, begins with a backslash (data model §4) or has control characters; `TooLarge`.
fn check(name: &str) -> Result<()> {
    if name.len() > KEYWORD_BYTES_MAX {
        return Err(Error::TooLarge(format!("keyword of {} bytes", name.len())));
    }
    if name.is_empty() || name.starts_with('\\') || name.chars().any(char::is_control) {
        return Err(Error::Invalid(format!("keyword {name:?}")));
    }
    Ok(())
}

/// The id of a keyword that the mailbox has.
pub(crate) fn find(kv: &dyn KvRead, mailbox: MailboxId, name: &str) -> Result<Option<u32>> {
    match kv.get(Table::TagName, &rows::text_key(mailbox, fold(name).as_bytes())) {
        Some(id) => Ok(Some(key_u32(&id, 0)?)),
        None => Ok(None),
    }
}

/// Ids for keywords that a command will set, some of them still to be created.
#[derive(Default)]
pub(crate) struct Plan {
    /// All ids, rising.
    pub ids: Vec<u32>,
    new: NewTags,
}

/// Keywords that a command will create, by the ids that are reserved for them.
#[derive(Default)]
pub(crate) struct NewTags {
    by_name: BTreeMap<String, u32>,
    list: Vec<(u32, String)>,
}

/// Finds the ids of `names`, reserving ids for new ones. Nothing is written.
///
/// # Errors
/// `Invalid` and `TooLarge` for names, counts and the mailbox's bound.
pub(crate) fn plan(work: &Work<'_>, names: &[String]) -> Result<Plan> {
    let mut new = NewTags::default();
    let ids = new.plan(work, names)?;
    Ok(Plan { ids, new })
}

impl Plan {
    /// Creates the new tags: see [`NewTags::create`].
    pub fn create(self, work: &mut Work<'_>) {
        self.new.create(work);
    }
}

impl NewTags {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.list.len() as u64
    }

    /// The ids of one message's keywords, rising; reserves ids for those that neither the mailbox nor an earlier message
    /// of the command has.
    ///
    /// # Errors
    /// As [`plan`].
    pub fn plan(&mut self, work: &Work<'_>, names: &[String]) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        for name in names {
            check(name)?;
            let known = match self.by_name.get(&fold(name)) {
                Some(id) => Some(*id),
                None => find(work.view(), work.mailbox, name)?,
            };
            let id = known.unwrap_or(work.header.next_item + self.list.len() as u32);
            if known.is_none() {
                self.by_name.insert(fold(name), id);
                self.list.push((id, name.clone()));
            }
            if let Err(at) = ids.binary_search(&id) {
                ids.insert(at, id);
            }
            if ids.len() > KEYWORDS_PER_MESSAGE_MAX {
                return Err(Error::TooLarge("keywords on one message".into()));
            }
            work.room_for_items(self.count())?;
            if work.header.tags as usize + self.list.len() > TAGS_MAX as usize {
                return Err(Error::TooLarge("keywords in this mailbox".into()));
            }
        }
        Ok(ids)
    }

    /// Creates the new tags; they take the ids that were reserved, so this comes before any other new item.
    pub fn create(self, work: &mut Work<'_>) {
        for (id, name) in self.list {
            debug_assert_eq!(id, work.header.next_item);
            work.next_item();
            work.header.tags += 1;
            let by_name = rows::text_key(work.mailbox, fold(&name).as_bytes());
            work.kv.put(Table::TagName, &by_name, id.to_be_bytes().to_vec());
            work.kv.put(Table::Tag, &rows::number_key(work.mailbox, id), name.into_bytes());
        }
    }
}

/// Turns ids into names, remembering those it has looked up.
pub(crate) struct Names<'a> {
    kv: &'a dyn KvRead,
    mailbox: MailboxId,
    known: BTreeMap<u32, String>,
}

impl<'a> Names<'a> {
    pub fn new(kv: &'a dyn KvRead, mailbox: MailboxId) -> Self {
        Names { kv, mailbox, known: BTreeMap::new() }
    }

    /// The names of `ids`, in their order.
    pub fn of(&mut self, ids: &[u32]) -> Result<Vec<String>> {
        ids.iter().map(|id| self.one(*id)).collect()
    }

    fn one(&mut self, id: u32) -> Result<String> {
        if let Some(name) = self.known.get(&id) {
            return Ok(name.clone());
        }
        let missing = || Error::Internal(format!("tag {id} is missing"));
        let bytes = self.kv.get(Table::Tag, &rows::number_key(self.mailbox, id)).ok_or_else(missing)?;
        let name = String::from_utf8(bytes).map_err(|_| missing())?;
        self.known.insert(id, name.clone());
        Ok(name)
    }
}

/// All keywords of the mailbox, by id.
pub(crate) fn all(kv: &dyn KvRead, mailbox: MailboxId) -> Result<Vec<String>> {
    let prefix = rows::mailbox_key(mailbox);
    let (mut out, mut bad) = (Vec::new(), false);
    kv.scan(Table::Tag, &prefix, &behind(&prefix), &mut |_, value| {
        match std::str::from_utf8(value) {
            Ok(name) => out.push(name.to_string()),
            Err(_) => bad = true,
        }
        !bad
    });
    if bad { Err(Error::Internal("tag name is not UTF-8".into())) } else { Ok(out) }
}

//! What running filters may ask.

use crate::scripts::{Cache, MailboxScripts};
use crate::verdict::Verdict;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use zcluster_api::mailbox::{Folder, FolderView, SpecialUse};
use zcluster_mail::Zone;
use zcluster_sieve::{Context, IncludeError, Location, Script};

/// Everything a run may ask, loaded before it.
pub(crate) struct RunContext {
    pub now_ms: i64,
    pub zone: Zone,
    pub addresses: Vec<String>,
    pub name: Option<String>,
    pub environment: BTreeMap<&'static str, String>,
    pub verdict: Verdict,
    /// The folders, by path; empty when no script asks.
    pub folders: Vec<Folder>,
    pub scripts: Arc<MailboxScripts>,
    /// The administrators' scripts to be included, by name.
    pub global: Arc<BTreeMap<String, Bytes>>,
    pub cache: Arc<Cache>,
    /// What was looked up before.
    pub answers: Answers,
    /// What was asked and is not among the answers: a run that asked is run again with them.
    pub asked: Mutex<Asked>,
}

/// An annotation's place: a folder's path or (none) the server, and its name in lower case.
pub(crate) type Annotated = (Option<String>, String);

/// What the mailbox knows and a run may ask.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    /// What is remembered (RFC 7352).
    pub seen: BTreeMap<[u8; 32], bool>,
    /// Annotations (RFC 5490).
    pub metadata: BTreeMap<Annotated, Option<String>>,
}

/// Questions without an answer yet.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub seen: BTreeSet<[u8; 32]>,
    pub metadata: BTreeSet<Annotated>,
}

impl Asked {
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty() && self.metadata.is_empty()
    }
}

/// RFC 6154's names.
pub(crate) fn special_use(attribute: &str) -> Option<SpecialUse> {
    let names = [
        ("\\Archive", SpecialUse::Archive),
        ("\\Drafts", SpecialUse::Drafts),
        ("\\Junk", SpecialUse::Junk),
        ("\\Sent", SpecialUse::Sent),
        ("\\Trash", SpecialUse::Trash),
    ];
    names.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(attribute)).map(|(_, wanted)| wanted)
}

fn takes_mail(folder: &Folder) -> bool {
    matches!(folder.view, FolderView::Message | FolderView::Unknown)
}

/// Names compare as the mailbox compares them: without case.
pub(crate) fn is_named(folder: &Folder, name: &str) -> bool {
    folder.path.to_lowercase() == name.to_lowercase()
}

impl RunContext {
    fn find(&self, mut wanted: impl FnMut(&Folder) -> bool) -> bool {
        self.folders.iter().any(|f| takes_mail(f) && wanted(f))
    }
}

impl Context for RunContext {
    fn now_ms(&self) -> i64 {
        self.now_ms
    }
    fn zone_minutes(&self, unix_ms: i64) -> i32 {
        self.zone.minutes_at(unix_ms)
    }
    fn own_addresses(&self) -> Vec<String> {
        self.addresses.clone()
    }
    fn own_name(&self) -> Option<String> {
        self.name.clone()
    }
    fn mailbox_exists(&self, name: &str) -> bool {
        self.find(|f| is_named(f, name))
    }
    fn special_use_exists(&self, mailbox: Option<&str>, attribute: &str) -> bool {
        let Some(wanted) = special_use(attribute) else { return false };
        self.find(|f| f.special_use == Some(wanted) && mailbox.is_none_or(|name| is_named(f, name)))
    }
    fn mailbox_by_id(&self, id: &str) -> bool {
        // As IMAP shows it (RFC 8474 §4).
        self.find(|f| id.strip_prefix('F') == Some(f.id.to_string().as_str()))
    }
    fn metadata(&self, mailbox: Option<&str>, annotation: &str) -> Option<String> {
        let place = (mailbox.map(str::to_string), annotation.to_ascii_lowercase());
        match self.answers.metadata.get(&place) {
            Some(known) => known.clone(),
            None => {
                self.asked.lock().metadata.insert(place);
                None
            }
        }
    }
    fn environment(&self, item: &str) -> Option<String> {
        self.environment.get(item).cloned()
    }
    fn spam_percent(&self) -> Option<u8> {
        self.verdict.percent
    }
    fn virus(&self) -> Option<u8> {
        self.verdict.virus
    }
    fn include(&self, location: Location, name: &str) -> Result<Script, IncludeError> {
        let source = match location {
            Location::Personal => self.scripts.texts.get(name),
            Location::Global => self.global.get(name),
        };
        let source = source.ok_or(IncludeError::Missing)?;
        match &*self.cache.compile(source) {
            Ok(script) => Ok(script.clone()),
            Err(problems) => Err(IncludeError::Invalid(problems.clone())),
        }
    }
    fn seen(&self, id: &[u8; 32]) -> bool {
        match self.answers.seen.get(id) {
            Some(known) => *known,
            None => {
                self.asked.lock().seen.insert(*id);
                false
            }
        }
    }
}

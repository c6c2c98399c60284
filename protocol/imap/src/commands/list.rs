//! LIST (RFC 3501 §6.3.8, RFC 5258, RFC 6154, RFC 5819).

use super::names::{shown, special_use, write_entry};
use super::shared;
use super::status::{Line, deleted_bytes, recent_count, write_status};
use crate::codec::command::{List, ListReturn, ListSelect, StatusItems};
use crate::codec::pattern::{fold_inbox, matches};
use crate::errors::{Answer, Failure, Reply};
use crate::session::named::OTHERS;
use crate::session::{Mailbox, Session};
use std::collections::{BTreeMap, BTreeSet};
use zcluster_api::FolderId;
use zcluster_api::mailbox::Folder;

/// Bytes that all patterns of one LIST may have together: each is tried on every name.
const PATTERN_BYTES_MAX: usize = 1024;
/// Names that are matched before others get their turn.
const NAMES_AT_ONCE: usize = 64;

pub async fn list(s: &mut Session, list: &List) -> Answer {
    // An empty pattern asks for the delimiter and the root of the reference (RFC 3501 §6.3.8).
    if !list.extended && list.patterns.iter().all(String::is_empty) {
        let root = if list.reference.starts_with(OTHERS) { OTHERS } else { "" };
        s.line(format_args!("* LIST (\\Noselect) \"/\" \"{root}\""));
        return Ok(Reply::Ok("LIST completed".into()));
    }
    let patterns: Vec<String> =
        list.patterns.iter().filter(|p| !p.is_empty()).map(|p| format!("{}{p}", list.reference)).collect();
    check_patterns(&patterns)?;
    // As the STATUS command does (RFC 7162 §3.1.2).
    if list.status.has(StatusItems::HIGHESTMODSEQ) {
        s.enable_condstore();
    }
    let mailbox = s.mailbox()?;
    let folders = mailbox.folders().await?;
    let kept = list.select.has(ListSelect::SUBSCRIBED) && !list.select.has(ListSelect::SPECIAL_USE);
    let lost = if kept { mailbox.lost_subscriptions().await? } else { Vec::new() };
    let tree = Tree::new(list.select, &folders, &lost);
    for (i, folder) in folders.iter().enumerate() {
        breathe(i).await;
        if let Some(child_info) = chosen(list, &patterns, folder, &tree) {
            write_folder(s, list, folder, &tree, child_info);
            if list.ret.has(ListReturn::STATUS) {
                write_status_line(s, &mailbox, list.status, folder).await?;
            }
            shared::extras(s, list, &mailbox, folder, &shown(folder)).await?;
            s.spill_if_full().await?;
        }
    }
    write_lost(s, list, &patterns, &folders, &lost).await?;
    shared::list(s, list, &patterns).await?;
    Ok(Reply::Ok("LIST completed".into()))
}

/// Subscribed names whose mailboxes were deleted, and with RECURSIVEMATCH what would be above them, as far as that is
/// not there either (RFC 5258 §3.1 and §3.5).
async fn write_lost(
    s: &mut Session,
    list: &List,
    patterns: &[String],
    folders: &[Folder],
    lost: &[String],
) -> Result<(), Failure> {
    // Name -> (is subscribed, has subscribed names below).
    let mut names: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    for path in lost {
        let name = fold_inbox(path);
        if list.select.has(ListSelect::RECURSIVEMATCH) {
            for (at, _) in name.match_indices('/') {
                names.entry(name[..at].to_string()).or_default().1 = true;
            }
        }
        names.entry(name).or_default().0 = true;
    }
    let there: BTreeSet<String> = folders.iter().map(|f| f.path.to_lowercase()).collect();
    for (i, (name, (subscribed, below))) in names.iter().enumerate() {
        breathe(i).await;
        if there.contains(&name.to_lowercase()) || !patterns.iter().any(|p| matches(p, name)) {
            continue;
        }
        let attributes: &[&str] = if *subscribed { &["\\NonExistent", "\\Subscribed"] } else { &["\\NonExistent"] };
        write_entry("LIST", attributes, name, s.utf8, &mut s.out);
        s.out.extend_from_slice(if *below { CHILD_INFO } else { b"" });
        s.out.extend_from_slice(b"\r\n");
        s.spill_if_full().await?;
    }
    Ok(())
}

/// RFC 5258 §3.5.
const CHILD_INFO: &[u8] = b" (\"CHILDINFO\" (\"SUBSCRIBED\"))";

/// Refuses patterns that would take long.
pub fn check_patterns(patterns: &[String]) -> Result<(), Failure> {
    let bytes: usize = patterns.iter().map(String::len).sum();
    if bytes > PATTERN_BYTES_MAX { Err(Failure::no("[LIMIT] patterns are too long")) } else { Ok(()) }
}

/// Lets others run now and then while many names are matched.
pub async fn breathe(i: usize) {
    if i % NAMES_AT_ONCE == NAMES_AT_ONCE - 1 {
        tokio::task::yield_now().await;
    }
}

/// What is to be known of a folder's descendants, found out once for all.
struct Tree<'a> {
    parents: BTreeSet<FolderId>,
    /// Paths with something below that meets the selection options; empty without RECURSIVEMATCH.
    above: BTreeSet<&'a str>,
}

impl<'a> Tree<'a> {
    fn new(select: ListSelect, folders: &'a [Folder], lost: &'a [String]) -> Self {
        let parents = folders.iter().map(|f| f.parent).collect();
        let mut above = BTreeSet::new();
        if select.has(ListSelect::RECURSIVEMATCH) {
            let found = folders.iter().filter(|f| meets(select, f)).map(|f| f.path.as_str());
            for path in found.chain(lost.iter().map(String::as_str)) {
                above.extend(path.match_indices('/').map(|(i, _)| &path[..i]));
            }
        }
        Tree { parents, above }
    }
}

async fn write_status_line(
    s: &mut Session,
    mailbox: &Mailbox,
    items: StatusItems,
    folder: &Folder,
) -> Result<(), Failure> {
    let recent = recent_count(mailbox, items, folder).await?;
    let deleted_bytes = deleted_bytes(mailbox, items, folder).await?;
    let limit = s.config().append_bytes_max;
    let utf8 = s.utf8;
    let name = &shown(folder);
    let line = Line { name, folder, suffix: "", items, recent, deleted_bytes, append_limit: limit, utf8 };
    write_status(&line, &mut s.out);
    Ok(())
}

/// Whether the mailbox itself meets the selection options (RFC 5258 §3.1, RFC 6154 §2).
fn meets(select: ListSelect, folder: &Folder) -> bool {
    (!select.has(ListSelect::SUBSCRIBED) || folder.subscribed)
        && (!select.has(ListSelect::SPECIAL_USE) || special_use(folder).is_some())
}

/// Whether the mailbox is to be listed, and whether because of mailboxes below it (CHILDINFO, RFC 5258 §3.5).
fn chosen(list: &List, patterns: &[String], folder: &Folder, tree: &Tree<'_>) -> Option<bool> {
    let name = shown(folder);
    if !patterns.iter().any(|p| matches(p, &name)) {
        return None;
    }
    let below = tree.above.contains(folder.path.as_str());
    (below || meets(list.select, folder)).then_some(below)
}

fn write_folder(s: &mut Session, list: &List, folder: &Folder, tree: &Tree<'_>, child_info: bool) {
    // Children are told in any case (RFC 3348); so are uses (RFC 6154 §2 allows it).
    let has_children = tree.parents.contains(&folder.id);
    let mut attributes = vec![if has_children { "\\HasChildren" } else { "\\HasNoChildren" }];
    let subscriptions = list.select.has(ListSelect::SUBSCRIBED) || list.ret.has(ListReturn::SUBSCRIBED);
    if subscriptions && folder.subscribed {
        attributes.push("\\Subscribed");
    }
    attributes.extend(special_use(folder));
    write_entry("LIST", &attributes, &shown(folder), s.utf8, &mut s.out);
    if child_info && list.select.has(ListSelect::SUBSCRIBED) {
        s.out.extend_from_slice(CHILD_INFO);
    }
    s.out.extend_from_slice(b"\r\n");
}

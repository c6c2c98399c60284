//! LIST (RFC 3501 §6.3.8, RFC 5258, RFC 6154, RFC 5819).

use super::names::{shown, special_use, write_entry};
use super::status::{Line, recent_count, write_status};
use crate::codec::command::{List, ListReturn, ListSelect, StatusItems};
use crate::codec::pattern::matches;
use crate::errors::{Answer, Failure, Reply};
use crate::session::Session;
use zcluster_api::mailbox::Folder;

/// Bytes that all patterns of one LIST may have together: each is tried on every name.
const PATTERN_BYTES_MAX: usize = 4 * 1024;

pub async fn list(s: &mut Session, list: &List) -> Answer {
    // An empty pattern asks for the delimiter and the root of the reference (RFC 3501 §6.3.8).
    if !list.extended && list.patterns.iter().all(String::is_empty) {
        s.line(format_args!("* LIST (\\Noselect) \"/\" \"\""));
        return Ok(Reply::Ok("LIST completed".into()));
    }
    let patterns: Vec<String> =
        list.patterns.iter().filter(|p| !p.is_empty()).map(|p| format!("{}{p}", list.reference)).collect();
    if patterns.iter().map(String::len).sum::<usize>() > PATTERN_BYTES_MAX {
        return Err(Failure::no("[LIMIT] patterns are too long"));
    }
    let folders = s.mailbox()?.folders().await?;
    for folder in &folders {
        if let Some(child_info) = chosen(list, &patterns, folder, &folders) {
            write_folder(s, list, folder, &folders, child_info);
            if list.ret.has(ListReturn::STATUS) {
                write_status_line(s, list.status, folder).await?;
            }
            s.spill_if_full().await?;
        }
    }
    Ok(Reply::Ok("LIST completed".into()))
}

async fn write_status_line(s: &mut Session, items: StatusItems, folder: &Folder) -> Result<(), Failure> {
    let recent = recent_count(s, items, folder).await?;
    let limit = s.config().append_bytes_max;
    let utf8 = s.utf8;
    write_status(&Line { name: &shown(folder), folder, items, recent, append_limit: limit, utf8 }, &mut s.out);
    Ok(())
}

/// Whether the mailbox itself meets the selection options (RFC 5258 §3.1, RFC 6154 §2).
fn meets(select: ListSelect, folder: &Folder) -> bool {
    (!select.has(ListSelect::SUBSCRIBED) || folder.subscribed)
        && (!select.has(ListSelect::SPECIAL_USE) || special_use(folder).is_some())
}

/// Whether the mailbox is to be listed, and whether because of mailboxes below it (CHILDINFO, RFC 5258 §3.5).
fn chosen(list: &List, patterns: &[String], folder: &Folder, all: &[Folder]) -> Option<bool> {
    let name = shown(folder);
    if !patterns.iter().any(|p| matches(p, &name)) {
        return None;
    }
    let recursive = list.select.has(ListSelect::RECURSIVEMATCH);
    let below = recursive && all.iter().any(|f| is_below(&f.path, &folder.path) && meets(list.select, f));
    (below || meets(list.select, folder)).then_some(below)
}

/// Whether `path` is somewhere inside `parent`.
pub fn is_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent).is_some_and(|rest| rest.starts_with('/'))
}

fn write_folder(s: &mut Session, list: &List, folder: &Folder, all: &[Folder], child_info: bool) {
    // Children are told in any case (RFC 3348); so are uses (RFC 6154 §2 allows it).
    let has_children = all.iter().any(|f| f.parent == folder.id);
    let mut attributes = vec![if has_children { "\\HasChildren" } else { "\\HasNoChildren" }];
    let subscriptions = list.select.has(ListSelect::SUBSCRIBED) || list.ret.has(ListReturn::SUBSCRIBED);
    if subscriptions && folder.subscribed {
        attributes.push("\\Subscribed");
    }
    attributes.extend(special_use(folder));
    write_entry("LIST", &attributes, &shown(folder), s.utf8, &mut s.out);
    if child_info && list.select.has(ListSelect::SUBSCRIBED) {
        s.out.extend_from_slice(b" (\"CHILDINFO\" (\"SUBSCRIBED\"))");
    }
    s.out.extend_from_slice(b"\r\n");
}

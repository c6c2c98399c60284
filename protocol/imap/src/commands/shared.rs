//! LIST in the namespace of other accounts' folders, and what LIST tells besides names about any folder.

use super::acl::write_my_rights;
use super::metadata::{self, Wanted};
use super::names::write_entry;
use super::status::{Line, deleted_bytes, recent_count, write_status};
use crate::codec::command::{List, ListReturn, ListSelect};
use crate::codec::pattern::matches;
use crate::errors::Failure;
use crate::session::named::OTHERS;
use crate::session::sharing::rights;
use crate::session::{Mailbox, Session};
use std::collections::BTreeSet;
use zcluster_api::mailbox::Folder;
use zcluster_api::sharing::{Depth, Rights, SHARERS_PER_PAGE_MAX};
use zcluster_api::{AccountId, DirectoryQuery, DirectoryReply, Error, FolderId, Freshness};

/// Owners whose names one LIST tells.
const SHARERS_MAX: usize = 1_000;
/// Owners whose folders one LIST looks at.
const SHARERS_ENTERED_MAX: usize = 100;

/// Whether a pattern, reference included, is about the namespace: others' folders are never told without being asked for.
fn is_others(pattern: &str) -> bool {
    pattern.starts_with('/')
}

/// What of a pattern comes before its first wildcard.
fn fixed(pattern: &str) -> &str {
    pattern.split(['*', '%']).next().unwrap_or_default()
}

/// Whether a pattern may match folders, not only owners.
fn reaches_folders(pattern: &str) -> bool {
    pattern.contains('*') || pattern.strip_prefix(OTHERS).is_some_and(|rest| rest.contains('/'))
}

/// Adds to a LIST what it asks of the other accounts' folders.
pub async fn list(s: &mut Session, list: &List, patterns: &[String]) -> Result<(), Failure> {
    if list.select.has(ListSelect::SUBSCRIBED) {
        return list_subscribed(s, list, patterns).await;
    }
    let patterns: Vec<&str> = patterns.iter().map(String::as_str).filter(|p| is_others(p)).collect();
    // No folder of another's has a use here.
    if patterns.is_empty() || list.select.has(ListSelect::SPECIAL_USE) {
        return Ok(());
    }
    let any = |name: &str| patterns.iter().any(|p| matches(p, name));
    let root = OTHERS.trim_end_matches('/');
    let owners = owners(s, &patterns).await?;
    if any(root) && !owners.is_empty() {
        write_entry("LIST", &["\\Noselect", "\\HasChildren"], root, s.utf8, &mut s.out);
        s.out.extend_from_slice(b"\r\n");
    }
    let subscribed: BTreeSet<String> = if list.ret.has(ListReturn::SUBSCRIBED) {
        s.mailbox()?.subscribed_names().await?.into_iter().collect()
    } else {
        BTreeSet::new()
    };
    let mut entered = 0;
    for (owner, address) in owners {
        let top = format!("{OTHERS}{address}");
        if any(&top) {
            write_entry("LIST", &["\\Noselect", "\\HasChildren"], &top, s.utf8, &mut s.out);
            s.out.extend_from_slice(b"\r\n");
        }
        if entered < SHARERS_ENTERED_MAX && patterns.iter().any(|p| reaches_folders(p)) {
            entered += 1;
            list_folders(s, list, (&patterns, &subscribed), owner, &top).await?;
        }
        s.spill_if_full().await?;
    }
    Ok(())
}

/// The owners that patterns may be about. One that is named need not be in the index: rights are the mailbox's matter.
async fn owners(s: &Session, patterns: &[&str]) -> Result<Vec<(AccountId, String)>, Failure> {
    let named = |p: &&str| fixed(p).strip_prefix(OTHERS).and_then(|r| r.split_once('/')).map(|(u, _)| u.to_string());
    let mut out = Vec::new();
    let mut users: Vec<String> = patterns.iter().filter_map(named).collect();
    if users.len() < patterns.len() {
        out = sharers(s).await?;
    }
    users.sort();
    users.dedup();
    let own = s.mailbox()?.owner();
    for user in users {
        if let Some(account) = s.account_named(&user).await?
            && account.id != own
            && !out.iter().any(|(id, _)| *id == account.id)
        {
            out.push((account.id, user));
        }
    }
    out.sort_by(|a, b| a.1.cmp(&b.1));
    Ok(out)
}

/// Who shares something with the user, as the directory's index has it.
async fn sharers(s: &Session) -> Result<Vec<(AccountId, String)>, Failure> {
    let account = s.mailbox()?.owner();
    let mut out: Vec<(AccountId, String)> = Vec::new();
    loop {
        let after = out.last().map(|(id, _)| *id);
        let query = DirectoryQuery::SharedWith { account, after, limit: SHARERS_PER_PAGE_MAX };
        let reply = s.imap.directory.read(query, Freshness::Recent).await?;
        let DirectoryReply::Sharers(mut page) = reply else {
            return Err(Error::Internal("no sharers".into()).into());
        };
        let last = page.len() < SHARERS_PER_PAGE_MAX as usize;
        out.append(&mut page);
        if last || out.len() >= SHARERS_MAX {
            out.truncate(SHARERS_MAX);
            return Ok(out);
        }
    }
}

async fn list_folders(
    s: &mut Session,
    list: &List,
    (patterns, subscribed): (&[&str], &BTreeSet<String>),
    owner: AccountId,
    top: &str,
) -> Result<(), Failure> {
    let mailbox = s.mailbox()?.of(owner);
    let folders = match mailbox.folders().await {
        // Whose home is out of reach just now is left out; the others are not.
        Err(error @ (Error::NotFound(_) | Error::Denied(_) | Error::Unavailable(_))) => {
            tracing::debug!(%error, "cannot list another account's folders");
            return Ok(());
        }
        other => other?,
    };
    let parents: BTreeSet<FolderId> = folders.iter().map(|f| f.parent).collect();
    for (i, folder) in folders.iter().enumerate() {
        super::list::breathe(i).await;
        let name = format!("{top}/{}", folder.path);
        if !patterns.iter().any(|p| matches(p, &name)) {
            continue;
        }
        let mut attributes = vec![if parents.contains(&folder.id) { "\\HasChildren" } else { "\\HasNoChildren" }];
        if subscribed.contains(&name) {
            attributes.push("\\Subscribed");
        }
        write_entry("LIST", &attributes, &name, s.utf8, &mut s.out);
        s.out.extend_from_slice(b"\r\n");
        status(s, list, &mailbox, folder, &name).await?;
        extras(s, list, &mailbox, folder, &name).await?;
        s.spill_if_full().await?;
    }
    Ok(())
}

/// Subscribed names are the user's own and are told like other names of his; only the folder decides what is said of it.
async fn list_subscribed(s: &mut Session, list: &List, patterns: &[String]) -> Result<(), Failure> {
    if list.select.has(ListSelect::SPECIAL_USE) {
        return Ok(());
    }
    let names = s.mailbox()?.subscribed_names().await?;
    for (i, name) in names.iter().enumerate() {
        super::list::breathe(i).await;
        if !patterns.iter().any(|p| matches(p, name)) {
            continue;
        }
        let found = match s.named(name).await {
            Ok(named) => named.folder().await.map(|folder| (named.mailbox, folder)).map_err(Failure::Api),
            Err(failure) => Err(failure),
        };
        // RFC 5258 §3.4: a subscription may outlive its mailbox.
        let attributes: &[&str] = if found.is_ok() { &["\\Subscribed"] } else { &["\\NonExistent", "\\Subscribed"] };
        write_entry("LIST", attributes, name, s.utf8, &mut s.out);
        s.out.extend_from_slice(b"\r\n");
        if let Ok((mailbox, folder)) = found {
            status(s, list, &mailbox, &folder, name).await?;
            extras(s, list, &mailbox, &folder, name).await?;
        }
        s.spill_if_full().await?;
    }
    Ok(())
}

/// LIST-STATUS (RFC 5819) for another's folder, where messages may be read.
async fn status(s: &mut Session, list: &List, mailbox: &Mailbox, folder: &Folder, name: &str) -> Result<(), Failure> {
    if !list.ret.has(ListReturn::STATUS) || !rights(folder).has(Rights::READ) {
        return Ok(());
    }
    let recent = recent_count(mailbox, list.status, folder).await?;
    let deleted_bytes = deleted_bytes(mailbox, list.status, folder).await?;
    let (append_limit, utf8) = (s.config().append_bytes_max, s.utf8);
    let (items, suffix) = (list.status, &mailbox.object_suffix());
    write_status(&Line { name, folder, suffix, items, recent, deleted_bytes, append_limit, utf8 }, &mut s.out);
    Ok(())
}

/// What LIST returns about any folder besides its name: MYRIGHTS (RFC 8440) and METADATA (RFC 9590).
pub async fn extras(
    s: &mut Session,
    list: &List,
    mailbox: &Mailbox,
    folder: &Folder,
    name: &str,
) -> Result<(), Failure> {
    if list.ret.has(ListReturn::MYRIGHTS) {
        write_my_rights(name, rights(folder), s.utf8, &mut s.out);
    }
    if list.ret.has(ListReturn::METADATA) {
        let wanted = Wanted { entries: &list.metadata, depth: Depth::Zero, max_size: None };
        metadata::tell(s, mailbox, folder.id, name, &wanted).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pattern_reaches() {
        assert!(!is_others("*") && !is_others("home/*") && is_others("/home/%"));
        assert!(!reaches_folders("/home/%") && reaches_folders("/home/*") && reaches_folders("/home/b@x/%"));
        assert_eq!((fixed("/home/b@x/W%/*"), fixed("*")), ("/home/b@x/W", ""));
    }
}

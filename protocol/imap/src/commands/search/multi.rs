//! ESEARCH over several mailboxes (RFC 7377).

use super::compile::{self, Scope};
use super::write::{self, Correlator};
use super::{Found, told_modseq, uses_modseq};
use crate::codec::command::{MailboxFilter, MultiSearch, SearchKey, SearchReturn};
use crate::commands::names::shown;
use crate::commands::notify::meets;
use crate::errors::{Answer, Failure, Reply};
use crate::session::named::OTHERS;
use crate::session::sharing::rights;
use crate::session::{Mailbox, Session};
use std::collections::BTreeSet;
use zcluster_api::mailbox::Folder;
use zcluster_api::sharing::Rights;
use zcluster_api::{Error, Uid, UidSet};

/// Mailboxes that one command may search (RFC 7377 §2.4).
const MAILBOXES_MAX: usize = 2_000;
/// Names of other accounts' folders in one command: each is looked up by itself.
const OTHERS_MAX: usize = 100;

/// A mailbox to be searched.
struct Target {
    mailbox: Mailbox,
    folder: Folder,
    /// As the client knows it.
    name: String,
}

pub async fn esearch(s: &mut Session, tag: &str, multi: &MultiSearch) -> Answer {
    let ret = multi.search.ret.unwrap_or(SearchReturn::ALL);
    let is_selected = |f: &MailboxFilter| matches!(f, MailboxFilter::Selected(_));
    // Without sources it is the selected mailbox (RFC 7377 §2.2).
    if multi.sources.iter().all(is_selected) {
        return selected(s, tag, multi).await;
    }
    if multi.sources.iter().any(is_selected) || ret.has(SearchReturn::UPDATE) {
        s.view()?;
    }
    if ret.has(SearchReturn::SAVE) {
        return Err(Failure::bad("SAVE is for the selected mailbox alone"));
    }
    if uses_modseq(&multi.search.key) {
        s.enable_condstore();
    }
    let targets = targets(s, &multi.sources).await?;
    let total = targets.len() as u64;
    for (done, target) in (0..).zip(&targets) {
        s.progress(tag, done, total).await;
        search_one(s, tag, multi, ret, target).await?;
        s.spill_if_full().await?;
    }
    if ret.has(SearchReturn::UPDATE) {
        s.line(format_args!(
            "* NO [NOUPDATE \"{tag}\"] only a search of the selected mailbox alone is kept up to date"
        ));
    }
    Ok(Reply::Ok("ESEARCH completed".into()))
}

/// The selected mailbox alone: as UID SEARCH, with more said of where it was found.
async fn selected(s: &mut Session, tag: &str, multi: &MultiSearch) -> Answer {
    let view = s.view()?;
    let folder = view.mailbox.folder_by_id(view.folder).await?;
    let name = shown_of(&s.view()?.prefix, &folder);
    let correlator = Correlator { tag, mailbox: Some((&name, folder.uid_validity)) };
    super::run(s, correlator, &multi.search).await.map(|reply| match reply {
        Reply::Ok(_) => Reply::Ok("ESEARCH completed".into()),
        other => other,
    })
}

async fn search_one(
    s: &mut Session,
    tag: &str,
    multi: &MultiSearch,
    ret: SearchReturn,
    target: &Target,
) -> Result<(), Failure> {
    let Target { mailbox, folder, name } = target;
    let here = |v: &crate::session::Selected| v.folder == folder.id && v.mailbox.owner() == mailbox.owner();
    let view = s.selected.as_deref().filter(|v| here(v));
    // Numbers, and ends of sets, are those of the mailbox as it is now, or as the client knows the selected one.
    let (uids, recent_from) = match view {
        Some(view) => (view.uids.clone(), view.recent_from),
        None if names_messages(&multi.search.key) => (mailbox.uids(folder.id).await?.uids, folder.recent_from),
        None => (UidSet::new(), folder.recent_from),
    };
    let suffix = mailbox.object_suffix();
    let recent_from = if mailbox.is_others() { folder.uid_next } else { recent_from };
    let saved = s.selected.as_deref().filter(|v| here(v)).map(|v| &v.saved);
    let scope = Scope {
        uids: &uids,
        saved,
        recent_from: Uid(recent_from.0),
        suffix: &suffix,
        any_number: true,
        zone: s.zone(),
    };
    let query = compile::compile(&scope, &multi.search.key)?;
    let outcome = s.during(tag, mailbox.search(folder.id, query.within, query.expr)).await?;
    let (uids, highest_modseq) = match outcome {
        // Gone, or closed to the user, since it was listed.
        Err(Error::NotFound(_) | Error::Denied(_)) => return Ok(()),
        other => other?,
    };
    if uids.is_empty() {
        return Ok(());
    }
    let found = Found { uids, order: None, highest_modseq };
    let modseq = told_modseq(mailbox, folder.id, &multi.search, &found).await?;
    let correlator = Correlator { tag, mailbox: Some((name, folder.uid_validity)) };
    write::extended(s, &correlator, (&multi.search, ret), &found, modseq);
    Ok(())
}

/// Whether the key depends on which messages there are.
fn names_messages(key: &SearchKey) -> bool {
    match key {
        SearchKey::Numbers(_) | SearchKey::Uids(_) | SearchKey::Recent => true,
        SearchKey::And(keys) => keys.iter().any(names_messages),
        SearchKey::Or(a, b) => names_messages(a) || names_messages(b),
        SearchKey::Not(key) => names_messages(key),
        _ => false,
    }
}

fn shown_of(prefix: &str, folder: &Folder) -> String {
    if prefix.is_empty() { shown(folder) } else { format!("{prefix}{}", folder.path) }
}

/// The mailboxes that the sources name and that can be read, each once, without those that are empty. What is not
/// there, or may not be read, is passed over (RFC 7377 §2.2).
async fn targets(s: &Session, sources: &[MailboxFilter]) -> Result<Vec<Target>, Failure> {
    let own = s.mailbox()?;
    let mut found = Vec::new();
    let mut others = 0;
    let folders = own.folders().await?;
    for folder in folders {
        let name = shown(&folder);
        if sources.iter().any(|filter| meets(filter, &folder, &name)) {
            found.push(Target { mailbox: own.clone(), folder, name });
        }
    }
    for source in sources {
        let names = match source {
            MailboxFilter::Selected(_) => {
                let view = s.view()?;
                let folder = view.mailbox.folder_by_id(view.folder).await?;
                let name = shown_of(&view.prefix, &folder);
                found.push(Target { mailbox: view.mailbox.clone(), folder, name });
                continue;
            }
            MailboxFilter::Mailboxes(names) | MailboxFilter::Subtree(names) | MailboxFilter::SubtreeOne(names) => names,
            _ => continue,
        };
        for name in names.iter().filter(|name| name.starts_with(OTHERS)) {
            others += 1;
            if others > OTHERS_MAX {
                return Err(Failure::no("[LIMIT] too many names of other accounts' mailboxes"));
            }
            found.extend(of_others(s, source, name).await?);
        }
    }
    let mut seen = BTreeSet::new();
    found.retain(|t| {
        rights(&t.folder).has(Rights::READ) && t.folder.messages > 0 && seen.insert((t.mailbox.owner(), t.folder.id))
    });
    if found.len() > MAILBOXES_MAX {
        return Err(Failure::no("[LIMIT] these are too many mailboxes to search"));
    }
    Ok(found)
}

/// What a name in another account's mailbox stands for.
async fn of_others(s: &Session, source: &MailboxFilter, name: &str) -> Result<Vec<Target>, Failure> {
    let named = match s.named(name).await {
        Ok(named) => named,
        Err(Failure::Api(Error::NotFound(_))) => return Ok(Vec::new()),
        Err(other) => return Err(other),
    };
    let folders = match source {
        MailboxFilter::Mailboxes(_) => named.folder().await.map(|f| vec![f]),
        _ => named.mailbox.folders().await,
    };
    let folders = match folders {
        Err(Error::NotFound(_) | Error::Denied(_)) => return Ok(Vec::new()),
        other => other?,
    };
    let alone = match source {
        MailboxFilter::Subtree(_) => MailboxFilter::Subtree(vec![name.to_string()]),
        MailboxFilter::SubtreeOne(_) => MailboxFilter::SubtreeOne(vec![name.to_string()]),
        _ => MailboxFilter::Mailboxes(vec![name.to_string()]),
    };
    let shown = folders.into_iter().map(|folder| (shown_of(&named.prefix, &folder), folder));
    let met = shown.filter(|(shown, folder)| meets(&alone, folder, shown));
    Ok(met.map(|(name, folder)| Target { mailbox: named.mailbox.clone(), folder, name }).collect())
}

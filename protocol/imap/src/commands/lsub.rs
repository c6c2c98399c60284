//! LSUB (RFC 3501 §6.3.9).

use super::list::{breathe, check_patterns};
use super::names::{shown, write_entry};
use crate::codec::pattern::{fold_inbox, matches, matching_ancestor};
use crate::errors::{Answer, Reply};
use crate::session::Session;
use std::collections::BTreeMap;

/// With `%`, the first ancestor that matches stands for subscribed mailboxes that do not, as `\Noselect`.
pub async fn lsub(s: &mut Session, reference: &str, pattern: &str) -> Answer {
    let pattern = format!("{reference}{pattern}");
    check_patterns(std::slice::from_ref(&pattern))?;
    let mailbox = s.mailbox()?;
    let (folders, lost) = (mailbox.folders().await?, mailbox.lost_subscriptions().await?);
    // Others' folders that the user is subscribed to are his subscriptions too.
    let others = mailbox.subscribed_names().await?;
    let names = folders.iter().filter(|f| f.subscribed).map(|f| (shown(f), true));
    // The names of deleted mailboxes stay, as \Noselect.
    let names = names.chain(lost.iter().map(|path| (fold_inbox(path), false)));
    let names = names.chain(others.into_iter().map(|name| (name, true)));
    // Name -> whether it is a subscribed mailbox.
    let mut found: BTreeMap<String, bool> = BTreeMap::new();
    for (i, (name, there)) in names.enumerate() {
        breathe(i).await;
        if matches(&pattern, &name) {
            found.insert(name, there);
        } else if pattern.ends_with('%')
            // Names in the other users' namespace begin with the delimiter: nothing stands above them.
            && let Some(ancestor) = matching_ancestor(&pattern, &name).filter(|a| !a.is_empty())
        {
            found.entry(ancestor).or_insert(false);
        }
    }
    for (name, subscribed) in &found {
        let attributes: &[&str] = if *subscribed { &[] } else { &["\\Noselect"] };
        write_entry("LSUB", attributes, name, s.utf8, &mut s.out);
        s.out.extend_from_slice(b"\r\n");
        s.spill_if_full().await?;
    }
    Ok(Reply::Ok("LSUB completed".into()))
}

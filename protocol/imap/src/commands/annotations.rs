//! Unsolicited METADATA (RFC 5464 §4.4.2): which annotations others changed, for those who enabled METADATA or asked
//! NOTIFY for it (RFC 5465 §5.6, §5.7).

use super::metadata::OF_SERVER;
use super::names::shown;
use super::notify;
use crate::codec::write;
use crate::errors::Failure;
use crate::session::Session;
use std::collections::{BTreeMap, BTreeSet};
use zcluster_api::mailbox::Folder;
use zcluster_api::sharing::MetadataChange;
use zcluster_api::{DirectoryQuery, DirectoryReply, Error, FolderId, Freshness, ModSeq};

/// Annotations that a session is told of: those of the user's own mailbox, and the server's.
pub struct Annotations {
    /// Position in the user's own mailbox.
    since: ModSeq,
    /// ENABLE METADATA: of all mailboxes, and of the server.
    enabled: bool,
    /// What this session changed itself and has not met in the news.
    own: Vec<MetadataChange>,
    /// Values that all share, as last seen.
    server: Shared,
}

impl Annotations {
    /// Whether METADATA is enabled.
    pub fn enabled(&self) -> bool {
        self.enabled
    }
}

/// One value for each of [`OF_SERVER`].
type Shared = [Option<String>; OF_SERVER.len()];

/// Changes by folder; `None` is the server.
type Changes = BTreeMap<Option<FolderId>, BTreeSet<String>>;

/// Tells of changes from now on; `enabled`: of all.
///
/// # Errors
/// The mailbox's position, or the server's annotations, cannot be read.
pub async fn follow(s: &mut Session, enabled: bool) -> Result<(), Failure> {
    if let Some(known) = s.annotations.as_deref_mut() {
        known.enabled |= enabled;
        return Ok(());
    }
    let since = s.mailbox()?.position().await?;
    let server = of_server(s).await?;
    s.annotations = Some(Box::new(Annotations { since, enabled, own: Vec::new(), server }));
    Ok(())
}

/// NOTIFY asks for none of them any more.
pub fn unfollow(s: &mut Session) {
    if s.annotations.as_deref().is_some_and(|a| !a.enabled) {
        s.annotations = None;
    }
}

/// The position from which on the mailbox is to be watched, if there is something to tell.
pub fn since(s: &Session) -> Option<ModSeq> {
    s.annotations.as_deref().map(|a| a.since)
}

/// Notes what this session changed: it is not news (RFC 5464 §4.4, RFC 5465 §5).
pub fn changed_here(s: &mut Session, folder: Option<FolderId>, names: impl Iterator<Item = String>) {
    if let Some(known) = s.annotations.as_deref_mut() {
        let names = names.collect::<BTreeSet<_>>().into_iter().collect();
        known.own.push(MetadataChange { folder, names });
    }
}

/// Tells what changed since the last look.
///
/// # Errors
/// What cannot be read; it is told at the next look.
pub async fn look(s: &mut Session) -> Result<(), Failure> {
    let Some(known) = s.annotations.as_deref() else { return Ok(()) };
    let mailbox = s.mailbox()?;
    let (news, modseq, too_much) = mailbox.metadata_news(known.since).await?;
    let server = of_server(s).await?;
    let folders = if news.iter().any(|c| c.folder.is_some()) { mailbox.folders().await? } else { Vec::new() };
    let Some(known) = s.annotations.as_deref_mut() else { return Ok(()) };
    let mut changes = Changes::new();
    for change in news {
        match known.own.iter().position(|own| *own == change) {
            Some(at) => drop(known.own.remove(at)),
            None => changes.entry(change.folder).or_default().extend(change.names),
        }
    }
    for ((name, _), (was, is)) in OF_SERVER.iter().zip(known.server.iter().zip(&server)) {
        if was != is {
            changes.entry(None).or_default().insert((*name).to_string());
        }
    }
    (known.since, known.server) = (modseq, server);
    // What was written before this look is behind its position.
    known.own.clear();
    let enabled = known.enabled;
    if too_much {
        s.line(format_args!("* NO too many annotations changed to tell them all"));
    }
    for (folder, names) in &changes {
        match folder.map(|id| folders.iter().find(|f| f.id == id)) {
            None if enabled || notify::wants_server_metadata(s) => write_names(s, "", names),
            Some(Some(folder)) if enabled || wants(s, folder) => write_names(s, &shown(folder), names),
            _ => {}
        }
        s.spill_if_full().await?;
    }
    Ok(())
}

fn wants(s: &Session, folder: &Folder) -> bool {
    s.notifier.as_deref().is_some_and(|n| n.wants_metadata(folder))
}

/// `metadata-resp = "METADATA" SP mailbox SP entry-list` (RFC 5464 §5).
fn write_names(s: &mut Session, name: &str, names: &BTreeSet<String>) {
    s.out.extend_from_slice(b"* METADATA ");
    write::mailbox(name, s.utf8, &mut s.out);
    for entry in names {
        s.out.push(b' ');
        write::astring(entry.as_bytes(), &mut s.out);
    }
    s.out.extend_from_slice(b"\r\n");
}

async fn of_server(s: &Session) -> Result<Shared, Error> {
    let reply = s.imap.directory.read(DirectoryQuery::Cluster, Freshness::Local).await?;
    let DirectoryReply::Cluster(cluster) = reply else { return Err(Error::Internal("no cluster".into())) };
    Ok(OF_SERVER.map(|(_, attribute)| cluster.config.get(attribute).map(str::to_string)))
}

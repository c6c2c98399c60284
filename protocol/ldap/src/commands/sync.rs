//! Content synchronisation (RFC 4533): a copy elsewhere is brought up to date, and kept so.
//!
//! The directory has no history of its entries. So a refresh tells of every entry, and the copy forgets the others
//! ("present phase", §3.3.1, with nothing left unsaid); it is left out when the copy's cookie shows that nothing has
//! changed at all. A client that stays is told of changes by comparing: each time the directory's version has risen,
//! the result is gone through again and compared with a digest of each entry. That takes memory for each entry and time
//! for each round, so that both are bounded, and a round is followed by a pause of ten times its length.

use super::search::Task;
use crate::codec::ber::Writer;
use crate::codec::controls::{SYNC_INFO, SyncRequest, SyncState, sync_done, sync_info_refreshed, sync_state};
use crate::codec::reply::{self, Extras};
use crate::config::{PAGE, SYNC_ENTRIES_MAX, SYNC_POLL, SYNC_SESSIONS_MAX};
use crate::entry::Entry;
use crate::errors::{Code, Outcome, Stop, refused};
use crate::search::{Cursor, Found};
use crate::session::{Done, Session};
use futures::future::FutureExt;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use zcluster_runtime::Instant;

/// What is remembered of an entry that was told: its name, for when it is gone, and a digest of the rest.
struct Known {
    dn: Box<str>,
    digest: u64,
    round: u32,
}

/// Brings a copy up to date and, if wanted, keeps it so.
pub async fn run(session: &mut Session, mut task: Task, found: Option<Found>, request: &SyncRequest) -> Done {
    let version = session.ldap.directory.version();
    let unchanged = version.is_some_and(|v| request.cookie.as_deref() == Some(&cookie(&task, v)[..]));
    let _place = if request.persist { Some(Place::take(session, version)?) } else { None };
    let mut known = BTreeMap::new();
    // Who stays must be known in any case; who only asks need not be told again.
    let silent = unchanged && request.persist;
    if !unchanged || request.persist {
        let keep = request.persist;
        round(session, &mut task, found.clone(), &mut known, Round { number: 0, silent, keep }).await?;
    }
    let now = cookie(&task, version.unwrap_or(0));
    if !request.persist {
        let extras = Extras { controls: vec![sync_done(&now, unchanged)], ..Extras::default() };
        return Ok((Outcome::success(), extras));
    }
    let info = reply::intermediate(task.id, SYNC_INFO, &sync_info_refreshed(&now, unchanged));
    session.conn.write(&info).await?;
    follow(session, task, found, known, version).await
}

/// Tells of changes until the client has enough.
async fn follow(
    session: &mut Session,
    mut task: Task,
    found: Option<Found>,
    mut known: BTreeMap<[u8; 16], Known>,
    mut seen: Option<u64>,
) -> Done {
    let mut pause = SYNC_POLL;
    for number in 1u32.. {
        loop {
            session.attend(task.id, zcluster_runtime::sleep(pause).boxed()).await?;
            session.turn_waiting_away();
            if session.conn.is_shutting_down() {
                return refused(Code::Unavailable, "shutting down, try again later");
            }
            let now = session.ldap.directory.version();
            if now != seen {
                seen = now;
                break;
            }
            pause = SYNC_POLL;
        }
        let begun = Instant::now();
        let round_of = Round { number, silent: false, keep: true };
        round(session, &mut task, found.clone(), &mut known, round_of).await?;
        let gone: Vec<[u8; 16]> = known.iter().filter(|(_, k)| k.round != number).map(|(id, _)| *id).collect();
        for id in gone {
            if let Some(gone) = known.remove(&id) {
                let control = sync_state(SyncState::Delete, &id, None);
                session.conn.write(&reply::entry(task.id, &gone.dn, &[control], |_| {})).await?;
            }
        }
        let now = cookie(&task, seen.unwrap_or(0));
        let mut w = Writer::new();
        w.put(crate::codec::ber::context(0), &now);
        session.conn.write(&reply::intermediate(task.id, SYNC_INFO, &w.finish())).await?;
        pause = SYNC_POLL.max(begun.elapsed() * 10);
    }
    Ok((Outcome::success(), Extras::default()))
}

/// How the result is gone through.
struct Round {
    number: u32,
    /// Nothing is told.
    silent: bool,
    /// What was told is remembered.
    keep: bool,
}

async fn round(
    session: &mut Session,
    task: &mut Task,
    found: Option<Found>,
    known: &mut BTreeMap<[u8; 16], Known>,
    round: Round,
) -> Result<(), Stop> {
    let mut walk = task.walk(session, found, Cursor::default()).await?;
    while !walk.is_over() {
        for entry in session.attend(task.id, walk.page(PAGE).boxed()).await?? {
            let id = uuid(&entry);
            let digest = digest(&entry);
            let before = known.get(&id).map(|k| k.digest);
            if round.keep {
                if before.is_none() && known.len() >= SYNC_ENTRIES_MAX {
                    return refused(Code::AdminLimitExceeded, "too many entries to follow: narrow the search");
                }
                known.insert(id, Known { dn: entry.shown_dn.clone().into(), digest, round: round.number });
            }
            if round.silent || before == Some(digest) {
                continue;
            }
            let state = if before.is_some() { SyncState::Modify } else { SyncState::Add };
            task.send(session, entry, &[sync_state(state, &id, None)]).await?;
        }
    }
    Ok(())
}

/// `entryUUID`, or for entries without one, one that is made of their name.
fn uuid(entry: &Entry) -> [u8; 16] {
    if let Some(id) = entry.id {
        return id.0;
    }
    let mut out = [0; 16];
    out.copy_from_slice(&blake3::hash(entry.shown_dn.to_lowercase().as_bytes()).as_bytes()[..16]);
    out[6] = out[6] & 0x0f | 0x80;
    out[8] = out[8] & 0x3f | 0x80;
    out
}

/// Of all that a client might see of an entry.
fn digest(entry: &Entry) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(entry.shown_dn.as_bytes());
    for attribute in entry.attrs.iter().filter(|a| !zcluster_schema::is_secret(&a.name)) {
        hasher.update(b"\0\0").update(attribute.name.as_bytes());
        attribute.values.iter().for_each(|v| {
            hasher.update(b"\0").update(v.as_bytes());
        });
    }
    let mut out = [0; 8];
    out.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_be_bytes(out)
}

/// What a copy is to show next time: as of when it is, and a digest of what was asked by whom.
fn cookie(task: &Task, version: u64) -> Vec<u8> {
    let search = &task.search;
    let what =
        format!("{:?}\0{}\0{:?}\0{:?}\0{:?}", task.who, search.base, search.scope, search.filter, search.attributes);
    format!("zcluster,{version},{}", &blake3::hash(what.as_bytes()).to_hex()[..16]).into_bytes()
}

/// One of the places for those who stay.
struct Place(Arc<crate::Ldap>);

impl Place {
    fn take(session: &Session, version: Option<u64>) -> Result<Place, Stop> {
        if version.is_none() {
            return refused(Code::UnwillingToPerform, "this node cannot tell when something changes");
        }
        let ldap = session.ldap.clone();
        let before = ldap.following.fetch_add(1, Ordering::Relaxed);
        let place = Place(ldap);
        if before >= SYNC_SESSIONS_MAX {
            return refused(Code::Busy, "too many synchronisations at once");
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.following.fetch_sub(1, Ordering::Relaxed);
    }
}

//! GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208): one root, named by the empty string, for the whole account; another
//! account's is named as what its folders are below.

use crate::codec::write;
use crate::errors::{Answer, Failure, Reply};
use crate::session::mailbox::Usage;
use crate::session::named::OTHERS;
use crate::session::{Mailbox, Session};
use zcluster_api::Error;

pub async fn get_quota(s: &mut Session, root: &str) -> Answer {
    let mailbox = of_root(s, root).await?;
    let usage = match mailbox.usage().await {
        // Who shares nothing with the user has no quota root for him.
        Err(Error::Denied(_)) if mailbox.is_others() => return Err(no_root()),
        other => other?,
    };
    tell(s, root, &usage);
    Ok(Reply::Ok("GETQUOTA completed".into()))
}

/// The mailbox that a root is the quota of.
async fn of_root(s: &Session, root: &str) -> Result<Mailbox, Failure> {
    if root.is_empty() {
        return s.mailbox();
    }
    let of_other = root.strip_prefix(OTHERS).is_some_and(|user| !user.is_empty() && !user.contains('/'));
    if of_other { Ok(s.named(root).await?.mailbox) } else { Err(no_root()) }
}

pub async fn get_quota_root(s: &mut Session, name: &str) -> Answer {
    let named = s.named(name).await?;
    let folder = named.folder().await?;
    let usage = named.mailbox.usage().await?;
    s.out.extend_from_slice(b"* QUOTAROOT ");
    write::mailbox(&named.shown(&folder), s.utf8, &mut s.out);
    // Another account's quota is told under the name that its folders are below.
    let root = named.prefix.trim_end_matches('/');
    s.out.push(b' ');
    write::astring(root.as_bytes(), &mut s.out);
    s.out.extend_from_slice(b"\r\n");
    tell(s, root, &usage);
    Ok(Reply::Ok("GETQUOTAROOT completed".into()))
}

/// SETQUOTA (RFC 9208 §4.1.1): administrators set quotas, and not by IMAP; there is no QUOTASET.
pub fn set_quota(root: &str) -> Answer {
    Err(match root {
        "" => Failure::no("[NOPERM] quotas are set by the administrator"),
        _ => no_root(),
    })
}

fn no_root() -> Failure {
    Failure::no("[NONEXISTENT] no such quota root")
}

/// Messages that a mailbox can have in its life: item ids have 32 bits.
const MESSAGES_MAX: u32 = u32::MAX;

/// `STORAGE` counts units of 1,024 octets (RFC 9208 §5.1), rounded up; without a limit it is left out. `MESSAGE` counts
/// messages (RFC 9208 §5.2), of which a mailbox can hold no more than it can number.
fn tell(s: &mut Session, root: &str, usage: &Usage) {
    s.out.extend_from_slice(b"* QUOTA ");
    write::astring(root.as_bytes(), &mut s.out);
    let storage = match usage.limit {
        0 => String::new(),
        limit => format!("STORAGE {} {} ", usage.used.div_ceil(1024), limit.div_ceil(1024)),
    };
    s.line(format_args!(" ({storage}MESSAGE {} {MESSAGES_MAX})", usage.messages));
}

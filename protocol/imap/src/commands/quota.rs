//! GETQUOTA and GETQUOTAROOT (RFC 9208): one root, named by the empty string, for the whole account.

use super::names::shown;
use crate::codec::write;
use crate::errors::{Answer, Failure, Reply};
use crate::session::Session;

pub async fn get_quota(s: &mut Session, root: &str) -> Answer {
    if !root.is_empty() {
        return Err(no_root());
    }
    tell(s).await?;
    Ok(Reply::Ok("GETQUOTA completed".into()))
}

pub async fn get_quota_root(s: &mut Session, name: &str) -> Answer {
    let folder = s.mailbox()?.folder(name).await?;
    s.out.extend_from_slice(b"* QUOTAROOT ");
    write::mailbox(&shown(&folder), s.utf8, &mut s.out);
    s.out.extend_from_slice(b" \"\"\r\n");
    tell(s).await?;
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
async fn tell(s: &mut Session) -> Result<(), Failure> {
    let mailbox = s.mailbox()?;
    let ((used, limit), messages) = (mailbox.usage().await?, mailbox.message_count().await?);
    let storage = match limit {
        0 => String::new(),
        _ => format!("STORAGE {} {} ", used.div_ceil(1024), limit.div_ceil(1024)),
    };
    s.line(format_args!("* QUOTA \"\" ({storage}MESSAGE {messages} {MESSAGES_MAX})"));
    Ok(())
}

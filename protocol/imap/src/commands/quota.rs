//! GETQUOTA and GETQUOTAROOT (RFC 9208): one root, named by the empty string, for the whole account.

use crate::codec::write;
use crate::errors::{Answer, Failure, Reply};
use crate::session::Session;
use crate::session::named::OTHERS;
use zcluster_api::Error;

pub async fn get_quota(s: &mut Session, root: &str) -> Answer {
    if !root.is_empty() {
        let of_other = root.strip_prefix(OTHERS).is_some_and(|user| !user.is_empty() && !user.contains('/'));
        if !of_other {
            return Err(Failure::no("[NONEXISTENT] no such quota root"));
        }
        let mailbox = s.named(root).await?.mailbox;
        // Who shares nothing with the user has no quota root for him.
        let usage = match mailbox.usage().await {
            Err(Error::Denied(_)) => return Err(Failure::no("[NONEXISTENT] no such quota root")),
            other => other?,
        };
        tell(s, root, usage);
        return Ok(Reply::Ok("GETQUOTA completed".into()));
    }
    let usage = s.mailbox()?.usage().await?;
    tell(s, root, usage);
    Ok(Reply::Ok("GETQUOTA completed".into()))
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
    tell(s, root, usage);
    Ok(Reply::Ok("GETQUOTAROOT completed".into()))
}

/// `STORAGE` counts units of 1,024 octets (RFC 9208 §5.1), rounded up. No limit: no resource.
fn tell(s: &mut Session, root: &str, (used, limit): (u64, u64)) {
    s.out.extend_from_slice(b"* QUOTA ");
    write::astring(root.as_bytes(), &mut s.out);
    if limit == 0 {
        s.line(format_args!(" ()"));
    } else {
        s.line(format_args!(" (STORAGE {} {})", used.div_ceil(1024), limit.div_ceil(1024)));
    }
}

//! GETQUOTA and GETQUOTAROOT (RFC 9208): one root, named by the empty string, for the whole account.

use crate::codec::write;
use crate::errors::{Answer, Failure, Reply};
use crate::session::Session;

pub async fn get_quota(s: &mut Session, root: &str) -> Answer {
    if !root.is_empty() {
        return Err(Failure::no("[NONEXISTENT] no such quota root"));
    }
    tell(s).await?;
    Ok(Reply::Ok("GETQUOTA completed".into()))
}

pub async fn get_quota_root(s: &mut Session, name: &str) -> Answer {
    let named = s.named(name).await?;
    let folder = named.folder().await?;
    s.out.extend_from_slice(b"* QUOTAROOT ");
    write::mailbox(&named.shown(&folder), s.utf8, &mut s.out);
    s.out.extend_from_slice(b" \"\"\r\n");
    tell(s).await?;
    Ok(Reply::Ok("GETQUOTAROOT completed".into()))
}

/// `STORAGE` counts units of 1,024 octets (RFC 9208 §5.1), rounded up. No limit: no resource.
async fn tell(s: &mut Session) -> Result<(), Failure> {
    let (used, limit) = s.mailbox()?.usage().await?;
    if limit == 0 {
        s.line(format_args!("* QUOTA \"\" ()"));
    } else {
        s.line(format_args!("* QUOTA \"\" (STORAGE {} {})", used.div_ceil(1024), limit.div_ceil(1024)));
    }
    Ok(())
}

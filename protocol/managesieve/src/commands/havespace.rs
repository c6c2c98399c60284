//! HAVESPACE (RFC 5804 §2.5).

use super::scripts;
use crate::codec::reply::Reply;
use crate::errors::{Failure, Outcome};
use crate::session::{Session, too_large};

/// Says whether PUTSCRIPT would find room.
pub async fn run(session: &mut Session, name: &str, size: u32) -> Outcome {
    let max = session.user()?.script_bytes_max;
    scripts::check_name(name)?;
    if size as usize > max {
        return Err(Failure::Refused(too_large(max)));
    }
    let list = scripts::list(session).await?;
    scripts::check_room(&list, name, u64::from(size))?;
    Ok(Reply::ok(""))
}

//! NOOP (RFC 5804 §2.13).

use crate::codec::reply::{Code, Reply};
use zcluster_api::Bytes;

/// Does nothing, in any state; says the tag back, so that a client that lost count finds its place again.
pub fn run(tag: Option<Bytes>) -> Reply {
    let reply = Reply::ok("done");
    match tag {
        Some(tag) => reply.with(Code::Tag(tag.to_vec())),
        None => reply,
    }
}

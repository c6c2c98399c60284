//! ID (RFC 2971): who speaks to whom, for logs.

use crate::codec::write;
use crate::errors::Reply;
use crate::session::Session;

pub fn id(s: &mut Session, fields: &[(String, Option<String>)]) -> Reply {
    if !fields.is_empty() {
        tracing::debug!(client = ?fields, "client told its name");
    }
    s.out.extend_from_slice(b"* ID (\"name\" \"zcluster\"");
    let version = s.config().version.clone();
    if !version.is_empty() {
        s.out.extend_from_slice(b" \"version\" ");
        write::string(version.as_bytes(), &mut s.out);
    }
    s.out.extend_from_slice(b")\r\n");
    Reply::Ok("ID completed".into())
}

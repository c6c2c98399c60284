//! CAPABILITY (RFC 3501 §6.1.1): only what works, in the state the session is in.

use super::authenticate;
use crate::errors::Reply;
use crate::session::Session;

/// What works in every state.
const ALWAYS: &str = "IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE";
/// What works once signed in.
const SIGNED_IN: &str = "IDLE NAMESPACE UNSELECT UIDPLUS MOVE CHILDREN SPECIAL-USE CREATE-SPECIAL-USE LIST-EXTENDED \
                         LIST-STATUS STATUS=SIZE CONDSTORE QRESYNC UIDONLY NOTIFY ESEARCH SEARCHRES WITHIN QUOTA \
                         QUOTA=RES-STORAGE QUOTA=RES-MESSAGE BINARY OBJECTID SAVEDATE PREVIEW UTF8=ACCEPT MULTIAPPEND \
                         CATENATE REPLACE URLAUTH SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES \
                         THREAD=REFS CONTEXT=SEARCH CONTEXT=SORT PARTIAL ACL RIGHTS=texk METADATA LIST-MYRIGHTS \
                         LIST-METADATA MULTISEARCH INPROGRESS URLAUTH=BINARY";

/// The capabilities, separated by spaces.
pub fn text(s: &Session) -> String {
    if s.user.is_some() {
        let compress = if s.connection.is_deflated() { "" } else { " COMPRESS=DEFLATE" };
        return format!("{ALWAYS} {SIGNED_IN} APPENDLIMIT={}{compress}", s.config().append_bytes_max);
    }
    let start_tls = if s.connection.can_start_tls() { " STARTTLS" } else { "" };
    let disabled = if may_send_passwords(s) { "" } else { " LOGINDISABLED" };
    let offered = s.imap.authenticator.mechanisms(&authenticate::channel(s));
    let auth: String = offered.into_iter().map(|m| format!(" AUTH={m}")).collect();
    format!("{ALWAYS}{start_tls}{disabled}{auth}")
}

/// Whether passwords may be sent as they are: over TLS, or where the operator allows it (RFC 3501 §6.2.3, §11.1).
pub fn may_send_passwords(s: &Session) -> bool {
    s.connection.is_tls() || s.config().allow_plaintext_auth
}

pub fn capability(s: &mut Session) -> Reply {
    let text = text(s);
    s.line(format_args!("* CAPABILITY {text}"));
    Reply::Ok("CAPABILITY completed".into())
}

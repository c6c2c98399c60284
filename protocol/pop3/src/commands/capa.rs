//! CAPA (RFC 2449 §5).

use crate::errors::{Next, Outcome};
use crate::session::{Session, State};
use std::fmt::Write;
use zcluster_auth::MECHANISMS;

/// Lists what is on offer now: STLS only while it can be used, ways to sign in only while they are allowed.
pub fn run(session: &mut Session) -> Outcome {
    let mut out = String::from("+OK capabilities follow\r\n");
    out += "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUTF8\r\nEXPIRE NEVER\r\n";
    let before = matches!(session.state, State::Authorization(_));
    // Writing into a String cannot fail.
    if session.may_sign_in() {
        let _ = write!(out, "USER\r\nSASL {}\r\n", MECHANISMS.join(" "));
    }
    if before && session.conn.can_start_tls() {
        out += "STLS\r\n";
    }
    let _ = write!(out, "IMPLEMENTATION {}\r\n.\r\n", session.service.config.implementation);
    session.conn.push(out.as_bytes());
    Ok(Next::Command)
}

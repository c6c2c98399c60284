//! CAPA (RFC 2449 §5).

use crate::errors::{Next, Outcome};
use crate::session::{Session, State};
use std::fmt::Write;

/// Lists what is on offer now: STLS only while it can be used, ways to sign in only while they are allowed.
pub fn run(session: &mut Session) -> Outcome {
    let mut out = String::from("+OK capabilities follow\r\n");
    // Nothing is taken away from a mailbox because it was retrieved or grew old (RFC 2449 §6.7).
    out += "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUTF8 USER\r\nLANG\r\nEXPIRE NEVER\r\n";
    // Writing into a String cannot fail.
    let delay = session.service.config.login_delay.as_secs();
    if delay > 0 {
        let _ = write!(out, "LOGIN-DELAY {delay}\r\n");
    }
    if session.may_send_passwords() {
        out += "USER\r\n";
    }
    let mechanisms = session.service.authenticator.mechanisms(&session.channel());
    if !mechanisms.is_empty() {
        let _ = write!(out, "SASL {}\r\n", mechanisms.join(" "));
    }
    if matches!(session.state, State::Authorization(_)) && session.conn.can_start_tls() {
        out += "STLS\r\n";
    }
    let _ = write!(out, "IMPLEMENTATION {}\r\n.\r\n", session.service.config.implementation);
    session.conn.push(out.as_bytes());
    Ok(Next::Command)
}

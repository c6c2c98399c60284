//! CAPABILITY (RFC 5804 §1.7, §2.4).

use crate::codec::reply::{Reply, string};
use crate::errors::Outcome;
use crate::session::Session;

/// Tells what is on offer.
pub fn run(session: &mut Session) -> Outcome {
    list(session);
    Ok(Reply::ok("done"))
}

/// Writes the capabilities: also the greeting, and what follows STARTTLS.
pub fn list(session: &mut Session) {
    let config = &session.service.config;
    let mechanisms = session.service.authenticator.mechanisms(&session.channel()).join(" ");
    let mut lines = vec![
        ("IMPLEMENTATION", Some(config.implementation.clone())),
        ("VERSION", Some("1.0".into())),
        ("SASL", Some(mechanisms)),
        ("SIEVE", Some(zcluster_sieve::capabilities().join(" "))),
        ("NOTIFY", Some(zcluster_sieve::notify_methods().join(" "))),
        ("MAXREDIRECTS", Some(config.limits.redirects.to_string())),
        ("LANGUAGE", Some("en".into())),
        ("UNAUTHENTICATE", None),
    ];
    match &session.user {
        // Only the one who signed in learns it, and STARTTLS is over then.
        Some(user) => lines.push(("OWNER", Some(user.name.clone()))),
        None if session.conn.can_start_tls() => lines.push(("STARTTLS", None)),
        None => {}
    }
    let mut out = Vec::new();
    for (name, value) in lines {
        string(&mut out, name.as_bytes());
        if let Some(value) = value {
            out.push(b' ');
            string(&mut out, value.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
    session.conn.push(&out);
}

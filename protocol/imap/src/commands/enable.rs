//! ENABLE (RFC 5161).

use crate::errors::Reply;
use crate::session::Session;

/// Enables what is known and passes over the rest (RFC 5161 §3.1).
pub fn enable(s: &mut Session, names: &[String]) -> Reply {
    let mut enabled = String::new();
    let condstore = names.iter().any(|n| n == "CONDSTORE");
    if condstore && !s.condstore {
        enabled.push_str(" CONDSTORE");
    }
    // Names and strings are UTF-8 from now on, both ways (RFC 6855 §3).
    if names.iter().any(|n| n == "UTF8=ACCEPT") && !std::mem::replace(&mut s.utf8, true) {
        enabled.push_str(" UTF8=ACCEPT");
    }
    s.line(format_args!("* ENABLED{enabled}"));
    if condstore {
        s.enable_condstore();
    }
    Reply::Ok("ENABLE completed".into())
}

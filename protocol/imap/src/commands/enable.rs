//! ENABLE (RFC 5161).

use super::annotations;
use crate::errors::{Answer, Reply};
use crate::session::Session;

/// Enables what is known and passes over the rest (RFC 5161 §3.1).
pub async fn enable(s: &mut Session, names: &[String]) -> Answer {
    let asked = |name: &str| names.iter().any(|n| n == name);
    let mut metadata = s.annotations.as_deref().is_some_and(|a| a.enabled());
    if asked("METADATA") {
        // Unsolicited responses (RFC 5464 §4.4). First: it alone can fail.
        annotations::follow(s, true).await?;
    }
    let mut enabled = String::new();
    let mut note = |on: &mut bool, name: &str, wanted: bool| {
        if wanted && !std::mem::replace(on, true) {
            enabled.push(' ');
            enabled.push_str(name);
        }
    };
    // QRESYNC brings CONDSTORE with it (RFC 7162 §3.2.3).
    let condstore = asked("CONDSTORE") || asked("QRESYNC");
    let mut told = s.condstore;
    note(&mut told, "CONDSTORE", asked("CONDSTORE"));
    note(&mut s.dialect.qresync, "QRESYNC", asked("QRESYNC"));
    // Names and strings are UTF-8 from now on, both ways (RFC 6855 §3, RFC 9051 §5.1).
    note(&mut s.utf8, "UTF8=ACCEPT", asked("UTF8=ACCEPT"));
    note(&mut s.dialect.rev2, "IMAP4rev2", asked("IMAP4REV2"));
    note(&mut s.dialect.uid_only, "UIDONLY", asked("UIDONLY"));
    // Not told again to those who have it.
    note(&mut metadata, "METADATA", asked("METADATA"));
    s.utf8 |= s.dialect.rev2;
    let dialect = s.dialect;
    if let Some(view) = s.selected.as_deref_mut() {
        view.dialect = dialect;
    }
    s.line(format_args!("* ENABLED{enabled}"));
    if condstore {
        s.enable_condstore();
    }
    Ok(Reply::Ok("ENABLE completed".into()))
}

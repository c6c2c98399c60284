//! LANG (RFC 6856 §3): the language of the text in answers. There is one.

use crate::errors::{Next, Outcome, refused};
use crate::session::Session;

/// The language's tag (RFC 5646), and what it calls itself.
const LANGUAGE: (&str, &str) = ("en", "English");

/// Lists the languages, or chooses the one that the range matches (RFC 4647 §3.3.1); `*` is whichever there is.
pub fn run(session: &mut Session, range: Option<&str>) -> Outcome {
    let (tag, name) = LANGUAGE;
    match range {
        None => session.conn.push(format!("+OK languages follow\r\n{tag} {name}\r\n.\r\n").as_bytes()),
        Some(range) if range == "*" || range.eq_ignore_ascii_case(tag) => {
            session.ok(&format!("{tag} English it is"));
        }
        Some(_) => return Err(refused(format!("{tag} no such language here"))),
    }
    Ok(Next::Command)
}

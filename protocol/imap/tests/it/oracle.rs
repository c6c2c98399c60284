//! The parser against imap-codec's: what both accept must mean the same, as far as shape tells.

use imap_codec::CommandCodec;
use imap_codec::decode::Decoder;
use proptest::prelude::*;
use zcluster_imap::codec::command::{Request, SearchKey};
use zcluster_imap::codec::parse;

/// (verb, a few words that describe the arguments), from ours.
fn ours(line: &str) -> Option<String> {
    let command = parse::command(line.trim_end_matches("\r\n").as_bytes(), false).ok()?;
    Some(format!("{} {}", command.tag, shape(&command.request)))
}

fn shape(r: &Request) -> String {
    match r {
        Request::Login { user, password } => format!("login {user:?} {password:?}"),
        Request::Select { mailbox, read_only, .. } => format!("select {mailbox:?} {read_only}"),
        Request::Create { mailbox, .. } => format!("create {mailbox:?}"),
        Request::Delete(mailbox) => format!("delete {mailbox:?}"),
        Request::Rename { from, to } => format!("rename {from:?} {to:?}"),
        Request::Subscribe(m) => format!("subscribe {m:?}"),
        Request::Unsubscribe(m) => format!("unsubscribe {m:?}"),
        Request::Fetch(f) => format!("fetch {} {}", f.uid, f.items.0.count_ones() as usize + f.bodies.len()),
        Request::Store(s) => format!("store {} {:?} {}", s.uid, s.mode, s.silent),
        Request::Copy { uid, mailbox, moving, .. } => format!("copy {uid} {moving} {mailbox:?}"),
        Request::Search(s) => format!("search {} {}", s.uid, matches!(s.key, SearchKey::Or(..))),
        other => other.verb().to_string(),
    }
}

/// The same from imap-codec's.
fn theirs(line: &str) -> Option<String> {
    use imap_codec::imap_types::command::CommandBody as B;
    use imap_codec::imap_types::flag::{StoreResponse, StoreType};
    use imap_codec::imap_types::mailbox::Mailbox;
    let (rest, command) = CommandCodec::default().decode(line.as_bytes()).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let name = |m: &Mailbox<'_>| match m {
        Mailbox::Inbox => "INBOX".to_string(),
        Mailbox::Other(o) => String::from_utf8_lossy(o.as_ref()).into_owned(),
    };
    let text = |s: &imap_codec::imap_types::core::AString<'_>| String::from_utf8_lossy(s.as_ref()).into_owned();
    let body = match &command.body {
        B::Login { username, password } => format!("login {:?} {:?}", text(username), text(password.declassify())),
        B::Select { mailbox, .. } => format!("select {:?} false", name(mailbox)),
        B::Examine { mailbox, .. } => format!("select {:?} true", name(mailbox)),
        B::Create { mailbox } => format!("create {:?}", name(mailbox)),
        B::Delete { mailbox } => format!("delete {:?}", name(mailbox)),
        B::Rename { from, to } => format!("rename {:?} {:?}", name(from), name(to)),
        B::Subscribe { mailbox } => format!("subscribe {:?}", name(mailbox)),
        B::Unsubscribe { mailbox } => format!("unsubscribe {:?}", name(mailbox)),
        B::Store { kind, response, uid, .. } => {
            let mode = match kind {
                StoreType::Add => "Add",
                StoreType::Remove => "Remove",
                StoreType::Replace => "Replace",
            };
            format!("store {uid} {mode} {}", matches!(response, StoreResponse::Silent))
        }
        B::Copy { mailbox, uid, .. } => format!("copy {uid} false {:?}", name(mailbox)),
        B::Move { mailbox, uid, .. } => format!("copy {uid} true {:?}", name(mailbox)),
        B::Capability
        | B::Noop
        | B::Logout
        | B::StartTLS
        | B::Unselect
        | B::Close
        | B::Check
        | B::Idle
        | B::Namespace => command.body.name().to_lowercase(),
        B::Expunge => "expunge".into(),
        _ => return Some(format!("{} ?", command.tag.as_ref())),
    };
    Some(format!("{} {body}", command.tag.as_ref()))
}

/// Both accept it and agree, or both refuse it.
fn agree(line: &str) -> Result<(), TestCaseError> {
    match (ours(line), theirs(line)) {
        (Some(a), Some(b)) if b.ends_with(" ?") => prop_assert_eq!(a.split(' ').next(), b.split(' ').next()),
        (Some(a), Some(b)) => {
            let folded = if a.contains(" login ") { a } else { a.replace("\"inbox\"", "\"INBOX\"") };
            prop_assert_eq!(folded, b, "{:?}", line);
        }
        (a, b) => prop_assert_eq!(a, b, "{:?}", line),
    }
    Ok(())
}

#[test]
fn known_commands() {
    for line in [
        "a CAPABILITY",
        "a noop",
        "a LOGOUT",
        "a STARTTLS",
        "a LOGIN mrc secret",
        "a LOGIN \"m\\\"c\" \"se\\\\cret\"",
        "a LOGIN {3}\r\nmrc {6}\r\nsecret",
        "a SELECT INBOX",
        "a EXAMINE blurdybloop",
        "a CREATE owatagusiam/",
        "a DELETE \"a b\"",
        "a RENAME a b",
        "a SUBSCRIBE #news.comp",
        "a UNSUBSCRIBE x",
        "a LIST \"\" *",
        "a LSUB \"#news.\" \"comp.*\"",
        "a STATUS x (UIDNEXT MESSAGES)",
        "a CHECK",
        "a CLOSE",
        "a EXPUNGE",
        "a UNSELECT",
        "a IDLE",
        "a NAMESPACE",
        "a SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"",
        "a SEARCH TEXT \"x\"",
        "a UID SEARCH OR SEEN DELETED",
        "a SEARCH CHARSET UTF-8 ALL",
        "a FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])",
        "a FETCH 1 ALL",
        "a FETCH 1 BODY[1.2.MIME]<0.5>",
        "a UID FETCH 1:* (UID BODY.PEEK[] RFC822.SIZE)",
        "a STORE 2:4 +FLAGS (\\Deleted)",
        "a STORE 1 -FLAGS.SILENT \\Seen x",
        "a UID STORE 1 FLAGS ()",
        "a COPY 2:4 MEETING",
        "a UID COPY 1 x",
        "a MOVE 1 x",
        "a UID MOVE 1:* x",
        "a ID NIL",
        "a ENABLE CONDSTORE",
        "a ID (\"name\" \"x\")",
        "a AUTHENTICATE PLAIN",
        "a GETQUOTA \"\"",
        "a GETQUOTAROOT INBOX",
        // Refused by both.
        "a",
        "a ",
        " a NOOP",
        "a NOOP ",
        "a LOGIN x",
        "a LOGIN x y z",
        "a SELECT",
        "a FETCH 0 FLAGS",
        "a FETCH 1 FLAG",
        "a STORE 1 FLAGS",
        "a SEARCH",
        "a SEARCH FOO",
        "a UID",
        "a UID NOOP",
        "a RENAME x",
        "a STATUS x",
        "a LOGIN {3}\r\nmr",
    ] {
        agree(&format!("{line}\r\n")).unwrap_or_else(|e| panic!("{line}: {e}"));
    }
}

fn argument() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9.#/_-]{1,8}",
        "\"([ !#-%'-\\[\\]-~]|\\\\\"|\\\\\\\\){0,8}\"",
        Just("INBOX".to_string()),
        Just("inbox".to_string()),
        Just("{4}\r\na b\"".to_string()),
        Just("(x".to_string()),
        Just("a*b".to_string()),
    ]
}

proptest! {
    #[test]
    fn names_are_read_alike(a in argument(), b in argument()) {
        for verb in ["SELECT", "EXAMINE", "CREATE", "DELETE", "SUBSCRIBE", "UNSUBSCRIBE"] {
            agree(&format!("t1 {verb} {a}\r\n"))?;
        }
        for verb in ["LOGIN", "RENAME"] {
            agree(&format!("t1 {verb} {a} {b}\r\n"))?;
        }
    }

    #[test]
    fn sets_and_flags_are_read_alike(
        set in "[0-9*]{1,3}((:|,)[0-9*]{1,3}){0,3}", mode in "[+-]?FLAGS(\\.SILENT)?", flags in "\\(?(\\\\Seen|\\\\Deleted|x|\\$y)( (\\\\Flagged|z))?\\)?",
    ) {
        agree(&format!("t STORE {set} {mode} {flags}\r\n"))?;
        agree(&format!("t UID COPY {set} x\r\n"))?;
    }
}

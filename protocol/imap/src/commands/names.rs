//! Mailbox names as clients see them.

use crate::codec::pattern::fold_inbox;
use crate::codec::write;
use zcluster_api::mailbox::{Folder, SpecialUse, folders};

/// The name that IMAP shows: the Inbox is `INBOX`, in whatever case the folder is kept (RFC 3501 §5.1).
pub fn shown(folder: &Folder) -> String {
    fold_inbox(&folder.path)
}

/// A name without the delimiter at its end, which CREATE allows to announce children (RFC 3501 §6.3.3).
pub fn trimmed(name: &str) -> &str {
    name.strip_suffix('/').unwrap_or(name)
}

/// Whether the name is INBOX's.
pub fn is_inbox(name: &str) -> bool {
    name.eq_ignore_ascii_case("INBOX")
}

/// The attribute of RFC 6154 §2.
pub fn special_use(folder: &Folder) -> Option<&'static str> {
    if folder.id == folders::INBOX {
        return None;
    }
    folder.special_use.map(|u| match u {
        SpecialUse::Archive => "\\Archive",
        SpecialUse::Drafts => "\\Drafts",
        SpecialUse::Junk => "\\Junk",
        SpecialUse::Sent => "\\Sent",
        SpecialUse::Trash => "\\Trash",
    })
}

/// Appends `* WORD (attributes) "/" name` without its line end.
pub fn write_entry(word: &str, attributes: &[&str], name: &str, utf8: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(b"* ");
    out.extend_from_slice(word.as_bytes());
    out.extend_from_slice(b" (");
    for (i, attribute) in attributes.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(attribute.as_bytes());
    }
    out.extend_from_slice(b") \"/\" ");
    write::mailbox(name, utf8, out);
}

/// Appends `* LIST () "/" name` with the name it had before, as the client spelled it (RFC 9051 §6.3.9.7).
pub fn write_renamed(name: &str, old: Option<&str>, utf8: bool, out: &mut Vec<u8>) {
    write_listed(&[], name, old, utf8, out);
}

/// Appends `* LIST (attributes) "/" name` with the name it had before.
pub fn write_listed(attributes: &[&str], name: &str, old: Option<&str>, utf8: bool, out: &mut Vec<u8>) {
    write_entry("LIST", attributes, name, utf8, out);
    if let Some(old) = old {
        out.extend_from_slice(b" (\"OLDNAME\" (");
        write::mailbox(old, utf8, out);
        out.extend_from_slice(b"))");
    }
    out.extend_from_slice(b"\r\n");
}

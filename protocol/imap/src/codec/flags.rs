//! Flags: IMAP's names for the mailbox's bits, both ways.

use super::command::FlagList;
use super::cursor::{Cursor, Fault, Parse};
use zcluster_api::Flags;
use zcluster_api::mailbox::{KEYWORD_BYTES_MAX, KEYWORDS_PER_MESSAGE_MAX};

/// The bit of a registered keyword.
pub fn keyword_bit(name: &str) -> Option<Flags> {
    Flags::NAMED.iter().find(|(n, _)| n.starts_with('$') && n.eq_ignore_ascii_case(name)).map(|(_, bit)| *bit)
}

/// `flag = "\Answered" / ... / flag-keyword / flag-extension` (RFC 3501 §9). `\Recent` cannot be set by a client and is
/// passed over; system flags we do not know are refused, as RFC 3501 §2.3.2 reserves them.
fn flag(c: &mut Cursor<'_>, into: &mut FlagList) -> Parse<()> {
    if !c.eat(b'\\') {
        return keyword(c.atom()?, into);
    }
    let name = c.atom()?;
    if name.eq_ignore_ascii_case("Seen") {
        into.seen = true;
    } else if let Some((_, bit)) =
        Flags::NAMED.iter().find(|(n, _)| n[1..].eq_ignore_ascii_case(name) && n.starts_with('\\'))
    {
        into.flags = into.flags.with(*bit);
    } else if !name.eq_ignore_ascii_case("Recent") {
        return Err(Fault::Bad("no such system flag"));
    }
    Ok(())
}

fn keyword(name: &str, into: &mut FlagList) -> Parse<()> {
    if let Some(bit) = keyword_bit(name) {
        into.flags = into.flags.with(bit);
        return Ok(());
    }
    if name.len() > KEYWORD_BYTES_MAX {
        return Err(Fault::Bad("a keyword is too long"));
    }
    if !into.keywords.iter().any(|k| k.eq_ignore_ascii_case(name)) {
        into.keywords.push(name.to_string());
    }
    if into.keywords.len() > KEYWORDS_PER_MESSAGE_MAX {
        return Err(Fault::Bad("too many keywords"));
    }
    Ok(())
}

/// `flag-list = "(" [flag *(SP flag)] ")"` (RFC 3501 §9).
pub fn flag_list(c: &mut Cursor<'_>) -> Parse<FlagList> {
    let mut out = FlagList::default();
    c.list(|c| flag(c, &mut out))?;
    Ok(out)
}

/// STORE's `flag-list / (flag *(SP flag))` (RFC 3501 §9).
pub fn store_flags(c: &mut Cursor<'_>) -> Parse<FlagList> {
    if c.peek() == Some(b'(') {
        return flag_list(c);
    }
    let mut out = FlagList::default();
    flag(c, &mut out)?;
    while c.eat(b' ') {
        flag(c, &mut out)?;
    }
    Ok(out)
}

/// Appends a message's flags in parentheses. Keywords that are no atoms (a tag made elsewhere, "to do") are shown with
/// `_` in place of what an atom cannot hold.
pub fn write_flags(flags: Flags, keywords: &[String], recent: bool, out: &mut Vec<u8>) {
    out.push(b'(');
    let start = out.len();
    if !flags.contains(Flags::UNREAD) {
        out.extend_from_slice(b"\\Seen ");
    }
    if recent {
        out.extend_from_slice(b"\\Recent ");
    }
    for (name, bit) in Flags::NAMED {
        if flags.contains(bit) {
            out.extend_from_slice(name.as_bytes());
            out.push(b' ');
        }
    }
    for keyword in keywords {
        write_keyword(keyword, out);
        out.push(b' ');
    }
    if out.len() > start {
        out.pop();
    }
    out.push(b')');
}

/// Appends a keyword as an atom.
pub fn write_keyword(keyword: &str, out: &mut Vec<u8>) {
    for b in keyword.bytes() {
        out.push(if super::cursor::is_atom_char(b) { b } else { b'_' });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_map_to_bits_and_back() {
        let list = flag_list(&mut Cursor::new(b"(\\seen \\Deleted $forwarded $MDNSENT work Work \\Recent)")).unwrap();
        assert!(list.seen);
        assert_eq!(list.flags, Flags::DELETED.with(Flags::FORWARDED).with(Flags::NOTIFIED));
        assert_eq!(list.keywords, ["work"]);
        let mut out = Vec::new();
        write_flags(list.flags, &["work".into(), "to do".into()], true, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "(\\Seen \\Recent \\Deleted $Forwarded $MDNSent work to_do)");
    }

    #[test]
    fn bad_flags_are_refused() {
        for bad in ["(\\Foo)", "(a", "a)", "()x", "(a  b)", "(\\)", "(\"a\")"] {
            let mut c = Cursor::new(bad.as_bytes());
            assert!(flag_list(&mut c).and_then(|_| c.end()).is_err(), "{bad}");
        }
        assert_eq!(store_flags(&mut Cursor::new(b"\\Seen x")).unwrap().keywords, ["x"]);
        assert!(store_flags(&mut Cursor::new(b"")).is_err());
    }
}

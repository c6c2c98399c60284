//! Arguments of the ACL (RFC 4314) and METADATA (RFC 5464) commands.

use super::command::{GetMetadata, Request, SetMetadata};
use super::cursor::{Cursor, Fault, Parse};
use zcluster_api::sharing::{ANNOTATION_NAME_BYTES_MAX, Annotation, Depth, RightsChange};

/// Annotations named in one command.
const ENTRIES_MAX: usize = 100;

/// `setacl = "SETACL" SP mailbox SP identifier SP mod-rights` (RFC 4314 §7).
pub(super) fn set_acl(c: &mut Cursor<'_>) -> Parse<Request> {
    let mailbox = c.mailbox()?;
    c.sp()?;
    let identifier = c.astring_text()?;
    c.sp()?;
    let text = c.astring_text()?;
    let parse = |letters: &str| letters.parse().map_err(|()| Fault::Bad("no such right"));
    let change = match text.as_bytes().first() {
        Some(b'+') => RightsChange::Add(parse(&text[1..])?),
        Some(b'-') => RightsChange::Remove(parse(&text[1..])?),
        _ => RightsChange::Replace(parse(&text)?),
    };
    Ok(Request::SetAcl { mailbox, identifier, change })
}

/// `deleteacl = "DELETEACL" SP mailbox SP identifier` (RFC 4314 §7).
pub(super) fn delete_acl(c: &mut Cursor<'_>) -> Parse<Request> {
    let mailbox = c.mailbox()?;
    c.sp()?;
    Ok(Request::DeleteAcl { mailbox, identifier: c.astring_text()? })
}

/// `listrights = "LISTRIGHTS" SP mailbox SP identifier` (RFC 4314 §7).
pub(super) fn list_rights(c: &mut Cursor<'_>) -> Parse<Request> {
    let mailbox = c.mailbox()?;
    c.sp()?;
    Ok(Request::ListRights { mailbox, identifier: c.astring_text()? })
}

/// An entry's name in lower case (RFC 5464 §3.2: it compares without case). `part`: `/private` and `/shared` alone will
/// do, to name what is below them.
pub(super) fn entry(c: &mut Cursor<'_>, part: bool) -> Parse<String> {
    let name = c.astring_text()?.to_ascii_lowercase();
    let rest = name.strip_prefix("/private").or_else(|| name.strip_prefix("/shared"));
    let rest = rest.ok_or(Fault::Bad("an entry begins with /private/ or /shared/"))?;
    let plain = rest.bytes().all(|b| (b' '..=b'~').contains(&b) && !matches!(b, b'*' | b'%'));
    let formed = rest.is_empty() && part || rest.len() > 1 && rest.starts_with('/');
    if !formed || !plain || rest.ends_with('/') || rest.contains("//") || name.len() > ANNOTATION_NAME_BYTES_MAX {
        return Err(Fault::Bad("the name of an entry is malformed"));
    }
    Ok(name)
}

/// `entries = entry / "(" entry *(SP entry) ")"` (RFC 5464 §5).
pub(super) fn entries(c: &mut Cursor<'_>) -> Parse<Vec<String>> {
    let list = if c.peek() == Some(b'(') { c.list(|c| entry(c, true))? } else { vec![entry(c, true)?] };
    if list.is_empty() || list.len() > ENTRIES_MAX {
        return Err(Fault::Bad("between 1 and 100 entries can be asked for"));
    }
    Ok(list)
}

/// `getmetadata = "GETMETADATA" [SP getmetadata-options] SP mailbox SP entries` (RFC 5464 §5). The examples of the RFC
/// have the options behind the mailbox, and so have clients.
pub(super) fn get_metadata(c: &mut Cursor<'_>) -> Parse<Request> {
    let mut get = GetMetadata { mailbox: String::new(), entries: Vec::new(), depth: Depth::Zero, max_size: None };
    let mut before = false;
    if c.peek() == Some(b'(') {
        options(c, &mut get)?;
        before = true;
        c.sp()?;
    }
    get.mailbox = c.mailbox()?;
    c.sp()?;
    // A list is of options if its first word has no slash.
    let mut ahead = c.clone();
    if !before && ahead.eat(b'(') && !matches!(ahead.peek(), Some(b'/' | b'"' | b'{')) {
        options(c, &mut get)?;
        c.sp()?;
    }
    get.entries = entries(c)?;
    Ok(Request::GetMetadata(Box::new(get)))
}

fn options(c: &mut Cursor<'_>, get: &mut GetMetadata) -> Parse<()> {
    c.list(|c| {
        if c.eat_word("MAXSIZE") {
            c.sp()?;
            get.max_size = Some(c.number64()?);
        } else if c.eat_word("DEPTH") {
            c.sp()?;
            get.depth = match c.atom()?.to_ascii_lowercase().as_str() {
                "0" => Depth::Zero,
                "1" => Depth::One,
                "infinity" => Depth::Infinity,
                _ => return Err(Fault::Bad("no such depth")),
            };
        } else {
            return Err(Fault::Bad("no such GETMETADATA option"));
        }
        Ok(())
    })?;
    Ok(())
}

/// `setmetadata = "SETMETADATA" SP mailbox SP "(" entry SP value *(SP entry SP value) ")"` (RFC 5464 §5).
pub(super) fn set_metadata(c: &mut Cursor<'_>) -> Parse<Request> {
    let mailbox = c.mailbox()?;
    c.sp()?;
    let entries = c.list(|c| {
        let name = entry(c, false)?;
        c.sp()?;
        let value = c.value()?.map(|v| v.into_owned().into());
        Ok(Annotation { name, value })
    })?;
    if entries.is_empty() || entries.len() > ENTRIES_MAX {
        return Err(Fault::Bad("between 1 and 100 entries can be set"));
    }
    Ok(Request::SetMetadata(Box::new(SetMetadata { mailbox, entries })))
}

#[cfg(test)]
mod tests {
    use super::super::parse::command;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn garbage_never_panics(
            verb in "(SETACL|DELETEACL|GETACL|LISTRIGHTS|MYRIGHTS|GETMETADATA|SETMETADATA)",
            rest in "( ?(INBOX|x|\\(|\\)|/shared/x|/private|NIL|\"y\"|~?\\{[0-9]{1,2}\\+?\\}(\r\n)?|MAXSIZE|DEPTH|[+-]lr|é|\\*)){0,9}",
        ) {
            let _ = parsed(&format!("{verb}{rest}"));
        }
    }

    fn parsed(line: &str) -> Parse<Request> {
        command(format!("t {line}").as_bytes(), false).map(|c| c.request)
    }

    #[test]
    fn options_stand_before_or_behind_the_mailbox() {
        let get = |depth, max_size, entries: &[&str]| {
            let entries = entries.iter().map(|e| (*e).into()).collect();
            Ok(Request::GetMetadata(Box::new(GetMetadata { mailbox: "INBOX".into(), entries, depth, max_size })))
        };
        assert_eq!(parsed("GETMETADATA INBOX /Shared/Comment"), get(Depth::Zero, None, &["/shared/comment"]));
        let both = &["/shared", "/private/x"];
        let want = get(Depth::Infinity, Some(9), both);
        assert_eq!(parsed("GETMETADATA (MAXSIZE 9 DEPTH infinity) INBOX (/shared /private/x)"), want);
        assert_eq!(parsed("GETMETADATA INBOX (MAXSIZE 9 DEPTH infinity) (/shared /private/x)"), want);
        assert_eq!(parsed("GETMETADATA INBOX (\"/shared/a b\")"), get(Depth::Zero, None, &["/shared/a b"]));
        for bad in ["GETMETADATA INBOX ()", "GETMETADATA INBOX /x/y", "GETMETADATA (DEPTH 2) INBOX /shared/x"] {
            assert!(matches!(parsed(bad), Err(Fault::Bad(_))), "{bad}");
        }
    }

    #[test]
    fn values_are_strings_of_any_kind() {
        let set =
            parsed("SETMETADATA \"\" (/private/a NIL /private/b \"x\" /private/c {2}\r\nyz /private/d ~{2}\r\n\0z)");
        let Ok(Request::SetMetadata(set)) = set else { panic!("{set:?}") };
        let values: Vec<Option<&[u8]>> = set.entries.iter().map(|e| e.value.as_deref()).collect();
        assert_eq!(values, [None, Some(&b"x"[..]), Some(b"yz"), Some(b"\0z")]);
        assert!(
            matches!(parsed("SETMETADATA INBOX (/shared/a ~{2}"), Err(Fault::Literal(l)) if l.binary && l.size == 2)
        );
        for bad in ["(/shared NIL)", "(/shared/ NIL)", "(/shared//x NIL)", "(/shared/x% NIL)", "()", "(/shared/x)"] {
            assert!(matches!(parsed(&format!("SETMETADATA INBOX {bad}")), Err(Fault::Bad(_))), "{bad}");
        }
    }

    #[test]
    fn rights_are_added_taken_and_replaced() {
        let set = |rights: &str| match parsed(&format!("SETACL INBOX -fred {rights}")) {
            Ok(Request::SetAcl { change, identifier, .. }) if identifier == "-fred" => change,
            other => panic!("{other:?}"),
        };
        assert_eq!(set("lr"), RightsChange::Replace("lr".parse().unwrap()));
        assert_eq!(set("+c"), RightsChange::Add("kx".parse().unwrap()));
        assert_eq!(set("-d"), RightsChange::Remove("te".parse().unwrap()));
        assert_eq!(set("\"\""), RightsChange::Replace(Default::default()));
        assert_eq!(parsed("SETACL INBOX fred lR"), Err(Fault::Bad("no such right")));
        assert_eq!(parsed("SETACL INBOX fred \"\u{fc}\""), Err(Fault::Bad("no such right")));
    }
}

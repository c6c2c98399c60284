//! Arguments of LIST, LSUB, STATUS and CREATE.

use super::command::{List, ListReturn, ListSelect, Request, StatusItems};
use super::cursor::{Cursor, Fault, Parse};
use super::parse_sharing::entries;
use zcluster_api::mailbox::SpecialUse;

/// `list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]` (RFC 5258 §6).
pub(super) fn list(c: &mut Cursor<'_>) -> Parse<Request> {
    let mut list = List {
        reference: String::new(),
        patterns: Vec::new(),
        extended: false,
        select: ListSelect::default(),
        ret: ListReturn::default(),
        status: StatusItems::default(),
        metadata: Vec::new(),
    };
    if c.peek() == Some(b'(') {
        list.extended = true;
        c.list(|c| select_option(c, &mut list.select))?;
        c.sp()?;
    }
    list.reference = c.mailbox()?;
    c.sp()?;
    if c.peek() == Some(b'(') {
        list.extended = true;
        list.patterns = c.list(Cursor::list_mailbox)?;
    } else {
        list.patterns.push(c.list_mailbox()?);
    }
    if c.eat(b' ') {
        if !c.eat_word("RETURN") {
            return Err(Fault::Bad("RETURN was expected"));
        }
        c.sp()?;
        list.extended = true;
        c.list(|c| return_option(c, &mut list))?;
    }
    checked(list)
}

/// RECURSIVEMATCH changes what another option selects and cannot stand alone (RFC 5258 §3.1).
fn checked(list: List) -> Parse<Request> {
    let alone = !list.select.any(ListSelect::SUBSCRIBED.with(ListSelect::SPECIAL_USE));
    if list.select.has(ListSelect::RECURSIVEMATCH) && alone {
        return Err(Fault::Bad("RECURSIVEMATCH needs another selection option"));
    }
    Ok(Request::List(Box::new(list)))
}

fn select_option(c: &mut Cursor<'_>, into: &mut ListSelect) -> Parse<()> {
    into.add(match c.atom()?.to_ascii_uppercase().as_str() {
        "SUBSCRIBED" => ListSelect::SUBSCRIBED,
        "REMOTE" => ListSelect::REMOTE,
        "RECURSIVEMATCH" => ListSelect::RECURSIVEMATCH,
        "SPECIAL-USE" => ListSelect::SPECIAL_USE,
        _ => return Err(Fault::Bad("no such LIST selection option")),
    });
    Ok(())
}

fn return_option(c: &mut Cursor<'_>, list: &mut List) -> Parse<()> {
    let option = match c.atom()?.to_ascii_uppercase().as_str() {
        "SUBSCRIBED" => ListReturn::SUBSCRIBED,
        "CHILDREN" => ListReturn::CHILDREN,
        "SPECIAL-USE" => ListReturn::SPECIAL_USE,
        "STATUS" => {
            c.sp()?;
            list.status = status_items(c)?;
            ListReturn::STATUS
        }
        "MYRIGHTS" => ListReturn::MYRIGHTS,
        "METADATA" => {
            c.sp()?;
            list.metadata = entries(c)?;
            ListReturn::METADATA
        }
        _ => return Err(Fault::Bad("no such LIST return option")),
    };
    list.ret.add(option);
    Ok(())
}

/// `lsub = "LSUB" SP mailbox SP list-mailbox` (RFC 3501 §9).
pub(super) fn lsub(c: &mut Cursor<'_>) -> Parse<Request> {
    let reference = c.mailbox()?;
    c.sp()?;
    Ok(Request::Lsub { reference, pattern: c.list_mailbox()? })
}

/// `status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"` (RFC 3501 §9).
pub(super) fn status(c: &mut Cursor<'_>) -> Parse<Request> {
    let mailbox = c.mailbox()?;
    c.sp()?;
    Ok(Request::Status { mailbox, items: status_items(c)? })
}

fn status_items(c: &mut Cursor<'_>) -> Parse<StatusItems> {
    let mut items = StatusItems::default();
    c.list(|c| {
        items.add(match c.atom()?.to_ascii_uppercase().as_str() {
            "MESSAGES" => StatusItems::MESSAGES,
            "RECENT" => StatusItems::RECENT,
            "UIDNEXT" => StatusItems::UIDNEXT,
            "UIDVALIDITY" => StatusItems::UIDVALIDITY,
            "UNSEEN" => StatusItems::UNSEEN,
            "DELETED" => StatusItems::DELETED,
            "SIZE" => StatusItems::SIZE,
            "HIGHESTMODSEQ" => StatusItems::HIGHESTMODSEQ,
            "APPENDLIMIT" => StatusItems::APPENDLIMIT,
            "DELETED-STORAGE" => StatusItems::DELETED_STORAGE,
            "MAILBOXID" => StatusItems::MAILBOXID,
            _ => return Err(Fault::Bad("no such STATUS item")),
        });
        Ok(())
    })?;
    if items.is_empty() { Err(Fault::Bad("STATUS of nothing")) } else { Ok(items) }
}

/// `create = "CREATE" SP mailbox [SP "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")"]` (RFC 6154 §6).
pub(super) fn create(c: &mut Cursor<'_>) -> Parse<Request> {
    let mailbox = c.mailbox()?;
    let mut uses = Vec::new();
    if c.eat(b' ') {
        c.list(|c| {
            if !c.eat_word("USE") {
                return Err(Fault::Bad("no such CREATE parameter"));
            }
            c.sp()?;
            uses = c.list(special_use)?;
            Ok(())
        })?;
    }
    if uses.len() > 1 {
        return Err(Fault::Bad("a mailbox can have one special use only"));
    }
    Ok(Request::Create { mailbox, special_use: uses.pop() })
}

/// `use-attr` (RFC 6154 §6). `\All` and `\Flagged` would be views of other mailboxes, which there are none of.
fn special_use(c: &mut Cursor<'_>) -> Parse<SpecialUse> {
    c.expect(b'\\', "a special use begins with a backslash")?;
    match c.atom()?.to_ascii_lowercase().as_str() {
        "archive" => Ok(SpecialUse::Archive),
        "drafts" => Ok(SpecialUse::Drafts),
        "junk" => Ok(SpecialUse::Junk),
        "sent" => Ok(SpecialUse::Sent),
        "trash" => Ok(SpecialUse::Trash),
        _ => Err(Fault::Name("[USEATTR] no mailbox can have this special use")),
    }
}

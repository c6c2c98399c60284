//! Stage two of reading: from a whole command to its type.

use super::command::{Command, Request};
use super::cursor::{Cursor, Fault, Parse};
use super::parse_append::{append, compress, gen_url_auth, replace, reset_key, set_quota, url_fetch};
use super::parse_fetch::fetch;
use super::parse_list::{create, list, lsub, status};
use super::parse_notify::notify;
use super::parse_search::{multi_search, search};
use super::parse_select::select;
use super::parse_sharing;
use super::parse_sort::{cancel_update, sort, thread};
use super::parse_store::store;
use super::sequence::SequenceSet;

/// The tag of a command, if it has one to answer to.
pub fn tag(buf: &[u8]) -> Option<&str> {
    let mut c = Cursor::new(buf);
    let tag = c.tag().ok()?;
    (c.at_end() || c.peek() == Some(b' ')).then_some(tag)
}

/// `command = tag SP (command-any / command-auth / command-nonauth / command-select)` (RFC 3501 §9). `buf` is the
/// command without its last CRLF, as far as it has been read; `utf8`: the client enabled UTF8=ACCEPT.
///
/// # Errors
/// [`Fault`]; `Literal` when all is well but a literal's bytes are still to be read.
pub fn command(buf: &[u8], utf8: bool) -> Parse<Command> {
    command_in(buf, utf8, false)
}

/// The same; `rev2`: the client enabled IMAP4rev2, whose SEARCH takes CHARSET though names are UTF-8 (RFC 9051 §6.4.4).
///
/// # Errors
/// As [`command`].
pub fn command_in(buf: &[u8], utf8: bool, rev2: bool) -> Parse<Command> {
    let mut c = Cursor::new(buf);
    (c.utf8, c.rev2) = (utf8, rev2);
    let tag = c.tag()?.to_string();
    c.sp()?;
    let verb = c.atom()?.to_ascii_uppercase();
    let request = if verb == "UID" {
        c.sp()?;
        let verb = c.atom()?.to_ascii_uppercase();
        uid_request(&verb, &mut c)?
    } else {
        request(&verb, &mut c)?
    };
    c.end()?;
    Ok(Command { tag, request })
}

fn request(verb: &str, c: &mut Cursor<'_>) -> Parse<Request> {
    Ok(match verb {
        "CAPABILITY" => Request::Capability,
        "NOOP" => Request::Noop,
        "LOGOUT" => Request::Logout,
        "STARTTLS" => Request::StartTls,
        "NAMESPACE" => Request::Namespace,
        "UNSELECT" => Request::Unselect,
        "CLOSE" => Request::Close,
        "CHECK" => Request::Check,
        "EXPUNGE" => Request::Expunge(None),
        "IDLE" => Request::Idle,
        "RESETKEY" => return reset_key(c),
        "FETCH" | "STORE" | "COPY" | "MOVE" | "SEARCH" | "SORT" | "THREAD" => return message_request(verb, false, c),
        _ => {
            let known = argument_request(verb);
            let parse = known.ok_or(Fault::Bad("no such command"))?;
            c.sp()?;
            return parse(c);
        }
    })
}

type Arguments = fn(&mut Cursor<'_>) -> Parse<Request>;

fn argument_request(verb: &str) -> Option<Arguments> {
    Some(match verb {
        "ID" => id,
        "AUTHENTICATE" => authenticate,
        "LOGIN" => login,
        "ENABLE" => enable,
        "LIST" => list,
        "LSUB" => lsub,
        "STATUS" => status,
        "SELECT" => |c| select(c, false),
        "EXAMINE" => |c| select(c, true),
        "CREATE" => create,
        "DELETE" => |c| c.mailbox().map(Request::Delete),
        "RENAME" => rename,
        "SUBSCRIBE" => |c| c.mailbox().map(Request::Subscribe),
        "UNSUBSCRIBE" => |c| c.mailbox().map(Request::Unsubscribe),
        "APPEND" => append,
        "REPLACE" => |c| replace(c, false),
        "COMPRESS" => compress,
        "GENURLAUTH" => gen_url_auth,
        "URLFETCH" => url_fetch,
        "SETQUOTA" => set_quota,
        "NOTIFY" => notify,
        "ESEARCH" => multi_search,
        "CANCELUPDATE" => cancel_update,
        "GETQUOTA" => |c| c.astring_text().map(Request::GetQuota),
        "SETACL" => parse_sharing::set_acl,
        "DELETEACL" => parse_sharing::delete_acl,
        "GETACL" => |c| c.mailbox().map(Request::GetAcl),
        "LISTRIGHTS" => parse_sharing::list_rights,
        "MYRIGHTS" => |c| c.mailbox().map(Request::MyRights),
        "GETMETADATA" => parse_sharing::get_metadata,
        "SETMETADATA" => parse_sharing::set_metadata,
        "GETQUOTAROOT" => |c| c.mailbox().map(Request::GetQuotaRoot),
        _ => return None,
    })
}

/// `uid = "UID" SP (copy / fetch / search / store)`, `"UID" SP "EXPUNGE" SP sequence-set` (RFC 3501 §9, RFC 4315 §4).
fn uid_request(verb: &str, c: &mut Cursor<'_>) -> Parse<Request> {
    match verb {
        "EXPUNGE" => {
            c.sp()?;
            SequenceSet::parse(c).map(|set| Request::Expunge(Some(set)))
        }
        "FETCH" | "STORE" | "COPY" | "MOVE" | "SEARCH" | "SORT" | "THREAD" => message_request(verb, true, c),
        "REPLACE" => {
            c.sp()?;
            replace(c, true)
        }
        _ => Err(Fault::Bad("no such UID command")),
    }
}

fn message_request(verb: &str, uid: bool, c: &mut Cursor<'_>) -> Parse<Request> {
    c.sp()?;
    match verb {
        "FETCH" => fetch(uid, c),
        "STORE" => store(uid, c),
        "SEARCH" => search(uid, c),
        "SORT" => sort(uid, c),
        "THREAD" => thread(uid, c),
        _ => copy(uid, verb == "MOVE", c),
    }
}

/// `copy = "COPY" SP sequence-set SP mailbox` (RFC 3501 §9); MOVE alike (RFC 6851 §5).
fn copy(uid: bool, moving: bool, c: &mut Cursor<'_>) -> Parse<Request> {
    let set = SequenceSet::parse(c)?;
    c.sp()?;
    Ok(Request::Copy { uid, set, mailbox: c.mailbox()?, moving })
}

/// `id = "ID" SP id-params-list`: NIL or at most 30 pairs (RFC 2971 §3.3 and §4).
fn id(c: &mut Cursor<'_>) -> Parse<Request> {
    const PAIRS_MAX: usize = 30;
    if c.eat_word("NIL") {
        return Ok(Request::Id(Vec::new()));
    }
    let pairs = c.list(|c| {
        let name = c.string_text()?;
        c.sp()?;
        let value = c.nstring()?.map(|v| String::from_utf8_lossy(&v).into_owned());
        Ok((name, value))
    })?;
    if pairs.len() > PAIRS_MAX { Err(Fault::Bad("more than 30 fields in ID")) } else { Ok(Request::Id(pairs)) }
}

/// `authenticate = "AUTHENTICATE" SP auth-type [SP (base64 / "=")]` (RFC 3501 §9, RFC 4959 §4).
fn authenticate(c: &mut Cursor<'_>) -> Parse<Request> {
    let mechanism = c.atom()?.to_ascii_uppercase();
    let initial = if c.eat(b' ') { Some(c.atom()?.as_bytes().to_vec()) } else { None };
    Ok(Request::Authenticate { mechanism, initial })
}

/// `login = "LOGIN" SP userid SP password` (RFC 3501 §9).
fn login(c: &mut Cursor<'_>) -> Parse<Request> {
    let user = c.astring_text()?;
    c.sp()?;
    Ok(Request::Login { user, password: c.astring_text()? })
}

/// `enable = "ENABLE" 1*(SP capability)` (RFC 5161 §5).
fn enable(c: &mut Cursor<'_>) -> Parse<Request> {
    let mut names = vec![c.atom()?.to_ascii_uppercase()];
    while c.eat(b' ') {
        names.push(c.atom()?.to_ascii_uppercase());
    }
    Ok(Request::Enable(names))
}

/// `rename = "RENAME" SP mailbox SP mailbox` (RFC 3501 §9).
fn rename(c: &mut Cursor<'_>) -> Parse<Request> {
    let from = c.mailbox()?;
    c.sp()?;
    Ok(Request::Rename { from, to: c.mailbox()? })
}

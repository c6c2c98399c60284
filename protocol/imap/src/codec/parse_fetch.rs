//! FETCH's arguments.

use super::command::{BodyForm, BodyItem, Fetch, FetchItems, Request, SectionText};
use super::cursor::{Cursor, Fault, Parse};
use super::sequence::SequenceSet;

/// Pieces of the body one FETCH may ask for.
const BODIES_MAX: usize = 256;
/// Numbers in a part's path; nothing is nested deeper.
const PATH_MAX: usize = 64;

/// `ALL`, `FAST` and `FULL` (RFC 3501 §6.4.5).
const FAST: FetchItems = FetchItems::FLAGS.with(FetchItems::INTERNALDATE).with(FetchItems::SIZE);
const ALL: FetchItems = FAST.with(FetchItems::ENVELOPE);
const FULL: FetchItems = ALL.with(FetchItems::BODY);

/// `fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")")
/// [fetch-modifiers]` (RFC 3501 §9, RFC 4466 §6).
pub(super) fn fetch(uid: bool, c: &mut Cursor<'_>) -> Parse<Request> {
    let set = SequenceSet::parse(c)?;
    c.sp()?;
    let mut fetch = Fetch {
        uid,
        set,
        items: FetchItems::default(),
        bodies: Vec::new(),
        changed_since: None,
        vanished: false,
        partial: None,
    };
    if c.peek() == Some(b'(') {
        c.list(|c| attribute(c, &mut fetch, false))?;
        if fetch.items.is_empty() && fetch.bodies.is_empty() {
            return Err(Fault::Bad("FETCH of nothing"));
        }
    } else {
        attribute(c, &mut fetch, true)?;
    }
    if c.eat(b' ') {
        c.list(|c| modifier(c, &mut fetch))?;
    }
    if fetch.vanished && (!uid || fetch.changed_since.is_none()) {
        return Err(Fault::Bad("VANISHED needs UID FETCH and CHANGEDSINCE"));
    }
    // CHANGEDSINCE implies MODSEQ (RFC 7162 §3.1.4.1).
    if fetch.changed_since.is_some() {
        fetch.items.add(FetchItems::MODSEQ);
    }
    Ok(Request::Fetch(Box::new(fetch)))
}

/// `"(" fetch-att *(SP fetch-att) ")"`, as NOTIFY has it (RFC 5465 §8).
pub(super) fn attributes(c: &mut Cursor<'_>) -> Parse<Fetch> {
    let set = SequenceSet::Ranges(Vec::new());
    let items = FetchItems::default();
    let mut fetch =
        Fetch { uid: true, set, items, bodies: Vec::new(), changed_since: None, vanished: false, partial: None };
    c.list(|c| attribute(c, &mut fetch, false))?;
    // What comes unasked has not been read.
    fetch.bodies.iter_mut().for_each(|b| b.peek = true);
    if fetch.items.is_empty() && fetch.bodies.is_empty() { Err(Fault::Bad("FETCH of nothing")) } else { Ok(fetch) }
}

/// `fetch-modifier = "CHANGEDSINCE" SP mod-sequence-value / "VANISHED"` (RFC 7162 §7), and `"PARTIAL" SP partial-range`,
/// which UID FETCH alone has (RFC 9394 §3.3).
fn modifier(c: &mut Cursor<'_>, fetch: &mut Fetch) -> Parse<()> {
    if c.eat_word("VANISHED") {
        fetch.vanished = true;
        return Ok(());
    }
    if fetch.uid && c.eat_word("PARTIAL") {
        c.sp()?;
        fetch.partial = Some(super::parse_return::partial_range(c)?);
        return Ok(());
    }
    if !c.eat_word("CHANGEDSINCE") {
        return Err(Fault::Bad("no such FETCH modifier"));
    }
    c.sp()?;
    fetch.changed_since = Some(c.number64()?);
    Ok(())
}

/// `fetch-att`, or a macro when it stands `alone` (RFC 3501 §9).
fn attribute(c: &mut Cursor<'_>, fetch: &mut Fetch, alone: bool) -> Parse<()> {
    let name = c.item_name()?.to_ascii_uppercase();
    let item = match name.as_str() {
        "ALL" if alone => ALL,
        "FAST" if alone => FAST,
        "FULL" if alone => FULL,
        "UID" => FetchItems::UID,
        "FLAGS" => FetchItems::FLAGS,
        "INTERNALDATE" => FetchItems::INTERNALDATE,
        "RFC822.SIZE" => FetchItems::SIZE,
        "ENVELOPE" => FetchItems::ENVELOPE,
        "BODYSTRUCTURE" => FetchItems::BODYSTRUCTURE,
        "BODY" if c.peek() != Some(b'[') => FetchItems::BODY,
        "MODSEQ" => FetchItems::MODSEQ,
        "PREVIEW" => preview(c, alone)?,
        "SAVEDATE" => FetchItems::SAVEDATE,
        "EMAILID" => FetchItems::EMAILID,
        "THREADID" => FetchItems::THREADID,
        _ => {
            let item = body_item(&name, c)?;
            if fetch.bodies.len() == BODIES_MAX {
                return Err(Fault::Bad("too many body sections in one FETCH"));
            }
            if !fetch.bodies.contains(&item) {
                fetch.bodies.push(item);
            }
            return Ok(());
        }
    };
    fetch.items.add(item);
    Ok(())
}

/// `"PREVIEW" [SP "(" "LAZY" ")"]` (RFC 8970 §6): previews are made on arrival, so there is nothing to be lazy about.
/// Alone, a parenthesis behind it could as well hold FETCH modifiers.
fn preview(c: &mut Cursor<'_>, alone: bool) -> Parse<FetchItems> {
    let lazy = c.rest().get(..6).is_some_and(|r| r.eq_ignore_ascii_case(b" (LAZY"));
    if lazy {
        c.sp()?;
        c.list(|c| c.atom().map(|_| ()))?;
    } else if !alone && c.rest().starts_with(b" (") {
        return Err(Fault::Bad("no such PREVIEW modifier"));
    }
    Ok(FetchItems::PREVIEW)
}

fn body_item(name: &str, c: &mut Cursor<'_>) -> Parse<BodyItem> {
    let whole = |form, peek, text| Ok(BodyItem { form, peek, path: Vec::new(), text, partial: None });
    let (form, peek) = match name {
        "RFC822" => return whole(BodyForm::Rfc822, false, SectionText::Whole),
        "RFC822.HEADER" => return whole(BodyForm::Rfc822Header, true, SectionText::Header),
        "RFC822.TEXT" => return whole(BodyForm::Rfc822Text, false, SectionText::Text),
        "BODY" => (BodyForm::Body, false),
        "BODY.PEEK" => (BodyForm::Body, true),
        "BINARY" => (BodyForm::Binary, false),
        "BINARY.PEEK" => (BodyForm::Binary, true),
        "BINARY.SIZE" => (BodyForm::BinarySize, true),
        _ => return Err(Fault::Bad("no such FETCH item")),
    };
    let mut item = BodyItem { form, peek, path: Vec::new(), text: SectionText::Whole, partial: None };
    section(c, &mut item)?;
    if c.peek() == Some(b'<') && form != BodyForm::BinarySize {
        item.partial = Some(partial(c)?);
    }
    Ok(item)
}

/// A section as it stands in a URL (RFC 5092 §11: `enc-section`, decoded), without brackets.
pub(super) fn url_section(text: &str) -> Parse<BodyItem> {
    let mut item =
        BodyItem { form: BodyForm::Body, peek: true, path: Vec::new(), text: SectionText::Whole, partial: None };
    let bracketed = format!("[{text}]");
    let mut c = Cursor::new(bracketed.as_bytes());
    section(&mut c, &mut item)?;
    c.end()?;
    Ok(item)
}

/// `section = "[" [section-spec] "]"`, `section-binary = "[" [section-part] "]"` (RFC 3501 §9, RFC 3516 §7).
fn section(c: &mut Cursor<'_>, item: &mut BodyItem) -> Parse<()> {
    c.expect(b'[', "a section in brackets was expected")?;
    let mut dot = true;
    while dot && matches!(c.peek(), Some(b'0'..=b'9')) {
        item.path.push(c.nz_number()?);
        if item.path.len() > PATH_MAX {
            return Err(Fault::Bad("a part number is too deep"));
        }
        dot = c.eat(b'.');
    }
    let words_follow = dot && c.peek() != Some(b']');
    if words_follow {
        if item.form != BodyForm::Body {
            return Err(Fault::Bad("BINARY takes part numbers only"));
        }
        item.text = section_text(c)?;
    } else if dot && !item.path.is_empty() {
        return Err(Fault::Bad("something was expected behind the part number"));
    }
    if item.text == SectionText::Mime && item.path.is_empty() {
        return Err(Fault::Bad("MIME needs a part number"));
    }
    c.expect(b']', "a section is not closed")
}

/// `section-text = section-msgtext / "MIME"` (RFC 3501 §9).
fn section_text(c: &mut Cursor<'_>) -> Parse<SectionText> {
    match c.item_name()?.to_ascii_uppercase().as_str() {
        "HEADER" => Ok(SectionText::Header),
        "TEXT" => Ok(SectionText::Text),
        "MIME" => Ok(SectionText::Mime),
        "HEADER.FIELDS" => header_list(c).map(SectionText::Fields),
        "HEADER.FIELDS.NOT" => header_list(c).map(SectionText::FieldsNot),
        _ => Err(Fault::Bad("no such section")),
    }
}

/// `header-list = "(" header-fld-name *(SP header-fld-name) ")"` (RFC 3501 §9).
fn header_list(c: &mut Cursor<'_>) -> Parse<Vec<String>> {
    c.sp()?;
    let names = c.list(Cursor::astring_text)?;
    if names.is_empty() { Err(Fault::Bad("no header field is named")) } else { Ok(names) }
}

/// `"<" number "." nz-number ">"` (RFC 3501 §9). A count of zero, which some clients send, yields nothing.
fn partial(c: &mut Cursor<'_>) -> Parse<(u32, u32)> {
    c.expect(b'<', "a partial was expected")?;
    let first = c.number()?;
    c.expect(b'.', "a partial is two numbers with a dot between")?;
    let count = c.number()?;
    c.expect(b'>', "a partial is not closed")?;
    Ok((first, count))
}

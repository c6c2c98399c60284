//! NOTIFY's arguments (RFC 5465 §8).

use super::command::{EventGroup, Events, Fetch, MailboxFilter, Notify, Request};
use super::cursor::{Cursor, Fault, Parse};
use super::parse_fetch::attributes;

/// Groups of one NOTIFY, and mailboxes named in one group.
const GROUPS_MAX: usize = 64;
const NAMES_MAX: usize = 1_000;

/// `notify = "NOTIFY" SP ("SET" [SP "STATUS"] SP event-groups / "NONE")`.
pub(super) fn notify(c: &mut Cursor<'_>) -> Parse<Request> {
    if c.eat_word("NONE") {
        return Ok(Request::Notify(None));
    }
    if !c.eat_word("SET") {
        return Err(Fault::Bad("SET or NONE was expected"));
    }
    c.sp()?;
    let status = c.eat_word("STATUS");
    if status {
        c.sp()?;
    }
    let mut groups = vec![group(c)?];
    while c.eat(b' ') {
        groups.push(group(c)?);
        if groups.len() > GROUPS_MAX {
            return Err(Fault::Bad("too many event groups"));
        }
    }
    let selected = groups.iter().filter(|g| matches!(g.filter, MailboxFilter::Selected(_))).count();
    if selected > 1 {
        return Err(Fault::Bad("the selected mailbox is named twice"));
    }
    Ok(Request::Notify(Some(Box::new(Notify { status, groups }))))
}

/// `event-group = "(" filter-mailboxes SP events ")"`.
fn group(c: &mut Cursor<'_>) -> Parse<EventGroup> {
    c.expect(b'(', "a parenthesis was expected")?;
    let filter = filter(c)?;
    c.sp()?;
    let (mut all, mut fetch) = (Events::default(), None);
    if !c.eat_word("NONE") {
        let events = c.list(|c| event(c, &mut all, &mut fetch))?;
        if events.is_empty() {
            return Err(Fault::Bad("an event was expected"));
        }
    }
    c.expect(b')', "a parenthesis is not closed")?;
    check(&filter, all, fetch.is_some())?;
    Ok(EventGroup { filter, events: all, fetch })
}

fn filter(c: &mut Cursor<'_>) -> Parse<MailboxFilter> {
    if c.eat_word("SELECTED-DELAYED") {
        return Ok(MailboxFilter::Selected(true));
    }
    other_filter(c)
}

/// `esearch-source-opts = "IN" SP "(" source-mbox [SP "(" scope-options ")"] ")"` behind the IN (RFC 7377 §4). There are
/// no scope options.
pub(super) fn sources(c: &mut Cursor<'_>) -> Parse<Vec<MailboxFilter>> {
    let sources = c.list(search_filter)?;
    match sources.len() {
        0 => Err(Fault::Bad("a choice of mailboxes was expected")),
        1..=GROUPS_MAX => Ok(sources),
        _ => Err(Fault::Bad("too many choices of mailboxes")),
    }
}

fn search_filter(c: &mut Cursor<'_>) -> Parse<MailboxFilter> {
    if c.eat_word("SUBTREE-ONE") {
        return names(c).map(MailboxFilter::SubtreeOne);
    }
    other_filter(c)
}

fn other_filter(c: &mut Cursor<'_>) -> Parse<MailboxFilter> {
    Ok(match c.atom()?.to_ascii_uppercase().as_str() {
        "SELECTED" => MailboxFilter::Selected(false),
        "INBOXES" => MailboxFilter::Inboxes,
        "PERSONAL" => MailboxFilter::Personal,
        "SUBSCRIBED" => MailboxFilter::Subscribed,
        "SUBTREE" => MailboxFilter::Subtree(names(c)?),
        "MAILBOXES" => MailboxFilter::Mailboxes(names(c)?),
        _ => return Err(Fault::Bad("no such choice of mailboxes")),
    })
}

/// `one-or-more-mailbox = mailbox / many-mailboxes`.
fn names(c: &mut Cursor<'_>) -> Parse<Vec<String>> {
    c.sp()?;
    if c.peek() != Some(b'(') {
        return Ok(vec![c.mailbox()?]);
    }
    let names = c.list(Cursor::mailbox)?;
    if names.is_empty() || names.len() > NAMES_MAX {
        return Err(Fault::Bad("no mailbox is named, or too many are"));
    }
    Ok(names)
}

fn event(c: &mut Cursor<'_>, all: &mut Events, fetch: &mut Option<Box<Fetch>>) -> Parse<()> {
    all.add(match c.atom()?.to_ascii_uppercase().as_str() {
        "MESSAGENEW" => {
            if c.rest().starts_with(b" (") {
                c.sp()?;
                *fetch = Some(Box::new(attributes(c)?));
            }
            Events::MESSAGE_NEW
        }
        "MESSAGEEXPUNGE" => Events::MESSAGE_EXPUNGE,
        "FLAGCHANGE" => Events::FLAG_CHANGE,
        "MAILBOXNAME" => Events::MAILBOX_NAME,
        "SUBSCRIPTIONCHANGE" => Events::SUBSCRIPTION_CHANGE,
        "MAILBOXMETADATACHANGE" => Events::MAILBOX_METADATA,
        "SERVERMETADATACHANGE" => Events::SERVER_METADATA,
        // A server that does not know an event says so with BADEVENT (RFC 5465 §5).
        _ => Events::UNSUPPORTED,
    });
    Ok(())
}

/// What goes together (RFC 5465 §5, §6): MessageNew and MessageExpunge need each other, FlagChange needs them; the
/// selected mailbox has message events only; only of its new messages more can be told.
fn check(filter: &MailboxFilter, events: Events, fetch: bool) -> Parse<()> {
    let messages = Events::MESSAGE_NEW.with(Events::MESSAGE_EXPUNGE);
    if events.any(messages) && !events.has(messages) {
        return Err(Fault::Bad("MessageNew and MessageExpunge go together"));
    }
    if events.has(Events::FLAG_CHANGE) && !events.has(messages) {
        return Err(Fault::Bad("FlagChange needs MessageNew and MessageExpunge"));
    }
    let selected = matches!(filter, MailboxFilter::Selected(_));
    let others = Events::MAILBOX_NAME.with(Events::SUBSCRIPTION_CHANGE);
    if selected && events.any(others.with(Events::MAILBOX_METADATA).with(Events::SERVER_METADATA)) {
        return Err(Fault::Bad("the selected mailbox has message events only"));
    }
    if fetch && !selected {
        return Err(Fault::Bad("FETCH items can be told of the selected mailbox only"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Parse<Option<Box<Notify>>> {
        let mut c = Cursor::new(text.as_bytes());
        let Request::Notify(n) = notify(&mut c)? else { return Err(Fault::Bad("another request")) };
        c.end().map(|()| n)
    }

    #[test]
    fn examples_of_rfc_5465() {
        assert_eq!(read("NONE"), Ok(None));
        let n =
            read("set status (selected MessageNew (uid body.peek[header.fields (from to subject)]) MessageExpunge)");
        assert!(n.is_err(), "events stand in parentheses");
        let n = read(
            "SET STATUS (selected (MessageNew (uid body.peek[header.fields (from to subject)]) MessageExpunge)) \
             (subtree Lists (MessageNew MessageExpunge)) (mailboxes (a \"b c\") (MailboxName)) (personal NONE)",
        )
        .unwrap()
        .unwrap();
        assert!(n.status && n.groups.len() == 4);
        assert!(n.groups[0].fetch.as_ref().is_some_and(|f| f.bodies.len() == 1));
        assert_eq!(n.groups[2].filter, MailboxFilter::Mailboxes(vec!["a".into(), "b c".into()]));
        assert!(n.groups[3].events.is_empty());
        let unknown = read("SET (personal (AnnotationChange))").unwrap().unwrap();
        assert!(unknown.groups[0].events.has(Events::UNSUPPORTED));
        for bad in [
            "SET",
            "SET ()",
            "SET (selected (MessageNew))",
            "SET (selected (FlagChange))",
            "SET (selected (MailboxName))",
            "SET (personal (MessageNew (uid) MessageExpunge))",
            "SET (selected NONE) (selected-delayed NONE)",
            "SET (mailboxes () NONE)",
            "SET (personal ())",
            "SET (foo NONE)",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}

//! `vacation` (RFC 5230): whom to answer, and with what.

use super::duplicate::hash;
use super::{Run, Runner};
use crate::address::{self, Mailbox};
use crate::mail::Field;
use crate::outcome::{Action, ReplyBody, Vacation};
use crate::program::VacationStmt;

/// Fields that only mailing lists write (RFC 2369, RFC 2919).
const LIST_FIELDS: [&str; 7] =
    ["list-help", "list-subscribe", "list-unsubscribe", "list-post", "list-owner", "list-archive", "list-id"];
/// Where the owner must be named (RFC 5230 §4.5).
const RECIPIENT_FIELDS: [&str; 6] = ["to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc"];
/// Ids in `References:` of a reply: the first and the last ones (RFC 5322 §3.6.4 has no limit, lines have).
const REFERENCES_MAX: usize = 20;

impl Runner<'_> {
    pub(super) fn vacation(&mut self, vacation: &VacationStmt) -> Run<()> {
        self.no_reject_for_vacation()?;
        if std::mem::replace(&mut self.vacation_said, true) {
            return Err("`vacation` was said already: one reply is enough".into());
        }
        let mut own = self.context.own_addresses();
        own.push(self.envelope.to.clone());
        own.extend(self.expand_all(&vacation.addresses)?);
        let own: Vec<Mailbox> = own.iter().filter_map(|a| address::parse(a)).collect();
        self.budget.spend(1 + self.original_fields.len() as u64 / 16)?;
        let Some(sender) = answerable(&self.envelope.from, &own) else { return Ok(()) };
        if machine_made(&self.original_fields) {
            return Ok(());
        }
        let Some(named) = self.named(&own)? else { return Ok(()) };

        let subject = vacation.subject.as_ref().map(|s| self.expand(s)).transpose()?;
        let from = vacation.from.as_ref().map(|f| self.expand(f)).transpose()?;
        let reason = self.expand(&vacation.reason)?;
        let handle = vacation.handle.as_ref().map(|h| self.expand(h)).transpose()?;
        // RFC 5230 §4.7: without a handle, what is said makes the reply.
        let handle = match &handle {
            Some(handle) => hash(&["sieve vacation handle", handle]),
            None => {
                let text = |t: &Option<String>| t.clone().unwrap_or_default();
                let mime = if vacation.mime { "mime" } else { "text" };
                hash(&["sieve vacation", &text(&subject), &text(&from), mime, &reason])
            }
        };
        let from = match from {
            Some(from) => {
                let shown = crate::diagnostic::shown(&from);
                let parsed = address::parse(&from).ok_or_else(|| format!("\"{shown}\" is no valid mail address"))?;
                display(parsed.name.as_deref(), &parsed)
            }
            None => display(self.context.own_name().as_deref(), &named),
        };
        let original = first(&self.original_fields, "subject").map(Field::text).filter(|s| !s.is_empty());
        let subject = subject.or(original.map(|s| format!("Auto: {s}"))).unwrap_or_else(|| "Automated reply".into());
        let in_reply_to = first(&self.original_fields, "message-id").and_then(|f| ids(&f.text()).into_iter().next());
        let references = first(&self.original_fields, "references").or(first(&self.original_fields, "in-reply-to"));
        let mut references = references.map_or_else(Vec::new, |f| ids(&f.text()));
        if let Some(id) = &in_reply_to {
            references.retain(|r| r != id);
            references.push(id.clone());
        }
        if references.len() > REFERENCES_MAX {
            references.drain(1..=references.len() - REFERENCES_MAX);
        }
        let body = if vacation.mime { ReplyBody::Mime(reason) } else { ReplyBody::Text(reason) };
        let fcc = self.fcc(vacation.fcc.as_ref())?;
        let interval_seconds = vacation.seconds;
        let subject = crate::notify_uri::one_line(&subject);
        let to = sender.addr_spec();
        let reply = Vacation { to, from, handle, interval_seconds, subject, body, in_reply_to, references, fcc };
        self.act(Action::Vacation(reply))
    }

    /// The owner's address that the message names; `None` if it names none.
    fn named(&mut self, own: &[Mailbox]) -> Run<Option<Mailbox>> {
        for field in self.original_fields.iter().filter(|f| RECIPIENT_FIELDS.contains(&f.name.as_str())) {
            self.budget.spend_bytes(field.raw.len())?;
            let found = address::of_field(field.value()).into_iter().find(|a| own.iter().any(|o| same(a, o)));
            if let Some(found) = found {
                return Ok(Some(Mailbox { name: None, ..found }));
            }
        }
        Ok(None)
    }
}

fn first<'f>(fields: &'f [Field], name: &str) -> Option<&'f Field> {
    fields.iter().find(|f| f.name == name)
}

/// Whether two addresses mean the same mailbox: case and detail aside.
fn same(a: &Mailbox, b: &Mailbox) -> bool {
    let user = |m: &Mailbox| m.local.split('+').next().unwrap_or_default().to_lowercase();
    a.domain.eq_ignore_ascii_case(&b.domain) && (a.local.eq_ignore_ascii_case(&b.local) || user(a) == user(b))
}

/// The sender, unless it is nobody, a machine or the owner (RFC 5230 §4.6, RFC 3834 §2).
fn answerable(sender: &str, own: &[Mailbox]) -> Option<Mailbox> {
    const MACHINES: [&str; 12] = [
        "mailer-daemon",
        "listserv",
        "majordomo",
        "postmaster",
        "noreply",
        "no-reply",
        "donotreply",
        "do-not-reply",
        "bounce",
        "bounces",
        "root",
        "daemon",
    ];
    let sender = address::parse(sender)?;
    let local = sender.local.to_ascii_lowercase();
    let list = local.starts_with("owner-") || local.ends_with("-request") || local.ends_with("-owner");
    let bounce = local.starts_with("bounce-") || local.ends_with("-bounce") || local.ends_with("-bounces");
    let machine = list || bounce || MACHINES.contains(&local.as_str());
    (!machine && !own.iter().any(|o| same(o, &sender))).then_some(sender)
}

/// Whether the header says that no person is waiting for an answer.
fn machine_made(fields: &[Field]) -> bool {
    fields.iter().any(|field| {
        let value = || field.text().to_ascii_lowercase();
        match field.name.as_str() {
            "auto-submitted" => value().split(';').next().unwrap_or_default().trim() != "no",
            "precedence" => ["bulk", "list", "junk"].contains(&value().as_str()),
            "x-auto-response-suppress" => value().split(',').any(|v| ["all", "oof"].contains(&v.trim())),
            "return-path" => value() == "<>",
            "content-type" => value().starts_with("multipart/report"),
            name => LIST_FIELDS.contains(&name),
        }
    })
}

/// A name and an address; not encoded.
fn display(name: Option<&str>, mailbox: &Mailbox) -> String {
    let clean = |n: &str| n.chars().filter(|c| !c.is_control() && !"<>\"\\".contains(*c)).collect::<String>();
    match name.map(clean).filter(|n| !n.trim().is_empty()) {
        Some(name) => format!("\"{}\" <{}>", name.trim(), mailbox.addr_spec()),
        None => mailbox.addr_spec(),
    }
}

/// `<...>` message ids.
fn ids(value: &str) -> Vec<String> {
    let fits = |id: &&str| (3..=500).contains(&id.len()) && id.chars().all(|c| c.is_ascii_graphic());
    let mut out = Vec::new();
    let mut rest = value;
    while let Some(start) = rest.find('<') {
        let from = rest.get(start..).unwrap_or_default();
        let Some(end) = from.find('>') else { break };
        let (id, after) = from.split_at(end + 1);
        out.extend(Some(id).filter(fits).map(str::to_string));
        rest = after;
    }
    out
}

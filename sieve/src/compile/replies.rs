//! `vacation` (RFC 5230, 6131), `notify` (RFC 5435) and the `notify` and `denotify` of draft-martin-sieve-notify.

use super::reader::{Reader, flag, once};
use super::tags::{FccTags, MatchTags};
use super::{Compiler, Result1, bad};
use crate::diagnostic::shown;
use crate::extension::Ext;
use crate::notify_uri::MailTo;
use crate::program::{NotifyStmt, StmtKind, VacationStmt};
use crate::text::Text;

const DAY: u64 = 86_400;

/// The old draft's levels, as numbers of RFC 5435.
fn level(tag: &str) -> Option<u8> {
    match tag {
        "high" => Some(1),
        "normal" => Some(2),
        "low" => Some(3),
        _ => None,
    }
}

impl Compiler<'_> {
    pub(super) fn vacation(&mut self, r: &mut Reader<'_>) -> Result1<StmtKind> {
        let mut fcc = FccTags::default();
        let (mut seconds, mut subject, mut from, mut addresses, mut mime, mut handle) =
            (None, None, None, None, false, None);
        let limits = *self.limits;
        while let Some((pos, tag)) = r.tag() {
            match tag {
                "days" => {
                    let (_, days) = r.number("a number of days")?;
                    // RFC 5230 §4.1: at least one day.
                    once(&mut seconds, days.max(1).saturating_mul(DAY), pos, tag)?;
                }
                "seconds" => {
                    self.need(Ext::VacationSeconds, pos, ":seconds")?;
                    once(&mut seconds, r.number("a number of seconds")?.1, pos, tag)?;
                }
                "subject" => once(&mut subject, r.text(self, "a subject")?, pos, tag)?,
                "from" => once(&mut from, self.address(r)?, pos, tag)?,
                "addresses" => once(&mut addresses, r.texts(self, "addresses")?, pos, tag)?,
                "mime" => flag(&mut mime, pos, tag)?,
                "handle" => once(&mut handle, r.text(self, "a handle")?, pos, tag)?,
                _ if fcc.take(self, r, pos, tag)? => {}
                _ => return r.unknown_tag(pos, tag),
            }
        }
        self.needs.owner = true;
        let seconds = seconds.unwrap_or(limits.vacation_seconds_default);
        let max = limits.vacation_seconds_max;
        Ok(StmtKind::Vacation(Box::new(VacationStmt {
            seconds: seconds.clamp(limits.vacation_seconds_min.min(max), max),
            subject,
            from,
            addresses: addresses.unwrap_or_default(),
            mime,
            handle,
            reason: r.text(self, "a reason")?,
            fcc: fcc.done()?,
        })))
    }

    pub(super) fn notify(&mut self, r: &mut Reader<'_>) -> Result1<StmtKind> {
        let mut fcc = FccTags::default();
        let (mut from, mut importance, mut options, mut message) = (None, None, None, None);
        while let Some((pos, tag)) = r.tag() {
            match tag {
                "from" => once(&mut from, self.address(r)?, pos, tag)?,
                "importance" => {
                    let (at, text) = r.string("\"1\", \"2\" or \"3\"")?;
                    let text = self.text(at, text)?;
                    if text.constant().is_some_and(|t| !matches!(t, "1" | "2" | "3")) {
                        return bad(at, "the importance is \"1\", \"2\" or \"3\"");
                    }
                    once(&mut importance, text, pos, tag)?;
                }
                "options" => once(&mut options, r.texts(self, "options")?, pos, tag)?,
                "message" => once(&mut message, r.text(self, "a message")?, pos, tag)?,
                _ if fcc.take(self, r, pos, tag)? => {}
                _ => return r.unknown_tag(pos, tag),
            }
        }
        let (pos, method) = r.string("a method such as \"mailto:someone@example.org\"")?;
        let method = self.text(pos, method)?;
        if let Some(Err(e)) = method.constant().map(MailTo::parse) {
            return bad(pos, e);
        }
        self.needs.owner = true;
        Ok(StmtKind::Notify(Box::new(NotifyStmt {
            legacy: false,
            from,
            importance: importance.unwrap_or_else(|| Text::literal("2")),
            options: options.unwrap_or_default(),
            message,
            method,
            id: None,
            fcc: fcc.done()?,
        })))
    }

    pub(super) fn old_notify(&mut self, r: &mut Reader<'_>) -> Result1<StmtKind> {
        let (mut method, mut id, mut importance, mut message, mut options) = (None, None, None, None, None);
        while let Some((pos, tag)) = r.tag() {
            match tag {
                "method" => {
                    let (at, text) = r.string("a method")?;
                    let text = self.text(at, text)?;
                    let known = |t: &str| t.eq_ignore_ascii_case("mailto") || MailTo::parse(t).is_ok();
                    if let Some(t) = text.constant().filter(|t| !known(t)) {
                        return bad(at, format!("the method \"{}\" is not supported: \"mailto\" is", shown(t)));
                    }
                    once(&mut method, text, pos, tag)?;
                }
                "id" => once(&mut id, r.text(self, "an id")?, pos, tag)?,
                "message" => once(&mut message, r.text(self, "a message")?, pos, tag)?,
                "options" => once(&mut options, r.texts(self, "options")?, pos, tag)?,
                _ => match level(tag) {
                    Some(level) => once(&mut importance, level, pos, tag)?,
                    None => return r.unknown_tag(pos, tag),
                },
            }
        }
        self.needs.owner = true;
        Ok(StmtKind::Notify(Box::new(NotifyStmt {
            legacy: true,
            from: None,
            importance: Text::literal(&importance.unwrap_or(2).to_string()),
            options: options.unwrap_or_default(),
            message,
            method: method.unwrap_or_else(|| Text::literal("mailto")),
            id,
            fcc: None,
        })))
    }

    pub(super) fn denotify(&mut self, r: &mut Reader<'_>) -> Result1<StmtKind> {
        let mut importance = None;
        let mut id = None;
        while let Some((pos, tag)) = r.tag() {
            if let Some(level) = level(tag) {
                once(&mut importance, level, pos, tag)?;
                continue;
            }
            let mut tags = MatchTags::default();
            if !tags.take(self, r, pos, tag)? {
                return r.unknown_tag(pos, tag);
            }
            // The string stands right after the match type.
            let (at, key) = r.string("an id")?;
            let key = self.text(at, key)?;
            let matching = tags.done(self, pos, &[(at, key.clone())])?;
            once(&mut id, (matching, key), pos, tag)?;
        }
        Ok(StmtKind::Denotify { id, importance })
    }
}

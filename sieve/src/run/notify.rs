//! `notify` (RFC 5435, 5436), and the old draft's `notify` and `denotify`.

use super::{Run, Runner};
use crate::address;
use crate::diagnostic::shown;
use crate::matching::Match;
use crate::notify_uri::{MailTo, one_line};
use crate::outcome::{Action, Failure, Notification};
use crate::program::NotifyStmt;
use crate::text::Text;

/// Characters of the text that the old `notify`'s `$text$` shows when it does not say how many.
const TEXT_CHARS: usize = 100;
/// The same, at most.
const TEXT_CHARS_MAX: usize = 2_000;
/// Characters of a subject made from `:message`.
const SUBJECT_CHARS_MAX: usize = 500;

impl Runner<'_> {
    pub(super) fn notify(&mut self, notify: &NotifyStmt) -> Run<()> {
        let method = self.expand(&notify.method)?;
        let options = self.expand_all(&notify.options)?;
        let importance = self.expand(&notify.importance)?;
        let importance = match importance.as_str() {
            "1" => 1,
            "2" => 2,
            "3" => 3,
            _ => return Err("the importance of a notification is \"1\", \"2\" or \"3\"".into()),
        };
        let mail_to = self.recipients(notify.legacy, &method, &options)?;
        let Some(mail_to) = mail_to else { return Ok(()) };
        let message = notify.message.as_ref().map(|m| self.expand(m)).transpose()?;
        let owner = self.envelope.to.clone();
        let from = match &notify.from {
            Some(from) => {
                let text = self.expand(from)?;
                super::parts::from_field(&text)?;
                text
            }
            None => owner.clone(),
        };
        let (subject, body) = if notify.legacy {
            let text = message.unwrap_or_else(|| "$from$: $subject$".into());
            ("[SIEVE] New mail".to_string(), self.old_message(&text))
        } else {
            let subject = message.or(mail_to.subject).unwrap_or_else(|| self.field("subject"));
            let (sender, about) = (self.field("from"), self.field("subject"));
            (subject, mail_to.body.unwrap_or_else(|| format!("From: {sender}\nSubject: {about}\n")))
        };
        let fcc = self.fcc(notify.fcc.as_ref())?;
        let id = notify.id.as_ref().map(|i| self.expand(i)).transpose()?;
        // RFC 5436 §2.7: a machine's message tells nobody anything new, and may be our own.
        let automatic = self.original_fields.iter().filter(|f| f.name == "auto-submitted").map(|f| f.text());
        let mut automatic = automatic.map(|v| v.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        if automatic.any(|v| v != "no") {
            return Ok(());
        }
        let MailTo { to, cc, bcc, headers, .. } = mail_to;
        let subject: String = one_line(&subject).chars().take(SUBJECT_CHARS_MAX).collect();
        let one = Notification { method, to, cc, bcc, from, importance, subject, body, headers, owner, id, fcc };
        let notifications = self.actions.iter().filter(|a| matches!(a, Action::Notify(_))).count();
        if self.actions.iter().any(|a| matches!(a, Action::Notify(n) if *n == one)) {
            return Ok(());
        }
        if notifications >= self.limits.notifications {
            return Err(format!("the script sends more than {} notifications", self.limits.notifications).into());
        }
        self.act(Action::Notify(one))
    }

    /// Whom to tell; `None`: nobody.
    fn recipients(&mut self, legacy: bool, method: &str, options: &[String]) -> Run<Option<MailTo>> {
        if !legacy || method.contains(':') {
            return MailTo::parse(method).map(Some).map_err(Failure::Error);
        }
        if !method.eq_ignore_ascii_case("mailto") {
            return Err(format!("the method \"{}\" is not supported", shown(method)).into());
        }
        let mut out = MailTo::default();
        for option in options {
            let Some(mailbox) = address::parse(option) else {
                return Err(format!("\"{}\" is no valid mail address", shown(option)).into());
            };
            out.to.push(mailbox.addr_spec());
        }
        Ok((!out.to.is_empty()).then_some(out))
    }

    /// A field of the message as it came.
    fn field(&self, name: &str) -> String {
        self.original_fields.iter().find(|f| f.name == name).map_or_else(String::new, |f| f.text())
    }

    /// The old draft's words between dollar signs.
    fn old_message(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(start) = rest.find('$') {
            let (before, from) = rest.split_at(start);
            out.push_str(before);
            let inside = from.get(1..).unwrap_or_default();
            let word = inside.find('$').map(|end| (&inside[..end], &inside[end + 1..]));
            let value = word.and_then(|(word, _)| match word {
                "from" => Some(self.field("from")),
                "env-from" => Some(self.envelope.from.clone()),
                "subject" => Some(self.field("subject")),
                "text" => Some(self.first_text(TEXT_CHARS)),
                _ => {
                    let number = word.strip_prefix("text[").and_then(|w| w.strip_suffix(']'));
                    number.and_then(|n| n.parse().ok()).map(|n: usize| self.first_text(n.min(TEXT_CHARS_MAX)))
                }
            });
            match (value, word) {
                (Some(value), Some((_, after))) => {
                    out.push_str(&value);
                    rest = after;
                }
                _ => {
                    out.push('$');
                    rest = inside;
                }
            }
            if out.len() > self.limits.variable_bytes {
                break;
            }
        }
        out.push_str(rest);
        super::variables::cut(out, self.limits.variable_bytes)
    }

    /// The beginning of the first text part.
    fn first_text(&mut self, chars: usize) -> String {
        let nodes = self.mail.nodes();
        let Some(node) = nodes.iter().find(|n| n.part.is_type("text") && !n.multipart) else { return String::new() };
        let body = self.mail.slice(node.part.body_range());
        let body = body.get(..body.len().min(TEXT_CHARS_MAX * 16)).unwrap_or_default();
        zcluster_mail::decode_text(&node.part, body).chars().take(chars).collect()
    }

    pub(super) fn denotify(&mut self, id: Option<&(Match, Text)>, importance: Option<u8>) -> Run<()> {
        let key = id.map(|(_, text)| self.expand(text)).transpose()?;
        let mut kept = Vec::new();
        for action in std::mem::take(&mut self.actions) {
            let gone = match &action {
                Action::Notify(n) => {
                    let level = importance.is_none_or(|i| i == n.importance);
                    let named = match (id, &key) {
                        (Some((matching, _)), Some(key)) => {
                            let values: Vec<String> = n.id.clone().into_iter().collect();
                            self.any_key(matching, &values, std::slice::from_ref(key), false)?
                        }
                        _ => true,
                    };
                    level && named
                }
                _ => false,
            };
            if !gone {
                kept.push(action);
            }
        }
        self.actions = kept;
        Ok(())
    }
}

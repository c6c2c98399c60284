//! RFC 5703's loop and what changes parts.

use super::{Flow, Loop, Run, Runner};
use crate::address;
use crate::encode;
use crate::notify_uri::one_line;
use crate::program::{Modifier, Stmt, Texts};
use crate::text::{Text, VarName};
use crate::valid;

impl Runner<'_> {
    pub(super) fn for_every_part(&mut self, name: Option<&str>, body: &[Stmt]) -> Run<Flow> {
        if self.loops.len() >= self.limits.part_depth {
            return Err(format!("`foreverypart` is nested more than {} deep", self.limits.part_depth).into());
        }
        if self.loops.is_empty() {
            self.mail.apply(self.limits)?;
        }
        // A loop in a loop walks through what is inside the outer one's part.
        let (nodes, mut index, end) = match self.loops.last() {
            None => {
                let nodes = self.mail.nodes();
                let end = nodes.len();
                (nodes, 0, end)
            }
            Some(around) => {
                let end = around.nodes.get(around.index).map_or(0, |n| n.end);
                (around.nodes.clone(), around.index + 1, end)
            }
        };
        let mut out = Flow::Next;
        while index < end {
            self.budget.spend(1)?;
            self.loops.push(Loop { nodes: nodes.clone(), index, replaced: false });
            let flow = self.block(body)?;
            let replaced = self.loops.pop().is_some_and(|l| l.replaced);
            match flow {
                Flow::Next => {}
                Flow::Break(None) => break,
                Flow::Break(Some(wanted)) if Some(wanted.as_str()) == name => break,
                other => {
                    out = other;
                    break;
                }
            }
            index = match nodes.get(index) {
                Some(node) if replaced => node.end,
                _ => index + 1,
            };
        }
        if self.loops.is_empty() {
            self.mail.apply(self.limits)?;
        }
        Ok(out)
    }

    pub(super) fn replace(&mut self, mime: bool, subject: Option<&Text>, from: Option<&Text>, text: &Text) -> Run<()> {
        let text = self.expand(text)?;
        let entity = if mime {
            let mut entity = encode::crlf(&text);
            // Header fields without a body still need the line that ends them.
            if !entity.starts_with("\r\n") && !entity.contains("\r\n\r\n") {
                entity.push_str(if entity.ends_with("\r\n") { "\r\n" } else { "\r\n\r\n" });
            }
            entity
        } else {
            encode::text_entity(&text)
        };
        self.budget.spend_bytes(entity.len())?;
        let subject = subject.map(|s| self.expand(s)).transpose()?;
        let from = from.map(|f| self.expand(f)).transpose()?;
        let from = match from {
            Some(from) => Some(from_field(&from)?),
            None => None,
        };
        let place = match self.loops.last_mut() {
            Some(around) => {
                around.replaced = true;
                (around.index > 0).then(|| around.nodes.get(around.index).cloned()).flatten()
            }
            None => None,
        };
        match place {
            Some(node) => self.mail.replace_part(&node, entity, self.limits),
            None => {
                self.mail.replace_all(entity, subject, from, self.limits)?;
                self.apply_outside_loops()
            }
        }
    }

    fn apply_outside_loops(&mut self) -> Run<()> {
        if self.loops.is_empty() {
            self.budget.spend_bytes(self.mail.raw().len() / 8)?;
            self.mail.apply(self.limits)?;
        }
        Ok(())
    }

    pub(super) fn enclose(&mut self, subject: Option<&Text>, headers: &Texts, text: &Text) -> Run<()> {
        let subject = subject.map(|s| self.expand(s)).transpose()?;
        let mut fields = Vec::new();
        for header in self.expand_all(headers)? {
            let field = header.split_once(':').map(|(n, v)| (n.trim().to_string(), one_line(v)));
            match field.filter(|(name, _)| valid::field_name(name)) {
                // The structure is ours to tell.
                Some((name, _)) if name.to_ascii_lowercase().starts_with("content-") => {}
                Some((name, _)) if name.eq_ignore_ascii_case("mime-version") => {}
                Some(field) => fields.push(field),
                None => return Err(format!("\"{}\" is no header field", crate::diagnostic::shown(&header)).into()),
            }
        }
        let text = self.expand(text)?;
        self.mail.enclose(subject, fields, text, self.limits)?;
        self.apply_outside_loops()
    }

    pub(super) fn extract_text(&mut self, modifiers: &[Modifier], first: Option<u64>, variable: &VarName) -> Run<()> {
        let mut text = String::new();
        if let Some(around) = self.loops.last()
            && let Some(node) = around.nodes.get(around.index)
            && node.part.is_type("text")
            && !node.multipart
        {
            let body = self.mail.slice(node.part.body_range());
            // Four encoded bytes for each that can be kept are more than any encoding but pathological ones takes.
            let most = self.limits.variable_bytes.saturating_mul(8);
            text = zcluster_mail::decode_text(&node.part, body.get(..body.len().min(most)).unwrap_or_default());
        }
        self.budget.spend_bytes(text.len())?;
        if let Some(first) = first {
            text = text.chars().take(usize::try_from(first).unwrap_or(usize::MAX)).collect();
        }
        let text = self.modified(text, modifiers)?;
        self.assign(variable, text)
    }
}

/// An address as `From:` has it.
pub(super) fn from_field(text: &str) -> Result<String, String> {
    let shown = crate::diagnostic::shown(text);
    let mailbox = address::parse(text).ok_or_else(|| format!("\"{shown}\" is no valid mail address"))?;
    Ok(encode::mailbox(mailbox.name.as_deref(), &mailbox.addr_spec()))
}

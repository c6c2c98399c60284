//! RFC 5703's commands: `foreverypart`, `break`, `replace`, `enclose`, `extracttext`.

use super::actions::add_modifier;
use super::reader::{Reader, flag, once};
use super::{Compiler, Result1, bad};
use crate::diagnostic::shown;
use crate::program::StmtKind;
use crate::syntax::Command;

impl Compiler<'_> {
    fn loop_name(&self, r: &mut Reader<'_>) -> Result1<Option<String>> {
        let mut name = None;
        while let Some((pos, tag)) = r.tag() {
            match tag {
                "name" => {
                    let (at, text) = r.string("a loop's name")?;
                    once(&mut name, self.constant(at, text)?, pos, tag)?;
                }
                _ => return r.unknown_tag(pos, tag),
            }
        }
        r.end()?;
        Ok(name)
    }

    pub(super) fn for_every_part(&mut self, command: &Command) -> Result1<StmtKind> {
        let mut r = Reader::block_command(command)?;
        let name = self.loop_name(&mut r)?;
        if self.loops.len() >= self.limits.part_depth {
            return bad(command.pos, format!("`foreverypart` is nested more than {} deep", self.limits.part_depth));
        }
        self.loops.push(name.clone());
        let body = self.inner(command);
        self.loops.pop();
        Ok(StmtKind::ForEveryPart { name, body })
    }

    pub(super) fn break_(&mut self, r: &mut Reader<'_>) -> Result1<StmtKind> {
        let pos = r.pos;
        let name = self.loop_name(r)?;
        let found = match &name {
            None => !self.loops.is_empty(),
            Some(_) => self.loops.contains(&name),
        };
        match (found, &name) {
            (true, _) => Ok(StmtKind::Break { name }),
            (false, None) => bad(pos, "`break` must stand inside a `foreverypart` loop"),
            (false, Some(name)) => bad(pos, format!("no loop around this `break` is named \"{}\"", shown(name))),
        }
    }

    pub(super) fn replace(&mut self, r: &mut Reader<'_>) -> Result1<StmtKind> {
        let (mut mime, mut subject, mut from) = (false, None, None);
        while let Some((pos, tag)) = r.tag() {
            match tag {
                "mime" => flag(&mut mime, pos, tag)?,
                "subject" => once(&mut subject, r.text(self, "a subject")?, pos, tag)?,
                "from" => once(&mut from, self.address(r)?, pos, tag)?,
                _ => return r.unknown_tag(pos, tag),
            }
        }
        Ok(StmtKind::Replace { mime, subject, from, text: r.text(self, "the text to put there")? })
    }

    pub(super) fn enclose(&mut self, r: &mut Reader<'_>) -> Result1<StmtKind> {
        let (mut subject, mut headers) = (None, None);
        while let Some((pos, tag)) = r.tag() {
            match tag {
                "subject" => once(&mut subject, r.text(self, "a subject")?, pos, tag)?,
                "headers" => once(&mut headers, r.texts(self, "header fields")?, pos, tag)?,
                _ => return r.unknown_tag(pos, tag),
            }
        }
        let headers = headers.unwrap_or_default();
        Ok(StmtKind::Enclose { subject, headers, text: r.text(self, "the text around the message")? })
    }

    pub(super) fn extract_text(&mut self, r: &mut Reader<'_>) -> Result1<StmtKind> {
        if self.loops.is_empty() {
            return bad(r.pos, "`extracttext` must stand inside a `foreverypart` loop");
        }
        let (mut modifiers, mut first) = (Vec::new(), None);
        while let Some((pos, tag)) = r.tag() {
            match tag {
                "first" => once(&mut first, r.number("a number of characters")?.1, pos, tag)?,
                _ => {
                    let modifier = self.modifier(r, pos, tag)?;
                    add_modifier(&mut modifiers, modifier, pos, tag)?;
                }
            }
        }
        let (pos, name) = r.string("a variable's name")?;
        Ok(StmtKind::ExtractText { modifiers, first, variable: self.variable(pos, name)? })
    }
}

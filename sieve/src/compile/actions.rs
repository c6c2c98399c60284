//! Commands: the dispatch, and those that store, send, flag and set.

use super::reader::{Reader, flag, once};
use super::tags::{IndexTags, MatchTags, TargetTags};
use super::{Compiler, Result1, bad, unknown};
use crate::address;
use crate::context::Location;
use crate::diagnostic::{Diagnostic, Pos, shown};
use crate::extension::Ext;
use crate::program::{FlagOp, Modifier, StmtKind};
use crate::syntax::Command;
use crate::text;
use crate::text::Text;
use crate::valid;

/// Header fields that `addheader` and `deleteheader` leave alone (RFC 5293 §6): where a message came from, and what
/// stops loops.
pub(crate) const PROTECTED_FIELDS: [&str; 2] = ["received", "auto-submitted"];

impl Compiler<'_> {
    pub(super) fn command(&mut self, command: &Command) -> Result1<StmtKind> {
        let (pos, name) = (command.pos, command.name.as_str());
        let ext = match name {
            "fileinto" => Some(Ext::FileInto),
            "reject" => Some(Ext::Reject),
            "ereject" => Some(Ext::Ereject),
            "set" => Some(Ext::Variables),
            "setflag" | "addflag" | "removeflag" => Some(Ext::Imap4Flags),
            "vacation" => Some(Ext::Vacation),
            "denotify" => Some(Ext::Notify),
            "addheader" | "deleteheader" => Some(Ext::EditHeader),
            "include" | "return" | "global" => Some(Ext::Include),
            "foreverypart" | "break" => Some(Ext::ForEveryPart),
            "replace" => Some(Ext::Replace),
            "enclose" => Some(Ext::Enclose),
            "extracttext" => Some(Ext::ExtractText),
            "error" => Some(Ext::Ihave),
            _ => None,
        };
        if let Some(ext) = ext {
            self.need(ext, pos, name)?;
        }
        match name {
            "foreverypart" => return self.for_every_part(command),
            "keep" | "stop" | "discard" | "redirect" | "notify" => {}
            _ if ext.is_some() => {}
            _ => return unknown(pos, format!("`{}` is no command that is known here", shown(name))),
        }
        let mut r = Reader::command(command)?;
        let kind = match name {
            "keep" => self.keep(&mut r)?,
            "stop" => StmtKind::Stop,
            "discard" => StmtKind::Discard,
            "return" => StmtKind::Return,
            "fileinto" => self.file_into(&mut r)?,
            "redirect" => self.redirect(&mut r)?,
            "reject" | "ereject" => StmtKind::Reject { reason: r.text(self, "a reason")?, ereject: name == "ereject" },
            "set" => self.set(&mut r)?,
            "setflag" => self.flag_command(&mut r, FlagOp::Set)?,
            "addflag" => self.flag_command(&mut r, FlagOp::Add)?,
            "removeflag" => self.flag_command(&mut r, FlagOp::Remove)?,
            "vacation" => self.vacation(&mut r)?,
            "notify" if self.has(Ext::Notify) => self.old_notify(&mut r)?,
            "notify" => {
                self.need(Ext::Enotify, pos, name)?;
                self.notify(&mut r)?
            }
            "denotify" => self.denotify(&mut r)?,
            "addheader" => self.add_header(&mut r)?,
            "deleteheader" => self.delete_header(&mut r)?,
            "include" => self.include(&mut r)?,
            "global" => self.global(&mut r)?,
            "break" => self.break_(&mut r)?,
            "replace" => self.replace(&mut r)?,
            "enclose" => self.enclose(&mut r)?,
            "extracttext" => self.extract_text(&mut r)?,
            _ => StmtKind::Raise(r.text(self, "a message")?),
        };
        r.end()?;
        Ok(kind)
    }

    fn keep(&mut self, r: &mut Reader<'_>) -> Result1<StmtKind> {
        let mut flags = None;
        while let Some((pos, tag)) = r.tag() {
            match tag {
                "flags" => once(&mut flags, self.flags_argument(r, pos)?, pos, tag)?,
                _ => return r.unknown_tag(pos, tag),
            }
        }
        Ok(StmtKind::Keep { flags })
    }

    fn copy(&self, slot: &mut bool, pos: Pos) -> Result1<()> {
        self.need(Ext::Copy, pos, ":copy")?;
        flag(slot, pos, "copy")
    }

    fn file_into(&mut self, r: &mut Reader<'_>) -> Result1<StmtKind> {
        let (mut tags, mut copy) = (TargetTags::default(), false);
        while let Some((pos, tag)) = r.tag() {
            if tag == "copy" {
                self.copy(&mut copy, pos)?;
            } else if !tags.take(self, r, pos, tag)? {
                return r.unknown_tag(pos, tag);
            }
        }
        let (target, flags) = tags.done(self.mailbox(r)?);
        Ok(StmtKind::FileInto { target, copy, flags })
    }

    fn redirect(&mut self, r: &mut Reader<'_>) -> Result1<StmtKind> {
        let mut copy = false;
        while let Some((pos, tag)) = r.tag() {
            match tag {
                "copy" => self.copy(&mut copy, pos)?,
                _ => return r.unknown_tag(pos, tag),
            }
        }
        Ok(StmtKind::Redirect { address: self.address(r)?, copy })
    }

    /// One mail address.
    pub(super) fn address(&self, r: &mut Reader<'_>) -> Result1<Text> {
        let (pos, text) = r.string("a mail address")?;
        let text = self.text(pos, text)?;
        if let Some(constant) = text.constant()
            && address::parse(constant).is_none()
        {
            return bad(pos, format!("\"{}\" is no valid mail address", shown(constant)));
        }
        Ok(text)
    }

    fn set(&mut self, r: &mut Reader<'_>) -> Result1<StmtKind> {
        let mut modifiers: Vec<Modifier> = Vec::new();
        while let Some((pos, tag)) = r.tag() {
            let modifier = self.modifier(r, pos, tag)?;
            add_modifier(&mut modifiers, modifier, pos, tag)?;
        }
        let (pos, name) = r.string("a variable's name")?;
        let variable = self.variable(pos, name)?;
        Ok(StmtKind::Set { variable, modifiers, value: r.text(self, "a value")? })
    }

    pub(super) fn modifier(&self, r: &Reader<'_>, pos: Pos, tag: &str) -> Result1<Modifier> {
        Ok(match tag {
            "lower" => Modifier::Lower,
            "upper" => Modifier::Upper,
            "lowerfirst" => Modifier::LowerFirst,
            "upperfirst" => Modifier::UpperFirst,
            "quotewildcard" => Modifier::QuoteWildcard,
            "length" => Modifier::Length,
            "quoteregex" => {
                self.need(Ext::Regex, pos, ":quoteregex")?;
                Modifier::QuoteRegex
            }
            "encodeurl" => {
                self.need(Ext::Enotify, pos, ":encodeurl")?;
                Modifier::EncodeUrl
            }
            _ => return r.unknown_tag(pos, tag),
        })
    }

    fn flag_command(&mut self, r: &mut Reader<'_>, op: FlagOp) -> Result1<StmtKind> {
        let variable = match r.left() {
            2.. => {
                let (pos, name) = r.string("a variable's name")?;
                Some(self.variable(pos, name)?)
            }
            _ => None,
        };
        Ok(StmtKind::Flags { op, variable, flags: self.flag_list(r)? })
    }

    fn editable(&mut self, r: &mut Reader<'_>) -> Result1<Text> {
        let (pos, name) = r.string("a header field's name")?;
        let name = self.field_name(pos, name)?;
        if let Some(constant) = name.constant()
            && PROTECTED_FIELDS.iter().any(|p| p.eq_ignore_ascii_case(constant))
        {
            self.report(Diagnostic::warning(
                pos,
                format!("`{}` cannot be changed: this does nothing", shown(constant)),
            ));
        }
        Ok(name)
    }

    fn add_header(&mut self, r: &mut Reader<'_>) -> Result1<StmtKind> {
        let mut last = false;
        while let Some((pos, tag)) = r.tag() {
            match tag {
                "last" => flag(&mut last, pos, tag)?,
                _ => return r.unknown_tag(pos, tag),
            }
        }
        Ok(StmtKind::AddHeader { last, name: self.editable(r)?, value: r.text(self, "a value")? })
    }

    fn delete_header(&mut self, r: &mut Reader<'_>) -> Result1<StmtKind> {
        let (mut index, mut tags) = (IndexTags::default(), MatchTags::default());
        while let Some((pos, tag)) = r.tag() {
            if !index.take(self, r, pos, tag, Ext::EditHeader)? && !tags.take(self, r, pos, tag)? {
                return r.unknown_tag(pos, tag);
            }
        }
        let name = self.editable(r)?;
        let keys = if r.left() > 0 { Some(self.keys(r)?) } else { None };
        let matching = tags.done(self, r.pos, keys.as_deref().unwrap_or_default())?;
        let values = keys.map(|keys| keys.into_iter().map(|(_, text)| text).collect());
        Ok(StmtKind::DeleteHeader { index: index.done()?, matching, name, values })
    }

    fn include(&mut self, r: &mut Reader<'_>) -> Result1<StmtKind> {
        let (mut location, mut once_, mut optional) = (None, false, false);
        while let Some((pos, tag)) = r.tag() {
            match tag {
                "personal" => once(&mut location, Location::Personal, pos, tag)?,
                "global" => once(&mut location, Location::Global, pos, tag)?,
                "once" => flag(&mut once_, pos, tag)?,
                "optional" => flag(&mut optional, pos, tag)?,
                _ => return r.unknown_tag(pos, tag),
            }
        }
        let location = location.unwrap_or(Location::Personal);
        let (pos, name) = r.string("a script's name")?;
        let name = self.text(pos, name)?;
        match name.constant() {
            Some(constant) if !valid::script_name(constant) => return bad(pos, "this is no script's name"),
            Some(constant) => {
                let key = (location, constant.to_string());
                if !self.needs.includes.contains(&key) {
                    self.needs.includes.push(key);
                }
            }
            None => self.needs.any_include = true,
        }
        Ok(StmtKind::Include { location, once: once_, optional, name })
    }

    fn global(&mut self, r: &mut Reader<'_>) -> Result1<StmtKind> {
        self.need(Ext::Variables, r.pos, "global")?;
        let mut names = Vec::new();
        for (pos, name) in r.list("the names of variables")? {
            let name = self.constant(pos, &name)?;
            if !text::is_identifier(&name) {
                return bad(pos, format!("`{}` is no variable's name", shown(&name)));
            }
            names.push(name.to_ascii_lowercase());
        }
        Ok(StmtKind::Global(names))
    }
}

/// Modifiers of one precedence exclude each other (RFC 5229 §4.1); they are kept in the order in which they work.
pub(super) fn add_modifier(list: &mut Vec<Modifier>, modifier: Modifier, pos: Pos, tag: &str) -> Result1<()> {
    if list.iter().any(|m| m.precedence() == modifier.precedence()) {
        return bad(pos, format!("`:{}` stands here twice, or with what excludes it", shown(tag)));
    }
    list.push(modifier);
    list.sort_by_key(|m| std::cmp::Reverse(m.precedence()));
    Ok(())
}

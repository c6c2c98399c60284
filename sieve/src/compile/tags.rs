//! Groups of tags that several commands and tests share.

use super::reader::{Reader, flag, once};
use super::{Compiler, Result1, bad};
use crate::diagnostic::{Pos, shown};
use crate::extension::Ext;
use crate::matching::{self, Comparator, Match, MatchKind, Relation};
use crate::program::{AddressPart, FccText, Index, Mime, MimeWhat, TargetText, Texts};
use crate::text::Text;
use crate::valid;

/// Match type and comparator.
#[derive(Default)]
pub(crate) struct MatchTags {
    kind: Option<(Pos, MatchKind)>,
    comparator: Option<Comparator>,
}

impl MatchTags {
    /// Takes the tag if it is one of its own.
    pub fn take(&mut self, c: &Compiler<'_>, r: &mut Reader<'_>, pos: Pos, tag: &str) -> Result1<bool> {
        let kind = match tag {
            "is" => MatchKind::Is,
            "contains" => MatchKind::Contains,
            "matches" => MatchKind::Matches,
            "regex" => {
                c.need(Ext::Regex, pos, ":regex")?;
                MatchKind::Regex
            }
            "count" | "value" => {
                c.need(Ext::Relational, pos, &format!(":{tag}"))?;
                let (at, name) = r.string("a relation such as \"gt\"")?;
                let Some(relation) = Relation::named(name) else {
                    return bad(at, "a relation is one of \"gt\", \"ge\", \"lt\", \"le\", \"eq\" and \"ne\"");
                };
                if tag == "count" { MatchKind::Count(relation) } else { MatchKind::Value(relation) }
            }
            "comparator" => {
                let (at, name) = r.string("the name of a comparator")?;
                once(&mut self.comparator, comparator(c, at, name)?, pos, tag)?;
                return Ok(true);
            }
            _ => return Ok(false),
        };
        once(&mut self.kind, (pos, kind), pos, tag)?;
        Ok(true)
    }

    /// The match, with the keys that it will look for.
    pub fn done(self, c: &mut Compiler<'_>, pos: Pos, keys: &[(Pos, Text)]) -> Result1<Match> {
        let (at, kind) = self.kind.unwrap_or((pos, MatchKind::Is));
        let comparator = self.comparator.unwrap_or_default();
        let substrings = matches!(kind, MatchKind::Contains | MatchKind::Matches | MatchKind::Regex);
        if substrings && !comparator.has_substrings() {
            return bad(at, "this comparator can only compare whole values, as `:is`, `:value` and `:count` do");
        }
        let mut regexes = Vec::new();
        if kind == MatchKind::Regex {
            for (pos, key) in keys {
                regexes.push(match key.constant() {
                    Some(pattern) => Some(c.regex(*pos, pattern, comparator)?),
                    None => None,
                });
            }
        }
        Ok(Match { kind, comparator, regexes })
    }
}

fn comparator(c: &Compiler<'_>, pos: Pos, name: &str) -> Result1<Comparator> {
    Ok(match name {
        "i;octet" => Comparator::Octet,
        "i;ascii-casemap" => Comparator::AsciiCasemap,
        "i;ascii-numeric" => {
            c.need(Ext::AsciiNumeric, pos, name)?;
            Comparator::AsciiNumeric
        }
        "i;unicode-casemap" => {
            c.need(Ext::UnicodeCasemap, pos, name)?;
            Comparator::UnicodeCasemap
        }
        _ => return super::unknown(pos, format!("the comparator \"{}\" is not supported", shown(name))),
    })
}

impl Compiler<'_> {
    fn regex(&mut self, pos: Pos, pattern: &str, comparator: Comparator) -> Result1<regex::Regex> {
        self.regexes += 1;
        if self.regexes > self.limits.regexes {
            return bad(pos, format!("the script has more than {} regular expressions", self.limits.regexes));
        }
        matching::regex(pattern, comparator, self.limits.regex_bytes).or_else(|e| bad(pos, e))
    }

    /// Keys: the last argument of most tests.
    pub(super) fn keys(&self, r: &mut Reader<'_>) -> Result1<Vec<(Pos, Text)>> {
        let list = r.list("a string or a list of strings to look for")?;
        list.iter().map(|(pos, text)| Ok((*pos, self.text(*pos, text)?))).collect()
    }
}

/// `:all`, `:localpart`, `:domain`, `:user`, `:detail`.
#[derive(Default)]
pub(crate) struct PartTags(pub Option<AddressPart>);

impl PartTags {
    pub fn take(&mut self, c: &Compiler<'_>, pos: Pos, tag: &str) -> Result1<bool> {
        let part = match tag {
            "all" => AddressPart::All,
            "localpart" => AddressPart::LocalPart,
            "domain" => AddressPart::Domain,
            "user" | "detail" => {
                c.need(Ext::Subaddress, pos, &format!(":{tag}"))?;
                if tag == "user" { AddressPart::User } else { AddressPart::Detail }
            }
            _ => return Ok(false),
        };
        once(&mut self.0, part, pos, tag)?;
        Ok(true)
    }
    pub fn done(self) -> AddressPart {
        self.0.unwrap_or(AddressPart::All)
    }
}

/// `:index n`, `:last` (RFC 5260 §6).
#[derive(Default)]
pub(crate) struct IndexTags {
    number: Option<u64>,
    last: Option<Pos>,
}

impl IndexTags {
    /// `ext`: what must be required; editheader has them by itself.
    pub fn take(&mut self, c: &Compiler<'_>, r: &mut Reader<'_>, pos: Pos, tag: &str, ext: Ext) -> Result1<bool> {
        match tag {
            "index" => {
                c.need(ext, pos, ":index")?;
                let (at, number) = r.number("a number")?;
                if number == 0 {
                    return bad(at, "`:index` counts from 1");
                }
                once(&mut self.number, number, pos, tag)?;
            }
            "last" => {
                c.need(ext, pos, ":last")?;
                once(&mut self.last, pos, pos, tag)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
    pub fn done(self) -> Result1<Option<Index>> {
        match (self.number, self.last) {
            (None, Some(pos)) => bad(pos, "`:last` needs `:index` beside it"),
            (number, last) => Ok(number.map(|number| Index { number, last: last.is_some() })),
        }
    }
}

/// `:mime` and what goes with it (RFC 5703 §4).
#[derive(Default)]
pub(crate) struct MimeTags {
    mime: bool,
    any_child: Option<Pos>,
    what: Option<(Pos, MimeWhat)>,
}

impl MimeTags {
    pub fn take(&mut self, c: &Compiler<'_>, r: &mut Reader<'_>, pos: Pos, tag: &str, whats: bool) -> Result1<bool> {
        let what = match tag {
            "mime" => {
                c.need(Ext::Mime, pos, ":mime")?;
                flag(&mut self.mime, pos, tag)?;
                return Ok(true);
            }
            "anychild" => {
                once(&mut self.any_child, pos, pos, tag)?;
                return Ok(true);
            }
            "type" if whats => MimeWhat::Type,
            "subtype" if whats => MimeWhat::Subtype,
            "contenttype" if whats => MimeWhat::ContentType,
            "param" if whats => MimeWhat::Param(r.texts(c, "the names of parameters")?),
            _ => return Ok(false),
        };
        once(&mut self.what, (pos, what), pos, tag)?;
        Ok(true)
    }
    pub fn done(self) -> Result1<Option<Mime>> {
        if !self.mime {
            return match self.any_child.or(self.what.as_ref().map(|w| w.0)) {
                Some(pos) => bad(pos, "this needs `:mime` beside it"),
                None => Ok(None),
            };
        }
        let what = self.what.map_or(MimeWhat::Value, |w| w.1);
        Ok(Some(Mime { any_child: self.any_child.is_some(), what }))
    }
}

/// Where to store: `:create`, `:specialuse`, `:mailboxid`, `:flags`.
#[derive(Default)]
pub(crate) struct TargetTags {
    create: Option<Pos>,
    special_use: Option<Text>,
    mailbox_id: Option<Text>,
    flags: Option<Texts>,
    /// The first of them.
    pub first: Option<Pos>,
}

impl TargetTags {
    pub fn take(&mut self, c: &Compiler<'_>, r: &mut Reader<'_>, pos: Pos, tag: &str) -> Result1<bool> {
        match tag {
            "create" => {
                c.need(Ext::Mailbox, pos, ":create")?;
                once(&mut self.create, pos, pos, tag)?;
            }
            "specialuse" => {
                c.need(Ext::SpecialUse, pos, ":specialuse")?;
                let (at, text) = r.string("a special use such as \"\\\\Junk\"")?;
                let text = c.text(at, text)?;
                if text.constant().is_some_and(|t| !valid::special_use(t)) {
                    return bad(at, "a special use begins with a backslash: \"\\\\Junk\"");
                }
                once(&mut self.special_use, text, pos, tag)?;
            }
            "mailboxid" => {
                c.need(Ext::MailboxId, pos, ":mailboxid")?;
                once(&mut self.mailbox_id, r.text(c, "a mailbox's id")?, pos, tag)?;
            }
            "flags" => once(&mut self.flags, c.flags_argument(r, pos)?, pos, tag)?,
            _ => return Ok(false),
        }
        self.first.get_or_insert(pos);
        Ok(true)
    }
    pub fn done(self, mailbox: Text) -> (TargetText, Option<Texts>) {
        let create = self.create.is_some();
        (TargetText { mailbox, mailbox_id: self.mailbox_id, special_use: self.special_use, create }, self.flags)
    }
}

/// `:fcc` and its company (RFC 8580).
#[derive(Default)]
pub(crate) struct FccTags {
    mailbox: Option<Text>,
    target: TargetTags,
}

impl FccTags {
    pub fn take(&mut self, c: &Compiler<'_>, r: &mut Reader<'_>, pos: Pos, tag: &str) -> Result1<bool> {
        if tag != "fcc" {
            return self.target.take(c, r, pos, tag);
        }
        c.need(Ext::Fcc, pos, ":fcc")?;
        once(&mut self.mailbox, c.mailbox(r)?, pos, tag)?;
        Ok(true)
    }
    pub fn done(self) -> Result1<Option<FccText>> {
        match (self.mailbox, self.target.first) {
            (None, Some(pos)) => bad(pos, "this needs `:fcc` beside it"),
            (None, None) => Ok(None),
            (Some(mailbox), _) => {
                let (target, flags) = self.target.done(mailbox);
                Ok(Some(FccText { target, flags }))
            }
        }
    }
}

impl Compiler<'_> {
    /// A mailbox's name.
    pub(super) fn mailbox(&self, r: &mut Reader<'_>) -> Result1<Text> {
        let (pos, text) = r.string("a mailbox's name")?;
        let text = self.text(pos, text)?;
        if let Some(Err(e)) = text.constant().map(valid::mailbox) {
            return bad(pos, e);
        }
        Ok(text)
    }

    /// The value of `:flags`.
    pub(super) fn flags_argument(&self, r: &mut Reader<'_>, pos: Pos) -> Result1<Texts> {
        self.need(Ext::Imap4Flags, pos, ":flags")?;
        self.flag_list(r)
    }

    pub(super) fn flag_list(&self, r: &mut Reader<'_>) -> Result1<Texts> {
        let list = r.list("flags such as \"\\\\Seen\"")?;
        let mut out = Vec::new();
        for (pos, text) in list {
            let text = self.text(pos, &text)?;
            if let Some(wrong) = text.constant().and_then(|t| t.split(' ').find(|f| !f.is_empty() && !valid::flag(f))) {
                return bad(pos, format!("\"{}\" is no IMAP flag that can be set", shown(wrong)));
            }
            out.push(text);
        }
        Ok(out)
    }

    /// A header field's name.
    pub(super) fn field_name(&self, pos: Pos, text: &str) -> Result1<Text> {
        let text = self.text(pos, text)?;
        if text.constant().is_some_and(|t| !valid::field_name(t)) {
            return bad(pos, "this is no header field's name");
        }
        Ok(text)
    }
    pub(super) fn field_names(&self, r: &mut Reader<'_>) -> Result1<Texts> {
        let list = r.list("the names of header fields")?;
        list.iter().map(|(pos, text)| self.field_name(*pos, text)).collect()
    }
}

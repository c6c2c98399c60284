//! Tests.

use super::reader::{Reader, flag, once};
use super::tags::{IndexTags, MatchTags, MimeTags, PartTags};
use super::{Compiler, Result1, bad, unknown};
use crate::diagnostic::{Diagnostic, shown};
use crate::extension::Ext;
use crate::program::{DuplicateSource, TestKind, TestNode, Texts, Transform, Zone};
use crate::syntax::Test;
use crate::text::Text;

/// Header fields that hold addresses: others have no address to test.
const ADDRESS_FIELDS: [&str; 24] = [
    "from",
    "to",
    "cc",
    "bcc",
    "sender",
    "reply-to",
    "resent-from",
    "resent-to",
    "resent-cc",
    "resent-bcc",
    "resent-sender",
    "resent-reply-to",
    "return-path",
    "delivered-to",
    "x-original-to",
    "envelope-to",
    "x-envelope-to",
    "errors-to",
    "disposition-notification-to",
    "return-receipt-to",
    "mail-followup-to",
    "mail-reply-to",
    "apparently-to",
    "x-forwarded-to",
];

/// RFC 5260 §4.2.
pub(crate) const DATE_PARTS: [&str; 13] = [
    "year", "month", "day", "date", "julian", "hour", "minute", "second", "time", "iso8601", "std11", "zone", "weekday",
];

fn texts(keys: Vec<(crate::diagnostic::Pos, Text)>) -> Texts {
    keys.into_iter().map(|(_, text)| text).collect()
}

impl Compiler<'_> {
    pub(super) fn test(&mut self, test: &Test) -> TestNode {
        let kind = self.test_kind(test).unwrap_or_else(|e| match self.defer(e) {
            Some(message) => TestKind::Bad(message),
            None => TestKind::Constant(false),
        });
        TestNode { pos: test.pos, kind }
    }

    fn combined(&mut self, test: &Test) -> Result1<TestKind> {
        let arguments = &test.arguments;
        if let Some(argument) = arguments.list.first() {
            return bad(argument.pos, format!("`{}` takes tests only", test.name));
        }
        if test.name == "not" {
            return match (arguments.tests.as_slice(), arguments.test_list) {
                ([one], false) => Ok(TestKind::Not(Box::new(self.test(one)))),
                _ => bad(arguments.end, "one test must follow `not`"),
            };
        }
        if !arguments.test_list {
            return bad(arguments.end, format!("a list of tests in parentheses must follow `{}`", test.name));
        }
        let tests = arguments.tests.iter().map(|t| self.test(t)).collect();
        Ok(if test.name == "allof" { TestKind::AllOf(tests) } else { TestKind::AnyOf(tests) })
    }

    fn test_kind(&mut self, test: &Test) -> Result1<TestKind> {
        let (pos, name) = (test.pos, test.name.as_str());
        if matches!(name, "not" | "allof" | "anyof") {
            return self.combined(test);
        }
        let any: &[Ext] = match name {
            "true" | "false" | "address" | "header" | "exists" | "size" => &[],
            "envelope" => &[Ext::Envelope],
            "body" => &[Ext::Body],
            "string" => &[Ext::Variables],
            "hasflag" => &[Ext::Imap4Flags],
            "date" | "currentdate" => &[Ext::Date],
            "mailboxexists" => &[Ext::Mailbox],
            "mailboxidexists" => &[Ext::MailboxId],
            "specialuse_exists" => &[Ext::SpecialUse],
            "metadata" | "metadataexists" => &[Ext::MboxMetadata],
            "servermetadata" | "servermetadataexists" => &[Ext::ServerMetadata],
            "environment" => &[Ext::Environment],
            "duplicate" => &[Ext::Duplicate],
            "spamtest" => &[Ext::SpamTest, Ext::SpamTestPlus],
            "virustest" => &[Ext::VirusTest],
            "ihave" => &[Ext::Ihave],
            "valid_notify_method" | "notify_method_capability" => &[Ext::Enotify],
            _ => return unknown(pos, format!("`{}` is no test that is known here", shown(name))),
        };
        if !any.is_empty() {
            self.need_any(any, pos, name)?;
        }
        let mut r = Reader::test(test)?;
        let kind = match name {
            "true" | "false" => TestKind::Constant(name == "true"),
            "address" => self.address_test(&mut r)?,
            "header" => self.header_test(&mut r)?,
            "exists" => self.exists(&mut r)?,
            "size" => self.size(&mut r)?,
            "envelope" => self.envelope(&mut r)?,
            "body" => self.body(&mut r)?,
            "hasflag" => self.has_flag(&mut r)?,
            "date" | "currentdate" => self.date(&mut r)?,
            "mailboxexists" => {
                self.needs.mailboxes = true;
                TestKind::MailboxExists(r.texts(self, "the names of mailboxes")?)
            }
            "mailboxidexists" => {
                self.needs.mailboxes = true;
                TestKind::MailboxIdExists(r.texts(self, "the ids of mailboxes")?)
            }
            "specialuse_exists" => {
                self.needs.mailboxes = true;
                let mailbox = if r.left() > 1 { Some(self.mailbox(&mut r)?) } else { None };
                TestKind::SpecialUseExists { mailbox, attributes: r.texts(self, "special uses")? }
            }
            "metadataexists" | "servermetadataexists" => {
                self.needs.metadata = true;
                let mailbox = if name == "metadataexists" { Some(self.mailbox(&mut r)?) } else { None };
                TestKind::MetadataExists { mailbox, annotations: r.texts(self, "the names of annotations")? }
            }
            "duplicate" => self.duplicate(&mut r)?,
            "ihave" => self.ihave(&mut r)?,
            "valid_notify_method" => TestKind::ValidNotifyMethod(r.texts(self, "notification methods")?),
            _ => self.plain_match(&mut r)?,
        };
        r.end()?;
        Ok(kind)
    }

    /// Tests whose tags are match type and comparator only, and `spamtest`.
    fn plain_match(&mut self, r: &mut Reader<'_>) -> Result1<TestKind> {
        let (mut tags, mut percent) = (MatchTags::default(), false);
        let (pos, name) = (r.pos, r.name);
        while let Some((at, tag)) = r.tag() {
            if tag == "percent" && name == "spamtest" {
                self.need(Ext::SpamTestPlus, at, ":percent")?;
                flag(&mut percent, at, tag)?;
            } else if !tags.take(self, r, at, tag)? {
                return r.unknown_tag(at, tag);
            }
        }
        // What stands before the keys.
        let (mut first, mut second) = (None, None);
        let mut sources = Vec::new();
        match name {
            "string" => sources = r.texts(self, "a string or a list of strings")?,
            "metadata" => {
                first = Some(self.mailbox(r)?);
                second = Some(r.text(self, "an annotation's name")?);
            }
            "servermetadata" => second = Some(r.text(self, "an annotation's name")?),
            "environment" => second = Some(r.text(self, "an item's name")?),
            "notify_method_capability" => {
                first = Some(r.text(self, "a notification method")?);
                second = Some(r.text(self, "a capability")?);
            }
            _ => {}
        }
        let keys = match name {
            "spamtest" | "virustest" => {
                let (at, key) = r.string("a value")?;
                vec![(at, self.text(at, key)?)]
            }
            _ => self.keys(r)?,
        };
        let matching = tags.done(self, pos, &keys)?;
        let keys = texts(keys);
        let second = second.unwrap_or_default();
        Ok(match name {
            "string" => TestKind::String { matching, sources, keys },
            "metadata" | "servermetadata" => {
                self.needs.metadata = true;
                TestKind::Metadata { mailbox: first, annotation: second, matching, keys }
            }
            "environment" => {
                self.needs.environment = true;
                TestKind::Environment { matching, item: second, keys }
            }
            "notify_method_capability" => {
                let uri = first.unwrap_or_default();
                TestKind::NotifyMethodCapability { uri, capability: second, matching, keys }
            }
            "spamtest" => {
                self.needs.verdicts = true;
                TestKind::SpamTest { percent, matching, keys }
            }
            _ => {
                self.needs.verdicts = true;
                TestKind::VirusTest { matching, keys }
            }
        })
    }

    fn address_test(&mut self, r: &mut Reader<'_>) -> Result1<TestKind> {
        let (mut tags, mut part, mut index, mut mime) = <(MatchTags, PartTags, IndexTags, MimeTags)>::default();
        while let Some((pos, tag)) = r.tag() {
            let taken = tags.take(self, r, pos, tag)?
                || part.take(self, pos, tag)?
                || index.take(self, r, pos, tag, Ext::Index)?
                || mime.take(self, r, pos, tag, false)?;
            if !taken {
                return r.unknown_tag(pos, tag);
            }
        }
        let pos = r.pos;
        let headers = self.field_names(r)?;
        let odd = headers
            .iter()
            .filter_map(Text::constant)
            .find(|h| !ADDRESS_FIELDS.iter().any(|a| a.eq_ignore_ascii_case(h)));
        if let Some(odd) = odd {
            let text = format!("`{}` may have no addresses in it; did you mean the `header` test?", shown(odd));
            self.report(Diagnostic::warning(pos, text));
        }
        let keys = self.keys(r)?;
        let matching = tags.done(self, pos, &keys)?;
        let (mime, index, part) = (mime.done()?, index.done()?, part.done());
        Ok(TestKind::Address { mime, index, part, matching, headers, keys: texts(keys) })
    }

    fn header_test(&mut self, r: &mut Reader<'_>) -> Result1<TestKind> {
        let (mut tags, mut index, mut mime) = <(MatchTags, IndexTags, MimeTags)>::default();
        while let Some((pos, tag)) = r.tag() {
            let taken = tags.take(self, r, pos, tag)?
                || index.take(self, r, pos, tag, Ext::Index)?
                || mime.take(self, r, pos, tag, true)?;
            if !taken {
                return r.unknown_tag(pos, tag);
            }
        }
        let pos = r.pos;
        let headers = self.field_names(r)?;
        let keys = self.keys(r)?;
        let matching = tags.done(self, pos, &keys)?;
        Ok(TestKind::Header { mime: mime.done()?, index: index.done()?, matching, headers, keys: texts(keys) })
    }

    fn exists(&mut self, r: &mut Reader<'_>) -> Result1<TestKind> {
        let mut mime = MimeTags::default();
        while let Some((pos, tag)) = r.tag() {
            if !mime.take(self, r, pos, tag, false)? {
                return r.unknown_tag(pos, tag);
            }
        }
        Ok(TestKind::Exists { mime: mime.done()?, headers: self.field_names(r)? })
    }

    fn size(&mut self, r: &mut Reader<'_>) -> Result1<TestKind> {
        let mut over = None;
        while let Some((pos, tag)) = r.tag() {
            match tag {
                "over" | "under" => once(&mut over, tag == "over", pos, tag)?,
                _ => return r.unknown_tag(pos, tag),
            }
        }
        let Some(over) = over else { return bad(r.pos, "`size` needs `:over` or `:under`") };
        Ok(TestKind::Size { over, limit: r.number("a number of bytes")?.1 })
    }

    fn envelope(&mut self, r: &mut Reader<'_>) -> Result1<TestKind> {
        let (mut tags, mut part) = <(MatchTags, PartTags)>::default();
        while let Some((pos, tag)) = r.tag() {
            if !tags.take(self, r, pos, tag)? && !part.take(self, pos, tag)? {
                return r.unknown_tag(pos, tag);
            }
        }
        let mut parts = Vec::new();
        for (pos, text) in r.list("\"from\", \"to\", \"orcpt\" or \"auth\"")? {
            let text = self.text(pos, &text)?;
            let known = |t: &str| ["from", "to", "orcpt", "auth"].contains(&t.to_ascii_lowercase().as_str());
            if let Some(wrong) = text.constant().filter(|t| !known(t)) {
                return bad(pos, format!("\"{}\" is no part of an envelope that is known here", shown(wrong)));
            }
            parts.push(text);
        }
        let keys = self.keys(r)?;
        let matching = tags.done(self, r.pos, &keys)?;
        Ok(TestKind::Envelope { part: part.done(), matching, parts, keys: texts(keys) })
    }

    fn body(&mut self, r: &mut Reader<'_>) -> Result1<TestKind> {
        let (mut tags, mut transform) = (MatchTags::default(), None);
        while let Some((pos, tag)) = r.tag() {
            let found = match tag {
                "raw" => Transform::Raw,
                "text" => Transform::Text,
                "content" => Transform::Content(r.texts(self, "content types")?),
                _ if tags.take(self, r, pos, tag)? => continue,
                _ => return r.unknown_tag(pos, tag),
            };
            once(&mut transform, found, pos, tag)?;
        }
        let keys = self.keys(r)?;
        let matching = tags.done(self, r.pos, &keys)?;
        Ok(TestKind::Body { transform: transform.unwrap_or(Transform::Text), matching, keys: texts(keys) })
    }

    fn has_flag(&mut self, r: &mut Reader<'_>) -> Result1<TestKind> {
        let mut tags = MatchTags::default();
        while let Some((pos, tag)) = r.tag() {
            if !tags.take(self, r, pos, tag)? {
                return r.unknown_tag(pos, tag);
            }
        }
        let mut variables = Vec::new();
        if r.left() > 1 {
            for (pos, name) in r.list("the names of variables")? {
                variables.push(self.variable(pos, &name)?);
            }
        }
        let keys = self.keys(r)?;
        let matching = tags.done(self, r.pos, &keys)?;
        Ok(TestKind::HasFlag { matching, variables, keys: texts(keys) })
    }

    fn date(&mut self, r: &mut Reader<'_>) -> Result1<TestKind> {
        let (mut tags, mut index, mut zone) = (MatchTags::default(), IndexTags::default(), None);
        let current = r.name == "currentdate";
        while let Some((pos, tag)) = r.tag() {
            match tag {
                "zone" => {
                    let (at, text) = r.string("a zone such as \"+0100\"")?;
                    let text = self.text(at, text)?;
                    if text.constant().is_some_and(|t| crate::dates::offset(t).is_none()) {
                        return bad(at, "a zone is a sign and four digits, such as \"+0100\"");
                    }
                    once(&mut zone, Zone::Given(text), pos, tag)?;
                }
                "originalzone" if !current => once(&mut zone, Zone::Original, pos, tag)?,
                _ if tags.take(self, r, pos, tag)? => {}
                _ if !current && index.take(self, r, pos, tag, Ext::Index)? => {}
                _ => return r.unknown_tag(pos, tag),
            }
        }
        let header = match current {
            true => None,
            false => {
                let (pos, name) = r.string("a header field's name")?;
                Some(self.field_name(pos, name)?)
            }
        };
        let (pos, part) = r.string("a part of a date")?;
        let part = self.text(pos, part)?;
        if let Some(wrong) = part.constant().filter(|p| !DATE_PARTS.contains(&p.to_ascii_lowercase().as_str())) {
            return bad(pos, format!("\"{}\" is no part of a date", shown(wrong)));
        }
        let keys = self.keys(r)?;
        let matching = tags.done(self, r.pos, &keys)?;
        let (index, zone) = (index.done()?, zone.unwrap_or(Zone::Local));
        Ok(TestKind::Date { index, zone, header, part, matching, keys: texts(keys) })
    }

    fn duplicate(&mut self, r: &mut Reader<'_>) -> Result1<TestKind> {
        let (mut source, mut handle, mut seconds, mut last) = (None, None, None, false);
        while let Some((pos, tag)) = r.tag() {
            match tag {
                "handle" => once(&mut handle, r.text(self, "a handle")?, pos, tag)?,
                "header" => {
                    let (at, name) = r.string("a header field's name")?;
                    once(&mut source, DuplicateSource::Header(self.field_name(at, name)?), pos, tag)?;
                }
                "uniqueid" => once(&mut source, DuplicateSource::UniqueId(r.text(self, "an id")?), pos, tag)?,
                "seconds" => once(&mut seconds, r.number("a number of seconds")?.1, pos, tag)?,
                "last" => flag(&mut last, pos, tag)?,
                _ => return r.unknown_tag(pos, tag),
            }
        }
        self.needs.duplicate = true;
        let seconds = seconds.unwrap_or(self.limits.duplicate_seconds_default);
        let seconds = seconds.min(self.limits.duplicate_seconds_max);
        Ok(TestKind::Duplicate { source: source.unwrap_or(DuplicateSource::MessageId), handle, seconds, last })
    }

    /// What is supported is known now, and from here on may be used (RFC 5463 §4).
    fn ihave(&mut self, r: &mut Reader<'_>) -> Result1<TestKind> {
        let list = r.list("the names of extensions")?;
        let mut extensions = Vec::new();
        for (pos, name) in list {
            match Ext::named(&self.constant(pos, &name)?) {
                Some(ext) => extensions.push(ext),
                None => return Ok(TestKind::Constant(false)),
            }
        }
        // The two `notify` commands exclude each other.
        let clash = |a: Ext, b: Ext| extensions.contains(&a) && (self.has(b) || extensions.contains(&b));
        if clash(Ext::Notify, Ext::Enotify) || clash(Ext::Enotify, Ext::Notify) {
            return Ok(TestKind::Constant(false));
        }
        extensions.into_iter().for_each(|e| self.extensions.insert(e));
        Ok(TestKind::Constant(true))
    }
}

//! Tests.

use super::{Run, Runner};
use crate::dates::{self, Clock};
use crate::diagnostic::shown;
use crate::matching::{Match, MatchKind};
use crate::notify_uri::MailTo;
use crate::outcome::Failure;
use crate::program::{Index, TestKind, TestNode, Texts, Zone};
use crate::text::{Text, VarName};
use crate::valid;

impl Runner<'_> {
    pub(super) fn test(&mut self, node: &TestNode) -> Run<bool> {
        let result = self.budget.spend(1).and_then(|()| self.test_kind(&node.kind));
        result.map_err(|f| Failure::Placed(Box::new(self.placed(f, node.pos))))
    }

    fn test_kind(&mut self, kind: &TestKind) -> Run<bool> {
        match kind {
            TestKind::Constant(value) => Ok(*value),
            TestKind::Bad(message) => Err(Failure::Error(message.clone())),
            TestKind::Not(test) => Ok(!self.test(test)?),
            TestKind::AllOf(tests) => {
                for test in tests {
                    if !self.test(test)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            TestKind::AnyOf(tests) => {
                for test in tests {
                    if self.test(test)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            TestKind::Address { mime, index, part, matching, headers, keys } => {
                let values = self.address_values(mime.as_ref(), *index, *part, headers)?;
                self.compare(matching, &values, keys)
            }
            TestKind::Header { mime, index, matching, headers, keys } => {
                let values = self.header_values(mime.as_ref(), *index, headers)?;
                self.compare(matching, &values, keys)
            }
            TestKind::Exists { mime, headers } => self.all_exist(mime.as_ref(), headers),
            TestKind::Size { over, limit } => {
                let size = self.mail.original.len() as u64;
                Ok(if *over { size > *limit } else { size < *limit })
            }
            TestKind::Envelope { part, matching, parts, keys } => {
                let values = self.envelope_values(*part, parts)?;
                self.compare(matching, &values, keys)
            }
            TestKind::Body { transform, matching, keys } => {
                let values = self.body_values(transform)?;
                let keys = self.expand_all(keys)?;
                // RFC 5173 §6: `body` sets no match variables.
                self.any_key(matching, &values, &keys, false)
            }
            TestKind::String { matching, sources, keys } => {
                let mut values = self.expand_all(sources)?;
                // RFC 5229 §5: empty strings do not count.
                if let MatchKind::Count(_) = matching.kind {
                    values.retain(|v| !v.is_empty());
                }
                self.compare(matching, &values, keys)
            }
            TestKind::HasFlag { matching, variables, keys } => self.has_flag(matching, variables, keys),
            TestKind::Date { index, zone, header, part, matching, keys } => {
                let values = self.date_values(*index, zone, header.as_ref(), part)?;
                self.compare(matching, &values, keys)
            }
            TestKind::MailboxExists(names) => {
                let names = self.expand_all(names)?;
                Ok(names.iter().all(|n| valid::mailbox(n).is_ok() && self.context.mailbox_exists(n)))
            }
            TestKind::MailboxIdExists(ids) => {
                let ids = self.expand_all(ids)?;
                Ok(ids.iter().all(|id| self.context.mailbox_by_id(id)))
            }
            TestKind::SpecialUseExists { mailbox, attributes } => {
                let mailbox = mailbox.as_ref().map(|m| self.expand(m)).transpose()?;
                let attributes = self.expand_all(attributes)?;
                let one = |a: &String| valid::special_use(a) && self.context.special_use_exists(mailbox.as_deref(), a);
                Ok(attributes.iter().all(one))
            }
            TestKind::Metadata { mailbox, annotation, matching, keys } => {
                let mailbox = mailbox.as_ref().map(|m| self.expand(m)).transpose()?;
                let annotation = self.expand(annotation)?;
                let value = self.context.metadata(mailbox.as_deref(), &annotation);
                self.compare(matching, &value.into_iter().collect::<Vec<_>>(), keys)
            }
            TestKind::MetadataExists { mailbox, annotations } => {
                let mailbox = mailbox.as_ref().map(|m| self.expand(m)).transpose()?;
                let annotations = self.expand_all(annotations)?;
                Ok(annotations.iter().all(|a| self.context.metadata(mailbox.as_deref(), a).is_some()))
            }
            TestKind::Environment { matching, item, keys } => {
                let item = self.expand(item)?.to_ascii_lowercase();
                let value = self.context.environment(&item);
                self.compare(matching, &value.into_iter().collect::<Vec<_>>(), keys)
            }
            TestKind::Duplicate { source, handle, seconds, last } => {
                self.duplicate(source, handle.as_ref(), *seconds, *last)
            }
            TestKind::SpamTest { percent, matching, keys } => {
                let found = self.context.spam_percent().map(|p| u32::from(p.min(100)));
                // RFC 5235 §3.2: 0 not tested, 1 clean, 10 spam.
                let value = found.map_or(0, |p| if *percent { p } else { 1 + p * 9 / 100 });
                self.verdict(found.is_some(), value, matching, keys)
            }
            TestKind::VirusTest { matching, keys } => {
                let found = self.context.virus().map(|v| u32::from(v.clamp(1, 5)));
                self.verdict(found.is_some(), found.unwrap_or(0), matching, keys)
            }
            TestKind::ValidNotifyMethod(methods) => {
                let methods = self.expand_all(methods)?;
                Ok(methods.iter().all(|m| MailTo::parse(m).is_ok()))
            }
            TestKind::NotifyMethodCapability { uri, capability, matching, keys } => {
                let (uri, capability) = (self.expand(uri)?, self.expand(capability)?);
                // RFC 5436 §2.2: whether somebody reads mail now cannot be known.
                let known = capability.eq_ignore_ascii_case("online") && MailTo::parse(&uri).is_ok();
                let values: Vec<String> = known.then(|| "maybe".to_string()).into_iter().collect();
                if values.is_empty() {
                    return Ok(false);
                }
                self.compare(matching, &values, keys)
            }
        }
    }

    fn compare(&mut self, matching: &Match, values: &[String], keys: &Texts) -> Run<bool> {
        let keys = self.expand_all(keys)?;
        self.any_key(matching, values, &keys, true)
    }

    /// RFC 5235: `:count` tells 1 if somebody looked.
    fn verdict(&mut self, tested: bool, value: u32, matching: &Match, keys: &Texts) -> Run<bool> {
        let mut values = vec![value.to_string()];
        if matches!(matching.kind, MatchKind::Count(_)) && !tested {
            values.clear();
        }
        self.compare(matching, &values, keys)
    }

    fn has_flag(&mut self, matching: &Match, variables: &[VarName], keys: &Texts) -> Run<bool> {
        let mut flags: Vec<String> = Vec::new();
        if variables.is_empty() {
            flags = self.flags.clone();
        }
        for name in variables {
            for flag in super::actions::split(self.value(name)) {
                if !flags.iter().any(|f| f.eq_ignore_ascii_case(&flag)) {
                    flags.push(flag);
                }
            }
        }
        let mut keys = self.expand_all(keys)?;
        // A string may name several flags; patterns and numbers are taken as they are.
        if matching.kind == MatchKind::Is {
            keys = keys.iter().flat_map(|k| k.split_ascii_whitespace()).map(str::to_string).collect();
        }
        self.any_key(matching, &flags, &keys, true)
    }

    fn date_values(
        &mut self,
        index: Option<Index>,
        zone: &Zone,
        header: Option<&Text>,
        part: &Text,
    ) -> Run<Vec<String>> {
        let part = self.expand(part)?;
        let given = match zone {
            Zone::Given(text) => {
                let text = self.expand(text)?;
                let offset = dates::offset(&text);
                Some(offset.ok_or_else(|| format!("\"{}\" is no zone", shown(&text)))?)
            }
            _ => None,
        };
        // Instants, and the zones that they were written in.
        let mut instants = Vec::new();
        match header {
            None => instants.push((self.context.now_ms(), 0)),
            Some(name) => {
                let name = self.expand(name)?;
                let named = self.mail.fields.iter().filter(|f| f.name.eq_ignore_ascii_case(&name));
                let mut values: Vec<String> = named.map(|f| f.text()).collect();
                if let Some(index) = index {
                    values = super::values::pick(values, index).into_iter().collect();
                }
                for value in values {
                    self.budget.spend_bytes(value.len())?;
                    // Trace fields end with a date after a semicolon (RFC 5322 §3.6.7).
                    let date = value.rsplit(';').next().unwrap_or_default().trim();
                    let parsed = zcluster_mail::parse_date(date.as_bytes());
                    instants.extend(parsed.map(|d| (d.unix_ms, dates::written_offset(date.as_bytes()))));
                }
            }
        }
        let clock = |(unix_ms, written): (i64, i32)| {
            let offset = match zone {
                Zone::Original => written,
                _ => given.unwrap_or_else(|| self.context.zone_minutes(unix_ms)),
            };
            Clock { unix_ms, offset }.part(&part)
        };
        Ok(instants.into_iter().filter_map(clock).collect())
    }
}

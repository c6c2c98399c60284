//! Values that tests compare: of header fields, parts, addresses, bodies; and how keys are looked for in them.

use super::{Run, Runner};
use crate::address::{self, Mailbox};
use crate::mail::{Field, Node};
use crate::matching::{Match, MatchKind};
use crate::program::{AddressPart, Index, Mime, MimeWhat, Texts, Transform};
use std::rc::Rc;
use zcluster_mail::{decode_part, decode_text, decoded_param, to_utf8};

/// Bytes of one header field's value that tests look at.
const FIELD_BYTES_MAX: usize = 256 * 1024;

/// The one that `:index` and `:last` mean.
pub(super) fn pick<T>(mut list: Vec<T>, index: Index) -> Option<T> {
    let number = usize::try_from(index.number).unwrap_or(usize::MAX);
    let at = if index.last { list.len().checked_sub(number)? } else { number.checked_sub(1)? };
    (at < list.len()).then(|| list.swap_remove(at))
}

impl Runner<'_> {
    /// Whether any value matches any key.
    pub(super) fn any_key(&mut self, matching: &Match, values: &[String], keys: &[String], capture: bool) -> Run<bool> {
        if let MatchKind::Count(_) = matching.kind {
            let count = [values.len().to_string()];
            return self.any_value(matching, &count, keys, false);
        }
        self.any_value(matching, values, keys, capture)
    }

    fn any_value(&mut self, matching: &Match, values: &[String], keys: &[String], capture: bool) -> Run<bool> {
        for value in values {
            for (number, key) in keys.iter().enumerate() {
                let found = matching.matches(value, key, number, self.limits.regex_bytes, &mut self.budget)?;
                if let Some(captures) = found {
                    if capture && matches!(matching.kind, MatchKind::Matches | MatchKind::Regex) {
                        self.set_captures(captures);
                    }
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Which parts `:mime` means: the loop's, or the message; with `:anychild` what is inside, too.
    pub(super) fn mime_parts(&mut self, mime: &Mime) -> (Rc<Vec<Node>>, std::ops::Range<usize>) {
        let (nodes, index) = match self.loops.last() {
            Some(around) => (around.nodes.clone(), around.index),
            None => (self.mail.nodes(), 0),
        };
        let end = nodes.get(index).map_or(index, |n| if mime.any_child { n.end } else { index + 1 });
        (nodes, index..end)
    }

    fn spend_fields(&mut self, fields: &[Field]) -> Run<()> {
        self.budget.spend(1 + fields.len() as u64 / 16)
    }

    /// The fields of these names, of one part after the other.
    fn fields(
        &mut self,
        mime: Option<&Mime>,
        index: Option<Index>,
        names: &[String],
    ) -> Run<Vec<(Field, Option<(Rc<Vec<Node>>, usize)>)>> {
        let mut out = Vec::new();
        let Some(mime) = mime else {
            let all = std::mem::take(&mut self.mail.fields);
            let spent = self.spend_fields(&all);
            for name in names {
                let named = all.iter().filter(|f| f.name.eq_ignore_ascii_case(name)).cloned();
                chosen(named.collect(), index, |f| out.push((f, None)));
            }
            self.mail.fields = all;
            return spent.map(|()| out);
        };
        let (nodes, range) = self.mime_parts(mime);
        for at in range {
            let fields = self.mail.part_fields(&nodes, at);
            self.spend_fields(&fields)?;
            for name in names {
                let named = fields.iter().filter(|f| f.name.eq_ignore_ascii_case(name)).cloned();
                chosen(named.collect(), index, |f| out.push((f, Some((nodes.clone(), at)))));
            }
        }
        Ok(out)
    }

    pub(super) fn header_values(
        &mut self,
        mime: Option<&Mime>,
        index: Option<Index>,
        headers: &Texts,
    ) -> Run<Vec<String>> {
        let names = self.expand_all(headers)?;
        let fields = self.fields(mime, index, &names)?;
        let parameters = match mime.map(|m| &m.what) {
            Some(MimeWhat::Param(names)) => self.expand_all(names)?,
            _ => Vec::new(),
        };
        let mut out = Vec::new();
        for (field, place) in fields {
            self.budget.spend_bytes(field.raw.len())?;
            let what = mime.map_or(&MimeWhat::Value, |m| &m.what);
            match what {
                MimeWhat::Value => out.push(super::variables::cut(field.text(), FIELD_BYTES_MAX)),
                MimeWhat::Param(_) => {
                    let node = place.as_ref().and_then(|(nodes, at)| nodes.get(*at));
                    out.extend(node.into_iter().flat_map(|n| params(&field, n, &parameters)));
                }
                _ => out.extend(head(&field.text(), what)),
            }
        }
        Ok(out)
    }

    pub(super) fn address_values(
        &mut self,
        mime: Option<&Mime>,
        index: Option<Index>,
        part: AddressPart,
        headers: &Texts,
    ) -> Run<Vec<String>> {
        let names = self.expand_all(headers)?;
        let mut out = Vec::new();
        for (field, _) in self.fields(mime, index, &names)? {
            self.budget.spend_bytes(field.raw.len())?;
            out.extend(address::of_field(field.value()).iter().filter_map(|m| m.part(part)));
        }
        Ok(out)
    }

    /// Whether all the fields are there; with `:anychild`, in any of the parts.
    pub(super) fn all_exist(&mut self, mime: Option<&Mime>, headers: &Texts) -> Run<bool> {
        for name in self.expand_all(headers)? {
            if self.fields(mime, None, std::slice::from_ref(&name))?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn envelope_values(&mut self, part: AddressPart, parts: &Texts) -> Run<Vec<String>> {
        let mut out = Vec::new();
        for name in self.expand_all(parts)? {
            let envelope = self.envelope;
            let address = match name.to_ascii_lowercase().as_str() {
                // RFC 5228 §5.4: the null sender is the empty string, whatever the part.
                "from" if envelope.from.is_empty() => {
                    out.push(String::new());
                    continue;
                }
                "from" => Some(&envelope.from),
                "to" => Some(&envelope.to),
                "orcpt" => envelope.orig_to.as_ref(),
                "auth" => {
                    out.extend(envelope.auth.clone());
                    continue;
                }
                _ => return Err(format!("\"{}\" is no part of an envelope", crate::diagnostic::shown(&name)).into()),
            };
            let Some(address) = address else { continue };
            let parsed = address::parse(address).unwrap_or_else(|| bare(address));
            out.extend(parsed.part(part));
        }
        Ok(out)
    }

    /// RFC 5173: what `body` looks at.
    pub(super) fn body_values(&mut self, transform: &Transform) -> Run<Vec<String>> {
        let mut left = self.limits.body_bytes;
        let types = match transform {
            Transform::Raw => {
                let nodes = self.mail.nodes();
                let range = nodes.first().map_or(0..0, |n| n.part.body_start..u64::MAX);
                let body = self.mail.slice(range);
                let body = body.get(..body.len().min(left)).unwrap_or_default();
                let text = String::from_utf8_lossy(body).into_owned();
                self.budget.spend_bytes(text.len())?;
                return Ok(vec![text]);
            }
            Transform::Content(types) => self.expand_all(types)?,
            Transform::Text => vec!["text".into()],
        };
        let nodes = self.mail.nodes();
        let mut out = Vec::new();
        for node in nodes.iter() {
            if !types.iter().any(|t| is_type(node, t)) {
                continue;
            }
            let text = self.node_text(node, &nodes, left);
            self.budget.spend_bytes(text.len())?;
            left = left.saturating_sub(text.len());
            out.push(text);
            if left == 0 {
                break;
            }
        }
        Ok(out)
    }

    fn node_text(&self, node: &Node, nodes: &[Node], max: usize) -> String {
        let limited = |range: std::ops::Range<u64>| {
            let bytes = self.mail.slice(range);
            bytes.get(..bytes.len().min(max)).unwrap_or_default()
        };
        let body = node.part.body_range();
        if node.multipart || node.message {
            // Of a multipart what stands before the first part and after the last one; of a message its header.
            let first = nodes.iter().find(|n| n.part.header_start >= body.start && n.part.header_start < body.end);
            let inside = first.map_or(body.start..body.end, |f| {
                if node.message { f.part.header_range() } else { body.start..f.part.header_start }
            });
            let mut text = to_utf8(limited(inside), b"");
            if node.multipart {
                let end = nodes.get(..node.end).and_then(<[Node]>::last).map_or(body.end, |l| l.part.body_end);
                text.push_str(&to_utf8(limited(end.min(body.end)..body.end), b""));
            }
            return text;
        }
        if node.part.is_type("text") {
            return decode_text(&node.part, limited(body));
        }
        to_utf8(&decode_part(&node.part, limited(body)), b"")
    }
}

/// All of them, or the one that `index` means.
fn chosen(fields: Vec<Field>, index: Option<Index>, mut take: impl FnMut(Field)) {
    match index {
        None => fields.into_iter().for_each(take),
        Some(index) => {
            if let Some(one) = pick(fields, index) {
                take(one);
            }
        }
    }
}

/// `type/subtype` of a structured value.
fn head(value: &str, what: &MimeWhat) -> Option<String> {
    let head = value.split(';').next().unwrap_or_default().trim();
    let (media_type, subtype) = head.split_once('/').map_or((head, None), |(t, s)| (t, Some(s)));
    match what {
        MimeWhat::Type => Some(media_type.trim().to_string()),
        MimeWhat::Subtype => subtype.map(|s| s.trim().to_string()),
        _ => Some(head.to_string()),
    }
}

fn params(field: &Field, node: &Node, names: &[String]) -> Vec<String> {
    let params = match field.name.as_str() {
        "content-type" => Some(&node.part.params),
        "content-disposition" => node.part.disposition.as_ref().map(|d| &d.params),
        _ => None,
    };
    let one = |name: &String| params.and_then(|p| decoded_param(p, name));
    names.iter().filter_map(one).collect()
}

/// RFC 5173 §5.2: `""` is any type, `text` any subtype, `text/plain` that one; anything else none.
fn is_type(node: &Node, wanted: &str) -> bool {
    match wanted.split_once('/') {
        _ if wanted.is_empty() => true,
        None => node.part.is_type(wanted),
        Some((t, s)) => !t.is_empty() && !s.is_empty() && node.part.is(t, s),
    }
}

/// An address that is none by the rules, taken apart all the same.
fn bare(text: &str) -> Mailbox {
    let (local, domain) = text.rsplit_once('@').unwrap_or((text, ""));
    Mailbox { name: None, local: local.to_string(), domain: domain.to_string() }
}

//! The message of a run: its header fields, its MIME parts, and what a script changed of them.

use crate::encode;
use crate::limits::Limits;
use crate::outcome::Failure;
use std::ops::Range;
use std::rc::Rc;
use zcluster_api::Bytes;
use zcluster_mail::{Part, PartKind};

/// A field of the top header.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Lower case; empty for junk lines.
    pub name: String,
    /// All of it, with its line break.
    pub raw: Vec<u8>,
    /// Bytes of `raw` before the value.
    value_at: usize,
}

impl Field {
    pub fn value(&self) -> &[u8] {
        self.raw.get(self.value_at..).unwrap_or_default()
    }
    /// The value as tests see it: decoded, on one line, ends trimmed.
    pub fn text(&self) -> String {
        zcluster_mail::decode_words(self.value()).trim().to_string()
    }
}

/// The fields of a header block.
pub(crate) fn split_fields(header: &[u8]) -> Vec<Field> {
    let one = |f: zcluster_mail::Field<'_>| Field {
        name: String::from_utf8_lossy(f.name).to_ascii_lowercase(),
        value_at: f.raw.len() - f.value.len(),
        raw: f.raw.to_vec(),
    };
    zcluster_mail::fields(header).map(one).collect()
}

/// One MIME part, in a list where its descendants follow it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Without its children.
    pub part: Part,
    /// It has parts inside: no body of its own.
    pub multipart: bool,
    /// It is an embedded message.
    pub message: bool,
    /// The index after its last descendant.
    pub end: usize,
}

fn flatten(mut part: Part, out: &mut Vec<Node>) {
    let kind = std::mem::take(&mut part.kind);
    let index = out.len();
    let (multipart, message) = (matches!(kind, PartKind::Multipart(_)), matches!(kind, PartKind::Message { .. }));
    out.push(Node { part, multipart, message, end: 0 });
    match kind {
        PartKind::Leaf => {}
        PartKind::Multipart(parts) => parts.into_iter().for_each(|p| flatten(p, out)),
        PartKind::Message { root, .. } => flatten(*root, out),
    }
    let end = out.len();
    if let Some(node) = out.get_mut(index) {
        node.end = end;
    }
}

/// A change of the body that waits for the loop's end.
#[derive(Clone, Debug)]
enum Change {
    /// These bytes stand for a part (header and body).
    Part(Range<usize>, String),
    Whole {
        entity: String,
        subject: Option<String>,
        from: Option<String>,
    },
    Enclose {
        subject: Option<String>,
        headers: Vec<(String, String)>,
        text: String,
    },
}

#[derive(Debug)]
pub(crate) struct Mail {
    /// As it came.
    pub original: Bytes,
    /// With body changes, but without those of `fields`.
    raw: Bytes,
    pub fields: Vec<Field>,
    /// Where in `raw` the fields end.
    fields_end: usize,
    fields_edited: bool,
    nodes: Option<Rc<Vec<Node>>>,
    changes: Vec<Change>,
    replacements: usize,
    /// The last result of `current`.
    made: Option<Bytes>,
}

impl Mail {
    pub fn new(original: &Bytes) -> Self {
        let mut mail = Mail {
            original: original.clone(),
            raw: original.clone(),
            fields: Vec::new(),
            fields_end: 0,
            fields_edited: false,
            nodes: None,
            changes: Vec::new(),
            replacements: 0,
            made: None,
        };
        mail.split();
        mail
    }

    fn split(&mut self) {
        self.fields = split_fields(&self.raw);
        self.fields_end = self.fields.iter().map(|f| f.raw.len()).sum();
        self.nodes = None;
    }

    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    pub fn nodes(&mut self) -> Rc<Vec<Node>> {
        if let Some(nodes) = &self.nodes {
            return nodes.clone();
        }
        let mut out = Vec::new();
        flatten(zcluster_mail::parse(&self.raw).root, &mut out);
        let nodes = Rc::new(out);
        self.nodes = Some(nodes.clone());
        nodes
    }

    pub fn slice(&self, range: Range<u64>) -> &[u8] {
        let at = |o: u64| usize::try_from(o).unwrap_or(usize::MAX).min(self.raw.len());
        self.raw.get(at(range.start)..at(range.end)).unwrap_or_default()
    }

    /// The fields of a part's header: the top one's with what was edited.
    pub fn part_fields(&self, nodes: &[Node], index: usize) -> Vec<Field> {
        if index == 0 {
            return self.fields.clone();
        }
        nodes.get(index).map_or_else(Vec::new, |n| split_fields(self.slice(n.part.header_range())))
    }

    pub fn add_field(&mut self, last: bool, name: &str, value: &str) {
        let raw = encode::field(name, value).into_bytes();
        self.end_fields();
        let field = Field { name: name.to_ascii_lowercase(), value_at: name.len() + 1, raw };
        if last {
            self.fields.push(field)
        } else {
            self.fields.insert(0, field)
        }
        self.edited();
    }

    /// Keeps the fields for which `keep` says so.
    pub fn keep_fields(&mut self, keep: impl FnMut(&Field) -> bool) {
        let before = self.fields.len();
        self.fields.retain(keep);
        if self.fields.len() != before {
            self.edited();
        }
    }

    /// A last field without line break gets one before another follows.
    fn end_fields(&mut self) {
        if let Some(last) = self.fields.last_mut().filter(|f| !f.raw.ends_with(b"\n")) {
            last.raw.extend_from_slice(b"\r\n");
        }
    }

    fn edited(&mut self) {
        self.fields_edited = true;
        self.made = None;
    }

    /// The message as it is now; `None`: as it came.
    pub fn current(&mut self) -> Option<Bytes> {
        if self.made.is_none() {
            let made = self.made_bytes();
            self.made = Some(made);
        }
        self.made.clone().filter(|m| *m != self.original)
    }

    fn made_bytes(&self) -> Bytes {
        if !self.fields_edited {
            return self.raw.clone();
        }
        let rest = self.raw.get(self.fields_end..).unwrap_or_default();
        let mut out = Vec::with_capacity(self.raw.len() + 256);
        self.fields.iter().for_each(|f| out.extend_from_slice(&f.raw));
        if !(rest.starts_with(b"\r\n") || rest.starts_with(b"\n")) {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(rest);
        out.into()
    }

    fn change(&mut self, change: Change, limits: &Limits) -> Result<(), Failure> {
        self.replacements += 1;
        if self.replacements > limits.replacements {
            return Err(format!("the script changes the message more than {} times", limits.replacements).into());
        }
        self.changes.push(change);
        Ok(())
    }

    /// Puts an entity in the place of a part (RFC 5703 §6).
    pub fn replace_part(&mut self, node: &Node, entity: String, limits: &Limits) -> Result<(), Failure> {
        let at = |o: u64| usize::try_from(o).unwrap_or(usize::MAX).min(self.raw.len());
        let range = at(node.part.header_start)..at(node.part.body_end).max(at(node.part.header_start));
        self.change(Change::Part(range, entity), limits)
    }
    /// Puts an entity in the place of the body.
    pub fn replace_all(
        &mut self,
        entity: String,
        subject: Option<String>,
        from: Option<String>,
        limits: &Limits,
    ) -> Result<(), Failure> {
        self.change(Change::Whole { entity, subject, from }, limits)
    }
    /// Puts the message into a new one (RFC 5703 §7).
    pub fn enclose(
        &mut self,
        subject: Option<String>,
        headers: Vec<(String, String)>,
        text: String,
        limits: &Limits,
    ) -> Result<(), Failure> {
        self.change(Change::Enclose { subject, headers, text }, limits)
    }

    /// Carries changes out; not within a loop, whose parts must stay where they are.
    pub fn apply(&mut self, limits: &Limits) -> Result<(), Failure> {
        let changes = std::mem::take(&mut self.changes);
        if changes.is_empty() {
            return Ok(());
        }
        let mut parts: Vec<(Range<usize>, String)> = Vec::new();
        let mut others = Vec::new();
        for change in changes {
            match change {
                Change::Part(range, entity) => {
                    // What lies within a part replaced later is gone with it.
                    parts.retain(|(r, _)| !(range.start <= r.start && r.end <= range.end));
                    // What lies within one replaced before is not there any more.
                    if !parts.iter().any(|(r, _)| r.start <= range.start && range.end <= r.end) {
                        parts.push((range, entity));
                    }
                }
                other => others.push(other),
            }
        }
        self.replace_ranges(parts);
        self.fits(limits)?;
        for change in others {
            match change {
                Change::Part(..) => {}
                Change::Whole { entity, subject, from } => self.put_whole(&entity, subject, from),
                Change::Enclose { subject, headers, text } => self.put_around(subject, headers, &text),
            }
            self.fits(limits)?;
        }
        Ok(())
    }

    fn fits(&self, limits: &Limits) -> Result<(), Failure> {
        let size = self.raw.len() + self.fields.iter().map(|f| f.raw.len()).sum::<usize>();
        if size > limits.message_bytes.max(self.original.len().saturating_mul(2)) {
            return Err("the script makes the message too large".into());
        }
        Ok(())
    }

    fn replace_ranges(&mut self, mut parts: Vec<(Range<usize>, String)>) {
        if parts.is_empty() {
            return;
        }
        parts.sort_by_key(|(range, _)| range.start);
        let mut out = Vec::with_capacity(self.raw.len());
        let mut at = 0;
        for (range, entity) in parts {
            // The line break before the delimiter is the delimiter's.
            let entity = entity.strip_suffix("\r\n").unwrap_or(&entity);
            out.extend_from_slice(self.raw.get(at..range.start).unwrap_or_default());
            out.extend_from_slice(entity.as_bytes());
            at = range.end;
        }
        out.extend_from_slice(self.raw.get(at..).unwrap_or_default());
        // Only bytes after the top header have changed: the edited fields still belong before them.
        self.raw = out.into();
        self.nodes = None;
        self.made = None;
    }

    fn put_whole(&mut self, entity: &str, subject: Option<String>, from: Option<String>) {
        let mut fields: Vec<Field> = std::mem::take(&mut self.fields);
        fields.retain(|f| !f.name.starts_with("content-") && f.name != "mime-version");
        let mut out = Vec::new();
        for (name, value) in [("Subject", &subject), ("From", &from)] {
            if value.is_none() {
                continue;
            }
            // What was there stays to be seen (RFC 5703 §6).
            for field in fields.iter_mut().filter(|f| f.name.eq_ignore_ascii_case(name)) {
                let old = std::mem::take(&mut field.raw);
                let value = old.get(field.value_at..).unwrap_or_default();
                field.raw = [format!("Original-{name}:").as_bytes(), value].concat();
            }
        }
        fields.iter().for_each(|f| out.extend_from_slice(&f.raw));
        if !out.is_empty() && !out.ends_with(b"\n") {
            out.extend_from_slice(b"\r\n");
        }
        if let Some(subject) = subject {
            out.extend(encode::field("Subject", &subject).bytes());
        }
        if let Some(from) = from {
            out.extend(encode::folded("From", &from).bytes());
        }
        out.extend_from_slice(b"MIME-Version: 1.0\r\n");
        out.extend_from_slice(entity.as_bytes());
        self.become_(out);
    }

    fn put_around(&mut self, subject: Option<String>, headers: Vec<(String, String)>, text: &str) {
        let inner = self.made_bytes();
        let boundary = format!("=_{}", blake3::hash(&inner).to_hex().get(..32).unwrap_or_default());
        let kept = |f: &&Field| {
            let name = f.name.as_str();
            let named = headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
            KEPT_AROUND.contains(&name) && !named && !(name == "subject" && subject.is_some())
        };
        let mut out = Vec::with_capacity(inner.len() + 1_024);
        for field in self.fields.iter().filter(kept) {
            out.extend_from_slice(&field.raw);
            if !out.ends_with(b"\n") {
                out.extend_from_slice(b"\r\n");
            }
        }
        if let Some(subject) = &subject {
            out.extend(encode::field("Subject", subject).bytes());
        }
        headers.iter().for_each(|(name, value)| out.extend(encode::field(name, value).bytes()));
        let mut push = |text: &str| out.extend_from_slice(text.as_bytes());
        push("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"");
        push(&format!("{boundary}\"\r\n\r\n--{boundary}\r\n"));
        push(&encode::text_entity(text));
        push(&format!("\r\n--{boundary}\r\nContent-Type: message/rfc822\r\n\r\n"));
        out.extend_from_slice(&inner);
        out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        self.become_(out);
    }

    fn become_(&mut self, raw: Vec<u8>) {
        self.raw = raw.into();
        self.fields_edited = false;
        self.made = None;
        self.split();
    }
}

/// Fields that a message put around another one takes from it.
const KEPT_AROUND: [&str; 15] = [
    "return-path",
    "received",
    "date",
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "bcc",
    "subject",
    "message-id",
    "in-reply-to",
    "references",
    "auto-submitted",
    "precedence",
];

//! Finds the parts of a message in one pass over its bytes (RFC 2045, RFC 2046 §5.1).

use crate::envelope::ENVELOPE_FIELDS;
use crate::header::{Raw, field_name, fields, is_blank, line, unfold};
use crate::params::{self, Param};
use crate::structure::{Disposition, Part, PartKind};
use crate::{DEPTH_MAX, HEADER_BYTES_MAX, PARTS_MAX, STRUCTURE_TEXT_MAX};

/// The structure of a message. Offsets lie within `raw`, children within their parents, siblings in order.
pub(crate) fn scan(raw: &[u8]) -> Part {
    let mut scanner = Scanner { raw, pos: 0, boundaries: Vec::new(), parts: 1, text_left: STRUCTURE_TEXT_MAX };
    scanner.part(0, Defaults::Text).0
}

/// What a part is that does not say it (RFC 2046 §5.1.5).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Defaults {
    Text,
    /// In a multipart/digest.
    Message,
}

/// What ended a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// A delimiter line of the multipart at `level` of the boundary stack; `closing` is its last one.
    Delimiter { level: usize, closing: bool },
    /// The end of the message.
    Message,
}

/// A delimiter line.
struct Delimiter {
    /// Its first byte.
    start: usize,
    /// The byte after its line feed.
    after: usize,
    end: End,
}

struct Scanner<'a> {
    raw: &'a [u8],
    pos: usize,
    /// Boundaries of the multiparts we are in, outermost first. A line is compared with all of them, so that a
    /// multipart whose own end is missing ends with its parent (RFC 2046 §5.1.2).
    boundaries: Vec<Vec<u8>>,
    parts: usize,
    /// Bytes of header text that may still be kept.
    text_left: usize,
}

impl Scanner<'_> {
    /// Scans a part from its header on; afterwards `pos` stands after the delimiter line that ended it.
    fn part(&mut self, depth: usize, defaults: Defaults) -> (Part, End) {
        let header_start = self.pos;
        let early_end = self.skip_header();
        let body_start = early_end.as_ref().map_or(self.pos, |d| d.start);
        let mut part = self.describe(header_start, body_start, defaults);
        part.header_start = header_start as u64;
        part.body_start = body_start as u64;
        let (body_end, end) = match early_end {
            Some(d) => {
                // A header without empty line and body.
                self.pos = d.after;
                self.empty_body(&mut part, depth, body_start);
                (body_start, d.end)
            }
            None => self.body(&mut part, depth, body_start),
        };
        part.body_end = body_end as u64;
        if !matches!(part.kind, PartKind::Multipart(_)) {
            part.lines = count_lines(&self.raw[body_start..body_end]);
        }
        (part, end)
    }

    /// Moves `pos` behind the header and its empty line. A delimiter within the header ends it.
    ///
    /// A first line that is no field means that there is no header at all; later ones are skipped as junk, because a
    /// broken field is commoner in real mail than a forgotten empty line.
    fn skip_header(&mut self) -> Option<Delimiter> {
        let mut first = true;
        while self.pos < self.raw.len() {
            let line = line(&self.raw[self.pos..]);
            if is_blank(line) {
                self.pos += line.len();
                return None;
            }
            if let Some(d) = self.delimiter_at(self.pos, line) {
                return Some(d);
            }
            if first && field_name(line).is_none() && !line.starts_with(b"From ") && !line.starts_with(b">From ") {
                return None;
            }
            first = false;
            self.pos += line.len();
        }
        None
    }

    /// Scans a body; returns its end and what ended it.
    fn body(&mut self, part: &mut Part, depth: usize, body_start: usize) -> (usize, End) {
        let deep = depth + 1 >= DEPTH_MAX || self.parts >= PARTS_MAX;
        if part.is_type("multipart") {
            let boundary = boundary(part).filter(|_| !deep);
            return match boundary {
                Some(b) => self.multipart(part, depth, b),
                None => {
                    // Without delimiters it is no multipart: its text shall at least be readable.
                    opaque(part, deep);
                    self.leaf(body_start)
                }
            };
        }
        if is_message(part) {
            if deep {
                opaque(part, deep);
                return self.leaf(body_start);
            }
            self.parts += 1;
            let (root, end) = self.part(depth + 1, Defaults::Text);
            let body_end = root.body_end as usize;
            let header = self.envelope_fields(root.header_start as usize, root.body_start as usize);
            part.kind = PartKind::Message { header, root: Box::new(root) };
            return (body_end, end);
        }
        self.leaf(body_start)
    }

    /// The body of a part whose header ended at a delimiter is empty; a type that must hold parts cannot stay.
    fn empty_body(&mut self, part: &mut Part, depth: usize, at: usize) {
        if part.is_type("multipart") || (is_message(part) && depth + 1 >= DEPTH_MAX) {
            opaque(part, false);
        } else if is_message(part) {
            let at = at as u64;
            let root = Part { header_start: at, body_start: at, body_end: at, ..text_plain() };
            part.kind = PartKind::Message { header: Raw::default(), root: Box::new(root) };
        }
    }

    /// Everything from `pos` up to the next delimiter; the line break before that one is not taken below `floor`.
    fn leaf(&mut self, floor: usize) -> (usize, End) {
        match self.next_delimiter() {
            Some(d) => {
                self.pos = d.after;
                (self.before_break(d.start, floor), d.end)
            }
            None => {
                self.pos = self.raw.len();
                (self.pos, End::Message)
            }
        }
    }

    /// The parts between a multipart's delimiters (RFC 2046 §5.1.1).
    fn multipart(&mut self, part: &mut Part, depth: usize, boundary: Vec<u8>) -> (usize, End) {
        let body_start = self.pos;
        let level = self.boundaries.len();
        self.boundaries.push(boundary);
        let defaults = if part.subtype.eq_ignore_case("digest") { Defaults::Message } else { Defaults::Text };
        let mut children = Vec::new();
        // The preamble ends like a leaf.
        let (mut last_end, mut end) = self.leaf(body_start);
        while end == (End::Delimiter { level, closing: false }) {
            self.parts += 1;
            if self.parts > PARTS_MAX {
                // The rest stays in the last part: delimiters of ours are text from here on.
                self.boundaries[level].clear();
            }
            let child;
            (child, end) = self.part(depth + 1, defaults);
            last_end = child.body_end as usize;
            children.push(child);
        }
        self.boundaries.truncate(level);
        let (body_end, end) = match end {
            // The epilogue ends where the parent goes on.
            End::Delimiter { level: l, closing: true } if l == level => self.leaf(last_end),
            other => (last_end, other),
        };
        if children.is_empty() {
            opaque(part, false);
        } else {
            part.kind = PartKind::Multipart(children);
        }
        (body_end, end)
    }

    /// The next line that delimits any multipart we are in.
    fn next_delimiter(&self) -> Option<Delimiter> {
        if self.boundaries.is_empty() {
            return None;
        }
        let mut at = self.pos;
        loop {
            let rest = &self.raw[at..];
            if rest.starts_with(b"--")
                && let Some(d) = self.delimiter_at(at, line(rest))
            {
                return Some(d);
            }
            at += memchr::memmem::find(rest, b"\n--")? + 1;
        }
    }

    /// Reads a line as a delimiter: `--boundary`, `--boundary--`, then white space only (RFC 2046 §5.1.1).
    fn delimiter_at(&self, start: usize, line: &[u8]) -> Option<Delimiter> {
        let text = line.strip_prefix(b"--")?.trim_ascii_end();
        let after = start + line.len();
        // Innermost first: an embedded multipart may have taken its parent's boundary.
        self.boundaries.iter().enumerate().rev().filter(|(_, b)| !b.is_empty()).find_map(|(level, boundary)| {
            let closing = match text.strip_prefix(boundary.as_slice())? {
                b"" => false,
                b"--" => true,
                _ => return None,
            };
            Some(Delimiter { start, after, end: End::Delimiter { level, closing } })
        })
    }

    /// The end of a body before the delimiter line at `delimiter`, the line break between them left out.
    fn before_break(&self, delimiter: usize, floor: usize) -> usize {
        let body = &self.raw[floor..delimiter];
        let body = body.strip_suffix(b"\n").map_or(body, |b| b.strip_suffix(b"\r").unwrap_or(b));
        floor + body.len()
    }

    /// Reads the part's MIME fields.
    fn describe(&mut self, start: usize, end: usize, defaults: Defaults) -> Part {
        let header = &self.raw[start..end.min(start + HEADER_BYTES_MAX)];
        let mut part = match defaults {
            Defaults::Text => Part { media_type: Raw::default(), subtype: Raw::default(), ..Part::default() },
            Defaults::Message => Part { media_type: "message".into(), subtype: "rfc822".into(), ..Part::default() },
        };
        let mut typed = false;
        for field in fields(header) {
            // All MIME fields begin so: a cheap test for the many others.
            if !field.name.get(..8).is_some_and(|n| n.eq_ignore_ascii_case(b"content-")) {
                continue;
            }
            let value = unfold(field.value);
            match field.name[8..].to_ascii_lowercase().as_slice() {
                b"type" if !typed => typed = self.content_type(&mut part, &value),
                b"transfer-encoding" if part.encoding.is_none() => part.encoding = self.token(&value),
                b"id" if part.id.is_none() => part.id = self.keep(value),
                b"description" if part.description.is_none() => part.description = self.keep(value),
                b"md5" if part.md5.is_none() => part.md5 = self.keep(value),
                b"location" if part.location.is_none() => part.location = self.keep(value),
                b"language" if part.language.is_empty() => part.language = self.languages(&value),
                b"disposition" if part.disposition.is_none() => part.disposition = self.disposition(&value),
                _ => {}
            }
        }
        if !typed && defaults == Defaults::Text {
            Part { media_type: "text".into(), subtype: "plain".into(), ..part }
        } else {
            part
        }
    }

    /// RFC 2045 §5.1; false when the value is no media type (§5.2: then the default holds).
    fn content_type(&mut self, part: &mut Part, value: &[u8]) -> bool {
        let value = params::parse(value);
        let mut names = value.head.splitn(2, |b| *b == b'/');
        let (Some(media_type), Some(subtype)) = (names.next(), names.next()) else { return false };
        let token = |t: &[u8]| !t.is_empty() && t.len() <= TYPE_MAX && t.iter().all(u8::is_ascii_graphic);
        if !token(media_type) || !token(subtype) {
            return false;
        }
        part.media_type = Raw(media_type.to_vec());
        part.subtype = Raw(subtype.to_vec());
        part.params = self.params(value.params);
        true
    }

    fn disposition(&mut self, value: &[u8]) -> Option<Disposition> {
        let value = params::parse(value);
        let kind = self.keep(value.head)?;
        Some(Disposition { kind, params: self.params(value.params) })
    }

    /// RFC 3282: a list of tags.
    fn languages(&mut self, value: &[u8]) -> Vec<Raw> {
        let tags = value.split(|b| *b == b',').take(crate::PARAMS_MAX);
        tags.filter_map(|t| self.keep(t.trim_ascii().to_vec())).collect()
    }

    /// The first token of a value.
    fn token(&mut self, value: &[u8]) -> Option<Raw> {
        self.keep(params::parse(value).head)
    }

    fn params(&mut self, params: Vec<Param>) -> Vec<Param> {
        let fits = |s: &mut Self, p: &Param| s.charge(p.name.0.len() + p.value.0.len());
        params.into_iter().filter(|p| fits(self, p)).collect()
    }

    /// The text, unless it is empty or the summary has no room for it.
    fn keep(&mut self, text: Vec<u8>) -> Option<Raw> {
        (!text.is_empty() && self.charge(text.len())).then_some(Raw(text))
    }

    fn charge(&mut self, bytes: usize) -> bool {
        let left = self.text_left.checked_sub(bytes);
        self.text_left = left.unwrap_or(self.text_left);
        left.is_some()
    }

    /// The fields of an embedded header that its envelope needs.
    fn envelope_fields(&mut self, start: usize, end: usize) -> Raw {
        let header = &self.raw[start..end.min(start + HEADER_BYTES_MAX)];
        let mut out = Vec::new();
        for field in fields(header) {
            if ENVELOPE_FIELDS.iter().any(|n| field.is(n)) && self.charge(field.raw.len()) {
                out.extend_from_slice(field.raw);
            }
        }
        Raw(out)
    }
}

/// The longest type or subtype (RFC 6838 §4.2 allows 127 bytes).
const TYPE_MAX: usize = 127;

/// The boundary, if it can be one (RFC 2046 §5.1.1 allows 70 characters; longer ones are seen).
fn boundary(part: &Part) -> Option<Vec<u8>> {
    const BOUNDARY_MAX: usize = 998;
    // Trailing white space of a delimiter line is padding, so it cannot belong to the boundary.
    let boundary = part.param("boundary")?.as_bytes().trim_ascii_end();
    (!boundary.is_empty() && boundary.len() <= BOUNDARY_MAX).then(|| boundary.to_vec())
}

fn is_message(part: &Part) -> bool {
    part.is("message", "rfc822") || part.is("message", "global")
}

fn text_plain() -> Part {
    Part { media_type: "text".into(), subtype: "plain".into(), ..Part::default() }
}

/// Makes a part that cannot be taken apart one that IMAP's grammar allows to be whole: text, or bytes when it is
/// taken apart no further on purpose.
fn opaque(part: &mut Part, deep: bool) {
    let (media_type, subtype) = if deep { ("application", "octet-stream") } else { ("text", "plain") };
    part.media_type = media_type.into();
    part.subtype = subtype.into();
    part.params.retain(|p| !p.name.eq_ignore_case("boundary"));
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|b| **b == b'\n').count() as u64
}

//! FETCH items with body bytes (RFC 3501 §6.4.5).

use super::binary;
use super::source::Source;
use crate::codec::command::{BodyForm, BodyItem, SectionText};
use crate::codec::write::{astring, literal_header, number};
use crate::errors::{End, Failure};
use crate::session::{Mailbox, Session};
use std::ops::Range;
use zcluster_api::Error;
use zcluster_api::mailbox::Message;
use zcluster_mail::{Section, Summary, header_fields, section};

/// Where a piece is found.
pub enum Piece<'a> {
    /// There is no such part.
    Nil,
    /// In the summary.
    Bytes(Vec<u8>),
    /// A range of the body.
    Range(Range<u64>),
    /// Fields of the header in this range of the body.
    Fields(Range<u64>, &'a [String], bool),
}

/// Appends all body items of one message; `first`: no item stands before them. A failure leaves no half response behind unless part of it has left.
pub async fn write(
    s: &mut Session,
    mailbox: &Mailbox,
    m: &Message,
    summary: Option<&Summary>,
    bodies: &[BodyItem],
    first: bool,
) -> Result<(), Failure> {
    let outcome = write_all(s, mailbox, m, summary, bodies, first).await;
    whole_or_nothing(s, outcome)
}

/// Takes back what was written of a response since [`Session::mark`] when it could not be completed; where part of it has
/// left, only closing tells the client.
pub fn whole_or_nothing(s: &mut Session, outcome: Result<(), Failure>) -> Result<(), Failure> {
    match outcome {
        Err(failure @ (Failure::Api(_) | Failure::Reply(_))) => match s.mark.take() {
            Some(mark) => {
                s.out.truncate(mark);
                Err(failure)
            }
            None => Err(End::Torn.into()),
        },
        other => other,
    }
}

async fn write_all(
    s: &mut Session,
    mailbox: &Mailbox,
    m: &Message,
    summary: Option<&Summary>,
    bodies: &[BodyItem],
    mut first: bool,
) -> Result<(), Failure> {
    let blob = m.blob.as_ref().ok_or_else(|| Error::Internal("message without a body reference".into()))?;
    let pieces: Vec<(&BodyItem, Piece<'_>)> = bodies.iter().map(|b| (b, locate(b, m, summary))).collect();
    let reads = pieces.iter().filter(|(_, p)| matches!(p, Piece::Range(_) | Piece::Fields(..))).count();
    let source = Source::open(mailbox, blob, reads).await?;
    for (body, piece) in &pieces {
        if matches!(body.form, BodyForm::Binary | BodyForm::BinarySize) {
            binary::write(s, &source, body, first, summary, m.size).await?;
        } else {
            write_piece(s, &source, body, first, piece).await?;
        }
        first = false;
        s.spill_if_full().await?;
    }
    Ok(())
}

/// Finds a section (RFC 3501 §6.4.5). `HEADER` and its kin without a part number are the message's own.
pub fn locate<'a>(body: &'a BodyItem, m: &Message, summary: Option<&Summary>) -> Piece<'a> {
    let Some(summary) = summary.filter(|_| !(body.path.is_empty() && body.text == SectionText::Whole)) else {
        return Piece::Range(0..m.size);
    };
    let (what, names, not) = match &body.text {
        SectionText::Whole => (Section::Whole, None, false),
        SectionText::Header => (Section::Header, None, false),
        SectionText::Text => (Section::Text, None, false),
        SectionText::Mime => (Section::Mime, None, false),
        SectionText::Fields(names) => (Section::Header, Some(names), false),
        SectionText::FieldsNot(names) => (Section::Header, Some(names), true),
    };
    if let Some(names) = names.filter(|_| body.path.is_empty() && !not)
        && let Some(bytes) = summary.header_fields(names)
    {
        return Piece::Bytes(bytes);
    }
    match (section(summary, &body.path, what), names) {
        (None, _) => Piece::Nil,
        (Some(range), Some(names)) => Piece::Fields(range, names, not),
        (Some(range), None) => Piece::Range(range),
    }
}

async fn write_piece(
    s: &mut Session,
    source: &Source<'_>,
    body: &BodyItem,
    first: bool,
    piece: &Piece<'_>,
) -> Result<(), Failure> {
    match piece {
        Piece::Nil => {
            write_label(body, first, &mut s.out);
            s.out.extend_from_slice(b" NIL");
        }
        Piece::Bytes(bytes) => write_bytes(s, body, first, bytes),
        Piece::Fields(range, names, not) => {
            // `zcluster_mail::HEADER_BYTES_MAX` bytes are looked at for meaning; a header beyond that is cut short.
            let end = range.end.min(range.start + zcluster_mail::HEADER_BYTES_MAX as u64);
            let header = source.collect(range.start..end).await?;
            write_bytes(s, body, first, &header_fields(&header, names, *not));
        }
        Piece::Range(range) => {
            let range = part_of(range, body.partial);
            let mut head = Vec::with_capacity(64);
            write_label(body, first, &mut head);
            head.push(b' ');
            literal_header(range.end - range.start, &mut head);
            source.write(s, &head, range).await?;
        }
    }
    Ok(())
}

fn write_bytes(s: &mut Session, body: &BodyItem, first: bool, bytes: &[u8]) {
    let range = part_of(&(0..bytes.len() as u64), body.partial);
    let bytes = usize::try_from(range.start)
        .ok()
        .zip(usize::try_from(range.end).ok())
        .and_then(|(from, to)| bytes.get(from..to))
        .unwrap_or_default();
    write_label(body, first, &mut s.out);
    s.out.push(b' ');
    literal_header(bytes.len() as u64, &mut s.out);
    s.out.extend_from_slice(bytes);
}

/// `<first.count>` of a range; behind its end there is nothing (RFC 3501 §6.4.5).
pub fn part_of(range: &Range<u64>, partial: Option<(u32, u32)>) -> Range<u64> {
    let Some((first, count)) = partial else { return range.clone() };
    let start = range.start.saturating_add(first.into()).min(range.end);
    start..start.saturating_add(count.into()).min(range.end)
}

/// Appends an item's name as the client wrote it, with the first octet of a partial (RFC 3501 §7.4.2).
pub fn write_label(body: &BodyItem, first: bool, out: &mut Vec<u8>) {
    if !first {
        out.push(b' ');
    }
    out.extend_from_slice(match body.form {
        BodyForm::Rfc822 => return out.extend_from_slice(b"RFC822"),
        BodyForm::Rfc822Header => return out.extend_from_slice(b"RFC822.HEADER"),
        BodyForm::Rfc822Text => return out.extend_from_slice(b"RFC822.TEXT"),
        BodyForm::Body => b"BODY[",
        BodyForm::Binary => b"BINARY[",
        BodyForm::BinarySize => b"BINARY.SIZE[",
    });
    for (i, n) in body.path.iter().enumerate() {
        if i > 0 {
            out.push(b'.');
        }
        number((*n).into(), out);
    }
    if !body.path.is_empty() && body.text != SectionText::Whole {
        out.push(b'.');
    }
    match &body.text {
        SectionText::Whole => {}
        SectionText::Header => out.extend_from_slice(b"HEADER"),
        SectionText::Text => out.extend_from_slice(b"TEXT"),
        SectionText::Mime => out.extend_from_slice(b"MIME"),
        SectionText::Fields(names) => names_list(b"HEADER.FIELDS (", names, out),
        SectionText::FieldsNot(names) => names_list(b"HEADER.FIELDS.NOT (", names, out),
    }
    out.push(b']');
    if let Some((first, _)) = body.partial {
        out.push(b'<');
        number(first.into(), out);
        out.push(b'>');
    }
}

fn names_list(head: &[u8], names: &[String], out: &mut Vec<u8>) {
    out.extend_from_slice(head);
    for (i, name) in names.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        astring(name.as_bytes(), out);
    }
    out.push(b')');
}

//! BINARY and BINARY.SIZE (RFC 3516): a part without its transfer encoding.
//!
//! The size must be told first, so the part is decoded twice: once to count, once to send. Memory stays bounded.

use super::bodies::write_label;
use super::source::Source;
use crate::codec::command::{BodyForm, BodyItem};
use crate::codec::write::{literal_header, number};
use crate::errors::{End, Failure};
use crate::session::Session;
use std::ops::Range;
use zcluster_api::Error;
use zcluster_mail::{PartDecoder, Summary, TransferEncoding, find_part};

/// Appends one item. RFC 3516 §4.2: an unknown encoding is NO [UNKNOWN-CTE].
pub async fn write(
    s: &mut Session,
    source: &Source<'_>,
    body: &BodyItem,
    first: bool,
    summary: Option<&Summary>,
    size: u64,
) -> Result<(), Failure> {
    let Some((range, encoding)) = locate(body, summary, size) else {
        write_label(body, first, &mut s.out);
        // A size is a number in any case (RFC 3516 §7).
        s.out.extend_from_slice(if body.form == BodyForm::BinarySize { b" 0" } else { b" NIL" });
        return Ok(());
    };
    if matches!(encoding, TransferEncoding::Unknown) {
        return Err(Failure::no("[UNKNOWN-CTE] the part's transfer encoding is not known"));
    }
    if body.form == BodyForm::BinarySize {
        let (decoded, _) = measure(source, range, encoding).await?;
        write_label(body, first, &mut s.out);
        s.out.push(b' ');
        number(decoded, &mut s.out);
        return Ok(());
    }
    let mut label = Vec::new();
    write_label(body, first, &mut label);
    label.push(b' ');
    write_labelled(s, &label, source, (range, encoding), body.partial).await
}

/// Appends what a range decodes to as a literal.
pub async fn write_decoded(
    s: &mut Session,
    source: &Source<'_>,
    range: Range<u64>,
    encoding: TransferEncoding,
    partial: Option<(u32, u32)>,
) -> Result<(), Failure> {
    write_labelled(s, b"", source, (range, encoding), partial).await
}

async fn write_labelled(
    s: &mut Session,
    label: &[u8],
    source: &Source<'_>,
    (range, encoding): (Range<u64>, TransferEncoding),
    partial: Option<(u32, u32)>,
) -> Result<(), Failure> {
    // First: a body that cannot be read leaves no half response.
    let (decoded, has_nul) = measure(source, range.clone(), encoding).await?;
    s.out.extend_from_slice(label);
    let part = super::bodies::part_of(&(0..decoded), partial);
    // What holds NUL must be a literal8 (RFC 3516 §4.4).
    if has_nul {
        s.out.push(b'~');
    }
    literal_header(part.end - part.start, &mut s.out);
    send(s, source, range, encoding, part).await
}

/// Without part numbers it is the message as it stands.
fn locate(body: &BodyItem, summary: Option<&Summary>, size: u64) -> Option<(Range<u64>, TransferEncoding)> {
    let Some(summary) = summary.filter(|_| !body.path.is_empty()) else {
        return Some((0..size, TransferEncoding::Identity));
    };
    let part = find_part(summary, &body.path)?;
    Some((part.body_range(), TransferEncoding::of(part)))
}

/// The decoded size, and whether there is a NUL in it.
async fn measure(source: &Source<'_>, range: Range<u64>, encoding: TransferEncoding) -> Result<(u64, bool), Error> {
    let mut pieces = source.range(range);
    let mut decoder = PartDecoder::new(encoding);
    let (mut size, mut has_nul, mut out) = (0, false, Vec::new());
    while let Some(piece) = pieces.next().await? {
        decoder.push(&piece, &mut out);
        size += out.len() as u64;
        has_nul |= out.contains(&0);
        out.clear();
    }
    decoder.finish(&mut out);
    Ok((size + out.len() as u64, has_nul | out.contains(&0)))
}

/// Sends `part` of what `range` decodes to. Its header has been written: a failure now breaks the connection.
async fn send(
    s: &mut Session,
    source: &Source<'_>,
    range: Range<u64>,
    encoding: TransferEncoding,
    part: Range<u64>,
) -> Result<(), Failure> {
    let mut pieces = source.range(range);
    let mut decoder = Some(PartDecoder::new(encoding));
    let (mut at, mut out) = (0u64, Vec::new());
    while at < part.end {
        match pieces.next().await {
            Ok(Some(piece)) => decoder.as_mut().into_iter().for_each(|d| d.push(&piece, &mut out)),
            Ok(None) => match decoder.take() {
                Some(last) => last.finish(&mut out),
                None => return Err(End::Torn.into()),
            },
            Err(error) => {
                tracing::warn!(%error, "body broke off while it was sent");
                return Err(End::Torn.into());
            }
        }
        let end = at + out.len() as u64;
        let clip = |n: u64| usize::try_from(n.clamp(at, end) - at).unwrap_or(usize::MAX);
        s.out.extend_from_slice(&out[clip(part.start)..clip(part.end)]);
        s.spill_if_full().await?;
        out.clear();
        at = end;
    }
    Ok(())
}

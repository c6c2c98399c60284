//! Parts with NUL bytes, which only some ways lead through: kept as base64.

use crate::structure::Part;
use crate::summary::parse;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memchr;
use std::ops::Range;

/// Bytes that make one line of base64, 76 characters (RFC 2045 §6.8).
const LINE_BYTES: usize = 57;

/// The message with those parts turned into base64 that have NUL bytes and the transfer encoding `binary` (RFC 2045
/// §6.2); everything else stays as it is. `None` when there is a NUL elsewhere, where it cannot be.
pub fn without_nul(raw: &[u8]) -> Option<Vec<u8>> {
    let mut parts = Vec::new();
    collect(raw, &parse(raw).root, &mut parts);
    let (mut out, mut at) = (Vec::with_capacity(raw.len() / 3 * 4), 0);
    for (header, body) in parts {
        copy(raw.get(at..header.start)?, &mut out)?;
        write_header(raw.get(header)?, &mut out)?;
        write_base64(raw.get(body.clone())?, body.end == raw.len(), &mut out);
        at = body.end;
    }
    copy(raw.get(at..)?, &mut out)?;
    Some(out)
}

/// Appends bytes in which there must be no NUL.
fn copy(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(bytes);
    memchr(0, bytes).is_none().then_some(())
}

/// The headers and bodies to be encoded, in their order.
fn collect(raw: &[u8], part: &Part, into: &mut Vec<(Range<usize>, Range<usize>)>) {
    if !part.children().is_empty() {
        return part.children().iter().for_each(|p| collect(raw, p, into));
    }
    let at = |range: Range<u64>| Some(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?);
    let (Some(header), Some(body)) = (at(part.header_range()), at(part.body_range())) else { return };
    let binary = part.encoding.as_ref().is_some_and(|e| e.eq_ignore_case("binary"));
    if binary && raw.get(body.clone()).is_some_and(|b| memchr(0, b).is_some()) {
        into.push((header, body));
    }
}

/// Appends a header, its Content-Transfer-Encoding fields replaced.
fn write_header(header: &[u8], out: &mut Vec<u8>) -> Option<()> {
    const NAME: &[u8] = b"content-transfer-encoding";
    let mut skipping = false;
    for line in header.split_inclusive(|b| *b == b'\n') {
        let folded = matches!(line.first(), Some(b' ' | b'\t'));
        if folded && skipping {
            continue;
        }
        let name = line.iter().position(|b| *b == b':').and_then(|colon| line.get(..colon));
        skipping = !folded && name.is_some_and(|n| n.trim_ascii_end().eq_ignore_ascii_case(NAME));
        if skipping {
            out.extend_from_slice(b"Content-Transfer-Encoding: base64\r\n");
        } else {
            copy(line, out)?;
        }
    }
    Some(())
}

/// `ends`: nothing comes behind, so that the last line needs an end of its own.
fn write_base64(body: &[u8], ends: bool, out: &mut Vec<u8>) {
    let mut line = String::with_capacity(LINE_BYTES / 3 * 4);
    for (i, bytes) in body.chunks(LINE_BYTES).enumerate() {
        if i > 0 {
            out.extend_from_slice(b"\r\n");
        }
        line.clear();
        STANDARD.encode_string(bytes, &mut line);
        out.extend_from_slice(line.as_bytes());
    }
    if ends {
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode_part, find_part};
    use proptest::prelude::*;

    fn message(data: &[u8]) -> Vec<u8> {
        let head = b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: binary\r\n\r\n\
            --b\r\n\r\nhello\r\n--b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding:\r\n BINARY\r\nX: y\r\n\r\n";
        [&head[..], data, b"\r\n--b--\r\n"].concat()
    }

    #[test]
    fn only_what_must_changes() {
        let raw = message(b"a\0b");
        let kept = without_nul(&raw).unwrap();
        let text = String::from_utf8(kept.clone()).unwrap();
        assert!(text.contains(
            "Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\nX: y\r\n\r\nYQBi\r\n--b--\r\n"
        ));
        assert!(text.contains("boundary=b\r\nContent-Transfer-Encoding: binary\r\n\r\n--b\r\n\r\nhello"));
        assert_eq!(without_nul(&message(b"plain")), Some(message(b"plain")));
        let single = b"Content-Transfer-Encoding: binary\n\n\0\0\0";
        assert_eq!(without_nul(single), Some(b"Content-Transfer-Encoding: base64\r\n\nAAAA\r\n".to_vec()));
    }

    #[test]
    fn a_nul_elsewhere_cannot_be() {
        for raw in [
            &b"Subject: a\0b\r\n\r\nx"[..],
            b"\r\na\0b",
            b"Content-Transfer-Encoding: 8bit\r\n\r\n\0",
            b"X: \0\r\nContent-Transfer-Encoding: binary\r\n\r\n\0",
            b"\0",
        ] {
            assert_eq!(without_nul(raw), None);
        }
    }

    proptest! {
        #[test]
        fn parts_are_read_back(data in prop::collection::vec(any::<u8>(), 0..400)) {
            let data = [b"x\0".to_vec(), data].concat();
            prop_assume!(!data.windows(3).any(|w| w == b"--b"));
            let kept = without_nul(&message(&data)).unwrap();
            prop_assert!(!kept.contains(&0));
            let summary = parse(&kept);
            let part = find_part(&summary, &[2]).unwrap();
            let body = &kept[part.body_start as usize..part.body_end as usize];
            prop_assert_eq!(decode_part(part, body), data);
        }
        #[test]
        fn any_bytes(raw in prop::collection::vec(prop_oneof![Just(0u8), Just(b'\n'), Just(b':'), any::<u8>()], 0..200)) {
            if let Some(kept) = without_nul(&raw) {
                prop_assert!(!kept.contains(&0));
            }
        }
    }
}

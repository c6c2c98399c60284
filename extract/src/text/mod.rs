//! One document in memory: which format it is and what text it holds.
//!
//! Every reader writes into a [`Reading`], which ends it when the text is full ([`Stop::Full`]) and meters what is unpacked.
//! What was read before a fault is kept: half of a damaged document is worth finding.

mod archive;
mod card;
mod html;
mod kind;
mod odf;
mod ole;
mod ooxml;
mod pdf;
mod pdf_content;
mod pdf_repair;
mod plain;
mod reading;
mod rtf;
mod word97;
mod xml;

use crate::{ExtractError, Extracted, Limits};
use kind::Kind;
use reading::{Reading, Stop};

/// The text of `bytes`, which were sent as `media_type` under the name `filename` (either may be empty).
///
/// The format is what the media type says, else what the file name's extension says, else what the content looks like; content
/// that is clearly another known format than claimed is read as that one.
///
/// # Errors
/// [`ExtractError`] when there is no text to return. A document that is damaged after some text returns that, `truncated`.
pub fn extract(media_type: &str, filename: &str, bytes: &[u8], limits: &Limits) -> Result<Extracted, ExtractError> {
    if bytes.len() as u64 > limits.input_bytes {
        return Err(ExtractError::TooLarge(format!("{} bytes", bytes.len())));
    }
    let Some(kind) = kind::of(media_type, filename, bytes) else {
        return Err(ExtractError::Unsupported(kind::name(media_type, filename)));
    };
    let mut reading = Reading::new(limits);
    let end = read(kind, kind::charset(media_type), bytes, 0, &mut reading);
    reading.finish(end)
}

/// Reads one document, or one member of an archive that lies `depth` archives deep.
///
/// A panic of a library ends here as a malformed document, so that the worker can go on; it is the process that protects.
fn read(kind: Kind, charset: Option<&str>, bytes: &[u8], depth: u64, to: &mut Reading) -> Result<(), Stop> {
    let work = std::panic::AssertUnwindSafe(|| match kind {
        Kind::Pdf => pdf::read(bytes, to),
        Kind::Zip => archive::read_zip(bytes, depth, to),
        Kind::Ole => ole::read(bytes, to),
        Kind::Rtf => rtf::read(bytes, to),
        Kind::Html | Kind::Xml => html::read(bytes, charset, to),
        Kind::Text => plain::read(bytes, charset, to),
        Kind::Tar => archive::read_tar(bytes, depth, to),
        Kind::Gzip => archive::read_gzip(bytes, depth, to),
        Kind::Calendar | Kind::VCard => card::read(bytes, charset, to),
    });
    std::panic::catch_unwind(work).unwrap_or_else(|_| Err(Stop::malformed("the reader gave up")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Read = fn(&[u8], &mut Reading) -> Result<(), Stop>;

    /// The readers that are ours. Called without the net that `read` has for those of libraries.
    const OURS: [Read; 5] = [
        rtf::read,
        |bytes, to| card::read(bytes, None, to),
        |bytes, to| html::read(bytes, None, to),
        |bytes, to| plain::read(bytes, None, to),
        |bytes, to| word97::read_streams(bytes, bytes, to),
    ];

    /// Pieces that the formats are made of, and what may stand between them.
    fn document() -> impl Strategy<Value = Vec<u8>> {
        let words: Vec<&[u8]> = vec![
            b"{\\rtf1",
            b"{",
            b"}",
            b"\\u-10179?",
            b"\\uc9999",
            b"\\bin99999999999 ",
            b"\\'8",
            b"\\'83",
            b"\\fcharset128",
            b"{\\fonttbl",
            b"{\\*\\annotation",
            b"{\\title ",
            b"\\f1 ",
            b"\\ansicpg-1",
            b"BEGIN:VCARD\r\n",
            b"NOTE;ENCODING=QUOTED-PRINTABLE;CHARSET=\"",
            b":=",
            b"=E4=\r\n",
            b"\r\n ",
            b"\\",
            b"<script",
            b"</script>",
            b"<title>",
            b"<meta charset=",
            b"&#x110000;",
            b"<!--",
            b"\xff\xfe",
            b"\x1b$B",
            b"\xd8\x00",
            b"<img alt='",
            b">",
        ];
        let piece = prop_oneof![
            4 => prop::sample::select(words).prop_map(<[u8]>::to_vec),
            1 => prop::collection::vec(any::<u8>(), 0..20),
        ];
        prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    /// A Word document whose numbers are small enough to lead somewhere.
    fn word() -> impl Strategy<Value = Vec<u8>> {
        (prop::collection::vec(0u8..16, 440..600), 0u32..600, 0u32..600).prop_map(|(mut bytes, at, length)| {
            bytes[2..4].copy_from_slice(&0xc1u16.to_le_bytes());
            bytes[0x0a..0x0c].copy_from_slice(&[0, 0]);
            bytes[0x01a2..0x01a6].copy_from_slice(&at.to_le_bytes());
            bytes[0x01a6..0x01aa].copy_from_slice(&length.to_le_bytes());
            bytes
        })
    }

    fn is_survived(bytes: &[u8]) {
        let limits = Limits { text_bytes: 200, ..Limits::default() };
        for read in OURS {
            let mut to = Reading::new(&limits);
            let end = read(bytes, &mut to);
            if let Ok(extracted) = to.finish(end) {
                assert!(extracted.text.len() <= 200 && !extracted.text.contains(|c: char| c.is_control() && c != '\n'));
            }
        }
        let _ = pdf_repair::repaired(&[b"%PDF-1.4\n", bytes].concat());
    }

    proptest! {
        #[test]
        fn our_readers_never_panic(bytes in document()) {
            is_survived(&bytes);
        }

        #[test]
        fn nor_over_word_documents(bytes in word()) {
            is_survived(&bytes);
        }
    }
}

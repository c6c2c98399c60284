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

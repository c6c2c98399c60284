//! Parts of other messages (RFC 4469).

use super::intake::Intake;
use crate::codec::url::MessageUrl;
use crate::commands::urls;
use crate::errors::{Failure, plain};
use crate::session::Session;
use bytes::BytesMut;
use zcluster_api::Error;

/// Bytes of a URL that BADURL tells back.
const TOLD_MAX: usize = 500;

/// Appends what the URL names to `raw`.
pub async fn append_url(s: &mut Session, intake: &mut Intake, url: &str, raw: &mut BytesMut) -> Result<(), Failure> {
    let found = match MessageUrl::parse(url) {
        Some(parsed) => urls::own(s, &parsed).await,
        None => return Err(bad_url(url, "not the URL of a message")),
    };
    let piece = match found {
        Ok(Some(piece)) => piece,
        Ok(None) | Err(Error::NotFound(_)) => return Err(bad_url(url, "there is no such message here")),
        Err(error) => return Err(error.into()),
    };
    super::check_size(s, piece.len().saturating_add(raw.len() as u64))?;
    let source = piece.open().await?;
    let mut pieces = source.range(piece.range());
    while let Some(bytes) = pieces.next().await? {
        let mut at = 0;
        while at < bytes.len() {
            let room = intake.room_for(s, raw).await?;
            let to = bytes.len().min(at.saturating_add(usize::try_from(room).unwrap_or(usize::MAX)));
            raw.extend_from_slice(&bytes[at..to]);
            at = to;
        }
    }
    Ok(())
}

/// `badurl-response-code = "BADURL" SP url-resp-text` (RFC 4469 §5): as the client sent it, but for what cannot stand in
/// a response code.
fn bad_url(url: &str, why: &str) -> Failure {
    let told: String = url.chars().take(TOLD_MAX).map(|c| if matches!(c, ']' | '\\') { '?' } else { c }).collect();
    let told = if told.is_empty() { "?" } else { &told };
    Failure::no(plain(format!("[BADURL {told}] {why}")))
}

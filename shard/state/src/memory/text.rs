//! A simple reading of messages, for searches in tests that bring no mail parser.

use crate::content::{Candidate, Content};
use zcluster_api::{Codec, Place, Result, SearchExpr};

/// Finds text in the raw bytes, without case: no decoding of words, charsets or transfer encodings.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainText;

impl Content for PlainText {
    fn matches(&self, leaf: &SearchExpr, candidate: &Candidate<'_>) -> Result<bool> {
        let raw = super::unpack(codec_of(candidate)?, candidate.stored()?)?;
        let raw = String::from_utf8_lossy(&raw).replace("\r\n", "\n").to_lowercase();
        let (header, body) = raw.split_once("\n\n").unwrap_or((&raw, ""));
        Ok(match leaf {
            SearchExpr::Header { name, text } => has_field(header, &name.to_lowercase(), &text.to_lowercase()),
            SearchExpr::Text(text) => raw.contains(&text.to_lowercase()),
            SearchExpr::Body(text) => body.contains(&text.to_lowercase()),
            _ => false,
        })
    }
}

fn codec_of(candidate: &Candidate<'_>) -> Result<Codec> {
    Ok(match &candidate.blob()?.place {
        Place::Shard { codec, .. } | Place::Object { codec, .. } => *codec,
    })
}

/// Unfolds (RFC 5322 §2.2.3) and looks at the fields called `name`.
fn has_field(header: &str, name: &str, text: &str) -> bool {
    let unfolded = header.replace("\n ", " ").replace("\n\t", " ");
    unfolded
        .lines()
        .filter_map(|line| line.split_once(':'))
        .any(|(field, value)| field.trim() == name && value.contains(text))
}

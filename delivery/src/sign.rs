//! Signing what leaves (DKIM, RFC 6376): which message, by which domain's keys. The signing itself is a [`Signer`]'s.

use crate::deliverer::Deliverer;
use bytes::Bytes;
use zcluster_api::directory::Attributes;
use zcluster_api::queue::domain_of;
use zcluster_api::{DirectoryQuery, DirectoryReply, Freshness};

/// Makes signatures.
pub trait Signer: Send + Sync + 'static {
    /// The DKIM-Signature fields for a message whose author's domain is `domain`, by the keys among the domain's
    /// attributes; empty without a usable key.
    fn sign(&self, domain: &str, attrs: &Attributes, raw: &[u8]) -> String;
}

/// The domain of the (first) author.
fn author_domain(raw: &[u8]) -> Option<String> {
    let from = zcluster_mail::fields(raw).find(|f| f.is("From"))?;
    let author = zcluster_mail::addresses(from.value).iter().find_map(|a| a.addr_spec())?;
    let domain = domain_of(&author).to_lowercase();
    (!domain.is_empty()).then_some(domain)
}

/// What signs a message again that had to be changed on its way out.
#[derive(Clone, Copy)]
pub struct Signing<'a>(pub(crate) &'a Deliverer);

impl std::fmt::Debug for Signing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signing")
    }
}

impl Signing<'_> {
    /// The message with new signatures of its author's domain in the place of those that it has.
    pub async fn again(&self, raw: Bytes) -> Bytes {
        let bare = match author_domain(&raw) {
            Some(domain) => without_signatures(&raw, &self.0.signing_domain(&domain).await),
            None => return raw,
        };
        self.0.signed(&bare.into()).await
    }
}

/// The message without the signatures of a domain.
fn without_signatures(raw: &[u8], domain: &str) -> Vec<u8> {
    let (mut out, mut len) = (Vec::with_capacity(raw.len()), 0);
    for field in zcluster_mail::fields(raw) {
        len += field.raw.len();
        if !(field.is("DKIM-Signature") && signs_for(field.value, domain)) {
            out.extend_from_slice(field.raw);
        }
    }
    out.extend_from_slice(raw.get(len..).unwrap_or_default());
    out
}

/// Whether a signature's `d=` is this domain (RFC 6376 §3.5).
fn signs_for(value: &[u8], domain: &str) -> bool {
    let text = String::from_utf8_lossy(&zcluster_mail::unfold(value)).into_owned();
    let tags = text.split(';').filter_map(|tag| tag.split_once('='));
    tags.into_iter().any(|(name, value)| name.trim() == "d" && value.trim().eq_ignore_ascii_case(domain))
}

impl Deliverer {
    /// The domain that signs for authors of this one (`DKIMDomain`).
    async fn signing_domain(&self, author: &str) -> String {
        let query = DirectoryQuery::Domain(author.to_string());
        match self.directory().read(query, Freshness::Local).await {
            Ok(DirectoryReply::Domain(found)) => found.attrs.get("DKIMDomain").unwrap_or(author).to_string(),
            _ => author.to_string(),
        }
    }

    /// The message with a signature of its author's domain, where that is one of ours and has a key.
    pub(crate) async fn signed(&self, raw: &Bytes) -> Bytes {
        let (Some(signer), Some(domain)) = (self.signer(), author_domain(raw)) else { return raw.clone() };
        let found = self.directory().read(DirectoryQuery::Domain(domain.clone()), Freshness::Local).await;
        let Ok(DirectoryReply::Domain(found)) = found else { return raw.clone() };
        if found.attrs.get("DKIMKey").is_none() {
            return raw.clone();
        }
        let signer = signer.clone();
        let message = raw.clone();
        // RSA takes a millisecond: not on the event loop.
        let work = move || {
            let fields = signer.sign(&domain, &found.attrs, &message);
            let mut out = fields.into_bytes();
            out.extend_from_slice(&message);
            Bytes::from(out)
        };
        zcluster_runtime::spawn_blocking(work).await.unwrap_or_else(|_| raw.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_author_decides() {
        let of = |raw: &str| author_domain(raw.as_bytes());
        assert_eq!(of("Sender: x@s\r\nFrom: A <a@Example.org>\r\n\r\nb").as_deref(), Some("example.org"));
        assert_eq!(of("To: x@s\r\n\r\nFrom: a@b"), None);
    }

    #[test]
    fn only_signatures_of_the_domain_go() {
        let ours = "DKIM-Signature: v=1; s=x;\r\n d=Example.org ; b=z\r\n";
        let (theirs, rest) =
            ("DKIM-Signature: v=1; d=list.example; b=d=\r\n", "From: a@example.org\r\n\r\nDKIM-Signature: d=\r\n");
        let raw = format!("Received: x\r\n{ours}{theirs}{rest}");
        let left = without_signatures(raw.as_bytes(), "example.org");
        assert_eq!(String::from_utf8(left).unwrap(), format!("Received: x\r\n{theirs}{rest}"));
    }
}

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

impl Deliverer {
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
}

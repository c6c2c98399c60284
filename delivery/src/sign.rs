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

    /// The fields of ARC (RFC 8617) for a message that `domain` sends on, by the keys among its attributes; `results` are
    /// those of [`our_results`]. Empty where it cannot be sealed.
    fn seal(&self, domain: &str, attrs: &Attributes, results: &str, raw: &[u8]) -> String;
}

/// What this host found out about the sender when it took the message (RFC 8601), in one line; none: it did not look.
/// Only a field that stands directly below our own trace of an SMTP session counts: the edge has taken out those that came
/// in our name, while what was handed over by LMTP or came back from the queue was not looked at here.
fn our_results(raw: &[u8], hostname: &str) -> Option<String> {
    let mut fields = zcluster_mail::fields(raw).skip_while(|f| !f.is("Received"));
    let text = |value: &[u8]| String::from_utf8_lossy(value).split_whitespace().collect::<Vec<_>>().join(" ");
    let trace = text(fields.next()?.value);
    let by_us = trace.split(" by ").nth(1)?.split(' ').next()?.eq_ignore_ascii_case(hostname);
    let protocol = trace.split(" with ").nth(1)?.split([' ', ';']).next()?;
    if !by_us || !protocol.to_ascii_uppercase().contains("SMTP") {
        return None;
    }
    let found = fields.take_while(|f| !f.is("Received")).find(|f| f.is("Authentication-Results"))?;
    let results = text(found.value);
    let (id, _) = results.split_once(';')?;
    id.trim().eq_ignore_ascii_case(hostname).then_some(results)
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

    /// The message as an account of ours sends it on: sealed (ARC) by the account's domain, where that has a key, over what
    /// was found out about its sender. Who gets it can then believe that it was well when it came here, although it comes
    /// from us now.
    pub(crate) async fn sealed(&self, account: &str, raw: Bytes) -> Bytes {
        let Some(signer) = self.signer().cloned() else { return raw };
        let Some(results) = our_results(&raw, &self.config().hostname) else { return raw };
        let domain = domain_of(account).to_lowercase();
        let found = self.directory().read(DirectoryQuery::Domain(domain.clone()), Freshness::Local).await;
        let Ok(DirectoryReply::Domain(found)) = found else { return raw };
        if found.attrs.get("DKIMKey").is_none() {
            return raw;
        }
        let message = raw.clone();
        let work = move || {
            let mut out = signer.seal(&domain, &found.attrs, &results, &message).into_bytes();
            out.extend_from_slice(&message);
            Bytes::from(out)
        };
        zcluster_runtime::spawn_blocking(work).await.unwrap_or(raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_this_host_found_is_sealed() {
        let of = |raw: &str| our_results(raw.as_bytes(), "mx.us.example");
        let trace = "Received: from a (a [192.0.2.1])\r\n\tby mx.us.example with ESMTPS id 1\r\n\tfor <x@y>; date\r\n";
        let ours = "Authentication-Results: mx.us.example;\r\n\tspf=pass smtp.mailfrom=a;\r\n\tdmarc=pass\r\n";
        let well = "mx.us.example; spf=pass smtp.mailfrom=a; dmarc=pass";
        assert_eq!(
            of(&format!("Delivered-To: b@us.example\r\n{trace}{ours}Subject: s\r\n\r\n")).as_deref(),
            Some(well)
        );
        for other in [
            format!("{ours}{trace}\r\n"),
            format!("{trace}Received: from b\r\n{ours}\r\n"),
            format!("{}{ours}\r\n", trace.replace("ESMTPS", "LMTP")),
            format!("{}{ours}\r\n", trace.replace("by mx.us", "by mx.other")),
            format!("{trace}{}\r\n", ours.replace("mx.us", "mx.other")),
            format!("{ours}\r\n"),
            format!("{trace}\r\n{ours}"),
        ] {
            assert_eq!(of(&other), None, "{other}");
        }
    }

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

//! Sealing what is sent on (ARC, RFC 8617) with the keys that sign (DKIM).

use crate::dkim::{Borrowed, Dkim, Key, SIGNED};
use mail_auth::arc::{ArcSealer, Set};
use mail_auth::common::crypto::{Sha256, SigningKey};
use mail_auth::common::headers::{Header, HeaderWriter};
use mail_auth::dkim::Canonicalization;
use mail_auth::{ArcOutput, AuthenticatedMessage, AuthenticationResults, DkimResult};
use zcluster_api::directory::Attributes;

/// Seals above which none is added (RFC 8617 §4.2.1 allows 50; receivers look at fewer).
const CHAIN_MAX: usize = 10;

/// The three fields of a new seal, or nothing: no key, or a chain that was broken when it came.
pub fn seal(keys: &Dkim, domain: &str, attrs: &Attributes, results: &str, raw: &[u8]) -> String {
    let signing_domain = attrs.get("DKIMDomain").unwrap_or(domain);
    let pairs = attrs.all("DKIMSelector").iter().zip(attrs.all("DKIMKey"));
    let mut usable = pairs.filter_map(|(selector, pem)| Some((selector.as_str(), keys.key(domain, pem)?)));
    // One seal only can be made: with RSA, which every verifier knows, if there is such a key.
    let first = usable.next();
    let rsa = |key: &Key| matches!(key, Key::Rsa(_));
    let chosen = match first {
        Some((_, ref key)) if !rsa(key) => usable.find(|(_, key)| rsa(key)).or(first),
        other => other,
    };
    let Some((selector, key)) = chosen else { return String::new() };
    let Some(message) = AuthenticatedMessage::parse(raw) else { return String::new() };
    let Some(chain) = chain(&message, results) else {
        tracing::info!(domain, "not sealed: its chain of seals does not hold");
        return String::new();
    };
    let fields = match &*key {
        Key::Rsa(key) => sealed(Borrowed(key), (signing_domain, selector), results, &message, &chain),
        Key::Ed25519(key) => sealed(Borrowed(key), (signing_domain, selector), results, &message, &chain),
    };
    metrics::counter!("zcluster_arc_seals_total").increment(1);
    fields.unwrap_or_default()
}

fn sealed<K: SigningKey<Hasher = Sha256>>(
    key: K,
    (domain, selector): (&str, &str),
    results: &str,
    message: &AuthenticatedMessage<'_>,
    chain: &ArcOutput<'_>,
) -> Option<String> {
    let has = |name: &str| message.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()));
    let present = SIGNED.into_iter().chain(["DKIM-Signature"]).filter(|name| has(name));
    // The library writes the host and its own results; ours are both, in the one line that they are signed as.
    let results = AuthenticationResults::new(results);
    let set = ArcSealer::from_key(key)
        .domain(domain)
        .selector(selector)
        .headers(present)
        .header_canonicalization(Canonicalization::Relaxed)
        .body_canonicalization(Canonicalization::Relaxed)
        .seal(message, &results, chain);
    Some(folded(&set.ok()?.to_header()))
}

/// The results as lines: relaxed canonicalization makes them one again (RFC 6376 §3.4.2).
fn folded(fields: &str) -> String {
    match fields.split_once("ARC-Authentication-Results: ") {
        Some((before, results)) => format!("{before}ARC-Authentication-Results: {}", results.replace("; ", ";\r\n\t")),
        None => fields.to_string(),
    }
}

/// The seals that the message has, which held when it came here (`arc=pass` in our own results).
fn chain<'x>(message: &'x AuthenticatedMessage<'x>, results: &str) -> Option<ArcOutput<'x>> {
    let count = message.as_headers.len();
    let held = results.split([' ', ';']).any(|word| word == "arc=pass");
    let whole = message.ams_headers.len() == count && message.aar_headers.len() == count && !message.has_arc_errors;
    if !whole || count > CHAIN_MAX || (count > 0 && !held) {
        return None;
    }
    if count == 0 {
        return Some(ArcOutput::default());
    }
    let sets = message.as_headers.iter().zip(&message.ams_headers).zip(&message.aar_headers);
    let mut output = ArcOutput::default().with_result(DkimResult::Pass);
    for (at, ((seal, signature), results)) in (1..).zip(sets) {
        if [seal.header.i, signature.header.i, results.header.i] != [at; 3] {
            return None;
        }
        output = output.with_set(Set {
            signature: Header::new(signature.name, signature.value, &signature.header),
            seal: Header::new(seal.name, seal.value, &seal.header),
            results: Header::new(results.name, results.value, &results.header),
        });
    }
    Some(output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dkim::{KeyKind, generate};
    use std::sync::Arc;
    use zcluster_delivery::Signer;

    const RAW: &str = "From: A <a@a.example>\r\nTo: b@us.example\r\nSubject: s\r\n\r\nHello.\r\n";

    fn domain(kinds: &[KeyKind]) -> (Arc<Dkim>, Attributes) {
        let mut attrs = Attributes::new();
        attrs.set("DKIMSelector", (0..kinds.len()).map(|n| format!("s{n}")).collect());
        attrs.set("DKIMKey", kinds.iter().map(|k| generate(*k).unwrap()).collect());
        (Dkim::new(), attrs)
    }

    #[test]
    fn a_seal_of_three_fields_and_one_over_it() {
        let (keys, attrs) = domain(&[KeyKind::Ed25519, KeyKind::Rsa]);
        let first =
            keys.seal("us.example", &attrs, "mx.us.example; spf=pass smtp.mailfrom=a; dmarc=pass", RAW.as_bytes());
        assert!(first.starts_with("ARC-Seal: i=1; a=rsa-sha256; s=s1; d=us.example; cv=none;"), "{first}");
        assert!(first.contains("\r\nARC-Message-Signature: i=1; a=rsa-sha256;"), "{first}");
        let results =
            "ARC-Authentication-Results: i=1;\r\n\tmx.us.example;\r\n\tspf=pass smtp.mailfrom=a;\r\n\tdmarc=pass\r\n";
        assert!(first.ends_with(results), "{first}");
        let again = format!("{first}{RAW}");
        let second = keys.seal("us.example", &attrs, "mx2.example; arc=pass", again.as_bytes());
        assert!(second.starts_with("ARC-Seal: i=2;") && second.contains("cv=pass"), "{second}");
        // What nobody checked, or what did not hold, is not sealed over.
        for results in ["mx2.example; spf=pass", "mx2.example; arc=fail", "mx2.example; x=arc=pass"] {
            assert_eq!(keys.seal("us.example", &attrs, results, again.as_bytes()), "", "{results}");
        }
    }

    #[test]
    fn no_key_no_seal() {
        assert_eq!(Dkim::new().seal("us.example", &Attributes::new(), "mx; none", RAW.as_bytes()), "");
    }
}

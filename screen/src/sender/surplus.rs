//! Signatures cost the receiver a look-up, a hash of the message and a check each: there is a bound to them.

use bytes::Bytes;
use zcluster_mail::fields;

/// `DKIM-Signature` fields that are checked, from the top. RFC 6376 §6.1 lets a verifier limit them.
const DKIM_MAX: usize = 8;
/// Fields of one kind of ARC's three: a longer chain is not looked at. RFC 8617 §4.2.1 allows 50.
const ARC_MAX: usize = 10;

/// The message without the signatures that are too many.
pub fn without(raw: &Bytes) -> Bytes {
    let arc = ["ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"];
    let count = |name: &str| fields(raw).filter(|field| field.is(name)).count();
    let no_arc = arc.iter().any(|name| count(name) > ARC_MAX);
    if count("DKIM-Signature") <= DKIM_MAX && !no_arc {
        return raw.clone();
    }
    let (mut out, mut end, mut signatures) = (Vec::with_capacity(raw.len()), 0, 0);
    for field in fields(raw) {
        end += field.raw.len();
        if field.is("DKIM-Signature") {
            signatures += 1;
            if signatures > DKIM_MAX {
                continue;
            }
        } else if no_arc && arc.iter().any(|name| field.is(name)) {
            continue;
        }
        out.extend_from_slice(field.raw);
    }
    out.extend_from_slice(&raw[end..]);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signatures_stay() {
        let one = |i: usize| format!("DKIM-Signature: {i}\r\n");
        let many: String = (0..20).map(one).collect();
        let raw = Bytes::from(format!("A: b\r\n{many}Subject: x\r\n\r\nDKIM-Signature: body\r\n"));
        let first: String = (0..DKIM_MAX).map(one).collect();
        let expected = format!("A: b\r\n{first}Subject: x\r\n\r\nDKIM-Signature: body\r\n");
        assert_eq!(without(&raw), expected.as_bytes());
        let chain = "ARC-Seal: i=1\r\n".repeat(ARC_MAX + 1);
        let raw = Bytes::from(format!("{chain}ARC-Message-Signature: i=1\r\nSubject: x\r\n\r\n"));
        assert_eq!(without(&raw), &b"Subject: x\r\n\r\n"[..]);
        let plain = Bytes::from_static(b"ARC-Seal: i=1\r\n\r\n");
        assert_eq!(without(&plain), plain);
    }
}

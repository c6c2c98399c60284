//! Sender Rewriting Scheme: a forwarded message leaves under an address of the forwarder, `SRS0=hash=time=domain=user`, in
//! which the sender is kept, so that SPF holds and reports come back. An address that was rewritten by another forwarder
//! before becomes `SRS1=hash=forwarder==rest`, which returns straight to the first one (Shevek, "The Sender Rewriting
//! Scheme", 2004).

/// Sets the proofs apart from other uses of BLAKE3.
const KEY_CONTEXT: &str = "zcluster SRS: secret; v1";
/// Characters of a proof: 40 bits.
const PROOF_CHARS: usize = 8;
/// Days for which an address is good.
const DAYS_MAX: u64 = 21;
/// Days after which the two characters of time begin again.
const DAYS_CYCLE: u64 = 1024;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// Bytes of a local part (RFC 5321 §4.5.3.1.1 has 64; what is longer is common for SRS, and passes nearly everywhere).
const LOCAL_BYTES_MAX: usize = 250;
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Makes and opens such addresses.
#[derive(Clone)]
pub struct Srs {
    keys: Vec<[u8; 32]>,
}

fn base32(bits: u64, chars: usize) -> String {
    (0..chars).rev().map(|n| char::from(ALPHABET[(bits >> (5 * n)) as usize & 31])).collect()
}

fn unbase32(text: &str) -> Option<u64> {
    text.bytes().try_fold(0u64, |sum, b| {
        let digit = ALPHABET.iter().position(|a| *a == b.to_ascii_lowercase())? as u64;
        sum.checked_mul(32).map(|s| s + digit)
    })
}

/// Takes `SRS0` or `SRS1` and the sign behind it off.
fn tagged<'a>(local: &'a str, tag: &str) -> Option<&'a str> {
    let (start, rest) = local.split_at_checked(4)?;
    let rest = start.eq_ignore_ascii_case(tag).then_some(rest)?;
    rest.strip_prefix(['=', '+', '-'])
}

impl Srs {
    /// With the site's secrets; the first one signs, all of them prove. None: there is no secret.
    pub fn of(secrets: &[String]) -> Option<Srs> {
        let keys: Vec<_> =
            secrets.iter().filter(|s| !s.is_empty()).map(|s| blake3::derive_key(KEY_CONTEXT, s.as_bytes())).collect();
        (!keys.is_empty()).then_some(Srs { keys })
    }

    /// Mail systems on the way may change the case.
    fn proof(key: &[u8; 32], what: &str) -> String {
        let hash = blake3::keyed_hash(key, what.to_lowercase().as_bytes());
        let bits = hash.as_bytes().iter().take(5).fold(0u64, |sum, b| (sum << 8) | u64::from(*b));
        base32(bits, PROOF_CHARS)
    }

    fn proves(&self, proof: &str, what: &str) -> bool {
        self.keys.iter().any(|key| Self::proof(key, what).eq_ignore_ascii_case(proof))
    }

    /// The address for mail of `sender` that leaves `domain`. None: it cannot be written so (then it leaves as it is).
    pub fn forward(&self, sender: &str, domain: &str, now_ms: u64) -> Option<String> {
        let (local, from) = sender.rsplit_once('@')?;
        if domain.is_empty() || local.is_empty() || from.is_empty() || local.starts_with('"') {
            return None;
        }
        let key = self.keys.first()?;
        let rewritten = if let Some(rest) = tagged(local, "SRS1") {
            // The first forwarder stays the first.
            let (_, rest) = rest.split_once('=')?;
            format!("SRS1={}={rest}", Self::proof(key, rest))
        } else if local.get(..4).is_some_and(|tag| tag.eq_ignore_ascii_case("SRS0")) {
            let rest = format!("{from}={}", local.get(4..)?);
            format!("SRS1={}={rest}", Self::proof(key, &rest))
        } else {
            let time = base32((now_ms / DAY_MS) % DAYS_CYCLE, 2);
            let rest = format!("{time}={from}={local}");
            format!("SRS0={}={rest}", Self::proof(key, &rest))
        };
        (rewritten.len() <= LOCAL_BYTES_MAX).then(|| format!("{rewritten}@{domain}"))
    }

    /// The address behind one of ours, when the proof is right and its time not over.
    pub fn reverse(&self, address: &str, now_ms: u64) -> Option<String> {
        let (local, _) = address.rsplit_once('@')?;
        if let Some(rest) = tagged(local, "SRS1") {
            let (proof, rest) = rest.split_once('=')?;
            let (forwarder, theirs) = rest.split_once('=')?;
            let fit = !forwarder.is_empty() && theirs.len() > 1;
            return (fit && self.proves(proof, rest)).then(|| format!("SRS0{theirs}@{forwarder}"));
        }
        let (proof, rest) = tagged(local, "SRS0")?.split_once('=')?;
        if !self.proves(proof, rest) {
            return None;
        }
        let (time, rest) = rest.split_once('=')?;
        let (domain, user) = rest.split_once('=')?;
        let (then, today) = (unbase32(time)?, (now_ms / DAY_MS) % DAYS_CYCLE);
        // A clock that lags a day behind the one that wrote it does no harm.
        let age = (today + 1 + DAYS_CYCLE - then) % DAYS_CYCLE;
        let fit = !user.is_empty() && !domain.is_empty() && age <= DAYS_MAX + 1;
        fit.then(|| format!("{user}@{domain}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 20_000 * DAY_MS;

    fn srs(secrets: &[&str]) -> Srs {
        Srs::of(&secrets.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn there_and_back_in_time() {
        let s = srs(&["secret"]);
        let address = s.forward("alice@example.com", "forwarder.net", NOW).unwrap();
        assert!(address.starts_with("SRS0=") && address.ends_with("=example.com=alice@forwarder.net"), "{address}");
        assert_eq!(s.reverse(&address.to_lowercase(), NOW + 20 * DAY_MS).as_deref(), Some("alice@example.com"));
        assert_eq!(s.reverse(&address, NOW + 30 * DAY_MS), None, "too old");
        assert_eq!(srs(&["other"]).reverse(&address, NOW), None, "not ours");
        assert_eq!(srs(&["new", "secret"]).reverse(&address, NOW).as_deref(), Some("alice@example.com"));
        assert_eq!(s.reverse("alice@forwarder.net", NOW), None);
        assert_eq!(s.reverse("a\u{11c38}@forwarder.net", NOW), None);
        assert!(Srs::of(&[]).is_none() && Srs::of(&[String::new()]).is_none());
    }

    #[test]
    fn a_second_forwarder_sends_reports_to_the_first() {
        let (one, two, three) = (srs(&["1"]), srs(&["2"]), srs(&["3"]));
        let first = one.forward("alice@example.com", "one.net", NOW).unwrap();
        let second = two.forward(&first, "two.net", NOW).unwrap();
        assert!(
            second.starts_with("SRS1=") && second.contains("=one.net==") && second.ends_with("@two.net"),
            "{second}"
        );
        assert_eq!(two.reverse(&second, NOW), Some(first.clone()));
        let third = three.forward(&second, "three.net", NOW).unwrap();
        assert_eq!(three.reverse(&third, NOW), Some(first));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_answered(text in "\\PC{0,80}", local in "(SRS[01][=+-])?[a-z0-9=@.+-]{0,40}", domain in "[a-z0-9.=]{0,20}") {
            let s = srs(&["x"]);
            let address = format!("{local}@{domain}");
            for a in [&text, &address, &local] {
                let _ = s.reverse(a, NOW);
                let _ = s.forward(a, &domain, NOW);
            }
        }

        #[test]
        fn plain_addresses_come_back(local in "[a-z][a-z0-9=.+-]{0,20}", domain in "[a-z0-9]{1,10}\\.[a-z]{2,4}", day in 0u64..3_000) {
            let (s, sender) = (srs(&["x"]), format!("{local}@{domain}"));
            prop_assume!(!sender.starts_with("srs"));
            let address = s.forward(&sender, "f.net", day * DAY_MS).unwrap();
            prop_assert_eq!(s.reverse(&address, day * DAY_MS + 5 * DAY_MS), Some(sender));
        }
    }
}

//! Hashes of `Secret-9` that other programs made: openssl passwd, htpasswd, slappasswd, doveadm pw, Python's passlib,
//! and glibc's crypt.

use super::super::{is_password_hash, scheme_not_supported, verify_password};
use proptest::prelude::*;

const MADE_ELSEWHERE: &[&str] = &[
    // openssl passwd -1, -5, -6, -apr1
    "$1$saltsalt$XcKBzET4YN2NGj2ubvqv60",
    "$5$saltsalt$92fkbM0Pcu/E9GP.y5QNiPvd.rJ/jNChmG9CDrz2H09",
    "$6$saltsalt$5WTEYuazZryBmAm1hDsdzmSZbP/p9QTouyzRijUw1nscFy5P0Ih6mcymrkQ5NO1bMaGjvJ1paSXOACnxjDFnP0",
    "$apr1$saltsalt$7jFb22liZ5UWT4SKgvFwE.",
    // htpasswd -B, -s, -m
    "$2y$05$zHHlt2fZDmHeyC7.SW3sbuvkqi.mSaVbUC0sz5GkMXtL6ElF5J9aa",
    "{SHA}xAMJbqhxtPgXYpKleiTqV72JXV0=",
    "$apr1$iXNB.Y41$pABa8EZqAL8fBOUcy51th0",
    // slappasswd
    "{SSHA}kmOlqpxDQlmOWSUhLPWmNFoImundgbl2",
    "{SMD5}sAVdYQURu1UdYmCkpqOHbcBA0Gw=",
    "{MD5}AVT1ys5qGCG82I84ZipcNQ==",
    // doveadm pw
    "{SSHA}NrM45WJK92G60jnAoif/2PPMge26LdGp",
    "{SSHA256}+rsIy70Z+VVGm/ilv13/G/SYiW7IMR4c/QGrFefNWWHrs6rt",
    "{SSHA512}NkVZrdgHGjDqlferZofvtSR+tVPCLZqN7W7R285GGjWWMC++DsPooTzz8w3VpKgnSCGk1Z5LFniVISrK8PyuQ41Nqgs=",
    "{SHA256}1z561iv7em1B6LmdVwAhsF/2PVlAcWl+YHpx/enfluI=",
    "{SHA512}as+fCVNCKARMoTcYZsphx9oKK/kVlBJJ6ZA/pvuGJKMQ9eQErHa5TXYp10LVFzWMfcplVA18xsGXs5VU+QHkiw==",
    "{SMD5}MBAbDgKpkzdYmZDT6fXpl484jxo=",
    "{LDAP-MD5}AVT1ys5qGCG82I84ZipcNQ==",
    "{PLAIN-MD5}0154f5cace6a1821bcd88f38662a5c35",
    "{PBKDF2}$1$t2WM7HLNC/x4SmE7$5000$e51cec22c5ba48df45438bb2d6afc1429ea07f52",
    "{BLF-CRYPT}$2y$05$fD3rVdW4F9cQhWN6ixJWUOUXLqrCiZ.sQNdnZmriLx78fqPPes4PC",
    "{SHA256-CRYPT}$5$cQQu7fNshSUwRYzo$cEwUiTSFmH5yKTe9t4/P8wz3agKGBXn0PVL.Sn9EhI6",
    "{SHA512-CRYPT}$6$9Tg2yWCahptyevX2$S88SrboytCBsEuxJg6rTTmZNIDags3gnXQXbM6VxTgVbXsw/J11HhedGJQGtZhQMv5iSzoz44ShpNdqpriZ5m.",
    "{MD5-CRYPT}$1$gumcAp/P$aEIwpAbxY.bb7lTTa7caZ.",
    "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$9FhF/LSe0OubLgiqZTafyA$MjzHGzKPFjSpuCNkKRUzs33OqESLhWvTS5Us1rrVBNw",
    "{SCRAM-SHA-256}4096,DBY+Iy4G8ruoDckdKejesA==,iBZmd54cA+eK9ox+S1/zvUCcNVJ06hKOu62/DQ5D/Gc=,sFko9I+h/CBHUBmyBxkkpvxxZZMSDoeNryVuhAL321U=",
    "{CRYPT}$2y$05$ZaNqawP8kDxrm8N3WqOhoOIjhg3mVPLQ6Er0At.qgWyBMVIDuFhKu",
    // passlib
    "$pbkdf2-sha256$1000$XMsZ41zL2VuLsfa.13oPwQ$/Au.Gfch3un2g23q2h9HiHLBT6x9mvdVJuZFJFemOhY",
    "$pbkdf2-sha512$1000$NqZUivFeS0nJuXfO.T8H4A$MRz7pvUXsV3539KjmcOt3P9we.W4JeWroGTHvMnbc1JvURcQXYexPnYXkR103S0quWBcBWUwMZHojlhasFQVwA",
    "$pbkdf2$1000$0jpnTCnlHOO8N4ZQSgnBWA$skCZ2m2qKTl9M9Pru9Dtj0fKicc",
    "{PBKDF2-SHA256}1000$K.X8HwNgbA1BSAkhJCSEMA$VQRMvzTISg.3TNMakt5LMT6DPpJ0HskLASInvV3RVJ4",
    "{PBKDF2-SHA512}1000$TAkhRAghRIgR4hxjTOkdIw$JuF3uSpgnRXgGYaQN7T2XJsPhTyNZzLiXep1gVD/GLNdoeHvYLFLNqX4Sll7Xgy3aNAFGohpOB7Mw8fqZMTwEQ",
    "{PBKDF2}1000$YuydM4ZwLuUcA8AYY.wdww$DeBHxIGbr1CQidpCVLpvawMUSOY",
    "{CRYPT}$2b$05$YKVRjKEPVSs0uElwzCAs3.ED3wsWbw0dFkLFNeGm/cer/pQSsgtHW",
    "{CRYPT}$6$rounds=1000$L9A4Ijhm8v1./ImG$gmecJuUEW4XijfyW4SsKTmnC21KmKWO8JpckawwI5Ztcf/36.mJ39mqIggVaPwTUwoEZYjqAR32wnxhrVKUL01",
    "{CRYPT}$1$wFNHMfvY$7uGLUqfCblJG8rmcoEN42/",
    "{SSHA256}fotl1ogM/JwJ1gSdTjFphQm4dRy1v1rDkVU7mfiWHkEKgdDa25vTGg==",
    "{PKCS5S2}HWMMAWCMMaa0NsbYG2OsFfnAvkGQYJD2XFxJsckPYnjrAnR7qTnf/bCQHSqbMJYS",
    "{ARGON2}$argon2id$v=19$m=64,t=1,p=4$sraWEmLMeQ8hpNS6d85ZCw$0lGCdKCqALvw7LcVxPjLpt+33da1D5iK5IbMJWaQ+Ow",
    "$5$rounds=1000$NdTBOyHWEUFgg9kp$k//e42V2Q9US0rfecj8zj41q9Wf30B/zbzAoZc1mTB1",
    "$2b$05$EcGoHLDqjGWeetbX/Xse7.hU4KNA362YdLT7OpsjGoznBd.BXqcqG",
    // glibc's crypt
    "$y$j75$abcdefghijkl$EL4UJaMe09hjNC681xRDubIQjcMNBT8LhOidG5bmgy9",
    "{CRYPT}$y$j9T$abcdefghijkl$LTtL1v9psqQ5o1zfga/RLmY0x5COG0NosPBHbqNMf22",
];

#[test]
fn hashes_that_other_programs_made() {
    for stored in MADE_ELSEWHERE {
        assert!(is_password_hash(stored), "{stored}");
        assert!(verify_password(stored, b"Secret-9"), "{stored}");
        assert!(!verify_password(stored, b"secret-9") && !verify_password(stored, b""), "{stored}");
        assert!(!verify_password(stored, stored.as_bytes()), "{stored}");
        assert_eq!(scheme_not_supported(stored), None, "{stored}");
    }
}

#[test]
fn what_asks_for_too_much_or_is_not_known_verifies_nothing() {
    for (stored, scheme) in [
        ("{CRYPT}UK.p.qYRBu9p6", Some("CRYPT")),
        (
            "$6$rounds=999999999$L9A4Ijhm8v1./ImG$gmecJuUEW4XijfyW4SsKTmnC21KmKWO8JpckawwI5Ztcf/36.mJ39mqIggVaPwTUwoEZYjqAR32wnxhrVKUL01",
            Some("6"),
        ),
        ("$2b$31$EcGoHLDqjGWeetbX/Xse7.hU4KNA362YdLT7OpsjGoznBd.BXqcqG", Some("2b")),
        ("$y$jFT$abcdefghijkl$LTtL1v9psqQ5o1zfga/RLmY0x5COG0NosPBHbqNMf22", Some("y")),
        (
            "$pbkdf2-sha256$4000000000$XMsZ41zL2VuLsfa.13oPwQ$/Au.Gfch3un2g23q2h9HiHLBT6x9mvdVJuZFJFemOhY",
            Some("pbkdf2-sha256"),
        ),
        ("{SSHA}xAMJbqhxtPgXYpKleiTqV72JXV0=", Some("SSHA")),
        ("{SHA}kmOlqpxDQlmOWSUhLPWmNFoImundgbl2", Some("SHA")),
        ("{NT}0123456789abcdef", Some("NT")),
        ("secret", None),
        ("{not a scheme}x", None),
        ("$money", None),
    ] {
        assert!(!is_password_hash(stored), "{stored}");
        assert!(!verify_password(stored, b"Secret-9"), "{stored}");
        assert_eq!(scheme_not_supported(stored).as_deref(), scheme, "{stored}");
    }
}

#[test]
fn long_and_multibyte_passwords() {
    // openssl passwd -1 and -6, slappasswd and glibc's bcrypt (which looks at 72 bytes only) of "pässwörd-" repeated eight times.
    let password = "p\u{e4}ssw\u{f6}rd-".repeat(8);
    for stored in [
        "$1$NaCl$1xwJ6Qg87tcx8SByGQOJ./",
        "$6$NaCl$dCTizWXRLLjo6z5Yac9w2W82hEbFTfQwFhd9c8iwcB.LEhM770J7EMCYwkhbMhXielSBX4Y5yDcrH0Dc9/J6W/",
        "{SSHA}DsrDv9u5xVxnSS/r2XdMrwAm3aF04+Zi",
        "$2b$05$abcdefghijklmnopqrstuuVwukLr0de83f16UEn5HZfnkkhbO6Xqy",
    ] {
        assert!(verify_password(stored, password.as_bytes()), "{stored}");
        assert!(!verify_password(stored, &password.as_bytes()[1..]), "{stored}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_fail(
        head in prop::sample::select(vec!["{CRYPT}", "{SSHA}", "{PBKDF2}", "{PBKDF2-SHA512}", "{MD5}", "$1$", "$5$", "$6$",
            "$2y$", "$y$", "$y$j75$", "$argon2id$", "$pbkdf2$", "{PKCS5S2}", "{", "$", "{SCRAM-SHA-256}", "{CRYPT}$5$rounds="]),
        tail in "\\PC{0,60}",
    ) {
        let stored = format!("{head}{tail}");
        let _ = is_password_hash(&stored);
        let _ = scheme_not_supported(&stored);
        prop_assert!(!verify_password(&stored, b"Secret-9"));
    }
}

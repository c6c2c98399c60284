//! One-time codes by time (RFC 6238 over RFC 4226), as phones show them.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use data_encoding::BASE32_NOPAD;
use std::fmt::Write;
use zcluster_api::directory::{Attributes, duration};

/// Digits of a code that phones can show.
const DIGITS: std::ops::RangeInclusive<u32> = 6..=8;
/// Windows on either side of now that are accepted at most.
const WINDOWS_MAX: u64 = 10;
/// Letters of a new secret in base32: RFC 4226 §4 wants at least 128 bits, Zimbra's default of 16 letters has 80.
const SECRET_LETTERS: std::ops::RangeInclusive<usize> = 26..=128;

/// The site's choices (`zimbraTwoFactor...` of the global config).
#[derive(Clone, Copy, Debug)]
pub(crate) struct TotpConfig {
    algorithm: Algorithm,
    digits: u32,
    window_s: u64,
    offset: u64,
    letters: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Sha1,
    Sha256,
    Sha512,
}

impl TotpConfig {
    /// From the global config; what is missing or out of bounds is Zimbra's default: SHA1, six digits, half a minute, one
    /// window before and after.
    pub(crate) fn new(config: &Attributes) -> Self {
        let number = |name: &str| config.get(name).and_then(|v| v.parse::<u64>().ok());
        let digits = number("zimbraTwoFactorCodeLength").and_then(|n| u32::try_from(n).ok());
        let window = config.get("zimbraTwoFactorTimeWindowLength").and_then(duration).map(|d| d.as_secs());
        let letters = number("zimbraTwoFactorAuthSecretLength").and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        TotpConfig {
            algorithm: match config.get("zimbraTwoFactorAuthHashAlgorithm") {
                Some("SHA256") => Algorithm::Sha256,
                Some("SHA512") => Algorithm::Sha512,
                _ => Algorithm::Sha1,
            },
            digits: digits.filter(|n| DIGITS.contains(n)).unwrap_or(6),
            window_s: window.filter(|s| (10..=300).contains(s)).unwrap_or(30),
            offset: number("zimbraTwoFactorTimeWindowOffset").unwrap_or(1).min(WINDOWS_MAX),
            letters: letters.clamp(*SECRET_LETTERS.start(), *SECRET_LETTERS.end()),
        }
    }

    /// Bytes to draw for a new secret.
    pub(crate) fn secret_bytes(&self) -> usize {
        self.letters * 5 / 8
    }

    /// The window in which `code` is right, if it is in one that is near enough and later than `after`.
    pub(crate) fn window_of(&self, secret: &[u8], code: &str, now_ms: u64, after: u64) -> Option<u64> {
        let code = code.trim();
        let now = now_ms / 1_000 / self.window_s;
        let mut found = None;
        // All of them, so that the time tells nothing.
        for window in now.saturating_sub(self.offset)..=now.saturating_add(self.offset) {
            let right = verify_slices_are_equal(self.code(secret, window).as_bytes(), code.as_bytes()).is_ok();
            if right && window > after {
                found = Some(window);
            }
        }
        found
    }

    /// RFC 4226 §5.3.
    fn code(&self, secret: &[u8], window: u64) -> String {
        let algorithm = match self.algorithm {
            Algorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Algorithm::Sha256 => hmac::HMAC_SHA256,
            Algorithm::Sha512 => hmac::HMAC_SHA512,
        };
        let tag = hmac::sign(&hmac::Key::new(algorithm, secret), &window.to_be_bytes());
        let tag = tag.as_ref();
        let at = usize::from(tag.last().copied().unwrap_or(0) & 0x0f);
        let bits = tag.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes) & 0x7fff_ffff;
        format!("{:0width$}", bits % 10_u32.pow(self.digits), width = self.digits as usize)
    }

    /// What a phone scans: Google's `otpauth:` form, which all apps take.
    pub(crate) fn uri(&self, secret: &[u8], account: &str, issuer: &str) -> String {
        let algorithm = match self.algorithm {
            Algorithm::Sha1 => "SHA1",
            Algorithm::Sha256 => "SHA256",
            Algorithm::Sha512 => "SHA512",
        };
        let (secret, issuer) = (BASE32_NOPAD.encode(secret), percent(issuer));
        format!(
            "otpauth://totp/{issuer}:{}?secret={secret}&issuer={issuer}&algorithm={algorithm}&digits={}&period={}",
            percent(account),
            self.digits,
            self.window_s
        )
    }
}

fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, b| {
        if b.is_ascii_alphanumeric() || b"-._~@".contains(&b) {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "%{b:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(algorithm: &str, digits: &str) -> TotpConfig {
        let mut attrs = Attributes::new();
        attrs.set("zimbraTwoFactorAuthHashAlgorithm", vec![algorithm.into()]);
        attrs.set("zimbraTwoFactorCodeLength", vec![digits.into()]);
        TotpConfig::new(&attrs)
    }

    #[test]
    fn rfc_6238_appendix_b() {
        let seed = |bytes: usize| b"1234567890".iter().copied().cycle().take(bytes).collect::<Vec<u8>>();
        for (seconds, sha1, sha256, sha512) in [
            (59, "94287082", "46119246", "90693936"),
            (1_111_111_109, "07081804", "68084774", "25091201"),
            (1_111_111_111, "14050471", "67062674", "99943326"),
            (1_234_567_890, "89005924", "91819424", "93441116"),
            (2_000_000_000, "69279037", "90698825", "38618901"),
            (20_000_000_000, "65353130", "77737706", "47863826"),
        ] {
            for (algorithm, bytes, want) in [("SHA1", 20, sha1), ("SHA256", 32, sha256), ("SHA512", 64, sha512)] {
                let config = config(algorithm, "8");
                let at = config.window_of(&seed(bytes), want, seconds * 1_000, 0);
                assert_eq!(at, Some(seconds / 30), "{algorithm} {seconds}");
            }
        }
    }

    #[test]
    fn oathtool_agrees() {
        // oathtool --totp -b -N '2026-01-01 00:00:00 UTC' JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP
        let secret = BASE32_NOPAD.decode(b"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP").unwrap();
        assert_eq!(config("SHA1", "6").window_of(&secret, OATHTOOL, 1_767_225_600_000, 0), Some(58_907_520));
    }

    const OATHTOOL: &str = "452777";

    #[test]
    fn near_windows_once_each() {
        let config = config("SHA1", "6");
        let now_ms = 1_000 * 30 * 1_000;
        let code = |window| config.code(b"12345678901234567890", window);
        let of = |text: &str, after| config.window_of(b"12345678901234567890", text, now_ms, after);
        for window in [999, 1_000, 1_001] {
            assert_eq!(of(&code(window), 0), Some(window));
            assert_eq!(of(&code(window), window), None, "used already");
            assert_eq!(of(&format!(" {} ", code(window)), window - 1), Some(window));
        }
        assert_eq!((of(&code(998), 0), of(&code(1_002), 0)), (None, None));
        assert_eq!((of("", 0), of("000000000", 0), of("\u{661}23456", 0)), (None, None, None));
    }

    #[test]
    fn what_a_phone_scans() {
        assert_eq!(
            config("SHA1", "6").uri(b"12345678901234567890", "alice@example.com", "Ex & Co"),
            "otpauth://totp/Ex%20%26%20Co:alice@example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Ex%20%26%20Co&algorithm=SHA1&digits=6&period=30"
        );
    }
}

//! The client's side of SCRAM-SHA-256, for whatever of ours signs in elsewhere and for tests.

use crate::scram_keys::{ScramKeys, hash, mac};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A client's half of one exchange; all messages are base64, as they stand on the line.
pub struct ScramClient {
    password: String,
    header: String,
    binding: Vec<u8>,
    bare: String,
    answer: Option<Vec<u8>>,
}

impl ScramClient {
    /// Iterations a server may ask for.
    const ITERATIONS_MAX: u32 = 1_000_000;

    /// `header` is RFC 5802 §7's `gs2-header` (`n,,` without channel binding), `binding` the channel binding's data.
    pub fn new(user: &str, password: &str, header: &str, binding: &[u8]) -> Self {
        let nonce = STANDARD.encode(zcluster_runtime::random_bytes::<18>());
        let name = user.replace('=', "=3D").replace(',', "=2C");
        ScramClient {
            password: password.into(),
            header: header.into(),
            binding: binding.to_vec(),
            bare: format!("n={name},r={nonce}"),
            answer: None,
        }
    }

    /// The first message.
    pub fn first(&self) -> String {
        STANDARD.encode(format!("{}{}", self.header, self.bare))
    }

    /// The last message, to the server's first; nothing when that makes no sense.
    pub fn last(&mut self, challenge: &str) -> Option<String> {
        let challenge = String::from_utf8(STANDARD.decode(challenge).ok()?).ok()?;
        let mut attributes = challenge.split(',');
        let nonce = attributes.next()?.strip_prefix("r=")?;
        let salt = STANDARD.decode(attributes.next()?.strip_prefix("s=")?).ok()?;
        let iterations = attributes.next()?.strip_prefix("i=")?.parse().ok()?;
        let own = self.bare.rsplit_once(",r=").map(|(_, nonce)| nonce)?;
        if !nonce.starts_with(own) || nonce.len() == own.len() || iterations > Self::ITERATIONS_MAX {
            return None;
        }
        let (client_key, server_key) = ScramKeys::client_and_server(&self.password, &salt, iterations);
        let binding = STANDARD.encode([self.header.as_bytes(), &self.binding].concat());
        let without_proof = format!("c={binding},r={nonce}");
        let auth_message = format!("{},{challenge},{without_proof}", self.bare);
        let mut proof = mac(&hash(&client_key), auth_message.as_bytes());
        proof.iter_mut().zip(client_key).for_each(|(a, b)| *a ^= b);
        let server = hmac::Key::new(hmac::HMAC_SHA256, &server_key);
        self.answer = Some(hmac::sign(&server, auth_message.as_bytes()).as_ref().to_vec());
        Some(STANDARD.encode(format!("{without_proof},p={}", STANDARD.encode(proof))))
    }

    /// Whether the server's last message shows that it knows the password's keys.
    pub fn accepts(&self, message: &str) -> bool {
        let expected = self.answer.as_ref().map(|a| format!("v={}", STANDARD.encode(a)));
        expected.is_some() && STANDARD.decode(message).ok().and_then(|m| String::from_utf8(m).ok()) == expected
    }
}

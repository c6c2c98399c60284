//! Join tokens: what an operator carries from a member to a new node.

use anyhow::{Result, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What every token begins with; the digit is the format's version.
const PREFIX: &str = "zc1.";
/// Secret, CA hash and check bytes.
const BYTES: usize = 16 + 32 + 4;

/// Lets one node join, once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Known to the cluster by its hash only.
    pub secret: [u8; 16],
    /// SHA-256 of the cluster CA's certificate: the new node talks to nobody else.
    pub ca_hash: [u8; 32],
}

impl Token {
    /// A fresh one for the cluster with this CA.
    pub fn new(ca_der: &[u8]) -> Token {
        Token { secret: zcluster_runtime::random_bytes(), ca_hash: zcluster_rpc::identity::sha256(ca_der) }
    }

    /// What the cluster remembers.
    pub fn hash(&self) -> [u8; 32] {
        hash_secret(&self.secret)
    }

    /// As printed.
    pub fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend_from_slice(&self.secret);
        bytes.extend_from_slice(&self.ca_hash);
        bytes.extend_from_slice(&check(&bytes));
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads what [`encode`](Self::encode) printed.
    ///
    /// # Errors
    /// Says what to do when it is no token, was cut, or has a typing error.
    pub fn decode(text: &str) -> Result<Token> {
        let text = text.trim();
        let Some(rest) = text.strip_prefix(PREFIX) else {
            bail!("this is not a join token: print one with `zcluster token` on a member of the cluster");
        };
        let damaged =
            "the join token is damaged (cut off or mistyped): copy the whole line that `zcluster token` printed";
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(rest) else { bail!(damaged) };
        if bytes.len() != BYTES || check(&bytes[..BYTES - 4]) != bytes[BYTES - 4..] {
            bail!(damaged);
        }
        let (mut secret, mut ca_hash) = ([0; 16], [0; 32]);
        secret.copy_from_slice(&bytes[..16]);
        ca_hash.copy_from_slice(&bytes[16..48]);
        Ok(Token { secret, ca_hash })
    }
}

/// The hash by which the cluster knows a token's secret.
pub fn hash_secret(secret: &[u8; 16]) -> [u8; 32] {
    zcluster_rpc::identity::sha256(secret)
}

/// Four bytes that catch typing errors.
fn check(bytes: &[u8]) -> [u8; 4] {
    let hash = blake3::hash(bytes);
    [hash.as_bytes()[0], hash.as_bytes()[1], hash.as_bytes()[2], hash.as_bytes()[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_round_trip_and_every_typing_error_is_seen() {
        let token = Token::new(b"a certificate");
        let text = token.encode();
        assert!(Token::decode(&format!(" {text}\n")).unwrap() == token);
        for i in PREFIX.len()..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[i] = if bytes[i] == b'A' { b'B' } else { b'A' };
            assert!(Token::decode(&String::from_utf8(bytes).unwrap()).is_err(), "at {i}");
        }
        assert!(Token::decode(&text[..text.len() - 1]).is_err());
        assert!(Token::decode("").is_err());
    }
}

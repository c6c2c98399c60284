//! SCRAM-SHA-256's messages and proofs (RFC 5802, RFC 7677): the server's side, without I/O.

use super::SaslError;
use crate::channel::Bindings;
use crate::scram_keys::{KEY_BYTES, ScramKeys, hash, mac};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Random bytes in the server's part of the nonce.
pub(super) const NONCE_BYTES: usize = 18;
/// Bytes of a client's nonce.
const CLIENT_NONCE_MAX: usize = 1_024;

/// What the client says of channel binding (RFC 5802 §7 `gs2-cbind-flag`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flag<'a> {
    /// `n`: it cannot.
    Cannot,
    /// `y`: it could, but believes that the server cannot.
    BelievesNot,
    /// `p=name`: it does.
    Binds(&'a str),
}

/// `client-first-message`.
pub(super) struct ClientFirst<'a> {
    flag: Flag<'a>,
    /// Whom the client wants to act as.
    pub authzid: Option<String>,
    /// Who it is.
    pub user: String,
    nonce: &'a str,
    header: &'a str,
    bare: &'a str,
}

impl<'a> ClientFirst<'a> {
    /// RFC 5802 §7: `gs2-cbind-flag "," [authzid] "," [reserved-mext ","] username "," nonce ["," extensions]`.
    pub(super) fn parse(message: &'a str) -> Result<Self, SaslError> {
        let bad = || SaslError::Malformed;
        let (flag, rest) = message.split_once(',').ok_or_else(bad)?;
        let (authzid, bare) = rest.split_once(',').ok_or_else(bad)?;
        let header = message.strip_suffix(bare).ok_or_else(bad)?;
        let flag = match flag {
            "n" => Flag::Cannot,
            "y" => Flag::BelievesNot,
            _ => Flag::Binds(flag.strip_prefix("p=").filter(|name| is_binding_name(name)).ok_or_else(bad)?),
        };
        let authzid = match authzid {
            "" => None,
            _ => Some(saslname(authzid.strip_prefix("a=").ok_or_else(bad)?)?),
        };
        // `m=` in front would be an extension that must be understood: there is none.
        let mut attributes = bare.split(',');
        let user = saslname(attributes.next().and_then(|a| a.strip_prefix("n=")).ok_or_else(bad)?)?;
        let nonce = attributes.next().and_then(|a| a.strip_prefix("r=")).filter(|n| is_nonce(n)).ok_or_else(bad)?;
        // Extensions behind it may be passed over (§5.1).
        if !attributes.all(is_extension) {
            return Err(bad());
        }
        Ok(ClientFirst { flag, authzid, user, nonce, header, bare })
    }

    /// Why channel binding makes the exchange fail, if it does (RFC 5802 §6). `plus_offered`: whether the server listed
    /// the -PLUS variant; a client that could bind and did not see it there has been lied to.
    pub(super) fn binding_fault(
        &self,
        plus: bool,
        bindings: &Bindings,
        plus_offered: impl FnOnce() -> bool,
    ) -> Result<Option<&'static str>, SaslError> {
        match (self.flag, plus) {
            (Flag::Binds(name), true) if bindings.get(name).is_none() => Ok(Some("channel binding type not supported")),
            (Flag::Binds(_), true) | (Flag::Cannot, false) => Ok(None),
            (Flag::BelievesNot, false) if plus_offered() => Ok(Some("downgraded: the client did not see -PLUS")),
            (Flag::BelievesNot, false) => Ok(None),
            // The mechanism's name and the flag must agree.
            (Flag::Binds(_), false) | (Flag::Cannot | Flag::BelievesNot, true) => Err(SaslError::Malformed),
        }
    }

    /// What `c=` of the final message must hold: the header, and the channel binding's data.
    pub(super) fn expected_binding(&self, bindings: &Bindings) -> Vec<u8> {
        let data = match self.flag {
            Flag::Binds(name) => bindings.get(name).unwrap_or_default(),
            Flag::Cannot | Flag::BelievesNot => &[],
        };
        [self.header.as_bytes(), data].concat()
    }
}

/// The server's half-way point: `server-first-message` and what the proof will be checked against.
pub(super) struct ServerFirst {
    keys: ScramKeys,
    nonce: String,
    client_bare: String,
    message: String,
    expected_binding: Vec<u8>,
}

impl ServerFirst {
    /// RFC 5802 §7: `nonce "," salt "," iteration-count`; `nonce` is the server's part of it.
    pub(super) fn new(first: &ClientFirst<'_>, keys: ScramKeys, nonce: &str, expected_binding: Vec<u8>) -> Self {
        let nonce = format!("{}{nonce}", first.nonce);
        let message = format!("r={nonce},s={},i={}", STANDARD.encode(&keys.salt), keys.iterations);
        ServerFirst { keys, nonce, client_bare: first.bare.to_string(), message, expected_binding }
    }

    /// To send.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// Checks the proof; gives `server-final-message`.
    ///
    /// # Errors
    /// What is wrong, for the log. The proof is looked at in any case, so that the time tells nothing.
    pub(super) fn verify(&self, last: &ClientFinal<'_>) -> Result<String, &'static str> {
        let auth_message = format!("{},{},{}", self.client_bare, self.message, last.without_proof);
        let signature = mac(&self.keys.stored, auth_message.as_bytes());
        let mut client_key = last.proof;
        client_key.iter_mut().zip(signature).for_each(|(a, b)| *a ^= b);
        let proven = verify_slices_are_equal(&hash(&client_key), &self.keys.stored).is_ok();
        let answer = mac(&self.keys.server, auth_message.as_bytes());
        if last.nonce != self.nonce {
            return Err("nonces differ");
        }
        if last.binding != self.expected_binding {
            return Err("channel bindings differ");
        }
        if proven { Ok(format!("v={}", STANDARD.encode(answer))) } else { Err("wrong proof") }
    }
}

/// `client-final-message`.
pub(super) struct ClientFinal<'a> {
    binding: Vec<u8>,
    nonce: &'a str,
    proof: [u8; KEY_BYTES],
    without_proof: &'a str,
}

impl<'a> ClientFinal<'a> {
    /// RFC 5802 §7: `channel-binding "," nonce ["," extensions] "," proof`.
    pub(super) fn parse(message: &'a str) -> Result<Self, SaslError> {
        let bad = || SaslError::Malformed;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or_else(bad)?;
        let proof = STANDARD.decode(proof).ok().and_then(|p| p.try_into().ok()).ok_or_else(bad)?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|a| a.strip_prefix("c=")).ok_or_else(bad)?;
        let binding = STANDARD.decode(binding).map_err(|_| bad())?;
        let nonce = attributes.next().and_then(|a| a.strip_prefix("r=")).ok_or_else(bad)?;
        if !attributes.all(is_extension) {
            return Err(bad());
        }
        Ok(ClientFinal { binding, nonce, proof, without_proof })
    }
}

/// RFC 5802 §7 `saslname`: `=2C` and `=3D` stand for comma and equals sign, which may not stand there themselves.
fn saslname(text: &str) -> Result<String, SaslError> {
    let mut pieces = text.split('=');
    let mut name = pieces.next().unwrap_or_default().to_string();
    for piece in pieces {
        let (sign, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(SaslError::Malformed),
        };
        name.push(sign);
        name.push_str(rest);
    }
    if name.is_empty() || name.contains('\0') { Err(SaslError::Malformed) } else { Ok(name) }
}

/// RFC 5056 §7: letters, digits, period and hyphen.
fn is_binding_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
}

/// RFC 5802 §7 `printable`: ASCII but comma.
fn is_nonce(text: &str) -> bool {
    (1..=CLIENT_NONCE_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b',')
}

/// `attr-val`: a letter, an equals sign, a value.
fn is_extension(attribute: &str) -> bool {
    let mut bytes = attribute.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic()) && bytes.next() == Some(b'=') && bytes.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

    /// RFC 7677 §3.
    #[test]
    fn rfc_7677_example() {
        let first = ClientFirst::parse(FIRST).unwrap();
        assert_eq!(first.user, "user");
        let keys = ScramKeys::derive("pencil", &STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap(), 4_096);
        let binding = first.expected_binding(&Bindings::default());
        let server = ServerFirst::new(&first, keys, SERVER_NONCE, binding);
        assert_eq!(
            server.message(),
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let verify = |text: &str| server.verify(&ClientFinal::parse(text).unwrap());
        assert_eq!(verify(last).as_deref(), Ok("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert_eq!(verify(&last.replace("p=dHz", "p=dHy")), Err("wrong proof"));
        assert_eq!(verify(&last.replace("r=rOpr", "r=rOps")), Err("nonces differ"));
        assert_eq!(verify(&last.replace("biws", "eSws")), Err("channel bindings differ"));
    }

    /// RFC 5802 §5's messages (its proofs are SHA-1's).
    #[test]
    fn rfc_5802_messages() {
        let first = ClientFirst::parse("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL").unwrap();
        assert_eq!((first.flag, first.header, first.bare), (Flag::Cannot, "n,,", "n=user,r=fyko+d2lbbFgONRv9qkxdawL"));
        let keys = ScramKeys::derive("pencil", &STANDARD.decode("QSXCR+Q6sek8bf92").unwrap(), 4_096);
        let server = ServerFirst::new(&first, keys, "3rfcNHYJY1ZVvWVs7j", Vec::new());
        assert_eq!(server.message(), "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096");
        let first = ClientFirst::parse("p=tls-unique,a=the=2Cother,n=us=3Der,r=x,z=more").unwrap();
        assert_eq!((first.flag, first.header), (Flag::Binds("tls-unique"), "p=tls-unique,a=the=2Cother,"));
        assert_eq!((first.user.as_str(), first.authzid.as_deref()), ("us=er", Some("the,other")));
    }

    #[test]
    fn bindings() {
        let bindings = Bindings { exporter: Some([7; 32]), end_point: None };
        let fault = |message: &str, plus, offered| {
            ClientFirst::parse(message).unwrap().binding_fault(plus, &bindings, || offered)
        };
        assert_eq!(fault("n,,n=u,r=x", false, true), Ok(None));
        assert_eq!(fault("y,,n=u,r=x", false, false), Ok(None));
        assert!(fault("y,,n=u,r=x", false, true).unwrap().is_some(), "downgrade");
        assert_eq!(fault("p=tls-exporter,,n=u,r=x", true, true), Ok(None));
        assert!(fault("p=tls-unique,,n=u,r=x", true, true).unwrap().is_some());
        assert!(fault("p=tls-server-end-point,,n=u,r=x", true, true).unwrap().is_some(), "this connection has none");
        assert_eq!(fault("p=tls-exporter,,n=u,r=x", false, true), Err(SaslError::Malformed));
        assert_eq!(fault("n,,n=u,r=x", true, true), Err(SaslError::Malformed));
        assert_eq!(fault("y,,n=u,r=x", true, true), Err(SaslError::Malformed));
        let first = ClientFirst::parse("p=tls-exporter,,n=u,r=x").unwrap();
        assert_eq!(first.expected_binding(&bindings), [&b"p=tls-exporter,,"[..], &[7; 32]].concat());
    }

    #[test]
    fn malformed_messages() {
        for bad in [
            "",
            "n",
            "n,,",
            "n,,n=user",
            "n,,n=user,r=",
            "n,,n=,r=x",
            "n,,m=ext,n=user,r=x",
            "x,,n=user,r=x",
            "p=,,n=user,r=x",
            "p=a b,,n=user,r=x",
            "n,b=c,n=user,r=x",
            "n,a=,n=user,r=x",
            "n,,n=us=er,r=x",
            "n,,n=us=2cer,r=x",
            "n,,r=x,n=user",
            "n,,n=user,r=x,",
            "n,,n=user,r=x,1=a",
            "n,,n=user,r=ä",
            "n,,n=us\0er,r=x",
        ] {
            assert!(matches!(ClientFirst::parse(bad), Err(SaslError::Malformed)), "{bad}");
        }
        let long = format!("n,,n=user,r={}", "x".repeat(CLIENT_NONCE_MAX + 1));
        assert!(ClientFirst::parse(&long).is_err());
        let proof = STANDARD.encode([0; 32]);
        for bad in [
            String::new(),
            "c=biws,r=x".into(),
            "c=biws,r=x,p=".into(),
            "c=biws,r=x,p=AAAA".into(),
            format!("c=!,r=x,p={proof}"),
            format!("r=x,c=biws,p={proof}"),
            format!("c=biws,r=x,,p={proof}"),
            format!("c=biws,p={proof}"),
            format!("c=biws,r=x,p={proof},z=1"),
        ] {
            assert!(matches!(ClientFinal::parse(&bad), Err(SaslError::Malformed)), "{bad}");
        }
        assert!(ClientFinal::parse(&format!("c=biws,r=x,z=1,p={proof}")).is_ok());
    }
}

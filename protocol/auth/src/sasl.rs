//! The SASL mechanisms PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login), without a framing of their own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// What a server may offer, in its order of preference.
pub const MECHANISMS: [&str; 2] = ["PLAIN", "LOGIN"];
/// Bytes of one base64 response. RFC 4954 §4 lets a server refuse above 12,288.
const RESPONSE_BYTES_MAX: usize = 12_288;

/// What a client said it is.
pub struct Credentials {
    /// Whom it wants to act as; `None` or empty: itself.
    pub authzid: Option<String>,
    /// Who it is.
    pub user: String,
    /// Its password.
    pub password: Zeroizing<Vec<u8>>,
}

/// Why an exchange ended without credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaslError {
    /// Not among [`MECHANISMS`].
    #[error("mechanism not supported")]
    Unsupported,
    /// The client sent `*`.
    #[error("authentication cancelled")]
    Cancelled,
    /// Not base64, not UTF-8, or not what the mechanism wants.
    #[error("malformed response")]
    Malformed,
}

/// What comes next.
pub enum Step {
    /// Send this base64 text (perhaps empty) as the challenge and give the answer to [`Exchange::respond`].
    Challenge(&'static str),
    /// The client has said all.
    Done(Credentials),
}

/// An exchange under way.
pub struct Exchange(State);

enum State {
    Plain,
    LoginUser,
    LoginPassword(String),
    Over,
}

/// `Username:`
const USER_PROMPT: &str = "VXNlcm5hbWU6";
/// `Password:`
const PASSWORD_PROMPT: &str = "UGFzc3dvcmQ6";

impl Exchange {
    /// Begins with the mechanism's name (any case) and the initial response as it stands on the line: base64, or `=`
    /// for an empty one (RFC 4954 §4, RFC 4959 §3).
    ///
    /// # Errors
    /// [`SaslError`].
    pub fn start(mechanism: &str, initial: Option<&[u8]>) -> Result<(Self, Step), SaslError> {
        let state = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => State::Plain,
            "LOGIN" => State::LoginUser,
            _ => return Err(SaslError::Unsupported),
        };
        let mut exchange = Exchange(state);
        let step = match initial {
            Some(b"=") => exchange.respond(b"")?,
            Some(response) => exchange.respond(response)?,
            None => Step::Challenge(exchange.prompt()),
        };
        Ok((exchange, step))
    }

    fn prompt(&self) -> &'static str {
        match self.0 {
            State::Plain | State::Over => "",
            State::LoginUser => USER_PROMPT,
            State::LoginPassword(_) => PASSWORD_PROMPT,
        }
    }

    /// Takes the client's line (base64, without its ending).
    ///
    /// # Errors
    /// [`SaslError`]; the exchange is over then.
    pub fn respond(&mut self, line: &[u8]) -> Result<Step, SaslError> {
        let state = std::mem::replace(&mut self.0, State::Over);
        if line == b"*" {
            return Err(SaslError::Cancelled);
        }
        if line.len() > RESPONSE_BYTES_MAX {
            return Err(SaslError::Malformed);
        }
        let response = Zeroizing::new(STANDARD.decode(line).map_err(|_| SaslError::Malformed)?);
        match state {
            State::Plain => decode_plain(&response).map(Step::Done),
            State::LoginUser => {
                self.0 = State::LoginPassword(text(&response)?);
                Ok(Step::Challenge(self.prompt()))
            }
            State::LoginPassword(user) => Ok(Step::Done(Credentials { authzid: None, user, password: response })),
            State::Over => Err(SaslError::Malformed),
        }
    }
}

fn text(bytes: &[u8]) -> Result<String, SaslError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| SaslError::Malformed)
}

/// RFC 4616 §2: `[authzid] NUL authcid NUL passwd`.
fn decode_plain(message: &[u8]) -> Result<Credentials, SaslError> {
    let mut parts = message.split(|b| *b == 0);
    let (Some(authzid), Some(user), Some(password), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(SaslError::Malformed);
    };
    if user.is_empty() {
        return Err(SaslError::Malformed);
    }
    let authzid = if authzid.is_empty() { None } else { Some(text(authzid)?) };
    Ok(Credentials { authzid, user: text(user)?, password: Zeroizing::new(password.to_vec()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(step: Step) -> (Option<String>, String, Vec<u8>) {
        match step {
            Step::Done(c) => (c.authzid, c.user, c.password.to_vec()),
            Step::Challenge(c) => panic!("challenge {c:?}"),
        }
    }

    #[test]
    fn plain_with_and_without_initial_response() {
        // RFC 4616 §4, both examples.
        let (_, step) = Exchange::start("plain", Some(STANDARD.encode("\0tim\0tanstaaftanstaaf").as_bytes())).unwrap();
        assert_eq!(done(step), (None, "tim".into(), b"tanstaaftanstaaf".to_vec()));
        let (mut exchange, step) = Exchange::start("PLAIN", None).unwrap();
        assert!(matches!(step, Step::Challenge("")));
        let step = exchange.respond(STANDARD.encode("Ursel\0Kurt\0xipj3plmq").as_bytes()).unwrap();
        assert_eq!(done(step), (Some("Ursel".into()), "Kurt".into(), b"xipj3plmq".to_vec()));
        assert!(matches!(exchange.respond(b""), Err(SaslError::Malformed)), "over");
    }

    #[test]
    fn login_asks_twice() {
        let (mut exchange, step) = Exchange::start("Login", None).unwrap();
        assert!(matches!(step, Step::Challenge(USER_PROMPT)));
        assert_eq!(STANDARD.decode(USER_PROMPT).unwrap(), b"Username:");
        let step = exchange.respond(STANDARD.encode("tim").as_bytes()).unwrap();
        assert!(matches!(step, Step::Challenge(PASSWORD_PROMPT)));
        assert_eq!(STANDARD.decode(PASSWORD_PROMPT).unwrap(), b"Password:");
        assert_eq!(done(exchange.respond(STANDARD.encode("pw").as_bytes()).unwrap()).2, b"pw");
        let (_, step) = Exchange::start("LOGIN", Some(b"dGlt")).unwrap();
        assert!(matches!(step, Step::Challenge(PASSWORD_PROMPT)));
    }

    #[test]
    fn malformed_and_cancelled() {
        let start = |initial: &[u8]| Exchange::start("PLAIN", Some(initial)).err();
        assert_eq!(start(b"*"), Some(SaslError::Cancelled));
        for bad in ["=", "!", "AA", "dGlt", "AAA=", "AAAA"] {
            assert_eq!(start(bad.as_bytes()), Some(SaslError::Malformed), "{bad}");
        }
        for bad in ["\0\0pw", "a\0b\0c\0d", "a\0b", ""] {
            assert_eq!(start(STANDARD.encode(bad).as_bytes()), Some(SaslError::Malformed), "{bad:?}");
        }
        assert_eq!(start(STANDARD.encode(b"\0\xff\0pw").as_bytes()), Some(SaslError::Malformed));
        assert_eq!(start(&vec![b'A'; RESPONSE_BYTES_MAX + 4]), Some(SaslError::Malformed));
        assert_eq!(Exchange::start("CRAM-MD5", None).err(), Some(SaslError::Unsupported));
    }
}

//! The mechanisms, and which of them are on offer where.

use crate::channel::Channel;
use crate::sasl::SaslError;

/// A SASL mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mechanism {
    /// SCRAM-SHA-256-PLUS (RFC 7677).
    ScramPlus,
    /// SCRAM-SHA-256 (RFC 7677).
    Scram,
    /// OAUTHBEARER (RFC 7628).
    OauthBearer,
    /// XOAUTH2, as Google documents it.
    Xoauth2,
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN (draft-murchison-sasl-login).
    Login,
}

/// Strongest first: there are clients that take the first one they know.
const ALL: [Mechanism; 6] = [
    Mechanism::ScramPlus,
    Mechanism::Scram,
    Mechanism::OauthBearer,
    Mechanism::Xoauth2,
    Mechanism::Plain,
    Mechanism::Login,
];

/// What the server is set up for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    /// SCRAM is not switched off.
    pub scram: bool,
    /// Somebody can check tokens.
    pub tokens: bool,
}

impl Mechanism {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mechanism::ScramPlus => "SCRAM-SHA-256-PLUS",
            Mechanism::Scram => "SCRAM-SHA-256",
            Mechanism::OauthBearer => "OAUTHBEARER",
            Mechanism::Xoauth2 => "XOAUTH2",
            Mechanism::Plain => "PLAIN",
            Mechanism::Login => "LOGIN",
        }
    }

    /// By name in any case.
    ///
    /// # Errors
    /// `Unsupported`, or `PrivacyRequired` for one that is on offer over TLS only.
    pub(crate) fn find(name: &str, offer: Offer, channel: &Channel) -> Result<Self, SaslError> {
        let found = ALL.into_iter().find(|m| m.name().eq_ignore_ascii_case(name) && m.is_set_up(offer));
        let mechanism = found.ok_or(SaslError::Unsupported)?;
        if mechanism.is_offered(offer, channel) {
            return Ok(mechanism);
        }
        // Over TLS without bindings (which a test or a proxy may make) more privacy would not help.
        if channel.tls { Err(SaslError::Unsupported) } else { Err(SaslError::PrivacyRequired) }
    }

    fn is_set_up(self, offer: Offer) -> bool {
        match self {
            Mechanism::ScramPlus | Mechanism::Scram => offer.scram,
            Mechanism::OauthBearer | Mechanism::Xoauth2 => offer.tokens,
            Mechanism::Plain | Mechanism::Login => true,
        }
    }

    fn is_offered(self, offer: Offer, channel: &Channel) -> bool {
        self.is_set_up(offer)
            && match self {
                Mechanism::ScramPlus => channel.tls && channel.bindings.any(),
                Mechanism::Scram => true,
                // RFC 7628 §4: a bearer token is as good as a password to whoever sees it.
                Mechanism::OauthBearer | Mechanism::Xoauth2 => channel.tls,
                Mechanism::Plain | Mechanism::Login => channel.tls || channel.plaintext,
            }
    }
}

/// What to offer on a channel.
pub(crate) fn offered(offer: Offer, channel: &Channel) -> Vec<Mechanism> {
    ALL.into_iter().filter(|m| m.is_offered(offer, channel)).collect()
}

//! What a sign-in comes over.

use std::net::IpAddr;

/// What somebody signs in to: a word for metrics and logs, and the account's switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// IMAP.
    Imap,
    /// POP3.
    Pop3,
    /// Mail submission.
    Submission,
    /// ManageSieve.
    ManageSieve,
    /// The administration service.
    Admin,
    /// LDAP.
    Ldap,
}

impl Service {
    /// Its name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Service::Imap => "imap",
            Service::Pop3 => "pop3",
            Service::Submission => "submission",
            Service::ManageSieve => "managesieve",
            Service::Admin => "admin",
            Service::Ldap => "ldap",
        }
    }

    /// Its name among the values of `zimbraPasswordLockoutSuppressionProtocols`.
    pub(crate) fn suppression(self) -> Option<&'static str> {
        match self {
            Service::Imap => Some("imap"),
            Service::Pop3 => Some("pop3"),
            Service::Admin => Some("soap"),
            Service::Submission | Service::ManageSieve | Service::Ldap => None,
        }
    }

    /// Whether whoever signs in can be asked for a code as well. What cannot takes app passwords only, once the account
    /// has a second factor.
    pub(crate) fn asks_for_codes(self) -> bool {
        match self {
            Service::Admin => true,
            Service::Imap | Service::Pop3 | Service::Submission | Service::ManageSieve | Service::Ldap => false,
        }
    }

    /// The attributes (account, else COS) any of which switches it off when it is `FALSE`.
    pub(crate) fn switches(self) -> &'static [&'static str] {
        match self {
            Service::Imap => &["zimbraImapEnabled", "zimbraPrefImapEnabled"],
            Service::Pop3 => &["zimbraPop3Enabled", "zimbraPrefPop3Enabled"],
            // Zimbra has no switch for these.
            Service::Submission | Service::ManageSieve | Service::Admin | Service::Ldap => &[],
        }
    }
}

/// The TLS connection's channel bindings (RFC 5056), as far as it has any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bindings {
    /// `tls-exporter` (RFC 9266).
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point` (RFC 5929 §4).
    pub end_point: Option<Vec<u8>>,
}

impl Bindings {
    /// Whether a client can bind to this connection at all.
    pub fn any(&self) -> bool {
        self.exporter.is_some() || self.end_point.is_some()
    }

    /// The data of a channel binding type, by its registered name.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        match name {
            "tls-exporter" => self.exporter.as_ref().map(<[u8; 32]>::as_slice),
            "tls-server-end-point" => self.end_point.as_deref(),
            _ => None,
        }
    }
}

/// What a sign-in comes over.
#[derive(Clone, Debug)]
pub struct Channel {
    /// The protocol.
    pub service: Service,
    /// Where the client is.
    pub peer: IpAddr,
    /// TLS protects it.
    pub tls: bool,
    /// Passwords may be sent as they are: over TLS, from this machine, or because the operator says so.
    pub plaintext: bool,
    /// The protocol carries data with its success (RFC 4422 §3.6): ManageSieve does, the others do not.
    pub success_data: bool,
    /// What ties the sign-in to its TLS connection.
    pub bindings: Bindings,
}

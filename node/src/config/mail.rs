//! `[mail]`, `[relay]`, `[auth]`: what the node does with mail and users.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Mail rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mail {
    /// What the node calls itself in greetings and `Received`.
    pub hostname: Option<String>,
    /// Bytes of one message.
    pub max_message_bytes: u64,
    /// Bytes of all messages being received at a time.
    pub receive_memory_bytes: u64,
    /// Whether passwords may be sent without TLS.
    pub plaintext_auth: Option<bool>,
    /// Whether messages with a bare LF are refused.
    pub refuse_bare_lf: bool,
    /// Seconds a signed-in IMAP client may be silent.
    pub imap_idle_seconds: u64,
    /// Seconds a mailbox may take to accept a message.
    pub delivery_seconds: u64,
    /// Seconds between the beginnings of two POP3 sessions of an account.
    pub pop3_login_delay_seconds: u64,
}

impl Default for Mail {
    fn default() -> Self {
        Mail {
            hostname: None,
            max_message_bytes: 50 * 1024 * 1024,
            receive_memory_bytes: 512 * 1024 * 1024,
            plaintext_auth: None,
            refuse_bare_lf: true,
            imap_idle_seconds: 1_800,
            delivery_seconds: 30,
            pop3_login_delay_seconds: 0,
        }
    }
}

/// Sending to other hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Relay {
    /// Port of hosts that MX records name.
    pub port: u16,
    /// Port at which MTA-STS policies are fetched.
    pub sts_port: u16,
    /// DNS servers; none: the system's.
    pub resolvers: Vec<SocketAddr>,
    /// Whether DNS answers are validated, which DANE needs.
    pub dnssec: bool,
    /// A file of DNSKEY records that are trusted in place of the root's.
    pub trust_anchor: Option<PathBuf>,
    /// Whether hosts are spoken to over IPv6 too.
    pub ipv6: bool,
    /// Conversations with one destination at a time.
    pub concurrency: usize,
    /// PEM certificates trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Passwords for smart hosts.
    pub credentials_file: Option<PathBuf>,
}

impl Default for Relay {
    fn default() -> Self {
        Relay {
            port: 25,
            sts_port: 443,
            resolvers: Vec::new(),
            dnssec: true,
            trust_anchor: None,
            ipv6: true,
            concurrency: 20,
            ca_file: None,
            credentials_file: None,
        }
    }
}

/// Ways to sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// Whether SCRAM-SHA-256 is offered.
    pub scram: bool,
    /// PEM file of certificate authorities to believe, besides the system's, when other directories are asked
    /// (`zimbraAuthMech` ldap and ad, `zimbraAutoProvLdap...`).
    pub ldap_ca: Option<PathBuf>,
    /// Seconds that a server of another directory may take to be reached.
    pub ldap_connect_seconds: u64,
    /// Seconds that it may take to answer.
    pub ldap_answer_seconds: u64,
}

impl Default for Auth {
    fn default() -> Self {
        Auth { scram: true, ldap_ca: None, ldap_connect_seconds: 5, ldap_answer_seconds: 10 }
    }
}

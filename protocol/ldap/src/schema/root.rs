//! The root DSE.

use super::SUBSCHEMA_DN;
use crate::codec::controls;
use crate::commands::extended;

/// What of it depends on the connection.
#[derive(Debug, Default)]
pub struct RootDse {
    /// Where the trees begin.
    pub naming_contexts: Vec<String>,
    /// SASL mechanisms on offer.
    pub mechanisms: Vec<&'static str>,
    /// Whether StartTLS makes sense.
    pub start_tls: bool,
    /// Our version.
    pub version: String,
}

/// The attributes: name, values, whether a client must ask for it.
pub fn root_dse(dse: &RootDse) -> Vec<(&'static str, Vec<String>, bool)> {
    let list = |all: &[&str]| all.iter().map(|s| (*s).to_string()).collect::<Vec<_>>();
    let mut extensions = list(&[extended::WHO_AM_I, extended::PASSWORD_MODIFY, extended::CANCEL]);
    if dse.start_tls {
        extensions.push(extended::START_TLS.into());
    }
    // RFC 4526, RFC 4525, RFC 3673, RFC 4529.
    let features =
        list(&["1.3.6.1.4.1.4203.1.5.3", "1.3.6.1.1.14", "1.3.6.1.4.1.4203.1.5.1", "1.3.6.1.4.1.4203.1.5.2"]);
    vec![
        ("objectClass", list(&["top", "extensibleObject"]), false),
        ("namingContexts", dse.naming_contexts.clone(), true),
        ("subschemaSubentry", list(&[SUBSCHEMA_DN]), true),
        ("supportedLDAPVersion", list(&["3"]), true),
        ("supportedControl", list(&controls::SUPPORTED), true),
        ("supportedExtension", extensions, true),
        ("supportedFeatures", features, true),
        ("supportedSASLMechanisms", list(&dse.mechanisms), true),
        ("vendorName", list(&["zcluster"]), true),
        ("vendorVersion", vec![dse.version.clone()], true),
    ]
}

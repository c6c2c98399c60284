//! What is known of every attribute: Zimbra's 1,940, ours, and those of a site's own extension file.
//!
//! All of it is data: `attributes.tsv` holds Zimbra's facts, `own.tsv` the attributes that only this software knows, and
//! [`extend`] reads further ones in the same form (docs/directory.md). The directory's state machine knows nothing of
//! this: values are checked where a change enters ([`check`]), so that nodes of two versions never disagree about a
//! change that was taken.

mod check;
mod definition;
mod table;

pub use check::{Problem, check, check_name};
pub use definition::{Constraint, Definition, Flag, Kind, Place};
pub use table::{all, extend, find};

/// Names that only commands of their own change: what depends on an entry's name, or is set when it is made.
pub const KEPT: [&str; 10] = [
    "zimbraId",
    "zimbraDomainName",
    "uid",
    "mail",
    "zimbraMailAlias",
    "zimbraMailDeliveryAddress",
    "zimbraCreateTimestamp",
    "objectClass",
    "zimbraMemberOf",
    "zimbraDomainId",
];

/// Values that are shown to nobody but the cluster itself, nor compared in a search.
pub fn is_secret(name: &str) -> bool {
    const SECRET: [&str; 26] = [
        "zclusterAcmeExternalAccount",
        "userPassword",
        "zimbraPasswordHistory",
        "zimbraAuthTokenKey",
        "zimbraPreAuthKey",
        "zimbraCsrfTokenKey",
        "zimbraCsrfTokenData",
        "zimbraAuthTokens",
        "zimbraExternalAccountProvisioningKey",
        "zimbraTwoFactorAuthSecret",
        "zimbraTwoFactorAuthScratchCodes",
        "zimbraTwoFactorAuthTrustedDeviceTokenKey",
        "zimbraAppSpecificPassword",
        "zimbraGalLdapBindPassword",
        "zimbraGalSyncLdapBindPassword",
        "zimbraAuthLdapSearchBindPassword",
        "zimbraAutoProvLdapAdminBindPassword",
        "zimbraDataSourcePassword",
        "zimbraSSLPrivateKey",
        "zimbraXMPPServerDialbackKey",
        "zimbraAPNSCertificatePassword",
        "zimbraDKIMKey",
        "DKIMKey",
        "zclusterDKIMNextKey",
        "zclusterSrsSecret",
        "zclusterLdapAdminPassword",
    ];
    SECRET.iter().any(|s| s.eq_ignore_ascii_case(name))
}

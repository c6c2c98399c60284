//! What becomes of each attribute of a dump.

use super::{Dump, LAST, first, is_alias_domain};
use crate::ldif::Line;
use crate::shown::{is_derived, is_operational, text_of};
use crate::wanted::Wanted;
use zcluster_api::directory::ObjectKind;

/// Keys of the old servers: nothing here reads what they signed or sealed.
const OLD_KEYS: [&str; 5] = [
    "zimbraAuthTokenKey",
    "zimbraCsrfTokenKey",
    "zimbraTwoFactorAuthTrustedDeviceTokenKey",
    "zimbraXMPPServerDialbackKey",
    "zimbraMailboxdSSLKeystorePassword",
];
/// Second factors, which are sealed with a key of the old site.
const SECOND_FACTOR: [&str; 4] = [
    "zimbraTwoFactorAuthEnabled",
    "zimbraTwoFactorAuthSecret",
    "zimbraTwoFactorAuthScratchCodes",
    "zimbraAppSpecificPassword",
];
/// What sessions leave behind.
const SESSIONS: [&str; 6] = [
    "zimbraAuthTokens",
    "zimbraCsrfTokenData",
    "zimbraJWTTokens",
    "zimbraTwoFactorAuthTrustedDevices",
    "zimbraAuthTokenValidityValue",
    "zimbraPasswordLockoutFailureTime",
];
/// Ids of classes of service, which may have gone.
const COS_IDS: [&str; 3] = ["zimbraCOSId", "zimbraDomainDefaultCOSId", "zimbraDomainDefaultExternalUserCOSId"];

impl Dump {
    /// Takes one value over into the wish, or notes why not.
    pub(super) fn attribute(
        &mut self,
        kind: ObjectKind,
        wanted: &mut Wanted,
        lines: &[Line],
        description: &str,
        value: &[u8],
    ) {
        let bare = description.split(';').next().unwrap_or_default();
        if is_operational(bare) || is_derived(kind, bare) {
            if bare.eq_ignore_ascii_case("zimbraMailDeliveryAddress") {
                self.delivery(wanted, bare, value);
            } else {
                self.report.derived += 1;
            }
            return;
        }
        let is = |name: &str| bare.eq_ignore_ascii_case(name);
        if LAST.iter().any(|last| is(last)) {
            return;
        }
        if kind == ObjectKind::Domain && is_of_domain(lines, bare, value) {
            self.report.derived += 1;
            return;
        }
        if let Some(why) = self.unwanted(kind, lines, bare, value) {
            self.report.attribute_left(bare, why, &wanted.name);
            return;
        }
        let Some(definition) = zcluster_schema::find(bare) else {
            self.report.attribute_left(bare, "unknown attribute; an extension file can define it", &wanted.name);
            return;
        };
        match text_of(description, value) {
            Ok((_, text)) if text.is_empty() => self.report.attribute_left(bare, "an empty value", &wanted.name),
            Ok((_, text)) => {
                let text = self.renumbered(text);
                wanted.attrs.entry(definition.name.to_string()).or_default().push(text);
            }
            Err(why) => self.report.attribute_left(bare, &why, &wanted.name),
        }
    }

    fn delivery(&mut self, wanted: &Wanted, bare: &str, value: &[u8]) {
        if wanted.name.as_bytes().eq_ignore_ascii_case(value) {
            self.report.derived += 1;
        } else {
            let why = "mail is delivered to the entry's own address, not to another";
            self.report.attribute_left(bare, why, &wanted.name);
        }
    }

    fn unwanted(&self, kind: ObjectKind, lines: &[Line], bare: &str, value: &[u8]) -> Option<&'static str> {
        let is = |name: &str| bare.eq_ignore_ascii_case(name);
        let one_of = |list: &[&str]| list.iter().any(|n| is(n));
        if one_of(&OLD_KEYS) {
            return Some("a key of the old servers: this cluster has its own");
        }
        if one_of(&SECOND_FACTOR) {
            return Some("sealed by the old servers: users enrol their second factor again");
        }
        if one_of(&SESSIONS) {
            return Some("belongs to sessions of the old servers");
        }
        let recipient = kind.has_address();
        if is("zimbraMailHost") && recipient {
            return Some("the cluster chose where the mailbox lives");
        }
        if is("zimbraMailTransport") && recipient && !self.keep_transport && is_own_way(lines, value) {
            return Some("it names the old mailbox server; with --keep-transport mail goes on to it");
        }
        if one_of(&COS_IDS) {
            let id = String::from_utf8_lossy(value).into_owned();
            let there = self.cos.contains(&id);
            return (!there).then_some("the dump has no such COS: the default holds");
        }
        None
    }
}

/// Whether a transport leads to the entry's own mailbox server, as Zimbra sets it; any other one leads out on purpose.
fn is_own_way(lines: &[Line], transport: &[u8]) -> bool {
    let host = first(lines, "zimbraMailHost").unwrap_or_default();
    let transport = String::from_utf8_lossy(transport).to_lowercase();
    let next = transport.strip_prefix("lmtp:").map(|rest| rest.trim_start_matches("inet:").trim_start_matches('['));
    let named = next.map(|rest| rest.split([':', ']']).next().unwrap_or_default());
    !host.is_empty() && named == Some(host.to_lowercase().as_str())
}

/// Whether it is what a domain is anyway: Zimbra's MTA needs to be told what an alias domain leads to.
fn is_of_domain(lines: &[Line], bare: &str, value: &[u8]) -> bool {
    let is = |name: &str| bare.eq_ignore_ascii_case(name);
    let alias = is("zimbraMailCatchAllAddress")
        || is("zimbraMailCatchAllForwardingAddress")
        || is("zimbraDomainAliasTargetName");
    alias && is_alias_domain(lines) || is("zimbraMailStatus") && value == b"enabled"
}

//! What the entries of a new cluster hold: Zimbra's defaults, from the schema.

use zcluster_api::AccountId;
use zcluster_api::directory::{Attributes, Modification, ModifyKind};

/// Fixed `zimbraId` of the COS `default` (data model §11).
pub const DEFAULT_COS: &str = "e00428a1-0c00-11d9-836a-000d93afea2a";
/// Name of the COS of people from outside who were invited to a share.
pub const EXTERNAL_COS: &str = "defaultExternal";

/// The id of the COS `default`.
pub fn default_cos_id() -> AccountId {
    DEFAULT_COS.parse().unwrap_or(AccountId([0; 16]))
}

/// Attributes that a new cluster leaves unset: the time zone is where the site is; TLS to other hosts is better unset
/// (DANE where a domain has it) than at Zimbra's `may`; and of the notices' texts the facts hold the variables only (ours
/// are used then).
fn is_left_out(definition: &zcluster_schema::Definition, values: &[String]) -> bool {
    ["zimbraPrefTimeZoneId", "zimbraMtaSmtpTlsSecurityLevel"].contains(&definition.name)
        || values.iter().any(|v| v.starts_with("(message template"))
}

/// What a new global config holds.
pub fn global_config() -> Attributes {
    let mut attrs = Attributes::new();
    for d in zcluster_schema::all().filter(|d| !d.global_default.is_empty() && !is_left_out(d, &d.global_default)) {
        attrs.set(d.name, stored(d, &d.global_default));
    }
    attrs
}

/// What the COS `default` holds.
pub fn cos() -> Vec<Modification> {
    let all = zcluster_schema::all().filter(|d| !d.cos_default.is_empty() && !is_left_out(d, &d.cos_default));
    all.map(|d| change(d.name, stored(d, &d.cos_default))).collect()
}

/// What the COS `defaultExternal` holds.
pub fn external_cos() -> Vec<Modification> {
    let of = |d: &zcluster_schema::Definition| d.external_cos_default.clone().unwrap_or_else(|| d.cos_default.clone());
    let all =
        zcluster_schema::all().map(|d| (d, of(d))).filter(|(d, values)| !values.is_empty() && !is_left_out(d, values));
    all.map(|(d, values)| change(d.name, stored(d, &values))).collect()
}

fn stored(definition: &zcluster_schema::Definition, values: &[String]) -> Vec<String> {
    values.iter().filter_map(|v| zcluster_schema::check(definition, v).ok()).collect()
}

fn change(name: &str, values: Vec<String>) -> Modification {
    Modification { name: name.to_string(), kind: ModifyKind::Replace, values }
}

//! `describe`: what is known of attributes.

use super::Handlers;
use crate::Outcome;
use crate::call::Call;
use crate::prov::Prov;
use crate::reply::Reply;
use zcluster_directory::Failure;
use zcluster_schema::{Definition, Flag, Kind, Place};

pub(super) const HANDLERS: Handlers = &[("describe", |p, c| Box::pin(describe(p, c)))];

/// Kinds of entries, as the command names them.
const ENTRY_TYPES: [(&str, Place); 21] = [
    ("account", Place::Account),
    ("alias", Place::Alias),
    ("alwaysOnCluster", Place::AlwaysOnCluster),
    ("calendarResource", Place::CalendarResource),
    ("cos", Place::Cos),
    ("dataSource", Place::DataSource),
    ("distributionList", Place::DistributionList),
    ("domain", Place::Domain),
    ("globalConfig", Place::GlobalConfig),
    ("globalGrant", Place::AclTarget),
    ("group", Place::Group),
    ("habGroup", Place::HabGroup),
    ("identity", Place::Identity),
    ("mailRecipient", Place::MailRecipient),
    ("mimeEntry", Place::MimeEntry),
    ("server", Place::Server),
    ("shareLocator", Place::ShareLocator),
    ("signature", Place::Signature),
    ("ucService", Place::UcService),
    ("xmppComponent", Place::XmppComponent),
    ("zimletEntry", Place::ZimletEntry),
];

const FLAGS: [(&str, Flag); 13] = [
    ("accountInfo", Flag::AccountInfo),
    ("accountInherited", Flag::AccountInherited),
    ("accountCosDomainInherited", Flag::AccountCosDomainInherited),
    ("domainAdminModifiable", Flag::DomainAdminModifiable),
    ("domainInfo", Flag::DomainInfo),
    ("domainInherited", Flag::DomainInherited),
    ("dynamic", Flag::Dynamic),
    ("ephemeral", Flag::Ephemeral),
    ("expirable", Flag::Expirable),
    ("idn", Flag::Idn),
    ("serverInherited", Flag::ServerInherited),
    ("serverPreferAlwaysOn", Flag::ServerPreferAlwaysOn),
    ("timeZone", Flag::TimeZone),
];

async fn describe(_: &Prov, call: &Call<'_>) -> Outcome {
    if let Some(name) = call.value("-a") {
        let unknown = || Failure::new("account.INVALID_ATTR_NAME", format!("invalid attr name: {name}"));
        return Ok(Reply::lines(details(zcluster_schema::find(name).ok_or_else(unknown)?)));
    }
    let Some(wanted) = call.args.first() else {
        return Ok(if call.has("-v") { listing(call, |_| true) } else { overview() });
    };
    let place = ENTRY_TYPES.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, place)| *place);
    let Some(place) = place else {
        let types: Vec<&str> = ENTRY_TYPES.iter().map(|(name, _)| *name).collect();
        return Err(Failure::invalid(format!("no entry type {wanted}; there are {}", types.join(", "))));
    };
    let inherited = |d: &Definition| match place {
        Place::Account => d.has(Flag::AccountInherited) || d.has(Flag::AccountCosDomainInherited),
        Place::Domain => d.has(Flag::DomainInherited),
        Place::Server => d.has(Flag::ServerInherited),
        _ => false,
    };
    let own_only = call.has("-ni");
    Ok(listing(call, |d| d.stands_in(place) && !(own_only && inherited(d))))
}

/// Every type of entry, with its attributes.
fn overview() -> Reply {
    let mut lines = Vec::new();
    for (name, place) in ENTRY_TYPES {
        lines.push(name.to_string());
        let own = zcluster_schema::all().filter(|d| d.stands_in(place));
        lines.extend(own.map(|d| format!("    {}", d.name)));
        lines.push(String::new());
    }
    Reply::lines(lines)
}

fn listing(call: &Call<'_>, wanted: impl Fn(&Definition) -> bool) -> Reply {
    let all = zcluster_schema::all().filter(|d| wanted(d));
    match call.has("-v") {
        true => Reply::lines(all.flat_map(details)),
        false => Reply::lines(all.map(|d| d.name.to_string())),
    }
}

fn details(d: &Definition) -> Vec<String> {
    let number = |n: Option<i64>| n.map(|n| n.to_string()).unwrap_or_default();
    let places: Vec<&str> = ENTRY_TYPES.iter().filter(|(_, p)| d.stands_in(*p)).map(|(name, _)| *name).collect();
    let flags: Vec<&str> = FLAGS.iter().filter(|(_, f)| d.has(*f)).map(|(name, _)| *name).collect();
    let pattern = d.constraint.pattern.as_ref().map_or("", |p| p.as_str());
    let value = if d.constraint.one_of.is_empty() { pattern.to_string() } else { d.constraint.one_of.join(",") };
    let rows: [(&str, String); 11] = [
        ("type", kind(d.kind).into()),
        ("value", value),
        ("immutable", d.immutable.to_string()),
        ("cardinality", if d.single { "single" } else { "multi" }.into()),
        ("entry types", places.join(",")),
        ("flags", flags.join(",")),
        ("defaults", d.global_default.join(", ")),
        ("defaults in COS", d.cos_default.join(", ")),
        ("min", number(d.constraint.min)),
        ("max", number(d.constraint.max)),
        ("id", d.number.map(|n| n.to_string()).unwrap_or_default()),
    ];
    let mut lines = vec![d.name.to_string()];
    if !d.meaning.is_empty() {
        lines.push(format!("    {}", d.meaning));
    }
    lines.push(String::new());
    lines.extend(rows.iter().map(|(name, value)| format!("    {name:>15} : {value}").trim_end().to_string()));
    lines.push(String::new());
    lines
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean => "boolean",
        Kind::Binary => "binary",
        Kind::Certificate => "certificate",
        Kind::Duration => "duration",
        Kind::GenTime => "gentime",
        Kind::Email => "email",
        Kind::EmailP => "emailp",
        Kind::CsEmailP => "cs_emailp",
        Kind::Enum => "enum",
        Kind::Id => "id",
        Kind::Integer => "integer",
        Kind::Long => "long",
        Kind::Port => "port",
        Kind::Text => "string",
        Kind::Phone => "phone",
        Kind::Pattern => "regex",
    }
}

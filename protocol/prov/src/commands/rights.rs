//! Commands about rights and who is given them.

use super::Handlers;
use crate::call::Call;
use crate::prov::Prov;
use crate::reply::Reply;
use crate::{Outcome, usage};
use zcluster_api::directory::{Object, ObjectBy, ObjectKind};
use zcluster_directory::Failure;
use zcluster_directory::rights::{Ace, Body, Class, GranteeKind, Modifier, Reach, Right, target_kind, target_word};

pub(super) const HANDLERS: Handlers = &[
    ("grantRight", |p, c| Box::pin(grant(p, c))),
    ("revokeRight", |p, c| Box::pin(revoke(p, c))),
    ("checkRight", |p, c| Box::pin(check(p, c))),
    ("getGrants", |p, c| Box::pin(grants(p, c))),
    ("getRight", |p, c| Box::pin(right(p, c))),
    ("getAllRights", |p, c| Box::pin(all_rights(p, c))),
    ("getEffectiveRights", |p, c| Box::pin(effective(p, c))),
    ("getAllEffectiveRights", |p, c| Box::pin(all_effective(p, c))),
    ("getCreateObjectAttrs", |p, c| Box::pin(create_attrs(p, c))),
];

const PERSON: &[ObjectKind] = &[ObjectKind::Account, ObjectKind::Resource];
const GROUP: &[ObjectKind] = &[ObjectKind::DistributionList, ObjectKind::DynamicGroup];

fn kind_of(word: &str) -> Result<ObjectKind, Failure> {
    target_kind(word).ok_or_else(|| Failure::invalid(format!("invalid target type: {word}")))
}

fn grantee_of(word: &str) -> Result<GranteeKind, Failure> {
    GranteeKind::parse(word).ok_or_else(|| Failure::invalid(format!("invalid grantee type: {word}")))
}

/// Whether a target type has a single entry, which takes no name.
fn is_single(kind: ObjectKind) -> bool {
    matches!(kind, ObjectKind::Config | ObjectKind::GlobalGrant)
}

/// Takes a target off the front: its type and, where the type has many, its name.
async fn target(prov: &Prov, words: &mut Vec<&str>) -> Result<Object, Failure> {
    if words.is_empty() {
        return Err(usage("a target type is missing"));
    }
    let kind = kind_of(words.remove(0))?;
    match kind {
        ObjectKind::Config => prov.config().await,
        ObjectKind::GlobalGrant => prov.directory.global_target().await,
        _ if words.is_empty() => Err(usage("a target is missing")),
        ObjectKind::Account | ObjectKind::Resource => prov.named(PERSON, None, words.remove(0)).await,
        ObjectKind::DistributionList | ObjectKind::DynamicGroup => prov.named(GROUP, None, words.remove(0)).await,
        kind => prov.named(&[kind], None, words.remove(0)).await,
    }
}

/// A person, group or domain by name or id.
async fn grantee(prov: &Prov, kind: GranteeKind, name: &str) -> Result<Object, Failure> {
    let kinds = match kind {
        GranteeKind::Group => GROUP,
        GranteeKind::Domain => &[ObjectKind::Domain],
        _ => PERSON,
    };
    prov.named(kinds, None, name).await
}

struct Wanted<'a> {
    target: Object,
    kind: GranteeKind,
    grantee: &'a str,
    secret: Option<String>,
    right: &'a str,
}

/// `<target-type> [<target>] <grantee-type> [<grantee> [secret]] <right>`
async fn wanted<'a>(prov: &Prov, call: &Call<'a>) -> Result<Wanted<'a>, Failure> {
    let mut words = call.args.clone();
    let target = target(prov, &mut words).await?;
    let [kind, middle @ .., right] = words.as_slice() else { return Err(call.wrong()) };
    let kind = grantee_of(kind)?;
    let (grantee, secret) = match (kind, middle) {
        (GranteeKind::All | GranteeKind::Public, []) => ("", None),
        (GranteeKind::Guest | GranteeKind::Key, [grantee, secret]) => (*grantee, Some((*secret).to_string())),
        (_, [grantee]) => (*grantee, None),
        _ => return Err(call.wrong()),
    };
    let right = *right;
    Ok(Wanted { target, kind, grantee, secret, right })
}

async fn grant(prov: &Prov, call: &Call<'_>) -> Outcome {
    let Wanted { target, kind, grantee, secret, right } = wanted(prov, call).await?;
    prov.directory.grant(prov.actor, &target, (kind, grantee), secret, right).await?;
    Ok(Reply::default())
}

async fn revoke(prov: &Prov, call: &Call<'_>) -> Outcome {
    let Wanted { target, kind, grantee, right, .. } = wanted(prov, call).await?;
    match prov.directory.revoke(prov.actor, &target, (kind, grantee), right).await {
        Err(failure) if call.again && failure.code == "account.NO_SUCH_GRANT" => Ok(Reply::default()),
        outcome => outcome.map(|_| Reply::default()),
    }
}

async fn check(prov: &Prov, call: &Call<'_>) -> Outcome {
    let mut words = call.args.clone();
    let target = target(prov, &mut words).await?;
    let [name, right] = words[..] else { return Err(call.wrong()) };
    let person = match prov.named(PERSON, None, name).await {
        Ok(person) => person,
        Err(failure) => prov.named(GROUP, None, name).await.map_err(|_| failure)?,
    };
    let answer = prov.directory.check(prov.actor, &target, &person, right).await?;
    let mut lines = vec![if answer.allowed { "ALLOWED" } else { "DENIED" }.to_string()];
    if let Some((ace, place)) = &answer.via {
        lines.push("Via:".into());
        lines.push(format!("    target        : {place}"));
        lines.push(format!("    grantee type  : {}", ace.kind.code()));
        lines.push(format!("    grantee id    : {}", ace.grantee));
        lines.push(format!("    right         : {}{}", sign(ace), ace.right));
    }
    Ok(Reply::lines(lines))
}

/// A grant's modifier, as it is written in front of the right.
fn sign(ace: &Ace) -> &'static str {
    match ace.modifier {
        Modifier::None => "",
        Modifier::Deny => "-",
        Modifier::Delegate => "+",
        Modifier::Subdomain => "*",
        Modifier::DirectMembers => "^",
    }
}

/// `[-t <target-type> [<target>]] [-g <grantee-type> <grantee> [<0|1>]]`
async fn grants(prov: &Prov, call: &Call<'_>) -> Outcome {
    let (mut on, mut of, mut groups) = (None, None, true);
    let mut words: Vec<&str> = call.raw.iter().map(String::as_str).collect();
    while !words.is_empty() {
        match words.remove(0) {
            "-t" => on = Some(target(prov, &mut words).await?),
            "-g" if words.len() >= 2 => {
                let kind = grantee_of(words.remove(0))?;
                of = Some(grantee(prov, kind, words.remove(0)).await?);
                if words.first().is_some_and(|w| ["0", "1"].contains(w)) {
                    groups = words.remove(0) == "1";
                }
            }
            _ => return Err(call.wrong()),
        }
    }
    let found = prov.directory.grants(prov.actor, on.as_ref(), of.as_ref(), groups).await?;
    let row = |columns: [&str; 7]| {
        let [a, b, c, d, e, f, g] = columns;
        format!("{a:<12} {b:<36} {c:<30} {d:<12} {e:<36} {f:<30} {g}")
    };
    let dashes = [12, 36, 30, 12, 36, 30, 30].map(|n| "-".repeat(n));
    let mut lines = vec![
        row(["target type", "target id", "target name", "grantee type", "grantee id", "grantee name", "right"]),
        row(dashes.each_ref().map(String::as_str)),
    ];
    for grant in found {
        let name = match grant.ace.grantee_id() {
            Some(id) => prov.directory.get(prov.actor, ObjectBy::Id(id)).await.map(|o| o.name).unwrap_or_default(),
            None => String::new(),
        };
        let id = if is_single(grant.kind) { String::new() } else { grant.id.to_string() };
        let right = format!("{}{}", sign(&grant.ace), grant.ace.right);
        let kind = target_word(grant.kind).unwrap_or_default();
        lines.push(row([kind, &id, &grant.target, grant.ace.kind.code(), &grant.ace.grantee, &name, &right]));
    }
    Ok(Reply::lines(lines))
}

fn details(right: &Right) -> Vec<String> {
    let mut lines = vec![right.name.to_string(), format!("    {:>13}: {}", "description", right.meaning)];
    let kind = match &right.body {
        Body::Preset => "preset",
        Body::Get(_) => "getAttrs",
        Body::Set(_) => "setAttrs",
        Body::Combo(_) => "combo",
    };
    lines.push(format!("    {:>13}: {kind}", "right type"));
    let targets = ObjectKind::ALL.into_iter().filter(|k| right.targets.has(*k)).filter_map(target_word);
    let targets: Vec<&str> = targets.collect();
    if !targets.is_empty() {
        lines.push(format!("    {:>13}: {}", "target type(s)", targets.join(", ")));
    }
    lines.push(format!("    {:>13}: {}", "right class", if right.user { "USER" } else { "ADMIN" }));
    if let Body::Combo(parts) = &right.body {
        lines.push("    rights:".into());
        lines.extend(parts.iter().map(|p| format!("        {p}")));
    }
    lines.push(String::new());
    lines
}

async fn right(prov: &Prov, call: &Call<'_>) -> Outcome {
    Ok(Reply::lines(details(prov.directory.right(call.name())?)))
}

async fn all_rights(prov: &Prov, call: &Call<'_>) -> Outcome {
    let kind = call.value("-t").map(kind_of).transpose()?;
    let class = match call.value("-c").map(str::to_ascii_uppercase).as_deref() {
        None | Some("ADMIN") => Class::Admin,
        Some("ALL") => Class::All,
        Some("USER") => Class::User,
        Some(other) => return Err(usage(format!("no class of rights: {other}"))),
    };
    let all = prov.directory.all_rights(kind, class);
    Ok(Reply::lines(match call.has("-v") {
        true => all.into_iter().flat_map(details).collect::<Vec<_>>(),
        false => all.into_iter().map(|r| r.name.to_string()).collect(),
    }))
}

fn reach(verb: &str, reach: &Reach, expand: bool, lines: &mut Vec<String>) {
    lines.push(match (reach.all, reach.attrs.is_empty()) {
        (true, _) => format!("Can {verb} all attributes"),
        (false, true) => format!("Can {verb} no attributes"),
        (false, false) => format!("Can {verb} the following attributes:"),
    });
    if !reach.all || expand {
        lines.extend(reach.attrs.iter().map(|a| format!("    {a}")));
    }
    lines.push(String::new());
}

async fn effective(prov: &Prov, call: &Call<'_>) -> Outcome {
    let mut words = call.args.clone();
    let expand = |words: &mut Vec<&str>, word: &str| {
        let at = words.iter().position(|w| w.eq_ignore_ascii_case(word));
        at.map(|at| words.remove(at)).is_some()
    };
    let (set, get) = (expand(&mut words, "expandSetAttrs"), expand(&mut words, "expandGetAttrs"));
    let target = target(prov, &mut words).await?;
    let [name] = words[..] else { return Err(call.wrong()) };
    let person = grantee(prov, GranteeKind::User, name).await?;
    let rights = prov.directory.effective_rights(prov.actor, &target, &person).await?;
    let mut lines = vec![
        format!("Account {} has the following rights on target {}", person.name, target.name),
        "================".into(),
        "Preset rights".into(),
        "================".into(),
    ];
    lines.extend(rights.presets.iter().map(|r| format!("    {r}")));
    lines.push(String::new());
    lines.extend(["=========================", "set attributes rights", "========================="].map(String::from));
    reach("set", &rights.set, set, &mut lines);
    lines.extend(["=========================", "get attributes rights", "========================="].map(String::from));
    reach("get", &rights.get, get, &mut lines);
    Ok(Reply::lines(lines))
}

async fn all_effective(prov: &Prov, call: &Call<'_>) -> Outcome {
    let person = grantee(prov, grantee_of(call.arg(0))?, call.arg(1)).await?;
    let mut lines = Vec::new();
    for place in prov.directory.all_effective_rights(prov.actor, &person).await? {
        lines.push(format!("{} {}", target_word(place.kind).unwrap_or_default(), place.target));
        lines.extend(place.aces.iter().map(|a| format!("    {}{}", sign(a), a.right)));
    }
    Ok(Reply::lines(lines))
}

/// `<target-type> <domain> <cos> <grantee>`; target types without domain and COS take the grantee alone.
async fn create_attrs(prov: &Prov, call: &Call<'_>) -> Outcome {
    let kind = kind_of(call.name())?;
    let Some(name) = call.args.last() else { return Err(call.wrong()) };
    let person = grantee(prov, GranteeKind::User, name).await?;
    let domain = match kind.has_address() && call.args.len() > 2 {
        true => Some(prov.named(&[ObjectKind::Domain], None, call.arg(1)).await?.name),
        false => None,
    };
    let set = prov.directory.create_attrs(prov.actor, kind, domain.as_deref(), &person).await?;
    let mut lines = Vec::new();
    reach("set", &set, true, &mut lines);
    Ok(Reply::lines(lines))
}

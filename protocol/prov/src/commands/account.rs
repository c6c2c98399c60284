//! Commands about accounts.

use super::{Handlers, Preparer, only, prepared_for};
use crate::Outcome;
use crate::call::Call;
use crate::lines::Prepared;
use crate::pairs::modifications;
use crate::passwords;
use crate::prov::Prov;
use crate::reply::Reply;
use crate::show::search;
use zcluster_api::directory::{Filter, Modification, ObjectKind};
use zcluster_directory::Failure;

const ACCOUNT: &[ObjectKind] = &[ObjectKind::Account, ObjectKind::Resource];

pub(super) const HANDLERS: Handlers = &[
    ("getAccount", |p, c| Box::pin(get(p, c))),
    ("getAllAccounts", |p, c| Box::pin(get_all(p, c))),
    ("getAllAdminAccounts", |p, c| Box::pin(get_all_admins(p, c))),
    ("renameAccount", |p, c| Box::pin(p.give_name(c, ACCOUNT, None))),
    ("changePrimaryEmail", |p, c| Box::pin(change_primary(p, c))),
    ("checkPasswordStrength", |p, c| Box::pin(check_strength(p, c))),
    ("getAccountMembership", |p, c| Box::pin(membership(p, c))),
];

pub(super) const PREPARERS: &[(&str, Preparer)] = &[
    ("createAccount", |p, c| Box::pin(create(p, c, ObjectKind::Account))),
    ("modifyAccount", |p, c| Box::pin(modify(p, c))),
    ("deleteAccount", |p, c| Box::pin(delete(p, c))),
    ("setPassword", |p, c| Box::pin(set_password(p, c))),
    ("setAccountCos", |p, c| Box::pin(set_cos(p, c))),
    ("addAccountAlias", |p, c| Box::pin(add_alias(p, c))),
    ("removeAccountAlias", |p, c| Box::pin(remove_alias(p, c))),
];

/// Makes an account or resource, and tells its id.
pub(super) async fn create(prov: &Prov, call: &Call<'_>, kind: ObjectKind) -> Result<Prepared, Failure> {
    let mut attrs = modifications(call.from(2))?;
    // An empty password makes an account that nobody can sign in to.
    let (name, password) = (call.arg(0), call.arg(1));
    let with = prov.first_password(call, (kind, name), password, &mut attrs).await?;
    let command = prov.directory.person_creation(prov.actor, kind, (call.fresh, name), attrs, with).await?;
    Ok(Prepared {
        command: Some(command),
        reply: Reply::text(call.fresh.to_string()),
        kind,
        name: name.to_string(),
        id: call.fresh,
        names: vec![name.to_lowercase()],
        alone: prov.is_bounded(name).await?,
    })
}

async fn get(prov: &Prov, call: &Call<'_>) -> Outcome {
    let account = prov.person(call.name()).await?;
    prov.shown(account, call, call.from(1)).await
}

pub(super) async fn modify(prov: &Prov, call: &Call<'_>) -> Result<Prepared, Failure> {
    let mut changes = modifications(call.from(1))?;
    let account = prov.person(call.name()).await?;
    let with = prov.new_password(call, &account, None, &mut changes).await?;
    prov.prepare_change_with(&account, changes, with).await
}

pub(super) async fn delete(prov: &Prov, call: &Call<'_>) -> Result<Prepared, Failure> {
    let account = prov.person(call.name()).await?;
    let command = prov.directory.deletion(prov.actor, &account).await?;
    Ok(prepared_for(&account, Some(command), Reply::default()))
}

async fn set_password(prov: &Prov, call: &Call<'_>) -> Result<Prepared, Failure> {
    let account = prov.person(call.name()).await?;
    let mut changes = Vec::new();
    let with = prov.new_password(call, &account, Some(call.arg(1)), &mut changes).await?;
    prov.prepare_change_with(&account, changes, with).await
}

async fn check_strength(prov: &Prov, call: &Call<'_>) -> Outcome {
    let account = prov.person(call.name()).await?;
    let right = match account.kind {
        ObjectKind::Resource => "checkCalendarResourcePasswordStrength",
        _ => "checkPasswordStrength",
    };
    prov.directory.require_right(prov.actor, &account, &[right]).await?;
    passwords::check_strength(&prov.full_account(account.id).await?, call.arg(1))?;
    Ok(Reply::text("Password passed strength check."))
}

async fn set_cos(prov: &Prov, call: &Call<'_>) -> Result<Prepared, Failure> {
    let cos = prov.named(&[ObjectKind::Cos], None, call.arg(1)).await?;
    let account = prov.person(call.name()).await?;
    prov.prepare_change(&account, vec![Modification::set("zimbraCOSId", cos.id.to_string())]).await
}

pub(super) async fn add_alias(prov: &Prov, call: &Call<'_>) -> Result<Prepared, Failure> {
    let account = prov.person(call.name()).await?;
    let command = prov.directory.alias_addition(prov.actor, &account, call.arg(1)).await?;
    let mut prepared = prepared_for(&account, Some(command), Reply::default());
    (prepared.kind, prepared.name) = (ObjectKind::Alias, call.arg(1).to_string());
    prepared.names.push(call.arg(1).to_lowercase());
    Ok(prepared)
}

pub(super) async fn remove_alias(prov: &Prov, call: &Call<'_>) -> Result<Prepared, Failure> {
    let account = prov.person(call.name()).await?;
    let command = prov.directory.alias_removal(prov.actor, &account, call.arg(1)).await?;
    let mut prepared = prepared_for(&account, Some(command), Reply::default());
    (prepared.kind, prepared.name) = (ObjectKind::Alias, call.arg(1).to_string());
    Ok(prepared)
}

/// The new name becomes the primary address; the old one stays as an alias.
async fn change_primary(prov: &Prov, call: &Call<'_>) -> Outcome {
    let (old, new) = (call.arg(0), call.arg(1));
    let account = match prov.person(old).await {
        Err(_) if call.again => prov.person(new).await?,
        found => found?,
    };
    let before = account.name.clone();
    // Both or nothing.
    prov.directory.may_add_alias(prov.actor, &account, &before).await?;
    let renamed = match account.name.eq_ignore_ascii_case(new) {
        true => account,
        false => prov.directory.rename(prov.actor, &account, new).await?,
    };
    // A line that was cut off in between names the old address, which is nobody's then.
    let alias = if before.eq_ignore_ascii_case(new) { old } else { &before };
    if alias.contains('@') && !alias.eq_ignore_ascii_case(new) {
        prov.directory.add_alias(prov.actor, &renamed, alias).await?;
    }
    Ok(Reply::default())
}

async fn get_all(prov: &Prov, call: &Call<'_>) -> Outcome {
    let domain = call.args.first().copied();
    if let Some(domain) = domain {
        prov.named(&[ObjectKind::Domain], None, domain).await?;
    }
    let filter = call.value("-s").map_or_else(Filter::all, |server| Filter::equal("zimbraMailHost", server));
    prov.list(call, search(only(ObjectKind::Account), domain, filter), &[]).await
}

async fn get_all_admins(prov: &Prov, call: &Call<'_>) -> Outcome {
    let admin = Filter::Or(vec![
        Filter::equal("zimbraIsAdminAccount", "TRUE"),
        Filter::equal("zimbraIsDelegatedAdminAccount", "TRUE"),
    ]);
    prov.list(call, search(only(ObjectKind::Account), None, admin), &call.args).await
}

async fn membership(prov: &Prov, call: &Call<'_>) -> Outcome {
    let account = prov.person(call.name()).await?;
    super::list::membership_lines(prov, &account).await
}

//! Commands about accounts.

use super::entry::{Entry, Item, Reply};
use super::{Arguments, Failure, Outcome, Prov, fresh_id, hash_passwords, modifications, password, unexpected};
use zcluster_api::directory::{Account, Modification};
use zcluster_api::{DirectoryCommand, DirectoryQuery, DirectoryReply, Error};

/// Accounts asked for at once.
const PAGE: u32 = 1_000;

fn account_error(name: &str) -> impl Fn(&Error) -> Option<Failure> + '_ {
    move |e| match e {
        Error::Exists(what) => {
            Some(Failure::new("account.ACCOUNT_EXISTS", format!("email address already exists: {what}")))
        }
        Error::NotFound(what) => Some(Failure::new("account.NO_SUCH_DOMAIN", format!("no such {what} (for {name})"))),
        _ => None,
    }
}

fn account_entry(account: &Account, own_only: bool, only: &[&str]) -> Entry {
    let mut attrs = account.attrs.clone();
    let implied = [("zimbraId", account.id.to_string()), ("mail", account.name.clone())];
    for (name, value) in implied {
        if !attrs.has(name) {
            attrs.set(name, vec![value]);
        }
    }
    Entry::new(&account.name, &attrs, account.cos.as_deref().filter(|_| !own_only), only)
}

/// `createAccount`: prints the new id.
pub async fn create(prov: &Prov, call: &Arguments<'_>) -> Outcome {
    let mut attrs = modifications(call.args.get(2..).unwrap_or_default())?;
    hash_passwords(&mut attrs).await?;
    // zmprov creates accounts that cannot sign in when the password is empty.
    if !call.second().is_empty() {
        attrs.push(password(call.second()).await?);
    }
    let group = (prov.choose_shard)().map_err(|e| super::generic(&e))?;
    let name = call.name().to_string();
    let command = DirectoryCommand::CreateAccount { id: fresh_id(), name: name.clone(), attrs, group };
    let account = prov.write(command, account_error(&name)).await?.into_account().map_err(|e| super::generic(&e))?;
    Ok(Reply::text(account.id.to_string()))
}

/// `getAccount`.
pub async fn get(prov: &Prov, call: &Arguments<'_>) -> Outcome {
    let account = prov.account(call.name()).await?;
    Ok(Reply::entry(account_entry(&account, call.has("-e"), &call.args[1..])))
}

/// `modifyAccount`.
pub async fn modify(prov: &Prov, call: &Arguments<'_>) -> Outcome {
    let mut changes = modifications(&call.args[1..])?;
    hash_passwords(&mut changes).await?;
    let id = prov.account(call.name()).await?.id;
    prov.write(DirectoryCommand::ModifyAccount { id, changes }, account_error(call.name())).await?;
    Ok(Reply::default())
}

/// `deleteAccount`.
pub async fn delete(prov: &Prov, call: &Arguments<'_>) -> Outcome {
    let id = prov.account(call.name()).await?.id;
    prov.write(DirectoryCommand::DeleteAccount(id), |_| None).await?;
    Ok(Reply::default())
}

/// `setPassword`.
pub async fn set_password(prov: &Prov, call: &Arguments<'_>) -> Outcome {
    let account = prov.account(call.name()).await?;
    let (id, new) = (account.id, call.second().to_string());
    zcluster_auth::check_password_strength(&account, &new).map_err(|v| Failure::new(v.code(), v.to_string()))?;
    // Hashing costs tens of milliseconds by design: not on the event loop.
    let changes = move || {
        let params = zcluster_auth::HashParams::default();
        zcluster_auth::password_changes(&account, &new, params, zcluster_runtime::wall_ms())
    };
    let changes = zcluster_runtime::spawn_blocking(changes).await;
    let changes = changes.map_err(|e| Failure::new("service.FAILURE", e.to_string()))?;
    prov.write(DirectoryCommand::ModifyAccount { id, changes }, |_| None).await?;
    Ok(Reply::default())
}

/// `setAccountCos`.
pub async fn set_cos(prov: &Prov, call: &Arguments<'_>) -> Outcome {
    let cos = super::cos::find(prov, call.second()).await?;
    let id = prov.account(call.name()).await?.id;
    let changes = vec![Modification::set("zimbraCOSId", cos.id.to_string())];
    prov.write(DirectoryCommand::ModifyAccount { id, changes }, |_| None).await?;
    Ok(Reply::default())
}

/// `renameAccount`.
pub async fn rename(prov: &Prov, call: &Arguments<'_>) -> Outcome {
    let id = prov.account(call.name()).await?.id;
    let name = call.second().to_string();
    prov.write(DirectoryCommand::RenameAccount { id, name }, account_error(call.second())).await?;
    Ok(Reply::default())
}

/// `addAccountAlias`.
pub async fn add_alias(prov: &Prov, call: &Arguments<'_>) -> Outcome {
    let id = prov.account(call.name()).await?.id;
    let alias = call.second().to_string();
    prov.write(DirectoryCommand::AddAlias { id, alias }, account_error(call.second())).await?;
    Ok(Reply::default())
}

/// `removeAccountAlias`.
pub async fn remove_alias(prov: &Prov, call: &Arguments<'_>) -> Outcome {
    let id = prov.account(call.name()).await?.id;
    let alias = call.second().to_string();
    let refused = |e: &Error| match e {
        Error::NotFound(_) => Some(Failure::new("account.NO_SUCH_ALIAS", format!("no such alias: {}", call.second()))),
        _ => None,
    };
    prov.write(DirectoryCommand::RemoveAlias { id, alias }, refused).await?;
    Ok(Reply::default())
}

/// `getAllAccounts [domain]` and `getAllAdminAccounts [attr]...`.
pub async fn get_all(prov: &Prov, call: &Arguments<'_>, admins: bool) -> Outcome {
    let domain = call.args.first().filter(|_| !admins).map(|d| d.to_lowercase());
    let only: &[&str] = if admins { &call.args } else { &[] };
    let mut items = Vec::new();
    let mut after = None;
    loop {
        let query = DirectoryQuery::Accounts { domain: domain.clone(), after: after.clone(), limit: PAGE };
        let page = match prov.read(query).await? {
            DirectoryReply::Accounts(page) => page,
            other => return Err(unexpected(&other)),
        };
        let Some(last) = page.last() else { break };
        after = Some(last.name.clone());
        for account in page.iter().filter(|a| !admins || a.is_admin()) {
            items.push(match call.has("-v") {
                true => Item::Entry(account_entry(account, call.has("-e"), only)),
                false => Item::Text(account.name.clone()),
            });
        }
    }
    Ok(Reply { items })
}

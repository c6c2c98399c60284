//! Commands about domains.

use super::entry::{Entry, Item, Reply};
use super::{Arguments, Failure, Outcome, Prov, fresh_id, generic, modifications, unexpected};
use zcluster_api::directory::Domain;
use zcluster_api::{DirectoryCommand, DirectoryQuery, DirectoryReply, Error, Freshness};

fn domain_error(name: &str) -> impl Fn(&Error) -> Option<Failure> + '_ {
    move |e| match e {
        Error::Exists(_) => Some(Failure::new("account.DOMAIN_EXISTS", format!("domain already exists: {name}"))),
        Error::NotFound(_) => Some(no_such(name)),
        Error::Conflict(_) => Some(Failure::new("account.DOMAIN_NOT_EMPTY", format!("domain not empty: {name}"))),
        _ => None,
    }
}

fn no_such(name: &str) -> Failure {
    Failure::new("account.NO_SUCH_DOMAIN", format!("no such domain: {name}"))
}

fn domain_entry(domain: &Domain, only: &[&str]) -> Entry {
    let mut attrs = domain.attrs.clone();
    for (name, value) in [("zimbraId", domain.id.to_string()), ("zimbraDomainName", domain.name.clone())] {
        if !attrs.has(name) {
            attrs.set(name, vec![value]);
        }
    }
    Entry::new(&domain.name, &attrs, None, only)
}

/// `createDomain`: prints the new id.
pub async fn create(prov: &Prov, call: &Arguments<'_>) -> Outcome {
    let attrs = modifications(&call.args[1..])?;
    let command = DirectoryCommand::CreateDomain { id: fresh_id(), name: call.name().to_string(), attrs };
    match prov.write(command, domain_error(call.name())).await? {
        DirectoryReply::Domain(domain) => Ok(Reply::text(domain.id.to_string())),
        other => Err(unexpected(&other)),
    }
}

/// `getDomain`.
pub async fn get(prov: &Prov, call: &Arguments<'_>) -> Outcome {
    let query = DirectoryQuery::Domain(call.name().to_lowercase());
    match prov.directory.read(query, Freshness::Recent).await {
        Ok(DirectoryReply::Domain(domain)) => Ok(Reply::entry(domain_entry(&domain, &call.args[1..]))),
        Ok(other) => Err(unexpected(&other)),
        Err(Error::NotFound(_)) => Err(no_such(call.name())),
        Err(e) => Err(generic(&e)),
    }
}

/// `modifyDomain`.
pub async fn modify(prov: &Prov, call: &Arguments<'_>) -> Outcome {
    let changes = modifications(&call.args[1..])?;
    let command = DirectoryCommand::ModifyDomain { name: call.name().to_string(), changes };
    prov.write(command, domain_error(call.name())).await?;
    Ok(Reply::default())
}

/// `deleteDomain`.
pub async fn delete(prov: &Prov, call: &Arguments<'_>) -> Outcome {
    prov.write(DirectoryCommand::DeleteDomain(call.name().to_string()), domain_error(call.name())).await?;
    Ok(Reply::default())
}

/// `getAllDomains`.
pub async fn get_all(prov: &Prov, call: &Arguments<'_>) -> Outcome {
    let domains = match prov.read(DirectoryQuery::Domains).await? {
        DirectoryReply::Domains(domains) => domains,
        other => return Err(unexpected(&other)),
    };
    let item = |d: &Domain| match call.has("-v") {
        true => Item::Entry(domain_entry(d, &call.args)),
        false => Item::Text(d.name.clone()),
    };
    Ok(Reply { items: domains.iter().map(item).collect() })
}

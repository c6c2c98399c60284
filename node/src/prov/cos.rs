//! Commands about classes of service.

use super::entry::{Entry, Item, Reply};
use super::{Arguments, Failure, Outcome, Prov, fresh_id, modifications, unexpected};
use zcluster_api::directory::Cos;
use zcluster_api::{AccountId, DirectoryCommand, DirectoryQuery, DirectoryReply, Error};

fn cos_error(name: &str) -> impl Fn(&Error) -> Option<Failure> + '_ {
    move |e| match e {
        Error::Exists(_) => Some(Failure::new("account.COS_EXISTS", format!("cos already exists: {name}"))),
        Error::NotFound(_) => Some(no_such(name)),
        _ => None,
    }
}

fn no_such(name: &str) -> Failure {
    Failure::new("account.NO_SUCH_COS", format!("no such cos: {name}"))
}

async fn all(prov: &Prov) -> Result<Vec<Cos>, Failure> {
    match prov.read(DirectoryQuery::CosList).await? {
        DirectoryReply::CosList(list) => Ok(list),
        other => Err(unexpected(&other)),
    }
}

/// A COS by name or id.
pub async fn find(prov: &Prov, name: &str) -> Result<Cos, Failure> {
    let id = name.parse::<AccountId>().ok();
    let found = all(prov).await?.into_iter().find(|c| Some(c.id) == id || c.name.eq_ignore_ascii_case(name));
    found.ok_or_else(|| no_such(name))
}

fn cos_entry(cos: &Cos, only: &[&str]) -> Entry {
    let mut attrs = cos.attrs.clone();
    for (name, value) in [("zimbraId", cos.id.to_string()), ("cn", cos.name.clone())] {
        if !attrs.has(name) {
            attrs.set(name, vec![value]);
        }
    }
    Entry::new(&cos.name, &attrs, None, only)
}

/// `createCos`: prints the new id.
pub async fn create(prov: &Prov, call: &Arguments<'_>) -> Outcome {
    let attrs = modifications(&call.args[1..])?;
    let command = DirectoryCommand::CreateCos { id: fresh_id(), name: call.name().to_string(), attrs };
    match prov.write(command, cos_error(call.name())).await? {
        DirectoryReply::Cos(cos) => Ok(Reply::text(cos.id.to_string())),
        other => Err(unexpected(&other)),
    }
}

/// `getCos`.
pub async fn get(prov: &Prov, call: &Arguments<'_>) -> Outcome {
    Ok(Reply::entry(cos_entry(&find(prov, call.name()).await?, &call.args[1..])))
}

/// `modifyCos`.
pub async fn modify(prov: &Prov, call: &Arguments<'_>) -> Outcome {
    let changes = modifications(&call.args[1..])?;
    let name = find(prov, call.name()).await?.name;
    prov.write(DirectoryCommand::ModifyCos { name, changes }, cos_error(call.name())).await?;
    Ok(Reply::default())
}

/// `deleteCos`.
pub async fn delete(prov: &Prov, call: &Arguments<'_>) -> Outcome {
    let name = find(prov, call.name()).await?.name;
    prov.write(DirectoryCommand::DeleteCos(name), cos_error(call.name())).await?;
    Ok(Reply::default())
}

/// `getAllCos`.
pub async fn get_all(prov: &Prov, call: &Arguments<'_>) -> Outcome {
    let item = |c: &Cos| match call.has("-v") {
        true => Item::Entry(cos_entry(c, &[])),
        false => Item::Text(c.name.clone()),
    };
    Ok(Reply { items: all(prov).await?.iter().map(item).collect() })
}

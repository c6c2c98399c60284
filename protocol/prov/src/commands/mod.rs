//! The commands, a file for each category.

mod account;
mod beside;
mod child;
mod config;
mod cos;
mod describe;
mod domain;
mod gal;
mod list;
mod mailbox;
mod misc;
mod resource;
mod rights;
mod search;
mod server;
mod share;

use crate::Outcome;
use crate::call::Call;
use crate::lines::Prepared;
use crate::prov::Prov;
use crate::reply::Reply;
use futures::future::BoxFuture;
use zcluster_api::AccountId;
use zcluster_api::directory::{Kinds, Modification, Object, ObjectBy, ObjectKind};
use zcluster_directory::Failure;

/// Carries a command out.
pub(crate) type Handler = for<'a> fn(&'a Prov, &'a Call<'a>) -> BoxFuture<'a, Outcome>;
/// Checks a command whose change can be carried out together with others.
pub(crate) type Preparer = for<'a> fn(&'a Prov, &'a Call<'a>) -> BoxFuture<'a, Result<Prepared, Failure>>;

/// What a category's file offers.
pub(crate) type Handlers = &'static [(&'static str, Handler)];

const HANDLERS: [Handlers; 13] = [
    account::HANDLERS,
    child::HANDLERS,
    config::HANDLERS,
    cos::HANDLERS,
    describe::HANDLERS,
    domain::HANDLERS,
    gal::HANDLERS,
    list::HANDLERS,
    mailbox::HANDLERS,
    misc::HANDLERS,
    resource::HANDLERS,
    rights::HANDLERS,
    search::HANDLERS,
];

const PREPARERS: [&[(&str, Preparer)]; 3] = [account::PREPARERS, resource::PREPARERS, list::PREPARERS];

fn handlers() -> impl Iterator<Item = &'static (&'static str, Handler)> {
    HANDLERS.into_iter().chain([server::HANDLERS, share::HANDLERS, beside::HANDLERS]).flatten()
}

/// The names of all commands that are there.
#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    handlers().map(|(name, _)| *name).chain(PREPARERS.into_iter().flatten().map(|(name, _)| *name))
}

/// Whether a command can be carried out.
pub(crate) fn is_there(name: &str) -> bool {
    handler(name).is_some()
}

pub(crate) fn handler(name: &str) -> Option<Handler> {
    let own = handlers().find(|(n, _)| *n == name).map(|(_, handler)| *handler);
    own.or_else(|| preparer(name).map(|_| prepared as Handler))
}

pub(crate) fn preparer(name: &str) -> Option<Preparer> {
    PREPARERS.into_iter().flatten().find(|(n, _)| *n == name).map(|(_, preparer)| *preparer)
}

/// Carries out a command that can also be prepared.
fn prepared<'a>(prov: &'a Prov, call: &'a Call<'a>) -> BoxFuture<'a, Outcome> {
    Box::pin(async move {
        let Some(prepare) = preparer(call.command.name) else { return Err(call.wrong()) };
        let prepared = prepare(prov, call).await;
        prov.carry_out_prepared(call, prepared).await
    })
}

// What the commands of many categories share.

impl Prov {
    /// Makes an entry and tells its id.
    async fn make(
        &self,
        call: &Call<'_>,
        kind: ObjectKind,
        name: &str,
        parent: Option<AccountId>,
        attrs: Vec<Modification>,
    ) -> Outcome {
        let made = self.directory.create_with_id(self.actor, kind, call.fresh, name, parent, attrs).await;
        match made {
            Ok(object) => Ok(Reply::text(object.id.to_string())),
            // The line was sent before, and made it then: nobody else draws this id.
            Err(failure) => match self.directory.find(ObjectBy::Id(call.fresh)).await {
                Ok(object) if failure.code.ends_with("_EXISTS") => Ok(Reply::text(object.id.to_string())),
                _ => Err(failure),
            },
        }
    }

    async fn change(&self, object: &Object, changes: Vec<Modification>) -> Outcome {
        self.directory.modify(self.actor, object, changes).await.map(|_| Reply::default())
    }

    async fn remove(&self, object: &Object) -> Outcome {
        self.directory.delete(self.actor, object).await.map(|()| Reply::default())
    }

    /// Gives the entry another name; done already, if the call was sent before.
    async fn give_name(&self, call: &Call<'_>, kinds: &[ObjectKind], parent: Option<AccountId>) -> Outcome {
        let (old, new) = (call.arg(0), call.arg(1));
        match self.named(kinds, parent, old).await {
            Ok(object) => self.directory.rename(self.actor, &object, new).await.map(|_| Reply::default()),
            Err(_) if call.again && self.named(kinds, parent, new).await.is_ok() => Ok(Reply::default()),
            Err(failure) => Err(failure),
        }
    }

    /// Whether an address's domain has a limit of accounts.
    async fn is_bounded(&self, address: &str) -> Result<bool, Failure> {
        const BOUNDS: [&str; 3] =
            ["zimbraDomainMaxAccounts", "zimbraDomainCOSMaxAccounts", "zimbraDomainFeatureMaxAccounts"];
        let name = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        match self.directory.named(&[ObjectKind::Domain], None, name).await {
            Ok(domain) => Ok(BOUNDS.iter().any(|b| domain.attrs.has(b))),
            Err(failure) if failure.code.contains("NO_SUCH") => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// A prepared change of attributes.
    async fn prepare_change(&self, object: &Object, changes: Vec<Modification>) -> Result<Prepared, Failure> {
        self.prepare_change_with(object, changes, Vec::new()).await
    }

    /// The same with what goes with a new password.
    async fn prepare_change_with(
        &self,
        object: &Object,
        changes: Vec<Modification>,
        with: Vec<Modification>,
    ) -> Result<Prepared, Failure> {
        let counts = changes.iter().any(|m| m.name.eq_ignore_ascii_case("zimbraCOSId"));
        let alone = counts && self.is_bounded(&object.name).await?;
        let command = self.directory.change_of(self.actor, object, changes, with).await?;
        Ok(Prepared { alone, ..prepared_for(object, command, Reply::default()) })
    }
}

/// A prepared change of an entry that is there.
fn prepared_for(object: &Object, command: Option<zcluster_api::DirectoryCommand>, reply: Reply) -> Prepared {
    let aliases = object.attrs.all("zimbraMailAlias").iter().cloned();
    let names = std::iter::once(object.name.to_lowercase()).chain(aliases).collect();
    Prepared { command, reply, kind: object.kind, name: object.name.clone(), id: object.id, names, alone: false }
}

/// The set of one kind.
fn only(kind: ObjectKind) -> Kinds {
    Kinds::of(&[kind])
}

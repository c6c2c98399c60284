//! What the service wants of the directory.

use futures::future::BoxFuture;
use zcluster_api::directory::{Account, Modification, Object, ObjectBy, ObjectKind, Page, Search};
use zcluster_api::{AccountId, Actor};

pub use zcluster_directory::Failure;
use zcluster_directory::PasswordRules;

/// Whether it says that something is not there.
pub fn is_missing(failure: &Failure) -> bool {
    failure.code.starts_with("account.NO_SUCH_") || failure.code == "service.NOT_FOUND"
}

/// `Result` with a [`Failure`], in time.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Failure>>;

/// The directory with its checks: of values by the schema, of what the actor may do by its rights.
pub trait Directory: Send + Sync + 'static {
    /// One entry. An alias's address leads to whose it is.
    fn get(&self, actor: Actor, by: ObjectBy) -> Answer<'_, Object>;
    /// A page of entries.
    fn search(&self, actor: Actor, search: Search) -> Answer<'_, Page>;
    /// Adds an entry. An alias's parent is whose it is, and its name the address. Passwords are hashes.
    fn create<'a>(
        &'a self,
        actor: Actor,
        kind: ObjectKind,
        name: &'a str,
        parent: Option<AccountId>,
        attrs: Vec<Modification>,
    ) -> Answer<'a, Object>;
    /// Adds an account, with what goes with its first password.
    fn create_person<'a>(
        &'a self,
        actor: Actor,
        kind: ObjectKind,
        name: &'a str,
        attrs: Vec<Modification>,
        with: Vec<Modification>,
    ) -> Answer<'a, Object>;
    /// Whether the account may be made; how it will be, by whose rules its first password goes.
    fn for_first_password<'a>(
        &'a self,
        actor: Actor,
        kind: ObjectKind,
        name: &'a str,
        attrs: &'a [Modification],
    ) -> Answer<'a, Account>;
    /// Whether its password may be set; how it will be after the changes, and which rules count.
    fn for_password<'a>(
        &'a self,
        actor: Actor,
        object: &'a Object,
        changes: &'a [Modification],
    ) -> Answer<'a, (Account, PasswordRules)>;
    /// Changes an entry: all of it or nothing; `with` goes with a new password.
    fn modify<'a>(
        &'a self,
        actor: Actor,
        object: &'a Object,
        changes: Vec<Modification>,
        with: Vec<Modification>,
    ) -> Answer<'a, Object>;
    /// Removes an entry, with what belongs to it.
    fn delete<'a>(&'a self, actor: Actor, object: &'a Object) -> Answer<'a, ()>;
    /// Renames an entry.
    fn rename<'a>(&'a self, actor: Actor, object: &'a Object, name: &'a str) -> Answer<'a, Object>;
    /// A number that rises with every change of this node's copy, if somebody counts.
    fn version(&self) -> Option<u64>;
}

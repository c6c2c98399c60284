//! Checked commands that are not carried out yet: for batches, each of whose commands stands for itself.

use crate::access::Wish;
use crate::{Directory, Failure, changes, commands};
use zcluster_api::directory::{Attributes, Modification, Object, ObjectKind};
use zcluster_api::{AccountId, Actor, DirectoryCommand};

/// What an entry is given when it is made, and never again: immutable for clients.
const ONCE: [(ObjectKind, &str); 5] = [
    (ObjectKind::Domain, "zimbraDomainType"),
    // Zimbra's maps for Postfix look for these in alias domains, though no domain may have them otherwise.
    (ObjectKind::Domain, "zimbraMailCatchAllAddress"),
    (ObjectKind::Domain, "zimbraMailCatchAllForwardingAddress"),
    (ObjectKind::XmppComponent, "zimbraDomainId"),
    (ObjectKind::XmppComponent, "zimbraServerId"),
];

/// Checks what a new entry is to have.
pub(crate) fn at_creation(kind: ObjectKind, attrs: Vec<Modification>) -> Result<Vec<Modification>, Failure> {
    let is_once = |m: &Modification| ONCE.iter().any(|(k, name)| *k == kind && m.name.eq_ignore_ascii_case(name));
    let (once, rest): (Vec<_>, Vec<_>) = attrs.into_iter().partition(is_once);
    let mut out = changes::modifications(kind, &Attributes::new(), rest)?;
    for change in once {
        let Some(definition) = zcluster_schema::find(&change.name) else { continue };
        let checked = change.values.iter().map(|v| zcluster_schema::check(definition, v)).collect::<Result<_, _>>();
        out.push(Modification { name: definition.name.to_string(), kind: change.kind, values: checked? });
    }
    Ok(out)
}

impl Directory {
    /// The checked command that makes an account, with what goes with its first password (`trusted`).
    ///
    /// # Errors
    /// As [`Directory::create`].
    pub async fn person_creation(
        &self,
        actor: Actor,
        kind: ObjectKind,
        (id, name): (AccountId, &str),
        attrs: Vec<Modification>,
        trusted: Vec<Modification>,
    ) -> Result<DirectoryCommand, Failure> {
        let command = self.creation(actor, kind, id, name, None, attrs).await?;
        Ok(commands::with(command, trusted))
    }

    /// The checked command that removes an entry.
    ///
    /// # Errors
    /// As [`Directory::delete`].
    pub async fn deletion(&self, actor: Actor, object: &Object) -> Result<DirectoryCommand, Failure> {
        self.allow(actor, Wish::Delete(object)).await?;
        self.audit_changed(actor, "delete in a batch", object, &[]).await;
        commands::deletion(object)
    }

    /// The checked command that gives an account or list a further address.
    ///
    /// # Errors
    /// `PERM_DENIED`.
    pub async fn alias_addition(
        &self,
        actor: Actor,
        object: &Object,
        alias: &str,
    ) -> Result<DirectoryCommand, Failure> {
        self.allow(actor, Wish::Alias { object, alias, add: true }).await?;
        self.audit_done(actor, "add alias in a batch", &format!("{:?} {}", object.kind, object.name), alias).await;
        Ok(DirectoryCommand::AddAlias { id: object.id, alias: alias.to_string() })
    }

    /// The checked command that takes a further address away.
    ///
    /// # Errors
    /// `PERM_DENIED`.
    pub async fn alias_removal(&self, actor: Actor, object: &Object, alias: &str) -> Result<DirectoryCommand, Failure> {
        self.allow(actor, Wish::Alias { object, alias, add: false }).await?;
        self.audit_done(actor, "remove alias in a batch", &format!("{:?} {}", object.kind, object.name), alias).await;
        Ok(DirectoryCommand::RemoveAlias { id: object.id, alias: alias.to_string() })
    }
}

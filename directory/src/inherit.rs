//! What an entry inherits (data model §12): values are replaced whole, never merged.

use crate::{Directory, Failure};
use zcluster_api::directory::{AccountBy, Attributes, Object, ObjectBy, ObjectKind};
use zcluster_api::{DirectoryQuery, Error};
use zcluster_schema::Flag;

impl Directory {
    /// What the entry inherits, its own attributes left out; empty for kinds that inherit nothing.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub async fn inherited(&self, object: &Object) -> Result<Attributes, Failure> {
        let mut out = match object.kind {
            ObjectKind::Account | ObjectKind::Resource => self.of_account(object).await?,
            ObjectKind::Domain => self.of_config(Flag::DomainInherited).await?,
            ObjectKind::Server => self.of_config(Flag::ServerInherited).await?,
            _ => return Ok(Attributes::new()),
        };
        out = out.keep(|name| !object.attrs.has(name));
        Ok(out)
    }

    /// The entry's own attributes over those that it inherits.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub async fn effective(&self, object: &Object) -> Result<Attributes, Failure> {
        let mut all = self.inherited(object).await?;
        object.attrs.iter().for_each(|a| all.set(&a.name, a.values.clone()));
        Ok(all)
    }

    async fn of_account(&self, object: &Object) -> Result<Attributes, Failure> {
        let account = match self.read(DirectoryQuery::Account(AccountBy::Id(object.id))).await {
            Ok(reply) => reply.into_account()?,
            Err(Error::NotFound(_)) => return Ok(Attributes::new()),
            Err(e) => return Err(e.into()),
        };
        let mut out = account.cos.map(|cos| cos.as_ref().clone()).unwrap_or_default();
        if let Some(domain) = account.domain {
            let wanted =
                |name: &str| zcluster_schema::find(name).is_some_and(|d| d.has(Flag::AccountCosDomainInherited));
            for attr in domain.iter().filter(|a| wanted(&a.name) && !out.has(&a.name)).collect::<Vec<_>>() {
                out.set(&attr.name, attr.values.clone());
            }
        }
        Ok(out)
    }

    async fn of_config(&self, flag: Flag) -> Result<Attributes, Failure> {
        let by = ObjectBy::Name { kind: ObjectKind::Config, name: String::new(), parent: None };
        let config = self.read(DirectoryQuery::Object(by)).await?.into_object()?;
        Ok(config.attrs.keep(|name| zcluster_schema::find(name).is_some_and(|d| d.has(flag))))
    }
}

//! What LDIF says as changes.

use crate::dn::Dn;
use crate::ldif::{ModKind, What};
use crate::shown::{classes, kind_at, name_at, text_of};
use crate::{Directory, Failure, tree};
use serde::{Deserialize, Serialize};
use zcluster_api::Actor;
use zcluster_api::directory::{Modification, ModifyKind};

/// A change of a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Change {
    /// Of what.
    pub dn: String,
    /// What.
    pub how: How,
}

/// See [`Change`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum How {
    /// It goes.
    Delete,
    /// Attributes change: `add`, `delete`, `replace` or `increment`, name, values.
    Modify(Vec<(String, String, Vec<String>)>),
    /// It gets another name.
    Rename {
        /// First part of the new name.
        new_rdn: String,
        /// New place in the tree.
        new_superior: Option<String>,
    },
}

impl How {
    /// What a record says; nothing for entries.
    ///
    /// # Errors
    /// A value is not UTF-8.
    pub fn of(what: &What) -> Result<Option<How>, String> {
        Ok(Some(match what {
            What::Content(_) | What::Add(_) => return Ok(None),
            What::Delete => How::Delete,
            What::Rename { new_rdn, new_superior, .. } => {
                How::Rename { new_rdn: new_rdn.clone(), new_superior: new_superior.clone() }
            }
            What::Modify(mods) => {
                let mut out = Vec::with_capacity(mods.len());
                for m in mods {
                    let (name, _) = text_of(&m.attr, b"")?;
                    let values = m.values.iter().map(|v| text_of(&m.attr, v).map(|(_, text)| text));
                    out.push((m.kind.word().to_string(), name, values.collect::<Result<_, _>>()?));
                }
                How::Modify(out)
            }
        }))
    }
}

impl Directory {
    /// Carries out a change of a file.
    ///
    /// # Errors
    /// There is no such entry, or what the change is refused for.
    pub async fn change(&self, actor: Actor, change: &Change) -> Result<(), Failure> {
        let dn = Dn::parse(&change.dn).map_err(|e| Failure::invalid(e.to_string()))?;
        let object = self.at(&dn).await?;
        match &change.how {
            How::Delete => self.delete(actor, &object).await,
            How::Modify(mods) => {
                let mods = mods.iter().map(modification).collect::<Result<_, _>>()?;
                self.modify(actor, &object, mods).await.map(|_| ())
            }
            How::Rename { new_rdn, new_superior } => {
                let bad = |e: crate::dn::DnError| Failure::invalid(e.to_string());
                let above = match new_superior {
                    Some(text) => Dn::parse(text).map_err(bad)?,
                    None => dn.parent().unwrap_or_default(),
                };
                let new = above.child(Dn::parse_rdn(new_rdn).map_err(bad)?);
                let place = tree::place(&new).filter(|p| kind_at(p, &classes(&object)) == Some(object.kind));
                let (name, owner) = place
                    .as_ref()
                    .and_then(name_at)
                    .ok_or_else(|| Failure::invalid(format!("an entry of this kind cannot be called {new}")))?;
                if owner.is_some() && !above.same(&dn.parent().unwrap_or_default()) {
                    return Err(Failure::invalid("what belongs to an entry cannot be given to another"));
                }
                self.rename(actor, &object, &name).await.map(|_| ())
            }
        }
    }
}

fn modification((kind, name, values): &(String, String, Vec<String>)) -> Result<Modification, Failure> {
    let (name, values) = (name.clone(), values.clone());
    let all = values.is_empty();
    let kind = match kind.as_str() {
        word if word == ModKind::Add.word() => ModifyKind::Add,
        word if word == ModKind::Delete.word() && !all => ModifyKind::Remove,
        word if word == ModKind::Increment.word() => ModifyKind::Increment,
        word if word == ModKind::Replace.word() || word == ModKind::Delete.word() => ModifyKind::Replace,
        other => return Err(Failure::invalid(format!("change {other:?}"))),
    };
    if name.eq_ignore_ascii_case("userPassword") && values.iter().any(|v| !crate::bring::is_hash(v)) {
        return Err(Failure::invalid("a password that is not hashed"));
    }
    Ok(Modification { name, kind, values })
}

//! A change checked against the schema, and brought into the form that is stored.

use crate::Failure;
use crate::failure::noun;
use std::collections::BTreeMap;
use zcluster_api::directory::{Attributes, Modification, ModifyKind, ObjectKind};
use zcluster_schema::{Definition, Place, Problem, check, check_name};

/// Names of members a list may have, in one change.
const VALUES_MAX: usize = 100_000;

/// Where the attributes of a kind of entry may stand.
pub fn place_of(kind: ObjectKind) -> &'static [Place] {
    match kind {
        ObjectKind::Account => &[Place::Account, Place::MailRecipient],
        ObjectKind::Resource => &[Place::CalendarResource, Place::Account, Place::MailRecipient],
        ObjectKind::DistributionList => &[Place::DistributionList, Place::MailRecipient],
        ObjectKind::DynamicGroup => &[Place::Group, Place::GroupUnit, Place::MailRecipient],
        // A domain may name a way and catch-alls for all its addresses, as Zimbra's alias domains do.
        ObjectKind::Domain => &[Place::Domain, Place::MailRecipient],
        ObjectKind::Cos => &[Place::Cos],
        ObjectKind::Server => &[Place::Server],
        ObjectKind::Config => &[Place::GlobalConfig],
        ObjectKind::DataSource => &[Place::DataSource],
        ObjectKind::Identity => &[Place::Identity],
        // A signature may be part of its account.
        ObjectKind::Signature => &[Place::Signature, Place::Account],
        ObjectKind::Zimlet => &[Place::ZimletEntry],
        ObjectKind::GlobalGrant => &[Place::AclTarget],
        ObjectKind::XmppComponent => &[Place::XmppComponent],
        ObjectKind::MimeType => &[Place::MimeEntry, Place::ObjectEntry],
        ObjectKind::AlwaysOnCluster => &[Place::AlwaysOnCluster],
        ObjectKind::UcService => &[Place::UcService],
        ObjectKind::ShareLocator => &[Place::ShareLocator],
        ObjectKind::AddressList => &[Place::AddressList],
        ObjectKind::HabGroup => &[Place::HabGroup],
        ObjectKind::Alias => &[Place::Alias],
    }
}

/// Checks changes to an entry of this kind that has these attributes now, and returns them as they are proposed: names
/// as the schema spells them, values in the form to store, and a value added to an attribute that has one value at
/// most as its replacement.
///
/// # Errors
/// `account.INVALID_ATTR_NAME`, `account.INVALID_ATTR_VALUE`.
pub fn modifications(
    kind: ObjectKind,
    now: &Attributes,
    changes: Vec<Modification>,
) -> Result<Vec<Modification>, Failure> {
    let mut replaced: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut out: Vec<Modification> = Vec::with_capacity(changes.len());
    for change in changes {
        let definition = check_name(&change.name)?;
        stands_here(definition, kind)?;
        let change = checked(definition, change)?;
        if definition.single {
            let given = change.values.iter().filter(|v| !v.is_empty()).count();
            let change = single(definition, now, change, given)?;
            if change.kind == ModifyKind::Replace {
                let sum = replaced.entry(definition.name).or_default();
                *sum += given;
                if *sum > 1 {
                    return Err(several(definition));
                }
            }
            out.push(change);
        } else {
            out.push(change);
        }
    }
    Ok(out)
}

fn stands_here(definition: &Definition, kind: ObjectKind) -> Result<(), Failure> {
    if place_of(kind).iter().any(|p| definition.stands_in(*p)) {
        return Ok(());
    }
    let text = format!("{} is no attribute of this kind of entry: {}", definition.name, noun(kind));
    Err(Problem::Name(text).into())
}

fn checked(definition: &'static Definition, change: Modification) -> Result<Modification, Failure> {
    if change.values.len() > VALUES_MAX {
        return Err(Failure::invalid(format!("{}: more than {VALUES_MAX} values", definition.name)));
    }
    // What is to be removed may have been stored under other rules; its stored form is meant all the same.
    let removes = matches!(change.kind, ModifyKind::Remove | ModifyKind::Take);
    let value = |value: String| -> Result<String, Failure> {
        if value.is_empty() {
            return Ok(value);
        }
        match check(definition, &value) {
            Ok(stored) => Ok(stored),
            Err(_) if removes => Ok(value),
            Err(problem) => Err(problem.into()),
        }
    };
    let values = change.values.into_iter().map(value).collect::<Result<_, _>>()?;
    Ok(Modification { name: definition.name.to_string(), kind: change.kind, values })
}

fn several(definition: &Definition) -> Failure {
    Problem::Value(format!("{} is a single-valued attribute", definition.name)).into()
}

fn single(
    definition: &Definition,
    now: &Attributes,
    change: Modification,
    given: usize,
) -> Result<Modification, Failure> {
    match change.kind {
        ModifyKind::Replace | ModifyKind::Add if given > 1 => Err(several(definition)),
        ModifyKind::Add => {
            let old = now.get(definition.name);
            if old.is_some_and(|old| !change.values.iter().any(|v| v == old)) {
                return Err(several(definition));
            }
            Ok(Modification { kind: ModifyKind::Replace, ..change })
        }
        _ => Ok(change),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go(kind: ObjectKind, now: &Attributes, name: &str, how: ModifyKind, values: &[&str]) -> Result<String, String> {
        let values = values.iter().map(|v| (*v).to_string()).collect();
        let changes = vec![Modification { name: name.into(), kind: how, values }];
        let out = modifications(kind, now, changes).map_err(|f| f.to_string())?;
        Ok(format!("{} {:?} {}", out[0].name, out[0].kind, out[0].values.join(" ")))
    }

    #[test]
    fn changes_are_checked_as_zimbra_does() {
        use ModifyKind::{Add, Remove, Replace};
        let (none, mut some) = (Attributes::new(), Attributes::new());
        some.set("zimbraMailQuota", vec!["5".into()]);
        let account = ObjectKind::Account;
        assert_eq!(go(account, &none, "ZIMBRAmailquota", Replace, &["1KB"]), Ok("zimbraMailQuota Replace 1024".into()));
        assert_eq!(go(account, &none, "zimbraMailQuota", Add, &["7"]), Ok("zimbraMailQuota Replace 7".into()));
        assert_eq!(go(account, &some, "zimbraMailQuota", Remove, &["odd"]), Ok("zimbraMailQuota Remove odd".into()));
        for (kind, now, name, how, values, want) in [
            (
                account,
                &some,
                "zimbraMailQuota",
                Add,
                &["7"][..],
                "account.INVALID_ATTR_VALUE (zimbraMailQuota is a single-valued attribute)",
            ),
            (
                account,
                &none,
                "zimbraMailQuota",
                Replace,
                &["7", "8"],
                "account.INVALID_ATTR_VALUE (zimbraMailQuota is a single-valued attribute)",
            ),
            (account, &none, "zimbraFoo", Replace, &["7"], "account.INVALID_ATTR_NAME (invalid attr name: zimbraFoo)"),
            (
                account,
                &none,
                "zimbraDomainName",
                Replace,
                &["7"],
                "account.INVALID_ATTR_VALUE (zimbraDomainName is immutable)",
            ),
            (
                account,
                &none,
                "zimbraDomainStatus",
                Replace,
                &["active"],
                "account.INVALID_ATTR_NAME (zimbraDomainStatus is no attribute of this kind of entry: account)",
            ),
            (
                account,
                &none,
                "zimbraAccountStatus",
                Replace,
                &["odd"],
                "account.INVALID_ATTR_VALUE (zimbraAccountStatus must be one of: active,maintenance,locked,closed,lockout,pending)",
            ),
        ] {
            assert_eq!(go(kind, now, name, how, values), Err(want.into()));
        }
        let twice = vec![Modification::set("zimbraMailQuota", "1"), Modification::set("ZimbraMailQuota", "2")];
        assert!(modifications(account, &none, twice).is_err());
    }
}

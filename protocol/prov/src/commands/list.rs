//! Commands about distribution lists and dynamic groups.

use super::{Handlers, Preparer, prepared_for};
use crate::call::Call;
use crate::lines::Prepared;
use crate::pairs::modifications;
use crate::prov::Prov;
use crate::reply::Reply;
use crate::show::search;
use crate::{Outcome, usage};
use std::collections::{BTreeMap, VecDeque};
use zcluster_api::directory::{Filter, Kinds, Modification, ModifyKind, Object, ObjectKind, split_address};
use zcluster_directory::Failure;

const LIST: &[ObjectKind] = &[ObjectKind::DistributionList, ObjectKind::DynamicGroup];
/// Lists that one address can be found to be in.
const MEMBERSHIPS_MAX: usize = 10_000;

pub(super) const HANDLERS: Handlers = &[
    ("createDistributionList", |p, c| Box::pin(create(p, c))),
    ("createDynamicDistributionList", |p, c| Box::pin(create_dynamic(p, c))),
    ("getDistributionList", |p, c| Box::pin(get(p, c))),
    ("getAllDistributionLists", |p, c| Box::pin(get_all(p, c))),
    ("modifyDistributionList", |p, c| Box::pin(modify(p, c))),
    ("renameDistributionList", |p, c| Box::pin(p.give_name(c, LIST, None))),
    ("deleteDistributionList", |p, c| Box::pin(delete(p, c))),
    ("getDistributionListMembership", |p, c| Box::pin(membership(p, c))),
];

pub(super) const PREPARERS: &[(&str, Preparer)] = &[
    ("addDistributionListMember", |p, c| Box::pin(change_members(p, c, ModifyKind::Add))),
    ("removeDistributionListMember", |p, c| Box::pin(change_members(p, c, ModifyKind::Remove))),
    ("addDistributionListAlias", |p, c| Box::pin(change_alias(p, c, true))),
    ("removeDistributionListAlias", |p, c| Box::pin(change_alias(p, c, false))),
];

async fn named(prov: &Prov, name: &str) -> Result<Object, Failure> {
    prov.named(LIST, None, name).await
}

async fn create(prov: &Prov, call: &Call<'_>) -> Outcome {
    prov.make(call, ObjectKind::DistributionList, call.name(), None, modifications(call.from(1))?).await
}

/// Without a `memberURL` of its own, a group's members are the accounts that hold its id in `zimbraMemberOf`.
async fn create_dynamic(prov: &Prov, call: &Call<'_>) -> Outcome {
    let attrs = modifications(call.from(1))?;
    prov.make(call, ObjectKind::DynamicGroup, call.name(), None, attrs).await
}

async fn get(prov: &Prov, call: &Call<'_>) -> Outcome {
    prov.shown(named(prov, call.name()).await?, call, call.from(1)).await
}

async fn get_all(prov: &Prov, call: &Call<'_>) -> Outcome {
    let domain = call.args.first().copied();
    if let Some(domain) = domain {
        prov.named(&[ObjectKind::Domain], None, domain).await?;
    }
    prov.list(call, search(Kinds::GROUPS, domain, Filter::all()), &[]).await
}

async fn modify(prov: &Prov, call: &Call<'_>) -> Outcome {
    prov.change(&named(prov, call.name()).await?, modifications(call.from(1))?).await
}

async fn delete(prov: &Prov, call: &Call<'_>) -> Outcome {
    prov.remove(&named(prov, call.name()).await?).await
}

async fn change_members(prov: &Prov, call: &Call<'_>, kind: ModifyKind) -> Result<Prepared, Failure> {
    let list = named(prov, call.name()).await?;
    let mut values = Vec::new();
    for member in call.from(1) {
        let (local, domain) = split_address(member).map_err(|e| usage(e.to_string()))?;
        values.push(format!("{local}@{domain}"));
    }
    if list.kind == ObjectKind::DynamicGroup {
        // Its members' entries change, not its own.
        match kind {
            ModifyKind::Add => prov.directory.add_members(prov.actor, &list, &values).await?,
            _ => prov.directory.remove_members(prov.actor, &list, &values).await?,
        }
        return Ok(prepared_for(&list, None, Reply::default()));
    }
    let members = list.attrs.all("zimbraMailForwardingAddress");
    if kind == ModifyKind::Remove
        && let Some(missing) = values.iter().find(|v| !members.contains(v)).filter(|_| !call.again)
    {
        let text = format!("no such member: {missing} in list {}", list.name);
        return Err(Failure::new("account.NO_SUCH_MEMBER", text));
    }
    if kind == ModifyKind::Add && values.contains(&list.name) {
        return Err(Failure::invalid(format!("Cannot add self as a member: {}", list.name)));
    }
    prov.prepare_change(&list, vec![Modification { name: "zimbraMailForwardingAddress".into(), kind, values }]).await
}

async fn change_alias(prov: &Prov, call: &Call<'_>, add: bool) -> Result<Prepared, Failure> {
    let list = named(prov, call.name()).await?;
    let alias = call.arg(1);
    let command = match add {
        true => prov.directory.alias_addition(prov.actor, &list, alias).await?,
        false => prov.directory.alias_removal(prov.actor, &list, alias).await?,
    };
    let mut prepared = prepared_for(&list, Some(command), Reply::default());
    (prepared.kind, prepared.name) = (ObjectKind::Alias, alias.to_string());
    prepared.names.push(alias.to_lowercase());
    Ok(prepared)
}

async fn membership(prov: &Prov, call: &Call<'_>) -> Outcome {
    let object = match named(prov, call.name()).await {
        Ok(list) => list,
        Err(_) => prov.person(call.name()).await?,
    };
    membership_lines(prov, &object).await
}

/// The lists that an entry is in, with those that lead to them.
pub(super) async fn membership_lines(prov: &Prov, object: &Object) -> Outcome {
    let rights: &[&str] = match object.kind {
        ObjectKind::Account => &["getAccountMembership"],
        ObjectKind::Resource => &["getCalendarResourceInfo"],
        ObjectKind::DynamicGroup => &["listGroup"],
        _ => &["getDistributionListMembership"],
    };
    prov.directory.require_right(prov.actor, object, rights).await?;
    let lists = memberships(prov, object).await?;
    Ok(Reply::lines(lists.into_iter().map(|(name, via)| match via {
        Some(via) => format!("{name} (via {via})"),
        None => name,
    })))
}

/// List by name, and the list through which the entry is in it, if it is not itself.
async fn memberships(prov: &Prov, object: &Object) -> Result<BTreeMap<String, Option<String>>, Failure> {
    let mut found: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut queue = VecDeque::from([(object.clone(), None::<String>)]);
    while let Some((member, via)) = queue.pop_front() {
        let addresses = member.attrs.all("mail").iter().map(|m| Filter::equal("zimbraMailForwardingAddress", m));
        let mut wanted: Vec<Filter> = addresses.collect();
        let groups = member.attrs.all("zimbraMemberOf").iter().map(|id| Filter::equal("zimbraId", id));
        wanted.extend(groups);
        for list in prov.all(search(Kinds::GROUPS, None, Filter::Or(wanted)), MEMBERSHIPS_MAX).await? {
            if list.id != object.id && !found.contains_key(&list.name) {
                found.insert(list.name.clone(), via.clone());
                let name = list.name.clone();
                queue.push_back((list, Some(name)));
            }
            if found.len() > MEMBERSHIPS_MAX {
                return Err(Failure::invalid(format!("in more than {MEMBERSHIPS_MAX} lists")));
            }
        }
    }
    for membership in prov.directory.memberships_of(object).await? {
        if prov.visible(&membership.group).await.is_err() {
            continue;
        }
        found.entry(membership.group.name).or_insert(None);
    }
    Ok(found)
}

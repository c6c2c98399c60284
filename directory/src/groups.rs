//! Lists and groups: who is in them, and in which somebody is.
//!
//! A distribution list names its members' addresses (`zimbraMailForwardingAddress`); they may be anywhere, and lists may
//! be among them. A dynamic group has those that its `memberURL` finds; one with `zimbraIsACLGroup` those that name it in
//! `zimbraMemberOf`. Rights look at lists and at groups of the second kind only: who is in those is looked up, not
//! searched for.

use crate::{Directory, Failure, filter_text};
use std::collections::{BTreeSet, VecDeque};
use zcluster_api::directory::{Filter, Kinds, Modification, ModifyKind, Object, ObjectBy, ObjectKind, Search};
use zcluster_api::{AccountId, Actor, DirectoryCommand, DirectoryQuery, DirectoryReply, Error, Freshness};

/// Members of a list, nested ones included.
pub const MEMBERS_MAX: usize = 50_000;
/// Lists that one entry is in, or that are in one list, nested ones included.
pub const GROUPS_MAX: usize = 1_000;
/// Lists in lists.
pub const DEPTH_MAX: usize = 32;
/// Members added or removed in one step of the log.
const STEP: usize = 200;
/// Addresses looked for at once.
const ADDRESSES_MAX: usize = 100;
/// Entries of a page.
const PAGE: u32 = 500;

/// A list or group that somebody is in.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The list.
    pub group: Object,
    /// Not through another list.
    pub direct: bool,
}

/// Somebody in a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Address, lower case; of accounts and lists the primary one.
    pub address: String,
    /// The account or list; none: it is elsewhere.
    pub id: Option<AccountId>,
    /// What that is.
    pub kind: Option<ObjectKind>,
}

/// Every address of an entry, lower case.
pub(crate) fn addresses(object: &Object) -> BTreeSet<String> {
    let more = ["mail", "zimbraMailAlias"].into_iter().flat_map(|n| object.attrs.all(n));
    more.chain([&object.name]).filter(|a| a.contains('@')).map(|a| a.to_lowercase()).collect()
}

/// What a dynamic group looks for: the filter of its `memberURL` (RFC 4516: `ldap:///BASE?ATTRIBUTES?SCOPE?FILTER`). None:
/// it has none, or one that cannot be read.
pub fn member_filter(group: &Object) -> Option<Filter> {
    let url = group.attrs.get("memberURL")?;
    let rest = url.get(..7).filter(|s| s.eq_ignore_ascii_case("ldap://")).and_then(|_| url.get(7..))?;
    let filter = rest.split_once('/')?.1.splitn(4, '?').nth(3)?;
    let text = decoded(filter.split('?').next()?)?;
    filter_text::parse(&text).ok().filter(|f| !text.trim().is_empty() && *f != Filter::all())
}

/// `%28` is `(`.
fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b != b'%' {
            out.push(b);
            continue;
        }
        let hex = [bytes.next()?, bytes.next()?];
        let hex = std::str::from_utf8(&hex).ok().filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))?;
        out.push(u8::from_str_radix(hex, 16).ok()?);
    }
    String::from_utf8(out).ok()
}

/// Whether rights may be granted to a dynamic group.
pub fn is_acl_group(group: &Object) -> bool {
    group.attrs.get("zimbraIsACLGroup") != Some("FALSE")
}

/// What a new group has without being told, taken from what it is made with: whether it takes part in rights cannot be
/// said later (`zimbraIsACLGroup` is immutable).
///
/// # Errors
/// `INVALID_ATTR_VALUE`, `INVALID_REQUEST`.
pub(crate) fn of_new_group(id: AccountId, attrs: &mut Vec<Modification>) -> Result<Vec<Modification>, Failure> {
    let at = attrs.iter().position(|m| m.name.eq_ignore_ascii_case("zimbraIsACLGroup"));
    let given = at.map(|at| attrs.remove(at)).and_then(|m| m.values.into_iter().next());
    let finds = attrs.iter().any(|m| m.name.eq_ignore_ascii_case("memberURL"));
    let acl = given.unwrap_or_else(|| if finds { "FALSE" } else { "TRUE" }.into());
    let mut more = Vec::new();
    match (acl.as_str(), finds) {
        ("TRUE", true) => return Err(Failure::invalid("a group with a memberURL of its own takes no part in rights")),
        ("TRUE", false) => more.push(Modification::set("memberURL", format!("ldap:///??sub?(zimbraMemberOf={id})"))),
        ("FALSE", _) => {}
        _ => return Err(Failure::new("account.INVALID_ATTR_VALUE", "zimbraIsACLGroup must be TRUE or FALSE")),
    }
    more.push(Modification::set("zimbraIsACLGroup", acl));
    Ok(more)
}

impl Directory {
    /// What a new list or group has without being told.
    pub(crate) async fn defaults_of(
        &self,
        actor: Actor,
        kind: ObjectKind,
        id: AccountId,
        attrs: &mut Vec<Modification>,
    ) -> Result<Vec<Modification>, Failure> {
        let mut more = match kind {
            ObjectKind::DynamicGroup => of_new_group(id, attrs)?,
            _ => Vec::new(),
        };
        // Who makes a list as a user runs it.
        if let (true, Actor::Account(owner)) = (Kinds::GROUPS.has(kind), actor)
            && let Some(account) = self.account(owner).await?
            && account.attrs.get("zimbraIsDelegatedAdminAccount") != Some("TRUE")
        {
            more.push(Modification::set("zimbraACE", format!("{owner} usr ownDistList")));
        }
        Ok(more)
    }

    /// The lists and groups that an entry is in, each once, by breadth: what it is in itself first.
    ///
    /// # Errors
    /// It is in more than [`GROUPS_MAX`]; the directory cannot be read.
    pub async fn memberships_of(&self, object: &Object) -> Result<Vec<Membership>, Failure> {
        let mut out = self.static_memberships(object).await?;
        let known: BTreeSet<AccountId> = out.iter().map(|m| m.group.id).collect();
        if matches!(object.kind, ObjectKind::Account | ObjectKind::Resource) {
            let kinds = Kinds::of(&[ObjectKind::DynamicGroup]);
            for group in self.find_all(kinds, None, Filter::Present("memberURL".into()), GROUPS_MAX).await? {
                let fits = member_filter(&group).is_some_and(|f| f.fits(object.kind, &object.attrs));
                if fits && !known.contains(&group.id) {
                    out.push(Membership { group, direct: true });
                }
            }
        }
        Ok(out)
    }

    /// Those that can be looked up: what rights go by.
    pub(crate) async fn static_memberships(&self, object: &Object) -> Result<Vec<Membership>, Failure> {
        if !object.kind.has_address() {
            return Ok(Vec::new());
        }
        let mut known = BTreeSet::from([object.id]);
        let mut out: Vec<Membership> = Vec::new();
        for id in object.attrs.all("zimbraMemberOf").iter().filter_map(|v| v.parse().ok()) {
            match self.read(DirectoryQuery::Object(ObjectBy::Id(id))).await.and_then(DirectoryReply::into_object) {
                Ok(group) if group.kind == ObjectKind::DynamicGroup => {
                    known.insert(group.id);
                    out.push(Membership { group, direct: true });
                }
                Ok(_) | Err(Error::NotFound(_)) => {}
                Err(e) => return Err(e.into()),
            }
        }
        let mut frontier: Vec<String> = addresses(object).into_iter().collect();
        for depth in 0..DEPTH_MAX {
            if frontier.is_empty() {
                break;
            }
            let mut next = Vec::new();
            for some in frontier.chunks(ADDRESSES_MAX) {
                let any = some.iter().map(|a| Filter::equal("zimbraMailForwardingAddress", a.clone())).collect();
                let kinds = Kinds::of(&[ObjectKind::DistributionList]);
                for group in self.find_all(kinds, None, Filter::Or(any), GROUPS_MAX).await? {
                    if known.insert(group.id) {
                        next.extend(addresses(&group));
                        out.push(Membership { group, direct: depth == 0 });
                    }
                }
            }
            if out.len() > GROUPS_MAX {
                return Err(too_many(&object.name, "lists", GROUPS_MAX));
            }
            frontier = next;
        }
        Ok(out)
    }

    /// Who is in a list or group, by address. `recursive`: instead of the lists in it those who are in them, each once;
    /// a list that is in itself does no harm, and one that is closed (`zimbraMailStatus`) adds nobody.
    ///
    /// # Errors
    /// More than [`MEMBERS_MAX`], or lists nested too deeply; the directory cannot be read.
    pub async fn members_of(&self, list: &Object, recursive: bool) -> Result<Vec<Member>, Failure> {
        let mut out = BTreeSet::new();
        let mut seen = BTreeSet::from([list.id]);
        let mut todo = VecDeque::from([(list.clone(), 0)]);
        while let Some((list, depth)) = todo.pop_front() {
            for (member, object) in self.direct_members(&list).await? {
                let nested = object.filter(|o| recursive && Kinds::GROUPS.has(o.kind));
                match nested {
                    None => {
                        out.insert(member);
                    }
                    Some(inner) if seen.insert(inner.id) => {
                        if depth + 1 >= DEPTH_MAX || seen.len() > GROUPS_MAX {
                            return Err(too_many(&list.name, "lists in it", GROUPS_MAX));
                        }
                        if inner.attrs.get("zimbraMailStatus") != Some("disabled") {
                            todo.push_back((inner, depth + 1));
                        }
                    }
                    Some(_) => {}
                }
                if out.len() > MEMBERS_MAX {
                    return Err(too_many(&list.name, "members", MEMBERS_MAX));
                }
            }
        }
        Ok(out.into_iter().collect())
    }

    async fn direct_members(&self, list: &Object) -> Result<Vec<(Member, Option<Object>)>, Failure> {
        if list.kind == ObjectKind::DynamicGroup {
            let filter = match member_filter(list) {
                Some(filter) => filter,
                None if is_acl_group(list) => Filter::equal("zimbraMemberOf", list.id.to_string()),
                None => return Ok(Vec::new()),
            };
            let found = self.find_all(Kinds::ACCOUNTS, None, filter, MEMBERS_MAX).await?;
            return Ok(found.into_iter().map(|o| (known(&o), Some(o))).collect());
        }
        let mut out = Vec::new();
        for address in list.attrs.all("zimbraMailForwardingAddress") {
            let by = ObjectBy::Address(address.clone());
            // Members elsewhere are many: none of them is asked for at the directory's leader. One that was made a moment
            // ago is found when it is its turn.
            let found = self.api().read(DirectoryQuery::Object(by), Freshness::AsIs).await;
            match found.and_then(DirectoryReply::into_object) {
                Ok(object) => out.push((known(&object), Some(object))),
                Err(Error::NotFound(_) | Error::Invalid(_)) => {
                    out.push((Member { address: address.to_lowercase(), id: None, kind: None }, None));
                }
                Err(e) => return Err(e.into()),
            }
        }
        Ok(out)
    }

    /// Puts addresses into a list, or accounts into a group that names its members by `zimbraMemberOf`.
    ///
    /// # Errors
    /// `PERM_DENIED`; `NO_SUCH_ACCOUNT` (a group's member must be one of ours); the group finds its members by itself.
    pub async fn add_members(&self, actor: Actor, list: &Object, members: &[String]) -> Result<(), Failure> {
        self.change_members(actor, list, members, ModifyKind::Add).await
    }

    /// Takes them out.
    ///
    /// # Errors
    /// As [`Directory::add_members`].
    pub async fn remove_members(&self, actor: Actor, list: &Object, members: &[String]) -> Result<(), Failure> {
        self.change_members(actor, list, members, ModifyKind::Remove).await
    }

    async fn change_members(
        &self,
        actor: Actor,
        list: &Object,
        members: &[String],
        how: ModifyKind,
    ) -> Result<(), Failure> {
        let members: Vec<String> = members.iter().map(|m| m.trim().to_lowercase()).collect();
        let named = "zimbraMailForwardingAddress".to_string();
        let change = Modification { name: named, kind: how, values: members.clone() };
        match list.kind {
            ObjectKind::DistributionList => self.modify(actor, list, vec![change]).await.map(|_| ()),
            ObjectKind::DynamicGroup if is_acl_group(list) => {
                self.may_change_members(actor, list, &change).await?;
                let mut commands = Vec::with_capacity(members.len());
                for member in &members {
                    let account = self.named(&[ObjectKind::Account, ObjectKind::Resource], None, member).await?;
                    let (name, values) = ("zimbraMemberOf".to_string(), vec![list.id.to_string()]);
                    let changes = vec![Modification { name, kind: how, values }];
                    commands.push(DirectoryCommand::ModifyAccount { id: account.id, changes });
                }
                for step in commands.chunks(STEP) {
                    if let Some(error) = self.batch(step.to_vec()).await?.into_iter().flatten().next() {
                        return Err(Failure::of(&error, ObjectKind::Account, &list.name));
                    }
                }
                self.audit_changed(actor, "members", list, &[change]).await;
                Ok(())
            }
            _ => Err(Failure::invalid(format!("the members of {} are not named one by one", list.name))),
        }
    }

    /// Everything that a search finds, up to `most` entries.
    ///
    /// # Errors
    /// There is more; the directory cannot be read.
    pub(crate) async fn find_all(
        &self,
        kinds: Kinds,
        domain: Option<String>,
        filter: Filter,
        most: usize,
    ) -> Result<Vec<Object>, Failure> {
        let mut search = Search { kinds, domain, parent: None, filter, after: None, limit: PAGE };
        let mut out = Vec::new();
        loop {
            let page = self.read(DirectoryQuery::Search(Box::new(search.clone()))).await?.into_page()?;
            out.extend(page.objects);
            if out.len() > most {
                return Err(too_many("the search", "entries", most));
            }
            match page.next {
                Some(next) => search.after = Some(next),
                None => return Ok(out),
            }
        }
    }
}

fn known(object: &Object) -> Member {
    Member { address: object.name.to_lowercase(), id: Some(object.id), kind: Some(object.kind) }
}

fn too_many(what: &str, of: &str, most: usize) -> Failure {
    Failure::new("service.TOO_MANY", format!("{what}: more than {most} {of}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use zcluster_api::directory::Attributes;

    #[test]
    fn member_urls() {
        let of = |url: &str| {
            let mut attrs = Attributes::new();
            attrs.set("memberURL", vec![url.to_string()]);
            let (kind, id, name) = (ObjectKind::DynamicGroup, AccountId([1; 16]), "g@x".to_string());
            member_filter(&Object { kind, id, name, parent: None, attrs, home: None }).map(|f| filter_text::print(&f))
        };
        assert_eq!(of("ldap:///??sub?(title=boss)").as_deref(), Some("(title=boss)"));
        assert_eq!(of("LDAP://host:389/dc=x?cn?sub?%28title%3Dboss%29").as_deref(), Some("(title=boss)"));
        for bad in [
            "",
            "ldap:///",
            "ldap:///??sub",
            "ldap:///??sub?",
            "ldap:///??sub?(",
            "http://x/??sub?(a=b)",
            "ldap:///???%zz",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}

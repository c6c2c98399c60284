//! `searchAccounts`: accounts, resources, lists and groups, and aliases, which are entries of their own.

use super::{Handlers, only};
use crate::call::Call;
use crate::prov::Prov;
use crate::reply::{Item, Reply};
use crate::show::{SORTED_MAX, search};
use crate::{Outcome, usage};
use zcluster_api::directory::{Filter, Kinds, Object, ObjectBy, ObjectKind};
use zcluster_directory::{Failure, filter_text};

pub(super) const HANDLERS: Handlers = &[("searchAccounts", |p, c| Box::pin(accounts(p, c)))];

/// What stands behind the filter.
#[derive(Default)]
struct Wishes<'a> {
    limit: Option<usize>,
    offset: Option<usize>,
    sort_by: Option<&'a str>,
    descending: bool,
    domain: Option<&'a str>,
    types: Option<&'a str>,
}

impl<'a> Wishes<'a> {
    fn parse(words: &[&'a str]) -> Result<Wishes<'a>, Failure> {
        let mut wishes = Wishes::default();
        let number = |text: &str| text.parse().map_err(|_| usage(format!("{text:?} is no number")));
        for pair in words.chunks(2) {
            let [name, value] = pair else { return Err(usage(format!("{} has no value", pair[0]))) };
            match name.to_ascii_lowercase().as_str() {
                "limit" => wishes.limit = Some(number(value)?),
                "offset" => wishes.offset = Some(number(value)?),
                "sortby" => wishes.sort_by = Some(value),
                "sortascending" | "ascending" => {
                    wishes.descending = *value == "0" || value.eq_ignore_ascii_case("false");
                }
                "domain" => wishes.domain = Some(value),
                "types" => wishes.types = Some(value),
                "attrs" => {}
                other => return Err(usage(format!("unknown option {other:?}"))),
            }
        }
        Ok(wishes)
    }

    fn is_plain(&self) -> bool {
        self.limit.is_none() && self.offset.is_none() && self.sort_by.is_none() && !self.descending
    }

    /// What is looked for: `types`, else everything that has an address.
    fn kinds(&self) -> Result<Kinds, Failure> {
        let Some(types) = self.types else {
            return Ok(Kinds::ACCOUNTS.and(Kinds::GROUPS).and(only(ObjectKind::Alias)));
        };
        let mut kinds = Kinds::default();
        for word in types.split(',').map(str::trim) {
            let kind = TYPES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, kind)| *kind);
            let known = || TYPES.map(|(name, _)| name).join(", ");
            kinds = kinds.and(only(kind.ok_or_else(|| usage(format!("no type {word:?}; there are {}", known())))?));
        }
        Ok(kinds)
    }
}

/// Zimbra's words for kinds of entries.
const TYPES: [(&str, ObjectKind); 7] = [
    ("accounts", ObjectKind::Account),
    ("aliases", ObjectKind::Alias),
    ("distributionlists", ObjectKind::DistributionList),
    ("dynamicgroups", ObjectKind::DynamicGroup),
    ("resources", ObjectKind::Resource),
    ("domains", ObjectKind::Domain),
    ("coses", ObjectKind::Cos),
];
/// In front of the mark of a page of aliases, which come last.
const ALIASES: &str = "aliases";

/// Entries that the filter fits. Without limit, offset and order the answer comes in pages.
async fn accounts(prov: &Prov, call: &Call<'_>) -> Outcome {
    let filter =
        filter_text::parse(call.name()).map_err(|e| Failure::invalid(format!("invalid search filter: {e}")))?;
    let wishes = Wishes::parse(call.from(1))?;
    let kinds = wishes.kinds()?;
    // Aliases are looked for apart: they are in no index, and would keep the others from theirs.
    let aliases = Some(filter.clone()).filter(|f| kinds.has(ObjectKind::Alias) && fits_aliases(f));
    let others = Kinds(kinds.0 & !only(ObjectKind::Alias).0);
    let search_others = search(others, wishes.domain, filter);
    if wishes.is_plain() {
        let last = call.page.and_then(|page| page.strip_prefix(ALIASES));
        let mut reply = match last {
            Some(_) => Reply::default(),
            None => prov.list_from(call, search_others, &[], call.page).await?,
        };
        let over = reply.more.is_none();
        if let Some(filter) = aliases.filter(|_| over) {
            let found = aliases_from(prov, call, &filter, wishes.domain, last.filter(|p| !p.is_empty())).await?;
            reply.items.extend(found.items);
            reply.more = found.more.map(|mark| format!("{ALIASES}{mark}"));
        }
        return Ok(reply);
    }
    let mut found = prov.all(search_others, SORTED_MAX).await?;
    if let Some(filter) = aliases {
        found.extend(match demanded_name(&filter) {
            Some(uid) => named_aliases(prov, uid, &filter, wishes.domain).await?,
            None => prov.all(search(only(ObjectKind::Alias), wishes.domain, filter), SORTED_MAX).await?,
        });
    }
    let key = |o: &Object| match wishes.sort_by {
        None | Some("name") => o.name.clone(),
        Some(attr) => o.attrs.get(attr).unwrap_or_default().to_lowercase(),
    };
    found.sort_by_cached_key(|o| (key(o), o.name.clone()));
    if wishes.descending {
        found.reverse();
    }
    let wanted =
        found.iter().skip(wishes.offset.unwrap_or(0)).take(wishes.limit.filter(|l| *l > 0).unwrap_or(usize::MAX));
    let mut reply = Reply::default();
    for object in wanted {
        reply.items.push(item(prov, call, object).await?);
    }
    Ok(reply)
}

async fn item(prov: &Prov, call: &Call<'_>, object: &Object) -> Result<Item, Failure> {
    Ok(match call.has("-v") {
        true => Item::Entry(prov.entry(object, false, &[]).await?),
        false => Item::Text(object.name.clone()),
    })
}

/// A page of aliases.
async fn aliases_from(
    prov: &Prov,
    call: &Call<'_>,
    filter: &Filter,
    domain: Option<&str>,
    page: Option<&str>,
) -> Outcome {
    let Some(uid) = demanded_name(filter) else {
        return prov.list_from(call, search(only(ObjectKind::Alias), domain, filter.clone()), &[], page).await;
    };
    let mut reply = Reply::default();
    for alias in named_aliases(prov, uid, filter, domain).await? {
        reply.items.push(item(prov, call, &alias).await?);
    }
    Ok(reply)
}

/// The aliases with a user name: found at those whose they are, of which there is an index.
async fn named_aliases(prov: &Prov, uid: &str, filter: &Filter, domain: Option<&str>) -> Result<Vec<Object>, Failure> {
    let begins = Filter::begins("zimbraMailAlias", format!("{uid}@"));
    let is_it = |address: &&String| {
        let parts = address.rsplit_once('@');
        parts.is_some_and(|(local, at)| {
            local.eq_ignore_ascii_case(uid) && domain.is_none_or(|d| d.eq_ignore_ascii_case(at))
        })
    };
    let mut out = Vec::new();
    // Whose they are may be in another domain.
    for owner in prov.all(search(Kinds::ACCOUNTS.and(Kinds::GROUPS), None, begins), SORTED_MAX).await? {
        for address in owner.attrs.all("zimbraMailAlias").iter().filter(is_it) {
            let by = ObjectBy::Name { kind: ObjectKind::Alias, name: address.clone(), parent: None };
            match prov.directory.get(prov.actor, by).await {
                Ok(alias) if filter.fits(alias.kind, &alias.attrs) => out.push(alias),
                Ok(_) => {}
                Err(failure) if failure.code.contains("NO_SUCH") => {}
                Err(failure) => return Err(failure),
            }
        }
    }
    Ok(out)
}

/// The user name that the filter demands, if it demands one.
fn demanded_name(filter: &Filter) -> Option<&str> {
    match filter {
        Filter::Equal(attr, value) if attr.eq_ignore_ascii_case("uid") => Some(value),
        Filter::And(all) => all.iter().find_map(demanded_name),
        _ => None,
    }
}

/// Whether there can be an alias that the filter fits: it has a user name, and whose it is.
fn fits_aliases(filter: &Filter) -> bool {
    let has = |attr: &str| ["uid", "zimbraAliasTargetId"].iter().any(|a| a.eq_ignore_ascii_case(attr));
    let classes = ObjectKind::Alias.object_classes();
    match filter {
        Filter::And(all) => all.iter().all(fits_aliases),
        Filter::Or(any) => any.iter().any(fits_aliases),
        Filter::Not(_) => true,
        Filter::Equal(attr, value) if attr.eq_ignore_ascii_case("objectClass") => {
            classes.iter().any(|c| c.eq_ignore_ascii_case(value))
        }
        Filter::Present(attr) => has(attr) || attr.eq_ignore_ascii_case("objectClass"),
        Filter::Equal(attr, _) | Filter::AtLeast(attr, _) | Filter::AtMost(attr, _) => has(attr),
        Filter::Substring { attr, .. } => has(attr),
    }
}

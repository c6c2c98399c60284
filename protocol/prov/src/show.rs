//! Entries and pages of entries as answers.

use crate::Outcome;
use crate::call::Call;
use crate::prov::Prov;
use crate::reply::{Entry, Item, Reply};
use zcluster_api::directory::{Attributes, Filter, Kinds, Object, ObjectBy, ObjectKind, SEARCH_PAGE_MAX, Search};
use zcluster_directory::{Failure, Viewer};

/// Names in one page of an answer.
const NAMES: usize = 5_000;
/// Entries with their attributes in one page of an answer.
const ENTRIES: usize = 100;
/// Pages of entries looked through for one page of an answer: who sees few of them is told now and then that it goes on.
const PAGES: usize = 20;
/// Entries that are collected for a sorted answer, at most.
pub(crate) const SORTED_MAX: usize = 100_000;

/// A search for these kinds.
pub(crate) fn search(kinds: Kinds, domain: Option<&str>, filter: Filter) -> Search {
    let domain = domain.map(str::to_lowercase);
    Search { kinds, domain, parent: None, filter, after: None, limit: SEARCH_PAGE_MAX }
}

impl Prov {
    /// The entry as an answer, with what the caller may see of it: `own` leaves out what it inherits, `only` (when not
    /// empty) names what is wanted.
    pub(crate) async fn entry(&self, object: &Object, own: bool, only: &[&str]) -> Result<Entry, Failure> {
        let viewer = self.directory.viewer(self.actor).await?;
        self.entry_for(&viewer, object, own, only).await
    }

    async fn entry_for(&self, viewer: &Viewer, object: &Object, own: bool, only: &[&str]) -> Result<Entry, Failure> {
        let Object { mut attrs, .. } = self.directory.seen(viewer, object, own).await?;
        if object.kind == ObjectKind::Config {
            return Ok(Entry::new("", &attrs, only));
        }
        let classes = object.kind.object_classes().iter().map(|c| (*c).to_string()).collect();
        attrs.set("objectClass", classes);
        for (name, value) in [("zimbraId", object.id.to_string()), (name_attribute(object.kind), object.name.clone())] {
            // An alias has neither of its own.
            if !attrs.has(name) && object.kind != ObjectKind::Alias {
                attrs.set(name, vec![value]);
            }
        }
        let mut entry = Entry::new(&object.name, &attrs, only);
        if Kinds::GROUPS.has(object.kind) {
            entry.members = Some(self.members(object, &attrs).await?);
        }
        Ok(entry)
    }

    /// What the caller may see of an entry.
    pub(crate) async fn visible(&self, object: &Object) -> Result<Object, Failure> {
        let viewer = self.directory.viewer(self.actor).await?;
        self.directory.seen(&viewer, object, true).await
    }

    /// The answer of a `get...` command.
    pub(crate) async fn shown(&self, object: Object, call: &Call<'_>, only: &[&str]) -> Outcome {
        Ok(Reply::entry(self.entry(&object, call.has("-e"), only).await?))
    }

    /// A page of an answer: names, or with `-v` entries.
    pub(crate) async fn list(&self, call: &Call<'_>, search: Search, only: &[&str]) -> Outcome {
        self.list_from(call, search, only, call.page).await
    }

    /// The same from a page's mark on.
    pub(crate) async fn list_from(
        &self,
        call: &Call<'_>,
        mut search: Search,
        only: &[&str],
        page: Option<&str>,
    ) -> Outcome {
        let verbose = call.has("-v");
        let most = if verbose { ENTRIES } else { NAMES };
        search.limit = SEARCH_PAGE_MAX.min(most as u32);
        search.after = page.map(cursor).transpose()?;
        let mut reply = Reply::default();
        let viewer = self.directory.viewer(self.actor).await?;
        let mut pages = 0;
        loop {
            let page = self.directory.search(self.actor, search.clone()).await?;
            pages += 1;
            for object in &page.objects {
                reply.items.push(match verbose {
                    true => Item::Entry(self.entry_for(&viewer, object, call.has("-e"), only).await?),
                    false => Item::Text(object.name.clone()),
                });
            }
            match page.next {
                None => return Ok(reply),
                Some(next) if reply.items.len() >= most || pages >= PAGES => {
                    reply.more = Some(mark(&next));
                    return Ok(reply);
                }
                next => search.after = next,
            }
        }
    }

    /// Everything that fits, up to `most` entries.
    pub(crate) async fn all(&self, mut search: Search, most: usize) -> Result<Vec<Object>, Failure> {
        let mut out = Vec::new();
        loop {
            let page = self.directory.search(self.actor, search.clone()).await?;
            out.extend(page.objects);
            if out.len() > most {
                return Err(Failure::new("account.TOO_MANY_SEARCH_RESULTS", format!("more than {most} entries")));
            }
            search.after = page.next;
            if search.after.is_none() {
                return Ok(out);
            }
        }
    }

    /// How many fit.
    pub(crate) async fn count(&self, mut search: Search, wanted: impl Fn(&Object) -> bool) -> Result<u64, Failure> {
        let mut count = 0;
        loop {
            let page = self.directory.search(self.actor, search.clone()).await?;
            count += page.objects.iter().filter(|o| wanted(o)).count() as u64;
            search.after = page.next;
            if search.after.is_none() {
                return Ok(count);
            }
        }
    }

    /// The addresses of a list's members, or those that a dynamic group finds, for who sees the list's attributes.
    async fn members(&self, list: &Object, seen: &Attributes) -> Result<Vec<String>, Failure> {
        if list.kind == ObjectKind::DistributionList {
            let mut members = seen.all("zimbraMailForwardingAddress").to_vec();
            members.sort();
            return Ok(members);
        }
        if !self.directory.sees(self.actor, list, "memberURL").await? {
            return Ok(Vec::new());
        }
        let list = self.directory.find(ObjectBy::Id(list.id)).await?;
        Ok(self.directory.members_of(&list, false).await?.into_iter().map(|m| m.address).collect())
    }
}

/// The attribute that says an entry's name, where the entry may not have it by itself.
fn name_attribute(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Domain => "zimbraDomainName",
        kind if kind.has_address() => "mail",
        ObjectKind::DataSource => "zimbraDataSourceName",
        ObjectKind::Identity => "zimbraPrefIdentityName",
        ObjectKind::Signature => "zimbraSignatureName",
        _ => "cn",
    }
}

/// What [`Reply::more`] says.
pub(crate) fn mark(cursor: &[u8]) -> String {
    cursor.iter().map(|b| format!("{b:02x}")).collect()
}

/// Reads what [`Reply::more`] said.
pub(crate) fn cursor(text: &str) -> Result<Vec<u8>, Failure> {
    let pair = |at: usize| text.get(at..at + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(pair).collect();
    bytes.ok_or_else(|| Failure::invalid("the page that is asked for has no such mark"))
}

/// Only attributes for which this holds.
pub(crate) fn keep(attrs: Attributes, wanted: impl Fn(&'static zcluster_schema::Definition) -> bool) -> Attributes {
    attrs.keep(|name| zcluster_schema::find(name).is_some_and(&wanted))
}

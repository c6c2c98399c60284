//! The address list (GAL): whom people find when they write. From the directory here, from another one that the domain
//! names (`zimbraGalMode` `zimbra`, `ldap`, `both`), or both; in the fields of contacts (`zimbraGalLdapAttrMap`).

mod external;
mod fields;
mod sync;

pub use external::{ExternalBook, ExternalQuery};
pub use fields::Contact;
pub use sync::Sync;

use crate::groups::Member;
use crate::rights::{Applied, Want};
use crate::{Directory, Failure};
use external::Way;
use fields::Map;
use zcluster_api::Actor;
use zcluster_api::directory::{ANR, Attributes, Filter, Kinds, Object, ObjectKind, Search};

/// Contacts of one answer at most, whatever `zimbraGalMaxResults` says.
const RESULTS_MAX: usize = 1_000;
/// Contacts passed over at most.
const OFFSET_MAX: usize = 10_000;
/// Entries put into order for one answer.
const SORTED_MAX: usize = 500;
/// Pages looked through for a word that is in the middle of a name.
const PAGES_MAX: usize = 20;
/// Bytes of what is looked for.
const TEXT_MAX: usize = 256;
/// Words of what is looked for.
const WORDS_MAX: usize = 8;

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GalKind {
    /// Everything.
    All,
    /// People.
    Account,
    /// Rooms and things.
    Resource,
    /// Lists and groups.
    Group,
}

impl GalKind {
    fn kinds(self) -> Kinds {
        match self {
            GalKind::All => Kinds::ACCOUNTS.and(Kinds::GROUPS),
            GalKind::Account => Kinds::of(&[ObjectKind::Account]),
            GalKind::Resource => Kinds::of(&[ObjectKind::Resource]),
            GalKind::Group => Kinds::GROUPS,
        }
    }
}

/// A question.
#[derive(Clone, Copy, Debug)]
pub struct GalQuery<'a> {
    /// The domain whose address list it is; none: the account's own.
    pub domain: Option<&'a str>,
    /// What is looked for; empty: everybody.
    pub text: &'a str,
    /// Among what.
    pub kind: GalKind,
    /// Contacts wanted; 0: as many as the domain allows.
    pub limit: usize,
    /// Contacts passed over.
    pub offset: usize,
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The contacts.
    pub contacts: Vec<Contact>,
    /// There are more.
    pub more: bool,
    /// Why the other directory did not answer, where this one did.
    pub problem: Option<String>,
}

/// An address list with its settings.
struct Book {
    domain: Object,
    /// The domain's settings over those that it inherits.
    settings: Attributes,
    map: Map,
}

impl Book {
    fn limit(&self, wanted: usize) -> usize {
        let most = self.settings.get("zimbraGalMaxResults").and_then(|v| v.parse().ok()).unwrap_or(100);
        // 0 is no bound in Zimbra.
        let most = if most == 0 { RESULTS_MAX } else { most.min(RESULTS_MAX) };
        if wanted == 0 { most } else { wanted.min(most) }
    }

    fn is_local(&self) -> bool {
        self.settings.get("zimbraGalMode") != Some("ldap")
    }

    fn is_external(&self) -> bool {
        matches!(self.settings.get("zimbraGalMode"), Some("ldap" | "both"))
    }

    /// `zimbraGalInternalSearchBase`: of this domain, of it and those below, of the whole cluster.
    fn has(&self, object: &Object) -> bool {
        let domain = object.domain().unwrap_or_default();
        match self.settings.get("zimbraGalInternalSearchBase") {
            Some("ROOT") => true,
            Some("SUBDOMAINS") => {
                let above = domain.strip_suffix(self.domain.name.as_str());
                above.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            _ => domain == self.domain.name,
        }
    }

    fn search(&self, kinds: Kinds, filter: Filter) -> Search {
        let whole = matches!(self.settings.get("zimbraGalInternalSearchBase"), Some("ROOT" | "SUBDOMAINS"));
        let shown = Filter::Not(Box::new(Filter::equal("zimbraHideInGal", "TRUE")));
        let filter = Filter::And(vec![filter, shown]);
        let domain = (!whole).then(|| self.domain.name.clone());
        Search { kinds, domain, parent: None, filter, after: None, limit: SORTED_MAX as u32 }
    }
}

/// The words of what is looked for; `*` stands for anything, as it does for everybody who types it.
fn words(text: &str) -> Result<Vec<String>, Failure> {
    if text.len() > TEXT_MAX {
        return Err(Failure::invalid(format!("more than {TEXT_MAX} bytes are looked for")));
    }
    let words: Vec<String> = text
        .split([' ', '\t', '*', ','])
        .map(str::trim)
        .filter(|w| !w.is_empty() && *w != ".")
        .map(str::to_lowercase)
        .collect();
    Ok(words.into_iter().take(WORDS_MAX).collect())
}

/// Names and addresses in which a word is looked for.
const LOOKED_IN: [&str; 8] =
    ["displayName", "cn", "sn", "gn", "givenName", "mail", "zimbraMailAlias", "zimbraPhoneticLastName"];

/// Every word somewhere in a name (or, with `zimbraGalTokenizeSearchKey` `or`, one of them).
fn within(words: &[String], any: bool) -> Filter {
    let in_one = |word: &String, attr: &str| Filter::Substring {
        attr: attr.into(),
        initial: String::new(),
        any: vec![word.clone()],
        end: String::new(),
    };
    let one = |word: &String| Filter::Or(LOOKED_IN.iter().map(|attr| in_one(word, attr)).collect());
    let all = words.iter().map(one).collect();
    if any { Filter::Or(all) } else { Filter::And(all) }
}

/// Every word at the beginning of a word of a name: looked up, not searched for.
fn beginning(words: &[String], any: bool) -> Filter {
    match any {
        true => Filter::Or(words.iter().map(|w| Filter::equal(ANR, w.clone())).collect()),
        false => Filter::equal(ANR, words.join(" ")),
    }
}

impl Directory {
    async fn book(&self, actor: Actor, domain: Option<&str>, feature: &str) -> Result<Book, Failure> {
        let (account, own) = match actor {
            Actor::Account(id) => {
                let account =
                    self.account(id).await?.ok_or_else(|| Failure::denied("permission denied: no account"))?;
                let own = account.domain().unwrap_or_default().to_string();
                (Some(account), own)
            }
            Actor::Admin(id) => {
                let account = self.account(id).await?;
                (None, account.as_ref().and_then(Object::domain).unwrap_or_default().to_string())
            }
            Actor::System => (None, String::new()),
            Actor::Delivery => return Err(Failure::denied("permission denied: delivery has no address list")),
        };
        let name = domain.map_or(own.clone(), str::to_lowercase);
        let missing = || Failure::missing(ObjectKind::Domain, &name);
        let domain = self.domain(&name).await?.ok_or_else(missing)?;
        if let Some(account) = account {
            if domain.name == own {
                let effective = self.effective(&account).await?;
                for switch in ["zimbraFeatureGalEnabled", feature] {
                    if effective.get(switch) == Some("FALSE") {
                        return Err(Failure::denied(format!("permission denied: {switch} is FALSE")));
                    }
                }
            } else {
                let asker = self.asker(account).await?;
                let levels = self.levels(&domain, &asker.upper).await?;
                if !Applied::of(&levels, &asker.who).allows(Want::Preset("accessGAL"), ObjectKind::Domain) {
                    return Err(crate::access::denied("accessGAL", &domain.name));
                }
            }
        }
        let settings = self.effective(&domain).await?;
        let map = Map::of(&settings);
        Ok(Book { domain, settings, map })
    }

    /// Looks for people, lists and resources: words anywhere in their names and addresses.
    ///
    /// # Errors
    /// `PERM_DENIED` (no address list for him, `zimbraFeatureGalEnabled`), `NO_SUCH_DOMAIN`; neither directory can be
    /// read.
    pub async fn gal_search(
        &self,
        actor: Actor,
        query: GalQuery<'_>,
        external: Option<&dyn ExternalBook>,
    ) -> Result<Found, Failure> {
        let book = self.book(actor, query.domain, "zimbraFeatureGalEnabled").await?;
        self.gal(&book, query, Way::Search, external).await
    }

    /// Completes what somebody begins to type: the beginnings of words of names and addresses.
    ///
    /// # Errors
    /// As [`Directory::gal_search`]; also where `zimbraFeatureGalAutoCompleteEnabled` is FALSE.
    pub async fn gal_autocomplete(
        &self,
        actor: Actor,
        query: GalQuery<'_>,
        external: Option<&dyn ExternalBook>,
    ) -> Result<Found, Failure> {
        let book = self.book(actor, query.domain, "zimbraFeatureGalAutoCompleteEnabled").await?;
        if words(query.text)?.is_empty() {
            return Ok(Found::default());
        }
        self.gal(&book, query, Way::Complete, external).await
    }

    /// Who is in a list of the address list, for those who write to it: its own members. Of a hidden list
    /// (`zimbraHideInGal`) only its members and owners are told.
    ///
    /// # Errors
    /// `PERM_DENIED` (also where `zimbraFeatureDistributionListExpandMembersEnabled` is FALSE),
    /// `NO_SUCH_DISTRIBUTION_LIST`; the directory cannot be read.
    pub async fn gal_members(&self, actor: Actor, list: &str) -> Result<Vec<Member>, Failure> {
        let kinds = [ObjectKind::DistributionList, ObjectKind::DynamicGroup];
        let object = self.named(&kinds, None, list).await?;
        self.book(actor, object.domain(), "zimbraFeatureDistributionListExpandMembersEnabled").await?;
        if let (Actor::Account(id), Some("TRUE")) = (actor, object.attrs.get("zimbraHideInGal")) {
            let owns = self.granted(id, &object, &["ownDistList"]).await?.is_some();
            let account = self.account(id).await?.ok_or_else(|| Failure::denied("permission denied: no account"))?;
            let is_in = self.memberships_of(&account).await?.iter().any(|m| m.group.id == object.id);
            if !owns && !is_in {
                return Err(Failure::missing(object.kind, list));
            }
        }
        self.members_of(&object, false).await
    }

    async fn gal(
        &self,
        book: &Book,
        query: GalQuery<'_>,
        way: Way,
        external: Option<&dyn ExternalBook>,
    ) -> Result<Found, Failure> {
        let limit = book.limit(query.limit);
        let wanted = query.offset.min(OFFSET_MAX) + limit + 1;
        let words = words(query.text)?;
        let mut found = Found::default();
        if book.is_local() {
            found = self.local(book, query.kind, &words, way, wanted).await?;
        }
        if book.is_external() {
            let left = wanted.saturating_sub(found.contacts.len());
            match external::look(book, external, query.kind, &words, way, left).await {
                Ok((contacts, more)) => {
                    let known = |c: &Contact| {
                        found.contacts.iter().any(|k| k.address().is_some() && k.address() == c.address())
                    };
                    let new: Vec<Contact> = contacts.into_iter().filter(|c| !known(c)).collect();
                    found.contacts.extend(new);
                    found.more |= more;
                }
                Err(problem) if book.is_local() => found.problem = Some(problem),
                Err(problem) => return Err(Failure::new("account.GAL_UNAVAILABLE", problem)),
            }
        }
        found.contacts.drain(..query.offset.min(OFFSET_MAX).min(found.contacts.len()));
        found.more |= found.contacts.len() > limit;
        found.contacts.truncate(limit);
        Ok(found)
    }

    /// What the directory here has: first what the index finds, then what is to be looked for.
    async fn local(
        &self,
        book: &Book,
        kind: GalKind,
        words: &[String],
        way: Way,
        wanted: usize,
    ) -> Result<Found, Failure> {
        let any = book.settings.get(way.tokenize()) == Some("or");
        let mut objects: Vec<Object> = Vec::new();
        let mut more = false;
        if !words.is_empty() {
            more |= self.collect(book, book.search(kind.kinds(), beginning(words, any)), wanted, &mut objects).await?;
        }
        if matches!(way, Way::Search) && objects.len() < wanted {
            let filter = if words.is_empty() { Filter::all() } else { within(words, any) };
            more |= self.collect(book, book.search(kind.kinds(), filter), wanted, &mut objects).await?;
        }
        objects.truncate(wanted);
        Ok(Found { contacts: objects.iter().map(|o| book.map.contact(o)).collect(), more, problem: None })
    }

    /// Adds what a search finds, in the order of names within what was read at once; whether there is more.
    async fn collect(
        &self,
        book: &Book,
        mut search: Search,
        wanted: usize,
        out: &mut Vec<Object>,
    ) -> Result<bool, Failure> {
        for _ in 0..PAGES_MAX {
            let query = zcluster_api::DirectoryQuery::Search(Box::new(search.clone()));
            let page = self.read(query).await?.into_page()?;
            let known = |o: &Object, out: &[Object]| out.iter().any(|k| k.id == o.id);
            let mut new: Vec<Object> = page.objects.into_iter().filter(|o| book.has(o) && !known(o, out)).collect();
            new.sort_by_cached_key(|o| fields::name_of(&o.attrs, &o.name).to_lowercase());
            out.extend(new);
            match page.next {
                Some(_) if out.len() >= wanted => return Ok(true),
                Some(next) => search.after = Some(next),
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

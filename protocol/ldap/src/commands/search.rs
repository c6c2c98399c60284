//! Search (RFC 4511 §4.5), in pages (RFC 2696) and in order (RFC 2891) if wanted.

use super::paging::{self, From, Sorted};
use super::{control, reads, selfdescription, sync, view};
use crate::access::Who;
use crate::attr::Operational;
use crate::codec::controls::{self, Control, SortKey, paged_reply, sort_reply};
use crate::codec::filter::Filter;
use crate::codec::reply::{self, Extras};
use crate::codec::request::{Scope, Search};
use crate::config::{PAGE, SORT_BYTES_MAX, SORT_ENTRIES_MAX};
use crate::dn::Dn;
use crate::entry::{Entry, Selection};
use crate::errors::{Code, Outcome, Stop, refused};
use crate::search::{Cursor, Found, Sortable, Walk, check_keys, find, keys_of, sort};
use crate::session::{Done, Session};
use crate::tree;
use futures::future::FutureExt;
use std::sync::Arc;
use std::time::Duration;
use zcluster_runtime::Instant;

/// Finds entries.
pub async fn run(session: &mut Session, id: u32, search: Search, all: &[Control]) -> Done {
    let base = Dn::parse(&search.base)?;
    if let Some(done) = selfdescription::answer(session, id, &search, tree::place(&base).as_ref()).await {
        return done;
    }
    let who = session.who()?.clone();
    let paged = control(all, controls::PAGED).map(Control::paged).transpose()?;
    let keys = match control(all, controls::SORT) {
        Some(control) => Some((control.sort_keys()?, control.critical)),
        None => None,
    };
    let view = control(all, controls::VIEW).map(Control::view).transpose()?;
    let mut task = Task::new(session, id, who, base, search);
    if let Some(control) = control(all, controls::SYNC_REQUEST) {
        if paged.is_some() || keys.is_some() || view.is_some() {
            return refused(Code::UnwillingToPerform, "a synchronisation has neither pages nor an order");
        }
        let found = task.found(session, all).await?;
        return sync::run(session, task, found, &control.sync_request()?).await;
    }
    if let Some(view) = view {
        if paged.is_some() {
            return view::not_with_pages();
        }
        let found = task.found(session, all).await?;
        return view::run(session, &mut task, found, keys.map(|(keys, _)| keys), view).await;
    }
    match paged {
        Some((0, _)) => {
            // RFC 2696 §3: the client does not want the rest.
            session.sorted = None;
            Ok((Outcome::success(), Extras { controls: vec![paged_reply(&[])], ..Extras::default() }))
        }
        Some((size, cookie)) => match paging::read_cookie(&task.search, &cookie)? {
            From::Sorted(token) => task.sorted_page(session, token, size).await,
            from => {
                task.page_left = Some(size);
                task.begin(session, all, from, keys).await
            }
        },
        None => task.begin(session, all, From::Start, keys).await,
    }
}

/// A search under way.
pub struct Task {
    pub id: u32,
    pub who: Who,
    pub base: Dn,
    pub search: Search,
    pub selection: Selection,
    filter: Arc<Filter>,
    until: Instant,
    /// Entries that may still be sent.
    size_left: u32,
    /// Entries that the page still has room for.
    page_left: Option<u32>,
}

impl Task {
    fn new(session: &Session, id: u32, who: Who, base: Dn, search: Search) -> Task {
        let config = &session.ldap.config;
        let time = match search.time_limit {
            0 => config.time_limit,
            n => config.time_limit.min(Duration::from_secs(u64::from(n))),
        };
        let asked = if search.size_limit == 0 { u32::MAX } else { search.size_limit };
        let size_left = if who.administers() { asked } else { asked.min(config.user_size_limit) };
        let selection = Selection::of(&search.attributes);
        let filter = Arc::new(search.filter.clone());
        Task { id, who, base, search, selection, filter, until: Instant::now() + time, size_left, page_left: None }
    }

    /// The entry that the search begins at; nothing: the root.
    async fn found(&self, session: &mut Session, all: &[Control]) -> Result<Option<Found>, Stop> {
        if self.base.0.is_empty() {
            return Ok(None);
        }
        let ldap = session.ldap.clone();
        let found = session.attend(self.id, find(&ldap, &self.who, &self.base).boxed()).await??;
        reads::check_assertion(all, &found.entry)?;
        Ok(Some(found))
    }

    /// Takes the search up.
    pub async fn walk(&self, session: &mut Session, found: Option<Found>, cursor: Cursor) -> Result<Walk, Stop> {
        let ldap = session.ldap.clone();
        let (who, base, filter) = (self.who.clone(), self.base.clone(), self.filter.clone());
        let begin = Walk::begin(ldap, who, base, found, self.search.scope, filter, cursor);
        Ok(session.attend(self.id, begin.boxed()).await??)
    }

    async fn begin(
        &mut self,
        session: &mut Session,
        all: &[Control],
        from: From,
        keys: Option<(Vec<SortKey>, bool)>,
    ) -> Done {
        let found = self.found(session, all).await?;
        let mut told = Vec::new();
        if let (Some((keys, critical)), From::Start) = (keys, &from) {
            match self.in_order(session, found.clone(), &keys).await? {
                Ok(sorted) => return self.send_sorted(session, sorted).await,
                Err((code, attr)) => {
                    told.push(sort_reply(code as u32, Some(&attr).filter(|a| !a.is_empty()).map(String::as_str)));
                    if critical {
                        // RFC 2891 §2.2: nothing is sent then.
                        let code =
                            if code == Code::AdminLimitExceeded { code } else { Code::UnavailableCriticalExtension };
                        let extras = Extras { controls: told, ..Extras::default() };
                        return Ok((Outcome::new(code, "the entries cannot be sorted so"), extras));
                    }
                }
            }
        }
        let cursor = if let From::Cursor(cursor) = from { cursor } else { Cursor::default() };
        let mut walk = self.walk(session, found, cursor).await?;
        let outcome = self.stream(session, &mut walk).await?;
        if self.page_left.is_some() {
            let over = walk.is_over() || outcome.code != Code::Success;
            let cookie = if over { Vec::new() } else { paging::cookie(&self.search, walk.cursor()) };
            told.push(paged_reply(&cookie));
        }
        Ok((outcome, Extras { controls: told, ..Extras::default() }))
    }

    /// Sends what is found as it is found.
    async fn stream(&mut self, session: &mut Session, walk: &mut Walk) -> Result<Outcome, Stop> {
        while !walk.is_over() && self.page_left != Some(0) {
            if let Some(outcome) = self.is_late() {
                return Ok(outcome);
            }
            // One more than may be sent tells whether there are more.
            let limit = PAGE.min(self.size_left.saturating_add(1)).min(self.page_left.unwrap_or(u32::MAX));
            let entries = session.attend(self.id, walk.page(limit).boxed()).await??;
            for entry in entries {
                if self.size_left == 0 {
                    return Ok(Outcome::new(Code::SizeLimitExceeded, ""));
                }
                self.send(session, entry, &[]).await?;
            }
        }
        Ok(Outcome::success())
    }

    /// Whether the search has taken too long.
    pub fn is_late(&self) -> Option<Outcome> {
        self.until.remaining().is_zero().then(|| Outcome::new(Code::TimeLimitExceeded, ""))
    }

    /// Sends an entry.
    pub async fn send(&mut self, session: &mut Session, mut entry: Entry, all: &[Control]) -> Result<(), Stop> {
        if self.selection.has(Operational::HasSubordinates) && entry.has_children.is_none() {
            entry.has_children = Some(self.has_children(session, &entry).await?);
        }
        let message = reply::entry(self.id, &entry.shown_dn, all, |w| {
            entry.write(w, &self.selection, self.search.types_only);
        });
        session.conn.write(&message).await?;
        self.size_left = self.size_left.saturating_sub(1);
        self.page_left = self.page_left.map(|n| n.saturating_sub(1));
        Ok(())
    }

    async fn has_children(&self, session: &mut Session, entry: &Entry) -> Result<bool, Stop> {
        let ldap = session.ldap.clone();
        let (who, base) = (self.who.clone(), entry.dn.clone());
        let look = async move {
            let found = find(&ldap, &who, &base).await?;
            let any = Arc::new(Filter::Present("objectClass".into()));
            let mut walk =
                Walk::begin(ldap.clone(), who, base, Some(found), Scope::One, any, Cursor::default()).await?;
            while !walk.is_over() {
                if !walk.page(1).await?.is_empty() {
                    return Ok(true);
                }
            }
            Ok::<bool, Stop>(false)
        };
        session.attend(self.id, look.boxed()).await?
    }

    /// Whether one more entry may be sent.
    pub fn has_room(&self) -> bool {
        self.size_left > 0
    }

    /// All entries, sorted; or why they cannot be.
    async fn in_order(
        &mut self,
        session: &mut Session,
        found: Option<Found>,
        keys: &[SortKey],
    ) -> Result<Result<Vec<Entry>, (Code, String)>, Stop> {
        if let Err(why) = check_keys(keys) {
            return Ok(Err(why));
        }
        let sorted = self.sorted(session, found, keys).await?;
        Ok(sorted.map(|entries| entries.into_iter().map(|s| s.entry).collect()))
    }

    /// The same with what they are sorted by, which can be sorted by.
    pub async fn sorted(
        &mut self,
        session: &mut Session,
        found: Option<Found>,
        keys: &[SortKey],
    ) -> Result<Result<Vec<Sortable>, (Code, String)>, Stop> {
        let mut walk = self.walk(session, found, Cursor::default()).await?;
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while !walk.is_over() {
            if let Some(outcome) = self.is_late() {
                return Err(outcome.into());
            }
            for entry in session.attend(self.id, walk.page(PAGE).boxed()).await?? {
                bytes += entry
                    .attrs
                    .iter()
                    .map(|a| a.name.len() + a.values.iter().map(String::len).sum::<usize>())
                    .sum::<usize>();
                entries.push(Sortable { keys: keys_of(&entry, keys), entry });
            }
            if entries.len() > SORT_ENTRIES_MAX || bytes > SORT_BYTES_MAX {
                return Ok(Err((Code::AdminLimitExceeded, String::new())));
            }
        }
        sort(&mut entries, keys);
        Ok(Ok(entries))
    }

    /// Sends a sorted result, or its first page.
    async fn send_sorted(&mut self, session: &mut Session, entries: Vec<Entry>) -> Done {
        let token = zcluster_runtime::random_u64();
        let mut rest = entries.into_iter();
        let outcome = self.send_some(session, &mut rest).await?;
        let mut told = vec![sort_reply(0, None)];
        told.extend(self.keep(session, token, rest, &outcome));
        Ok((outcome, Extras { controls: told, ..Extras::default() }))
    }

    async fn sorted_page(&mut self, session: &mut Session, token: u64, size: u32) -> Done {
        let Some(kept) = session.sorted.take().filter(|s| s.token == token) else {
            return refused(Code::UnwillingToPerform, "the sorted result is not kept any more: begin anew");
        };
        self.page_left = Some(size);
        let mut rest = kept.rest;
        let outcome = self.send_some(session, &mut rest).await?;
        let mut told = vec![sort_reply(0, None)];
        told.extend(self.keep(session, token, rest, &outcome));
        Ok((outcome, Extras { controls: told, ..Extras::default() }))
    }

    async fn send_some(
        &mut self,
        session: &mut Session,
        rest: &mut std::vec::IntoIter<Entry>,
    ) -> Result<Outcome, Stop> {
        while self.page_left != Some(0) {
            if rest.len() > 0 && self.size_left == 0 {
                return Ok(Outcome::new(Code::SizeLimitExceeded, ""));
            }
            let Some(entry) = rest.next() else { break };
            self.send(session, entry, &[]).await?;
        }
        Ok(Outcome::success())
    }

    /// Keeps what is left for the next page.
    fn keep(
        &self,
        session: &mut Session,
        token: u64,
        rest: std::vec::IntoIter<Entry>,
        outcome: &Outcome,
    ) -> Option<Control> {
        self.page_left?;
        let over = rest.len() == 0 || outcome.code != Code::Success;
        session.sorted = (!over).then_some(Sorted { token, rest });
        Some(paged_reply(&if over { Vec::new() } else { paging::sorted_cookie(&self.search, token) }))
    }
}

//! FETCH (RFC 3501 §6.4.5): pages of messages, written as they come, in memory that does not grow with the set.

pub mod binary;
pub mod bodies;
mod items;
pub mod source;

use crate::codec::command::{BodyForm, Fetch, FetchItems, Partial, SectionText};
use crate::config::{FETCH_SYNC_AFTER, PAGE_MESSAGES, PAGE_MESSAGES_WITH_BODIES};
use crate::errors::{Answer, Failure, Reply};
use crate::session::numbers::{Numbers, from, pieces, positions, without};
use crate::session::selected::write_vanished;
use crate::session::{Expunges, Mailbox, Selected, Session, passed_over};
use items::Line;
use std::collections::VecDeque;
use zcluster_api::mailbox::{KeywordChange, Message, Want};
use zcluster_api::sharing::Rights;
use zcluster_api::{Flags, FolderId, MailboxCommand, ModSeq, SearchExpr, UidSet};
use zcluster_mail::Summary;

/// What a FETCH needs, found out once.
pub struct Plan<'a> {
    fetch: &'a Fetch,
    items: FetchItems,
    want: Want,
    page: u32,
    /// Some item sets `\Seen` (RFC 3501 §6.4.5), and that may be changed here.
    sets_seen: bool,
    changed_since: Option<ModSeq>,
}

impl<'a> Plan<'a> {
    fn new(fetch: &'a Fetch, view: &Selected) -> Self {
        let from_summary =
            FetchItems::ENVELOPE.with(FetchItems::BODY).with(FetchItems::BODYSTRUCTURE).with(FetchItems::PREVIEW);
        // The whole message can be given without knowing what is in it.
        let whole = |b: &crate::codec::command::BodyItem| {
            b.path.is_empty() && b.text == SectionText::Whole && b.form != BodyForm::BinarySize
        };
        let summary = fetch.items.any(from_summary) || !fetch.bodies.iter().all(whole);
        let blob = !fetch.bodies.is_empty();
        // UID FETCH always tells the UID (RFC 3501 §6.4.8); a UIDFETCH response begins with it (RFC 9586 §3.3).
        let mut items = fetch.items;
        if fetch.uid && !view.dialect.uid_only {
            items.add(FetchItems::UID);
        }
        Plan {
            fetch,
            items,
            want: Want { summary, blob },
            page: if blob { PAGE_MESSAGES_WITH_BODIES } else { PAGE_MESSAGES },
            sets_seen: !view.read_only && view.rights.has(Rights::SEEN) && fetch.bodies.iter().any(|b| !b.peek),
            changed_since: fetch.changed_since.map(ModSeq),
        }
    }
}

pub async fn fetch(s: &mut Session, fetch: &Fetch) -> Answer {
    if fetch.vanished && !s.dialect.qresync {
        return Err(Failure::bad("VANISHED needs QRESYNC to be enabled"));
    }
    let mut uids = s.resolve(fetch.uid, &fetch.set)?;
    if let Some(partial) = fetch.partial {
        uids = part(s, fetch, uids, partial).await?;
    }
    if fetch.items.has(FetchItems::MODSEQ) {
        s.enable_condstore();
    }
    let missing = tell(s, fetch, uids).await?;
    finish(s, fetch).await?;
    // Messages that another session removed (RFC 5530 §3: EXPUNGEISSUED); with CHANGEDSINCE silence means no change.
    let some_gone = missing > 0 && fetch.changed_since.is_none();
    Ok(Reply::Ok(
        if some_gone { "[EXPUNGEISSUED] FETCH completed, some messages are gone" } else { "FETCH completed" }.into(),
    ))
}

/// The messages at these positions of the set (RFC 9394 §3.3); CHANGEDSINCE, if it is there, comes first (§3.4).
async fn part(s: &Session, fetch: &Fetch, mut uids: UidSet, partial: Partial) -> Result<UidSet, Failure> {
    if let Some(since) = fetch.changed_since {
        let newer = SearchExpr::ModSeq(ModSeq(since.saturating_add(1)));
        uids = s.selected_mailbox()?.search(s.view()?.folder, Some(uids), newer).await?.0;
    }
    Ok(positions(&uids, partial.within(usize::try_from(uids.len()).unwrap_or(usize::MAX))))
}

/// Writes what `fetch` asks of these messages; says how many of them there were not.
pub async fn tell(s: &mut Session, fetch: &Fetch, uids: UidSet) -> Result<u64, Failure> {
    if fetch.bodies.iter().any(|b| !b.peek) {
        s.refresh_rights().await?;
    }
    let plan = Plan::new(fetch, s.view()?);
    let numbers = Numbers::new(&s.view()?.uids);
    let source = Source { mailbox: s.selected_mailbox()?, folder: s.view()?.folder, numbers };
    let questions = match plan.changed_since {
        Some(since) => changed(s, &source, fetch, since, uids).await?,
        None => pieces(&uids, plan.page.into()),
    };
    let asked: u64 = questions.iter().map(UidSet::len).sum();
    Ok(asked.saturating_sub(answer(s, &plan, &source, questions.into()).await?))
}

/// Where messages come from, and their numbers.
struct Source {
    mailbox: Mailbox,
    folder: FolderId,
    numbers: Numbers,
}

/// Of messages asked for with CHANGEDSINCE the ones that may have changed, as the change log knows, in the pieces they
/// are asked for; with VANISHED tells what went first (RFC 7162 §3.2.6).
async fn changed(
    s: &mut Session,
    source: &Source,
    fetch: &Fetch,
    since: ModSeq,
    uids: UidSet,
) -> Result<Vec<UidSet>, Failure> {
    let view = s.view()?;
    let known = if fetch.vanished { fetch.set.wanted(&view.uids, &view.saved) } else { uids.clone() };
    let missed = source.mailbox.missed(source.folder, since, Some(known)).await?;
    if fetch.vanished {
        // What went since the mailbox was selected is told without EARLIER, when it is told.
        let gone = without(&missed.vanished, &s.view()?.uids);
        write_vanished(&gone, true, &mut s.out);
        s.spill_if_full().await?;
    }
    let touched = uids.intersect(&missed.touched);
    // Where the log does not reach back few of many may have changed: all are asked for at once.
    Ok(match missed.exact {
        true => pieces(&touched, PAGE_MESSAGES.into()),
        false if touched.is_empty() => Vec::new(),
        false => vec![touched],
    })
}

/// Fetches page by page, the next one while this one is written; says how many messages there were. At most two pages
/// are held.
async fn answer(
    s: &mut Session,
    plan: &Plan<'_>,
    source: &Source,
    mut questions: VecDeque<UidSet>,
) -> Result<u64, Failure> {
    let ask = |question: Option<UidSet>| async move {
        let Some(uids) = question else { return Ok(None) };
        let mailbox = &source.mailbox;
        let page = mailbox.messages(source.folder, uids.clone(), plan.want, plan.changed_since, plan.page).await?;
        Ok::<_, Failure>(Some((page, uids)))
    };
    let mut count = 0;
    let mut page = ask(questions.pop_front()).await?;
    while let Some(((mut messages, next), asked)) = page {
        count += messages.len() as u64;
        if let Some(next) = next {
            questions.push_front(from(&asked, next.0));
        }
        let ahead = ask(questions.pop_front());
        let (written, following) = match plan.sets_seen {
            // What comes next is read after what this page writes.
            true => (write_page(s, plan, source, &mut messages).await, ahead.await),
            false => futures::future::join(write_page(s, plan, source, &mut messages), ahead).await,
        };
        written?;
        page = following?;
    }
    Ok(count)
}

async fn write_page(
    s: &mut Session,
    plan: &Plan<'_>,
    source: &Source,
    messages: &mut [Message],
) -> Result<(), Failure> {
    let newly_seen = match plan.sets_seen {
        true => mark_seen(s, &source.mailbox, source.folder, messages).await,
        false => UidSet::new(),
    };
    for m in messages.iter() {
        if let Some(n) = source.numbers.of(m.uid.0) {
            write_message(s, plan, &source.mailbox, n, m, newly_seen.contains(m.uid.0)).await?;
        }
    }
    Ok(())
}

/// Sets `\Seen` on a page, before its bodies go out, so that the new flags can go with them. A mailbox that cannot be
/// written to just now can be read all the same.
async fn mark_seen(s: &mut Session, mailbox: &Mailbox, folder: FolderId, messages: &mut [Message]) -> UidSet {
    let uids: UidSet = messages.iter().filter(|m| m.flags.contains(Flags::UNREAD)).map(|m| m.uid.0).collect();
    if uids.is_empty() {
        return uids;
    }
    let command = MailboxCommand::Store {
        folder,
        uids,
        add: Flags::default(),
        remove: Flags::UNREAD,
        keywords: KeywordChange::Add(Vec::new()),
        unchanged_since: None,
    };
    let stored = match mailbox.store(command).await {
        Ok(stored) => stored,
        Err(error) => {
            tracing::debug!(%error, "cannot set seen while fetching");
            return UidSet::new();
        }
    };
    if let Some(view) = s.selected.as_deref_mut() {
        view.passed(stored.modseq, !stored.changed.is_empty());
    }
    let mut newly_seen = UidSet::new();
    let mut changed = stored.changed.into_iter().peekable();
    for m in messages {
        while changed.next_if(|c| c.uid < m.uid).is_some() {}
        if let Some(c) = changed.next_if(|c| c.uid == m.uid) {
            newly_seen.insert(m.uid.0);
            (m.flags, m.modseq, m.keywords) = (c.flags, c.modseq, c.keywords);
        }
    }
    newly_seen
}

/// News for the view: at once when it was not looked for changes of late.
async fn finish(s: &mut Session, fetch: &Fetch) -> Result<(), Failure> {
    let expunges = if fetch.uid { Expunges::Tell } else { Expunges::Hold };
    if s.view()?.looked_at.elapsed() > FETCH_SYNC_AFTER {
        let synced = s.sync(expunges, &[]).await;
        return passed_over(synced);
    }
    if let Some(view) = s.selected.as_deref_mut().filter(|_| fetch.uid) {
        view.tell_gone(&mut s.out);
    }
    Ok(())
}

async fn write_message(
    s: &mut Session,
    plan: &Plan<'_>,
    mailbox: &Mailbox,
    number: u32,
    m: &Message,
    newly_seen: bool,
) -> Result<(), Failure> {
    let summary = plan.want.summary.then(|| summary(m));
    let zone = s.zone();
    let Some(view) = s.selected.as_deref_mut() else { return Ok(()) };
    let line = Line {
        number,
        message: m,
        summary: summary.as_ref(),
        recent: view.is_recent(m.uid),
        suffix: &mailbox.object_suffix(),
        newly_seen,
        condstore: s.condstore,
        zone,
        uid_only: view.dialect.uid_only,
    };
    if !m.keywords.is_empty() {
        view.learn(&m.keywords, &mut s.out);
    }
    s.mark = Some(s.out.len());
    let any = items::write(&line, plan.items, &mut s.out);
    if !plan.fetch.bodies.is_empty() {
        Box::pin(bodies::write(s, mailbox, m, summary.as_ref(), &plan.fetch.bodies, !any)).await?;
    }
    s.out.extend_from_slice(b")\r\n");
    s.mark = None;
    s.spill_if_full().await?;
    Ok(())
}

/// What was learned of the message on arrival. One that cannot be read must not hide its neighbours.
fn summary(m: &Message) -> Summary {
    Summary::decode(&m.summary).unwrap_or_else(|error| {
        tracing::error!(uid = %m.uid, item = %m.item, %error, "stored summary cannot be read");
        Summary::default()
    })
}

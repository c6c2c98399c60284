//! FETCH (RFC 3501 §6.4.5): pages of messages, written as they come, in memory that does not grow with the set.

mod binary;
mod bodies;
mod items;
pub mod source;

use crate::codec::command::{BodyForm, Fetch, FetchItems, SectionText};
use crate::config::{FETCH_SYNC_AFTER, PAGE_MESSAGES, PAGE_MESSAGES_WITH_BODIES};
use crate::errors::{Answer, Failure, Reply};
use crate::session::numbers::{Numbers, from, pieces};
use crate::session::{Expunges, Mailbox, Session, passed_over};
use items::Line;
use zcluster_api::mailbox::{KeywordChange, Message, Want};
use zcluster_api::sharing::Rights;
use zcluster_api::{Flags, FolderId, MailboxCommand, ModSeq, UidSet};
use zcluster_mail::Summary;

/// What a FETCH needs, found out once.
pub struct Plan<'a> {
    fetch: &'a Fetch,
    want: Want,
    page: u32,
    /// Some item sets `\Seen` (RFC 3501 §6.4.5), and the mailbox may be changed.
    sets_seen: bool,
    changed_since: Option<ModSeq>,
}

impl<'a> Plan<'a> {
    fn new(fetch: &'a Fetch, read_only: bool) -> Self {
        let from_summary =
            FetchItems::ENVELOPE.with(FetchItems::BODY).with(FetchItems::BODYSTRUCTURE).with(FetchItems::PREVIEW);
        // The whole message can be given without knowing what is in it.
        let whole = |b: &crate::codec::command::BodyItem| {
            b.path.is_empty() && b.text == SectionText::Whole && b.form != BodyForm::BinarySize
        };
        let summary = fetch.items.any(from_summary) || !fetch.bodies.iter().all(whole);
        let blob = !fetch.bodies.is_empty();
        Plan {
            fetch,
            want: Want { summary, blob },
            page: if blob { PAGE_MESSAGES_WITH_BODIES } else { PAGE_MESSAGES },
            sets_seen: !read_only && fetch.bodies.iter().any(|b| !b.peek),
            changed_since: fetch.changed_since.map(ModSeq),
        }
    }
}

pub async fn fetch(s: &mut Session, fetch: &Fetch) -> Answer {
    let uids = s.resolve(fetch.uid, &fetch.set)?;
    if fetch.items.has(FetchItems::MODSEQ) {
        s.enable_condstore();
    }
    if fetch.bodies.iter().any(|b| !b.peek) {
        s.refresh_rights().await?;
    }
    let plan = Plan::new(fetch, s.view()?.read_only || !s.view()?.rights.has(Rights::SEEN));
    let numbers = Numbers::new(&s.view()?.uids);
    let (mailbox, folder) = (s.selected_mailbox()?, s.view()?.folder);
    let mut missing = 0;
    for piece in questions(&plan, &uids) {
        let asked = piece.len();
        let found = answer(s, &plan, &numbers, &mailbox, folder, piece).await?;
        missing += asked.saturating_sub(found);
    }
    finish(s, fetch).await?;
    // Messages that another session removed (RFC 5530 §3: EXPUNGEISSUED); with CHANGEDSINCE silence means no change.
    let some_gone = missing > 0 && plan.changed_since.is_none();
    Ok(Reply::Ok(
        if some_gone { "[EXPUNGEISSUED] FETCH completed, some messages are gone" } else { "FETCH completed" }.into(),
    ))
}

/// The set in the pieces it is asked for. With CHANGEDSINCE few of many may answer, so all are asked for at once.
fn questions(plan: &Plan<'_>, uids: &UidSet) -> Vec<UidSet> {
    if plan.changed_since.is_some() && !uids.is_empty() { vec![uids.clone()] } else { pieces(uids, plan.page.into()) }
}

/// Fetches `uids`, page by page; says how many there were.
async fn answer(
    s: &mut Session,
    plan: &Plan<'_>,
    numbers: &Numbers,
    mailbox: &Mailbox,
    folder: FolderId,
    mut uids: UidSet,
) -> Result<u64, Failure> {
    let mut count = 0;
    loop {
        let (mut messages, next) =
            mailbox.messages(folder, uids.clone(), plan.want, plan.changed_since, plan.page).await?;
        count += messages.len() as u64;
        let newly_seen =
            if plan.sets_seen { mark_seen(s, mailbox, folder, &mut messages).await } else { UidSet::new() };
        for m in &messages {
            if let Some(n) = numbers.of(m.uid.0) {
                write_message(s, plan, mailbox, n, m, newly_seen.contains(m.uid.0)).await?;
            }
        }
        match next {
            Some(next) => uids = from(&uids, next.0),
            None => return Ok(count),
        }
    }
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
    let Some(view) = s.selected.as_deref_mut() else { return Ok(()) };
    let line = Line {
        number,
        message: m,
        summary: summary.as_ref(),
        recent: view.is_recent(m.uid),
        newly_seen,
        condstore: s.condstore,
    };
    if !m.keywords.is_empty() {
        view.learn(&m.keywords, &mut s.out);
    }
    s.mark = Some(s.out.len());
    let any = items::write(&line, plan.fetch.items, &mut s.out);
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

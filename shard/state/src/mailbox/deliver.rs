//! `Deliver`: a message with what the recipient's filters decided. Which folders there are is found out here, at the
//! message's place in the order of things, and not when the filters ran.

use super::add::{self, NewItem};
use super::rows::{self, DeliveryRow};
use super::work::Work;
use super::{deliveries, folders, names, outgoing, seen, tags};
use crate::bodies;
use std::collections::{BTreeMap, BTreeSet};
use zcluster_api::delivery::{
    CONTENTS_MAX, Content, Delivered, Delivery, FILINGS_MAX, Filed, Filing, QuotaWarning, SEEN_PER_COMMAND_MAX, Target,
};
use zcluster_api::mailbox::folders::INBOX;
use zcluster_api::mailbox::{FolderView, Parsed, SpecialUse};
use zcluster_api::{BlobId, Body, Error, Flags, FolderId, ItemId, ModSeq, Receipt, Result, Uid};

/// Bytes of a message's summary at most.
const SUMMARY_BYTES_MAX: usize = 1024 * 1024;

/// The contents of a command, each stored when it is claimed for the first time.
pub(super) struct Prepared<'a> {
    contents: &'a [Content],
    plans: Vec<Option<bodies::Plan<'a>>>,
    stored: BTreeSet<BlobId>,
}

impl<'a> Prepared<'a> {
    /// Looks whether they can be stored.
    ///
    /// # Errors
    /// `TooLarge`, `Invalid` (an upload that is not there).
    pub fn new(work: &Work<'_>, contents: &'a [Content]) -> Result<Self> {
        if contents.len() > CONTENTS_MAX {
            return Err(Error::TooLarge("contents in one command".into()));
        }
        let mut objects = BTreeSet::new();
        for content in contents {
            if let Body::Placed { object, .. } = &content.body
                && !objects.insert(*object)
            {
                return Err(Error::Invalid(format!("object {object} twice in one command")));
            }
        }
        let plan = |c: &'a Content| bodies::plan(work.view(), work.mailbox, &c.body).map(Some);
        let plans = contents.iter().map(plan).collect::<Result<_>>()?;
        Ok(Prepared { contents, plans, stored: BTreeSet::new() })
    }

    /// Counts one more reference to a content; the index was checked.
    pub fn claim(&mut self, work: &mut Work<'_>, index: u32) -> Result<BlobId> {
        let index = index as usize;
        let missing = || Error::Internal("no such content".into());
        let body = &self.contents.get(index).ok_or_else(missing)?.body;
        let id = body.id();
        match self.plans.get_mut(index).and_then(Option::take) {
            Some(plan) if !self.stored.contains(&id) => {
                if plan.ends_upload() {
                    work.header.uploads = work.header.uploads.saturating_sub(1);
                }
                bodies::store(work.kv, work.group, body, plan)?;
                work.group.next_origin();
                self.stored.insert(id);
            }
            _ => bodies::share(work.kv, id)?,
        }
        Ok(id)
    }
}

/// Where a filing goes.
enum Place {
    Existing(FolderId),
    /// To be made, with a use.
    New(String, Option<SpecialUse>),
}

pub(super) fn deliver(work: &mut Work<'_>, delivery: &Delivery) -> Result<Receipt> {
    if deliveries::known(work, delivery.delivery_key)?.is_some() {
        return Ok(Receipt::Delivered(Delivered { duplicate: true, ..Delivered::default() }));
    }
    if work.header.filters.as_ref().map_or(0, |f| f.version) != delivery.scripts {
        return Err(Error::Conflict("the mailbox's scripts have changed".into()));
    }
    check(work, delivery)?;
    let mut places = places(work, &delivery.filings)?;
    if missing(&places)? > 0 && folders::room_for_folders(work, missing(&places)?).is_err() {
        // A mailbox that can have no more folders gets its mail all the same.
        for place in places.iter_mut().filter(|p| matches!(p, Place::New(..))) {
            *place = Place::Existing(INBOX);
        }
    }
    room(work, delivery, &places)?;
    let tags = keywords(work, &delivery.filings)?;
    work.room_for_items((delivery.filings.len() + tags.ids.len() + missing(&places)?) as u64)?;
    let mut prepared = Prepared::new(work, &delivery.contents)?;

    // From here on nothing fails.
    tags.create(work);
    let mut done = Delivered::default();
    let mut first = DeliveryRow { item: ItemId(0), uid: Uid(0), uid_validity: 0, modseq: ModSeq(0) };
    for (folder, filing) in merged(work, places, &delivery.filings)? {
        let filed = file(work, delivery, (folder, &filing), &mut prepared)?;
        if done.filed.is_empty() {
            let uid_validity = work.folder(folder)?.uid_validity;
            first = DeliveryRow { item: filed.item, uid: filed.uid, uid_validity, modseq: work.modseq() };
        }
        done.filed.push(filed);
    }
    for new in &delivery.outgoing {
        if outgoing::is_wanted(work, new)? {
            outgoing::put(work, new, &mut prepared)?;
            done.outgoing += 1;
        }
    }
    for what in &delivery.remember {
        seen::remember(work, *what)?;
    }
    deliveries::remember(work, delivery.delivery_key, &first)?;
    done.warn = delivery.warn.and_then(|warn| warning(work, warn));
    Ok(Receipt::Delivered(done))
}

/// Counts and references.
fn check(work: &Work<'_>, delivery: &Delivery) -> Result<()> {
    if delivery.filings.len() > FILINGS_MAX || delivery.remember.len() > SEEN_PER_COMMAND_MAX {
        return Err(Error::TooLarge("actions of one delivery".into()));
    }
    for filing in &delivery.filings {
        if parsed(delivery, filing).is_none() {
            return Err(Error::Invalid("a filing without a parsed content".into()));
        }
    }
    for parsed in delivery.contents.iter().filter_map(|c| c.parsed.as_ref()) {
        if parsed.summary.len() > SUMMARY_BYTES_MAX {
            return Err(Error::TooLarge("summary".into()));
        }
        add::encoded_keys(parsed)?;
    }
    outgoing::check(work, &delivery.outgoing, delivery.contents.len())
}

fn parsed<'d>(delivery: &'d Delivery, filing: &Filing) -> Option<&'d Parsed> {
    delivery.contents.get(filing.content as usize)?.parsed.as_ref()
}

fn places(work: &Work<'_>, filings: &[Filing]) -> Result<Vec<Place>> {
    filings.iter().map(|filing| place(work, &filing.target)).collect()
}

fn place(work: &Work<'_>, target: &Target) -> Result<Place> {
    let (path, create, wanted) = match target {
        Target::Folder(id) => return Ok(Place::Existing(mail_folder(work, *id)?)),
        Target::Path { path, create } => (path, *create, None),
        Target::Use { special_use, path, create } => {
            if let Some(id) = names::with_use(work.view(), work.mailbox, *special_use)? {
                return Ok(Place::Existing(mail_folder(work, id)?));
            }
            (path, *create, Some(*special_use))
        }
    };
    // A name that cannot be one is the same as one that is not there.
    let Ok(names) = names::split(path) else { return Ok(Place::Existing(INBOX)) };
    match names::walk(work.view(), work.mailbox, &names)? {
        (id, []) => Ok(Place::Existing(mail_folder(work, id)?)),
        _ if create => Ok(Place::New(path.clone(), wanted)),
        _ => Ok(Place::Existing(INBOX)),
    }
}

/// The folder if it is there and takes mail, else the Inbox.
fn mail_folder(work: &Work<'_>, id: FolderId) -> Result<FolderId> {
    let row = rows::folder(work.view(), work.mailbox, id)?;
    let takes_mail = |view| matches!(view, FolderView::Message | FolderView::Unknown);
    let known = row.is_some_and(|row| takes_mail(row.view)) && id != zcluster_api::mailbox::folders::USER_ROOT;
    Ok(if known { id } else { INBOX })
}

/// Quota and UIDs for all filings together.
fn room(work: &mut Work<'_>, delivery: &Delivery, places: &[Place]) -> Result<()> {
    let size = |f: &Filing| delivery.contents.get(f.content as usize).map_or(0, |c| c.body.size());
    let bytes = delivery.filings.iter().fold(0u64, |sum, f| sum.saturating_add(size(f)));
    let mut counts: BTreeMap<FolderId, u64> = BTreeMap::new();
    for place in places {
        if let Place::Existing(id) = place {
            *counts.entry(*id).or_default() += 1;
        }
    }
    for (folder, count) in counts {
        work.room_for_messages(folder, count, 0)?;
    }
    if !places.is_empty() {
        work.room_for_messages(INBOX, 0, bytes)?;
    }
    Ok(())
}

/// Folders to be made at most.
fn missing(places: &[Place]) -> Result<usize> {
    let mut count = 0;
    for place in places {
        if let Place::New(path, _) = place {
            count += names::split(path)?.len();
        }
    }
    Ok(count)
}

/// Ids for the keywords of all filings. Ones that the mailbox cannot take must not cost the message.
fn keywords(work: &Work<'_>, filings: &[Filing]) -> Result<tags::Plan> {
    let all: Vec<String> = filings.iter().flat_map(|f| f.keywords.iter().cloned()).collect();
    match tags::plan(work, &all) {
        Err(Error::Invalid(_) | Error::TooLarge(_)) => Ok(tags::Plan::default()),
        other => other,
    }
}

/// Makes missing folders; copies of one content that end up in the same folder are one.
fn merged(work: &mut Work<'_>, places: Vec<Place>, filings: &[Filing]) -> Result<Vec<(FolderId, Filing)>> {
    let mut out: Vec<(FolderId, Filing)> = Vec::new();
    for (place, filing) in places.into_iter().zip(filings) {
        let folder = match place {
            Place::Existing(id) => id,
            Place::New(path, wanted) => make(work, &path, wanted)?,
        };
        match out.iter_mut().find(|(id, f)| *id == folder && f.content == filing.content) {
            Some((_, before)) => {
                // Read for one of them is read.
                let unread = before.flags.contains(Flags::UNREAD) && filing.flags.contains(Flags::UNREAD);
                before.flags = before.flags.with(filing.flags);
                if !unread {
                    before.flags = before.flags.without(Flags::UNREAD);
                }
                before.keywords.extend(filing.keywords.iter().cloned());
            }
            None => out.push((folder, filing.clone())),
        }
    }
    Ok(out)
}

fn make(work: &mut Work<'_>, path: &str, wanted: Option<SpecialUse>) -> Result<FolderId> {
    let names = names::split(path)?;
    // An earlier filing may have made it.
    let (parent, missing) = names::walk(work.view(), work.mailbox, &names)?;
    if missing.is_empty() {
        return mail_folder_made(work, parent);
    }
    let id = folders::make(work, parent, missing, FolderView::Message)?;
    work.folder_mut(id)?.special_use = wanted;
    Ok(id)
}

/// A folder that an earlier filing of this command may have made: its row is not written yet.
fn mail_folder_made(work: &mut Work<'_>, id: FolderId) -> Result<FolderId> {
    let view = work.folder(id)?.view;
    Ok(if matches!(view, FolderView::Message | FolderView::Unknown) { id } else { INBOX })
}

fn file(
    work: &mut Work<'_>,
    delivery: &Delivery,
    (folder, filing): (FolderId, &Filing),
    prepared: &mut Prepared<'_>,
) -> Result<Filed> {
    let parsed = parsed(delivery, filing).ok_or_else(|| Error::Internal("no parsed content".into()))?;
    let size = delivery.contents.get(filing.content as usize).map_or(0, |c| c.body.size());
    let blob = prepared.claim(work, filing.content)?;
    let mut tags = Vec::new();
    for name in &filing.keywords {
        tags.extend(tags::find(work.view(), work.mailbox, name)?);
    }
    tags.sort_unstable();
    tags.dedup();
    let internal_ms = delivery.internal_ms;
    let new = NewItem { blob, size, parsed, flags: filing.flags, tags, internal_ms };
    let (item, uid) = add::put_item(work, folder, new)?;
    Ok(Filed { item, folder, uid })
}

/// Whether the owner is to be warned now; if so, that is remembered.
fn warning(work: &mut Work<'_>, warn: QuotaWarning) -> Option<(u64, u64)> {
    let (used, quota, now) = (work.header.used, work.quota, work.stamp.wall_ms);
    let level = u128::from(quota) * u128::from(warn.percent);
    if quota == 0 || u128::from(used) * 100 < level {
        return None;
    }
    let last = work.header.filters.as_ref().map_or(0, |f| f.warned_ms);
    if last != 0 && last.saturating_add(warn.interval_ms) > now {
        return None;
    }
    work.filters().warned_ms = now;
    Some((used, quota))
}

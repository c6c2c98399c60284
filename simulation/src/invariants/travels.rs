//! The way of each message through a mailbox, as far as clients were told: which places belong to one message, who may
//! have made it, and what was seen of it when.

use super::census::Mailbox;
use super::linearized::Story;
use super::story::{AT_THE_END, account_of, may_be, may_have_happened, named, placed};
use crate::history::{Outcome, Record, Reply, What};
use crate::linear::flag;
use crate::linear::message::{Op, Place};
use std::collections::{BTreeMap, BTreeSet};
use zcluster_api::Flags;

/// One message of a mailbox: where it first was names it. A copy is a message of its own.
#[derive(Debug, Default)]
pub struct Travel {
    /// The plan's number of the message, if anybody knows.
    pub id: Option<u32>,
    /// Where it was and what was seen of it.
    pub story: Story<Op>,
    /// Its flags, by lower-case name.
    pub flags: BTreeMap<String, Story<flag::Op>>,
    /// Somebody is known to have made it.
    is_made: bool,
    /// It was delivered or appended, surely: it began without flags.
    pub is_fresh: bool,
}

/// All messages of one account.
#[derive(Debug, Default)]
pub struct Travels {
    /// By first place.
    pub all: BTreeMap<Place, Travel>,
    /// Where a message came from by an acknowledged MOVE.
    came_from: BTreeMap<Place, Place>,
    /// All places anybody spoke of, and the message there.
    places: BTreeMap<Place, Option<u32>>,
    /// Flags anybody ever set or cleared.
    written: BTreeSet<String>,
}

impl Travels {
    /// Collects everything about `account`, whose mailbox in the end (`now`) is `mailbox`.
    pub fn of(account: u32, mailbox: &Mailbox, records: &[Record], now: u64) -> Travels {
        let mine: Vec<(usize, &Record)> =
            records.iter().enumerate().filter(|(_, r)| account_of(&r.what) == Some(account)).collect();
        let mut travels = Travels::default();
        mine.iter().for_each(|(_, record)| travels.learn(record));
        mailbox.all().filter_map(|(p, _, k)| Some((p?, k.id))).for_each(|(p, id)| travels.place(p, id));
        for (place, id) in travels.places.clone() {
            let travel = travels.at(place);
            travel.id = travel.id.or(id);
        }
        mine.iter().for_each(|(i, record)| travels.record(*i, record));
        travels.end(mailbox, now);
        travels.find_makers(&mine);
        travels
    }

    fn place(&mut self, place: Place, id: Option<u32>) {
        let known = self.places.entry(place).or_default();
        *known = known.or(id);
    }

    /// First pass: places and moves.
    fn learn(&mut self, record: &Record) {
        if let Some((from, id)) = named(&record.what) {
            self.place(from, id);
            if let (What::Move { .. }, Some(to)) = (&record.what, placed(record)) {
                self.came_from.insert(to, from);
            }
        }
        if let Some(to) = placed(record) {
            let id = match record.what {
                What::Append { message, .. } => Some(message),
                _ => named(&record.what).and_then(|(_, id)| id),
            };
            self.place(to, id);
        }
        match (&record.what, &record.outcome) {
            (What::Fetch { folder, .. }, Outcome::Done(Reply::Fetched { uid_validity, messages, .. })) => {
                for seen in messages {
                    self.place(Place { folder: *folder, uid_validity: *uid_validity, uid: seen.uid }, seen.message);
                }
            }
            (What::Store { flag, .. }, outcome) if !matches!(outcome, Outcome::Failed(_)) => {
                self.written.insert(flag.to_ascii_lowercase());
            }
            _ => {}
        }
    }

    /// Where the message at a place was first.
    fn first(&self, place: Place) -> Place {
        let mut first = place;
        // Moves never lead in a circle where UIDs are not given twice; where they are, another promise says so.
        for _ in 0..=self.came_from.len() {
            match self.came_from.get(&first) {
                Some(before) => first = *before,
                None => break,
            }
        }
        first
    }

    fn at(&mut self, place: Place) -> &mut Travel {
        let first = self.first(place);
        self.all.entry(first).or_default()
    }

    fn add(&mut self, place: Place, i: usize, record: &Record, is_open: bool, op: Op) {
        let ret = if is_open { None } else { record.ret };
        self.at(place).story.add(i, record.invoke, ret, op);
    }

    /// Second pass: what was done and seen.
    fn record(&mut self, i: usize, record: &Record) {
        let is_open = record.outcome == Outcome::Unknown;
        if let (Some(to), What::Append { .. } | What::Copy { .. }) = (placed(record), &record.what) {
            self.add(to, i, record, false, Op::Make(to));
            let travel = self.at(to);
            travel.is_made = true;
            travel.is_fresh = matches!(record.what, What::Append { .. });
        }
        let place = named(&record.what).map(|(place, _)| place);
        match (&record.what, &record.outcome, place) {
            (What::Copy { .. }, Outcome::Done(Reply::Copied { copied }), Some(from)) => {
                let op = if copied.is_some() { Op::See(from) } else { Op::SeeNot(from) };
                self.add(from, i, record, false, op);
            }
            (What::Move { .. }, Outcome::Done(_), Some(from)) => {
                let op = placed(record).map_or(Op::SeeNot(from), |to| Op::Move { from, to });
                self.add(from, i, record, false, op);
            }
            (What::Expunge { .. }, Outcome::Done(Reply::Expunged { gone: true }), Some(from)) => {
                self.add(from, i, record, false, Op::Leave(from));
            }
            (What::Move { .. } | What::Expunge { .. }, Outcome::Unknown | Outcome::Done(_), Some(from)) => {
                self.add(from, i, record, true, Op::Leave(from));
            }
            (What::Store { flag, set, .. }, outcome, Some(at)) => {
                self.store(i, record, at, (flag, *set), outcome);
            }
            (What::Search { folder, uid_validity, .. }, Outcome::Done(Reply::Found { uids }), _) => {
                for uid in uids {
                    let at = Place { folder: *folder, uid_validity: *uid_validity, uid: *uid };
                    self.add(at, i, record, false, Op::See(at));
                }
            }
            (What::Fetch { folder, .. }, Outcome::Done(reply), _) => self.fetch(i, record, *folder, reply),
            _ => debug_assert!(is_open || place.is_none() || !may_have_happened(record), "{record:?}"),
        }
    }

    fn flag(&mut self, at: Place, name: &str) -> &mut Story<flag::Op> {
        self.at(at).flags.entry(name.to_string()).or_default()
    }

    fn flags_seen(&mut self, at: Place, i: usize, when: (u64, Option<u64>), flags: &BTreeSet<String>) {
        let lower: BTreeSet<String> = flags.iter().map(|f| f.to_ascii_lowercase()).collect();
        for name in self.written.clone() {
            let is_set = lower.contains(&name);
            self.flag(at, &name).add(i, when.0, when.1, flag::Op::Read(is_set));
        }
    }

    fn store(&mut self, i: usize, record: &Record, at: Place, (name, set): (&str, bool), outcome: &Outcome) {
        let name = name.to_ascii_lowercase();
        match outcome {
            Outcome::Failed(_) => {}
            Outcome::Done(Reply::Stored { modified: true, .. }) => self.add(at, i, record, false, Op::See(at)),
            Outcome::Done(Reply::Stored { after: Some(seen), .. }) => {
                self.add(at, i, record, false, Op::See(at));
                self.flag(at, &name).add(i, record.invoke, record.ret, flag::Op::Write(set));
                self.flags_seen(at, i, (record.invoke, record.ret), &seen.flags);
            }
            // The client does not know whether the message was there.
            _ => self.flag(at, &name).add(i, record.invoke, None, flag::Op::Write(set)),
        }
    }

    fn fetch(&mut self, i: usize, record: &Record, folder: u32, reply: &Reply) {
        let Reply::Fetched { uid_validity, messages, .. } = reply else { return };
        let shown: BTreeMap<u32, _> = messages.iter().map(|m| (m.uid, &m.flags)).collect();
        let here: Vec<Place> =
            self.places.keys().copied().filter(|p| p.folder == folder && p.uid_validity == *uid_validity).collect();
        for at in here {
            match shown.get(&at.uid) {
                Some(flags) => {
                    self.add(at, i, record, false, Op::See(at));
                    self.flags_seen(at, i, (record.invoke, record.ret), flags);
                }
                None => self.add(at, i, record, false, Op::SeeNot(at)),
            }
        }
    }

    /// The end is a look at everything.
    fn end(&mut self, mailbox: &Mailbox, now: u64) {
        let there: BTreeMap<Place, BTreeSet<String>> = mailbox
            .all()
            .filter_map(|(place, _, kept)| Some((place?, names(kept.row.flags, &kept.row.keywords))))
            .collect();
        for at in self.places.keys().copied().collect::<Vec<_>>() {
            match there.get(&at) {
                Some(flags) => {
                    self.at(at).story.at_the_end(now, Op::See(at));
                    self.flags_seen(at, AT_THE_END, (now, Some(now)), flags);
                }
                None => self.at(at).story.at_the_end(now, Op::SeeNot(at)),
            }
        }
    }

    /// Last pass: messages that turned up without anybody having been told that they were made.
    fn find_makers(&mut self, records: &[(usize, &Record)]) {
        let orphans: Vec<(Place, Option<u32>)> =
            self.all.iter().filter(|(_, t)| !t.is_made).map(|(place, t)| (*place, t.id)).collect();
        for (place, id) in &orphans {
            let makers: Vec<&(usize, &Record)> =
                records.iter().filter(|(_, r)| id.is_some_and(|id| may_make(r, id, place.folder))).collect();
            let alone = orphans.iter().filter(|(p, other)| p.folder == place.folder && other == id).count() == 1;
            let Some(travel) = self.all.get_mut(place) else { continue };
            let from_outside = |r: &Record| matches!(r.what, What::Deliver { .. } | What::Append { .. });
            travel.is_fresh = !makers.is_empty() && makers.iter().all(|(_, r)| from_outside(r));
            match makers[..] {
                // Only one can have made it, and only this can be what it made.
                [(i, record)] if alone => travel.story.add(*i, record.invoke, record.ret, Op::Make(*place)),
                _ => {
                    let first = makers.iter().min_by_key(|(_, r)| r.invoke);
                    let (i, invoke) = first.map_or((AT_THE_END, 0), |(i, r)| (*i, r.invoke));
                    travel.story.add(i, invoke, None, Op::Make(*place));
                }
            }
        }
    }
}

/// Whether the record may have made message `id` in a folder, at a UID that its client was not told.
fn may_make(record: &Record, id: u32, in_folder: u32) -> bool {
    may_have_happened(record)
        && placed(record).is_none()
        && match record.what {
            What::Deliver { message, .. } => message == id && in_folder == 0,
            What::Append { folder, message, .. } => message == id && folder == in_folder,
            What::Copy { message, to, .. } | What::Move { message, to, .. } => {
                record.outcome == Outcome::Unknown && may_be(message, id) && to == in_folder
            }
            _ => false,
        }
}

/// Flags and keywords as IMAP names them.
fn names(flags: Flags, keywords: &[String]) -> BTreeSet<String> {
    let named = [
        (Flags::ANSWERED, "\\Answered"),
        (Flags::FORWARDED, "$Forwarded"),
        (Flags::FLAGGED, "\\Flagged"),
        (Flags::DRAFT, "\\Draft"),
        (Flags::DELETED, "\\Deleted"),
        (Flags::NOTIFIED, "$MDNSent"),
    ];
    let mut names: BTreeSet<String> = keywords.iter().cloned().collect();
    names.extend(named.into_iter().filter(|(f, _)| flags.contains(*f)).map(|(_, n)| n.to_string()));
    if !flags.contains(Flags::UNREAD) {
        names.insert("\\Seen".into());
    }
    names
}

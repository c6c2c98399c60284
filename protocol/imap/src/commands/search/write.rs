//! `* SEARCH`, `* SORT` and `* ESEARCH`.

use super::{Found, part};
use crate::codec::command::{Search, SearchReturn};
use crate::codec::write::{mailbox, number};
use crate::errors::Failure;
use crate::session::{Session, numbers::Numbers};
use std::io::Write;
use zcluster_api::{ModSeq, UidSet};

/// Numbers written before the output is looked at.
const NUMBERS_PER_LOOK: usize = 1_000;

/// `* SEARCH` (RFC 3501 §7.2.5) or `* SORT` (RFC 5256 §4), written as it goes.
pub(super) async fn plain(s: &mut Session, uid: bool, found: &Found, modseq: Option<ModSeq>) -> Result<(), Failure> {
    let numbers = Numbers::new(&s.view()?.uids);
    s.out.extend_from_slice(if found.order.is_some() { b"* SORT" } else { b"* SEARCH" });
    let shown = |n: u32| if uid { n } else { numbers.of(n).unwrap_or(0) };
    if let Some(order) = &found.order {
        for some in order.chunks(NUMBERS_PER_LOOK) {
            for n in some {
                s.out.push(b' ');
                number(shown(*n).into(), &mut s.out);
            }
            s.spill_if_full().await?;
        }
    } else {
        for (first, last) in found.uids.ranges() {
            let shift = shown(first);
            for i in 0..=last - first {
                s.out.push(b' ');
                number((shift + i).into(), &mut s.out);
            }
            s.spill_if_full().await?;
        }
    }
    if let Some(modseq) = modseq {
        let _ = write!(s.out, " (MODSEQ {modseq})");
    }
    s.out.extend_from_slice(b"\r\n");
    Ok(())
}

/// `* ESEARCH` (RFC 4731 §3.1): MIN, MAX and ALL are left out when nothing was found.
pub(super) fn extended(
    s: &mut Session,
    correlator: &Correlator<'_>,
    (search, ret): (&Search, SearchReturn),
    found: &Found,
    modseq: Option<ModSeq>,
) {
    // Without a selected mailbox nothing is shown by number.
    let none = UidSet::new();
    let view = s.selected.as_deref().map_or(&none, |view| &view.uids);
    let shower = Shower { uid: search.uid, numbers: Numbers::new(view), view };
    let (min, max) = found.ends();
    correlator.write(s.utf8, &mut s.out);
    s.out.extend_from_slice(if search.uid { b" UID" } else { b"" });
    for (bit, name, value) in [(SearchReturn::MIN, "MIN", min), (SearchReturn::MAX, "MAX", max)] {
        if let Some(value) = value.filter(|_| ret.has(bit)) {
            let _ = write!(s.out, " {name} {}", shower.one(value));
        }
    }
    if ret.has(SearchReturn::COUNT) {
        let _ = write!(s.out, " COUNT {}", found.uids.len());
    }
    if ret.has(SearchReturn::ALL) && !found.uids.is_empty() {
        s.out.extend_from_slice(b" ALL ");
        match &found.order {
            Some(order) => shower.in_order(order, &mut s.out),
            None => shower.set(&found.uids, &mut s.out),
        }
    }
    if let Some(partial) = search.partial {
        let _ = write!(s.out, " PARTIAL ({partial} ");
        let from = s.out.len();
        match &found.order {
            Some(order) => {
                shower.in_order(order.get(partial.within(order.len())).unwrap_or_default(), &mut s.out);
            }
            None => shower.set(&part(search, found), &mut s.out),
        }
        // RFC 9394 §3.1: the range may lie outside of what was found.
        s.out.extend_from_slice(if s.out.len() == from { b"NIL)" } else { b")" });
    }
    if let Some(modseq) = modseq {
        let _ = write!(s.out, " MODSEQ {modseq}");
    }
    s.out.extend_from_slice(b"\r\n");
}

/// What ties an ESEARCH response to its command, and for ESEARCH to a mailbox and its UIDVALIDITY (RFC 4466 §2.6.2,
/// RFC 7377 §2.1).
pub(super) struct Correlator<'a> {
    pub tag: &'a str,
    pub mailbox: Option<(&'a str, u32)>,
}

impl Correlator<'_> {
    fn write(&self, utf8: bool, out: &mut Vec<u8>) {
        // A tag has no quotes inside.
        let _ = write!(out, "* ESEARCH (TAG \"{}\"", self.tag);
        if let Some((name, uid_validity)) = self.mailbox {
            out.extend_from_slice(b" MAILBOX ");
            mailbox(name, utf8, out);
            let _ = write!(out, " UIDVALIDITY {uid_validity}");
        }
        out.push(b')');
    }
}

/// Shows messages by UID or by number.
pub(super) struct Shower<'v> {
    pub uid: bool,
    pub numbers: Numbers,
    pub view: &'v UidSet,
}

impl Shower<'_> {
    pub fn one(&self, uid: u32) -> u32 {
        if self.uid { uid } else { self.numbers.of(uid).unwrap_or(0) }
    }

    pub fn set(&self, uids: &UidSet, out: &mut Vec<u8>) {
        let _ = if self.uid { write!(out, "{uids}") } else { write!(out, "{}", self.numbers.set(self.view, uids)) };
    }

    /// In order; ranges only where the order rises (RFC 5267 §3.2).
    pub fn in_order(&self, uids: &[u32], out: &mut Vec<u8>) {
        let mut rest = uids.iter().map(|n| self.one(*n)).peekable();
        let mut comma = false;
        while let Some(first) = rest.next() {
            let mut last = first;
            while rest.next_if(|n| Some(*n) == last.checked_add(1)).is_some() {
                last += 1;
            }
            let comma = if std::mem::replace(&mut comma, true) { "," } else { "" };
            let _ = if first == last { write!(out, "{comma}{first}") } else { write!(out, "{comma}{first}:{last}") };
        }
    }
}

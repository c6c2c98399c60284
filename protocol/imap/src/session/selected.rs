//! The view of the selected mailbox: what the client has been told, and how changes are told.

use super::numbers::{Numbers, from, with, without};
use super::{Mailbox, Session};
use crate::codec::flags::{write_flags, write_keyword};
use crate::codec::write::number;
use crate::commands::Context;
use crate::config::PAGE_MESSAGES;
use crate::errors::Failure;
use zcluster_api::mailbox::{StoredFlags, Want};
use zcluster_api::sharing::Rights;
use zcluster_api::{Error, Flags, FolderId, ModSeq, Uid, UidSet};
use zcluster_runtime::Instant;

/// Replies to one look at changes: each moves the position on, so that more mean a fault.
const CHANGES_MAX: usize = 10_000;

/// Keywords that PERMANENTFLAGS always shows (RFC 9051 §2.3.2), beside those that are bits.
pub const KEYWORDS: [&str; 3] = ["$Junk", "$NotJunk", "$Phishing"];

/// Whether EXPUNGE responses may be sent: not while FETCH, STORE or SEARCH is answered, as sequence numbers must hold
/// still for commands the client may have sent already (RFC 3501 §7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expunges {
    /// Tell them.
    Tell,
    /// Keep them for later.
    Hold,
}

/// Forms of responses that ENABLE chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    /// QRESYNC (RFC 7162): VANISHED in place of EXPUNGE.
    pub qresync: bool,
    /// UIDONLY (RFC 9586): no sequence numbers at all.
    pub uid_only: bool,
    /// IMAP4rev2 (RFC 9051): no RECENT, ESEARCH in place of SEARCH.
    pub rev2: bool,
}

impl Dialect {
    /// Whether VANISHED stands in place of EXPUNGE (RFC 7162 §3.2.10, RFC 9586 §3.4).
    pub fn vanished(self) -> bool {
        self.qresync || self.uid_only
    }
}

/// Runs of UIDs in one VANISHED response: lines stay below 8,192 bytes (RFC 7162 §4).
const VANISHED_RUNS: usize = 350;

/// Appends VANISHED responses; `earlier`: they went before the mailbox was selected (RFC 7162 §3.2.10).
pub fn write_vanished(uids: &UidSet, earlier: bool, out: &mut Vec<u8>) {
    for (i, (first, last)) in uids.ranges().enumerate() {
        if i % VANISHED_RUNS == 0 {
            out.extend_from_slice(if i > 0 { b"\r\n" } else { b"" });
            out.extend_from_slice(if earlier { b"* VANISHED (EARLIER) " } else { b"* VANISHED " });
        } else {
            out.push(b',');
        }
        number(first.into(), out);
        if last > first {
            out.push(b':');
            number(last.into(), out);
        }
    }
    if !uids.is_empty() {
        out.extend_from_slice(b"\r\n");
    }
}

/// The selected mailbox as the client knows it.
pub struct Selected {
    /// Whose mailbox the folder is in.
    pub mailbox: Mailbox,
    /// What the names of that mailbox's folders begin with; nothing for the user's own.
    pub prefix: String,
    pub folder: FolderId,
    /// EXAMINE.
    pub examined: bool,
    /// EXAMINE, or nothing may be changed.
    pub read_only: bool,
    /// What the user may do with it, as last looked at.
    pub rights: Rights,
    /// All UIDs the client knows of: the n-th is sequence number n.
    pub uids: UidSet,
    /// Those of them that are gone, untold.
    pub gone: UidSet,
    /// Position up to which changes have been looked at.
    pub modseq: ModSeq,
    /// The folder's HIGHESTMODSEQ when it was selected, or the highest told since.
    pub highest_modseq: ModSeq,
    /// UIDs from here on are `\Recent` to this session.
    pub recent_from: Uid,
    /// Something arrived since `\Recent` was claimed.
    pub arrived: bool,
    /// Keywords that FLAGS has told.
    pub keywords: Vec<String>,
    /// SEARCHRES's `$` (RFC 5182).
    pub saved: UidSet,
    /// Results that are kept up to date (RFC 5267).
    pub contexts: Vec<Context>,
    /// When changes were last looked for.
    pub looked_at: Instant,
    /// How the client is told.
    pub dialect: Dialect,
    /// The last UID of which NOTIFY's MessageNew has told what was asked (RFC 5465 §5.2).
    pub notified: u32,
    /// NOTIFY did not ask for flag changes (RFC 5465 §5.1).
    pub mute_flags: bool,
}

impl Selected {
    /// Whether a message is `\Recent`.
    pub fn is_recent(&self, uid: Uid) -> bool {
        !self.dialect.rev2 && uid >= self.recent_from
    }
    /// How many messages are `\Recent`.
    pub fn recent_count(&self) -> u64 {
        from(&self.uids, self.recent_from.0).len()
    }

    /// Appends `* FLAGS` (and PERMANENTFLAGS) when `keywords` has one that has not been told (RFC 3501 §7.2.6).
    pub fn learn(&mut self, keywords: &[String], out: &mut Vec<u8>) {
        if self.add_keywords(keywords) {
            self.write_flags(out);
        }
    }

    /// Adds keywords to those that FLAGS tells; says whether some are new.
    pub fn add_keywords(&mut self, keywords: &[String]) -> bool {
        let known = self.keywords.len();
        for keyword in keywords {
            if !self.keywords.iter().any(|k| k.eq_ignore_ascii_case(keyword)) {
                self.keywords.push(keyword.clone());
            }
        }
        self.keywords.len() > known
    }

    /// Appends `* FLAGS` and `* OK [PERMANENTFLAGS]` (RFC 3501 §7.2.6, §7.1; RFC 4314 §4: those that may be set). Keywords
    /// can be made at will: `\*`.
    pub fn write_flags(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"* FLAGS (");
        self.write_flags_of(Rights::ALL, out);
        out.extend_from_slice(b")\r\n* OK [PERMANENTFLAGS (");
        if !self.read_only {
            let begin = out.len();
            self.write_flags_of(self.rights, out);
            if self.rights.has(Rights::WRITE) {
                out.extend_from_slice(if out.len() > begin { b" \\*" } else { b"\\*" });
            }
        }
        out.extend_from_slice(b")] flags that can be set\r\n");
    }

    /// The flags and keywords that somebody with these rights may set.
    fn write_flags_of(&self, rights: Rights, out: &mut Vec<u8>) {
        let begin = out.len();
        let space = |out: &mut Vec<u8>| {
            if out.len() > begin {
                out.push(b' ');
            }
        };
        if rights.has(Rights::SEEN) {
            out.extend_from_slice(b"\\Seen");
        }
        for (name, bit) in Flags::NAMED {
            let right = if bit == Flags::DELETED { Rights::DELETE } else { Rights::WRITE };
            if rights.has(right) {
                space(out);
                out.extend_from_slice(name.as_bytes());
            }
        }
        for keyword in self.keywords.iter().filter(|_| rights.has(Rights::WRITE)) {
            space(out);
            write_keyword(keyword, out);
        }
    }

    /// Appends EXISTS and, before IMAP4rev2, RECENT (RFC 3501 §7.3).
    pub fn write_counts(&self, out: &mut Vec<u8>) {
        let counts = [(self.uids.len(), &b" EXISTS\r\n"[..]), (self.recent_count(), b" RECENT\r\n")];
        for (count, word) in counts.into_iter().take(if self.dialect.rev2 { 1 } else { 2 }) {
            out.extend_from_slice(b"* ");
            number(count, out);
            out.extend_from_slice(word);
        }
    }

    /// Appends a FETCH response with a message's flags (RFC 3501 §7.4.2, RFC 7162 §3.1).
    pub fn write_stored(&mut self, numbers: &Numbers, m: &StoredFlags, parts: Stored, out: &mut Vec<u8>) {
        let Some(n) = numbers.of(m.uid.0) else { return };
        self.highest_modseq = self.highest_modseq.max(m.modseq);
        if parts.flags {
            self.learn(&m.keywords, out);
        }
        out.extend_from_slice(b"* ");
        if self.dialect.uid_only {
            number(m.uid.0.into(), out);
            out.extend_from_slice(b" UIDFETCH (");
        } else {
            number(n.into(), out);
            out.extend_from_slice(b" FETCH (UID ");
            number(m.uid.0.into(), out);
            out.push(b' ');
        }
        if parts.modseq {
            out.extend_from_slice(b"MODSEQ (");
            number(m.modseq.0, out);
            out.extend_from_slice(if parts.flags { b") " } else { b")" });
        }
        if parts.flags {
            out.extend_from_slice(b"FLAGS ");
            write_flags(m.flags, &m.keywords, self.is_recent(m.uid), out);
        }
        out.extend_from_slice(b")\r\n");
    }

    /// Appends the EXPUNGE or VANISHED responses that are due, from the highest number down so that none shifts another (RFC 3501
    /// §7.4.1).
    pub fn tell_gone(&mut self, out: &mut Vec<u8>) {
        if self.gone.is_empty() {
            return;
        }
        for context in &mut self.contexts {
            context.remove(&self.uids, &self.gone, out);
        }
        let numbers = match self.dialect.vanished() {
            true => UidSet::new(),
            false => Numbers::new(&self.uids).set(&self.uids, &self.gone),
        };
        if self.dialect.vanished() {
            write_vanished(&self.gone, false, out);
        }
        for (first, last) in numbers.ranges().rev() {
            for n in (first..=last).rev() {
                out.extend_from_slice(b"* ");
                number(n.into(), out);
                out.extend_from_slice(b" EXPUNGE\r\n");
            }
        }
        self.uids = without(&self.uids, &self.gone);
        self.saved = without(&self.saved, &self.gone);
        self.gone = UidSet::new();
    }

    /// Takes note of messages that are gone.
    pub fn mark_gone(&mut self, uids: &UidSet) {
        self.gone = with(&self.gone, &self.uids.intersect(uids));
    }

    fn add(&mut self, added: &UidSet, out: &mut Vec<u8>) {
        let new = without(added, &self.uids);
        if new.is_empty() {
            return;
        }
        self.uids = with(&self.uids, &new);
        self.arrived = true;
        self.write_counts(out);
    }

    /// Moves the position on behind a command of our own, if nothing else happened since the last look. A command that
    /// `changed` something raises the mailbox's mod-sequence by one; any other leaves it.
    pub fn passed(&mut self, modseq: ModSeq, changed: bool) -> bool {
        // What keeps results up to date sees changes, its own session's too, only by looking.
        let alone =
            modseq.0 == self.modseq.0.saturating_add(u64::from(changed)) && (!changed || self.contexts.is_empty());
        if alone {
            self.modseq = modseq;
        }
        alone
    }
}

/// Which items a FETCH response about flags has beside the UID.
#[derive(Clone, Copy)]
pub struct Stored {
    pub flags: bool,
    pub modseq: bool,
}

impl Session {
    /// Looks for changes and tells them. `told`: messages whose present state the client has been told by the command
    /// under way.
    pub async fn sync(&mut self, expunges: Expunges, told: &[StoredFlags]) -> Result<(), Failure> {
        let condstore = self.condstore;
        let Some(mailbox) = self.selected.as_ref().map(|view| view.mailbox.clone()) else { return Ok(()) };
        let (mut touched, mut arrived) = (UidSet::new(), UidSet::new());
        for _ in 0..CHANGES_MAX {
            let Some(view) = self.selected.as_deref_mut() else { return Ok(()) };
            let changes = match mailbox.changes(view.folder, view.modseq).await {
                Err(Error::NotFound(_)) => None,
                // Nor is there anything to be seen any more where the right to read was taken away.
                Err(Error::Denied(_)) if mailbox.is_others() => None,
                other => Some(other?).filter(|c| !c.folder_gone),
            };
            view.looked_at = Instant::now();
            let Some(changes) = changes else {
                // The mailbox was deleted under us: it is empty from now on.
                view.gone = view.uids.clone();
                break;
            };
            if changes.resync {
                let before = view.uids.clone();
                self.resync(&mailbox, expunges).await?;
                let all = self.selected.as_ref().map(|v| v.uids.clone()).unwrap_or_default();
                let arrived = without(&all, &before);
                return Box::pin(self.update_contexts(&all, &arrived)).await;
            }
            if !view.contexts.is_empty() {
                touched = with(&touched, &changes.added);
                arrived = with(&arrived, &changes.added);
                changes.flags.iter().for_each(|m| touched.insert(m.uid.0));
            }
            view.mark_gone(&changes.expunged);
            if expunges == Expunges::Tell {
                view.tell_gone(&mut self.out);
            }
            view.add(&changes.added, &mut self.out);
            let numbers = Numbers::new(&view.uids);
            for m in &changes.flags {
                view.highest_modseq = view.highest_modseq.max(m.modseq);
                let known =
                    changes.added.contains(m.uid.0) || told.iter().any(|t| (t.uid, t.modseq) == (m.uid, m.modseq));
                if !known && !view.mute_flags {
                    view.write_stored(&numbers, m, Stored { flags: true, modseq: condstore }, &mut self.out);
                }
            }
            view.modseq = view.modseq.max(changes.modseq);
            self.spill_if_full().await?;
            if !changes.more {
                break;
            }
        }
        if let Some(view) = self.selected.as_deref_mut().filter(|_| expunges == Expunges::Tell) {
            view.tell_gone(&mut self.out);
        }
        if touched.is_empty() {
            return Ok(());
        }
        // Boxed: hardly any session has some.
        Box::pin(self.update_contexts(&touched, &arrived)).await
    }

    /// Compares the view with the whole folder: the change log does not reach back far enough.
    async fn resync(&mut self, mailbox: &Mailbox, expunges: Expunges) -> Result<(), Failure> {
        let condstore = self.condstore;
        let Some(view) = self.selected.as_deref_mut() else { return Ok(()) };
        let now = mailbox.uids(view.folder).await?;
        let since = view.modseq;
        let gone = without(&view.uids, &now.uids);
        view.mark_gone(&gone);
        if expunges == Expunges::Tell {
            view.tell_gone(&mut self.out);
        }
        let before = view.uids.clone();
        view.add(&now.uids, &mut self.out);
        let (folder, mut rest) = (view.folder, before.intersect(&now.uids));
        loop {
            let (page, next) =
                mailbox.messages(folder, rest.clone(), Want::default(), Some(since), PAGE_MESSAGES).await?;
            let Some(view) = self.selected.as_deref_mut() else { return Ok(()) };
            let numbers = Numbers::new(&view.uids);
            let muted = view.mute_flags;
            for m in page.into_iter().filter(|_| !muted) {
                let m = StoredFlags { uid: m.uid, modseq: m.modseq, flags: m.flags, keywords: m.keywords };
                view.write_stored(&numbers, &m, Stored { flags: true, modseq: condstore }, &mut self.out);
            }
            view.modseq = view.modseq.max(now.modseq);
            self.spill_if_full().await?;
            match next {
                Some(next) => rest = from(&rest, next.0),
                None => return Ok(()),
            }
        }
    }

    /// Leaves the selected mailbox. Messages that arrived while it was open have been `\Recent` to this session; they
    /// must not be so to the next (RFC 3501 §2.3.2).
    pub async fn deselect(&mut self) {
        let Some(view) = self.selected.take() else { return };
        if let (true, Ok(own), Some(notifier)) =
            (view.mailbox.is_others(), self.mailbox(), self.notifier.as_deref_mut())
        {
            notifier.follow(&own, None);
        }
        // Who speaks IMAP4rev2 has not been shown \Recent.
        if !view.arrived || view.read_only || view.dialect.rev2 || view.mailbox.is_others() {
            return;
        }
        if let Err(error) = view.mailbox.take_recent(view.folder).await {
            tracing::debug!(%error, "cannot claim recent messages");
        }
    }
}

/// The bits and `\Seen` of a client's flags as the mailbox keeps them.
pub fn stored_bits(list: &crate::codec::command::FlagList) -> Flags {
    if list.seen { list.flags } else { list.flags.with(Flags::UNREAD) }
}

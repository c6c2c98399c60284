//! What the filters decided, as one command.

use crate::arrival::{Arrival, prepare};
use crate::context::special_use;
use bytes::Bytes;
use zcluster_api::PreparedBody;
use zcluster_api::delivery::{
    CONTENTS_MAX, FILINGS_MAX, Filing, NewOutgoing, OUTGOING_MAX, OutgoingKind, Remember, SeenId, Target,
};
use zcluster_api::mailbox::{Parsed, folders};
use zcluster_api::{Flags, Result};
use zcluster_mail::Zone;
use zcluster_runtime::{random_bytes, wall_ms};
use zcluster_sieve::{self as sieve, Action, Envelope, Stamp};

/// Sets the ids of vacation replies apart from other uses of BLAKE3.
const VACATION_CONTEXT: &str = "zcluster vacation reply: handle, sender; v1";

/// Bytes to be filed or sent.
pub(crate) struct Piece {
    pub raw: Bytes,
    /// Set when it is filed.
    pub parsed: Option<Parsed>,
    pub body: PreparedBody,
}

/// A command being put together.
#[derive(Default)]
pub(crate) struct Plan {
    pub pieces: Vec<Piece>,
    pub filings: Vec<Filing>,
    pub outgoing: Vec<NewOutgoing>,
    pub remember: Vec<Remember>,
    /// The sender is told no, and nothing else happens.
    pub refuse: Option<String>,
}

/// For whom.
pub(crate) struct Owner<'a> {
    /// The account's primary address.
    pub name: &'a str,
    /// The recipient as the envelope had it.
    pub address: &'a str,
    /// Our host.
    pub hostname: &'a str,
    /// Where the account's clocks are.
    pub zone: Zone,
}

/// A message id (without brackets) and a boundary that nobody else uses.
pub(crate) struct Ids {
    id: String,
    boundary: String,
}

impl Ids {
    pub fn new(hostname: &str) -> Self {
        let hex = |bytes: [u8; 12]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        Ids { id: format!("{}@{hostname}", hex(random_bytes())), boundary: format!("=_{}", hex(random_bytes())) }
    }

    pub fn stamp<'a>(&'a self, hostname: &'a str) -> Stamp<'a> {
        self.stamp_in(hostname, Zone::default())
    }

    /// The same with the time as it is in a zone.
    pub fn stamp_in<'a>(&'a self, hostname: &'a str, zone: Zone) -> Stamp<'a> {
        let unix_ms = wall_ms() as i64;
        let minutes = zone.minutes_at(unix_ms);
        Stamp { message_id: &self.id, unix_ms, minutes, boundary: &self.boundary, server: hostname }
    }
}

/// IMAP flags as filters name them (RFC 5232), into bits and keywords. What is new and not said to be read is unread.
pub(crate) fn flags(names: &[String]) -> (Flags, Vec<String>) {
    let (mut bits, mut keywords) = (Flags::UNREAD, Vec::new());
    for name in names {
        if name.eq_ignore_ascii_case("\\Seen") {
            bits = bits.without(Flags::UNREAD);
        } else if let Some((_, bit)) = Flags::NAMED.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)) {
            bits = bits.with(*bit);
        } else if !name.starts_with('\\') {
            keywords.push(name.clone());
        }
    }
    (bits, keywords)
}

fn target(t: &sieve::Target) -> Target {
    let by_id = t.mailbox_id.as_deref().and_then(|id| id.strip_prefix('F')?.parse().ok());
    if let Some(id) = by_id {
        return Target::Folder(zcluster_api::FolderId(id));
    }
    let (path, create) = (t.mailbox.trim_matches('/').to_string(), t.create);
    match t.special_use.as_deref().and_then(special_use) {
        Some(special_use) => Target::Use { special_use, path, create },
        None => Target::Path { path, create },
    }
}

impl Plan {
    /// A plan about a message, which is the first piece.
    pub fn of(arrival: &Arrival) -> Self {
        let piece =
            Piece { raw: arrival.raw.clone(), parsed: Some(arrival.parsed.clone()), body: arrival.body.clone() };
        Plan { pieces: vec![piece], ..Plan::default() }
    }

    /// Into the Inbox, unread.
    pub fn keep(&mut self) {
        self.file(0, Target::Folder(folders::INBOX), &[]);
    }

    /// Spam that nobody filed elsewhere goes to Junk.
    pub fn junk(&mut self) {
        let inbox = |filing: &&mut Filing| filing.target == Target::Folder(folders::INBOX);
        self.filings.iter_mut().filter(inbox).for_each(|filing| filing.target = Target::Folder(folders::JUNK));
    }

    fn file(&mut self, content: u32, target: Target, names: &[String]) {
        if self.filings.len() < FILINGS_MAX {
            let (flags, keywords) = flags(names);
            self.filings.push(Filing { content, target, flags, keywords });
        }
    }

    /// The piece with these bytes; `None` when there are more of them than a command holds.
    async fn piece(&mut self, raw: Bytes) -> Result<Option<u32>> {
        if let Some(at) = self.pieces.iter().position(|p| p.raw == raw) {
            return Ok(Some(at as u32));
        }
        if self.pieces.len() >= CONTENTS_MAX {
            return Ok(None);
        }
        let (parsed, body) = prepare(raw.clone()).await?;
        self.pieces.push(Piece { raw, parsed: Some(parsed), body });
        Ok(Some(self.pieces.len() as u32 - 1))
    }

    /// The piece to file: the message itself where it was not edited, or where there is no room for one more form of
    /// it, which is better than none.
    async fn filed_piece(&mut self, raw: Option<Bytes>) -> Result<u32> {
        match raw {
            Some(raw) => Ok(self.piece(raw).await?.unwrap_or(0)),
            None => Ok(0),
        }
    }

    /// Sends bytes of our own making, or the message on its way. Where there is no room, nothing: above all not the
    /// message in the place of a reply to it.
    async fn send(&mut self, raw: Bytes, how: Outgoing) -> Result<()> {
        let Outgoing { kind, sender, recipients, once } = how;
        if self.outgoing.len() < OUTGOING_MAX
            && let Some(content) = self.piece(raw).await?
        {
            self.outgoing.push(NewOutgoing { content, kind, sender, recipients, once });
        }
        Ok(())
    }

    /// Sends the message on, marked so that it is known when it comes round again.
    pub async fn redirect(
        &mut self,
        arrival: &Arrival,
        owner: &Owner<'_>,
        raw: Option<Bytes>,
        recipients: Vec<String>,
    ) -> Result<()> {
        let raw = raw.unwrap_or_else(|| arrival.raw.clone());
        let how = Outgoing { kind: OutgoingKind::Redirect, sender: arrival.sender.clone(), recipients, once: None };
        self.send(on_its_way(&raw, owner.name), how).await
    }

    /// Takes over what a run decided.
    pub async fn take(&mut self, arrival: &Arrival, owner: &Owner<'_>, outcome: sieve::Outcome) -> Result<()> {
        for action in outcome.actions {
            self.act(arrival, owner, action).await?;
        }
        let remember = outcome.remember.iter();
        self.remember =
            remember.map(|r| Remember { id: SeenId(r.id), for_ms: r.seconds.saturating_mul(1000) }).collect();
        Ok(())
    }

    async fn act(&mut self, arrival: &Arrival, owner: &Owner<'_>, action: Action) -> Result<()> {
        match action {
            Action::Keep { flags, message, .. } => {
                let content = self.filed_piece(message).await?;
                self.file(content, Target::Folder(folders::INBOX), &flags);
            }
            Action::FileInto { target: to, flags, message, .. } => {
                let content = self.filed_piece(message).await?;
                self.file(content, target(&to), &flags);
            }
            Action::Redirect { address, message, .. } => {
                self.redirect(arrival, owner, message, vec![address]).await?;
            }
            Action::Discard => {}
            Action::Reject { reason, .. } => self.reject(arrival, owner, reason).await?,
            Action::Vacation(vacation) => self.vacation(owner, &vacation).await?,
            Action::Notify(notification) => self.notify(owner, &notification).await?,
        }
        Ok(())
    }

    async fn reject(&mut self, arrival: &Arrival, owner: &Owner<'_>, reason: String) -> Result<()> {
        if arrival.refusable {
            self.refuse = Some(reason);
            return Ok(());
        }
        if arrival.sender.is_empty() {
            // Nobody can be told; RFC 5429 §2.2.1 leaves it to us whether it is kept or dropped. Junk is what it is.
            return Ok(());
        }
        let ids = Ids::new(owner.hostname);
        let envelope = Envelope {
            from: arrival.sender.clone(),
            to: owner.address.to_string(),
            orig_to: None,
            auth: arrival.auth.clone(),
        };
        let raw = sieve::render_reject(&reason, &arrival.raw, &envelope, &ids.stamp(owner.hostname));
        self.send(raw.into(), Outgoing::automatic(OutgoingKind::Reject, vec![arrival.sender.clone()])).await
    }

    async fn vacation(&mut self, owner: &Owner<'_>, vacation: &sieve::Vacation) -> Result<()> {
        let ids = Ids::new(owner.hostname);
        let raw = Bytes::from(sieve::render_vacation(vacation, &ids.stamp_in(owner.hostname, owner.zone)));
        self.carbon_copy(&raw, vacation.fcc.as_ref()).await?;
        let for_ms = vacation.interval_seconds.saturating_mul(1000);
        let once = Some(Remember { id: vacation_id(vacation), for_ms });
        let how = Outgoing::automatic(OutgoingKind::Vacation, vec![vacation.to.clone()]);
        self.send(raw, Outgoing { once, ..how }).await
    }

    /// RFC 8580: a copy of what is sent, read.
    async fn carbon_copy(&mut self, raw: &Bytes, fcc: Option<&sieve::Fcc>) -> Result<()> {
        if let Some(fcc) = fcc
            && let Some(content) = self.piece(raw.clone()).await?
        {
            let mut names = fcc.flags.clone();
            names.push("\\Seen".into());
            self.file(content, target(&fcc.target), &names);
        }
        Ok(())
    }

    async fn notify(&mut self, owner: &Owner<'_>, notification: &sieve::Notification) -> Result<()> {
        let ids = Ids::new(owner.hostname);
        let raw = Bytes::from(sieve::render_notification(notification, &ids.stamp_in(owner.hostname, owner.zone)));
        self.carbon_copy(&raw, notification.fcc.as_ref()).await?;
        match notification.to.as_slice() {
            [] => Ok(()),
            to => self.send(raw, Outgoing::automatic(OutgoingKind::Notify, to.to_vec())).await,
        }
    }

    /// One more message for the Inbox, of our own making.
    pub async fn tell(&mut self, raw: Vec<u8>) -> Result<()> {
        if let Some(content) = self.piece(raw.into()).await? {
            self.file(content, Target::Folder(folders::INBOX), &[]);
        }
        Ok(())
    }

    /// Leaves out all that was to be sent and is of these kinds; a message that would be nowhere then is kept.
    pub fn send_none(&mut self, kinds: impl Fn(OutgoingKind) -> bool) {
        self.outgoing.retain(|o| !kinds(o.kind));
        if self.filings.is_empty() {
            self.keep();
        }
    }
}

/// How something is sent.
struct Outgoing {
    kind: OutgoingKind,
    sender: String,
    recipients: Vec<String>,
    once: Option<Remember>,
}

impl Outgoing {
    /// What machines write has the null sender, so that nothing answers it.
    fn automatic(kind: OutgoingKind, recipients: Vec<String>) -> Self {
        Outgoing { kind, sender: String::new(), recipients, once: None }
    }
}

/// What is remembered of a vacation reply: what it says, and to whom (RFC 5230 §4.2: each sender is answered once).
pub(crate) fn vacation_id(vacation: &sieve::Vacation) -> SeenId {
    let mut hasher = blake3::Hasher::new_derive_key(VACATION_CONTEXT);
    hasher.update(&vacation.handle);
    hasher.update(vacation.to.to_lowercase().as_bytes());
    SeenId(*hasher.finalize().as_bytes())
}

/// The message as it leaves for another host: without the Return-Path of our delivery (RFC 5321 §4.4), with the
/// address it was delivered to, by which it is known if it comes round again.
pub(crate) fn on_its_way(raw: &[u8], address: &str) -> Bytes {
    let mut out = format!("Delivered-To: {address}\r\n").into_bytes();
    let rest = match raw.get(..12) {
        Some(start) if start.eq_ignore_ascii_case(b"Return-Path:") => {
            raw.iter().position(|b| *b == b'\n').and_then(|end| raw.get(end + 1..)).unwrap_or_default()
        }
        _ => raw,
    };
    out.extend_from_slice(rest);
    out.into()
}

/// Whether the message was sent on from one of these addresses before.
pub(crate) fn went_round(raw: &[u8], addresses: &[String]) -> bool {
    zcluster_mail::fields(raw).any(|field| {
        field.is("Delivered-To") && {
            let value = String::from_utf8_lossy(field.value).trim().to_lowercase();
            addresses.iter().any(|a| a.to_lowercase() == value)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_bits_and_keywords() {
        let names = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(flags(&[]), (Flags::UNREAD, vec![]));
        let (bits, keywords) = flags(&names(&["\\seen", "\\Flagged", "$Label1", "\\Bogus"]));
        assert_eq!((bits, keywords), (Flags::FLAGGED, names(&["$Label1"])));
    }

    #[test]
    fn a_message_on_its_way_is_known_again() {
        let raw = b"Return-Path: <a@b>\r\nReceived: x\r\nSubject: s\r\n\r\nbody";
        let sent = on_its_way(raw, "bob@example.org");
        assert_eq!(&sent[..], b"Delivered-To: bob@example.org\r\nReceived: x\r\nSubject: s\r\n\r\nbody");
        assert!(went_round(&sent, &["Bob@Example.org".into()]));
        assert!(!went_round(&sent, &["eve@example.org".into()]));
        assert!(!went_round(raw, &["bob@example.org".into()]));
    }
}

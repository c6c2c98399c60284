//! Taking a message that is to leave: into the outbox of its owner's mailbox, or into the queue that belongs to nobody.

use crate::deliverer::Deliverer;
use bytes::Bytes;
use std::collections::BTreeMap;
use zcluster_api::delivery::{
    Content, OUTGOING_ADDRESS_BYTES_MAX, OUTGOING_MAX, OUTGOING_RECIPIENTS_MAX, OutgoingKind,
};
use zcluster_api::queue::{BodyKind, CLAIM_MS, Enqueue, RecipientTerms, Ret, Send, Terms, domain_of, queue_account};
use zcluster_api::{
    AccountId, DeliveryKey, DirectoryQuery, DirectoryReply, Error, Freshness, GroupId, MailboxCommand, Receipt, Result,
};

/// Sets the keys of submissions apart from other uses of BLAKE3.
const KEY_CONTEXT: &str = "zcluster submission: key; v1";
/// Sets the choice of a shard apart from other uses of BLAKE3.
const SHARD_CONTEXT: &str = "zcluster queue shard: key, group; v1";
/// Recipients of one submission.
pub const RECIPIENTS_MAX: usize = OUTGOING_MAX * OUTGOING_RECIPIENTS_MAX;

/// A message that is to leave, with all that its sender asked for.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Whose outbox it goes into; none: it belongs to no user (mail for the other half of a split domain, a journal
    /// copy, a bounce).
    pub owner: Option<AccountId>,
    /// Why it leaves: [`OutgoingKind::Submitted`] for a user's own message, [`OutgoingKind::Relayed`] without an owner.
    pub kind: OutgoingKind,
    /// Reverse-path; empty is the null one.
    pub sender: String,
    /// Forward-paths with what was asked about each, 1 to [`RECIPIENTS_MAX`]. Recipients of this cluster may be among
    /// them: they get it through the outbox, filtered like all mail.
    pub recipients: Vec<RecipientTerms>,
    /// `RET`.
    pub ret: Option<Ret>,
    /// `ENVID`, in xtext as it came.
    pub envid: Option<String>,
    /// Not to be sent before then, Unix milliseconds (FUTURERELEASE, RFC 4865), or [`zcluster_api::queue::HELD_MS`].
    pub hold_until_ms: Option<u64>,
    /// `SMTPUTF8`.
    pub smtputf8: bool,
    /// `REQUIRETLS`.
    pub require_tls: bool,
    /// `BODY`.
    pub body: BodyKind,
    /// The message as it is to leave, trace fields included, lines ended by CRLF.
    pub raw: Bytes,
    /// The intention's name: a second submission with the same one, within an hour, is taken and does nothing.
    pub key: [u8; 32],
}

impl Submission {
    /// A message of `owner`, or of nobody, that asks for nothing special.
    pub fn new(
        owner: Option<AccountId>,
        sender: impl Into<String>,
        recipients: impl IntoIterator<Item = String>,
        raw: Bytes,
        key: [u8; 32],
    ) -> Self {
        let kind = if owner.is_some() { OutgoingKind::Submitted } else { OutgoingKind::Relayed };
        let plain = |address| RecipientTerms { address, ..RecipientTerms::default() };
        Submission {
            owner,
            kind,
            sender: sender.into(),
            recipients: recipients.into_iter().map(plain).collect(),
            ret: None,
            envid: None,
            hold_until_ms: None,
            smtputf8: false,
            require_tls: false,
            body: BodyKind::default(),
            raw,
            key,
        }
    }
}

impl Deliverer {
    /// Queues a message. When this returns it is on the disks of a majority and will be tried until it is delivered or
    /// too old; its sender hears of what fails.
    ///
    /// # Errors
    /// `Invalid` (no or unfit recipients), `TooLarge` (too many; a full outbox), `NotFound` (the owner is gone),
    /// `Unavailable` (unknown outcome: submit again with the same key).
    pub async fn submit(&self, submission: Submission) -> Result<()> {
        check(&submission)?;
        let account = match submission.owner {
            Some(owner) => owner,
            None => queue_account(self.queue_shard(&submission.key).await?),
        };
        // A message of nobody's is somebody else's: it is not ours to sign.
        let raw = match submission.owner {
            Some(_) => self.signed(&submission.raw).await,
            None => submission.raw.clone(),
        };
        let (_, body) = crate::arrival::prepare(raw).await?;
        let call = self.caller(account);
        let body = self.mailboxes().put(call.with(body)).await?;
        let command = Enqueue {
            content: Content { body, parsed: None },
            sends: sends(&submission),
            delivery_key: DeliveryKey(blake3::derive_key(KEY_CONTEXT, &submission.key)),
            claim_ms: Some(CLAIM_MS),
        };
        match self.mailboxes().write(call.with(MailboxCommand::Enqueue(Box::new(command)))).await? {
            Receipt::Enqueued { duplicate } => {
                let result = if duplicate { "duplicate" } else { "queued" };
                metrics::counter!("zcluster_submissions_total", "result" => result).increment(1);
                Ok(())
            }
            other => Err(Error::Internal(format!("unexpected receipt {other:?}"))),
        }
    }

    /// The shard whose queue takes a message of nobody's: the same for the same key as long as the shards are the same,
    /// and nearly always when there are more of them (rendezvous hashing).
    async fn queue_shard(&self, key: &[u8; 32]) -> Result<GroupId> {
        let shards = match self.directory().read(DirectoryQuery::Shards, Freshness::Local).await? {
            DirectoryReply::Shards(shards) => shards,
            other => return Err(Error::Internal(format!("unexpected reply {other:?}"))),
        };
        let weight = |group: &GroupId| {
            let mut hasher = blake3::Hasher::new_derive_key(SHARD_CONTEXT);
            hasher.update(key);
            hasher.update(&group.0.to_le_bytes());
            *hasher.finalize().as_bytes()
        };
        let shard = shards.into_iter().map(|s| s.group).max_by_key(weight);
        shard.ok_or_else(|| Error::Unavailable("there is no shard yet".into()))
    }
}

fn check(submission: &Submission) -> Result<()> {
    if submission.recipients.is_empty() {
        return Err(Error::Invalid("no recipients".into()));
    }
    if submission.recipients.len() > RECIPIENTS_MAX {
        return Err(Error::TooLarge(format!("more than {RECIPIENTS_MAX} recipients")));
    }
    // A line break in an address would be a command of somebody else's.
    let unfit = |a: &str| a.len() > OUTGOING_ADDRESS_BYTES_MAX || a.chars().any(|c| c.is_control() || "<>".contains(c));
    let recipients = submission.recipients.iter();
    if unfit(&submission.sender) || recipients.clone().any(|r| r.address.is_empty() || unfit(&r.address)) {
        return Err(Error::Invalid("an address that cannot be said".into()));
    }
    let words = recipients.filter_map(|r| r.orcpt.as_deref()).chain(submission.envid.as_deref());
    if words.into_iter().any(|w| w.bytes().any(|b| !b.is_ascii_graphic())) {
        return Err(Error::Invalid("ENVID or ORCPT that is no xtext".into()));
    }
    Ok(())
}

/// A row for each destination; when there are too many of these, rows that several share.
fn sends(submission: &Submission) -> Vec<Send> {
    let mut by_domain: BTreeMap<String, Vec<&RecipientTerms>> = BTreeMap::new();
    for recipient in &submission.recipients {
        let row = by_domain.entry(domain_of(&recipient.address).to_lowercase()).or_default();
        if row.iter().all(|r| r.address != recipient.address) {
            row.push(recipient);
        }
    }
    let mut rows: Vec<Vec<&RecipientTerms>> =
        by_domain.values().flat_map(|row| row.chunks(OUTGOING_RECIPIENTS_MAX)).map(<[_]>::to_vec).collect();
    if rows.len() > OUTGOING_MAX {
        let all: Vec<&RecipientTerms> = rows.concat();
        rows = all.chunks(all.len().div_ceil(OUTGOING_MAX)).map(<[_]>::to_vec).collect();
    }
    rows.into_iter().map(|row| send(submission, &row)).collect()
}

fn send(submission: &Submission, row: &[&RecipientTerms]) -> Send {
    let asked = row.iter().filter(|r| r.orcpt.is_some() || r.notify.is_some());
    let terms = Terms {
        ret: submission.ret,
        envid: submission.envid.clone(),
        smtputf8: submission.smtputf8,
        require_tls: submission.require_tls,
        body: submission.body,
        recipients: asked.map(|r| (*r).clone()).collect(),
    };
    Send {
        kind: submission.kind,
        sender: submission.sender.clone(),
        recipients: row.iter().map(|r| r.address.clone()).collect(),
        terms: (terms != Terms::default()).then_some(terms),
        not_before_ms: submission.hold_until_ms.unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zcluster_api::queue::Notify;

    fn to(addresses: impl IntoIterator<Item = String>) -> Submission {
        Submission::new(None, "s@x", addresses, Bytes::from_static(b"a: b\r\n\r\n"), [1; 32])
    }

    #[test]
    fn each_destination_has_a_row_of_its_own() {
        let mut submission = to(["a@One".into(), "b@two".into(), "c@one".into(), "a@One".into()]);
        submission.recipients[1].notify = Some(Notify::NEVER);
        let rows = sends(&submission);
        let named: Vec<_> = rows.iter().map(|r| (r.recipients.join(" "), r.terms.is_some())).collect();
        assert_eq!(named, [("a@One c@one".to_string(), false), ("b@two".to_string(), true)]);
        assert_eq!(rows[1].terms.as_ref().unwrap().of("b@two").unwrap().notify, Some(Notify::NEVER));
    }

    #[test]
    fn many_destinations_share_rows() {
        let all: Vec<String> = (0..RECIPIENTS_MAX).map(|n| format!("u@d{n}")).collect();
        let rows = sends(&to(all.clone()));
        assert!(rows.len() <= OUTGOING_MAX && rows.iter().all(|r| r.recipients.len() <= OUTGOING_RECIPIENTS_MAX));
        let mut sent: Vec<String> = rows.into_iter().flat_map(|r| r.recipients).collect();
        sent.sort();
        let mut all = all;
        all.sort();
        assert_eq!(sent, all);
    }

    #[test]
    fn what_would_be_a_command_is_refused() {
        assert!(check(&to(["a@b\r\nDATA".to_string()])).is_err());
        assert!(check(&to([])).is_err());
        assert!(check(&Submission { envid: Some("a b".into()), ..to(["a@b".to_string()]) }).is_err());
        assert!(check(&to(["a@b".to_string()])).is_ok());
    }
}

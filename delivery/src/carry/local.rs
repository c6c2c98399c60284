//! Recipients whose mailboxes are in this cluster.

use super::Failure;
use crate::arrival::{Arrival, Identity};
use crate::deliverer::{Deliverer, Fate, Recipient};
use zcluster_api::directory::{Account, AccountBy, split_address};
use zcluster_api::{DirectoryQuery, DirectoryReply, Error, Freshness, Letter};
use zcluster_runtime::wall_ms;

/// Sets the names of letters apart from other uses of BLAKE3.
const NAME_CONTEXT: &str = "zcluster outgoing message: shard, number; v1";

/// Where a recipient is.
pub(super) enum Place {
    Account(Box<Account>),
    /// A domain of ours has no such account, or it takes no mail.
    Nobody(Failure),
    Elsewhere,
}

pub(super) async fn place(deliverer: &Deliverer, recipient: &str) -> Place {
    let directory = deliverer.directory();
    let Ok((local, domain)) = split_address(recipient) else {
        // Not an address that we could have given out.
        return Place::Elsewhere;
    };
    let query = DirectoryQuery::Account(AccountBy::Address(format!("{local}@{domain}")));
    match directory.read(query, Freshness::Local).await.and_then(DirectoryReply::into_account) {
        Ok(account) => match refusal(&account) {
            None => Place::Account(Box::new(account)),
            Some(failure) => Place::Nobody(failure),
        },
        Err(Error::NotFound(_) | Error::Invalid(_)) => {
            match directory.read(DirectoryQuery::Domain(domain), Freshness::Local).await {
                Ok(_) => Place::Nobody(Failure::permanent("5.1.1", "no such user here")),
                Err(Error::NotFound(_) | Error::Invalid(_)) => Place::Elsewhere,
                Err(e) => Place::Nobody(Failure::temporary("4.3.0", e.to_string())),
            }
        }
        Err(e) => Place::Nobody(Failure::temporary("4.3.0", e.to_string())),
    }
}

/// Statuses as LMTP's RCPT treats them.
fn refusal(account: &Account) -> Option<Failure> {
    if account.effective("zimbraMailStatus") == Some("disabled") {
        return Some(Failure::permanent("5.2.1", "mailbox is disabled"));
    }
    match account.status() {
        "active" | "locked" | "lockout" => None,
        "maintenance" => Some(Failure::temporary("4.2.1", "mailbox is under maintenance")),
        _ => Some(Failure::permanent("5.2.1", "mailbox is disabled")),
    }
}

/// The letter's own name: handed over twice, it arrives once.
fn name(letter: &Letter) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(NAME_CONTEXT);
    hasher.update(&letter.group.0.to_le_bytes());
    hasher.update(&letter.message.number.to_le_bytes());
    // A number is given out once in a shard; the time tells apart what a restored shard gives out again.
    hasher.update(&letter.message.queued_ms.to_le_bytes());
    *hasher.finalize().as_bytes()
}

pub(super) async fn hand_over(
    deliverer: &Deliverer,
    letter: &Letter,
    recipient: &str,
    account: Box<Account>,
) -> Result<(), Failure> {
    let id = format!("{}.{}", letter.group.0, letter.message.number);
    let now_ms = wall_ms() as i64;
    let mut raw = zcluster_mail::return_path(&letter.message.sender).into_bytes();
    let received = zcluster_mail::received(&zcluster_mail::Received {
        helo: "outbox",
        ip: "127.0.0.1",
        by: &deliverer.config().hostname,
        with: "LMTP",
        id: &id,
        recipient: Some(recipient),
        unix_ms: now_ms,
    });
    raw.extend_from_slice(received.as_bytes());
    raw.extend_from_slice(&letter.raw);
    let identity = Identity::Given(name(letter));
    let arrival = Arrival::new(id, letter.message.sender.clone(), raw.into(), now_ms, identity).await;
    let arrival = arrival.map_err(|e| failed(&e, &account))?;
    let arrival = Arrival { refusable: true, ..arrival };
    match Box::pin(deliverer.deliver(&arrival, Recipient { account: account.id, address: recipient })).await {
        Ok(Fate::Taken { .. }) => Ok(()),
        Ok(Fate::Refused(reason)) => Err(Failure::permanent("5.7.1", reason)),
        Err(error) => Err(failed(&error, &account)),
    }
}

fn failed(error: &Error, account: &Account) -> Failure {
    let full_for_good = account.effective("zimbraLmtpPermanentFailureWhenOverQuota") == Some("TRUE");
    match error {
        Error::NotFound(_) => Failure::permanent("5.1.1", "no such user here"),
        Error::Denied(_) => Failure::permanent("5.7.1", "delivery not authorized"),
        Error::QuotaExceeded if full_for_good => Failure::permanent("5.2.2", "mailbox is full"),
        Error::QuotaExceeded => Failure::temporary("4.2.2", "mailbox is full"),
        Error::TooLarge(_) => Failure::permanent("5.3.4", "message too large for this mailbox"),
        Error::Exists(_)
        | Error::Conflict(_)
        | Error::Invalid(_)
        | Error::Unavailable(_)
        | Error::Internal(_)
        | Error::WrongHome { .. } => Failure::temporary("4.3.0", error.to_string()),
    }
}

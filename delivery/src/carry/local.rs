//! Recipients whose mailboxes are in this cluster.

use super::Failure;
use super::site::Site;
use super::transport::{self, Transport};
use crate::arrival::{Arrival, Identity};
use crate::deliverer::{Deliverer, Fate, Recipient};
use zcluster_api::directory::{Account, AccountBy, Domain, Kinds, Object, ObjectBy, split_address};
use zcluster_api::queue::domain_of;
use zcluster_api::{DirectoryQuery, DirectoryReply, Error, Freshness, Letter, Result};
use zcluster_runtime::wall_ms;

/// Sets the names of letters apart from other uses of BLAKE3.
const NAME_CONTEXT: &str = "zcluster outgoing message: shard, number; v1";

/// Where a recipient is.
pub(super) enum Place {
    Account(Box<Account>),
    /// A list or group.
    List(Box<Object>),
    /// A domain of ours has no such account, or it takes no mail.
    Nobody(Failure),
    /// Another host has it: by the way that the account or the domain names, or whichever there is.
    Elsewhere(Option<Transport>),
}

pub(super) async fn place(deliverer: &Deliverer, site: &Site, recipient: &str) -> Place {
    find(deliverer, site, recipient).await.unwrap_or_else(|e| Place::Nobody(Failure::near("4.3.0", e.to_string())))
}

async fn find(deliverer: &Deliverer, site: &Site, recipient: &str) -> Result<Place> {
    let Ok((local, domain)) = split_address(recipient) else {
        // Not an address that we could have given out; of a domain of ours, the other half may have.
        return match read(deliverer, DirectoryQuery::Domain(domain_of(recipient).to_lowercase()), Freshness::Local)
            .await?
        {
            Some(DirectoryReply::Domain(domain)) => of_domain(deliverer, &domain).await,
            _ => Ok(Place::Elsewhere(None)),
        };
    };
    // The first "no such" is confirmed by the directory's leader; what is asked behind it is answered here.
    let mut fresh = Freshness::Local;
    let bare = site.without_tag(&local).map(|bare| format!("{bare}@{domain}"));
    for name in [Some(format!("{local}@{domain}")), bare].into_iter().flatten() {
        if let Some(DirectoryReply::Account(account)) =
            read(deliverer, DirectoryQuery::Account(AccountBy::Address(name.clone())), fresh).await?
        {
            return of_account(deliverer, account).await;
        }
        fresh = Freshness::AsIs;
        if let Some(DirectoryReply::Object(list)) =
            read(deliverer, DirectoryQuery::Object(ObjectBy::Address(name)), fresh).await?
            && Kinds::GROUPS.has(list.kind)
        {
            return Ok(Place::List(list));
        }
    }
    match read(deliverer, DirectoryQuery::Domain(domain), Freshness::Local).await? {
        Some(DirectoryReply::Domain(domain)) => of_domain(deliverer, &domain).await,
        _ => Ok(Place::Elsewhere(None)),
    }
}

async fn of_account(deliverer: &Deliverer, account: Box<Account>) -> Result<Place> {
    let way =
        transport::elsewhere(deliverer.directory().as_ref(), &deliverer.config().hostname, &account.attrs).await?;
    Ok(match (way, refusal(&account)) {
        (Some(way), _) => Place::Elsewhere(Some(way)),
        (None, Some(failure)) => Place::Nobody(failure),
        (None, None) if deliverer.domain_is_full(&account, false) => {
            Place::Nobody(Failure::temporary("4.2.2", "the domain is over its quota"))
        }
        (None, None) => Place::Account(account),
    })
}

/// Where those of a domain of ours are whom the directory does not know.
async fn of_domain(deliverer: &Deliverer, domain: &Domain) -> Result<Place> {
    let way = transport::elsewhere(deliverer.directory().as_ref(), &deliverer.config().hostname, &domain.attrs).await?;
    if let Some(way) = way {
        return Ok(Place::Elsewhere(Some(way)));
    }
    match read(deliverer, DirectoryQuery::Account(AccountBy::CatchAll(domain.name.clone())), Freshness::AsIs).await? {
        Some(DirectoryReply::Account(account)) => of_account(deliverer, account).await,
        _ => Ok(Place::Nobody(Failure::permanent("5.1.1", "no such user here"))),
    }
}

/// An answer; what does not exist, or cannot, is `None`.
async fn read(deliverer: &Deliverer, query: DirectoryQuery, fresh: Freshness) -> Result<Option<DirectoryReply>> {
    match deliverer.directory().read(query, fresh).await {
        Ok(reply) => Ok(Some(reply)),
        Err(Error::NotFound(_) | Error::Invalid(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a domain is one of this cluster.
pub(super) async fn is_ours(deliverer: &Deliverer, domain: &str) -> bool {
    let query = DirectoryQuery::Domain(domain.to_lowercase());
    deliverer.directory().read(query, Freshness::Local).await.is_ok()
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
pub(super) fn name(letter: &Letter) -> [u8; 32] {
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
) -> std::result::Result<(), Failure> {
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
        | Error::WrongHome { .. } => Failure::near("4.3.0", error.to_string()),
    }
}

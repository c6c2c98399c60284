//! Recipients whose mailboxes are in this cluster.

use super::Failure;
use super::transport::{NextHop, Speech, Transport};
use crate::arrival::{Arrival, Identity};
use crate::deliverer::{Deliverer, Fate, Recipient};
use zcluster_api::directory::{Account, AccountBy, Kinds, Object, ObjectBy, split_address};
use zcluster_api::{DirectoryQuery, DirectoryReply, Error, Freshness, Letter};
use zcluster_runtime::wall_ms;

/// Sets the names of letters apart from other uses of BLAKE3.
const NAME_CONTEXT: &str = "zcluster outgoing message: shard, number; v1";

/// The attribute of accounts and domains that names a way.
const TRANSPORT: &str = "zimbraMailTransport";

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

pub(super) async fn place(deliverer: &Deliverer, recipient: &str) -> Place {
    let directory = deliverer.directory();
    let Ok((local, domain)) = split_address(recipient) else {
        // Not an address that we could have given out.
        return Place::Elsewhere(None);
    };
    let query = DirectoryQuery::Account(AccountBy::Address(format!("{local}@{domain}")));
    match directory.read(query, Freshness::Local).await.and_then(DirectoryReply::into_account) {
        Ok(account) => match (refusal(&account), account_way(deliverer, &account).await) {
            (Some(failure), _) => Place::Nobody(failure),
            (None, Some(way)) => Place::Elsewhere(Some(way)),
            (None, None) => Place::Account(Box::new(account)),
        },
        Err(Error::NotFound(_) | Error::Invalid(_)) => {
            let list = DirectoryQuery::Object(ObjectBy::Address(format!("{local}@{domain}")));
            match directory.read(list, Freshness::Local).await.and_then(DirectoryReply::into_object) {
                Ok(list) if Kinds::GROUPS.has(list.kind) => return Place::List(Box::new(list)),
                Ok(_) | Err(Error::NotFound(_) | Error::Invalid(_)) => {}
                Err(e) => return Place::Nobody(Failure::near("4.3.0", e.to_string())),
            }
            match directory.read(DirectoryQuery::Domain(domain), Freshness::Local).await {
                Ok(DirectoryReply::Domain(domain)) => match way(deliverer, domain.attrs.get(TRANSPORT)).await {
                    Some(way) => Place::Elsewhere(Some(way)),
                    None => Place::Nobody(Failure::permanent("5.1.1", "no such user here")),
                },
                Ok(other) => Place::Nobody(Failure::near("4.3.0", format!("unexpected reply {other:?}"))),
                Err(Error::NotFound(_) | Error::Invalid(_)) => Place::Elsewhere(None),
                Err(e) => Place::Nobody(Failure::near("4.3.0", e.to_string())),
            }
        }
        Err(e) => Place::Nobody(Failure::near("4.3.0", e.to_string())),
    }
}

/// Whether a domain is one of this cluster.
pub(super) async fn is_ours(deliverer: &Deliverer, domain: &str) -> bool {
    let query = DirectoryQuery::Domain(domain.to_lowercase());
    deliverer.directory().read(query, Freshness::Local).await.is_ok()
}

/// The account's own `zimbraMailTransport`, unless that is this cluster: during a migration some mailboxes are still
/// elsewhere.
pub(super) async fn account_way(deliverer: &Deliverer, account: &Account) -> Option<Transport> {
    way(deliverer, account.attrs.get(TRANSPORT)).await
}

/// What a `zimbraMailTransport` says. Zimbra gives every account one, `lmtp:` and the name of its mailbox server: where
/// that is a node of ours, the mailbox is here.
async fn way(deliverer: &Deliverer, value: Option<&str>) -> Option<Transport> {
    let way = Transport::parse(value?)?;
    let Transport::Via(Speech::Lmtp, Some(NextHop { host, .. })) = &way else { return Some(way) };
    if host.eq_ignore_ascii_case(&deliverer.config().hostname) {
        return None;
    }
    match deliverer.directory().read(DirectoryQuery::Nodes, Freshness::Local).await {
        Ok(DirectoryReply::Nodes(nodes)) if nodes.iter().any(|n| n.advertise.eq_ignore_ascii_case(host)) => None,
        _ => Some(way),
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
        | Error::WrongHome { .. } => Failure::near("4.3.0", error.to_string()),
    }
}

//! Putting one message into its mailboxes.

use crate::errors;
use crate::service::Smtp;
use crate::session::Transaction;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use tracing::Instrument;
use zcluster_api::mailbox::{NewMessage, Parsed, folders};
use zcluster_api::{
    AccountId, Actor, Call, DeliveryKey, Error, Flags, MailboxCommand, PreparedBody, Receipt, RequestId, Result,
};
use zcluster_runtime::{random_bytes, spawn_blocking, wall_ms};

/// Mailboxes written to at once for one message.
const CONCURRENT_MAX: usize = 16;
/// Messages above this are parsed, hashed and compressed away from the event loop.
const INLINE_WORK_BYTES_MAX: usize = 64 * 1024;
/// Sets our delivery keys apart from other uses of BLAKE3.
const KEY_CONTEXT: &str = "zcluster delivery key: received bytes, reverse-path, account; v1";

/// A message that was received and checked.
pub struct Mail {
    /// All of it, trace fields included.
    pub bytes: Vec<u8>,
    /// The hash of the bytes as received, when a repetition shall be recognised by them.
    pub content: Option<blake3::Hash>,
}

/// Delivers to each recipient's mailbox, each mailbox once; the results are in the order of the recipients.
pub async fn deliver(smtp: &Smtp, transaction: &Transaction, mail: Mail) -> Vec<Result<()>> {
    let Mail { bytes, content } = mail;
    let (parsed, body) = match prepare(bytes).await {
        Ok(prepared) => prepared,
        Err(error) => return vec![Err(error); transaction.recipients.len()],
    };
    let internal_ms = wall_ms() as i64;
    let mut accounts: Vec<AccountId> = Vec::with_capacity(transaction.recipients.len());
    accounts.extend(transaction.recipients.iter().map(|r| r.account));
    accounts.sort_unstable();
    accounts.dedup();
    let one = |account: AccountId| {
        let item = Item {
            account,
            parsed: parsed.clone(),
            body: body.clone(),
            internal_ms,
            key: delivery_key(content.as_ref(), &transaction.sender, account),
        };
        let span = tracing::info_span!("deliver", message = %transaction.id, %account);
        add(smtp, item).instrument(span)
    };
    let results: Vec<Result<()>> = match accounts.as_slice() {
        [only] => vec![one(*only).await],
        _ => stream::iter(accounts.iter().copied().map(one)).buffered(CONCURRENT_MAX).collect().await,
    };
    let result_of = |account: AccountId| match accounts.binary_search(&account).ok().and_then(|i| results.get(i)) {
        Some(result) => result.clone(),
        None => Err(Error::Internal("delivery without a result".into())),
    };
    transaction.recipients.iter().map(|r| result_of(r.account)).collect()
}

/// Parses, hashes and compresses, once for all recipients.
async fn prepare(bytes: Vec<u8>) -> Result<(Parsed, PreparedBody)> {
    fn work(bytes: Vec<u8>) -> (Parsed, PreparedBody) {
        let raw = Bytes::from(bytes);
        (zcluster_mail::parsed(&raw), zcluster_mail::prepare(&raw))
    }
    if bytes.len() <= INLINE_WORK_BYTES_MAX {
        return Ok(work(bytes));
    }
    spawn_blocking(move || work(bytes)).await.map_err(|e| Error::Internal(e.to_string()))
}

/// What makes two deliveries the same one: a client that lost our 250 sends the same bytes from the same sender again.
/// Without a `content` hash every delivery is its own.
fn delivery_key(content: Option<&blake3::Hash>, sender: &str, account: AccountId) -> DeliveryKey {
    let Some(content) = content else { return DeliveryKey(random_bytes()) };
    let mut hasher = blake3::Hasher::new_derive_key(KEY_CONTEXT);
    hasher.update(content.as_bytes());
    hasher.update(&account.0);
    // Last, so that its length needs no mark.
    hasher.update(sender.as_bytes());
    DeliveryKey(*hasher.finalize().as_bytes())
}

/// One mailbox's part.
struct Item {
    account: AccountId,
    parsed: Parsed,
    body: PreparedBody,
    internal_ms: i64,
    key: DeliveryKey,
}

async fn add(smtp: &Smtp, item: Item) -> Result<()> {
    let Item { account, parsed, body, internal_ms, key } = item;
    let call = Caller { account, smtp };
    let mailboxes = &smtp.backend.mailboxes;
    let result = async {
        let body = mailboxes.put(call.with(body)).await?;
        let message = NewMessage {
            folder: folders::INBOX,
            flags: Flags::UNREAD,
            keywords: Vec::new(),
            internal_ms,
            parsed,
            body,
            delivery_key: Some(key),
        };
        mailboxes.write(call.with(MailboxCommand::AddMessage(message))).await
    }
    .await;
    match result {
        Ok(Receipt::Added { duplicate, .. }) => {
            if duplicate {
                tracing::info!("message was delivered before: not added again");
            }
            Ok(())
        }
        Ok(other) => {
            tracing::error!(receipt = ?other, "delivery was answered with another command's receipt");
            Err(Error::Internal("unexpected receipt".into()))
        }
        Err(error) => {
            if errors::is_our_fault(&error) {
                tracing::error!(%error, "delivery failed");
            } else {
                tracing::info!(%error, "delivery failed");
            }
            Err(error)
        }
    }
}

/// Makes the calls of one delivery.
struct Caller<'a> {
    account: AccountId,
    smtp: &'a Smtp,
}

impl Caller<'_> {
    fn with<T>(&self, body: T) -> Call<T> {
        Call {
            actor: Actor::Delivery,
            account: self.account,
            request: RequestId(random_bytes()),
            timeout: self.smtp.config.delivery_timeout,
            body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_messages_senders_and_accounts_apart() {
        let (a, b) = (AccountId([1; 16]), AccountId([2; 16]));
        let (one, two) = (blake3::hash(b"one"), blake3::hash(b"two"));
        let key = delivery_key(Some(&one), "s@x", a);
        assert_eq!(key, delivery_key(Some(&one), "s@x", a));
        assert_ne!(key, delivery_key(Some(&two), "s@x", a));
        assert_ne!(key, delivery_key(Some(&one), "t@x", a));
        assert_ne!(key, delivery_key(Some(&one), "s@x", b));
        assert_ne!(delivery_key(None, "s@x", a), delivery_key(None, "s@x", a));
    }
}

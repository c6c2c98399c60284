//! A message on its way into mailboxes.

use bytes::Bytes;
use zcluster_api::mailbox::Parsed;
use zcluster_api::{AccountId, DeliveryKey, Error, PreparedBody, Result};
use zcluster_runtime::{random_bytes, spawn_blocking};

/// Messages above this are parsed, hashed and compressed away from the event loop.
const INLINE_WORK_BYTES_MAX: usize = 64 * 1024;
/// Sets our delivery keys apart from other uses of BLAKE3.
const KEY_CONTEXT: &str = "zcluster delivery key: received bytes, reverse-path, account; v1";

/// How a repetition of the message is recognised.
#[derive(Clone, Debug)]
pub enum Identity {
    /// The same bytes from the same sender.
    Content(blake3::Hash),
    /// A name of its own, given by whoever hands it over and repeats it.
    Given([u8; 32]),
    /// Not at all.
    None,
}

/// Who brought it.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// The name it gave.
    pub helo: String,
    /// Its address.
    pub ip: String,
}

/// A message that was received and checked, with its envelope: parsed, hashed and compressed once for all recipients.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Names it in logs and in ids of messages made because of it.
    pub id: String,
    /// The reverse-path; empty for `<>`.
    pub sender: String,
    /// All of it, trace fields included.
    pub raw: Bytes,
    /// What parsing found.
    pub parsed: Parsed,
    /// The bytes as they are stored.
    pub body: PreparedBody,
    /// INTERNALDATE, Unix milliseconds.
    pub internal_ms: i64,
    /// How a repetition is recognised.
    pub identity: Identity,
    /// Who brought it.
    pub peer: Peer,
    /// The account that submitted it.
    pub auth: Option<String>,
    /// The sender waits for an answer about this recipient alone, so that a refusal can be one (RFC 5429 §2.1.1).
    pub refusable: bool,
}

/// Parses, hashes and compresses.
///
/// # Errors
/// `Internal` when the work was interrupted.
pub(crate) async fn prepare(raw: Bytes) -> Result<(Parsed, PreparedBody)> {
    let work = |raw: &Bytes| (zcluster_mail::parsed(raw), zcluster_mail::prepare(raw));
    if raw.len() <= INLINE_WORK_BYTES_MAX {
        return Ok(work(&raw));
    }
    spawn_blocking(move || work(&raw)).await.map_err(|e| Error::Internal(e.to_string()))
}

impl Arrival {
    /// A message that came in from `sender`.
    ///
    /// # Errors
    /// `Internal` when the work was interrupted.
    pub async fn new(id: String, sender: String, raw: Bytes, internal_ms: i64, identity: Identity) -> Result<Self> {
        let (parsed, body) = prepare(raw.clone()).await?;
        let (peer, auth, refusable) = (Peer::default(), None, false);
        Ok(Arrival { id, sender, raw, parsed, body, internal_ms, identity, peer, auth, refusable })
    }

    /// What makes two deliveries to an account the same one: a client that lost our 250 sends the same bytes from the
    /// same sender again.
    pub(crate) fn key(&self, account: AccountId) -> DeliveryKey {
        let content = match &self.identity {
            Identity::Content(hash) => *hash.as_bytes(),
            Identity::Given(name) => *name,
            Identity::None => return DeliveryKey(random_bytes()),
        };
        let mut hasher = blake3::Hasher::new_derive_key(KEY_CONTEXT);
        hasher.update(&content);
        hasher.update(&account.0);
        // Last, so that its length needs no mark.
        hasher.update(self.sender.as_bytes());
        DeliveryKey(*hasher.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn arrival(sender: &str, identity: Identity) -> Arrival {
        let raw = Bytes::from_static(b"a: b\r\n\r\n");
        Arrival::new("x".into(), sender.into(), raw, 0, identity).await.unwrap()
    }

    #[tokio::test]
    async fn keys_tell_messages_senders_and_accounts_apart() {
        let (a, b) = (AccountId([1; 16]), AccountId([2; 16]));
        let hash = |text: &str| Identity::Content(blake3::hash(text.as_bytes()));
        let key = arrival("s@x", hash("one")).await.key(a);
        assert_eq!(key, arrival("s@x", hash("one")).await.key(a));
        assert_ne!(key, arrival("s@x", hash("two")).await.key(a));
        assert_ne!(key, arrival("t@x", hash("one")).await.key(a));
        assert_ne!(key, arrival("s@x", hash("one")).await.key(b));
        let each = arrival("s@x", Identity::None).await;
        assert_ne!(each.key(a), each.key(a));
    }
}

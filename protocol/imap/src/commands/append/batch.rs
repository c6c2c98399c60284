//! Messages made ready to be added: hashed, compressed, parsed, the large ones uploaded.

use super::internal_ms;
use crate::codec::parse_append::Options;
use crate::config::{APPEND_UPLOADS_MAX, PARSE_INLINE_MAX};
use crate::errors::Failure;
use crate::session::Mailbox;
use crate::session::selected::stored_bits;
use zcluster_api::mailbox::{ADD_BYTES_MAX, ADD_MESSAGES_MAX, Folder, NewMessage, Parsed};
use zcluster_api::{Body, Bytes, Error, PreparedBody, RequestId};

/// Messages of one command.
#[derive(Default)]
pub struct Batch {
    messages: Vec<NewMessage>,
    uploads: Vec<RequestId>,
    /// Where they were uploaded to.
    mailbox: Option<Mailbox>,
    carried: usize,
}

impl Batch {
    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
    /// Bytes that the messages weigh.
    pub fn carried(&self) -> usize {
        self.carried
    }
    /// All messages.
    pub fn take(&mut self) -> Vec<NewMessage> {
        std::mem::take(&mut self.messages)
    }
    /// The message, if it is the only one.
    pub fn take_single(&mut self) -> Option<NewMessage> {
        if self.messages.len() == 1 { self.messages.pop() } else { None }
    }

    /// Makes a message ready.
    pub async fn add(
        &mut self,
        mailbox: &Mailbox,
        folder: &Folder,
        options: Options,
        raw: Bytes,
        binary: bool,
    ) -> Result<(), Failure> {
        if self.messages.len() >= ADD_MESSAGES_MAX {
            return Err(Failure::no("[LIMIT] too many messages in one command"));
        }
        let (prepared, parsed) = digest(raw, binary).await?;
        if prepared.inline().is_none() && self.uploads.len() >= APPEND_UPLOADS_MAX {
            return Err(Failure::no("[LIMIT] too many large messages in one command"));
        }
        let body = mailbox.put(prepared).await?;
        if let Body::Uploaded { upload, .. } = &body {
            self.uploads.push(*upload);
            self.mailbox = Some(mailbox.clone());
        }
        let (flags, internal_ms) = (stored_bits(&options.flags), internal_ms(&options));
        let keywords = options.flags.keywords;
        let message = NewMessage { folder: folder.id, flags, keywords, internal_ms, parsed, body, delivery_key: None };
        self.carried += message.carried();
        if self.carried > ADD_BYTES_MAX {
            return Err(Failure::no("[LIMIT] too many messages in one command"));
        }
        self.messages.push(message);
        Ok(())
    }

    /// Gives up what has been uploaded for messages that were not added. The client does not wait for it: a mailbox that
    /// cannot be reached now was perhaps why they were not.
    pub fn drop_uploads(&mut self) {
        let (uploads, Some(mailbox)) = (std::mem::take(&mut self.uploads), self.mailbox.take()) else { return };
        zcluster_runtime::spawn(async move {
            for upload in uploads {
                if let Err(error) = mailbox.drop_upload(upload).await {
                    tracing::debug!(%error, "cannot give up an upload; it goes by itself after a while");
                    return;
                }
            }
        });
    }
}

/// Hashes, compresses and parses, away from the event loop when it takes long. What a literal8 brought with NUL bytes in
/// it is kept in an encoding that every client can read (RFC 3516 §4.4 and RFC 2045 §6.2).
async fn digest(raw: Bytes, binary: bool) -> Result<(PreparedBody, Parsed), Failure> {
    let large = raw.len() > PARSE_INLINE_MAX;
    let work = move || {
        let raw = if binary && raw.contains(&0) { zcluster_mail::without_nul(&raw)?.into() } else { raw };
        // Parts of other messages may bring it.
        if raw.contains(&0) {
            return None;
        }
        Some((zcluster_mail::prepare(&raw), zcluster_mail::parsed(&raw)))
    };
    let done = if large {
        let done = zcluster_runtime::spawn_blocking(work).await;
        done.map_err(|e| Error::Internal(format!("parsing a message: {e}")))?
    } else {
        work()
    };
    done.ok_or_else(|| Failure::no("[UNKNOWN-CTE] NUL bytes can be kept in parts with the encoding BINARY only"))
}

//! Hits with what a list of messages shows.

use super::{Finder, SortValue, is_about_text};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zcluster_api::directory::Account;
use zcluster_api::find::Hit;
use zcluster_api::mailbox::{Message, Want};
use zcluster_api::{
    Actor, BlobRef, Call, Error, Flags, FolderId, MailboxQuery, MailboxReply, RequestId, Result, SearchExpr, UidSet,
};
use zcluster_mail::Summary;
use zcluster_runtime::random_bytes;

/// Larger bodies are not read for a fragment.
const BODY_BYTES_MAX: u64 = 8 << 20;

/// A hit as shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// The message's item id.
    pub id: u32,
    /// Its conversation.
    pub conversation: u32,
    /// Messages of it in the mailbox, when conversations were asked for.
    pub messages: u32,
    /// Path of its folder.
    pub folder: String,
    /// Its UID there.
    pub uid: u32,
    /// What it was sorted by.
    pub sort_field: SortValue,
    /// Zimbra's letters: u unread, f flagged, a attachment, r replied, w forwarded, s sent, d draft, x deleted.
    pub flags: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Bytes.
    pub size: u64,
    /// When it arrived, Unix milliseconds.
    pub date: i64,
    /// Who it is from.
    pub from: String,
    /// Subject, decoded.
    pub subject: String,
    /// Its first words.
    pub preview: String,
    /// Where what was looked for stands, when fragments were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fragment: Option<ShownFragment>,
}

/// A hit as shown, with where its body is.
pub struct WithBody {
    /// As shown.
    pub shown: Shown,
    /// Its body, if it was asked for.
    pub blob: Option<BlobRef>,
}

/// A piece of text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownFragment {
    /// The text.
    pub text: String,
    /// Byte ranges in it that were found.
    pub found: Vec<(u32, u32)>,
}

/// Zimbra's letters (data model).
const LETTERS: [(Flags, char); 8] = [
    (Flags::UNREAD, 'u'),
    (Flags::FLAGGED, 'f'),
    (Flags::ATTACHED, 'a'),
    (Flags::ANSWERED, 'r'),
    (Flags::FORWARDED, 'w'),
    (Flags::SENT, 's'),
    (Flags::DRAFT, 'd'),
    (Flags::DELETED, 'x'),
];

impl Finder {
    /// Reads what is shown. Hits that are gone by now are left out.
    pub(super) async fn show(
        &self,
        actor: Actor,
        account: &Account,
        hits: Vec<Hit>,
        conditions: &[SearchExpr],
        bodies: bool,
    ) -> Result<Vec<WithBody>> {
        if hits.is_empty() {
            return Ok(Vec::new());
        }
        let folders = match self.ask(actor, account, MailboxQuery::Folders).await? {
            MailboxReply::Folders(folders) => folders.into_iter().map(|f| (f.id, f.path)).collect(),
            _ => BTreeMap::new(),
        };
        let mut by_folder: BTreeMap<FolderId, UidSet> = BTreeMap::new();
        hits.iter().for_each(|hit| by_folder.entry(hit.folder).or_default().insert(hit.uid.0));
        let mut messages = BTreeMap::new();
        for (folder, mut uids) in by_folder {
            loop {
                let want = Want { summary: true, blob: bodies || !conditions.is_empty() };
                let query = MailboxQuery::Messages { folder, uids, want, changed_since: None, limit: 1_000 };
                let (page, next) = match self.ask(actor, account, query).await {
                    Ok(MailboxReply::Messages { messages, next }) => (messages, next),
                    Err(Error::NotFound(_)) => break,
                    Err(e) => return Err(e),
                    Ok(other) => return Err(Error::Internal(format!("expected messages, got {other:?}"))),
                };
                messages.extend(page.into_iter().map(|message| ((folder, message.uid), message)));
                let Some(next) = next else { break };
                let later = hits.iter().filter(|hit| hit.folder == folder && hit.uid >= next);
                uids = later.map(|hit| hit.uid.0).collect();
            }
        }
        let mut shown = Vec::new();
        for hit in hits {
            let Some(message) = messages.get(&(hit.folder, hit.uid)).filter(|m| m.item == hit.item) else { continue };
            let fragment = self.fragment(actor, account, message, conditions).await?;
            let blob = message.blob.clone();
            shown.push(WithBody { shown: show(hit, message, &folders, fragment)?, blob });
        }
        Ok(shown)
    }

    async fn fragment(
        &self,
        actor: Actor,
        account: &Account,
        message: &Message,
        conditions: &[SearchExpr],
    ) -> Result<Option<ShownFragment>> {
        let (Some(texts), Some(blob)) = (&self.texts, &message.blob) else { return Ok(None) };
        if blob.size > BODY_BYTES_MAX || !conditions.iter().any(is_about_text) {
            return Ok(None);
        }
        let request = RequestId(random_bytes());
        let call = Call { actor, account: account.id, request, timeout: super::FIND_TIMEOUT, body: blob.clone() };
        let pieces: Vec<bytes::Bytes> = self.mailboxes.get(call, 0..blob.size).await?.try_collect().await?;
        let (summary, raw) = (message.summary.clone(), pieces.concat());
        let (texts, conditions) = (texts.clone(), conditions.to_vec());
        let work = move || {
            let doc = zcluster_mail::text_doc(&Summary::decode(&summary)?, &raw);
            Ok(texts.fragment(&conditions, &doc, super::FRAGMENT_CHARS))
        };
        let found = zcluster_runtime::spawn_blocking(work).await;
        let found = found.unwrap_or_else(|e| Err(Error::Internal(format!("fragment: {e}"))))?;
        Ok(found.map(|fragment| ShownFragment { text: fragment.text, found: fragment.found }))
    }
}

fn show(
    hit: Hit,
    message: &Message,
    folders: &BTreeMap<FolderId, String>,
    fragment: Option<ShownFragment>,
) -> Result<Shown> {
    let summary = Summary::decode(&message.summary)?;
    let header = |name: &str| {
        let field = zcluster_mail::fields(&summary.header.0).find(|field| field.is(name));
        field.map(|field| zcluster_mail::decode_words(field.value).trim().to_string()).unwrap_or_default()
    };
    let letters = LETTERS.iter().filter(|(flag, _)| hit.flags.contains(*flag)).map(|(_, letter)| *letter);
    Ok(Shown {
        id: hit.item.0,
        conversation: hit.conversation.0,
        messages: hit.messages,
        folder: folders.get(&hit.folder).cloned().unwrap_or_default(),
        uid: hit.uid.0,
        sort_field: hit.key.into(),
        flags: letters.collect(),
        tags: hit.keywords,
        size: hit.size,
        date: hit.internal_ms,
        from: header("from"),
        subject: header("subject"),
        preview: summary.preview,
        fragment,
    })
}

//! What IMAP URLs name: messages and pieces of them.

use super::fetch::bodies::{Piece, locate, part_of};
use super::fetch::source::Source;
use crate::codec::body::write_structure;
use crate::codec::command::{BodyForm, BodyItem, SectionText};
use crate::codec::url::MessageUrl;
use crate::errors::Failure;
use crate::session::{Mailbox, Session};
use std::ops::Range;
use zcluster_api::directory::{Account, AccountBy};
use zcluster_api::mailbox::{Folder, Message, Want};
use zcluster_api::{BlobRef, Bytes, DirectoryQuery, Error, Freshness, Result, UidSet};
use zcluster_mail::{HEADER_BYTES_MAX, Summary, TransferEncoding, find_part, header_fields};

/// A piece of a message that can be read.
pub struct Found {
    mailbox: Mailbox,
    blob: BlobRef,
    /// What is not in the body as it stands: a selection of header fields.
    made: Option<Bytes>,
    range: Range<u64>,
    /// The part that it is all of, for those who want to know more of it than its bytes.
    part: Option<FoundPart>,
}

/// A whole part, or a whole message.
pub struct FoundPart {
    /// BODYSTRUCTURE.
    pub structure: Vec<u8>,
    /// Where it is, before any partial range.
    pub all: Range<u64>,
    /// How it is kept there.
    pub encoding: TransferEncoding,
    /// First byte and how many, of what it decodes to.
    pub partial: Option<(u32, u32)>,
}

impl Found {
    /// Its size in bytes.
    pub fn len(&self) -> u64 {
        self.range.end - self.range.start
    }
    /// The part, where [`find`] was asked for it and the URL names one.
    pub fn part(&self) -> Option<&FoundPart> {
        self.part.as_ref()
    }
    /// The range of [`Found::open`]'s source.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }
    /// Where its bytes come from.
    pub async fn open(&self) -> Result<Source<'_>> {
        match &self.made {
            Some(bytes) => Ok(Source::of(&self.mailbox, &self.blob, bytes.clone())),
            None => Source::open(&self.mailbox, &self.blob, 1).await,
        }
    }
}

/// The account that a URL names: by address or, within `domain`, by the part before the `@`.
///
/// # Errors
/// `NotFound`; the directory's.
pub async fn account(s: &Session, user: &str, domain: Option<&str>) -> Result<Account> {
    let address = match domain {
        Some(domain) if !user.contains('@') => format!("{user}@{domain}"),
        _ => user.to_string(),
    };
    let query = DirectoryQuery::Account(AccountBy::Address(address));
    match s.imap.directory.read(query, Freshness::Local).await {
        // What cannot be an address is nobody's.
        Err(Error::Invalid(_)) => Err(Error::NotFound(format!("account {user}"))),
        other => other?.into_account(),
    }
}

/// The signed-in account.
///
/// # Errors
/// The directory's.
pub async fn myself(s: &Session) -> Result<Account> {
    let id = s.mailbox().map_err(|_| Error::Denied("not signed in".into()))?.owner();
    s.imap.directory.read(DirectoryQuery::Account(AccountBy::Id(id)), Freshness::Local).await?.into_account()
}

/// The part of an account's address behind the `@`.
pub fn domain_of(account: &Account) -> Option<&str> {
    account.name.rsplit_once('@').map(|(_, domain)| domain)
}

/// What a URL names as the signed-in user sees it, in the user's own mailbox or in a folder that is shared with the user;
/// `None` when it is not there, or elsewhere.
///
/// # Errors
/// The mailbox's.
pub async fn own(s: &Session, url: &MessageUrl) -> Result<Option<Found>> {
    if let Some(user) = &url.user {
        let me = myself(s).await?;
        if account(s, user, domain_of(&me)).await?.id != me.id {
            return Ok(None);
        }
    }
    let (mailbox, folder) = match (&url.mailbox, &s.selected) {
        (Some(name), _) => match s.named(name).await {
            Ok(named) => (named.mailbox.clone(), named.folder().await?),
            Err(Failure::Api(error)) => return Err(error),
            Err(_) => return Err(Error::Denied("not signed in".into())),
        },
        (None, Some(view)) if !url.absolute => (view.mailbox.clone(), view.mailbox.folder_by_id(view.folder).await?),
        (None, _) => return Ok(None),
    };
    find(mailbox, &folder, url, false).await
}

/// What a URL names in a folder; `part`: with what is known of the part.
///
/// # Errors
/// The mailbox's.
pub async fn find(mailbox: Mailbox, folder: &Folder, url: &MessageUrl, part: bool) -> Result<Option<Found>> {
    if url.uid_validity.is_some_and(|v| v != folder.uid_validity) {
        return Ok(None);
    }
    let want = Want { summary: part || url.section.is_some(), blob: true };
    let (messages, _) = mailbox.messages(folder.id, UidSet::range(url.uid, url.uid), want, None, 1).await?;
    match messages.into_iter().next() {
        Some(message) => piece(mailbox, message, url, part).await,
        None => Ok(None),
    }
}

async fn piece(mailbox: Mailbox, m: Message, url: &MessageUrl, part: bool) -> Result<Option<Found>> {
    let whole =
        BodyItem { form: BodyForm::Body, peek: true, path: Vec::new(), text: SectionText::Whole, partial: None };
    let item = url.section.as_ref().unwrap_or(&whole);
    let summary = if part || url.section.is_some() { Some(Summary::decode(&m.summary)?) } else { None };
    let blob = m.blob.clone().ok_or_else(|| Error::Internal("message without a body reference".into()))?;
    let (made, range) = match locate(item, &m, summary.as_ref()) {
        Piece::Nil => return Ok(None),
        Piece::Range(range) => (None, range),
        Piece::Bytes(bytes) => (Some(Bytes::from(bytes)), 0..0),
        Piece::Fields(range, names, not) => {
            let end = range.end.min(range.start.saturating_add(HEADER_BYTES_MAX as u64));
            let header = Source::open(&mailbox, &blob, 1).await?.collect(range.start..end).await?;
            (Some(Bytes::from(header_fields(&header, names, not))), 0..0)
        }
    };
    let all = made.as_ref().map_or(range, |bytes| 0..bytes.len() as u64);
    let partial = url.partial.map(|(first, length)| (first, length.unwrap_or(u32::MAX)));
    let range = part_of(&all, partial);
    let part = summary.as_ref().filter(|_| part).and_then(|summary| whole_part(summary, item, all, partial));
    Ok(Some(Found { mailbox, blob, made, range, part }))
}

/// What is known of the part that an item is all of. A message as a whole has no transfer encoding.
fn whole_part(summary: &Summary, item: &BodyItem, all: Range<u64>, partial: Option<(u32, u32)>) -> Option<FoundPart> {
    if item.text != SectionText::Whole {
        return None;
    }
    let part = find_part(summary, &item.path)?;
    let encoding = if item.path.is_empty() { TransferEncoding::Identity } else { TransferEncoding::of(part) };
    let mut structure = Vec::new();
    write_structure(part, true, &mut structure);
    Some(FoundPart { structure, all, encoding, partial })
}

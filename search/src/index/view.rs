//! An index as of its last commit.

use crate::ask::{Ask, How, Mark};
use crate::index::dictionary::Bounds;
use crate::index::segment::{Segment, key, keys};
use crate::index::{guarded, number};
use crate::needle::narrowing;
use crate::terms;
use std::path::PathBuf;
use tantivy::Searcher;
use zcluster_api::error::{Error, Result};
use zcluster_api::search::SearchExpr;
use zcluster_api::text::{ItemSet, Marked, TextSize, TextView};
use zcluster_api::{ItemId, MailboxId};

/// A mailbox with so few items is rather read than refused when a wildcard stands for too many words.
const READ_INSTEAD_MAX: usize = 256;

/// What there is to look at.
pub(crate) struct View {
    segments: Vec<Segment>,
    mark: Vec<u8>,
    items: u64,
    folder: PathBuf,
}

impl View {
    pub fn new(searcher: &Searcher, mark: Vec<u8>, folder: PathBuf) -> tantivy::Result<View> {
        let segments = searcher.segment_readers().iter().map(Segment::open).collect::<tantivy::Result<_>>()?;
        Ok(View { segments, mark, items: searcher.num_docs(), folder })
    }

    /// Whether there is such a key.
    pub fn has_key(&self, key: u64) -> bool {
        self.segments.iter().any(|s| s.docs(&(key..=key)).any(|doc| s.alive(doc).is_some()))
    }

    /// Whether a mailbox has an item at all.
    pub fn has_any(&self, mailbox: u32) -> bool {
        self.segments.iter().any(|s| s.docs(&keys(mailbox)).any(|doc| s.alive(doc).is_some()))
    }

    fn all(&self, mailbox: u32) -> ItemSet {
        let of =
            |s: &Segment| s.docs(&keys(mailbox)).filter_map(|doc| s.alive(doc)).map(|k| k as u32).collect::<Vec<_>>();
        self.segments.iter().flat_map(of).collect()
    }

    fn ask(&self, mailbox: u32, ask: &Ask) -> Result<ItemSet> {
        let mut bounds = Bounds::new();
        let mut out = ItemSet::default();
        for segment in &self.segments {
            let docs = segment.docs(&keys(mailbox));
            if docs.is_empty() {
                continue;
            }
            segment.find(ask, &docs, &mut bounds, &mut |doc| {
                if let Some(key) = segment.alive(doc) {
                    out.insert(key as u32);
                }
            })?;
        }
        Ok(out)
    }

    fn find_words(&self, mailbox: u32, ask: &Ask) -> Result<Option<Marked>> {
        match self.ask(mailbox, ask) {
            Ok(sure) => Ok(Some(Marked { sure, may: ItemSet::default() })),
            Err(Error::TooLarge(_)) if self.all(mailbox).len() <= READ_INSTEAD_MAX => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// What IMAP's conditions look at that narrow something: the field's prefix, and the mark of messages where it does not
/// tell everything.
fn imap(leaf: &SearchExpr) -> Option<(&'static str, &'static str, &str)> {
    match leaf {
        SearchExpr::Body(text) => Some(("b", terms::NOT_PLAIN, text)),
        SearchExpr::Header { name, text } => {
            let field = match name.to_ascii_lowercase().as_str() {
                "subject" => "s",
                "from" | "sender" => "f",
                "to" => "t",
                "cc" | "bcc" => "c",
                "return-path" | "x-envelope-from" => "e",
                "delivered-to" | "x-envelope-to" => "g",
                _ => return None,
            };
            Some((field, terms::HEADER_CUT, text))
        }
        _ => None,
    }
}

impl View {
    /// The items that an IMAP condition may hold for, as far as words tell.
    fn find_imap(&self, mailbox: u32, leaf: &SearchExpr) -> Result<Option<Marked>> {
        let Some((field, unsure, text)) = imap(leaf) else { return Ok(None) };
        let Some(elements) = narrowing(text) else { return Ok(None) };
        let mark = |m: &str| self.ask(mailbox, &Ask::Marks(vec![Mark::Is(m.to_owned())]));
        // Of words that were cut nobody knows how they end.
        let cut = elements.iter().any(|e| matches!(e.how, How::Suffix | How::Within));
        let mut may: Option<ItemSet> = None;
        for element in elements {
            let ask = Ask::Phrase { fields: vec![field.to_owned()], elements: vec![element] };
            let found = match self.ask(mailbox, &ask) {
                Err(Error::TooLarge(_)) => return Ok(None),
                found => found?,
            };
            match &mut may {
                Some(may) => may.keep_all(&found),
                None => may = Some(found),
            }
        }
        let mut may = may.unwrap_or_default();
        may.add_all(&mark(unsure)?);
        if cut {
            may.add_all(&mark(terms::WORD_CUT)?);
        }
        Ok(Some(Marked { sure: ItemSet::default(), may }))
    }
}

impl TextView for View {
    fn mark(&self) -> &[u8] {
        &self.mark
    }

    fn find(&self, mailbox: MailboxId, leaf: &SearchExpr) -> Result<Option<Marked>> {
        let Some(mailbox) = number(mailbox) else { return Ok(Some(Marked::default())) };
        guarded(|| match leaf {
            SearchExpr::Words(_) | SearchExpr::Attachment(_) | SearchExpr::Recognised(_) => {
                self.find_words(mailbox, &Ask::new(leaf)?)
            }
            _ => self.find_imap(mailbox, leaf),
        })
    }

    fn items(&self, mailbox: MailboxId) -> Result<ItemSet> {
        guarded(|| Ok(number(mailbox).map(|m| self.all(m)).unwrap_or_default()))
    }

    fn has(&self, mailbox: MailboxId, item: ItemId) -> Result<bool> {
        guarded(|| Ok(number(mailbox).is_some_and(|m| self.has_key(key(m, item.0)))))
    }

    fn mailboxes(&self) -> Result<Vec<MailboxId>> {
        guarded(|| {
            let mut out = Vec::new();
            for segment in &self.segments {
                let mut doc = 0;
                while doc < segment.len() {
                    match segment.alive(doc) {
                        None => doc += 1,
                        Some(key) => {
                            out.push(MailboxId(key >> 32));
                            doc = segment.after(key | u64::from(u32::MAX));
                        }
                    }
                }
            }
            out.sort_unstable();
            out.dedup();
            Ok(out)
        })
    }

    fn size(&self) -> TextSize {
        TextSize { items: self.items, bytes: crate::index::folder_bytes(&self.folder) }
    }
}

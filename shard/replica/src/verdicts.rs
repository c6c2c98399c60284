//! Searches in bodies that lie on volumes, and in attached files that another process reads. The search itself cannot wait
//! for these: it notes which bodies it would have to look into and goes on as if they did not match; then they are read,
//! judged, and the search is made again with what is known.

use crate::body;
use crate::content::{Needles, judge, reads_files};
use crate::node::NodeState;
use crate::packed::Packed;
use crate::texts::{Docs, Texts};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use std::collections::BTreeMap;
use std::sync::Arc;
use zcluster_api::text::TextDoc;
use zcluster_api::{BlobId, BlobRef, Error, GroupId, Place, Result, SearchExpr, codec};
use zcluster_mail::decompress;

/// Bodies that one pass of a search notes before it is given up for the time being.
pub(crate) const NOTED_MAX: usize = 1_024;
/// Bodies and conditions that one search may ask about.
const JUDGED_MAX: usize = 200_000;
/// Bodies read at a time for one search.
const READS_MAX: usize = 4;
/// Larger bodies on volumes are not searched: nothing in them is found.
const SEARCHED_MAX: u64 = 64 << 20;

/// A body that a search must look into, for these conditions.
pub(crate) struct Noted {
    pub blob: BlobRef,
    pub summary: Bytes,
    pub leaves: Vec<SearchExpr>,
}

/// What is known of bodies on volumes: by body and encoded condition.
#[derive(Clone, Default)]
pub(crate) struct Verdicts(BTreeMap<(BlobId, Vec<u8>), bool>);

impl Verdicts {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, blob: BlobId, leaf: &SearchExpr) -> Option<bool> {
        // Most searches know nothing: nothing is encoded for them.
        if self.0.is_empty() { None } else { self.0.get(&(blob, codec::encode(leaf))).copied() }
    }

    /// Reads the bodies, and judges them.
    ///
    /// # Errors
    /// `Unavailable` when a volume cannot be asked now; `Internal` when its bytes are wrong; `TooLarge`.
    pub async fn learn(&mut self, node: &Arc<NodeState>, group: GroupId, noted: Vec<Noted>) -> Result<()> {
        if self.0.len() + noted.len() > JUDGED_MAX {
            return Err(Error::TooLarge(format!("a search in more than {JUDGED_MAX} bodies on volumes")));
        }
        let looks = noted.into_iter().map(|noted| look(node, group, noted));
        let mut looks = futures::stream::iter(looks).buffer_unordered(READS_MAX);
        while let Some((blob, verdicts)) = looks.try_next().await? {
            self.0.extend(verdicts.into_iter().map(|(leaf, is)| ((blob, codec::encode(&leaf)), is)));
        }
        Ok(())
    }
}

async fn look(node: &Arc<NodeState>, group: GroupId, noted: Noted) -> Result<(BlobId, Vec<(SearchExpr, bool)>)> {
    let Noted { blob, summary, leaves } = noted;
    let id = blob.id;
    let raw = match blob.place {
        Place::Object { .. } => bytes(node, group, blob).await?,
        Place::Shard { .. } => stored(node, group, blob).await?,
    };
    let Some(raw) = raw else {
        return Ok((id, leaves.into_iter().map(|leaf| (leaf, false)).collect()));
    };
    let texts = node.texts.read().clone();
    let is_words = |leaf: &SearchExpr| matches!(leaf, SearchExpr::Words(_) | SearchExpr::Recognised(_));
    let doc = match &texts {
        Some(texts) if leaves.iter().any(is_words) => {
            Some((texts.all.clone(), doc(texts, &leaves, &summary, &raw).await?))
        }
        _ => None,
    };
    let work = move || {
        let needles = Needles::default();
        let judged = leaves.into_iter().map(|leaf| {
            let is = match &doc {
                Some((all, doc)) if is_words(&leaf) => all.matches(&leaf, doc)?,
                _ => judge(&needles, &leaf, &summary, || Ok(Some(raw.clone())))?.unwrap_or(false),
            };
            Ok((leaf, is))
        });
        judged.collect::<Result<Vec<_>>>()
    };
    let judged = zcluster_runtime::spawn_blocking(work).await;
    let judged = judged.unwrap_or_else(|e| Err(Error::Internal(format!("search: {e}"))))?;
    Ok((id, judged))
}

/// The words of a message, with those of its files where they matter.
async fn doc(texts: &Texts, leaves: &[SearchExpr], summary: &Bytes, raw: &Bytes) -> Result<TextDoc> {
    let docs = Docs::new(texts.files.clone().filter(|_| leaves.iter().any(reads_files)));
    let (summary, raw) = (summary.clone(), raw.clone());
    let work = {
        let docs = docs.clone();
        move || Ok((docs.base(&summary, &raw)?, docs.files(&summary, &raw)?))
    };
    let made = zcluster_runtime::spawn_blocking(work).await;
    let (mut doc, files) = made.unwrap_or_else(|e| Err(Error::Internal(format!("search: {e}"))))?;
    docs.add_files(&mut doc, files).await?;
    Ok(doc)
}

/// A body that lies in the shard; `None` as for [`bytes`].
async fn stored(node: &Arc<NodeState>, group: GroupId, blob: BlobRef) -> Result<Option<Bytes>> {
    if blob.size > SEARCHED_MAX {
        return Ok(None);
    }
    let (this, id, size) = (node.clone(), blob.id, blob.size);
    let work = move || match body::stored(&this, group, id)? {
        Some((codec, stored)) => Ok(Some(decompress(codec, &stored, size)?)),
        None => Ok(None),
    };
    let read = zcluster_runtime::spawn_blocking(work).await;
    match read.unwrap_or_else(|e| Err(Error::Internal(format!("search: {e}"))))? {
        Some(raw) => Ok(Some(raw)),
        None => match node.view(group, |kv| zcluster_state::body_place(kv, id))? {
            Some(now) if matches!(now.place, Place::Object { .. }) => bytes(node, group, now).await,
            _ => Ok(None),
        },
    }
}

/// The body; `None` when nothing names it any more, or it is too large to be searched.
async fn bytes(node: &Arc<NodeState>, group: GroupId, mut blob: BlobRef) -> Result<Option<Bytes>> {
    if blob.size > SEARCHED_MAX {
        return Ok(None);
    }
    loop {
        match Packed::new(node, &blob)?.whole().await {
            Err(Error::NotFound(missing)) => {
                let now = node.view(group, |kv| zcluster_state::body_place(kv, blob.id))?;
                match now {
                    None => return Ok(None),
                    // It was moved to another object meanwhile.
                    Some(now) if now.place != blob.place => blob = now,
                    Some(_) => return Err(Error::Internal(format!("body {} is lost: no such {missing}", blob.id))),
                }
            }
            other => return other.map(Some),
        }
    }
}

//! The index of one group: opened, changed, committed.

use crate::index::delete::Keys;
use crate::index::packed::{Flow, PACKED, Pack, Unpack};
use crate::index::segment::{KEY, MARKS, WORDS, key, keys};
use crate::index::view::View;
use crate::index::{Settings, fault, number, payload};
use crate::terms::{marks_of, words_of};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::schema::{FAST, Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::{Index, IndexReader, IndexSettings, IndexSortByField, IndexWriter, Order, ReloadPolicy, TantivyDocument};
use zcluster_api::error::{Error, Result};
use zcluster_api::text::{TextDoc, TextIndex, TextView};
use zcluster_api::{ItemId, MailboxId};

/// Segments of about one size that are merged.
const MERGE_SEGMENTS: usize = 8;
/// Segments of fewer documents count as being of one size.
const SMALL_SEGMENT: u32 = 500;
/// Share of deleted documents with which a segment is written anew.
const DELETED_MAX: f32 = 0.25;
/// Mailbox ids begin at 1 and are handed out one by one; the key has room for so many bits of one.
const MAILBOX_TOO_LARGE: &str = "mailbox id of more than 32 bits";

/// The index of a group.
pub(crate) struct Group {
    folder: PathBuf,
    settings: Settings,
    state: Mutex<State>,
    view: RwLock<Arc<View>>,
}

struct State {
    index: Index,
    reader: IndexReader,
    flow: Arc<Flow>,
    fields: Fields,
    writer: Option<IndexWriter>,
    /// Keys added since the last commit.
    added: BTreeSet<u64>,
    /// What went wrong since the last `rest`: what was not committed is gone, and nothing more is taken.
    broken: Option<Error>,
}

#[derive(Clone, Copy)]
struct Fields {
    key: Field,
    words: Field,
    marks: Field,
}

fn schema() -> (Schema, Fields) {
    let mut builder = Schema::builder();
    let text = |tokenizer: &str, record| {
        let indexing =
            TextFieldIndexing::default().set_tokenizer(tokenizer).set_fieldnorms(false).set_index_option(record);
        TextOptions::default().set_indexing_options(indexing)
    };
    let fields = Fields {
        key: builder.add_u64_field(KEY, FAST),
        words: builder.add_text_field(WORDS, text(PACKED, IndexRecordOption::WithFreqsAndPositions)),
        marks: builder.add_text_field(MARKS, text("raw", IndexRecordOption::Basic)),
    };
    (builder.build(), fields)
}

fn index_settings() -> IndexSettings {
    IndexSettings {
        sort_by_field: Some(IndexSortByField { field: KEY.into(), order: Order::Asc }),
        docstore_compress_dedicated_thread: false,
        ..IndexSettings::default()
    }
}

/// Why an index could not be opened.
pub(crate) enum Trouble {
    /// It is damaged, or another version's: it is to be made anew.
    Damaged(String),
    /// The disk.
    Disk(Error),
}

impl State {
    fn new(index: Index, fields: Fields) -> tantivy::Result<State> {
        let flow = Arc::new(Flow::default());
        index.tokenizers().register(PACKED, Unpack(flow.clone()));
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(State { index, reader, flow, fields, writer: None, added: BTreeSet::new(), broken: None })
    }

    fn create(folder: &Path) -> Result<State> {
        let (schema, fields) = schema();
        fault(std::fs::create_dir_all(folder))?;
        let index = fault(Index::builder().schema(schema).settings(index_settings()).create_in_dir(folder))?;
        fault(State::new(index, fields))
    }

    /// Opens what is there.
    fn open(folder: &Path, settings: &Settings) -> Result<(State, View), Trouble> {
        let damaged = |e: tantivy::TantivyError| match crate::index::error(e) {
            Error::Internal(text) => Trouble::Damaged(text),
            other => Trouble::Disk(other),
        };
        let (schema, fields) = schema();
        let index = Index::open_in_dir(folder).map_err(damaged)?;
        if index.schema() != schema || *index.settings() != index_settings() {
            return Err(Trouble::Damaged("it has other fields".into()));
        }
        let meta = index.load_metas().map_err(damaged)?;
        let mark = match &meta.payload {
            None if meta.segments.is_empty() => Vec::new(),
            payload => payload::mark(payload.as_deref().unwrap_or_default()).map_err(Trouble::Damaged)?,
        };
        if crate::index::folder_bytes(folder) <= settings.check_bytes_max {
            let wrong = index.validate_checksum().map_err(damaged)?;
            if !wrong.is_empty() {
                return Err(Trouble::Damaged(format!("{} files have wrong checksums", wrong.len())));
            }
        }
        let state = State::new(index, fields).map_err(damaged)?;
        let view = View::new(&state.reader.searcher(), mark, folder.to_owned()).map_err(damaged)?;
        Ok((state, view))
    }

    fn writer(&mut self, settings: &Settings) -> Result<&mut IndexWriter> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        if self.writer.is_none() {
            let options = IndexWriterOptions::builder()
                .memory_budget_per_thread(settings.writer_bytes)
                .num_worker_threads(1)
                .num_merge_threads(1)
                .build();
            let writer: IndexWriter = fault(self.index.writer_with_options(options))?;
            let mut merges = LogMergePolicy::default();
            merges.set_min_num_segments(MERGE_SEGMENTS);
            merges.set_min_layer_size(SMALL_SEGMENT);
            merges.set_del_docs_ratio_before_merge(DELETED_MAX);
            writer.set_merge_policy(Box::new(merges));
            self.flow.clear();
            self.writer = Some(writer);
        }
        self.writer.as_mut().ok_or_else(|| Error::Internal("no writer".into()))
    }

    /// Notes that what was not committed is gone. When the writing thread died, its error says more than that it is dead.
    fn break_with(&mut self, error: Error) -> Error {
        let told = self.writer.take().and_then(|mut writer| writer.prepare_commit().err());
        let error = told.map_or(error, crate::index::error);
        tracing::warn!(%error, "a text index could not be changed");
        self.added.clear();
        self.broken = Some(error.clone());
        error
    }

    fn delete(&mut self, settings: &Settings, ranges: Vec<RangeInclusive<u64>>) -> Result<()> {
        if ranges.is_empty() {
            return self.broken.clone().map_or(Ok(()), Err);
        }
        let writer = self.writer(settings)?;
        let done = fault(writer.delete_query(Box::new(Keys(Arc::new(ranges)))));
        done.map(drop).map_err(|e| self.break_with(e))
    }

    fn document(&self, key: u64, doc: &TextDoc) -> TantivyDocument {
        let mut out = TantivyDocument::default();
        out.add_u64(self.fields.key, key);
        let mut pack = Pack::default();
        let word_cut = words_of(doc, &mut |term, position| pack.push(term, position));
        self.flow.enter(pack.text.len());
        out.add_text(self.fields.words, pack.text);
        let mut marks = BTreeSet::new();
        marks_of(doc, word_cut, &mut |mark| {
            marks.insert(mark.to_owned());
        });
        marks.iter().for_each(|mark| out.add_text(self.fields.marks, mark));
        out
    }
}

impl Group {
    /// Opens what is in the folder, or makes it; anew when it is damaged.
    pub fn open(folder: PathBuf, settings: Settings) -> Result<Group> {
        let (state, view) = Self::opened(&folder, &settings)?;
        Ok(Group { folder, settings, state: Mutex::new(state), view: RwLock::new(Arc::new(view)) })
    }

    fn opened(folder: &Path, settings: &Settings) -> Result<(State, View)> {
        fault(std::fs::create_dir_all(folder))?;
        if fault(std::fs::read_dir(folder))?.next().is_none() {
            return Self::fresh(folder);
        }
        match crate::index::quietly(|| State::open(folder, settings)) {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(Trouble::Disk(error))) => Err(error),
            Ok(Err(Trouble::Damaged(why))) | Err(why) => {
                tracing::warn!(folder = %folder.display(), why, "a text index is made anew");
                Self::fresh(folder)
            }
        }
    }

    fn fresh(folder: &Path) -> Result<(State, View)> {
        fault(std::fs::remove_dir_all(folder))?;
        let state = State::create(folder)?;
        let view = fault(View::new(&state.reader.searcher(), Vec::new(), folder.to_owned()))?;
        Ok((state, view))
    }

    fn current(&self) -> Arc<View> {
        self.view.read().clone()
    }

    /// Files as they are on disk must be those that the mark speaks of: tantivy syncs the folder before it writes the list
    /// of segments, not after.
    fn sync_folder(&self) -> std::io::Result<()> {
        std::fs::File::open(&self.folder)?.sync_all()
    }
}

impl TextIndex for Group {
    fn view(&self) -> Arc<dyn TextView> {
        self.current()
    }

    fn add(&self, mailbox: MailboxId, item: ItemId, doc: &TextDoc) -> Result<()> {
        let mailbox = number(mailbox).ok_or_else(|| Error::Invalid(MAILBOX_TOO_LARGE.into()))?;
        let key = key(mailbox, item.0);
        let view = self.current();
        let mut state = self.state.lock();
        state.writer(&self.settings)?;
        if state.added.contains(&key) || view.has_key(key) {
            state.delete(&self.settings, vec![key..=key])?;
        }
        let document = state.document(key, doc);
        let added = fault(state.writer(&self.settings)?.add_document(document));
        added.map_err(|e| state.break_with(e))?;
        state.added.insert(key);
        Ok(())
    }

    fn remove(&self, mailbox: MailboxId, items: &[ItemId]) -> Result<()> {
        let Some(mailbox) = number(mailbox) else { return Ok(()) };
        let view = self.current();
        let mut state = self.state.lock();
        let keys: BTreeSet<u64> = items.iter().map(|item| key(mailbox, item.0)).collect();
        let there = keys.into_iter().filter(|k| state.added.contains(k) || view.has_key(*k));
        let ranges = there.map(|k| k..=k).collect();
        state.delete(&self.settings, ranges)
    }

    fn remove_mailbox(&self, mailbox: MailboxId) -> Result<()> {
        let Some(mailbox) = number(mailbox) else { return Ok(()) };
        let view = self.current();
        let mut state = self.state.lock();
        let there = state.added.range(keys(mailbox)).next().is_some() || view.has_any(mailbox);
        state.delete(&self.settings, there.then(|| keys(mailbox)).into_iter().collect())
    }

    fn commit(&self, mark: &[u8]) -> Result<()> {
        let mut state = self.state.lock();
        if state.broken.is_none() && state.writer.is_none() && *mark == *self.current().mark() {
            return Ok(());
        }
        let committed = (|| {
            let writer = state.writer(&self.settings)?;
            let mut prepared = fault(writer.prepare_commit())?;
            prepared.set_payload(&payload::of(mark));
            fault(prepared.commit())?;
            fault(self.sync_folder())
        })();
        if let Err(error) = committed {
            return Err(state.break_with(error));
        }
        state.added.clear();
        let view = fault(state.reader.reload())
            .and_then(|()| fault(View::new(&state.reader.searcher(), mark.to_vec(), self.folder.clone())));
        *self.view.write() = Arc::new(view.map_err(|e| state.break_with(e))?);
        Ok(())
    }

    fn reset(&self) -> Result<()> {
        let mut state = self.state.lock();
        if let Some(writer) = state.writer.take() {
            // Else a merge would go on writing into the folder.
            let _ = writer.wait_merging_threads();
        }
        let (fresh, view) = Self::fresh(&self.folder).inspect_err(|e| state.broken = Some(e.clone()))?;
        *state = fresh;
        *self.view.write() = Arc::new(view);
        Ok(())
    }

    fn rest(&self) {
        let mut state = self.state.lock();
        if let Some(writer) = state.writer.take()
            && let Err(error) = writer.wait_merging_threads()
        {
            tracing::warn!(%error, "a text index's writer ended badly");
        }
        state.added.clear();
        if state.broken.is_some() {
            // A commit may have failed behind the point where it became one: what counts is what is on disk.
            match Self::opened(&self.folder, &self.settings) {
                Ok((opened, view)) => {
                    *state = opened;
                    *self.view.write() = Arc::new(view);
                }
                Err(error) => state.broken = Some(error),
            }
        }
    }
}

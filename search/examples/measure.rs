//! How fast and how large: `cargo run --release -p zcluster-search --example measure -- FOLDER [N [M K [alone]]]`.
//!
//! Reads the messages in a folder (files, Maildirs, mboxes), varies them until there are enough (words of the text change
//! places; some become words from a large made vocabulary, numbers or ids), and builds (a) one mailbox of N messages and
//! (b) M mailboxes of K messages, each (but for `alone`) also in plain tantivy with its own tokenizer and a mailbox term as
//! filter. Prints rates, bytes, and times of common queries.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;
use tantivy::collector::DocSetCollector;
use tantivy::query::{BooleanQuery, Occur, PhrasePrefixQuery, PhraseQuery, Query, TermQuery};
use tantivy::schema::{FAST, INDEXED, IndexRecordOption, Schema, TEXT};
use tantivy::{Index, TantivyDocument, Term};
use zcluster_api::search::{SearchExpr, TextField, Words};
use zcluster_api::text::{TextDoc, TextIndex, TextIndexes};
use zcluster_api::{GroupId, ItemId, MailboxId};
use zcluster_search::{Indexes, Settings};

/// Messages between commits.
const COMMIT_EVERY: u32 = 20_000;
/// Times that each kind of query is asked.
const QUERIES: usize = 300;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, or: u32| args.get(i).map_or(or, |a| a.parse().expect("a number"));
    let folder = args.first().expect("the folder of a corpus");
    let (n, m, k) = (number(1, 100_000), number(2, 1_000), number(3, 100));
    let beside = args.get(4).is_none_or(|a| a != "alone");
    let corpus = Corpus::read(Path::new(folder));
    for (what, mailboxes, each) in [("one mailbox", 1, n), ("many mailboxes", m, k)] {
        if each > 0 {
            measure(what, &corpus, mailboxes, each, beside);
        }
    }
}

/// SplitMix64: the same messages every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.roll() % n.max(1) as u64) as usize
    }
}

struct Corpus {
    docs: Vec<TextDoc>,
}

impl Corpus {
    fn read(folder: &Path) -> Corpus {
        let mut raws = Vec::new();
        files(folder, &mut raws);
        let bytes: usize = raws.iter().map(Vec::len).sum();
        let summaries: Vec<_> = raws.iter().map(|raw| zcluster_mail::parse(raw)).collect();
        let (start, mut rounds, mut docs) = (Instant::now(), 0, Vec::new());
        while rounds == 0 || start.elapsed().as_secs() < 2 {
            docs = raws.iter().zip(&summaries).map(|(raw, s)| zcluster_mail::text_doc(s, raw)).collect();
            rounds += 1;
        }
        let seconds = start.elapsed().as_secs_f64();
        let text: usize = docs.iter().map(doc_bytes).sum();
        println!(
            "corpus: {} messages, {:.1} MB, {:.1} MB of text; texts got out of them at {:.0} MB/s",
            raws.len(),
            bytes as f64 / 1e6,
            text as f64 / 1e6,
            (bytes * rounds) as f64 / 1e6 / seconds
        );
        docs.retain(|d| d.texts.iter().any(|(f, _)| *f == TextField::Content));
        Corpus { docs }
    }

    /// Message `i` of as many as one likes.
    fn doc(&self, i: u64) -> TextDoc {
        let mut dice = Dice(i.wrapping_mul(0x5851_f42d_4c95_7f2d));
        let mut doc = self.docs[(i % self.docs.len() as u64) as usize].clone();
        for (field, text) in &mut doc.texts {
            match field {
                TextField::Content | TextField::Subject => *text = varied(text, &mut dice),
                TextField::MessageId => *text = format!("<{i}.{:x}@example.org>", dice.roll()),
                _ => {}
            }
        }
        doc
    }
}

fn files(at: &Path, out: &mut Vec<Vec<u8>>) {
    if at.is_dir() {
        let mut entries: Vec<_> = std::fs::read_dir(at).expect("folder").map(|e| e.expect("entry").path()).collect();
        entries.sort();
        entries.iter().for_each(|e| files(e, out));
        return;
    }
    let raw = std::fs::read(at).expect("file");
    if !raw.starts_with(b"From ") {
        out.push(raw);
        return;
    }
    let text = String::from_utf8_lossy(&raw);
    let messages = text.split("\nFrom ").map(|m| m.split_once('\n').map_or("", |(_, rest)| rest).as_bytes().to_vec());
    out.extend(messages.filter(|m| !m.is_empty()));
}

/// The words in another order, a fiftieth of them others.
fn varied(text: &str, dice: &mut Dice) -> String {
    let mut words: Vec<String> = text.split_inclusive(char::is_whitespace).map(String::from).collect();
    for i in (1..words.len()).rev() {
        words.swap(i, dice.below(i + 1));
    }
    for word in &mut words {
        match dice.below(100) {
            0 => *word = made(dice),
            1 => *word = format!("{} ", dice.below(1_000_000)),
            _ => {}
        }
    }
    words.concat()
}

/// A word of a vocabulary in which few are common and most are rare.
fn made(dice: &mut Dice) -> String {
    let u = dice.below(1_000_000) as f64 / 1e6;
    let mut number = (u * u * u * 400_000.0) as usize;
    let mut word = String::new();
    for _ in 0..4 {
        word.push(['b', 'd', 'f', 'g', 'k', 'l', 'm', 'n', 'p', 'r', 's', 't'][number % 12]);
        word.push(['a', 'e', 'i', 'o', 'u'][number / 12 % 5]);
        number /= 7;
    }
    word + " "
}

fn doc_bytes(doc: &TextDoc) -> usize {
    doc.texts.iter().map(|(_, t)| t.len()).sum()
}

fn measure(what: &str, corpus: &Corpus, mailboxes: u32, each: u32, beside: bool) {
    let all = mailboxes * each;
    println!("\n{what}: {mailboxes} x {each} messages");
    let folder = tempfile::tempdir().expect("folder");
    let indexes = Indexes::new(folder.path().join("ours"), Settings::default());
    let ours = indexes.open(GroupId(1)).expect("index");
    let (start, mut text) = (Instant::now(), 0);
    for i in 0..all {
        let doc = corpus.doc(u64::from(i));
        text += doc_bytes(&doc);
        ours.add(MailboxId(1 + u64::from(i / each)), ItemId(256 + i % each), &doc).expect("added");
        if i % COMMIT_EVERY == COMMIT_EVERY - 1 {
            ours.commit(&i.to_be_bytes()).expect("committed");
        }
    }
    ours.commit(b"done").expect("committed");
    let built = start.elapsed().as_secs_f64();
    ours.rest();
    ours.commit(b"after merges").expect("committed");
    ours.rest();
    let making = making(corpus, all);
    let bytes = ours.view().size().bytes;
    report("zcluster", all, text, bytes, built, making);
    by_kind(&folder.path().join("ours/1"));
    let plain = beside.then(|| Plain::build(&folder.path().join("plain"), corpus, mailboxes, each));
    if let Some(plain) = &plain {
        report("tantivy", all, text, plain.bytes, plain.seconds, making);
        by_kind(&folder.path().join("plain"));
    }
    drop(ours);
    // Opened anew: what was read while it was built is not in any buffer of ours.
    let opened = Instant::now();
    let indexes = Indexes::new(folder.path().join("ours"), Settings { check_bytes_max: 0, ..Settings::default() });
    let ours = indexes.open(GroupId(1)).expect("index");
    println!(
        "opened without checksums in {:.1} ms; bytes {}",
        opened.elapsed().as_secs_f64() * 1e3,
        ours.view().size().bytes
    );
    ask(corpus, &*ours, plain.as_ref(), mailboxes, all);
}

/// Prints what of an index is what: `term` dictionaries, `idx` documents, `pos` places.
fn by_kind(folder: &Path) {
    let mut kinds: BTreeMap<String, (u32, u64)> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("folder") {
        let entry = entry.expect("entry");
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = kinds.entry(name.rsplit('.').next().unwrap_or_default().to_owned()).or_default();
        *kind = (kind.0 + 1, kind.1 + entry.metadata().expect("file").len());
    }
    println!(
        "          {}",
        kinds
            .iter()
            .map(|(k, (n, b))| format!("{k}: {n} files, {:.2} MB", *b as f64 / 1e6))
            .collect::<Vec<_>>()
            .join("; ")
    );
}

/// Seconds that making the messages themselves takes.
fn making(corpus: &Corpus, all: u32) -> f64 {
    let start = Instant::now();
    let some = all.min(5_000);
    (0..some).for_each(|i| drop(std::hint::black_box(corpus.doc(u64::from(i)))));
    start.elapsed().as_secs_f64() * f64::from(all) / f64::from(some)
}

fn report(name: &str, all: u32, text: usize, bytes: u64, built: f64, making: f64) {
    println!(
        "{name:9} {:6.0} messages/s, {:5.1} MB of text/s (without making them: {:.0} messages/s); {:.1} MB of index for {:.1} MB of text: {:.1} %",
        f64::from(all) / built,
        text as f64 / 1e6 / built,
        f64::from(all) / (built - making).max(0.001),
        bytes as f64 / 1e6,
        text as f64 / 1e6,
        bytes as f64 * 100.0 / text as f64
    );
}

/// tantivy as its documentation shows it: a text field for content, one for each header field, a mailbox number.
struct Plain {
    searcher: tantivy::Searcher,
    schema: Schema,
    bytes: u64,
    seconds: f64,
}

impl Plain {
    fn build(folder: &Path, corpus: &Corpus, mailboxes: u32, each: u32) -> Plain {
        std::fs::create_dir_all(folder).expect("folder");
        let mut builder = Schema::builder();
        let mailbox = builder.add_u64_field("mailbox", INDEXED);
        let item = builder.add_u64_field("item", FAST);
        let fields: Vec<_> = ["content", "from", "to"].map(|n| builder.add_text_field(n, TEXT)).to_vec();
        let schema = builder.build();
        let index = Index::create_in_dir(folder, schema.clone()).expect("index");
        let mut writer = index.writer_with_num_threads(1, 32 << 20).expect("writer");
        let start = Instant::now();
        for i in 0..mailboxes * each {
            let mut out = TantivyDocument::default();
            out.add_u64(mailbox, u64::from(1 + i / each));
            out.add_u64(item, u64::from(i % each));
            for (field, text) in corpus.doc(u64::from(i)).texts {
                let to = match field {
                    TextField::From => 1,
                    TextField::To => 2,
                    _ => 0,
                };
                out.add_text(fields[to], text);
            }
            writer.add_document(out).expect("added");
            if i % COMMIT_EVERY == COMMIT_EVERY - 1 {
                writer.commit().expect("committed");
            }
        }
        writer.commit().expect("committed");
        let seconds = start.elapsed().as_secs_f64();
        writer.wait_merging_threads().expect("merged");
        let mut writer: tantivy::IndexWriter = index.writer_with_num_threads(1, 32 << 20).expect("writer");
        writer.commit().expect("committed");
        drop(writer);
        let bytes =
            std::fs::read_dir(folder).expect("folder").map(|e| e.expect("entry").metadata().expect("file").len()).sum();
        let searcher = index.reader().expect("reader").searcher();
        Plain { searcher, schema, bytes, seconds }
    }

    fn find(&self, mailbox: u64, field: &str, text: &str, prefix: bool) -> usize {
        let field = self.schema.get_field(field).expect("field");
        let words: Vec<Term> = text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|w| !w.is_empty())
            .map(|w| Term::from_field_text(field, &w.to_lowercase()))
            .collect();
        let query: Box<dyn Query> = match (words.as_slice(), prefix) {
            (_, true) => Box::new(PhrasePrefixQuery::new(words)),
            ([one], _) => Box::new(TermQuery::new(one.clone(), IndexRecordOption::Basic)),
            _ => Box::new(PhraseQuery::new(words)),
        };
        let filter = Term::from_field_u64(self.schema.get_field("mailbox").expect("field"), mailbox);
        let filter: Box<dyn Query> = Box::new(TermQuery::new(filter, IndexRecordOption::Basic));
        let both = BooleanQuery::new(vec![(Occur::Must, filter), (Occur::Must, query)]);
        self.searcher.search(&both, &DocSetCollector).expect("searched").len()
    }
}

/// What this thread has computed, where Linux tells: on a busy machine the clock on the wall tells of others.
fn cpu_ms() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or_default() / 1e6
}

/// A search over all mailboxes, as discovery does it: when the first has hits.
fn first_of_shard(ours: &dyn TextIndex, word: &str) {
    let (start, view) = (Instant::now(), ours.view());
    let expr = leaf(TextField::Content, word, false);
    let has = |m: &MailboxId| view.find(*m, &expr).expect("found").is_some_and(|f| !f.sure.is_empty());
    let first = view.mailboxes().expect("mailboxes").into_iter().find(has);
    println!("{word:?} in the shard: first hit ({first:?}) after {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
}

fn leaf(field: TextField, text: &str, prefix: bool) -> SearchExpr {
    SearchExpr::Words(Words { fields: vec![field], text: text.into(), prefix, suffix: false })
}

/// A kind of query: field, text, and whether it may go on.
type Kind<'a> = dyn Fn(&mut Dice) -> (TextField, String, bool) + 'a;

/// Asks both the same.
fn ask(corpus: &Corpus, ours: &dyn TextIndex, plain: Option<&Plain>, mailboxes: u32, all: u32) {
    let mut dice = Dice(7);
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let mut phrases = Vec::new();
    for _ in 0..2_000 {
        let doc = corpus.doc(dice.roll() % u64::from(all));
        for (_, text) in doc.texts.iter().filter(|(f, _)| *f == TextField::Content) {
            let words: Vec<&str> =
                text.split_whitespace().filter(|w| w.len() > 2 && w.bytes().all(|b| b.is_ascii_alphabetic())).collect();
            words.iter().for_each(|w| *counts.entry(w.to_lowercase()).or_default() += 1);
            let at = dice.below(words.len());
            // In a row in the text itself, too.
            if let Some([a, b]) = words.get(at..at + 2).filter(|w| text.contains(&w.join(" "))) {
                phrases.push(format!("{a} {b}"));
            }
        }
    }
    let mut by_count: Vec<(u32, String)> = counts.into_iter().map(|(w, n)| (n, w)).collect();
    by_count.sort();
    let rare: Vec<String> = by_count.iter().filter(|(n, _)| *n == 1).map(|(_, w)| w.clone()).collect();
    let common: Vec<String> = by_count.iter().rev().take(20).map(|(_, w)| w.clone()).collect();
    let senders: Vec<String> = corpus
        .docs
        .iter()
        .flat_map(|d| &d.texts)
        .filter(|(f, _)| *f == TextField::From)
        .filter_map(|(_, t)| {
            t.split(|c: char| c.is_whitespace() || matches!(c, '<' | '>')).find(|w| w.contains('@')).map(String::from)
        })
        .collect();
    let pick = |list: &[String], dice: &mut Dice| list[dice.below(list.len())].clone();
    let kinds: [(&str, &Kind<'_>); 7] = [
        ("rare word", &|d| (TextField::Content, pick(&rare, d), false)),
        ("common word", &|d| (TextField::Content, pick(&common, d), false)),
        ("phrase", &|d| (TextField::Content, pick(&phrases, d), false)),
        ("common phrase", &|d| (TextField::Content, format!("{} {}", pick(&common, d), pick(&common, d)), false)),
        ("prefix (4)", &|d| (TextField::Content, pick(&common, d).chars().take(4).collect(), true)),
        ("prefix (3)", &|d| (TextField::Content, pick(&rare, d).chars().take(3).collect(), true)),
        ("from:", &|d| (TextField::From, pick(&senders, d), false)),
    ];
    let view = ours.view();
    println!(
        "{:16} {:>9} {:>9} {:>10}   {:>9} {:>9} {:>10}",
        "ms", "ours p50", "p99", "hits", "tantivy", "p99", "hits"
    );
    for (name, query) in kinds {
        let (mut mine, mut cpu, mut theirs, mut hits, mut their_hits) = (Vec::new(), Vec::new(), Vec::new(), 0, 0);
        for i in 0..QUERIES {
            let mailbox = 1 + u64::from(dice.roll() as u32 % mailboxes);
            let (field, text, prefix) = query(&mut dice);
            let expr = leaf(field.clone(), &text, prefix);
            let (start, busy) = (Instant::now(), cpu_ms());
            let found = view.find(MailboxId(mailbox), &expr);
            // The first ones warm the cache.
            if i >= 20 {
                mine.push(start.elapsed().as_secs_f64() * 1e3);
                cpu.push(cpu_ms() - busy);
            }
            hits += found.ok().flatten().map_or(0, |f| f.sure.len());
            let start = Instant::now();
            let field = if field == TextField::From { "from" } else { "content" };
            their_hits += plain.map_or(0, |p| p.find(mailbox, field, &text, prefix));
            if i >= 20 {
                theirs.push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
        let at = |times: &mut Vec<f64>, share: f64| {
            times.sort_by(f64::total_cmp);
            times[((times.len() - 1) as f64 * share) as usize]
        };
        println!(
            "{name:16} {:9.3} {:9.3} {:9.3} {:8}   {:9.3} {:9.3} {:8}",
            at(&mut mine, 0.5),
            at(&mut mine, 0.99),
            at(&mut cpu, 0.99),
            hits / QUERIES,
            at(&mut theirs, 0.5),
            at(&mut theirs, 0.99),
            their_hits / QUERIES
        );
    }
    let start = Instant::now();
    let (mut found, word) = (0, &common[0]);
    if mailboxes > 1 {
        first_of_shard(ours, word);
    }
    let expr = leaf(TextField::Content, word, false);
    for mailbox in view.mailboxes().expect("mailboxes") {
        found += view.find(mailbox, &expr).expect("found").map_or(0, |f| f.sure.len());
    }
    println!("{word:?} in every mailbox: {found} hits in {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
}

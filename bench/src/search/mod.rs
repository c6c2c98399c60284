//! Full-text search at scale: one large mailbox and many small ones, the same messages in zcluster (one node) and in
//! Dovecot with Debian's FTS; how fast they are indexed, how large the indexes are, and what searches take. Every figure
//! is of this run.

mod ask;
mod dovecot;
mod http;
mod mail;
mod node;
mod print;
mod question;
mod server;
mod vocabulary;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::Args;
use serde::Serialize;
use serde_json::json;

use self::dovecot::Dovecot;
use self::mail::Mail;
use self::node::Zcluster;
use self::question::Question;
use self::vocabulary::Vocabulary;
use crate::compare::{Column, table};
use crate::stats::{Meter, Recorder, Report, micros, number};

/// The domain of all accounts.
const DOMAIN: &str = "bench.example";
/// Whose the large mailbox is.
const LARGE: &str = "large";
/// Words looked for over all mailboxes.
const DISCOVERIES: usize = 8;

/// Options of the run.
#[derive(Args, Clone, Debug)]
pub struct SearchOptions {
    /// The binary under test.
    #[arg(long, default_value = "target/release/zcluster")]
    pub zcluster: PathBuf,
    /// Messages of the large mailbox.
    #[arg(long, default_value_t = 100_000)]
    pub large: u64,
    /// Other mailboxes.
    #[arg(long, default_value_t = 1_000)]
    pub mailboxes: u64,
    /// Messages of each of them.
    #[arg(long, default_value_t = 200)]
    pub each: u64,
    /// Distinct words that messages are made of.
    #[arg(long, default_value_t = 200_000)]
    pub words: usize,
    /// Take the words of the mail below this folder instead of made ones.
    #[arg(long)]
    pub corpus: Option<PathBuf>,
    /// What all chance comes from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Mailbox shards.
    #[arg(long, default_value_t = 4)]
    pub shards: u32,
    /// Seconds of each load.
    #[arg(long, default_value_t = 3)]
    pub seconds: u64,
    /// Whom to run: `dovecot`, `zcluster`.
    #[arg(long, num_args = 1.., value_delimiter = ',', default_value = "dovecot,zcluster")]
    pub servers: Vec<String>,
    /// The folder is of an earlier run with the same options: nothing is filled, and only the searches are put.
    #[arg(long)]
    pub ask_again: bool,
    /// Folder for all data; it must not exist, and is left behind.
    #[arg(long)]
    pub folder: PathBuf,
    /// Ports of the node begin here, Dovecot's 100 above.
    #[arg(long, default_value_t = 15_500)]
    pub base_port: u16,
}

impl SearchOptions {
    /// All messages.
    pub fn messages(&self) -> u64 {
        self.large + self.mailboxes * self.each
    }

    /// Number of the message at a place of an other mailbox.
    pub fn number(&self, mailbox: u64, place: u64) -> u64 {
        self.large + mailbox * self.each + place
    }

    fn mail(&self) -> Result<Mail> {
        let words = match &self.corpus {
            Some(folder) => Vocabulary::read(folder, self.words)?,
            None => Vocabulary::made(self.seed, self.words)?,
        };
        let mail = Mail::new(self.seed, words, self.large);
        ensure!(!mail.common.is_empty(), "no word of these is part of no other");
        Ok(mail)
    }
}

/// An account's address.
fn mailbox(user: &str) -> String {
    format!("{user}@{DOMAIN}")
}

/// Whose one of the other mailboxes is.
fn other(n: u64) -> String {
    format!("box{n}")
}

/// What it took to index everything.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Indexed {
    seconds: f64,
    cpu_seconds: f64,
    bytes: u64,
}

/// What a server did before it was asked.
#[derive(Clone, Debug, Serialize)]
struct Stored {
    server: String,
    messages: u64,
    message_bytes: u64,
    text_bytes: u64,
    load: Report,
    index: Indexed,
    memory_kib: u64,
}

impl Stored {
    fn index_per_text(&self) -> f64 {
        self.index.bytes as f64 / self.text_bytes as f64
    }
}

/// Hits of the words of one kind.
#[derive(Clone, Debug, Serialize)]
struct Found {
    load: &'static str,
    expected: Vec<Option<u64>>,
    hits: Vec<u64>,
}

/// All of one server.
#[derive(Default)]
struct Side {
    stored: Option<Stored>,
    imap: Vec<Report>,
    language: Vec<Report>,
    discovery: Vec<Report>,
    found: Vec<Found>,
    name: String,
}

/// Carries out the run and prints what it measured.
///
/// # Errors
/// Whatever went wrong.
pub async fn measure(options: &SearchOptions, json: bool) -> Result<()> {
    ensure!(options.ask_again || !options.folder.exists(), "{} exists already", options.folder.display());
    ensure!(options.large > 0, "--large must be above 0");
    fs::create_dir_all(&options.folder)?;
    let options = &SearchOptions { folder: fs::canonicalize(&options.folder)?, ..options.clone() };
    let mail = options.mail()?;
    eprintln!("messages of {} distinct words; counting what must be found", mail.vocabulary_len());
    let mut questions = question::over_imap(&mail, options.large);
    question::count(&mail, options.large, &mut questions);
    let mut sides = Vec::new();
    for server in &options.servers {
        let side = match server.as_str() {
            "zcluster" => zcluster(options, &mail, &questions).await?,
            "dovecot" => match beside(options, &mail, &questions).await? {
                Some(side) => side,
                None => {
                    eprintln!(
                        "Dovecot or its FTS is not installed: skipped. `deploy/prerequisites bench` installs it."
                    );
                    continue;
                }
            },
            other => bail!("unknown server {other}: dovecot or zcluster"),
        };
        sides.push(side);
    }
    // Ours first.
    sides.sort_by_key(|side| !side.name.starts_with("zcluster"));
    print(sides, json)
}

fn print(sides: Vec<Side>, json: bool) -> Result<()> {
    let column = |side: &Side, reports: &[Report]| Column { server: side.name.clone(), reports: reports.to_vec() };
    let of = |part: fn(&Side) -> &[Report]| -> Vec<Column> {
        sides.iter().filter(|side| !part(side).is_empty()).map(|side| column(side, part(side))).collect()
    };
    let (imap, language, discovery) = (of(|s| &s.imap), of(|s| &s.language), of(|s| &s.discovery));
    let stored: Vec<Stored> = sides.iter().filter_map(|side| side.stored.clone()).collect();
    let names: Vec<String> = sides.iter().map(|side| side.name.clone()).collect();
    let found: Vec<Vec<Found>> = sides.into_iter().map(|side| side.found).collect();
    if json {
        let all = json!({ "servers": names, "stored": stored, "imap": imap, "language": language,
            "discovery": discovery, "found": found });
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    if !stored.is_empty() {
        print::stored(&stored);
    }
    for columns in [imap, language, discovery].iter().filter(|columns| !columns.is_empty()) {
        table::print(columns);
        println!();
    }
    print::found(&names, &found);
    Ok(())
}

/// Bytes of text of all messages.
fn text_bytes(options: &SearchOptions, mail: &Mail) -> u64 {
    (0..options.messages()).map(|number| mail.sketch(number, number).text_bytes()).sum()
}

async fn zcluster(options: &SearchOptions, mail: &Mail, questions: &[Question]) -> Result<Side> {
    eprintln!("== zcluster");
    let mut side = Side::default();
    let zcluster = if options.ask_again {
        Zcluster::again(options, &options.folder).await?
    } else {
        let mut zcluster = Zcluster::new(options, &options.folder).await?;
        let (load, message_bytes) = server::fill(options, mail, &zcluster.server).await?;
        let index = zcluster.index(options).await?;
        side.stored = Some(told(options, mail, &zcluster.server.name, load, message_bytes, index));
        zcluster
    };
    side.name.clone_from(&zcluster.server.name);
    let (pid, time) = (zcluster.server.pid, Duration::from_secs(options.seconds));
    let mut sessions = ask::over_imap(&zcluster.server).await?;
    side.imap = ask::all(questions, &mut sessions, pid, time, &mut side.found).await?;
    drop(sessions);
    let mut language = question::in_language(mail);
    question::count(mail, options.large, &mut language);
    let mut sessions = ask::at(&zcluster).await?;
    side.language = ask::all(&language, &mut sessions, pid, time, &mut side.found).await?;
    for (name, words) in discoveries(mail) {
        side.discovery.extend(ask::discover(&zcluster, name, &words, &mut side.found).await?);
    }
    if let Some(stored) = &mut side.stored {
        stored.memory_kib = zcluster.server.watch().memory_kib();
    }
    Ok(side)
}

/// What is looked for over all mailboxes.
fn discoveries(mail: &Mail) -> [(&'static str, Vec<String>); 2] {
    let some = |words: &[String], count: usize| words.iter().take(count).cloned().collect();
    [
        ("all mailboxes, rare word", some(&mail.rare, DISCOVERIES)),
        ("all mailboxes, common word", some(&mail.common, DISCOVERIES / 4)),
    ]
}

/// The same with Dovecot.
async fn beside(options: &SearchOptions, mail: &Mail, questions: &[Question]) -> Result<Option<Side>> {
    let Some(dovecot) = dovecot::start(options, &options.folder.join("dovecot")).await? else { return Ok(None) };
    eprintln!("== {}", dovecot.server.name);
    let mut side = Side { name: dovecot.server.name.clone(), ..Side::default() };
    if !options.ask_again {
        let (load, message_bytes) = server::fill(options, mail, &dovecot.server).await?;
        eprintln!("   {} messages a second appended; indexing", number(load.per_second));
        let index = dovecot.index(options).await?;
        side.stored = Some(told(options, mail, &side.name, load, message_bytes, index));
    }
    let time = Duration::from_secs(options.seconds);
    let mut sessions = ask::over_imap(&dovecot.server).await?;
    side.imap = ask::all(questions, &mut sessions, dovecot.server.pid, time, &mut side.found).await?;
    if let Some(stored) = &mut side.stored {
        stored.memory_kib = dovecot.server.watch().memory_kib();
    }
    drop(sessions);
    for (name, words) in discoveries(mail) {
        side.discovery.extend(discover(&dovecot, name, &words, &mut side.found).await?);
    }
    Ok(Some(side))
}

async fn discover(
    dovecot: &Dovecot,
    name: &'static str,
    words: &[String],
    found: &mut Vec<Found>,
) -> Result<Vec<Report>> {
    let (mut firsts, mut lasts, mut hits) = (Recorder::default(), Recorder::default(), Vec::new());
    dovecot.discover(&words[0]).await?;
    let (meter, before, began) = (Meter::start(&[]), dovecot::children_cpu(), Instant::now());
    for word in words {
        let (first, last, count) = dovecot.discover(word).await?;
        firsts.record(first);
        lasts.record(last);
        hits.push(count);
        // Some take a minute.
        if began.elapsed() > Duration::from_secs(60) {
            break;
        }
    }
    let cpu = (dovecot::children_cpu() - before) * 1e3 / hits.len() as f64;
    let mut reports = ask::both(name, meter, firsts, lasts);
    reports.iter_mut().filter(|r| r.load.ends_with("all hits")).for_each(|r| r.cpu_s_per_1000 = Some(cpu));
    found.push(Found { load: name, expected: vec![None; hits.len()], hits });
    Ok(reports)
}

fn told(
    options: &SearchOptions,
    mail: &Mail,
    server: &str,
    load: Report,
    message_bytes: u64,
    index: Indexed,
) -> Stored {
    let text_bytes = text_bytes(options, mail);
    let messages = options.messages();
    let stored = Stored { server: server.to_owned(), messages, message_bytes, text_bytes, load, index, memory_kib: 0 };
    eprintln!(
        "   {} messages a second appended, {} indexed, {:.2} bytes of index per byte of text",
        number(stored.load.per_second),
        number(messages as f64 / index.seconds),
        stored.index_per_text()
    );
    stored
}

fn progress(report: &Report) {
    let cpu = report.cpu_s_per_1000.map_or_else(String::new, |cpu| format!(", {cpu:.2} CPU-ms each"));
    let error = report.first_error.as_deref().unwrap_or("");
    eprintln!(
        "   {:<48} {:>9}/s, p50 {}, p99 {}{cpu}, {} errors {error}",
        report.load,
        number(report.per_second),
        micros(report.p50_us),
        micros(report.p99_us),
        report.errors
    );
}

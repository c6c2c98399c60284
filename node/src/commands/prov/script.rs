//! Lines from a file or from stdin.

use super::link::Link;
use super::{refusal, show};
use crate::cli::Prov;
use anyhow::{Context, Result};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::sync::mpsc;
use zcluster_prov::words::{LINE_BYTES_MAX, Line, Script, quote};
use zcluster_runtime::{Instant, spawn};

/// Lines that are sent together.
const TOGETHER: usize = 100;
/// Bytes of their words.
const TOGETHER_BYTES: usize = 128 * 1024;
/// Lines read ahead.
const AHEAD: usize = 1_000;
/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// Where lines come from.
pub enum Source {
    File(PathBuf),
    Stdin,
}

type Read = Result<Line, (usize, String)>;

/// Carries out all lines; those that are refused are told, and the others go on.
///
/// # Errors
/// The file cannot be read; no node can be reached.
pub async fn run(link: &mut Link, source: Source, args: &Prov) -> Result<u8> {
    let reader: Pin<Box<dyn AsyncBufRead + Send>> = match source {
        Source::Stdin => {
            let own = io::stdin().as_fd().try_clone_to_owned().context("cannot read stdin")?;
            Box::pin(BufReader::new(tokio::fs::File::from_std(own.into())))
        }
        Source::File(path) => {
            let file = tokio::fs::File::open(&path).await;
            Box::pin(BufReader::new(file.with_context(|| format!("cannot read {}", path.display()))?))
        }
    };
    let (sender, mut lines) = mpsc::channel(AHEAD);
    spawn(read(reader, sender));
    let mut progress = Progress::new();
    while let Some(first) = lines.recv().await {
        let mut batch = vec![first];
        let mut bytes = 0;
        // A program that writes a line and waits for its answer gets it: only what is there already goes together.
        while batch.len() < TOGETHER && bytes < TOGETHER_BYTES && batch.last().is_some_and(|l| !is_exit(l)) {
            let Ok(line) = lines.try_recv() else { break };
            bytes += line.as_ref().map_or(0, |l: &Line| l.words.iter().map(String::len).sum());
            batch.push(line);
        }
        if !carry_out(link, batch, args, &mut progress).await? {
            break;
        }
    }
    progress.end();
    Ok(u8::from(progress.refused > 0) * super::REFUSED)
}

fn is_exit(line: &Read) -> bool {
    line.as_ref().is_ok_and(|l| ["exit", "quit"].iter().any(|e| l.words[0].eq_ignore_ascii_case(e)))
}

/// Carries out some lines; whether more are to follow.
async fn carry_out(link: &mut Link, batch: Vec<Read>, args: &Prov, progress: &mut Progress) -> Result<bool> {
    let ends = batch.last().is_some_and(is_exit);
    let mut left: &[Read] = &batch[..batch.len() - usize::from(ends)];
    while let Some(first) = left.first() {
        let Ok(_) = first else {
            if let Err((number, text)) = first {
                eprintln!("{}", refusal("service.INVALID_REQUEST", text, Some(*number)));
            }
            progress.tell(true);
            left = &left[1..];
            continue;
        };
        let good: Vec<&Line> = left.iter().map_while(|l| l.as_ref().ok()).collect();
        let words: Vec<Vec<String>> = good.iter().map(|l| l.words.clone()).collect();
        let outcomes = link.send(&words).await.with_context(|| format!("at line {}", good[0].number))?;
        let done = outcomes.len();
        for (line, outcome) in good.iter().zip(outcomes) {
            if args.verbose {
                println!("{}", line.words.iter().map(|w| quote(w)).collect::<Vec<_>>().join(" "));
            }
            let carried_out = show(link, &line.words, outcome, Some(line.number)).await?;
            progress.tell(!carried_out);
        }
        io::stdout().flush()?;
        left = &left[done..];
    }
    Ok(!ends)
}

/// Reads lines until the end, or until nobody wants them. What cannot be read ends it: nobody knows whether the lines behind
/// are commands or the rest of a value.
async fn read(mut reader: Pin<Box<dyn AsyncBufRead + Send>>, lines: mpsc::Sender<Read>) {
    let mut script = Script::default();
    let mut number = 0;
    loop {
        let mut bytes = Vec::new();
        // Not a byte more is kept of a line than one may have.
        let limit = LINE_BYTES_MAX as u64 + 2;
        let read = (&mut reader).take(limit).read_until(b'\n', &mut bytes).await;
        number += 1;
        let ended = matches!(read, Ok(0));
        let line = match read {
            Err(e) => Err((number, e.to_string())),
            Ok(0) => std::mem::take(&mut script).end(),
            Ok(_) => match String::from_utf8(bytes) {
                Ok(text) => script.push(text.strip_suffix('\n').unwrap_or(&text)),
                Err(_) => Err((number, "a line that is not UTF-8".into())),
            },
        };
        let unreadable = line.is_err();
        let line = line.map_err(|(number, text)| (number, format!("{text}; nothing behind it is read")));
        let sent = match line.transpose() {
            Some(line) => lines.send(line).await.is_ok(),
            None => true,
        };
        if ended || unreadable || !sent {
            return;
        }
    }
}

/// Tells on stderr how a long script goes.
struct Progress {
    begun: Instant,
    told: Instant,
    lines: usize,
    refused: usize,
    was_told: bool,
}

impl Progress {
    fn new() -> Progress {
        let now = Instant::now();
        Progress { begun: now, told: now, lines: 0, refused: 0, was_told: false }
    }

    fn tell(&mut self, refused: bool) {
        self.lines += 1;
        self.refused += usize::from(refused);
        if self.told.elapsed() >= PROGRESS_EVERY {
            self.told = Instant::now();
            self.was_told = true;
            self.print();
        }
    }

    fn end(&self) {
        if self.was_told {
            self.print();
        }
    }

    fn print(&self) {
        let seconds = self.begun.elapsed().as_secs_f64().max(0.001);
        let rate = self.lines as f64 / seconds;
        eprintln!("{} lines, {} refused, {rate:.0} a second", self.lines, self.refused);
    }
}

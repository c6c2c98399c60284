//! Lines that are typed: with completion, and a history that holds no passwords.

use super::link::Link;
use super::show;
use crate::cli::Prov;
use anyhow::Result;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use std::path::PathBuf;
use zcluster_prov::complete;
use zcluster_prov::words::{Split, split};
use zcluster_runtime::spawn_blocking;

/// What zmprov asks with.
const PROMPT: &str = "prov> ";
/// Lines remembered.
const HISTORY_MAX: usize = 1_000;

/// What the editor asks while a line is written.
struct Assistant;

impl Helper for Assistant {}
impl Highlighter for Assistant {}
impl Hinter for Assistant {
    type Hint = String;
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        Ok(match split(context.input()) {
            Split::Words(_) => ValidationResult::Valid(None),
            Split::Continues | Split::Open => ValidationResult::Incomplete,
        })
    }
}

impl Completer for Assistant {
    type Candidate = String;
    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(complete::complete(line.get(..at).unwrap_or(line)))
    }
}

type Shell = Editor<Assistant, FileHistory>;

/// Reads and carries out lines until the end or `exit`.
///
/// # Errors
/// The terminal cannot be used; no node can be reached.
pub async fn run(link: &mut Link, args: &Prov) -> Result<u8> {
    let config = Config::builder().max_history_size(HISTORY_MAX)?.completion_type(CompletionType::List).build();
    let mut editor: Shell = Editor::with_config(config)?;
    editor.set_helper(Some(Assistant));
    let history = history_file();
    if let Some(path) = &history {
        // None yet, or none that can be read: the shell works without.
        let _ = editor.load_history(path);
    }
    let mut refused = false;
    loop {
        // Waiting for a person is no work for the event loop.
        let (read, returned) = spawn_blocking(move || (editor.readline(PROMPT), editor)).await?;
        editor = returned;
        let line = match read {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(e) => return Err(e.into()),
        };
        let Split::Words(words) = split(&line) else { continue };
        let Some(verb) = words.first() else { continue };
        if !complete::is_secret(&line) {
            editor.add_history_entry(line.trim())?;
        }
        if ["exit", "quit"].iter().any(|e| verb.eq_ignore_ascii_case(e)) {
            break;
        }
        if verb.starts_with('#') {
            continue;
        }
        if args.verbose {
            println!("{line}");
        }
        for outcome in link.send(std::slice::from_ref(&words)).await? {
            refused |= !show(link, &words, outcome, None).await?;
        }
    }
    if let Some(path) = &history {
        editor.save_history(path)?;
    }
    Ok(u8::from(refused) * super::REFUSED)
}

/// Where the history is kept: readable by its owner alone (the editor sees to that).
fn history_file() -> Option<PathBuf> {
    // The command line is the edge: no simulated world has a home.
    #[allow(clippy::disallowed_methods)]
    let home = std::env::var_os("HOME")?;
    Some(PathBuf::from(home).join(".zcluster_prov_history"))
}

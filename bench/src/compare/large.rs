//! The loads of one large folder, filled once.

use anyhow::Result;

use super::CompareOptions;
use crate::imap::question::{self, Question};
use crate::imap::{fetch, fill, resync};
use crate::options::ImapOptions;
use crate::stats::Report;

/// The folder's name.
pub const FOLDER: &str = "Large";
/// The names by which each load is chosen; `large` stands for all.
pub const LOADS: [&str; 5] = ["resync", "summaries", "sort", "thread", "search"];
/// Messages in the folder; a tenth with `--quick`.
const MESSAGES: usize = 100_000;
/// How often it is listed, sorted, threaded, searched.
const ROUNDS: usize = 10;
/// Sessions that fill it together.
const FILLERS: usize = 4;

/// Fills the folder and runs the wanted loads. `session` makes the options of so many connections and operations.
pub async fn run(
    options: &CompareOptions,
    session: &dyn Fn(usize, usize) -> ImapOptions,
    done: &mut dyn FnMut(Report, &str),
) -> Result<()> {
    let wanted = |name: &str| {
        let named = |name: &str| options.loads.iter().any(|load| load == name);
        options.loads.is_empty() || named("large") || named(name)
    };
    let messages = if options.quick { MESSAGES / 10 } else { MESSAGES };
    eprintln!("   filling a folder with {messages} messages");
    done(fill::run(&session(FILLERS, messages)).await?, "IMAP MULTIAPPEND");
    if wanted("summaries") {
        fetch::summaries(&session(1, 1)).await?;
        done(fetch::summaries(&session(1, ROUNDS)).await?, "FETCH envelopes, large folder");
    }
    for question in Question::ALL {
        let load = match question {
            Question::SortDate | Question::SortSubject => "sort",
            Question::Thread => "thread",
            _ => "search",
        };
        if wanted(load) {
            // What a server keeps for the next time is made by the first answer, which is told apart.
            let first = question::run(&session(1, 1), question).await?;
            done(first, &format!("{}, first", question.name()));
            let rounds = if question.is_quick() { ROUNDS * 10 } else { ROUNDS };
            done(question::run(&session(1, rounds), question).await?, question.name());
        }
    }
    if wanted("resync") {
        resync::run(&session(1, 20)).await?;
        done(resync::run(&session(1, ROUNDS * 20)).await?, "QRESYNC of the large folder");
    }
    Ok(())
}

//! Zimbra's provisioning command line: what `zmprov` takes, does and prints, over the directory.
//!
//! The node that is asked carries commands out ([`Prov`]); whoever asks reads lines ([`words`]), sends them, and prints
//! what comes back ([`Reply`]).
//!
//! | file | what |
//! |---|---|
//! | `commands.tsv` | Zimbra's commands, with aliases, arguments and categories: the table that everything else follows |
//! | `table` | looking commands up |
//! | `call` | one call's options and arguments |
//! | `pairs` | `attr value`, `+attr value`, `-attr value` |
//! | `words` | lines into words, as a shell does |
//! | `lines` | many lines at once, in few steps of the log |
//! | `reply` | answers, and how they are printed |
//! | `complete` | what the interactive shell completes |
//! | `show` | entries and pages of entries as answers |
//! | `commands` | the commands, a file for each category |
//! | `left_out` | which commands are not there, and why |

mod call;
mod commands;
pub mod complete;
mod left_out;
mod lines;
mod pairs;
mod passwords;
mod prov;
mod reply;
mod show;
pub mod table;
pub mod words;

pub use lines::LINES_MAX;
pub use prov::{LineOutcome, Prov, Request};
pub use reply::{Entry, Item, Reply};
pub use zcluster_directory::Failure;

/// [`Failure::code`] of a call that is not as the command wants it, for which nothing was asked of the directory.
pub const USAGE: &str = "usage";

pub(crate) type Outcome = Result<Reply, Failure>;

/// The call is not as the command wants it.
pub(crate) fn usage(text: impl Into<String>) -> Failure {
    Failure::new(USAGE, text)
}

#[cfg(test)]
mod tests;

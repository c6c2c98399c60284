//! Sieve (RFC 5228 and its extensions): scripts checked, and run for a message, without any I/O, clock or chance.
//!
//! ```
//! use zcluster_sieve::{Action, Context, Envelope, Limits, compile, run};
//!
//! struct World;
//! impl Context for World {
//!     fn now_ms(&self) -> i64 {
//!         1_000_000_000_000
//!     }
//! }
//!
//! let limits = Limits::default();
//! let script = compile(b"require \"fileinto\"; if header :contains \"subject\" \"[spam]\" { fileinto \"Junk\"; }", &limits)
//!     .expect("a good script");
//! let envelope = Envelope { from: "a@example.net".into(), to: "b@example.org".into(), ..Envelope::default() };
//! let outcome = run(&script, &"Subject: [spam] hi\r\n\r\n".into(), &envelope, &World, &limits);
//! assert!(matches!(&outcome.actions[..], [Action::FileInto { target, .. }] if target.mailbox == "Junk"));
//! ```
//!
//! - [`compile`] makes a [`Script`], or tells by [`Diagnostic`]s with line and column what is wrong with it. A script is
//!   cheap to clone and may be cached. [`Script::needs`] tells what a run of it may ask.
//! - [`run`], or [`run_sequence`] for the administrator's scripts around the owner's, decides what is to be done with a
//!   message. All that it asks of the outside comes from a [`Context`] that the caller has filled before.
//! - The [`Outcome`] lists [`Action`]s, merged and in order, the implicit keep included; it is never empty. On a run-time
//!   error it keeps the message as it came in INBOX, and says what happened.
//! - [`render_vacation`], [`render_notification`], [`render_reject`] and [`render_script_error`] write the mails that
//!   actions send.
//! - [`capabilities`] and [`notify_methods`] are what ManageSieve announces.
//!
//! Every bound is in [`Limits`]: of scripts' size and nesting, of steps, variables, actions, redirects. No input makes
//! anything here panic.
//!
//! Known differences from the documents: `:regex` has this engine's syntax (close to POSIX extended expressions, no
//! back references) and takes the leftmost alternative instead of the longest; `i;unicode-casemap` folds character by
//! character, without decomposition; changes that `replace` makes within a `foreverypart` loop are seen after the loop.

mod address;
mod budget;
mod compile;
mod context;
mod dates;
mod diagnostic;
mod encode;
mod extension;
mod lexer;
mod limits;
mod mail;
mod matching;
mod notify_uri;
mod outcome;
#[cfg(test)]
mod printer;
mod program;
mod render;
mod run;
mod syntax;
#[cfg(test)]
mod syntax_tests;
mod text;
mod valid;

pub use compile::{Needs, Script, compile};
pub use context::{Context, IncludeError, Location};
pub use diagnostic::{Diagnostic, Severity};
pub use extension::{capabilities, notify_methods};
pub use limits::Limits;
pub use outcome::{Action, Fcc, Notification, Outcome, Remember, ReplyBody, RuntimeError, Target, Vacation};
pub use render::{Stamp, render_notification, render_reject, render_script_error, render_vacation};
pub use run::{Envelope, run, run_sequence};

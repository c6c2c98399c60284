//! What happens to a message that has arrived for an account: its filters decide (Sieve, forwarding), one command files
//! the message and puts into the outbox what is to leave, and the owner hears of a quota that fills up. And the other
//! way: carrying what the outbox holds to where it goes.
//!
//! It stands above the inner API and below the protocols: LMTP, SMTP and the outbox hand messages to [`Deliverer`],
//! which knows no more than they do about where a mailbox lives.
//!
//! Rooms: [`Arrival`] (a message with its envelope), `scripts` (which filters run, and their cache), `context` (what
//! they may ask), `plan` (what they decided, as a command), `verdict` (spam or not), `warn` (the quota's warning),
//! `domain_usage` (what a domain holds),
//! [`submit`] (into the outbox), [`carry`] (out of it).

mod arrival;
pub mod carry;
mod config;
mod context;
mod deliverer;
mod domain_usage;
mod limiter;
mod plan;
mod scripts;
mod sign;
pub mod submit;
mod verdict;
mod warn;

pub use arrival::{Arrival, Identity, Peer};
pub use config::DeliveryConfig;
pub use deliverer::{Deliverer, Fate, Recipient};
pub use domain_usage::count as domain_usage;
pub use sign::{Signer, Signing};
pub use submit::Submission;

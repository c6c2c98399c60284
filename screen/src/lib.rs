//! What is known of a message's content and of its sender before it is taken: sender authentication (SPF, DKIM, DMARC,
//! ARC), blocked attachments, viruses (clamd), spam (rspamd, SpamAssassin), and milters for anything else.
//!
//! SMTP hands an [`Arrival`] to a [`Screen`] after the end of data and before anything is stored; what comes back says
//! whether the message is taken and which header fields it gets. Delivery reads the verdicts from those fields again
//! (`X-Spam-Flag`, `X-Spam-Score`, `X-Virus-Status`), as it does with mail that another filter handed over by LMTP.
//!
//! Rooms: [`chain`](Chain) (all checks in their order), `policy` (the cluster's settings), [`attachments`], `sender`,
//! [`service`] (programs that are asked), `milter`, `forged` and `headers` (fields that go and come), [`trainer`] and
//! [`lessons`] (what users say is spam).

mod arrival;
pub mod attachments;
mod chain;
mod forged;
mod headers;
pub mod lessons;
mod milter;
mod policy;
mod report;
mod screened;
mod sender;
pub mod service;
#[cfg(test)]
mod testing;
mod text;
pub mod trainer;

pub use arrival::{Arrival, Nothing, Screen};
pub use chain::{Chain, OnFailure, OnVirus, ScreenSettings, SpamService};
pub use milter::{DefaultAction, Milter, MilterLimits, Said};
pub use policy::{Policy, SPAM_POINTS_FULL, SpamDestiny};
pub use report::{Report, report};
pub use screened::{Answer, Disposition, Field, Screened, Spam, Virus};
pub use sender::{Judged, Mode, Resolver, ResolverSettings, SenderSettings, Witness};

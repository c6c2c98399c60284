//! What is known of a message's content and of its sender before it is taken: sender authentication (SPF, DKIM, DMARC,
//! ARC), blocked attachments, viruses (clamd), spam (rspamd, SpamAssassin), and milters for anything else.
//!
//! SMTP hands an [`Arrival`] to a [`Screen`] after the end of data and before anything is stored; what comes back says
//! whether the message is taken and which header fields it gets. Delivery reads the verdicts from those fields again
//! (`X-Spam-Flag`, `X-Spam-Score`, `X-Virus-Status`), as it does with mail that another filter handed over by LMTP.

mod arrival;
mod screened;

pub use arrival::{Arrival, Nothing, Screen};
pub use screened::{Answer, Disposition, Field, Screened, Spam, Virus};

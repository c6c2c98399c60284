//! NOTIFY, as types (RFC 5465).

use super::Fetch;

/// `NOTIFY SET` (RFC 5465 §3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// STATUS of each watched mailbox at once.
    pub status: bool,
    /// A mailbox has the events of all that it meets (RFC 5465 §6).
    pub groups: Vec<EventGroup>,
}

/// Mailboxes and what is to be told of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventGroup {
    /// Which.
    pub filter: MailboxFilter,
    /// What.
    pub events: Events,
    /// What to tell of new messages in the selected mailbox (RFC 5465 §5.2).
    pub fetch: Option<Box<Fetch>>,
}

/// Which mailboxes (RFC 5465 §6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailboxFilter {
    /// The selected one; `true`: EXPUNGE waits for a command that allows it.
    Selected(bool),
    /// Those that mail is delivered to.
    Inboxes,
    /// All of the user's own.
    Personal,
    /// Subscribed ones.
    Subscribed,
    /// These and all below.
    Subtree(Vec<String>),
    /// These and what is directly below (RFC 7377 §2.2).
    SubtreeOne(Vec<String>),
    /// These.
    Mailboxes(Vec<String>),
}

bit_set!(
    /// RFC 5465 §5.
    Events {
        /// §5.2.
        MESSAGE_NEW = 0;
        /// §5.3.
        MESSAGE_EXPUNGE = 1;
        /// §5.1.
        FLAG_CHANGE = 2;
        /// §5.4.
        MAILBOX_NAME = 3;
        /// §5.5.
        SUBSCRIPTION_CHANGE = 4;
        /// AnnotationChange, or one nobody knows: refused with BADEVENT.
        UNSUPPORTED = 5;
        /// §5.6.
        MAILBOX_METADATA = 6;
        /// §5.7.
        SERVER_METADATA = 7;
    }
);

impl Events {
    /// Those of one mailbox, and not of the server.
    pub const OF_MAILBOX: Events = Events(!Events::SERVER_METADATA.0);
    /// Those that are in `other`, too.
    #[must_use]
    pub fn only(self, other: Events) -> Events {
        Events(self.0 & other.0)
    }
}

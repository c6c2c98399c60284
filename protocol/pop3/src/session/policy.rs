//! What an account wants of POP3: `zimbraPrefPop3...` of the account, else of its COS.

use super::maildrop::store;
use zcluster_api::directory::Account;
use zcluster_api::mailbox::{Message, folders};
use zcluster_api::{Flags, FolderId, MailboxCommand, UidSet};

/// What becomes of messages that a client deletes (`zimbraPrefPop3DeleteOption`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// They stay as they are, but POP3 shows them no more.
    Keep,
    /// The same, and they are marked as read.
    Read,
    /// They move to Trash.
    Trash,
    /// They are removed for good.
    Delete,
}

impl Deletion {
    /// The command that does it.
    pub fn command(self, folder: FolderId, uids: UidSet) -> MailboxCommand {
        match self {
            Deletion::Keep => store(folder, uids, Flags::POPPED, Flags::default()),
            Deletion::Read => store(folder, uids, Flags::POPPED, Flags::UNREAD),
            Deletion::Trash => MailboxCommand::Move { from: folder, uids, to: folders::TRASH },
            // By UID whatever their flags: DELE is a mark of this session and no `\Deleted`.
            Deletion::Delete => MailboxCommand::Expunge { folder, uids, only_deleted: false },
        }
    }
}

/// An account's wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// For DELE.
    pub deletion: Deletion,
    /// Whether messages in Junk are shown too (`zimbraPrefPop3IncludeSpam`).
    pub include_junk: bool,
    /// Messages that came earlier are not shown, Unix milliseconds (`zimbraPrefPop3DownloadSince`).
    since_ms: i64,
}

impl Policy {
    /// Of an account. What is not set, or makes no sense, hides and keeps nothing.
    pub fn of(account: &Account) -> Policy {
        let deletion = match account.effective("zimbraPrefPop3DeleteOption") {
            Some("keep") => Deletion::Keep,
            Some("read") => Deletion::Read,
            Some("trash") => Deletion::Trash,
            _ => Deletion::Delete,
        };
        let since = account.effective("zimbraPrefPop3DownloadSince").and_then(zcluster_auth::generalized_time_ms);
        Policy {
            deletion,
            include_junk: account.effective("zimbraPrefPop3IncludeSpam") == Some("TRUE"),
            since_ms: since.map_or(i64::MIN, |ms| i64::try_from(ms).unwrap_or(i64::MAX)),
        }
    }

    /// Whether POP3 clients get to see a message.
    pub fn shows(&self, message: &Message) -> bool {
        message.internal_ms >= self.since_ms && !message.flags.contains(Flags::POPPED)
    }
}

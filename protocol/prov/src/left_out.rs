//! Commands of Zimbra's that sites use and that are not there, each with its reason: it is told to whoever calls them.

const LOGGERS: &str = "what is logged is set for each node (`ZCLUSTER_LOG`), not for single accounts";
const PROXY: &str = "there is no reverse proxy to configure: any node takes any connection";
const INDEX: &str = "there is no index that could be stale: searches read the mailbox itself";

/// Command and reason.
pub(crate) const LEFT_OUT: &[(&str, &str)] = &[
    ("addAccountLogger", LOGGERS),
    ("getAccountLoggers", LOGGERS),
    ("getAllAccountLoggers", LOGGERS),
    ("removeAccountLogger", LOGGERS),
    ("resetAllLoggers", LOGGERS),
    ("getAllReverseProxyBackends", PROXY),
    ("getAllReverseProxyDomains", PROXY),
    ("getAllReverseProxyURLs", PROXY),
    ("reIndexMailbox", INDEX),
    ("recalculateMailboxCounts", "counts are kept by the same step that changes a mailbox: they cannot be off"),
    ("selectMailbox", "zmmailbox is not there yet: use IMAP"),
    ("unlockMailbox", "mailboxes are never locked for maintenance"),
];

/// Why a command is not there; nothing, if it is.
pub(crate) fn why(name: &str) -> Option<&'static str> {
    LEFT_OUT.iter().find(|(n, _)| *n == name).map(|(_, why)| *why)
}

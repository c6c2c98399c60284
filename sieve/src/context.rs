//! What a run asks of the outside, all of it answered at once: the caller loads before what `Script::needs` names.

use crate::compile::Script;

/// Whose scripts an `include` means (RFC 6609 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Location {
    /// The owner's.
    Personal,
    /// The server's.
    Global,
}

/// Why there is no script to include.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IncludeError {
    /// There is none of that name; fine with `:optional`.
    #[error("there is no such script")]
    Missing,
    /// It does not compile: with the reason.
    #[error("that script does not compile: {0}")]
    Invalid(String),
    /// It could not be had: with the reason.
    #[error("that script cannot be read: {0}")]
    Unavailable(String),
}

/// The world as a script sees it. Only the clock has no default.
pub trait Context {
    /// The time of the run, Unix milliseconds. The same for all of a run.
    fn now_ms(&self) -> i64;
    /// Minutes that the owner's zone is east of UTC at an instant.
    fn zone_minutes(&self, unix_ms: i64) -> i32 {
        let _ = unix_ms;
        0
    }
    /// The owner's addresses besides the envelope's recipient: for vacation's "was it addressed to me".
    fn own_addresses(&self) -> Vec<String> {
        Vec::new()
    }
    /// The owner's name as it may stand in `From:`.
    fn own_name(&self) -> Option<String> {
        None
    }
    /// Whether a mailbox exists and can be delivered into (RFC 5490 §3.1). The name is UTF-8, as the script has it.
    fn mailbox_exists(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case("inbox")
    }
    /// Whether a mailbox, or any, has a special use such as `\Junk` (RFC 8579 §3).
    fn special_use_exists(&self, mailbox: Option<&str>, attribute: &str) -> bool {
        let _ = (mailbox, attribute);
        false
    }
    /// Whether a mailbox of that id exists and can be delivered into (RFC 9042 §4).
    fn mailbox_by_id(&self, id: &str) -> bool {
        let _ = id;
        false
    }
    /// An annotation's value, of a mailbox or (`None`) of the server (RFC 5490 §3.3, §4).
    fn metadata(&self, mailbox: Option<&str>, annotation: &str) -> Option<String> {
        let _ = (mailbox, annotation);
        None
    }
    /// An item of RFC 5183 §4.1, lower case: `domain`, `host`, `location`, `name`, `phase`, `remote-host`, `remote-ip`,
    /// `version`; `None` when it is not known.
    fn environment(&self, item: &str) -> Option<String> {
        let _ = item;
        None
    }
    /// How likely the message is spam, 0 to 100; `None` when nobody looked (RFC 5235 §3.2).
    fn spam_percent(&self) -> Option<u8> {
        None
    }
    /// 1 (clean) to 5 (certainly infected); `None` when nobody looked (RFC 5235 §3.3).
    fn virus(&self) -> Option<u8> {
        None
    }
    /// The compiled script that an `include` names.
    ///
    /// # Errors
    /// [`IncludeError`] when there is none to run.
    fn include(&self, location: Location, name: &str) -> Result<Script, IncludeError> {
        let _ = (location, name);
        Err(IncludeError::Missing)
    }
    /// Whether an id of the `duplicate` test is remembered and has not expired (RFC 7352 §3).
    fn seen(&self, id: &[u8; 32]) -> bool {
        let _ = id;
        false
    }
}

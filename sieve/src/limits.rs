//! Every bound of compiling and running, in one place.

/// Bounds. What the RFCs ask at least is written beside each; the defaults are above that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one script.
    pub script_bytes: usize,
    /// Blocks within blocks, and tests within tests (RFC 5228 §2.10.5: at least 15).
    pub nesting: usize,
    /// Commands of one script.
    pub commands: usize,
    /// Strings and numbers of one script, lists counted by their strings.
    pub arguments: usize,
    /// Bytes that one compiled regular expression may take.
    pub regex_bytes: usize,
    /// Bytes that all compiled regular expressions of one script may take together, roughly: this many at their limit.
    pub regexes: usize,

    /// Steps of a run: a command, a test, or 64 bytes looked at or made, is one.
    pub instructions: u64,
    /// Actions of a run, after merging.
    pub actions: usize,
    /// Redirects of a run (RFC 5228 §4.2 asks for a limit).
    pub redirects: usize,
    /// Notifications of a run.
    pub notifications: usize,
    /// Scripts included within each other (RFC 6609 §3.2: at least 3).
    pub include_depth: usize,
    /// Includes of a run.
    pub includes: usize,
    /// `foreverypart` loops within each other.
    pub part_depth: usize,
    /// Times that `replace` and `enclose` may change a message.
    pub replacements: usize,
    /// `addheader`s and `deleteheader`s of a run.
    pub header_edits: usize,
    /// Variables of a run (RFC 5229 §3: at least 128).
    pub variables: usize,
    /// Bytes of one variable's value and of any string made at run time; more is cut (RFC 5229 §3: at least 4,000).
    pub variable_bytes: usize,
    /// Bytes of all variables.
    pub variable_bytes_total: usize,
    /// Bytes of one body, decoded, that `body` looks at; more is not seen.
    pub body_bytes: usize,
    /// Bytes of a message that `replace`, `enclose` and `addheader` may make.
    pub message_bytes: usize,
    /// Flags of one message.
    pub flags: usize,
    /// Ids that `duplicate` may ask for in a run.
    pub duplicates: usize,
    /// Seconds that `duplicate` remembers an id at most.
    pub duplicate_seconds_max: u64,
    /// Seconds that `duplicate` remembers an id when the script does not say.
    pub duplicate_seconds_default: u64,
    /// Seconds between two vacation replies to one sender at least (RFC 5230 §4.1 with `:days`: one day;
    /// RFC 6131 §2 allows 0).
    pub vacation_seconds_min: u64,
    /// The same, at most.
    pub vacation_seconds_max: u64,
    /// The same, when the script does not say (RFC 5230 §4.1: 7 days is usual).
    pub vacation_seconds_default: u64,
}

const DAY: u64 = 86_400;

impl Default for Limits {
    fn default() -> Self {
        Limits {
            script_bytes: 256 * 1024,
            nesting: 32,
            commands: 8_192,
            arguments: 65_536,
            regex_bytes: 256 * 1024,
            regexes: 128,
            instructions: 4_000_000,
            actions: 64,
            redirects: 4,
            notifications: 4,
            include_depth: 10,
            includes: 64,
            part_depth: 10,
            replacements: 32,
            header_edits: 256,
            variables: 256,
            variable_bytes: 16 * 1024,
            variable_bytes_total: 1024 * 1024,
            body_bytes: 8 * 1024 * 1024,
            message_bytes: 64 * 1024 * 1024,
            flags: 128,
            duplicates: 16,
            duplicate_seconds_max: 30 * DAY,
            duplicate_seconds_default: 7 * DAY,
            vacation_seconds_min: 0,
            vacation_seconds_max: 365 * DAY,
            vacation_seconds_default: 7 * DAY,
        }
    }
}

//! Controls (RFC 4511 §4.1.11): what a request wants beside what it says.

use super::ber::{self, BOOLEAN, ENUMERATED, INTEGER, Malformed, OCTETS, Reader, Result, SEQUENCE, Writer, context};
use crate::config::SORT_KEYS_MAX;

/// Paged results (RFC 2696).
pub const PAGED: &str = "1.2.840.113556.1.4.319";
/// Sort request (RFC 2891).
pub const SORT: &str = "1.2.840.113556.1.4.473";
/// Sort response.
pub const SORT_RESPONSE: &str = "1.2.840.113556.1.4.474";
/// Virtual list view request (draft-ietf-ldapext-ldapv3-vlv-09).
pub const VIEW: &str = "2.16.840.1.113730.3.4.9";
/// Virtual list view response.
pub const VIEW_RESPONSE: &str = "2.16.840.1.113730.3.4.10";
/// Manage DSA IT (RFC 3296): there are no referrals, so that it changes nothing.
pub const MANAGE_DSA_IT: &str = "2.16.840.1.113730.3.4.2";
/// Pre-read (RFC 4527).
pub const PRE_READ: &str = "1.3.6.1.1.13.1";
/// Post-read (RFC 4527).
pub const POST_READ: &str = "1.3.6.1.1.13.2";
/// Assertion (RFC 4528).
pub const ASSERTION: &str = "1.3.6.1.1.12";
/// Sync request (RFC 4533).
pub const SYNC_REQUEST: &str = "1.3.6.1.4.1.4203.1.9.1.1";
/// Sync state.
pub const SYNC_STATE: &str = "1.3.6.1.4.1.4203.1.9.1.2";
/// Sync done.
pub const SYNC_DONE: &str = "1.3.6.1.4.1.4203.1.9.1.3";
/// Sync info (an intermediate response).
pub const SYNC_INFO: &str = "1.3.6.1.4.1.4203.1.9.1.4";

/// What is understood, for the root DSE.
pub const SUPPORTED: [&str; 10] =
    [PAGED, SORT, MANAGE_DSA_IT, PRE_READ, POST_READ, ASSERTION, SYNC_REQUEST, SORT_RESPONSE, VIEW, VIEW_RESPONSE];

/// A control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// What it is.
    pub oid: String,
    /// Whether the request must fail when it is not understood.
    pub critical: bool,
    /// What it says.
    pub value: Option<Vec<u8>>,
}

impl Control {
    /// Reads one.
    ///
    /// # Errors
    /// Malformed.
    pub fn read(list: &mut Reader<'_>) -> Result<Control> {
        let mut r = list.nested(SEQUENCE)?;
        let oid = r.text(OCTETS)?.to_string();
        let critical = r.maybe(BOOLEAN)?.map(ber::boolean).transpose()?.unwrap_or(false);
        let value = r.maybe(OCTETS)?.map(<[u8]>::to_vec);
        Ok(Control { oid, critical, value })
    }

    /// One for a reply.
    pub fn reply(oid: &str, value: Vec<u8>) -> Control {
        Control { oid: oid.to_string(), critical: false, value: Some(value) }
    }

    fn contents(&self) -> Result<Reader<'_>> {
        Ok(Reader::new(self.value.as_deref().ok_or(Malformed("a control without a value"))?))
    }

    /// As paged results: size of the page, cookie.
    ///
    /// # Errors
    /// It is none.
    pub fn paged(&self) -> Result<(u32, Vec<u8>)> {
        let mut r = self.contents()?.nested(SEQUENCE)?;
        let size = u32::try_from(r.integer(INTEGER)?).map_err(|_| Malformed("a page size that cannot be"))?;
        Ok((size, r.take(OCTETS)?.to_vec()))
    }

    /// As sort keys.
    ///
    /// # Errors
    /// It is none.
    pub fn sort_keys(&self) -> Result<Vec<SortKey>> {
        let mut list = self.contents()?.nested(SEQUENCE)?;
        let mut keys = Vec::new();
        while !list.is_empty() {
            if keys.len() == SORT_KEYS_MAX {
                return Err(Malformed("too many sort keys"));
            }
            let mut r = list.nested(SEQUENCE)?;
            let attr = r.text(OCTETS)?.to_string();
            let rule = r.maybe(context(0))?.map(ber::text).transpose()?.map(str::to_string);
            let reverse = r.maybe(context(1))?.map(ber::boolean).transpose()?.unwrap_or(false);
            keys.push(SortKey { attr, rule, reverse });
        }
        if keys.is_empty() { Err(Malformed("no sort key")) } else { Ok(keys) }
    }

    /// As a virtual list view.
    ///
    /// # Errors
    /// It is none.
    pub fn view(&self) -> Result<View> {
        let mut r = self.contents()?.nested(SEQUENCE)?;
        let number = |r: &mut Reader<'_>| {
            u32::try_from(r.integer(INTEGER)?).map_err(|_| Malformed("a number of entries that cannot be"))
        };
        let (before, after) = (number(&mut r)?, number(&mut r)?);
        let target = match r.peek() {
            Some(tag) if tag == ber::context_seq(0) => {
                let mut at = r.nested(tag)?;
                Target::Offset { offset: number(&mut at)?, of: number(&mut at)? }
            }
            _ => Target::Value(ber::text(r.take(context(1))?)?.to_string()),
        };
        let context = r.maybe(OCTETS)?.map(<[u8]>::to_vec);
        Ok(View { before, after, target, context })
    }

    /// As a list of attributes to show (RFC 4527 §3).
    ///
    /// # Errors
    /// It is none.
    pub fn selection(&self) -> Result<Vec<String>> {
        let mut list = self.contents()?.nested(SEQUENCE)?;
        let mut names = Vec::new();
        while !list.is_empty() {
            names.push(list.text(OCTETS)?.to_string());
        }
        Ok(names)
    }

    /// As a sync request.
    ///
    /// # Errors
    /// It is none.
    pub fn sync_request(&self) -> Result<SyncRequest> {
        let mut r = self.contents()?.nested(SEQUENCE)?;
        let persist = match r.integer(ENUMERATED)? {
            1 => false,
            3 => true,
            _ => return Err(Malformed("a synchronisation mode that we do not know")),
        };
        let cookie = r.maybe(OCTETS)?.map(<[u8]>::to_vec);
        let reload_hint = r.maybe(BOOLEAN)?.map(ber::boolean).transpose()?.unwrap_or(false);
        Ok(SyncRequest { persist, cookie, reload_hint })
    }
}

/// What to sort by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// Attribute.
    pub attr: String,
    /// Ordering rule, where it is not the attribute's own.
    pub rule: Option<String>,
    /// Greatest first.
    pub reverse: bool,
}

/// A part of a sorted result that a client wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Entries in front of the one that is meant.
    pub before: u32,
    /// And behind it.
    pub after: u32,
    /// Which is meant.
    pub target: Target,
    /// The server's word for the result, from an earlier answer.
    pub context: Option<Vec<u8>>,
}

/// An entry of a sorted result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// By its place, from one on, among so many as the client thinks there are; 0: it does not know.
    Offset {
        /// Which.
        offset: u32,
        /// Of how many.
        of: u32,
    },
    /// The first whose sort key is not less.
    Value(String),
}

/// A sync request (RFC 4533 §2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncRequest {
    /// Changes are to be told as they come.
    pub persist: bool,
    /// What the client knows already.
    pub cookie: Option<Vec<u8>>,
    /// Rather everything anew than "start over".
    pub reload_hint: bool,
}

/// The paged results control of a reply; an empty cookie: that was all.
pub fn paged_reply(cookie: &[u8]) -> Control {
    let mut w = Writer::new();
    w.nest(SEQUENCE, |w| {
        // How many there are in all is not known (RFC 2696 §3).
        w.integer(INTEGER, 0);
        w.octets(cookie);
    });
    Control::reply(PAGED, w.finish())
}

/// The sort response: result code, and the attribute that is the matter.
pub fn sort_reply(code: u32, attr: Option<&str>) -> Control {
    let mut w = Writer::new();
    w.nest(SEQUENCE, |w| {
        w.integer(ENUMERATED, i64::from(code));
        if let Some(attr) = attr {
            w.put(context(0), attr.as_bytes());
        }
    });
    Control::reply(SORT_RESPONSE, w.finish())
}

/// The response to a virtual list view: which entry was meant, of how many, result code, word for the result.
pub fn view_reply(at: usize, count: usize, code: u32, context: Option<&[u8]>) -> Control {
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let mut w = Writer::new();
    w.nest(SEQUENCE, |w| {
        w.integer(INTEGER, number(at));
        w.integer(INTEGER, number(count));
        w.integer(ENUMERATED, i64::from(code));
        if let Some(context) = context {
            w.octets(context);
        }
    });
    Control::reply(VIEW_RESPONSE, w.finish())
}

/// How an entry of a synchronisation stands (RFC 4533 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncState {
    /// New, or perhaps new.
    Add = 1,
    /// Changed.
    Modify = 2,
    /// Gone.
    Delete = 3,
}

/// The sync state control of an entry.
pub fn sync_state(state: SyncState, id: &[u8; 16], cookie: Option<&[u8]>) -> Control {
    let mut w = Writer::new();
    w.nest(SEQUENCE, |w| {
        w.integer(ENUMERATED, state as i64);
        w.octets(id);
        if let Some(cookie) = cookie {
            w.octets(cookie);
        }
    });
    Control::reply(SYNC_STATE, w.finish())
}

/// The sync done control.
pub fn sync_done(cookie: &[u8], refresh_deletes: bool) -> Control {
    let mut w = Writer::new();
    w.nest(SEQUENCE, |w| {
        w.octets(cookie);
        if refresh_deletes {
            w.boolean(BOOLEAN, true);
        }
    });
    Control::reply(SYNC_DONE, w.finish())
}

/// The sync info message that ends the refresh of a synchronisation that goes on: `refreshPresent`, or `refreshDelete`
/// where only changes were told.
pub fn sync_info_refreshed(cookie: &[u8], deletes: bool) -> Vec<u8> {
    let mut w = Writer::new();
    w.nest(ber::context_seq(if deletes { 1 } else { 2 }), |w| w.octets(cookie));
    w.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sort_replies() {
        assert_eq!(sort_reply(0, None).value.as_deref(), Some(&b"\x30\x03\x0a\x01\x00"[..]));
        assert_eq!(sort_reply(16, Some("cn")).value.as_deref(), Some(&b"\x30\x07\x0a\x01\x10\x80\x02cn"[..]));
    }

    #[test]
    fn pages() {
        let reply = paged_reply(b"here");
        assert_eq!(reply.paged(), Ok((0, b"here".to_vec())));
        assert!(Control { value: None, ..reply }.paged().is_err());
    }

    proptest! {
        #[test]
        fn any_value(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let control = Control { oid: String::new(), critical: false, value: Some(bytes) };
            let _ = (control.paged(), control.sort_keys(), control.selection(), control.sync_request());
            let _ = control.view();
        }
    }
}

//! Virtual list views (draft-ietf-ldapext-ldapv3-vlv-09): some entries of a sorted result, around one of them. The whole
//! result is kept between two requests, so that scrolling does not search anew.

use super::search::Task;
use crate::codec::controls::{Control, SortKey, Target, View, sort_reply, view_reply};
use crate::codec::reply::Extras;
use crate::errors::{Code, Outcome, Stop, refused};
use crate::search::{Found, Sortable, check_keys, compare_key};
use crate::session::{Done, Session};
use std::cmp::Ordering;

/// A sorted result of which the client sees a part.
pub struct Viewed {
    /// Which it is: the context that the client was told.
    token: [u8; 8],
    /// Search and order that it was made for.
    digest: [u8; 8],
    entries: Vec<Sortable>,
}

/// Sends a part of a sorted result.
pub async fn run(
    session: &mut Session,
    task: &mut Task,
    found: Option<Found>,
    keys: Option<Vec<SortKey>>,
    view: View,
) -> Done {
    let Some(keys) = keys else { return told(Code::SortControlMissing, 0, 0, None, None) };
    if let Err((code, attr)) = check_keys(&keys) {
        return told(Code::InappropriateMatching, 0, 0, None, Some(sort_reply(code as u32, Some(&attr))));
    }
    let digest = super::paging::digest_of(&task.search, &keys);
    let kept = session.viewed.take().filter(|v| v.digest == digest && view.context.as_deref() == Some(&v.token[..]));
    let viewed = match kept {
        Some(viewed) => viewed,
        None => match task.sorted(session, found, &keys).await? {
            Ok(entries) => {
                let token = zcluster_runtime::random_u64().to_be_bytes();
                Viewed { token, digest, entries }
            }
            Err((code, _)) => return told(code, 0, 0, None, Some(sort_reply(code as u32, None))),
        },
    };
    let count = viewed.entries.len();
    let Some(at) = position(&viewed.entries, &keys, &view.target) else {
        return told(Code::OffsetRangeError, 0, count, Some(&viewed.token), Some(sort_reply(0, None)));
    };
    // `at` counts from one; behind the last entry it shows nothing but what stands before.
    let from = (at - 1).saturating_sub(view.before as usize);
    let to = at.saturating_add(view.after as usize).min(count);
    let part: Vec<_> = viewed.entries.get(from..to).unwrap_or_default().iter().map(|s| s.entry.clone()).collect();
    for entry in part {
        if !task.has_room() {
            return Ok((Outcome::new(Code::SizeLimitExceeded, ""), Extras::default()));
        }
        task.send(session, entry, &[]).await?;
    }
    let token = viewed.token;
    session.viewed = Some(viewed);
    told(Code::Success, at, count, Some(&token), Some(sort_reply(0, None)))
}

/// The outcome, said in the control too.
fn told(code: Code, at: usize, count: usize, context: Option<&[u8]>, sorted: Option<Control>) -> Done {
    let mut controls = Vec::from_iter(sorted);
    controls.push(view_reply(at, count, code as u32, context));
    let extras = Extras { controls, ..Extras::default() };
    let code = match code {
        Code::SortControlMissing | Code::OffsetRangeError => Code::VirtualListViewError,
        other => other,
    };
    Ok((Outcome::new(code, ""), extras))
}

/// Which entry is meant, from one on; one behind the last: a value that is greater than all. Nothing: there is no such.
fn position(entries: &[Sortable], keys: &[SortKey], target: &Target) -> Option<usize> {
    let count = entries.len();
    match target {
        Target::Offset { offset: 0, .. } => None,
        // The client's idea of how many there are may be another: it means a place in proportion.
        Target::Offset { offset, of } => {
            let (offset, of) = (*offset as usize, *of as usize);
            Some(if of == 0 || of == count {
                offset.min(count + 1)
            } else if offset >= of {
                count.max(1)
            } else {
                (count.saturating_mul(offset) / of).max(1)
            })
        }
        Target::Value(value) => {
            let key = keys.first()?;
            let before = |s: &Sortable| {
                compare_key(s.keys.first().and_then(Option::as_deref), Some(value), key.reverse) == Ordering::Less
            };
            Some(entries.partition_point(before) + 1)
        }
    }
}

/// A control that makes no sense with another one.
///
/// # Errors
/// Always.
pub fn not_with_pages<T>() -> Result<T, Stop> {
    refused(Code::ProtocolError, "a view has no pages")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Entry;
    use proptest::prelude::*;

    fn entries(values: &[&str]) -> Vec<Sortable> {
        values.iter().map(|v| Sortable { keys: vec![Some((*v).to_string())], entry: Entry::dc("x") }).collect()
    }

    #[test]
    fn places() {
        let key = |reverse| vec![SortKey { attr: "cn".into(), rule: None, reverse }];
        let offset = |offset, of| Target::Offset { offset, of };
        let value = |v: &str| Target::Value(v.to_string());
        let some = entries(&["a", "b", "b", "d"]);
        for (target, want) in [
            (offset(1, 0), Some(1)),
            (offset(4, 4), Some(4)),
            (offset(9, 4), Some(5)),
            (offset(0, 4), None),
            (offset(50, 100), Some(2)),
            (offset(1, 100), Some(1)),
            (offset(100, 100), Some(4)),
            (value("B"), Some(2)),
            (value("c"), Some(4)),
            (value("e"), Some(5)),
            (value(""), Some(1)),
        ] {
            assert_eq!(position(&some, &key(false), &target), want, "{target:?}");
        }
        assert_eq!(position(&entries(&["d", "b", "a"]), &key(true), &value("c")), Some(2));
        assert_eq!(position(&[], &key(false), &offset(1, 0)), Some(1));
    }

    proptest! {
        #[test]
        fn any_target(count in 0usize..50, offset in any::<u32>(), of in any::<u32>()) {
            let all = entries(&vec!["a"; count]);
            let key = vec![SortKey { attr: "cn".into(), rule: None, reverse: false }];
            if let Some(at) = position(&all, &key, &Target::Offset { offset, of }) {
                prop_assert!(at >= 1 && at <= count + 1);
            }
        }
    }
}

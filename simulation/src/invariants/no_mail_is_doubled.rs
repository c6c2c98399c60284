//! A message is there no more often than it was delivered, appended and copied: a retry, whoever makes it, makes no second
//! copy (DESIGN: request ids and delivery keys; distributed.md §4.4: exactly one copy per delivery key).

use super::census::Census;
use super::story::{account_of, may_be, may_have_happened, told};
use super::{Check, broken};
use crate::history::{Outcome, Record, Reply, What};
use std::collections::BTreeMap;

const PROMISE: &str = "no_mail_is_doubled";

/// Counts every message.
///
/// # Errors
/// One is there too often.
pub fn check(census: &Census, records: &[Record]) -> Check {
    for (account, mailbox) in census.each_mailbox() {
        let mut there: BTreeMap<u32, usize> = BTreeMap::new();
        mailbox.all().filter_map(|(_, _, kept)| kept.id).for_each(|id| *there.entry(id).or_default() += 1);
        for (id, count) in there {
            let made: Vec<&Record> =
                records.iter().filter(|r| account_of(&r.what) == Some(account) && makes(r, id)).collect();
            if count > made.len() {
                let made: Vec<String> = made.into_iter().map(told).collect();
                return broken(PROMISE, format!("m{id} is {count} times in u{account}: {}", made.join("; ")));
            }
        }
    }
    Ok(())
}

/// Whether the operation may have made one more of the message.
fn makes(record: &Record, id: u32) -> bool {
    let copied_nothing = matches!(record.outcome, Outcome::Done(Reply::Copied { copied: None }));
    may_have_happened(record)
        && match record.what {
            What::Deliver { message, .. } | What::Append { message, .. } => message == id,
            What::Copy { message, .. } => may_be(message, id) && !copied_nothing,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn a_second_copy_is_seen() {
        let twice = census(vec![contents(0, vec![kept(1, 5), kept(2, 5)])]);
        assert!(check(&twice, &[deliver((0, 10), 5)]).is_err());
        assert_eq!(check(&twice, &[deliver((0, 10), 5), append((0, 10), 0, 5, 2)]), Ok(()));
        assert_eq!(check(&twice, &[deliver((0, 10), 5), copy((0, 10), (0, 1), 5, 0, Outcome::Unknown)]), Ok(()));
        let nothing = Outcome::Done(Reply::Copied { copied: None });
        assert!(check(&twice, &[deliver((0, 10), 5), copy((0, 10), (0, 1), 5, 0, nothing)]).is_err());
        assert!(check(&twice, &[deliver((0, 10), 5), moved((0, 10), (0, 1), 5, 0, copied(2))]).is_err());
    }
}

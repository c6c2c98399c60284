//! A mailbox is at home in exactly one shard, every node's directory agrees which, and no other shard answers for it
//! (DESIGN: homes and epochs; distributed.md §4.4: a mailbox is active on exactly one shard per epoch).

use super::census::Census;
use super::{Check, broken};
use std::collections::BTreeMap;
use zcluster_api::GroupId;

const PROMISE: &str = "one_home_per_mailbox";

/// Compares what the directories say and which shards answer.
///
/// # Errors
/// They disagree.
pub fn check(census: &Census) -> Check {
    let mut owners = BTreeMap::new();
    let mut homes = BTreeMap::new();
    for ((account, node), known) in &census.accounts {
        let Some(known) = known else {
            return broken(PROMISE, format!("node {node}'s directory does not know u{account}"));
        };
        let first = *homes.entry(*account).or_insert(known.home);
        if first != known.home {
            return broken(
                PROMISE,
                format!("u{account} is at home in {first:?} and, says node {node}, in {:?}", known.home),
            );
        }
        let owner = *owners.entry(known.home.mailbox).or_insert(*account);
        if owner != *account {
            return broken(PROMISE, format!("u{owner} and u{account} share mailbox {}", known.home.mailbox));
        }
    }
    for ((account, node), answering) in &census.answering {
        let home = homes.get(account).map_or(GroupId::DIRECTORY, |h| h.group);
        if let Some(stranger) = answering.iter().find(|g| **g != home) {
            return broken(
                PROMISE,
                format!("node {node}: group {stranger} answers for u{account}, which lives in {home}"),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use zcluster_api::directory::{Account, Attributes, Home, HomeState};
    use zcluster_api::{AccountId, Epoch, MailboxId};

    fn account(mailbox: u64, group: u32) -> Option<Account> {
        let home =
            Home { mailbox: MailboxId(mailbox), group: GroupId(group), epoch: Epoch(1), state: HomeState::Active };
        Some(Account {
            id: AccountId([0; 16]),
            name: String::new(),
            attrs: Attributes::new(),
            home,
            cos: None,
            domain: None,
        })
    }

    #[test]
    fn two_homes_are_seen() {
        let of = |accounts: Vec<((u32, u32), Option<Account>)>, answering: Vec<((u32, u32), Vec<u32>)>| {
            let answering = answering.into_iter().map(|(k, g)| (k, g.into_iter().map(GroupId).collect()));
            check(&Census {
                accounts: accounts.into_iter().collect(),
                answering: answering.collect(),
                ..Census::default()
            })
        };
        let good = vec![((0, 1), account(7, 1)), ((0, 2), account(7, 1)), ((1, 1), account(8, 1))];
        assert_eq!(of(good.clone(), vec![((0, 1), vec![1]), ((0, 2), vec![])]), Ok(()));
        assert!(of(good, vec![((0, 1), vec![1, 2])]).is_err());
        assert!(of(vec![((0, 1), account(7, 1)), ((0, 2), account(7, 2))], vec![]).is_err());
        assert!(of(vec![((0, 1), account(7, 1)), ((1, 1), account(7, 1))], vec![]).is_err());
        assert!(of(vec![((0, 1), None)], vec![]).is_err());
    }
}

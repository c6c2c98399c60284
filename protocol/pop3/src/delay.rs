//! When accounts last began a session on this node, for LOGIN-DELAY (RFC 2449 §6.5).

use crate::config::DELAYS_MAX;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;
use zcluster_api::AccountId;
use zcluster_runtime::Instant;

/// The table. An account that a full table has lost may sign in early.
#[derive(Default)]
pub struct Delays(Mutex<Table>);

#[derive(Default)]
struct Table {
    last: BTreeMap<AccountId, Instant>,
    /// In the order of time.
    order: VecDeque<(Instant, AccountId)>,
}

impl Delays {
    /// Whether a session may begin now; if so, it is noted. A refused attempt does not put the next one off.
    pub fn allow(&self, account: AccountId, delay: Duration) -> bool {
        if delay.is_zero() {
            return true;
        }
        let Ok(mut guard) = self.0.lock() else { return true };
        let table = &mut *guard;
        let now = Instant::now();
        while let Some((at, oldest)) = table.order.front().copied() {
            if now - at < delay && table.order.len() < DELAYS_MAX {
                break;
            }
            table.order.pop_front();
            // A later session of the same account stands further back once more.
            if table.last.get(&oldest) == Some(&at) {
                table.last.remove(&oldest);
            }
        }
        if table.last.get(&account).is_some_and(|at| now - *at < delay) {
            return false;
        }
        table.last.insert(account, now);
        table.order.push_back((now, account));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(n: u32) -> AccountId {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&n.to_le_bytes());
        AccountId(id)
    }

    #[test]
    fn one_session_at_a_time() {
        let delays = Delays::default();
        let long = Duration::from_secs(60);
        assert!(delays.allow(account(1), long) && delays.allow(account(2), long));
        assert!(!delays.allow(account(1), long));
        assert!(delays.allow(account(1), Duration::ZERO), "switched off");
        assert!(delays.allow(account(1), Duration::from_nanos(1)), "long ago");
    }

    #[test]
    fn is_bounded() {
        let delays = Delays::default();
        for n in 0..DELAYS_MAX as u32 + 10 {
            assert!(delays.allow(account(n), Duration::from_secs(3_600)));
        }
        let table = delays.0.lock().unwrap();
        assert!(table.last.len() <= DELAYS_MAX && table.order.len() <= DELAYS_MAX);
    }
}

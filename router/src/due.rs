//! What a node knows of when messages of the outboxes it leads are due, so that it need look neither often nor at all of
//! them. The outboxes are the truth; what is known here is a lower bound, and is forgotten now and then in any case.

use std::collections::BTreeMap;
use std::time::Duration;
use zcluster_api::GroupId;
use zcluster_replica::{DuePage, Look};

/// What is known of one outbox.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// In which term this node leads it.
    term: u64,
    /// Nothing in it has an earlier due time.
    floor_ms: u64,
    /// What became due without being told of is not due before then.
    next_ms: u64,
    /// It was told that something is due.
    told: bool,
}

impl Known {
    fn nothing(term: u64) -> Known {
        Known { term, floor_ms: 0, next_ms: 0, told: false }
    }
}

/// The outboxes that a node leads.
#[derive(Debug, Default)]
pub(crate) struct Schedule(BTreeMap<GroupId, Known>);

impl Schedule {
    /// These are led, in these terms, and no others. Who led, ceased to and leads again knows nothing.
    pub fn led(&mut self, led: impl Iterator<Item = (GroupId, u64)>) {
        let mut before = std::mem::take(&mut self.0);
        for (group, term) in led {
            let known = before.remove(&group).filter(|known| known.term == term);
            self.0.insert(group, known.unwrap_or(Known::nothing(term)));
        }
    }

    /// Says whether it is led in this term as was thought; if not, nothing is known of it any more.
    pub fn confirm(&mut self, group: GroupId, term: Option<u64>) -> bool {
        match (self.0.get_mut(&group), term) {
            (Some(known), Some(term)) if known.term == term => true,
            (Some(known), Some(term)) => {
                *known = Known::nothing(term);
                true
            }
            (_, _) => {
                self.0.remove(&group);
                false
            }
        }
    }

    /// Something may be due then, or later.
    pub fn hint(&mut self, group: GroupId, due_ms: u64, now_ms: u64) {
        let Some(known) = self.0.get_mut(&group) else { return };
        known.floor_ms = known.floor_ms.min(due_ms);
        if due_ms <= now_ms {
            known.told = true;
        } else {
            known.next_ms = known.next_ms.min(due_ms);
        }
    }

    /// All outboxes are to be looked at as if for the first time.
    pub fn forget_all(&mut self) {
        for known in self.0.values_mut() {
            *known = Known::nothing(known.term);
        }
    }

    /// The outboxes in which something may be due.
    pub fn ready(&self, now_ms: u64) -> Vec<GroupId> {
        let ready = |known: &Known| known.told || known.next_ms <= now_ms;
        self.0.iter().filter(|(_, known)| ready(known)).map(|(group, _)| *group).collect()
    }

    /// What to look at.
    pub fn look(&self, group: GroupId, now_ms: u64, max: usize) -> Look {
        let known = self.0.get(&group).copied().unwrap_or(Known::nothing(0));
        // To look behind what is due costs a walk over what was deleted there: only when it is needed.
        Look { from_ms: known.floor_ms, now_ms, max, ahead: known.next_ms <= now_ms }
    }

    /// What a look found.
    pub fn seen(&mut self, group: GroupId, look: Look, page: &DuePage) {
        let Some(known) = self.0.get_mut(&group) else { return };
        known.told = false;
        known.floor_ms = page.first_ms.unwrap_or(look.now_ms);
        if look.ahead && page.due.len() < look.max {
            known.next_ms = page.next_ms.unwrap_or(u64::MAX);
        }
    }

    /// How long nothing else will be due, as far as is known; what is due already waits for something else than time.
    pub fn wait(&self, now_ms: u64) -> Duration {
        let later = self.0.values().map(|known| known.next_ms).filter(|next| *next > now_ms).min();
        Duration::from_millis(later.map_or(u64::MAX, |next| next - now_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zcluster_api::{Epoch, MailboxId};
    use zcluster_replica::DueOutgoing;

    const GROUP: GroupId = GroupId(3);

    /// As the state machine looks.
    fn found(rows: &BTreeMap<u64, u64>, taken: &[u64], look: Look) -> DuePage {
        let mut page = DuePage::default();
        let mut by_time: Vec<(u64, u64)> = rows.iter().map(|(number, due)| (*due, *number)).collect();
        by_time.sort_unstable();
        for (due_ms, number) in by_time {
            if due_ms < look.from_ms || (!look.ahead && due_ms > look.now_ms) {
                continue;
            }
            page.first_ms.get_or_insert(due_ms);
            if due_ms > look.now_ms {
                page.next_ms = Some(due_ms);
                break;
            }
            if !taken.contains(&number) {
                page.due.push(DueOutgoing { mailbox: MailboxId(1), epoch: Epoch(1), number, due_ms });
            }
            if page.due.len() >= look.max {
                break;
            }
        }
        page
    }

    #[test]
    fn a_new_term_knows_nothing() {
        let mut schedule = Schedule::default();
        schedule.led([(GROUP, 1)].into_iter());
        let look = schedule.look(GROUP, 10, 5);
        schedule.seen(GROUP, look, &DuePage::default());
        assert!(schedule.ready(20).is_empty());
        schedule.led([(GROUP, 2)].into_iter());
        assert_eq!(schedule.ready(20), [GROUP]);
        let look = schedule.look(GROUP, 20, 5);
        schedule.seen(GROUP, look, &DuePage::default());
        assert!(schedule.confirm(GROUP, Some(3)) && schedule.ready(20) == [GROUP]);
        assert!(!schedule.confirm(GROUP, None) && schedule.ready(20).is_empty());
    }

    proptest! {
        /// Whatever is put in, moved and taken: what is due is found at its time, without a look at everything.
        #[test]
        fn nothing_due_is_missed(steps in prop::collection::vec((0u8..4, 0u64..40, 0u64..50), 1..80)) {
            let (mut rows, mut taken, mut now, mut number) = (BTreeMap::new(), Vec::new(), 1_000, 0);
            let mut schedule = Schedule::default();
            schedule.led([(GROUP, 1)].into_iter());
            for (kind, which, time) in steps {
                match kind {
                    // A new message, also by a clock that is behind; one that waits; a settled or hastened one.
                    0 | 1 => {
                        number += 1;
                        let due = if kind == 0 { now - time.min(20) } else { now + time };
                        rows.insert(number, due);
                        schedule.hint(GROUP, due, now);
                    }
                    2 => if let Some(due) = rows.get_mut(&which) {
                        taken.retain(|n| *n != which);
                        *due = now + time;
                        schedule.hint(GROUP, *due, now);
                    },
                    _ => now += time,
                }
                for group in schedule.ready(now) {
                    loop {
                        let look = schedule.look(group, now, 3);
                        let page = found(&rows, &taken, look);
                        schedule.seen(group, look, &page);
                        taken.extend(page.due.iter().map(|due| due.number));
                        // The claim moves it.
                        for due in &page.due {
                            rows.insert(due.number, now + 1_000);
                        }
                        if page.due.len() < 3 {
                            break;
                        }
                    }
                }
                let missed: Vec<_> = rows.iter().filter(|(n, due)| **due <= now && !taken.contains(n)).collect();
                prop_assert!(missed.is_empty(), "{missed:?} at {now}");
                // What is taken is its carrier's, who tells when it is due again.
                let waiting = rows.iter().filter(|(n, due)| **due > now && !taken.contains(n));
                let known = now.saturating_add(u64::try_from(schedule.wait(now).as_millis()).unwrap_or(u64::MAX));
                prop_assert!(waiting.map(|(_, due)| *due).min().is_none_or(|next| known <= next), "{known} at {now}");
            }
        }
    }
}

//! A group's own row: its clock and the counters that keep housekeeping cheap.

use crate::kv::{Kv, KvRead, Table, load, save};
use crate::objects::Packing;
use crate::proposal::Stamp;
use minicbor::{Decode, Encode};
use zcluster_api::Result;

const KEY: &[u8] = &[];

/// The one row of [`Table::Group`]: read at the begin of each apply, written at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Group {
    /// The latest proposer's clock seen, Unix milliseconds.
    #[n(0)]
    pub wall_ms: u64,
    /// A number of each apply's own, for keys that rise with time. An apply that stores several bodies takes one more
    /// for each further one.
    #[n(1)]
    pub applies: u64,
    /// Kept replies.
    #[n(2)]
    pub replies: u64,
    /// No reply of an apply before this one is kept.
    #[n(3)]
    pub replies_from: u64,
    /// Before this time no reply is old enough to go.
    #[n(4)]
    pub replies_due_ms: u64,
    /// Unfinished uploads.
    #[n(5)]
    pub uploads: u64,
    /// Rows of [`Table::Garbage`].
    #[n(6)]
    pub garbage: u64,
    /// Messages ever put into the outbox: the next one's number.
    #[n(7)]
    pub outgoing: Option<u64>,
    /// Packing, since it was first asked for.
    #[n(8)]
    pub packing: Option<Packing>,
}

impl Group {
    /// Reads the row and moves on to the next apply. The clock never goes back: a proposer that lags is overruled.
    pub fn begin(kv: &dyn Kv, wall_ms: u64) -> Result<Group> {
        let mut group: Group = load(kv, Table::Group, KEY)?.unwrap_or_default();
        group.applies += 1;
        group.wall_ms = group.wall_ms.max(wall_ms);
        Ok(group)
    }

    /// The clock, Unix milliseconds, as the last apply left it.
    pub fn now(kv: &dyn KvRead) -> Result<u64> {
        Ok(load::<Group>(kv, Table::Group, KEY)?.map_or(0, |g| g.wall_ms))
    }

    /// The row as the last apply left it.
    pub fn now_all(kv: &dyn KvRead) -> Result<Option<Group>> {
        load(kv, Table::Group, KEY)
    }

    /// Takes a number more, for one more body.
    pub fn next_origin(&mut self) {
        self.applies += 1;
    }

    /// Writes the row.
    pub fn finish(&self, kv: &mut dyn Kv) {
        save(kv, Table::Group, KEY, self);
    }

    /// Order and time for this apply.
    pub fn stamp(&self, index: u64) -> Stamp {
        Stamp { index, wall_ms: self.wall_ms }
    }
}

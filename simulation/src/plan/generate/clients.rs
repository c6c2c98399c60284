//! Who uses the cluster, and for what. Each world has a mix of operations of its own, and few accounts, so that clients
//! meet in the same mailboxes.

use super::{spread, weighted};
use crate::plan::{ClientKind, ClientPlan, Op, Shape, TimedOp};
use crate::world::Random;

/// IMAP operations, as a mix chooses among them, and how often they come where they do.
const IMAP: [(Kind, u64); 13] = [
    (Kind::Append, 5),
    (Kind::Fetch, 6),
    (Kind::Store, 6),
    (Kind::Copy, 4),
    (Kind::Move, 4),
    (Kind::Expunge, 4),
    (Kind::Create, 2),
    (Kind::Rename, 2),
    (Kind::Delete, 2),
    (Kind::Idle, 2),
    (Kind::Search, 2),
    (Kind::Status, 2),
    (Kind::Reconnect, 2),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Append,
    Fetch,
    Store,
    Copy,
    Move,
    Expunge,
    Create,
    Rename,
    Delete,
    Idle,
    Search,
    Status,
    Reconnect,
}

/// Folders that a world's clients use, at most: INBOX and `F1`-`F3`.
const FOLDERS: u64 = 4;
/// Names for CREATE, RENAME, DELETE, at most.
const NAMES: u64 = 4;
/// Flags and keywords.
const FLAGS: u64 = 6;
/// Names of accounts that administrators make.
const ACCOUNT_NAMES: u64 = 3;

/// Draws the clients and their operations, as many as `operations` says in all.
pub(super) fn draw(chance: &mut Random, shape: &Shape, operations: (u64, u64), faults_ms: u64) -> Vec<ClientPlan> {
    let mut kinds = kinds(chance, shape);
    let total = chance.range(operations.0, operations.1 + 1);
    let shares = shares(chance, kinds.len(), total);
    let mut drawer = Drawer {
        accounts: u64::from(shape.accounts),
        folders: chance.range(1, FOLDERS + 1),
        mix: mix(chance),
        large: if chance.chance(300_000) { chance.range(10_000, 100_000) as u32 } else { 0 },
        bursts: chance.chance(300_000),
        id: 0,
        delivered: Vec::new(),
    };
    let mut clients = Vec::new();
    for (kind, share) in kinds.drain(..).zip(shares) {
        let ops = drawer.operations(chance, kind, share, faults_ms);
        clients.push(ClientPlan { kind, ops });
    }
    clients
}

fn kinds(chance: &mut Random, shape: &Shape) -> Vec<ClientKind> {
    let mut kinds = vec![ClientKind::Lmtp; chance.range(1, 4) as usize];
    // Often all mail programs are of one person.
    let one = chance.chance(500_000).then(|| chance.below(u64::from(shape.accounts)) as u32);
    for _ in 0..chance.range(1, 5) {
        let account = one.unwrap_or_else(|| chance.below(u64::from(shape.accounts)) as u32);
        kinds.push(ClientKind::Imap { account });
    }
    kinds.extend(vec![ClientKind::Admin; weighted(chance, &[(0, 3), (1, 4), (2, 3)])]);
    kinds
}

/// Splits `total` into unequal parts, none of them empty.
fn shares(chance: &mut Random, parts: usize, total: u64) -> Vec<u64> {
    let weights: Vec<u64> = (0..parts).map(|_| chance.range(1, 5)).collect();
    let sum: u64 = weights.iter().sum();
    let mut shares: Vec<u64> = weights.iter().map(|w| (total * w / sum).max(1)).collect();
    let given: u64 = shares.iter().sum();
    shares[0] += total.saturating_sub(given);
    shares
}

/// About half of the operations, but always one that makes messages and one that looks at them.
fn mix(chance: &mut Random) -> Vec<(Kind, u64)> {
    let mut mix: Vec<(Kind, u64)> = Vec::new();
    for (kind, weight) in IMAP {
        if chance.chance(600_000) || matches!(kind, Kind::Append | Kind::Fetch) {
            mix.push((kind, weight * chance.range(1, 4)));
        }
    }
    mix
}

struct Drawer {
    accounts: u64,
    folders: u64,
    mix: Vec<(Kind, u64)>,
    /// Bytes of the large messages of this world, 0: it has none.
    large: u32,
    /// Clients work in bursts with long pauses, rather than evenly.
    bursts: bool,
    id: u32,
    /// Ids of messages, for SEARCH.
    delivered: Vec<u32>,
}

impl Drawer {
    fn operations(&mut self, chance: &mut Random, kind: ClientKind, share: u64, faults_ms: u64) -> Vec<TimedOp> {
        // Operations take time themselves, and what is late is carried out after the faults.
        let mean_wait = faults_ms * 8 / 10 / share.max(1);
        (0..share).map(|_| self.operation(chance, kind, mean_wait)).collect()
    }
    fn operation(&mut self, chance: &mut Random, kind: ClientKind, mean_wait: u64) -> TimedOp {
        self.id += 1;
        let wait_ms = match self.bursts {
            true if chance.chance(850_000) => chance.below(20),
            true => chance.below(12 * mean_wait),
            false => chance.below(2 * mean_wait + 1),
        };
        let op = match kind {
            ClientKind::Lmtp => self.deliver(chance),
            ClientKind::Imap { .. } => self.imap(chance),
            ClientKind::Admin => admin(chance),
        };
        TimedOp { wait_ms, id: self.id, op }
    }
    fn bytes(&self, chance: &mut Random) -> u32 {
        let large = self.large > 0 && chance.chance(100_000);
        if large { self.large } else { spread(chance, 100, 4_000) as u32 }
    }
    fn deliver(&mut self, chance: &mut Random) -> Op {
        self.delivered.push(self.id);
        let mut accounts = vec![chance.below(self.accounts) as u32];
        while chance.chance(200_000) && (accounts.len() as u64) < self.accounts {
            let next = chance.below(self.accounts) as u32;
            if !accounts.contains(&next) {
                accounts.push(next);
            }
        }
        Op::Deliver { accounts, bytes: self.bytes(chance) }
    }
    fn imap(&mut self, chance: &mut Random) -> Op {
        let kind = weighted(chance, &self.mix);
        let folder = self.folder(chance);
        let pick = chance.below(1_000) as u32;
        let name = chance.below(NAMES) as u32;
        match kind {
            Kind::Append => {
                self.delivered.push(self.id);
                Op::Append { folder, bytes: self.bytes(chance) }
            }
            Kind::Fetch => Op::Fetch { folder },
            Kind::Store => Op::Store {
                folder,
                pick,
                flag: chance.below(FLAGS) as u32,
                set: chance.chance(650_000),
                unchanged_since: chance.chance(400_000),
            },
            Kind::Copy => Op::Copy { folder, pick, to: self.folder(chance) },
            Kind::Move => Op::Move { folder, pick, to: self.folder(chance) },
            Kind::Expunge => Op::Expunge { folder, pick },
            Kind::Create => Op::Create { name },
            Kind::Rename => Op::Rename { name, to: chance.below(NAMES) as u32 },
            Kind::Delete => Op::Delete { name },
            Kind::Idle => Op::Idle { folder, ms: spread(chance, 100, 5_000) },
            Kind::Search => Op::Search { folder, of: chance.pick(&self.delivered).copied().unwrap_or(self.id) },
            Kind::Status => Op::Status { folder },
            Kind::Reconnect => Op::Reconnect,
        }
    }
    fn folder(&self, chance: &mut Random) -> u32 {
        // INBOX is where the mail is.
        if chance.chance(400_000) { 0 } else { chance.below(self.folders) as u32 }
    }
}

fn admin(chance: &mut Random) -> Op {
    let name = chance.below(ACCOUNT_NAMES) as u32;
    match weighted(chance, &[(0, 3), (1, 1), (2, 4), (3, 5)]) {
        0 => Op::CreateAccount { name },
        1 => Op::DeleteAccount { name },
        2 => Op::SetPassword { name },
        _ => Op::ReadAccount { name },
    }
}

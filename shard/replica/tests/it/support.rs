use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;
use zcluster_api::mailbox::{NewMessage, Traits, folders};
use zcluster_api::*;
use zcluster_raft::{Entry, EntryKind, Fatal, LogId, StateMachine};
use zcluster_replica::{MailboxRead, Replicas, RocksConfig, proposal};

pub const GROUP: GroupId = GroupId(3);
pub const BOX: MailboxId = MailboxId(41);
pub const EPOCH: Epoch = Epoch(1);

pub fn rocks(dir: &Path) -> Arc<Replicas> {
    let small = RocksConfig { cache_bytes: 8 << 20, write_buffer_bytes: 4 << 20, ..RocksConfig::default() };
    Replicas::open(dir, &small, Fatal::new()).unwrap()
}

/// What a power cut would leave: the files as they are now, without what was never flushed. Taken again when RocksDB
/// has changed its files meanwhile.
pub fn power_cut(from: &Path, to: &Path) {
    loop {
        let before = files(from);
        let _ = std::fs::remove_dir_all(to);
        std::fs::create_dir_all(to).unwrap();
        let mut whole = true;
        for (name, _) in before.iter().filter(|(name, _)| *name != "LOCK") {
            match std::fs::copy(from.join(name), to.join(name)) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => whole = false,
                copied => {
                    copied.unwrap();
                }
            }
        }
        if whole && files(from) == before {
            return;
        }
    }
}

/// Names and sizes, but for the log that RocksDB writes for people.
fn files(dir: &Path) -> std::collections::BTreeMap<String, u64> {
    let all = std::fs::read_dir(dir).unwrap().filter_map(|file| {
        let file = file.unwrap();
        let meta = file.metadata().ok().filter(|meta| meta.is_file())?;
        Some((file.file_name().into_string().unwrap(), meta.len()))
    });
    all.filter(|(name, _)| name != "LOG").collect()
}

pub fn request(n: u64) -> RequestId {
    let mut id = [7; 16];
    id[..8].copy_from_slice(&n.to_le_bytes());
    RequestId(id)
}

pub fn command(index: u64, command: MailboxCommand) -> Entry {
    // What is deleted stays, so that its rows are there wherever rows are compared.
    let traits = Traits { account: AccountId([1; 16]), dumpster: true, hold: false, no_files: false };
    let at = (BOX, EPOCH, 0);
    let payload = proposal::mailbox_as(None, Some(traits), request(index), 1_700_000_000_000 + index, at, command);
    Entry { id: LogId { term: 1, index }, kind: EntryKind::Normal(payload) }
}

pub fn mail(n: u64) -> Bytes {
    let text = "All work and no play makes Jack a dull boy.\r\n".repeat(20 + (n % 7) as usize * 10);
    format!("From: jack@x.org\r\nSubject: day {n}\r\nX-Day: number{n}\r\nDate: Fri, 21 Nov 1997 09:55:06 -0600\r\n\r\n{text}")
        .into()
}

pub fn message(raw: &Bytes, body: Body) -> MailboxCommand {
    MailboxCommand::AddMessage(NewMessage {
        folder: folders::INBOX,
        flags: Flags::UNREAD,
        keywords: vec![],
        internal_ms: 1_700_000_000_000,
        parsed: zcluster_mail::parsed(raw),
        body,
        delivery_key: None,
    })
}

pub fn delivery(index: u64, raw: &Bytes) -> Entry {
    command(index, message(raw, zcluster_mail::prepare(raw).inline().unwrap()))
}

/// A log: founding, the mailbox, then deliveries and an expunge now and then.
pub fn log(len: u64) -> Vec<Entry> {
    (0..len)
        .map(|index| match index {
            0 => Entry { id: LogId { term: 0, index: 0 }, kind: EntryKind::Membership(Bytes::from_static(b"members")) },
            1 => Entry { id: LogId { term: 1, index: 1 }, kind: EntryKind::Blank },
            2 => command(2, MailboxCommand::CreateMailbox),
            n if n % 10 == 9 => command(
                n,
                MailboxCommand::Expunge {
                    folder: folders::INBOX,
                    uids: UidSet::range(n as u32 / 2, n as u32 / 2),
                    only_deleted: false,
                },
            ),
            n if n % 50 == 48 => {
                command(n, MailboxCommand::PurgeDumpster { before_ms: 1_700_000_000_000 + n - 20, most: 3 })
            }
            n => delivery(n, &mail(n)),
        })
        .collect()
}

pub fn receipt(reply: &[u8]) -> Receipt {
    proposal::mailbox_reply(reply).unwrap()
}

/// Applies entries in uneven runs, as raft would.
pub fn apply(machine: &mut Box<dyn StateMachine>, entries: &[Entry]) {
    let mut rest = entries;
    let mut size = 1;
    while !rest.is_empty() {
        let (run, more) = rest.split_at(size.min(rest.len()));
        assert_eq!(machine.apply(run.to_vec()).unwrap().len(), run.len());
        (rest, size) = (more, size % 7 + 2);
    }
}

pub async fn ask(replicas: &Arc<Replicas>, query: MailboxQuery) -> Result<MailboxReply> {
    replicas.read_mailbox(MailboxRead { group: GROUP, mailbox: BOX, epoch: EPOCH, quota: 0, actor: None, query }).await
}

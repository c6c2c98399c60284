//! The bytes that other versions of this software read: a change here breaks rolling upgrades.

mod common;

use bytes::Bytes;
use common::*;
use zcluster_api::mailbox::{KeywordChange, NewMessage, Parsed, UrlAuthKey, folders};
use zcluster_api::*;
use zcluster_state::{Change as What, Proposal, Reply as Answer, Table};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn store() -> MailboxCommand {
    MailboxCommand::Store {
        folder: folders::INBOX,
        uids: UidSet::range(1, 300),
        add: Flags::FLAGGED,
        remove: Flags::UNREAD,
        keywords: KeywordChange::Add(vec!["k".into()]),
        unchanged_since: Some(ModSeq(9)),
    }
}

#[test]
fn proposals_and_replies() {
    let proposal = |what| hex(&codec::encode(&Proposal { request: RequestId([0xAB; 16]), wall_ms: 1_000, what }));
    let mailbox = What::Mailbox {
        mailbox: MailboxId(7),
        epoch: Epoch(1),
        quota: 512,
        command: store(),
        actor: None,
        traits: None,
    };
    let head = format!("018350{}1903e8", "ab".repeat(16));
    assert_eq!(
        proposal(mailbox),
        format!("{head}82018407011902008203860281818201{}", "19012c182019020082008181616b09")
    );
    let actor = Some(AccountId([0xCC; 16]));
    let mailbox =
        What::Mailbox { mailbox: MailboxId(7), epoch: Epoch(1), quota: 512, command: store(), actor, traits: None };
    let got = proposal(mailbox);
    assert!(got.starts_with(&format!("{head}8201850701190200")) && got.ends_with(&"cc".repeat(16)), "{got}");
    let directory = What::Directory(DirectoryCommand::TakeNodeNumber);
    assert_eq!(proposal(directory), format!("{head}820081820280"));
    let reply = Answer::Mailbox(Ok(Receipt::Recent(Uid(3))));
    assert_eq!(hex(&codec::encode(&reply)), "01820081820082068103");
    let reply = Answer::Directory(Err(Error::QuotaExceeded));
    assert_eq!(hex(&codec::encode(&reply)), "018201818201820380");
}

#[test]
fn stored_rows() {
    let mut rig = Rig::new();
    let body = zcluster_api::Body::Inline {
        id: BlobId([0xBB; 32]),
        size: 9,
        codec: Codec::Plain,
        stored: Bytes::from_static(b"raw"),
    };
    let parsed =
        Parsed { summary: Bytes::from_static(b"sum"), sent_ms: Some(-1), has_attachment: true, ..Parsed::default() };
    rig.run(MailboxCommand::AddMessage(NewMessage {
        folder: folders::INBOX,
        flags: Flags::UNREAD,
        keywords: vec!["K".into()],
        internal_ms: 5,
        parsed,
        body,
        delivery_key: Some(DeliveryKey([0xDD; 32])),
    }))
    .unwrap();
    let last = |table: Table| {
        let (_, key, value) = rig.kv.rows().filter(|(t, _, _)| *t == table).last().unwrap();
        format!("{table:?} {} {}", hex(key), hex(value))
    };
    use Table::*;
    let tables = [
        Group,
        Reply,
        ReplyOrder,
        Blob,
        Body,
        Mailbox,
        Folder,
        FolderName,
        Tag,
        TagName,
        Page,
        Hot,
        Cold,
        Change,
        Delivery,
        DeliveryOrder,
    ];
    // The page's bitmaps are long runs of zeros, the keys long runs of one byte.
    let short = |row: String| ["00", "bb", "dd"].iter().fold(row, |r, b| r.replace(&b.repeat(32), &format!("<{b}>")));
    let got: Vec<String> = tables.into_iter().map(|t| short(last(t))).collect();
    let want: Vec<&str> = ROWS.trim().lines().collect();
    assert_eq!(got, want, "\n{}", got.join("\n"));
}

const ROWS: &str = "
Group  01871b000001941f297c01020100000000
Reply 00000000000000000000000000000002 018200818200820185190101011a6774858002f4
ReplyOrder 0000000000000002 01821b000001941f297c015000000000000000000000000000000002
Blob <bb> 0184098200830003010201
Body 000000000000000200000000 726177
Mailbox 0000000000000007 018d01000219010209011a6774858a0c0100000100
Folder 000000000000000700000010 018d016942726965666361736505f6f41a6774858a01000000000101
FolderName 0000000000000007000000017472617368 00000003
Tag 000000000000000700000100 4b
TagName 00000000000000076b 00000100
Page 00000000000000070000000200000000 02<00>0000000000000000000000000000000000000000000000000000000000000002<00>00000000000000000000000000000000000000000000000000000000000000
Hot 00000000000000070000000200000001 0187190101021902028119010009051b000001941f297c01
Cold 000000000000000700000101 01835820<bb>204373756d
Change 00000000000000070000000000000002 0182818402818182010181808180f4
Delivery 0000000000000007<dd> 0184190101011a6774858002
DeliveryOrder 00000000000000070000000000000000 01821b000001941f297c015820<dd>
";

#[test]
fn commands_of_several_messages_and_keys() {
    let shown = |command: &MailboxCommand| hex(&codec::encode(command));
    let body = zcluster_api::Body::Inline {
        id: BlobId([0xBB; 32]),
        size: 3,
        codec: Codec::Plain,
        stored: Bytes::from_static(b"raw"),
    };
    let message = message(folders::INBOX, body);
    let one = hex(&codec::encode(&message));
    assert!(one.starts_with("01"), "{one}");
    let many = shown(&MailboxCommand::AddMessages(vec![message.clone()]));
    let replace = shown(&MailboxCommand::Replace { folder: folders::INBOX, uid: Uid(9), message });
    let inner = &one[2..];
    assert_eq!(many, format!("01820e8181{inner}"));
    assert_eq!(replace, format!("01820f830209{inner}"));
    let key = UrlAuthKey([0xAB; 32]);
    let set = MailboxCommand::SetUrlAuthKey { folder: folders::INBOX, key, keep: true };
    assert_eq!(shown(&set), format!("0182108302 5820{}f5", "ab".repeat(32)).replace(' ', ""));
    assert_eq!(shown(&MailboxCommand::DropUrlAuthKeys), "01821180");
    let receipt = Receipt::AddedMany { uids: UidSet::range(1, 3), uid_validity: 7, modseq: ModSeq(5) };
    assert_eq!(hex(&codec::encode(&receipt)), "0182088381818201030705");
    let receipt = Receipt::Replaced { uid: Uid(4), uid_validity: 7, modseq: ModSeq(5) };
    assert_eq!(hex(&codec::encode(&receipt)), "01820983040705");
    assert_eq!(hex(&codec::encode(&MailboxQuery::UrlAuthKey(folders::INBOX))), "0182088102");
    let reply = MailboxReply::UrlAuthKey(None);
    assert_eq!(hex(&codec::encode(&reply)), "01820680");
    assert_eq!(codec::decode::<MailboxReply>(&codec::encode(&reply)), Ok(reply));
}

#[test]
fn commands_of_the_queue() {
    use zcluster_api::delivery::{Content, OutgoingKind, Settlement};
    use zcluster_api::queue::{Enqueue, OutgoingClaim, PlacedSettlement, QueuePlace, Send};
    let shown = |command: &MailboxCommand| hex(&codec::encode(command));
    let place = QueuePlace { mailbox: MailboxId(7), number: 5 };
    let claims =
        MailboxCommand::ClaimOutgoings { claims: vec![OutgoingClaim { place, due_ms: 1_000 }], until_ms: 2_000 };
    assert_eq!(shown(&claims), "0182183e82818282070519 03e81907d0".replace(' ', ""));
    let settlement = Settlement {
        number: 5,
        claim: 2_000,
        done: vec!["a@x".into()],
        retry_ms: 3_000,
        note: "n".into(),
        contents: vec![],
        outgoing: vec![],
        warned: false,
    };
    let settle = MailboxCommand::SettleOutgoings(vec![PlacedSettlement { mailbox: MailboxId(7), settlement }]);
    assert_eq!(shown(&settle), "0182183f8181820788051907d08163614078190bb8616e8080f4");
    assert_eq!(hex(&codec::encode(&Receipt::ClaimedSome(vec![5, 6]))), "0182183d81820506");
    let body = zcluster_api::Body::Inline {
        id: BlobId([0xBB; 32]),
        size: 3,
        codec: Codec::Plain,
        stored: Bytes::from_static(b"raw"),
    };
    let send = Send {
        kind: OutgoingKind::Submitted,
        sender: "s".into(),
        recipients: vec!["r".into()],
        terms: None,
        not_before_ms: 0,
    };
    let enqueue = |claim_ms| {
        let content = Content { body: body.clone(), parsed: None };
        let delivery_key = DeliveryKey([0xDD; 32]);
        MailboxCommand::Enqueue(Box::new(Enqueue { content, sends: vec![send.clone()], delivery_key, claim_ms }))
    };
    // An older node's command has no claim, and is read so.
    let (old, new) = (shown(&enqueue(None)), shown(&enqueue(Some(20_000))));
    assert!(old.ends_with(&"dd".repeat(32)) && new.ends_with(&format!("{}194e20", "dd".repeat(32))), "{old} {new}");
    assert_eq!(codec::decode::<MailboxCommand>(&codec::encode(&enqueue(None))), Ok(enqueue(None)));
}

#[test]
fn deleted_messages_and_traits() {
    use zcluster_api::mailbox::{DumpsterPage, DumpsterPlace, DumpsterQuery, Recovered, Traits};
    let shown = |command: &MailboxCommand| hex(&codec::encode(command));
    let recover = MailboxCommand::Recover { items: vec![ItemId(300)], folder: Some(folders::INBOX), since_ms: Some(9) };
    assert_eq!(shown(&recover), "018218508381 19012c0209".replace(' ', ""));
    let purge = MailboxCommand::PurgeDumpster { before_ms: 1_000, most: 500 };
    assert_eq!(shown(&purge), "01821851821903e81901f4");
    let drop = MailboxCommand::DropFromDumpster { items: vec![ItemId(300)], since_ms: None };
    assert_eq!(shown(&drop), "018218528181 19012c".replace(' ', ""));
    let purge = MailboxCommand::PurgeFolder { folder: folders::TRASH, before_ms: 1_000, most: 5 };
    assert_eq!(shown(&purge), "0182185383031903e805");
    let query = DumpsterQuery {
        after: Some(DumpsterPlace { deleted_ms: 7, item: ItemId(3) }),
        limit: 2,
        ..DumpsterQuery::default()
    };
    assert_eq!(hex(&codec::encode(&MailboxQuery::Dumpster(query))), "0182185081858207 0302f6f682f4f4".replace(' ', ""));
    let page = DumpsterPage { items: 4, bytes: 5, ..DumpsterPage::default() };
    assert_eq!(hex(&codec::encode(&MailboxReply::Dumpster(page))), "018218508184 80f60405".replace(' ', ""));
    let back = Recovered { item: ItemId(3), folder: folders::INBOX, uid: Uid(9) };
    let receipt = Receipt::Recovered { messages: vec![back], modseq: ModSeq(6) };
    assert_eq!(hex(&codec::encode(&receipt)), "0182185082818303020906");
    let receipt = Receipt::Purged { items: 1, bytes: 2, more: true };
    assert_eq!(hex(&codec::encode(&receipt)), "01821851830102f5");

    // An older node's proposal has no traits, and is read so.
    let traits = Traits { account: AccountId([0xAC; 16]), dumpster: true, hold: false, no_files: true };
    let what = |traits| {
        let what = What::Mailbox {
            mailbox: MailboxId(7),
            epoch: Epoch(1),
            quota: 512,
            command: purge.clone(),
            actor: None,
            traits,
        };
        Proposal { request: RequestId([0xAB; 16]), wall_ms: 1_000, what }
    };
    let (old, new) = (hex(&codec::encode(&what(None))), hex(&codec::encode(&what(Some(traits)))));
    assert!(old.ends_with("82018407011902008218538303 1903e805".replace(' ', "").as_str()), "{old}");
    assert!(new.ends_with(&format!("8450{}f5f4f5", "ac".repeat(16))), "{new}");
    for traits in [None, Some(traits)] {
        assert_eq!(codec::decode::<Proposal>(&codec::encode(&what(traits))), Ok(what(traits)));
    }
}

#[test]
fn rows_of_deleted_messages() {
    let mut rig = Rig::new();
    rig.traits = Some(mailbox::Traits { account: AccountId([0xAC; 16]), dumpster: true, hold: false, no_files: false });
    rig.run(MailboxCommand::AddMessage(message(folders::INBOX, inline(b"raw")))).unwrap();
    rig.run(MailboxCommand::Expunge { folder: folders::INBOX, uids: UidSet::range(1, 1), only_deleted: false })
        .unwrap();
    let last = |table: Table| {
        let (_, key, value) = rig.kv.rows().filter(|(t, _, _)| *t == table).last().unwrap();
        format!("{table:?} {} {}", hex(key), hex(value)).trim_end().to_string()
    };
    let got: Vec<String> = [Table::Mailbox, Table::Dumpster, Table::DumpsterOrder].into_iter().map(last).collect();
    let want: Vec<&str> = DELETED_ROWS.trim().lines().collect();
    assert_eq!(got, want, "\n{}", got.join("\n"));
}

const DELETED_ROWS: &str = "
Mailbox 0000000000000007 019701000319010100001a6774858a0c0000000000f6f6f6f6f6f6f6f68450acacacacacacacacacacacacacacacacf5f4f4820103
Dumpster 000000000000000700000100 0185871901000219020080031903e81b000001941f297c01020165496e626f781b000001941f297c02
DumpsterOrder 0000000000000007000001941f297c0200000100
";

#[test]
fn table_codes_are_unique_and_stable() {
    let codes: Vec<u8> = Table::ALL.iter().map(|t| t.code()).collect();
    let want: Vec<u8> = (0..=11).chain(16..=32).chain([34]).chain(36..=43).chain(48..=65).chain([72]).collect();
    assert_eq!(codes, want);
    assert!(Table::ALL.iter().all(|t| Table::from_code(t.code()) == Some(*t)));
    assert_eq!(Table::from_code(200), None);
}

//! Messages through an account's filters into its mailbox and its outbox, over the mailbox machine in memory.
#![allow(missing_docs)]

use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::delivery::{Outgoing, OutgoingKind, ScriptText, Settlement};
use zcluster_api::directory::Modification;
use zcluster_api::mailbox::{Folder, Message, Want, folders};
use zcluster_api::*;
use zcluster_delivery::carry::Courier;
use zcluster_delivery::{Arrival, Deliverer, DeliveryConfig, Fate, Identity, Recipient};
use zcluster_state::memory::Memory;

const BOB: &str = "bob@example.org";
const EVE: &str = "eve@example.org";

struct Site {
    memory: Memory,
    deliverer: Arc<Deliverer>,
    bob: AccountId,
    eve: AccountId,
}

fn message(subject: &str, to: &str) -> Bytes {
    let raw = format!(
        "Return-Path: <sender@elsewhere.net>\r\nReceived: from x by y; Fri, 27 Nov 2026 10:00:00 +0000\r\n\
         From: Sender <sender@elsewhere.net>\r\nTo: <{to}>\r\nSubject: {subject}\r\n\
         Message-ID: <{subject}@elsewhere.net>\r\nDate: Fri, 27 Nov 2026 10:00:00 +0000\r\n\r\nHello.\r\n"
    );
    raw.into()
}

impl Site {
    fn new() -> Self {
        let memory = Memory::new();
        memory.set_wall_ms(zcluster_runtime::wall_ms());
        let (bob, eve) = (memory.add_account(BOB, "x"), memory.add_account(EVE, "x"));
        let api = Arc::new(memory.clone());
        let config = DeliveryConfig::new("mx.example.org");
        Site { memory, deliverer: Arc::new(Deliverer::new(api.clone(), api, config)), bob, eve }
    }

    fn call<T>(&self, account: AccountId, body: T) -> Call<T> {
        let request = RequestId(zcluster_runtime::random_bytes());
        Call { actor: Actor::System, account, request, timeout: Duration::from_secs(5), body }
    }

    async fn command(&self, account: AccountId, command: MailboxCommand) -> Result<Receipt> {
        MailboxApi::write(&self.memory, self.call(account, command)).await
    }

    async fn script(&self, account: AccountId, source: &str) {
        let text = ScriptText { name: "main".into(), source: Bytes::copy_from_slice(source.as_bytes()) };
        self.command(account, MailboxCommand::PutScript(text)).await.unwrap();
        self.command(account, MailboxCommand::ActivateScript(Some("main".into()))).await.unwrap();
    }

    async fn arrival(&self, raw: Bytes) -> Arrival {
        let identity = Identity::Content(blake3::hash(&raw));
        let sender = "sender@elsewhere.net".to_string();
        Arrival::new("id1".into(), sender, raw, 1_000, identity).await.unwrap()
    }

    async fn deliver(&self, raw: Bytes) -> Fate {
        let arrival = Arrival { refusable: true, ..self.arrival(raw).await };
        self.deliverer.deliver(&arrival, Recipient { account: self.bob, address: BOB }).await.unwrap()
    }

    async fn ask(&self, account: AccountId, query: MailboxQuery) -> MailboxReply {
        MailboxApi::read(&self.memory, self.call(account, query)).await.unwrap()
    }

    async fn folder(&self, account: AccountId, path: &str) -> Folder {
        match self.ask(account, MailboxQuery::FolderByPath(path.into())).await {
            MailboxReply::Folders(mut list) => list.remove(0),
            other => panic!("{other:?}"),
        }
    }

    async fn messages(&self, account: AccountId, folder: FolderId) -> Vec<(Message, String)> {
        let want = Want { summary: false, blob: true };
        let uids = UidSet::range(1, u32::MAX);
        let query = MailboxQuery::Messages { folder, uids, want, changed_since: None, limit: 100 };
        let MailboxReply::Messages { messages, .. } = self.ask(account, query).await else { panic!() };
        let mut out = Vec::new();
        for m in messages {
            let blob = m.blob.clone().unwrap();
            out.push((m, self.body(account, blob).await));
        }
        out
    }

    async fn body(&self, account: AccountId, blob: BlobRef) -> String {
        use futures::StreamExt;
        let size = blob.size;
        let mut stream = MailboxApi::get(&self.memory, self.call(account, blob), 0..size).await.unwrap();
        let mut all = Vec::new();
        while let Some(piece) = stream.next().await {
            all.extend_from_slice(&piece.unwrap());
        }
        String::from_utf8_lossy(&all).into_owned()
    }

    async fn outbox(&self, account: AccountId) -> Vec<Outgoing> {
        match self.ask(account, MailboxQuery::Outgoing(0)).await {
            MailboxReply::Outgoing(all) => all,
            other => panic!("{other:?}"),
        }
    }

    fn set(&self, id: AccountId, name: &str, value: &str) {
        let changes = vec![Modification::set(name, value)];
        self.memory.command(DirectoryCommand::ModifyAccount { id, changes }).unwrap();
    }

    /// Does with the outbox what a shard's leader does.
    async fn carry(&self, account: AccountId, courier: &Courier) {
        for waiting in self.outbox(account).await {
            let claim = MailboxCommand::ClaimOutgoing {
                number: waiting.number,
                due_ms: waiting.due_ms,
                until_ms: waiting.due_ms + 1_000,
            };
            let Receipt::Claimed(Some(message)) = self.command(account, claim).await.unwrap() else { panic!() };
            let raw = self.body(account, message.blob.clone()).await.into();
            let (number, claim) = (message.number, message.due_ms);
            let carried = Carrier::carry(courier, Letter { group: GroupId(1), message: *message, raw }).await;
            let (mut contents, mut outgoing) = (Vec::new(), Vec::new());
            for (body, new) in carried.reports {
                contents.push(delivery::Content { body: body.inline().unwrap(), parsed: None });
                outgoing.push(new);
            }
            let (done, note, retry_ms, warned) = (carried.done, carried.note, claim + 5, carried.warned);
            let settlement = Settlement { number, claim, done, retry_ms, note, contents, outgoing, warned };
            self.command(account, MailboxCommand::SettleOutgoing(Box::new(settlement))).await.unwrap();
        }
    }
}

#[tokio::test]
async fn without_a_script_the_inbox_has_it_once() {
    let site = Site::new();
    assert_eq!(site.deliver(message("one", BOB)).await, Fate::Taken { duplicate: false });
    assert_eq!(site.deliver(message("one", BOB)).await, Fate::Taken { duplicate: true });
    let inbox = site.messages(site.bob, folders::INBOX).await;
    assert_eq!(inbox.len(), 1);
    assert!(inbox[0].0.flags.contains(Flags::UNREAD));
    assert_eq!(inbox[0].1.as_bytes(), &message("one", BOB)[..]);
}

#[tokio::test]
async fn a_script_files_flags_and_copies() {
    let site = Site::new();
    let script = "require [\"fileinto\",\"imap4flags\",\"mailbox\",\"copy\",\"special-use\"];\r\n\
        if header :is \"subject\" \"work\" { fileinto :create :flags [\"\\\\Seen\",\"$Label1\"] \"Lists/Work\"; }\r\n\
        elsif header :is \"subject\" \"junk\" { fileinto :specialuse \"\\\\Junk\" \"Spam\"; }\r\n\
        elsif header :is \"subject\" \"gone\" { discard; }\r\n\
        elsif header :is \"subject\" \"lost\" { fileinto \"No/Such\"; }\r\n";
    site.script(site.bob, script).await;
    for subject in ["work", "junk", "gone", "lost", "plain"] {
        assert_eq!(site.deliver(message(subject, BOB)).await, Fate::Taken { duplicate: false }, "{subject}");
    }
    let work = site.folder(site.bob, "Lists/Work").await;
    let filed = site.messages(site.bob, work.id).await;
    assert_eq!(filed.len(), 1);
    assert!(!filed[0].0.flags.contains(Flags::UNREAD));
    assert_eq!(filed[0].0.keywords, ["$Label1"]);
    assert_eq!(site.messages(site.bob, folders::JUNK).await.len(), 1);
    assert_eq!(site.messages(site.bob, folders::INBOX).await.len(), 2, "what has no place, and what matched nothing");
}

#[tokio::test]
async fn a_script_that_changes_is_run_as_it_is_now() {
    let site = Site::new();
    site.script(site.bob, "discard;").await;
    site.deliver(message("a", BOB)).await;
    site.script(site.bob, "keep;").await;
    site.deliver(message("b", BOB)).await;
    site.command(site.bob, MailboxCommand::ActivateScript(None)).await.unwrap();
    site.deliver(message("c", BOB)).await;
    let subjects: Vec<bool> =
        site.messages(site.bob, folders::INBOX).await.iter().map(|(_, raw)| raw.contains("Subject: a")).collect();
    assert_eq!(subjects, [false, false]);
}

#[tokio::test]
async fn a_refusal_is_one_where_it_can_be() {
    let site = Site::new();
    site.script(site.bob, "require \"ereject\"; ereject \"no thanks\";").await;
    assert_eq!(site.deliver(message("a", BOB)).await, Fate::Refused("no thanks".into()));
    let arrival = site.arrival(message("b", BOB)).await;
    let fate = site.deliverer.deliver(&arrival, Recipient { account: site.bob, address: BOB }).await.unwrap();
    assert_eq!(fate, Fate::Taken { duplicate: false });
    let outbox = site.outbox(site.bob).await;
    assert_eq!((outbox.len(), outbox[0].kind, outbox[0].sender.as_str()), (1, OutgoingKind::Reject, ""));
    assert_eq!(outbox[0].recipients, ["sender@elsewhere.net"]);
    let mdn = site.body(site.bob, outbox[0].blob.clone()).await;
    assert!(mdn.contains("multipart/report") && mdn.contains("no thanks"), "{mdn}");
    assert!(site.messages(site.bob, folders::INBOX).await.is_empty());
}

#[tokio::test]
async fn a_vacation_reply_is_sent_once_in_its_time() {
    let site = Site::new();
    site.script(site.bob, "require \"vacation\"; vacation :days 2 :subject \"Away\" \"I am away.\";").await;
    site.deliver(message("a", BOB)).await;
    site.deliver(message("b", BOB)).await;
    let outbox = site.outbox(site.bob).await;
    assert_eq!((outbox.len(), outbox[0].kind), (1, OutgoingKind::Vacation));
    let reply = site.body(site.bob, outbox[0].blob.clone()).await;
    for part in ["Subject: Away", "Auto-Submitted: auto-replied", "In-Reply-To: <a@elsewhere.net>", "I am away."] {
        assert!(reply.contains(part), "{part}: {reply}");
    }
    assert_eq!(site.messages(site.bob, folders::INBOX).await.len(), 2);
    site.memory.set_wall_ms(zcluster_runtime::wall_ms() + 3 * 86_400_000);
    site.deliver(message("c", BOB)).await;
    assert_eq!(site.outbox(site.bob).await.len(), 2, "after two days");
}

#[tokio::test]
async fn every_correspondent_gets_a_reply_of_his_own_from_the_owner() {
    let site = Site::new();
    let script = "require [\"vacation\", \"fcc\"]; vacation :fcc \"Sent\" :from \"boss@elsewhere.net\" \"Away.\";";
    site.script(site.bob, script).await;
    for (n, sender) in ["one@elsewhere.net", "two@elsewhere.net", "One@elsewhere.net"].into_iter().enumerate() {
        let arrival = Arrival { sender: sender.into(), ..site.arrival(message(&format!("m{n}"), BOB)).await };
        site.deliverer.deliver(&arrival, Recipient { account: site.bob, address: BOB }).await.unwrap();
    }
    let outbox = site.outbox(site.bob).await;
    let to: Vec<&str> = outbox.iter().map(|o| o.recipients[0].as_str()).collect();
    assert_eq!(to, ["one@elsewhere.net", "two@elsewhere.net"]);
    let reply = site.body(site.bob, outbox[0].blob.clone()).await;
    assert!(reply.contains("From: bob@example.org") || reply.contains("From: <bob@example.org>"), "{reply}");
    assert_eq!(site.messages(site.bob, folders::SENT).await.len(), 2, "copies of what was sent, and of nothing else");
}

#[tokio::test]
async fn a_forward_to_many_reaches_all_and_speaks_to_addresses_only() {
    let site = Site::new();
    let many: Vec<String> = (0..150).map(|n| format!("u{n}@elsewhere.net")).collect();
    let values = [many, vec!["a@b>\r\nRCPT TO:<c@d".into()]].concat();
    let forward = Modification {
        name: "zimbraMailForwardingAddress".into(),
        kind: zcluster_api::directory::ModifyKind::Replace,
        values,
    };
    // The directory has its own opinion of such a value; what it keeps must not be said.
    let changes = vec![forward];
    if site.memory.command(DirectoryCommand::ModifyAccount { id: site.bob, changes: changes.clone() }).is_err() {
        let fewer = Modification { values: changes[0].values[..150].to_vec(), ..changes[0].clone() };
        site.memory.command(DirectoryCommand::ModifyAccount { id: site.bob, changes: vec![fewer] }).unwrap();
    }
    site.deliver(message("x", BOB)).await;
    let outbox = site.outbox(site.bob).await;
    assert_eq!((outbox.len(), outbox.iter().map(|o| o.recipients.len()).sum::<usize>()), (2, 150));
}

#[tokio::test]
async fn a_redirect_arrives_once_and_does_not_go_round() {
    let site = Site::new();
    site.script(site.bob, &format!("redirect \"{EVE}\";")).await;
    site.script(site.eve, &format!("redirect \"{BOB}\";")).await;
    site.deliver(message("round", BOB)).await;
    assert!(site.messages(site.bob, folders::INBOX).await.is_empty());
    let courier = Courier::new(site.deliverer.clone(), None);
    site.carry(site.bob, &courier).await;
    assert!(site.outbox(site.bob).await.is_empty());
    site.carry(site.eve, &courier).await;
    assert!(site.outbox(site.eve).await.is_empty());
    let back = site.messages(site.bob, folders::INBOX).await;
    assert_eq!(back.len(), 1, "known again, and kept");
    assert!(back[0].1.contains("Delivered-To: eve@example.org\r\n"), "{}", back[0].1);
    assert!(back[0].1.starts_with("Return-Path: <sender@elsewhere.net>\r\n"));
    assert!(site.messages(site.eve, folders::INBOX).await.is_empty());
}

#[tokio::test]
async fn what_cannot_be_delivered_comes_back() {
    let site = Site::new();
    site.script(site.bob, "redirect \"nobody@example.org\";").await;
    let raw = message("x", BOB);
    let arrival = Arrival { sender: EVE.into(), ..site.arrival(raw).await };
    site.deliverer.deliver(&arrival, Recipient { account: site.bob, address: BOB }).await.unwrap();
    let courier = Courier::new(site.deliverer.clone(), None);
    site.carry(site.bob, &courier).await;
    let outbox = site.outbox(site.bob).await;
    assert_eq!(
        (outbox.len(), outbox[0].kind, outbox[0].recipients.clone()),
        (1, OutgoingKind::Report, vec![EVE.into()])
    );
    site.carry(site.bob, &courier).await;
    assert!(site.outbox(site.bob).await.is_empty());
    let inbox = site.messages(site.eve, folders::INBOX).await;
    assert!(inbox[0].1.contains("Final-Recipient: rfc822; nobody@example.org"), "{}", inbox[0].1);
    assert!(inbox[0].1.contains("Status: 5.1.1"));
}

#[tokio::test]
async fn elsewhere_waits_without_a_relay() {
    let site = Site::new();
    site.script(
        site.bob,
        "redirect :copy \"x@elsewhere.net\";".replace("redirect", "require \"copy\"; redirect").as_str(),
    )
    .await;
    site.deliver(message("x", BOB)).await;
    site.carry(site.bob, &Courier::new(site.deliverer.clone(), None)).await;
    let outbox = site.outbox(site.bob).await;
    assert_eq!((outbox.len(), outbox[0].attempts), (1, 1));
    assert!(outbox[0].note.contains("no way to other hosts"), "{}", outbox[0].note);
    assert_eq!(site.messages(site.bob, folders::INBOX).await.len(), 1);
}

#[tokio::test]
async fn a_failing_script_keeps_the_mail_and_tells_the_owner_once() {
    let site = Site::new();
    site.script(site.bob, "require \"include\"; include :personal \"missing\"; discard;").await;
    site.deliver(message("a", BOB)).await;
    site.deliver(message("b", BOB)).await;
    let inbox = site.messages(site.bob, folders::INBOX).await;
    assert_eq!(inbox.len(), 3, "two messages and one word about the script");
    assert!(inbox.iter().any(|(_, raw)| raw.contains("missing") && raw.contains("main")));
}

#[tokio::test]
async fn duplicates_are_what_the_mailbox_remembers() {
    let site = Site::new();
    site.script(site.bob, "require \"duplicate\"; if duplicate :header \"x-id\" { discard; }").await;
    let with_id = |subject: &str| {
        let raw = String::from_utf8(message(subject, BOB).to_vec()).unwrap();
        Bytes::from(raw.replace("Message-ID:", "X-ID: 7\r\nMessage-ID:"))
    };
    site.deliver(with_id("a")).await;
    site.deliver(with_id("b")).await;
    assert_eq!(site.messages(site.bob, folders::INBOX).await.len(), 1);
}

#[tokio::test]
async fn annotations_are_asked_of_the_mailbox() {
    let site = Site::new();
    let script = "require [\"mboxmetadata\", \"fileinto\"]; \
        if metadata :is \"Junk\" \"/private/comment\" \"yes\" { fileinto \"Junk\"; }";
    site.script(site.bob, script).await;
    site.deliver(message("before", BOB)).await;
    let entries =
        vec![sharing::Annotation { name: "/private/comment".into(), value: Some(Bytes::from_static(b"yes")) }];
    let set = MailboxCommand::SetMetadata { folder: Some(folders::JUNK), entries };
    site.command(site.bob, set).await.unwrap();
    site.deliver(message("after", BOB)).await;
    assert_eq!(site.messages(site.bob, folders::INBOX).await.len(), 1);
    assert_eq!(site.messages(site.bob, folders::JUNK).await.len(), 1);
}

#[tokio::test]
async fn administrators_scripts_stand_around_the_users() {
    let site = Site::new();
    site.set(site.bob, "zimbraAdminSieveScriptBefore", "if header :is \"subject\" \"banned\" { discard; }");
    site.script(site.bob, "require \"fileinto\"; if header :is \"subject\" \"banned\" { fileinto \"Junk\"; }").await;
    site.deliver(message("banned", BOB)).await;
    site.deliver(message("fine", BOB)).await;
    assert_eq!(site.messages(site.bob, folders::INBOX).await.len(), 1);
    assert!(site.messages(site.bob, folders::JUNK).await.is_empty());
}

#[tokio::test]
async fn forwards_with_and_without_a_copy_here() {
    let site = Site::new();
    site.set(site.bob, "zimbraPrefMailForwardingAddress", EVE);
    site.deliver(message("a", BOB)).await;
    assert_eq!(site.messages(site.bob, folders::INBOX).await.len(), 1);
    site.set(site.bob, "zimbraPrefMailLocalDeliveryDisabled", "TRUE");
    site.deliver(message("b", BOB)).await;
    assert_eq!(site.messages(site.bob, folders::INBOX).await.len(), 1);
    site.carry(site.bob, &Courier::new(site.deliverer.clone(), None)).await;
    assert_eq!(site.messages(site.eve, folders::INBOX).await.len(), 2);
}

#[tokio::test]
async fn the_owner_is_warned_and_then_mail_is_refused() {
    let site = Site::new();
    site.set(site.bob, "zimbraMailQuota", "2600");
    site.set(site.bob, "zimbraQuotaWarnPercent", "15");
    site.deliver(message("one", BOB)).await;
    assert_eq!(site.messages(site.bob, folders::INBOX).await.len(), 1);
    site.deliver(message("two", BOB)).await;
    let inbox = site.messages(site.bob, folders::INBOX).await;
    assert_eq!(inbox.len(), 3);
    assert!(inbox[2].1.contains("Subject: Your mailbox is"), "{}", inbox[2].1);
    let mut failed = None;
    for n in 0..10 {
        let raw = message(&format!("more{n}"), BOB);
        let arrival = site.arrival(raw).await;
        if let Err(e) = site.deliverer.deliver(&arrival, Recipient { account: site.bob, address: BOB }).await {
            failed = Some(e);
            break;
        }
    }
    assert_eq!(failed, Some(Error::QuotaExceeded));
    let warnings = site.messages(site.bob, folders::INBOX).await;
    assert_eq!(warnings.iter().filter(|(_, raw)| raw.contains("Your mailbox is")).count(), 1, "once a day");
}

/// Scripts of the site that users' own scripts include: of one name the nearest counts.
#[tokio::test]
async fn scripts_for_all_to_include() {
    let site = Site::new();
    let values = |list: &[&str]| Modification {
        values: list.iter().map(ToString::to_string).collect(),
        ..Modification::set("zclusterSieveScriptGlobal", "")
    };
    let junk = "junk:require \"fileinto\"; if header :is \"subject\" \"junk\" { fileinto \"Junk\"; stop; }";
    let domain = vec![values(&[junk, "lists:keep;", "no name and no colon"])];
    site.memory.command(DirectoryCommand::ModifyDomain { name: "example.org".into(), changes: domain }).unwrap();
    site.script(site.bob, "require \"include\"; include :global \"junk\"; include :global :optional \"none\";").await;
    site.deliver(message("junk", BOB)).await;
    site.deliver(message("plain", BOB)).await;
    assert_eq!(site.messages(site.bob, folders::JUNK).await.len(), 1);
    assert_eq!(site.messages(site.bob, folders::INBOX).await.len(), 1);
    // The account's stands before the domain's; one's own script of that name is another.
    let own = vec![values(&[" junk : discard; stop;"])];
    site.memory.command(DirectoryCommand::ModifyAccount { id: site.bob, changes: own }).unwrap();
    site.deliver(message("junk2", BOB)).await;
    assert_eq!(site.messages(site.bob, folders::INBOX).await.len(), 1);
    // One that is missing, or does not compile: kept, and the owner is told.
    let broken = vec![values(&["junk:if {"])];
    site.memory.command(DirectoryCommand::ModifyAccount { id: site.bob, changes: broken }).unwrap();
    site.deliver(message("kept", BOB)).await;
    let inbox = site.messages(site.bob, folders::INBOX).await;
    assert_eq!(inbox.len(), 3);
    assert!(inbox.iter().any(|(_, raw)| raw.contains("does not compile")), "{inbox:?}");
}

/// `zimbraPrefTimeZoneId`: what `date` and `currentdate` see, and the date of a vacation reply.
#[tokio::test]
async fn scripts_see_the_owners_clock() {
    let site = Site::new();
    let script = "require [\"date\", \"fileinto\", \"mailbox\", \"variables\", \"vacation\"]; \
        if date :matches \"received\" \"hour\" \"*\" { set \"h\" \"${1}\"; } \
        if currentdate :matches \"zone\" \"*\" { set \"z\" \"${1}\"; } \
        vacation :days 1 :handle \"${z}\" \"away\"; \
        fileinto :create \"h${h}z${z}\";";
    site.script(site.bob, script).await;
    // The message says that it was received at 10:00 UTC in November.
    for (zone, folder, date) in [
        ("Asia/Kolkata", "h15z+0530", " +0530\r\n"),
        ("Australia/Brisbane", "h20z+1000", " +1000\r\n"),
        ("Nowhere/At_All", "h10z+0000", " +0000\r\n"),
    ] {
        site.set(site.bob, "zimbraPrefTimeZoneId", zone);
        site.deliver(message(zone, BOB)).await;
        let filed = site.folder(site.bob, folder).await;
        assert_eq!(filed.messages, 1, "{zone}");
        let reply = site.outbox(site.bob).await.pop().expect("a reply");
        let reply = site.body(site.bob, reply.blob).await;
        let line = reply.split_inclusive('\n').find(|l| l.starts_with("Date: ")).expect("a date");
        assert!(line.ends_with(date), "{zone}: {line}");
    }
}

/// The message with a filter's fields in front.
fn judged(fields: &str) -> Bytes {
    [fields.as_bytes(), &message(&fields.len().to_string(), BOB)].concat().into()
}

#[tokio::test]
async fn spam_goes_to_junk_and_past_the_filters() {
    let site = Site::new();
    site.script(site.bob, "require \"fileinto\"; fileinto \"Trash\";").await;
    let spam = "X-Spam-Flag: YES\r\nX-Spam-Score: 12\r\n";
    assert_eq!(site.deliver(judged(spam)).await, Fate::Taken { duplicate: false });
    assert_eq!(site.messages(site.bob, folders::JUNK).await.len(), 1);
    assert_eq!(site.messages(site.bob, folders::TRASH).await.len(), 0);
    site.deliver(judged("X-Spam-Flag: NO\r\n")).await;
    assert_eq!(site.messages(site.bob, folders::TRASH).await.len(), 1);
}

#[tokio::test]
async fn filters_that_see_spam_know_its_score() {
    let site = Site::new();
    site.set(site.bob, "zimbraSpamApplyUserFilters", "TRUE");
    let script = "require [\"fileinto\", \"spamtestplus\", \"virustest\", \"relational\"];
        if virustest :value \"eq\" \"5\" { discard; }
        elsif spamtest :percent :value \"ge\" \"80\" { fileinto \"Trash\"; }";
    site.script(site.bob, script).await;
    site.deliver(judged("X-Spam-Flag: YES\r\nX-Spam-Score: 18\r\n")).await;
    site.deliver(judged("X-Spam-Flag: YES\r\nX-Spam-Score: 8\r\n")).await;
    site.deliver(judged("X-Spam-Flag: YES\r\nX-Virus-Status: Infected (Eicar)\r\n")).await;
    site.deliver(judged("X-Spam-Flag: NO\r\nX-Spam-Score: 1\r\nX-Virus-Status: Clean\r\n")).await;
    for (folder, count) in [(folders::TRASH, 1), (folders::JUNK, 1), (folders::INBOX, 1)] {
        assert_eq!(site.messages(site.bob, folder).await.len(), count, "{folder}");
    }
}

#[tokio::test]
async fn an_account_without_antispam_has_it_in_the_inbox() {
    let site = Site::new();
    site.set(site.bob, "zimbraFeatureAntispamEnabled", "FALSE");
    site.deliver(judged("X-Spam-Flag: YES\r\n")).await;
    assert_eq!(site.messages(site.bob, folders::INBOX).await.len(), 1);
}

#[tokio::test]
async fn a_list_becomes_its_members() {
    use zcluster_api::directory::ObjectKind;
    use zcluster_api::directory::Shard;
    use zcluster_delivery::Submission;
    let site = Site::new();
    let shard = Shard { group: GroupId(1), replicas: vec![NodeId::new(1, 0)], version: 1 };
    site.memory.command(DirectoryCommand::PutShard { shard, expect: 0 }).unwrap();
    let list = |name: &str, members: &[&str]| {
        let values = members.iter().map(ToString::to_string).collect();
        let attrs = vec![Modification { values, ..Modification::set("zimbraMailForwardingAddress", "") }];
        let (kind, id) = (ObjectKind::DistributionList, AccountId(zcluster_runtime::random_bytes()));
        let command = DirectoryCommand::CreateEntry { kind, id, name: name.into(), parent: None, attrs };
        site.memory.command(command).unwrap();
        id
    };
    let all = list("all@example.org", &["inner@example.org", BOB, "x@elsewhere.net"]);
    list("inner@example.org", &[EVE, BOB, "all@example.org"]);
    let courier = Courier::new(site.deliverer.clone(), None);
    let queue = zcluster_api::queue::queue_account(GroupId(1));
    let submit = |subject: &str, to: &[&str]| {
        let to: Vec<String> = to.iter().map(ToString::to_string).collect();
        let key = zcluster_runtime::random_bytes();
        let raw = message(subject, "all@example.org");
        site.deliverer.submit(Submission::new(None, "sender@elsewhere.net", to, raw, key))
    };
    submit("news", &["ALL@example.org"]).await.unwrap();
    site.carry(queue, &courier).await;
    let waiting: Vec<String> = site.outbox(queue).await.into_iter().flat_map(|m| m.recipients).collect();
    let mut sorted = waiting.clone();
    sorted.sort();
    assert_eq!(sorted, [BOB, EVE, "x@elsewhere.net"], "each once");
    site.carry(queue, &courier).await;
    for account in [site.bob, site.eve] {
        let inbox = site.messages(account, folders::INBOX).await;
        assert_eq!(inbox.len(), 1);
        assert!(inbox[0].1.starts_with("Return-Path: <sender@elsewhere.net>\r\n"), "{}", inbox[0].1);
        assert!(inbox[0].1.contains("Delivered-To: all@example.org\r\n"));
    }
    let left = site.outbox(queue).await;
    let recipients = left.iter().map(|m| m.recipients.clone()).collect::<Vec<_>>();
    assert_eq!(recipients, [["x@elsewhere.net"]], "no way out of this node: it waits");
    let round = left.into_iter().next().unwrap();
    // It comes back to the list: a loop. Who is named beside the list has it once.
    let raw: Bytes = site.body(queue, round.blob.clone()).await.into();
    let key = zcluster_runtime::random_bytes();
    let to = ["all@example.org".to_string()];
    site.deliverer.submit(Submission::new(None, EVE, to, raw, key)).await.unwrap();
    site.carry(queue, &courier).await;
    site.carry(queue, &courier).await;
    let report = site.messages(site.eve, folders::INBOX).await.pop().unwrap().1;
    assert!(report.contains("a mail loop"), "{report}");
    submit("beside", &["all@example.org", BOB]).await.unwrap();
    site.carry(queue, &courier).await;
    site.carry(queue, &courier).await;
    assert_eq!(site.messages(site.bob, folders::INBOX).await.len(), 2);
    // Closed.
    let changes = vec![Modification::set("zimbraMailStatus", "disabled")];
    site.memory.command(DirectoryCommand::ModifyEntry { id: all, changes }).unwrap();
    submit("late", &["all@example.org"]).await.unwrap();
    site.carry(queue, &courier).await;
    site.carry(queue, &courier).await;
    assert_eq!(site.messages(site.bob, folders::INBOX).await.len(), 2);
}

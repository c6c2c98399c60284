//! What is full must not cost a message: an outbox that takes no more, a mailbox that can have no more folders.
#![allow(missing_docs)]

use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::delivery::{Content, Delivery, NewOutgoing, OUTBOX_MAX, OUTGOING_MAX, OutgoingKind, ScriptText};
use zcluster_api::mailbox::{FOLDERS_MAX, FolderView, folders};
use zcluster_api::*;
use zcluster_delivery::{Arrival, Deliverer, DeliveryConfig, Fate, Identity, Recipient};
use zcluster_state::memory::Memory;

const BOB: &str = "bob@example.org";

struct Site {
    memory: Memory,
    deliverer: Deliverer,
    bob: AccountId,
}

impl Site {
    fn new() -> Self {
        let memory = Memory::new();
        memory.set_wall_ms(zcluster_runtime::wall_ms());
        let bob = memory.add_account(BOB, "x");
        let api = Arc::new(memory.clone());
        Site { memory, deliverer: Deliverer::new(api.clone(), api, DeliveryConfig::new("mx.example.org")), bob }
    }

    fn call<T>(&self, body: T) -> Call<T> {
        let request = RequestId(zcluster_runtime::random_bytes());
        Call { actor: Actor::System, account: self.bob, request, timeout: Duration::from_secs(5), body }
    }

    async fn command(&self, command: MailboxCommand) -> Result<Receipt> {
        MailboxApi::write(&self.memory, self.call(command)).await
    }

    async fn ask(&self, query: MailboxQuery) -> MailboxReply {
        MailboxApi::read(&self.memory, self.call(query)).await.expect("read")
    }

    async fn script(&self, source: &str) {
        let text = ScriptText { name: "main".into(), source: Bytes::copy_from_slice(source.as_bytes()) };
        self.command(MailboxCommand::PutScript(text)).await.expect("put");
        self.command(MailboxCommand::ActivateScript(Some("main".into()))).await.expect("activate");
    }

    async fn deliver(&self, subject: &str) -> Fate {
        let raw = Bytes::from(format!("From: a@elsewhere.net\r\nTo: {BOB}\r\nSubject: {subject}\r\n\r\nHello.\r\n"));
        let identity = Identity::Content(blake3::hash(&raw));
        let sender = "sender@elsewhere.net".to_string();
        let arrival = Arrival::new("id1".into(), sender, raw, 1_000, identity).await.expect("arrival");
        self.deliverer.deliver(&arrival, Recipient { account: self.bob, address: BOB }).await.expect("delivered")
    }

    async fn inbox(&self) -> u32 {
        match self.ask(MailboxQuery::Folder(folders::INBOX)).await {
            MailboxReply::Folders(found) => found[0].messages,
            other => panic!("{other:?}"),
        }
    }

    async fn waiting(&self) -> usize {
        let (mut count, mut from) = (0, 0);
        loop {
            let MailboxReply::Outgoing(some) = self.ask(MailboxQuery::Outgoing(from)).await else { panic!() };
            let Some(last) = some.last() else { return count };
            (count, from) = (count + some.len(), last.number + 1);
        }
    }

    /// Messages that wait to leave, up to so many in all.
    async fn fill_outbox(&self, up_to: u32, scripts: u64) {
        let made = zcluster_mail::prepare(&Bytes::from_static(b"x"));
        let body = Body::Inline { id: made.id, size: made.size, codec: made.codec, stored: made.stored };
        let one = NewOutgoing {
            content: 0,
            kind: OutgoingKind::Redirect,
            sender: String::new(),
            recipients: vec!["x@elsewhere.net".into()],
            once: None,
        };
        let mut left = up_to as usize - self.waiting().await;
        while left > 0 {
            let some = left.min(OUTGOING_MAX);
            let delivery = Delivery {
                internal_ms: 0,
                contents: vec![Content { body: body.clone(), parsed: None }],
                filings: vec![],
                outgoing: vec![one.clone(); some],
                remember: vec![],
                delivery_key: DeliveryKey(zcluster_runtime::random_bytes()),
                scripts,
                warn: None,
            };
            self.command(MailboxCommand::Deliver(Box::new(delivery))).await.expect("room in the outbox");
            left -= some;
        }
    }

    async fn scripts_version(&self) -> u64 {
        match self.ask(MailboxQuery::Filters { all: false, folders: false, seen: vec![] }).await {
            MailboxReply::Filters(view) => view.version,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_full_outbox_keeps_the_mail() {
    let site = Site::new();
    site.script("redirect \"x@elsewhere.net\";").await;
    let version = site.scripts_version().await;
    site.fill_outbox(OUTBOX_MAX - 1, version).await;
    // The last place is taken.
    assert_eq!(site.deliver("one").await, Fate::Taken { duplicate: false });
    assert_eq!((site.waiting().await, site.inbox().await), (OUTBOX_MAX as usize, 0));
    // From here on it is kept, which the filter did not want.
    assert_eq!(site.deliver("two").await, Fate::Taken { duplicate: false });
    assert_eq!((site.waiting().await, site.inbox().await), (OUTBOX_MAX as usize, 1));
    assert_eq!(site.deliver("two").await, Fate::Taken { duplicate: true });
    // What the filter files anyway is filed once.
    site.script("require \"copy\"; redirect :copy \"x@elsewhere.net\"; keep;").await;
    assert_eq!(site.deliver("three").await, Fate::Taken { duplicate: false });
    assert_eq!((site.waiting().await, site.inbox().await), (OUTBOX_MAX as usize, 2));
    // A vacation reply is not sent, either, and the message is there.
    site.script("require \"vacation\"; vacation \"away\";").await;
    assert_eq!(site.deliver("four").await, Fate::Taken { duplicate: false });
    assert_eq!((site.waiting().await, site.inbox().await), (OUTBOX_MAX as usize, 3));
}

#[tokio::test]
async fn a_mailbox_that_can_have_no_more_folders_gets_its_mail() {
    let site = Site::new();
    site.script(
        "require [\"fileinto\", \"mailbox\", \"variables\"]; \
         if header :matches \"subject\" \"*\" { set \"s\" \"${1}\"; } fileinto :create \"Lists/${s}\";",
    )
    .await;
    assert_eq!(site.deliver("first").await, Fate::Taken { duplicate: false });
    assert_eq!(site.inbox().await, 0);
    let folder =
        |n| MailboxCommand::CreateFolder { path: format!("Many/f{n}"), view: FolderView::Message, special_use: None };
    let refused = loop_until_refused(&site, folder).await;
    assert!(matches!(refused, Error::TooLarge(_)), "{refused:?}");
    let MailboxReply::Folders(full) = site.ask(MailboxQuery::Folders).await else { panic!() };
    // There is no room for one more: into the Inbox. A folder that is there takes it as ever.
    assert_eq!(site.deliver("second").await, Fate::Taken { duplicate: false });
    assert_eq!(site.inbox().await, 1);
    assert_eq!(site.deliver("first").await, Fate::Taken { duplicate: true });
    assert_eq!(site.inbox().await, 1);
    let MailboxReply::Folders(after) = site.ask(MailboxQuery::Folders).await else { panic!() };
    assert_eq!(after.len(), full.len());
}

async fn loop_until_refused(site: &Site, command: impl Fn(usize) -> MailboxCommand) -> Error {
    for n in 0..=FOLDERS_MAX {
        if let Err(error) = site.command(command(n)).await {
            return error;
        }
    }
    panic!("more than {FOLDERS_MAX} folders");
}

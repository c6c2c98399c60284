//! All checks together: the cluster's settings in a directory in memory, services made up on loopback.
#![allow(missing_docs)]

use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use zcluster_api::directory::{DirectoryCommand, Modification};
use zcluster_api::mailbox::{NewMessage, folders};
use zcluster_api::*;
use zcluster_runtime::{spawn, timeout};
use zcluster_screen::lessons::Taught;
use zcluster_screen::service::{Endpoint, Limits, Pool};
use zcluster_screen::trainer::{Teacher, Trainer};
use zcluster_screen::{
    Arrival, Chain, Disposition, OnFailure, OnVirus, Screen, ScreenSettings, Screened, SpamService, Virus,
};
use zcluster_state::memory::Memory;

/// A service that answers every question alike, after the client's pause.
async fn service(answer: &'static str) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            spawn(async move {
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(Ok(1..)) = timeout(Duration::from_millis(100), stream.read(&mut buffer)).await {}
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    Endpoint::Tcp("127.0.0.1".into(), port)
}

async fn nobody() -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Endpoint::Tcp("127.0.0.1".into(), listener.local_addr().unwrap().port())
}

const CLEAN: &str = "stream: OK\0";
const EICAR: &str = "stream: Eicar FOUND\0";
const HAM: &str = "SPAMD/1.1 0 EX_OK\r\nSpam: False ; 0.5 / 5.0\r\n\r\nA\r\n";
const SPAM: &str = "SPAMD/1.1 0 EX_OK\r\nSpam: True ; 8.0 / 5.0\r\n\r\nA,B\r\n";
const WORST: &str = "SPAMD/1.1 0 EX_OK\r\nSpam: True ; 80.0 / 5.0\r\n\r\nA,B\r\n";
const RAW: &[u8] = b"X-Spam-Flag: NO\r\nFrom: a@b.test\r\nSubject: hello\r\n\r\nhello\r\n";

struct Site {
    memory: Memory,
    settings: ScreenSettings,
}

impl Site {
    async fn new(clamd: Endpoint, spamd: Endpoint) -> Self {
        let settings = ScreenSettings {
            host: "mx.test".into(),
            clamd: vec![clamd],
            virus_failure: OnFailure::Defer,
            spam: Some(SpamService::Spamd(vec![spamd])),
            ..ScreenSettings::default()
        };
        Site { memory: Memory::new(), settings }
    }

    fn config(&self, name: &str, value: &str) {
        self.memory.command(DirectoryCommand::ModifyConfig(vec![Modification::set(name, value)])).unwrap();
    }

    fn chain(&self) -> Chain {
        Chain::new(self.settings.clone(), Arc::new(self.memory.clone())).unwrap()
    }

    async fn screen(&self, arrival: &Arrival) -> Screened {
        self.chain().screen(arrival).await
    }
}

fn arrival(raw: &[u8]) -> Arrival {
    Arrival {
        client_ip: "192.0.2.1".parse().unwrap(),
        client_name: None,
        helo: "client.test".into(),
        tls: false,
        authenticated: None,
        sender: "a@b.test".into(),
        recipients: vec!["alice@example.com".into()],
        raw: Bytes::copy_from_slice(raw),
        queue_id: "q1".into(),
    }
}

fn text(screened: &Screened, raw: &[u8]) -> String {
    String::from_utf8(screened.apply(&Bytes::copy_from_slice(raw)).to_vec()).unwrap()
}

fn refused(screened: &Screened) -> (u16, &str) {
    match &screened.disposition {
        Disposition::Reject(answer) | Disposition::Defer(answer) => (answer.code, &answer.text),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_clean_message_gets_its_fields_and_loses_forged_ones() {
    let site = Site::new(service(CLEAN).await, service(HAM).await).await;
    let screened = site.screen(&arrival(RAW)).await;
    assert_eq!(screened.disposition, Disposition::Accept);
    assert_eq!((screened.virus.clone(), screened.spam.clone().unwrap().score), (Some(Virus::Clean), 0.5));
    let expected = "X-Virus-Scanned: clamd at mx.test\r\nX-Virus-Status: Clean\r\nX-Spam-Flag: NO\r\nX-Spam-Score: 0.5\r\n\
        X-Spam-Status: No, score=0.5 required=6.6\r\n\ttests=[A]\r\nFrom: a@b.test\r\nSubject: hello\r\n\r\nhello\r\n";
    assert_eq!(text(&screened, RAW), expected);
}

#[tokio::test]
async fn levels_and_destinies_are_the_directorys_and_in_force_at_once() {
    let site = Site::new(service(CLEAN).await, service(SPAM).await).await;
    let chain = site.chain();
    let message = arrival(RAW);
    let screened = chain.screen(&message).await;
    assert_eq!(screened.disposition, Disposition::Junk);
    assert!(text(&screened, RAW).contains("X-Spam-Flag: YES\r\n"));
    site.config("zimbraSpamTagPercent", "60");
    assert_eq!(chain.screen(&message).await.disposition, Disposition::Accept);
    site.config("zimbraSpamKillPercent", "40");
    assert_eq!(chain.screen(&message).await.disposition, Disposition::Discard);
    site.config("zimbraAmavisFinalSpamDestiny", "D_REJECT");
    assert_eq!(refused(&chain.screen(&message).await).0, 550);
    site.config("zimbraAmavisFinalSpamDestiny", "D_PASS");
    site.config("zimbraSpamSubjectTag", "[SPAM]");
    let screened = chain.screen(&message).await;
    assert_eq!(screened.disposition, Disposition::Junk);
    assert!(text(&screened, RAW).contains("\r\nSubject: [SPAM] hello\r\nFrom: "), "{}", text(&screened, RAW));
}

#[tokio::test]
async fn what_users_submit_is_refused_not_swallowed_and_not_marked() {
    let site = Site::new(service(CLEAN).await, service(WORST).await).await;
    let submitted = Arrival { authenticated: Some("bob@example.com".into()), ..arrival(RAW) };
    assert_eq!(refused(&site.screen(&submitted).await).0, 550);
    assert_eq!(site.screen(&arrival(RAW)).await.disposition, Disposition::Discard);
    site.config("zimbraAmavisOriginatingBypassSA", "TRUE");
    let screened = site.screen(&submitted).await;
    assert_eq!(screened.disposition, Disposition::Accept);
    assert!(!text(&screened, RAW).contains("X-Spam"));
    let site = Site::new(service(CLEAN).await, service(SPAM).await).await;
    assert_eq!(site.screen(&submitted).await.disposition, Disposition::Accept);
}

#[tokio::test]
async fn viruses_are_worse_than_spam() {
    let mut site = Site::new(service(EICAR).await, service(WORST).await).await;
    assert_eq!(refused(&site.screen(&arrival(RAW)).await), (550, "virus found: Eicar"));
    site.settings.on_virus = OnVirus::Junk;
    site.settings.spam = None;
    let screened = site.screen(&arrival(RAW)).await;
    assert_eq!(screened.disposition, Disposition::Junk);
    let text = text(&screened, RAW);
    assert!(text.contains("X-Virus-Status: Infected (Eicar)\r\n") && text.contains("X-Spam-Flag: YES\r\n"), "{text}");
}

#[tokio::test]
async fn services_that_are_gone_are_a_policy() {
    let mut site = Site::new(nobody().await, service(HAM).await).await;
    assert_eq!(refused(&site.screen(&arrival(RAW)).await).0, 451);
    site.settings.virus_failure = OnFailure::Accept;
    let screened = site.screen(&arrival(RAW)).await;
    assert_eq!((screened.disposition.clone(), screened.virus.clone()), (Disposition::Accept, None));
    assert!(!text(&screened, RAW).contains("X-Virus"));
    let site = Site::new(service(EICAR).await, nobody().await).await;
    assert_eq!(refused(&site.screen(&arrival(RAW)).await).0, 550);
    let mut site = Site::new(service(CLEAN).await, nobody().await).await;
    assert_eq!(site.screen(&arrival(RAW)).await.disposition, Disposition::Accept);
    site.settings.spam_failure = OnFailure::Defer;
    assert_eq!(refused(&site.screen(&arrival(RAW)).await).0, 451);
}

#[tokio::test]
async fn blocked_attachments_are_refused_before_anybody_is_asked() {
    let site = Site::new(nobody().await, nobody().await).await;
    site.config("zimbraMtaBlockedExtension", "exe");
    let raw = b"Content-Type: application/octet-stream; name=a.exe\r\n\r\nx\r\n";
    assert_eq!(refused(&site.screen(&arrival(raw)).await), (550, "attachment not allowed: file name a.exe"));
    // Large ones are looked at on another thread.
    let large = [&raw[..], &vec![b'x'; 200_000]].concat();
    assert_eq!(refused(&site.screen(&arrival(&large)).await).0, 550);
}

#[tokio::test]
async fn a_milter_that_is_gone_means_what_zimbra_says() {
    let mut site = Site::new(nobody().await, nobody().await).await;
    (site.settings.clamd, site.settings.spam) = (vec![], None);
    site.config("zimbraMtaSmtpdMilters", &nobody().await.to_string());
    assert_eq!(refused(&site.screen(&arrival(RAW)).await).0, 451);
    for (action, code) in [("reject", 550), ("tempfail", 451)] {
        site.config("zimbraMtaMilterDefaultAction", action);
        assert_eq!(refused(&site.screen(&arrival(RAW)).await).0, code);
    }
    site.config("zimbraMtaMilterDefaultAction", "quarantine");
    assert_eq!(site.screen(&arrival(RAW)).await.disposition, Disposition::Junk);
    site.config("zimbraMtaMilterDefaultAction", "accept");
    let screened = site.screen(&arrival(RAW)).await;
    assert_eq!(screened.disposition, Disposition::Accept);
    assert_eq!(text(&screened, RAW), "From: a@b.test\r\nSubject: hello\r\n\r\nhello\r\n");
}

#[tokio::test]
async fn moves_into_junk_are_told() {
    let memory = Memory::new();
    let alice = memory.add_account("alice@example.com", "x");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = Endpoint::Tcp("127.0.0.1".into(), listener.local_addr().unwrap().port());
    let teacher = Teacher::Spamd(Pool::new("spamd", vec![at], Limits::default()));
    let taught = Taught::new(Arc::new(memory.clone()), Arc::new(Trainer::start(vec![teacher])));
    let raw = Bytes::from_static(b"Subject: buy\r\n\r\nnow\r\n");
    let body = taught.put(call(alice, zcluster_mail::prepare(&raw))).await.unwrap();
    let message = NewMessage {
        folder: folders::INBOX,
        flags: Flags::default(),
        keywords: vec![],
        internal_ms: 0,
        body,
        parsed: zcluster_mail::parsed(&raw),
        delivery_key: None,
    };
    taught.write(call(alice, MailboxCommand::AddMessage(message))).await.unwrap();
    let moved = |from, to, uid| MailboxCommand::Move { from, uids: UidSet::range(uid, uid), to };
    taught.write(call(alice, moved(folders::INBOX, folders::JUNK, 1))).await.unwrap();
    let said = heard(&listener).await;
    assert!(
        said.starts_with("TELL ") && said.contains("Message-class: spam\r\n") && said.ends_with("now\r\n"),
        "{said}"
    );
    taught.write(call(alice, moved(folders::JUNK, folders::INBOX, 1))).await.unwrap();
    assert!(heard(&listener).await.contains("Message-class: ham\r\n"));
}

fn call<T>(account: AccountId, body: T) -> Call<T> {
    let (actor, request) = (Actor::Account(account), RequestId(zcluster_runtime::random_bytes()));
    Call { actor, account, request, timeout: Duration::from_secs(5), body }
}

/// What the next client of a spamd says; it is told that all is well.
async fn heard(listener: &TcpListener) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    stream.write_all(b"SPAMD/1.1 0 EX_OK\r\nDidSet: local\r\n\r\n\r\n").await.unwrap();
    said
}

//! What users send: as whom, to whom, when, and what the message looks like then.

mod support;

use aws_lc_rs::hmac;
use std::sync::Arc;
use support::{ALICE, BOB, Site, call, pair_from, signed_in, without_trace};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zcluster_api::delivery::OutgoingKind;
use zcluster_api::directory::Modification;
use zcluster_api::mailbox::{UrlAuthKey, folders};
use zcluster_api::queue::{BodyKind, Notify, Ret};
use zcluster_api::{DirectoryCommand, Error, MailboxApi, MailboxCommand, MailboxQuery, MailboxReply};
use zcluster_listener::Protocol;
use zcluster_runtime::{spawn, wall_ms};
use zcluster_screen::{Answer, Arrival, Disposition, Field, Screen, Screened};
use zcluster_smtp::Defence;
use zcluster_smtp::Service::{Lmtp, Mx, Submission};

const AWAY: &str = "friend@elsewhere.org";

fn message(sender: &str, recipients: &[&str], parameters: &str, text: &str) -> String {
    let recipients: String = recipients.iter().map(|r| format!("RCPT TO:<{r}>\r\n")).collect();
    signed_in(&format!("MAIL FROM:<{sender}>{parameters}\r\n{recipients}DATA\r\n{text}.\r\n"))
}

const TEXT: &str = "From: alice@example.com\r\nDate: x\r\nMessage-ID: <1@x>\r\nBcc: hidden@x.example\r\n\r\nhi\r\n";

#[tokio::test]
async fn here_and_elsewhere_in_one_transaction() {
    let site = Site::new();
    let input = message(ALICE, &[BOB, AWAY], " RET=FULL ENVID=abc BODY=8BITMIME", TEXT);
    for _ in 0..2 {
        assert_eq!(site.codes(Submission, &input).await.last().unwrap(), "250 2.0.0");
    }
    let kept = TEXT.replace("Bcc: hidden@x.example\r\n", "");
    assert_eq!(without_trace(&site.inbox(site.bob).await[0]), kept);
    let queued = site.outbox(Some(site.alice)).await;
    assert_eq!((queued.len(), site.inbox(site.bob).await.len()), (1, 1), "a repetition is recognised");
    let (row, raw) = &queued[0];
    assert_eq!(
        (row.kind, row.sender.as_str(), row.recipients.as_slice()),
        (OutgoingKind::Submitted, ALICE, &[AWAY.into()][..])
    );
    assert!(raw.starts_with("Received: from client.example ") && raw.ends_with(&kept), "{raw}");
    let terms = row.terms.as_ref().unwrap();
    assert_eq!((terms.ret, terms.envid.as_deref(), terms.body), (Some(Ret::Full), Some("abc"), BodyKind::EightBit));
}

/// Whoever cannot have it at once gets it through the queue, which reports what fails.
#[tokio::test]
async fn one_failure_does_not_answer_for_all() {
    for error in [Error::Unavailable("x".into()), Error::QuotaExceeded, Error::TooLarge("x".into())] {
        let site = Site::new();
        let bob = site.bob;
        let site = site.failing(bob, error.clone());
        assert_eq!(site.codes(Submission, message(ALICE, &[BOB, AWAY], "", TEXT)).await.last().unwrap(), "250 2.0.0");
        let queued = site.outbox(Some(site.alice)).await;
        let to: Vec<_> = queued.iter().flat_map(|(row, _)| row.recipients.clone()).collect();
        assert_eq!(to, [AWAY, BOB], "{error}");
    }
    // The only recipient's refusal is an answer.
    let site = Site::new();
    let bob = site.bob;
    let site = site.failing(bob, Error::TooLarge("x".into()));
    assert_eq!(site.codes(Submission, message(ALICE, &[BOB], "", TEXT)).await.last().unwrap(), "552 5.3.4");
    // Without a queue nothing is acknowledged.
    let site = Site::new();
    let alice = site.alice;
    let site = site.failing(alice, Error::Unavailable("x".into()));
    assert_eq!(site.codes(Submission, message(ALICE, &[BOB, AWAY], "", TEXT)).await.last().unwrap(), "451 4.3.0");
}

#[tokio::test]
async fn delivery_status_notifications() {
    let site = Site::new();
    let rcpt = format!(
        "MAIL FROM:<{ALICE}>\r\nRCPT TO:<{BOB}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob+40old\r\n\
         RCPT TO:<{ALICE}> NOTIFY=NEVER\r\nDATA\r\n{TEXT}.\r\n"
    );
    assert_eq!(site.codes(Submission, signed_in(&rcpt)).await.last().unwrap(), "250 2.0.0");
    // Who wants to hear of success hears of it from the queue.
    assert_eq!((site.inbox(site.bob).await.len(), site.inbox(site.alice).await.len()), (0, 1));
    let queued = site.outbox(Some(site.alice)).await;
    let asked = &queued[0].0.terms.as_ref().unwrap().recipients[0];
    assert_eq!((asked.address.as_str(), asked.orcpt.as_deref()), (BOB, Some("rfc822;Bob+40old")));
    assert_eq!(asked.notify, Some(Notify::SUCCESS.with(Notify::FAILURE)));
    // LMTP offers none of it.
    let lmtp = format!("LHLO x\r\nMAIL FROM:<> RET=FULL\r\nMAIL FROM:<>\r\nRCPT TO:<{BOB}> NOTIFY=NEVER\r\n");
    assert_eq!(site.codes(Lmtp, lmtp).await[1..], ["555 5.5.4", "250 2.1.0", "555 5.5.4"]);
}

#[tokio::test]
async fn held_back() {
    let site = Site::new();
    let begin = wall_ms();
    let input = message(ALICE, &[BOB, AWAY], " HOLDFOR=3600", TEXT);
    assert_eq!(site.codes(Submission, input).await.last().unwrap(), "250 2.0.0");
    assert!(site.inbox(site.bob).await.is_empty());
    for (row, _) in site.outbox(Some(site.alice)).await {
        assert!(row.due_ms >= begin + 3_600_000, "{row:?}");
    }
    for (parameter, code) in [
        ("HOLDFOR=2592000", "250 2.1.0"),
        ("HOLDFOR=2592100", "501 5.5.4"),
        ("HOLDUNTIL=2001-01-01T00:00:00Z", "250 2.1.0"),
        ("HOLDUNTIL=2999-01-01T00:00:00Z", "501 5.5.4"),
    ] {
        let codes = site.codes(Submission, signed_in(&format!("MAIL FROM:<{ALICE}> {parameter}\r\n"))).await;
        assert_eq!(codes[2], code, "{parameter}");
    }
    assert_eq!(site.codes(Mx, "EHLO x\r\nMAIL FROM:<> HOLDFOR=1\r\n").await[1], "555 5.5.4");
}

#[tokio::test]
async fn tls_required() {
    let site = Site::new();
    let mail = format!("MAIL FROM:<{ALICE}> REQUIRETLS\r\n");
    assert_eq!(site.codes(Submission, signed_in(&mail)).await[2], "530 5.7.10");
    let (connection, mut client) = pair_from("198.51.100.7");
    spawn(site.smtp(Submission).serve(connection.assume_secure()));
    let input = signed_in(&format!("{mail}RCPT TO:<{AWAY}>\r\nDATA\r\n{TEXT}.\r\nQUIT\r\n"));
    client.write_all(input.as_bytes()).await.unwrap();
    let mut output = String::new();
    client.read_to_string(&mut output).await.unwrap();
    assert!(output.contains("250-REQUIRETLS\r\n") && output.contains("250 2.0.0 Ok"), "{output}");
    assert!(site.outbox(Some(site.alice)).await[0].0.terms.as_ref().unwrap().require_tls);
}

#[tokio::test]
async fn senders() {
    let mut site = Site::new();
    let grant = |right: &str| {
        let changes = vec![Modification::set("zimbraACE", format!("{} usr {right}", site.alice))];
        site.memory.command(DirectoryCommand::ModifyAccount { id: site.bob, changes }).unwrap();
    };
    let as_bob = || site.codes(Submission, message(BOB, &[AWAY], "", TEXT));
    assert_eq!(as_bob().await[2], "553 5.7.1");
    grant("sendAs");
    assert_eq!(as_bob().await.last().unwrap(), "250 2.0.0");
    grant("sendOnBehalfOf");
    let text = TEXT.replace("alice@example.com", BOB).replace("<1@x>", "<2@x>");
    assert_eq!(site.codes(Submission, message(BOB, &[AWAY], "", &text)).await.last().unwrap(), "250 2.0.0");
    grant("-sendAs");
    assert_eq!(as_bob().await[2], "553 5.7.1");
    let queued = site.outbox(Some(site.alice)).await;
    assert!(!queued[0].1.contains("Sender: "), "{}", queued[0].1);
    assert!(queued[1].1.contains("\r\nSender: alice@example.com\r\n"), "{}", queued[1].1);
    // Tags, catch-alls of a domain, any address; a session elsewhere, where the settings are not known from before.
    site.backend.edge.defence = Arc::new(Defence::default());
    site.configure("zimbraMtaRecipientDelimiter", &["+"]);
    site.memory.add_account("x@other.example", "y");
    site.set_domain("other.example", "zimbraMailCatchAllForwardingAddress", ALICE);
    for (sender, code) in [
        ("alice+tag@example.com", "250 2.1.0"),
        ("anything@other.example", "250 2.1.0"),
        ("x@other.example", "553 5.7.1"),
        ("me@elsewhere.org", "553 5.7.1"),
    ] {
        assert_eq!(site.codes(Submission, signed_in(&format!("MAIL FROM:<{sender}>\r\n"))).await[2], code, "{sender}");
    }
    site.set(site.alice, "zimbraAllowAnyFromAddress", "TRUE");
    assert_eq!(site.codes(Submission, signed_in("MAIL FROM:<me@elsewhere.org>\r\n")).await[2], "250 2.1.0");
}

#[tokio::test]
async fn authors_that_are_others_get_a_sender_field() {
    for (header, sender) in [
        ("From: Alice <alice@example.com>\r\n", false),
        ("From: ceo@example.com\r\n", true),
        ("From: alice@example.com, bob@example.com\r\n", true),
        ("From: alice@example.com\r\nSender: ceo@example.com\r\n", true),
        ("From: alice@example.com\r\nSender: alice@example.com\r\n", false),
    ] {
        let site = Site::new();
        let text = format!("{header}Date: x\r\nMessage-ID: <1@x>\r\n\r\nhi\r\n");
        assert_eq!(site.codes(Submission, message(ALICE, &[BOB], "", &text)).await.last().unwrap(), "250 2.0.0");
        let inbox = site.inbox(site.bob).await;
        let got = without_trace(&inbox[0]);
        assert_eq!(got.starts_with("Sender: alice@example.com\r\n"), sender, "{got}");
        assert!(!got.contains("Sender: ceo"), "{got}");
    }
}

#[tokio::test]
async fn bounds_on_sending() {
    let site = Site::new();
    site.set(site.alice, "zclusterMailSendMaxRecipientsPerDay", "3");
    site.set(site.alice, "zclusterMailSendMaxMessagesPerHour", "2");
    let one = |n: usize| {
        let to: String = (0..n).map(|i| format!("RCPT TO:<f{i}@elsewhere.org>\r\n")).collect();
        format!("MAIL FROM:<{ALICE}>\r\n{to}DATA\r\n{TEXT}.\r\n")
    };
    let codes = site.codes(Submission, signed_in(&(one(1) + &one(1)))).await;
    assert_eq!(codes.iter().filter(|c| *c == "250 2.0.0").count(), 2);
    let codes = site
        .codes(
            Submission,
            signed_in(&format!("MAIL FROM:<{ALICE}>\r\nRCPT TO:<{BOB}>\r\nRCPT TO:<{AWAY}>\r\nDATA\r\n")),
        )
        .await;
    assert_eq!(codes[3..], ["250 2.1.5", "450 4.7.1", "450 4.7.1"], "a third recipient, a fourth, a third message");
    site.set_domain("example.com", "zclusterDomainMailSendMaxRecipientsPerDay", "1");
    site.set(site.bob, "zimbraPrefFromDisplay", "x");
    let bob = "EHLO x\r\nAUTH PLAIN AGJvYkBleGFtcGxlLmNvbQBzZWNyZXQ=\r\nMAIL FROM:<bob@example.com>\r\n";
    let codes = site.codes(Submission, format!("{bob}RCPT TO:<{AWAY}>\r\nRCPT TO:<{AWAY}>\r\n")).await;
    assert_eq!(codes[3..], ["250 2.1.5", "450 4.7.1"], "the domain's bound");
}

#[tokio::test]
async fn journal_copies() {
    let site = Site::new();
    for (account, archive) in [(site.alice, "alice@archive.example"), (site.bob, "bob@archive.example")] {
        site.set(account, "zimbraArchiveEnabled", "TRUE");
        site.set(account, "zimbraArchiveAccount", archive);
    }
    site.configure("zimbraArchiveMailFrom", &["journal@example.com"]);
    let input = format!("EHLO x.example\r\nMAIL FROM:<s@elsewhere.org>\r\nRCPT TO:<{BOB}>\r\nDATA\r\n{TEXT}.\r\n");
    for _ in 0..2 {
        assert_eq!(site.codes(Mx, &input).await.last().unwrap(), "250 2.0.0");
    }
    assert_eq!(
        site.codes(Submission, message(ALICE, &[BOB, AWAY], "", &TEXT.replace("<1@x>", "<2@x>"))).await.last().unwrap(),
        "250 2.0.0"
    );
    let copies = site.outbox(None).await;
    let to: Vec<_> = copies.iter().map(|(row, _)| row.recipients.join(" ")).collect();
    assert_eq!(to, ["bob@archive.example", "alice@archive.example bob@archive.example"]);
    assert!(copies.iter().all(|(row, _)| row.sender == "journal@example.com"));
    assert!(copies[1].1.starts_with(&format!(
        "X-Envelope-From: <{ALICE}>\r\nX-Envelope-To: <{BOB}>\r\nX-Envelope-To: <{AWAY}>\r\nReceived: "
    )));
    // Nobody got it: nobody keeps it.
    site.set(site.bob, "zimbraMailQuota", "10");
    let codes = site.codes(Lmtp, format!("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<{BOB}>\r\n")).await;
    assert_eq!((codes[2].as_str(), site.outbox(None).await.len()), ("452 4.2.2", 2));
}

#[tokio::test]
async fn binary_messages() {
    let site = Site::new();
    let head = "MIME-Version: 1.0\r\nMessage-ID: <1@x>\r\nContent-Type: application/octet-stream\r\n\
                Content-Transfer-Encoding: binary\r\n\r\n";
    let body = |data: &[u8]| {
        let text = [head.as_bytes(), data].concat();
        let begin =
            format!("EHLO x\r\nMAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<{BOB}>\r\nBDAT {} LAST\r\n", text.len());
        [begin.as_bytes(), &text[..], b"NOOP\r\n"].concat()
    };
    let codes = site.codes(Mx, body(b"a\nb\0c\xff")).await;
    assert_eq!(codes[3..], ["250 2.0.0", "250 2.0.0"]);
    let got = site.inbox(site.bob).await.remove(0);
    assert!(got.contains("base64") && got.contains("\r\n\r\nYQpiAGP/"), "{got}");
    let codes = site.codes(Mx, "EHLO x\r\nMAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n").await;
    assert_eq!(codes[3], "503 5.5.1", "only by BDAT");
    // A NUL where no part can hold it.
    let text = "Subject: a\0b\r\n\r\n";
    let input =
        format!("EHLO x\r\nMAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<{BOB}>\r\nBDAT {} LAST\r\n{text}", text.len());
    assert_eq!(site.codes(Mx, input).await[3], "554 5.6.0");
}

/// Bob's first message, by a URL that lets alice send it.
async fn url(site: &Site, access: &str) -> String {
    let key = UrlAuthKey([7; 32]);
    let set = MailboxCommand::SetUrlAuthKey { folder: folders::INBOX, key, keep: true };
    MailboxApi::write(&site.memory, call(site.bob, set)).await.unwrap();
    let MailboxReply::Uids { folder, uids, .. } =
        MailboxApi::read(&site.memory, call(site.bob, MailboxQuery::Uids(folders::INBOX))).await.unwrap()
    else {
        panic!("no UIDs");
    };
    let (validity, uid) = (folder.uid_validity, uids.iter().next().unwrap());
    let rump =
        format!("imap://bob%40example.com@mx.example.com/INBOX;UIDVALIDITY={validity}/;UID={uid}/;URLAUTH={access}");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]), rump.as_bytes());
    let hex: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    format!("{rump}:internal:01{hex}")
}

#[tokio::test]
async fn messages_by_url() {
    let site = Site::new();
    let input = format!("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<{BOB}>\r\nDATA\r\nSubject: draft\r\n\r\ntext\r\n.\r\n");
    site.talk(Lmtp, input).await;
    let envelope = format!("MAIL FROM:<{ALICE}>\r\nRCPT TO:<{ALICE}>\r\n");
    let good = url(&site, "submit+alice").await;
    let output = site.talk(Submission, signed_in(&format!("EHLO x\r\n{envelope}BURL {good} LAST\r\nNOOP\r\n"))).await;
    assert!(output.contains("250-BURL imap\r\n") || output.contains("250 BURL imap\r\n"), "{output}");
    assert!(output.ends_with("250 2.0.0 Ok ID\r\n250 2.0.0 Ok\r\n"), "{output}");
    assert!(site.inbox(site.alice).await[0].ends_with("Subject: draft\r\n\r\ntext\r\n"));
    // Between pieces of one's own.
    let pieces = format!("{envelope}BDAT 12\r\nX-Before: y\r\nBURL {good}\r\nBDAT 7 LAST\r\nafter\r\n");
    let pieces = pieces.replace("BDAT 12", "BDAT 13");
    let codes = site.codes(Submission, signed_in(&pieces)).await;
    assert_eq!(codes[4..], ["250 2.0.0", "250 2.5.0", "250 2.0.0"]);
    assert!(site.inbox(site.alice).await[1].ends_with("text\r\nafter\r\n"));
    // What was not meant for alice, is forged, or comes without a sign-in.
    let (for_carol, any) = (url(&site, "submit+carol").await, url(&site, "authuser").await);
    for (url, code) in [
        (for_carol, "554 5.5.0"),
        (good.replace(":01", ":02"), "554 5.5.0"),
        (good.replace("submit+alice", "submit+ALICE"), "554 5.5.0"),
        ("imap://x".into(), "554 5.5.0"),
        (any, "250 2.0.0"),
    ] {
        let codes = site.codes(Submission, signed_in(&format!("{envelope}BURL {url} LAST\r\nDATA\r\n"))).await;
        assert_eq!(codes[4..], [code, "503 5.5.1"], "{url}");
    }
    assert_eq!(site.codes(Submission, format!("EHLO x\r\nBURL {good} LAST\r\n")).await[1], "530 5.7.0");
    assert_eq!(site.codes(Mx, format!("EHLO x\r\nBURL {good} LAST\r\n")).await[1], "502 5.5.1");
}

/// Answers by what the message says.
struct Judge;

impl Screen for Judge {
    fn screen<'a>(&'a self, arrival: &'a Arrival) -> futures::future::BoxFuture<'a, Screened> {
        let text = String::from_utf8_lossy(&arrival.raw).into_owned();
        let answer = |code| Answer { code, status: format!("{}.7.1", code / 100), text: "says the\r\njudge".into() };
        let disposition = match () {
            _ if text.contains("REJECT") => Disposition::Reject(answer(550)),
            _ if text.contains("DEFER") => Disposition::Defer(answer(451)),
            _ if text.contains("DISCARD") => Disposition::Discard,
            _ => Disposition::Accept,
        };
        let who = arrival.authenticated.clone().unwrap_or_else(|| "a stranger".into());
        let fields = vec![Field::new("X-Judged", format!("{who} {} {}", arrival.client_ip, arrival.recipients.len()))];
        let removed = if text.starts_with("X-Judged") { vec![0] } else { vec![] };
        Box::pin(std::future::ready(Screened { disposition, fields, removed, ..Screened::default() }))
    }
}

#[tokio::test]
async fn screens_decide() {
    let mut site = Site::new();
    site.backend.edge.screen = Some(Arc::new(Judge));
    for (word, code) in
        [("REJECT", "550 5.7.1"), ("DEFER", "451 4.7.1"), ("DISCARD", "250 2.0.0"), ("fine", "250 2.0.0")]
    {
        let text = format!("X-Judged: forged\r\nSubject: {word}\r\n\r\nx\r\n");
        let input = format!("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<{BOB}>\r\nDATA\r\n{text}.\r\n");
        let output = site.talk_from("198.51.100.7", Mx, input).await;
        assert_eq!(support::codes(&output).last().unwrap(), code, "{output}");
        assert!(code.starts_with('2') || output.ends_with(&format!("{code} says the  judge\r\n")), "{output}");
    }
    let inbox = site.inbox(site.bob).await;
    assert_eq!(inbox.len(), 1);
    assert_eq!(without_trace(&inbox[0]), "X-Judged: a stranger 198.51.100.7 1\r\nSubject: fine\r\n\r\nx\r\n");
    site.codes(Submission, message(ALICE, &[BOB, AWAY], "", TEXT)).await;
    assert!(site.outbox(Some(site.alice)).await[0].1.contains("\r\nX-Judged: alice@example.com 127.0.0.1 2\r\n"));
    // What comes by LMTP was looked at by who sends it.
    let lmtp = format!("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<{BOB}>\r\nDATA\r\nSubject: REJECT\r\n\r\n.\r\n");
    assert_eq!(site.codes(Lmtp, lmtp).await.last().unwrap(), "250 2.0.0");
}

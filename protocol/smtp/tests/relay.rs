//! Who may send where: probes for open relays, hosts of ours, split domains, rewriting.

mod support;

use support::{ALICE, BOB, Site, signed_in};
use zcluster_api::delivery::OutgoingKind;
use zcluster_smtp::Service::{Lmtp, Mx, Submission};

const STRANGER: &str = "198.51.100.7";

/// Forms that have opened relays: of senders and of recipients. Ours are mx.example.com (the host) and example.com.
const SENDERS: [&str; 12] = [
    "spammer@elsewhere.org",
    "",
    "bob@example.com",
    "spammer@mx.example.com",
    "spammer@[192.0.2.25]",
    "spammer@localhost",
    "postmaster@example.com",
    "@mx.example.com:spammer@elsewhere.org",
    "spammer%elsewhere.org@example.com",
    "elsewhere.org!spammer@example.com",
    "\"spammer@elsewhere.org\"@example.com",
    "spammer@example.com.elsewhere.org",
];
const RECIPIENTS: [&str; 28] = [
    "victim@elsewhere.org",
    "victim%elsewhere.org@example.com",
    "victim%elsewhere.org@mx.example.com",
    "victim%elsewhere.org@[192.0.2.25]",
    "victim%elsewhere.org@localhost",
    "victim%elsewhere.org%example.com@example.com",
    "elsewhere.org!victim@example.com",
    "elsewhere.org!victim@mx.example.com",
    "example.com!elsewhere.org!victim@example.com",
    "elsewhere.org!victim@[192.0.2.25]",
    "\"victim@elsewhere.org\"@example.com",
    "\"victim@elsewhere.org\"@[192.0.2.25]",
    "\"victim%elsewhere.org\"@example.com",
    "\"victim@elsewhere.org\"",
    "\"victim%elsewhere.org\"",
    "@example.com:victim@elsewhere.org",
    "@mx.example.com,@example.com:victim@elsewhere.org",
    "@[192.0.2.25]:victim@elsewhere.org",
    "victim@elsewhere.org@example.com",
    "victim@elsewhere.org@[192.0.2.25]",
    "victim@[192.0.2.25]",
    "victim@[IPv6:::1]",
    "bob@localhost",
    "bob@mx.example.com",
    "bob@example.com.elsewhere.org",
    "IMCEASMTP-victim+40elsewhere+2Eorg@example.com",
    "victim=elsewhere.org@example.com",
    "elsewhere.org:victim@example.com",
];

#[tokio::test]
async fn open_relay_probes_are_refused() {
    let site = Site::new();
    site.configure("zimbraMtaRecipientDelimiter", &["+", "%"]);
    for recipient in RECIPIENTS {
        for sender in SENDERS {
            for peer in [STRANGER, "127.0.0.1"] {
                let input =
                    format!("EHLO relay.test.example\r\nMAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n");
                let codes = site.codes_from(peer, Mx, input).await;
                assert_eq!(codes[1], "250 2.1.0", "{sender}");
                assert!(codes[2].starts_with('5'), "{recipient} from {sender}: {codes:?}");
                assert_eq!(codes[3], "503 5.5.1", "no recipient, no message");
            }
        }
        let codes = site.codes(Lmtp, format!("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<{recipient}>\r\n")).await;
        assert!(codes[2].starts_with('5'), "LMTP {recipient}: {codes:?}");
        let codes = site.codes(Submission, format!("EHLO x\r\nMAIL FROM:<{ALICE}>\r\nRCPT TO:<{recipient}>\r\n")).await;
        assert!(codes[1] == "530 5.7.0" && codes[2].starts_with('5'), "{recipient}: {codes:?}");
    }
    assert!(site.outbox(None).await.is_empty());
}

/// Users and hosts of ours may send to others, but not to addresses that mean something else there.
#[tokio::test]
async fn users_and_hosts_of_ours_may_relay() {
    let site = Site::new();
    site.configure("zimbraMtaMyNetworks", &["198.51.100.0/24 [2001:db8::]/32"]);
    for (recipient, code) in [
        ("friend@elsewhere.org", "250 2.1.5"),
        ("Friend.Of@Elsewhere.ORG", "250 2.1.5"),
        (BOB, "250 2.1.5"),
        ("nobody@example.com", "550 5.1.1"),
        ("victim@[192.0.2.25]", "550 5.7.1"),
        ("\"a b\"@elsewhere.org", "550 5.7.1"),
    ] {
        let rest = format!("MAIL FROM:<{ALICE}>\r\nRCPT TO:<{recipient}>\r\n");
        assert_eq!(site.codes(Submission, signed_in(&rest)).await[3], code, "{recipient}");
        for (peer, mx) in [(STRANGER, code), ("2001:db8::5", code), ("203.0.113.1", "")] {
            let got = &site.codes_from(peer, Mx, format!("EHLO a.example\r\n{rest}")).await[2];
            let want = match (mx, recipient) {
                ("", BOB) => "250 2.1.5",
                ("", "nobody@example.com") => "550 5.1.1",
                ("", _) => "550 5.7.1",
                (code, _) => code,
            };
            assert_eq!(got, want, "{recipient} from {peer}");
        }
    }
}

#[tokio::test]
async fn mail_of_hosts_of_ours_is_queued_with_its_header_in_order() {
    let site = Site::new();
    site.configure("zimbraMtaMyNetworks", &["198.51.100.7"]);
    let message = "Subject: report\r\nBcc: secret@x.example\r\n\r\ndone\r\n";
    let input = format!(
        "EHLO app.example\r\nMAIL FROM:<app@example.com> RET=HDRS ENVID=e1\r\n\
         RCPT TO:<a@elsewhere.org> NOTIFY=NEVER\r\nRCPT TO:<b@other.org> ORCPT=rfc822;B@other.org\r\nDATA\r\n{message}.\r\n"
    );
    assert_eq!(site.codes_from(STRANGER, Mx, input).await.last().unwrap(), "250 2.0.0");
    let queued = site.outbox(None).await;
    assert_eq!(queued.len(), 2, "a row for each destination");
    for (row, raw) in &queued {
        assert_eq!((row.kind, row.sender.as_str()), (OutgoingKind::Relayed, "app@example.com"));
        assert!(raw.starts_with("Received: from app.example ([198.51.100.7])\r\n"), "{raw}");
        assert!(raw.contains("\r\nDate: ") && raw.contains("\r\nMessage-ID: <") && !raw.contains("secret"), "{raw}");
        assert!(!raw.contains("Return-Path") && raw.ends_with("Subject: report\r\n\r\ndone\r\n"), "{raw}");
        let terms = row.terms.as_ref().unwrap();
        assert_eq!((terms.envid.as_deref(), terms.recipients.len()), (Some("e1"), 1));
    }
}

#[tokio::test]
async fn the_other_half_of_a_split_domain() {
    let site = Site::new();
    let old = |address: &str| format!("EHLO a.example\r\nMAIL FROM:<s@elsewhere.org>\r\nRCPT TO:<{address}>\r\n");
    assert_eq!(site.codes_from(STRANGER, Mx, old("moved@example.com")).await[2], "550 5.1.1");
    site.set_domain("example.com", "zimbraMailTransport", "smtp:old.example.net:25");
    assert_eq!(site.codes_from(STRANGER, Mx, old("moved@example.com")).await[2], "250 2.1.5");
    assert_eq!(site.codes_from(STRANGER, Mx, old("x@elsewhere.org")).await[2], "550 5.7.1", "it opens no relay");
    assert_eq!(site.codes_from(STRANGER, Mx, old("x%elsewhere.org@elsewhere.org")).await[2], "550 5.7.1");
    // One that is here stays here; one account can be there.
    site.set(site.alice, "zimbraMailTransport", "lmtp:old.example.net:7025");
    let data = format!(
        "{}RCPT TO:<{ALICE}>\r\nRCPT TO:<{BOB}>\r\nDATA\r\nMessage-ID: <1@x>\r\n\r\nhi\r\n.\r\n",
        old("moved@example.com")
    );
    for _ in 0..2 {
        assert_eq!(site.codes_from(STRANGER, Mx, &data).await.last().unwrap(), "250 2.0.0");
    }
    assert_eq!((site.inbox(site.bob).await.len(), site.inbox(site.alice).await.len()), (1, 0));
    let queued = site.outbox(None).await;
    assert_eq!(queued.len(), 1, "once, although it came twice");
    assert_eq!(queued[0].0.recipients, ["moved@example.com", ALICE]);
    // What names this cluster is no other host.
    site.set(site.alice, "zimbraMailTransport", "lmtp:mx.example.com:7025");
    assert_eq!(site.codes_from(STRANGER, Mx, data).await.last().unwrap(), "250 2.0.0");
    assert_eq!(site.inbox(site.alice).await.len(), 1);
    // What the operator has refused is refused before it is taken; what cannot be understood has no effect.
    for (way, code) in [("error:moved away", "550 5.7.1"), ("retry:not today", "250 2.1.5"), ("pipe:x", "250 2.1.5")] {
        site.set(site.alice, "zimbraMailTransport", way);
        assert_eq!(site.codes_from(STRANGER, Mx, old(ALICE)).await[2], code, "{way}");
    }
}

#[tokio::test]
async fn tags_aliases_of_domains_and_catch_alls() {
    let site = Site::new();
    site.memory.add_account("other@alias.example", "x");
    site.configure("zimbraMtaRecipientDelimiter", &["+"]);
    let to = |address: &str| format!("EHLO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<{address}>\r\n");
    for (address, code) in [
        ("bob+news@example.com", "250 2.1.5"),
        ("bob+a+b@example.com", "250 2.1.5"),
        ("+bob@example.com", "550 5.1.1"),
        ("bob-news@example.com", "550 5.1.1"),
        ("bob@alias.example", "550 5.1.1"),
    ] {
        assert_eq!(site.codes_from(STRANGER, Mx, to(address)).await[2], code, "{address}");
    }
    site.set_domain("alias.example", "zimbraMailCatchAllForwardingAddress", "@example.com");
    for (address, code) in
        [("bob@alias.example", "250 2.1.5"), ("bob+x@alias.example", "250 2.1.5"), ("no@alias.example", "550 5.1.1")]
    {
        assert_eq!(site.codes_from(STRANGER, Mx, to(address)).await[2], code, "{address}");
    }
    site.set_domain("alias.example", "zimbraMailCatchAllForwardingAddress", BOB);
    assert_eq!(site.codes_from(STRANGER, Mx, to("no@alias.example")).await[2], "250 2.1.5");
    // An account that catches all stands before it, and is what the mail is delivered to.
    site.set(site.alice, "zimbraMailCatchAllAddress", "@alias.example");
    for service in [Mx, Lmtp] {
        let hello = if service == Lmtp { "LHLO" } else { "EHLO" };
        let data = format!(
            "{hello} a.example\r\nMAIL FROM:<>\r\nRCPT TO:<no{hello}@alias.example>\r\nDATA\r\nSubject: x\r\n\r\nhi\r\n.\r\n"
        );
        assert_eq!(site.codes_from(STRANGER, service, data).await.last().unwrap(), "250 2.0.0");
    }
    assert_eq!((site.inbox(site.alice).await.len(), site.inbox(site.bob).await.len()), (2, 0));
    site.set(site.alice, "zimbraMailCatchAllAddress", "");
    // Domains that rewrite to each other end somewhere.
    site.set_domain("alias.example", "zimbraMailCatchAllForwardingAddress", "@example.com");
    site.set_domain("example.com", "zimbraMailCatchAllForwardingAddress", "@alias.example");
    assert_eq!(site.codes_from(STRANGER, Mx, to("no@alias.example")).await[2], "550 5.1.1");
}

#[tokio::test]
async fn domains_and_quotas_are_asked_before_the_message_is_sent() {
    let site = Site::new();
    let to = format!("LHLO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<{BOB}>\r\n");
    for (status, code) in [
        ("locked", "250 2.1.5"),
        ("maintenance", "450 4.2.1"),
        ("suspended", "450 4.2.1"),
        ("shutdown", "450 4.2.1"),
        ("closed", "550 5.2.1"),
        ("active", "250 2.1.5"),
    ] {
        site.set_domain("example.com", "zimbraDomainStatus", status);
        assert_eq!(site.codes(Lmtp, &to).await[2], code, "{status}");
    }
    let message = format!("{to}DATA\r\n{}\r\n.\r\n", "x".repeat(900));
    assert_eq!(site.codes(Lmtp, &message).await.last().unwrap(), "250 2.0.0");
    site.set(site.bob, "zimbraMailQuota", "500");
    assert_eq!(site.codes(Lmtp, &to).await[2], "452 4.2.2");
    site.set(site.bob, "zimbraLmtpPermanentFailureWhenOverQuota", "TRUE");
    assert_eq!(site.codes(Lmtp, &to).await[2], "552 5.2.2");
    site.set(site.bob, "zimbraMailQuota", "0");
    assert_eq!(site.codes(Lmtp, &to).await[2], "250 2.1.5");
    site.set_domain("example.com", "zimbraMailDomainQuota", "500");
    assert_eq!(site.codes(Lmtp, &to).await[2], "552 5.2.2");
    // What all mailboxes of a domain hold together is counted beside the first recipients.
    site.set_domain("example.com", "zimbraMailDomainQuota", "0");
    site.set_domain("example.com", "zimbraDomainAggregateQuota", "500");
    assert_eq!(site.codes(Lmtp, &to).await[2], "250 2.1.5", "ALLOWSENDRECEIVE");
    site.set_domain("example.com", "zimbraDomainAggregateQuotaPolicy", "BLOCKSENDRECEIVE");
    let mut code = String::new();
    for _ in 0..1_000 {
        code = site.codes(Lmtp, &to).await[2].clone();
        if code != "250 2.1.5" {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(code, "552 5.2.2");
    site.set_domain("example.com", "zimbraDomainAggregateQuotaPolicy", "BLOCKSEND");
    assert_eq!(site.codes(Lmtp, &to).await[2], "250 2.1.5");
}

//! Postfix hands mail over by LMTP, as on the edge of a site that keeps it.

use std::process::Command;
use std::time::Duration;

use crate::support::cluster::Port;
use crate::support::eventually;
use crate::support::mail::{message, unique};
use crate::support::postfix::{Postfix, can_run};
use crate::support::scene::{Scene, must_be_exactly};
use crate::support::smtp::{Delivery, Smtp};
use crate::support::tools::succeed;

const ALICE: &str = "alice@example.com";
/// Messages before and after the kill; the swaks ones among them.
const BEFORE: usize = 60;
const AFTER: usize = 60;
const SWAKS: usize = 5;

#[test]
fn postfix_delivers_by_lmtp_through_a_failover_and_nothing_is_lost_or_doubled() {
    if !can_run() {
        return;
    }
    let mut scene = Scene::start(ALICE);
    let postfix = by_lmtp(&[scene.port(Port::Lmtp), scene.cluster.port(scene.other, Port::Lmtp)]);
    let mut sent: Vec<String> = (0..SWAKS).map(|_| with_swaks(&postfix)).collect();
    let mut smtp = Smtp::esmtp(postfix.port).unwrap();
    for round in 0..BEFORE + AFTER {
        if round == BEFORE {
            scene.kill_primary();
        }
        let id = unique("postfix");
        assert_eq!(smtp.deliver(ALICE, &message(&id, 3_000)), Delivery::Acknowledged);
        sent.push(id);
    }
    sent.extend((0..SWAKS).map(|_| with_swaks(&postfix)));
    let arrived = || scene.ids("INBOX").values().sum::<usize>();
    eventually(&format!("everything arrives; {}", postfix.log()), Duration::from_secs(45), || {
        arrived() >= sent.len() && postfix.queue_is_empty()
    });
    must_be_exactly("INBOX after Postfix", &scene.ids("INBOX"), &sent);
    unknown_users_bounce_at_once(&postfix, scene.port(Port::Lmtp));
}

fn with_swaks(postfix: &Postfix) -> String {
    let id = unique("swaks");
    // As swaks spells it: another spelling would be a second one.
    let header = format!("Message-Id: <{id}@ledger>");
    let port = postfix.port.to_string();
    let to = ["--server", "127.0.0.1", "--port", &port, "--from", "sender@example.org", "--to", ALICE];
    succeed(Command::new("swaks").args(to).args([
        "--header",
        &header,
        "--body",
        "by swaks\nthrough Postfix",
        "--suppress-data",
    ]));
    id
}

/// A recipient that does not exist is refused for good: Postfix must not keep the message.
fn unknown_users_bounce_at_once(postfix: &Postfix, lmtp: u16) {
    let mut direct = Smtp::lmtp(lmtp).unwrap();
    direct.command("MAIL FROM:<sender@example.org>", 250).unwrap();
    let (code, text) = direct.ask("RCPT TO:<nobody@example.com>").unwrap();
    assert!((500..600).contains(&code), "{text}");
    let mut smtp = Smtp::esmtp(postfix.port).unwrap();
    // The empty sender: Postfix drops the bounce of a bounce.
    smtp.command("MAIL FROM:<>", 250).unwrap();
    smtp.command("RCPT TO:<nobody@example.com>", 250).unwrap();
    smtp.command("DATA", 354).unwrap();
    smtp.wire.send(b"Subject: to nobody\r\n\r\nnothing\r\n.\r\n").unwrap();
    assert_eq!(smtp.reply().unwrap().0, 250);
    eventually("Postfix gives the message up", Duration::from_secs(20), || {
        postfix.log().contains("status=bounced") && postfix.queue_is_empty()
    });
}

/// One that hands mail for example.com over as these lines of its main.cf say.
pub fn handing_over(transport: &str) -> Postfix {
    Postfix::start(|_| {
        format!(
            "myhostname = edge.example.org\nmynetworks = 127.0.0.0/8\nvirtual_mailbox_domains = example.com\n\
             virtual_mailbox_maps = static:all\n{transport}\nminimal_backoff_time = 2s\nmaximal_backoff_time = 4s\n\
             queue_run_delay = 2s\ntransport_retry_time = 2s\nlmtp_connect_timeout = 5s\n\
             lmtp_connection_cache_on_demand = yes\n"
        )
    })
}

fn by_lmtp(ports: &[u16]) -> Postfix {
    let next_hops: Vec<String> = ports.iter().map(|port| format!("inet:127.0.0.1:{port}")).collect();
    handing_over(&format!("virtual_transport = lmtp:{}", next_hops.join(", ")))
}

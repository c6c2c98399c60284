//! Postfix as another site's server sends to port 25: TLS, pipelining, DSN, sizes, unknown users; and a spare node.

use std::time::Duration;

use crate::postfix::handing_over;
use crate::support::cluster::Port;
use crate::support::eventually;
use crate::support::mail::{message, unique};
use crate::support::postfix::can_run;
use crate::support::scene::{Scene, must_be_exactly};
use crate::support::smtp::{Delivery, Smtp};

const ALICE: &str = "alice@example.com";
/// Messages before and after the kill.
const HALF: usize = 25;

#[test]
fn postfix_sends_over_tls_through_a_failover_and_nothing_is_lost_or_doubled() {
    if !can_run() {
        return;
    }
    let mut scene = Scene::start(ALICE);
    let (first, second) = (scene.port(Port::Smtp), scene.cluster.port(scene.other, Port::Smtp));
    // Encrypted or not at all: that STARTTLS works is part of the test.
    let postfix = handing_over(&format!(
        "virtual_transport = smtp:[127.0.0.1]:{first}\nsmtp_fallback_relay = [127.0.0.1]:{second}\n\
         smtp_tls_security_level = encrypt\nsmtp_tls_loglevel = 1\nsmtp_connect_timeout = 5s"
    ));
    let mut smtp = Smtp::esmtp(postfix.port).unwrap();
    let mut sent = Vec::new();
    for round in 0..2 * HALF {
        if round == HALF {
            scene.kill_primary();
        }
        let id = unique("postfix-in");
        assert_eq!(smtp.deliver(ALICE, &message(&id, 3_000)), Delivery::Acknowledged);
        sent.push(id);
    }
    let arrived = || scene.ids("INBOX").values().sum::<usize>();
    eventually(&format!("everything arrives; {}", postfix.log()), Duration::from_secs(45), || {
        arrived() >= sent.len() && postfix.queue_is_empty()
    });
    must_be_exactly("INBOX after Postfix", &scene.ids("INBOX"), &sent);
    assert!(postfix.log().contains("TLS connection established to 127.0.0.1"), "{}", postfix.log());
    // No such user: Postfix gives up at once. The null sender, so that it reports to nobody.
    smtp.command("MAIL FROM:<>", 250).unwrap();
    smtp.command("RCPT TO:<nobody@example.com>", 250).unwrap();
    smtp.command("DATA", 354).unwrap();
    smtp.wire.send(b"Subject: to nobody\r\n\r\nnothing\r\n.\r\n").unwrap();
    assert_eq!(smtp.reply().unwrap().0, 250);
    eventually("Postfix gives the message up", Duration::from_secs(20), || {
        postfix.log().contains("550 5.1.1 no such user here") && postfix.queue_is_empty()
    });
}

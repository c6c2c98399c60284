//! The node that holds the queue's primary dies in every state of a delivery attempt, in all of them at once: each message
//! arrives, and twice only where the other host had it already.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::cluster::{Cluster, PASSWORD, Port, free_ports, path, run};
use crate::support::mail::unique;
use crate::support::remote::Dns;
use crate::support::stations::{Silence, Station, Stop};
use crate::support::tools::succeed;
use crate::support::{eventually, full};

const ALICE: &str = "alice@example.com";
/// Lines of the large message, 55 bytes each: 7 MB, more than Linux keeps for a connection by itself (`tcp_wmem`: 4 MiB).
const LARGE_LINES: usize = 130_000;
/// A connection waits so long for a next message, and a little.
const IDLE: Duration = Duration::from_secs(6);
/// A claim's rest, an election, and a try.
const LONG: Duration = Duration::from_secs(90);

/// A destination, where its host stops, and how many copies the host may have in the end.
const TABLE: [(&str, Stop, usize); 12] = [
    ("connect.test", Stop::Connect, 1),
    ("ehlo.test", Stop::Ehlo, 1),
    ("starttls.test", Stop::StartTls, 1),
    ("mail.test", Stop::Mail, 1),
    ("rcpt.test", Stop::Rcpt, 1),
    ("data.test", Stop::Data, 1),
    ("body.test", Stop::Body, 1),
    ("dot.test", Stop::Dot, 2),
    ("reply.test", Stop::Reply, 2),
    ("refuse.test", Stop::Refuse, 0),
    ("defer.test", Stop::Defer, 1),
    ("held.test", Stop::Defer, 1),
];
/// Found by DNS, which keeps silent: claimed, and not connected to anybody.
const LOOKED_UP: &str = "bare.test";

struct Scene {
    cluster: Cluster,
    silence: Silence,
    stations: Vec<Station>,
    looked_up: Station,
    _dns: Dns,
    _config: tempfile::NamedTempFile,
}

impl Scene {
    fn start() -> Self {
        let dns = Dns::start();
        let silence = Silence::start("bare", dns.port);
        let first = free_ports();
        let ports = first..;
        let stations: Vec<Station> =
            TABLE.iter().zip(ports).map(|((_, stop, _), port)| Station::start(*stop, port)).collect();
        let looked_up = Station::start(Stop::Defer, first + 100);
        looked_up.open();
        let config = dns.node_config_of(silence.port, looked_up.port);
        let cluster = Cluster::start_with(3, &["--config", path(config.path())]);
        let mut settings: Vec<String> = ["zimbraMtaMinimalBackoffTime", "1s", "zimbraMtaMaximalBackoffTime", "2s"]
            .into_iter()
            .chain(["zimbraMtaSmtpTlsSecurityLevel", "may"])
            .map(String::from)
            .collect();
        for ((domain, _, _), station) in TABLE.iter().zip(&stations) {
            settings.extend(["zclusterTransportMap".into(), format!("{domain} smtp:[127.0.0.1]:{}", station.port)]);
        }
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        cluster.prov(&[&["modifyConfig"], settings.as_slice()].concat());
        Self { cluster, silence, stations, looked_up, _dns: dns, _config: config }
    }

    fn queue(&self, node: usize, arguments: &[&str]) -> Vec<Value> {
        let data = path(&self.cluster.node(node).data).to_owned();
        let all = [&["queue"], arguments, &["--json", "--data", &data]].concat();
        serde_json::from_str::<Value>(&run(&all)).expect("JSON").as_array().expect("a list").clone()
    }

    /// One message for all destinations; another for the host that stops within it.
    fn submit(&self, node: usize, id: &str) {
        let domains = TABLE.iter().filter(|(_, stop, _)| *stop != Stop::Body).map(|(domain, _, _)| *domain);
        let to: Vec<String> = domains.chain([LOOKED_UP]).map(|domain| format!("x@{domain}")).collect();
        self.submit_to(node, id, &to.join(","), "to all of them");
        let large = self.cluster.folder.join("large");
        fs::write(&large, "a line of a message that fits into no socket's buffers\n".repeat(LARGE_LINES)).unwrap();
        self.submit_to(node, id, "x@body.test", &format!("@{}", path(&large)));
    }

    fn submit_to(&self, node: usize, id: &str, to: &str, body: &str) {
        let port = self.cluster.port(node, Port::Submission).to_string();
        succeed(
            Command::new("swaks")
                .args(["--server", "127.0.0.1", "--port", &port, "--tls", "--from", ALICE, "--to", to])
                .args(["--auth", "PLAIN", "--auth-user", ALICE, "--auth-password", PASSWORD])
                .args(["--h-Subject", id, "--body", body, "--suppress-data"]),
        );
    }

    /// Everything stands where it is to stand.
    fn await_stops(&self, node: usize) {
        for station in &self.stations {
            eventually(&format!("stopped at {:?}", station.stop()), LONG, || station.has_stopped());
        }
        eventually("the name is asked for", LONG, || self.silence.was_asked());
        let held = ["hold", "--domain", "held.test"];
        assert_eq!(self.queue(node, &held).len(), 1);
    }

    fn reports(&self, node: usize, id: &str) -> usize {
        let mut imap = self.cluster.imap(node, ALICE);
        imap.select("INBOX").unwrap();
        let bodies = imap.bodies().unwrap().into_values();
        let about = |body: &Vec<u8>| {
            let text = String::from_utf8_lossy(body);
            text.contains(id)
                && text.contains("Final-Recipient: rfc822; x@refuse.test\r\nAction: failed\r\nStatus: 5.1.1")
        };
        bodies.filter(about).count()
    }

    /// `frozen`: the node cannot hear the last words at all; otherwise it hears them as it dies.
    fn round(&mut self, frozen: bool) {
        let primary = self.cluster.primary_of(ALICE);
        let other = self.cluster.another(primary);
        let id = unique("killed");
        self.submit(other, &id);
        self.await_stops(other);
        let crosses = |station: &&Station| matches!(station.stop(), Stop::Reply | Stop::Refuse);
        if frozen {
            self.cluster.stop(primary);
            eventually("it stands still", LONG, || self.cluster.node(primary).is_stopped());
        }
        self.stations.iter().filter(crosses).for_each(Station::open);
        while !self.stations.iter().filter(crosses).all(Station::has_said) {
            std::thread::yield_now();
        }
        self.cluster.kill9(primary);
        self.stations.iter().for_each(Station::open);
        self.silence.open();
        let node = self.cluster.another(primary);
        eventually("what is held is let go", LONG, || self.queue(node, &["list", "--held"]).len() == 1);
        eventually("only what is held waits", LONG, || self.queue(node, &["list"]).len() == 1);
        assert_eq!(self.queue(node, &["release", "--held"]).len(), 1);
        eventually("the queue is empty", LONG, || self.queue(node, &["list"]).is_empty());
        let mut doubled = 0;
        for ((domain, stop, most), station) in TABLE.iter().zip(&self.stations) {
            let copies = station.copies(&id);
            println!("frozen: {frozen}, killed at {stop:?} ({domain}): {copies} copies");
            assert!((usize::from(*most > 0)..=*most).contains(&copies), "{stop:?}: {copies} copies");
            doubled += copies.saturating_sub(1);
        }
        assert_eq!(self.looked_up.copies(&id), 1, "claimed only");
        eventually("one report", LONG, || self.reports(node, &id) == 1);
        println!("frozen: {frozen}: {doubled} of 12 came twice");
        self.cluster.serve(primary);
        self.cluster.await_ready(LONG);
        assert_eq!(self.reports(node, &id), 1, "still one");
        // Connections that wait for a next message would not stop at the greeting.
        std::thread::sleep(IDLE);
        self.stations.iter().for_each(Station::close);
        self.silence.close();
    }
}

#[test]
fn the_queues_primary_is_killed_in_every_state_of_an_attempt() {
    let mut scene = Scene::start();
    for _ in 0..if full() { 5 } else { 1 } {
        scene.round(true);
        scene.round(false);
    }
}

//! `prov`, the configuration file, `status --json` and the metrics.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::time::Duration;

use crate::support::cluster::{ACCOUNTS, Cluster, PASSWORD, Port, path, run, run_refused};
use crate::support::imap::Imap;

#[test]
fn accounts_are_provisioned_seen_everywhere_and_taken_away() {
    let cluster = Cluster::start(3);
    cluster.prov(&["createDomain", "example.net"]);
    assert!(cluster.prov(&["getAllDomains"]).contains("example.net"));
    assert!(cluster.prov(&["gad"]).contains("example.com"), "short names work");
    cluster.prov(&["ca", "carol@example.net", "first secret", "displayName", "Carol C."]);
    let shown = cluster.prov(&["ga", "carol@example.net"]);
    assert!(shown.contains("displayName") && shown.contains("Carol C."), "{shown}");
    assert!(!shown.contains("first secret"), "a password must never be shown");
    assert!(cluster.prov(&["gaa", "example.net"]).contains("carol@example.net"));
    for node in 1..=3 {
        drop(login(&cluster, node, "carol@example.net", "first secret").expect("a new account works on every node"));
    }

    cluster.prov(&["ma", "carol@example.net", "displayName", "Carol D."]);
    assert!(cluster.prov(&["getAccount", "carol@example.net"]).contains("Carol D."));

    cluster.prov(&["sp", "carol@example.net", "second secret"]);
    for node in 1..=3 {
        crate::support::eventually("the old password is refused", Duration::from_secs(5), || {
            login(&cluster, node, "carol@example.net", "first secret").is_err()
        });
        assert!(login(&cluster, node, "carol@example.net", "second secret").is_ok(), "the new password on node {node}");
    }

    cluster.prov(&["da", "carol@example.net"]);
    for node in 1..=3 {
        crate::support::eventually("a deleted account is refused", Duration::from_secs(5), || {
            login(&cluster, node, "carol@example.net", "second secret").is_err()
        });
    }
    refused_commands(&cluster);
}

fn login(cluster: &Cluster, node: usize, account: &str, password: &str) -> std::io::Result<Imap> {
    Imap::try_login(cluster.port(node, Port::Imap), account, password)
}

fn refused_commands(cluster: &Cluster) {
    for arguments in [
        &["createAccount", ACCOUNTS[1], "again"][..],
        &["createAccount", "x@no-such-domain.example", "x"],
        &["getAccount", "nobody@example.com"],
        &["deleteAccount", "nobody@example.com"],
        &["createDomain", "example.com"],
        &["noSuchCommand"],
        &["createAccount"],
    ] {
        let output = cluster.try_prov(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "prov {arguments:?} succeeded");
        assert!(!error.trim().is_empty() && !error.contains("panicked"), "prov {arguments:?}: {error}");
    }
}

#[test]
fn status_and_metrics_show_the_cluster() {
    let cluster = Cluster::start(3);
    let status = cluster.status(2).expect("status --json on a node that is not the first");
    let nodes = status["nodes"].as_array().expect("nodes");
    assert_eq!(nodes.len(), 3, "{status}");
    for node in nodes {
        assert!(node["id"].is_u64() && node["up"].as_bool() == Some(true), "{node}");
        assert!(node["ports"]["imap"].is_u64() && node["stop_costs"].is_array(), "{node}");
    }
    crate::support::eventually("leaderships are spread over the nodes", Duration::from_secs(30), || {
        let status = cluster.status(2).unwrap_or_default();
        let shards = status["shards"].as_array().map_or(&[][..], Vec::as_slice);
        shards.iter().filter_map(|shard| shard["leader"].as_u64()).collect::<BTreeSet<u64>>().len() == 3
    });

    let text = run(&["status", "--data", path(&cluster.node(1).data)]);
    assert!(text.lines().count() > 3, "{text}");

    let names = [
        "zcluster_raft_term{group=\"0\"}",
        "zcluster_raft_is_leader",
        "zcluster_raft_committed_index",
        "zcluster_raft_applied_index",
        "zcluster_raft_replication_lag",
        "zcluster_raft_fsync_seconds",
        "zcluster_sessions_open",
        "zcluster_sessions_total",
        "zcluster_commands_total",
        "zcluster_command_seconds",
    ];
    // Gauges of the groups are told every few seconds.
    crate::support::eventually("every documented metric is there", Duration::from_secs(30), || {
        let metrics = http_get(cluster.port(1, Port::Metrics), "/metrics");
        names.iter().all(|name| metrics.contains(name))
    });
}

pub fn http_get(port: u16, path: &str) -> String {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    text
}

#[test]
fn an_unknown_configuration_key_is_an_error_that_names_it() {
    let folder = crate::support::cluster::scratch();
    let config = folder.join("zcluster.toml");
    std::fs::write(&config, "no_such_key = 1\n").unwrap();
    let password = folder.join("password");
    std::fs::write(&password, PASSWORD).unwrap();
    let error = run_refused(&[
        "init",
        "--data",
        path(&folder.join("data")),
        "--config",
        path(&config),
        "--domain",
        "example.com",
        "--admin",
        ACCOUNTS[0],
        "--password-file",
        path(&password),
    ]);
    assert!(error.contains("no_such_key"), "{error}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_example_configuration_is_accepted() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/zcluster.example.toml");
    let folder = crate::support::cluster::scratch();
    let password = folder.join("password");
    std::fs::write(&password, PASSWORD).unwrap();
    run(&[
        "init",
        "--data",
        path(&folder.join("data")),
        "--config",
        example,
        "--domain",
        "example.com",
        "--admin",
        ACCOUNTS[0],
        "--password-file",
        path(&password),
    ]);
    std::fs::remove_dir_all(folder).unwrap();
}

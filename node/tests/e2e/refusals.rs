//! Nodes that must not get in: every refusal says what to do.

use std::time::Duration;

use crate::support::cluster::{Cluster, Port, command, path, run, run_refused};

#[test]
fn wrong_nodes_are_refused_with_advice() {
    let mut cluster = Cluster::start(2);
    let other = cluster.beside();
    let address = format!("127.0.0.1:{}", cluster.port(1, Port::Rpc));
    let spare = cluster.folder.join("spare");
    let base = (cluster.node(2).base + 100).to_string();
    let join = |token: &str, data: &std::path::Path| {
        run_refused(&[
            "join",
            &address,
            "--token",
            token,
            "--data",
            path(data),
            "--base-port",
            &base,
            "--listen",
            "127.0.0.1",
        ])
    };

    let error = join("nonsense", &spare);
    advises("a token that is none", &error, &["token"]);

    let error = join(&other.token(), &spare);
    advises("a token of another cluster (wrong CA)", &error, &["token"]);

    // The right CA, a secret that was never issued.
    let good = cluster.token();
    let mut forged = good.clone().into_bytes();
    let last = forged.len() - 1;
    forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
    let error = join(&String::from_utf8(forged).unwrap(), &spare);
    advises("a forged token", &error, &["token"]);

    // A folder that belongs to another cluster must not be overwritten.
    let error = join(&good, &other.node(1).data);
    advises("the data folder of another cluster", &error, &["data"]);

    // One-time: the second use of a token that worked.
    let token = cluster.token();
    let third = cluster.folder.join("third");
    run(&["join", &address, "--token", &token, "--data", path(&third), "--base-port", &base, "--listen", "127.0.0.1"]);
    let error = join(&token, &spare);
    advises("a token that was used", &error, &["token"]);

    two_nodes_with_one_id(&mut cluster);
    drop(other);
}

/// A copied data folder has the identity of the node that it was copied from.
fn two_nodes_with_one_id(cluster: &mut Cluster) {
    cluster.kill9(2);
    let copy = cluster.folder.join("copy");
    let copied = std::process::Command::new("cp").arg("-a").arg(&cluster.node(2).data).arg(&copy).status().unwrap();
    assert!(copied.success());
    cluster.serve(2);
    cluster.await_ready(Duration::from_secs(60));
    let output = bounded(&["serve", "--data", path(&copy), "--base-port", &(cluster.node(2).base + 200).to_string()]);
    advises("a second node with the same id", &output, &[]);
    // The original goes on.
    drop(cluster.imap(2, "alice@example.com"));
}

/// Runs a command that should refuse to go on; killed after a while, which is then a failure.
fn bounded(arguments: &[&str]) -> String {
    let output = crate::support::tools::finish(&mut command(arguments));
    assert!(!output.status.success(), "zcluster {arguments:?} succeeded");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A refusal is a sentence for people: it names the thing, and panics nowhere.
fn advises(case: &str, error: &str, words: &[&str]) {
    println!("{case}: {}", error.trim());
    assert!(!error.trim().is_empty(), "{case}: refused without a word");
    assert!(!error.contains("panicked"), "{case}: {error}");
    for word in words {
        assert!(error.to_lowercase().contains(word), "{case}: {word} is not mentioned: {error}");
    }
}

//! Mail filters through ManageSieve, with sieve-connect: put on one node, there on the others.

use std::fs;
use std::process::{Command, Output};

use crate::support::cluster::{Cluster, PASSWORD, Port, path};
use crate::support::tools::finish;

const BOB: &str = "bob@example.com";
const GOOD: &str = "require [\"fileinto\", \"mailbox\"];\r\nif header :contains \"subject\" \"[list]\" {\r\n    fileinto :create \"Lists\";\r\n}\r\n";
const BAD: &str = "require \"fileinto\";\r\nif true {\r\n    fileintoo \"x\";\r\n}\r\n";

/// One action of sieve-connect on a node, the password from a file that the shell opens.
fn sieve_connect(cluster: &Cluster, node: usize, action: &str) -> Output {
    let password = cluster.folder.join("bob");
    fs::write(&password, PASSWORD).unwrap();
    let script = format!(
        "exec sieve-connect --server 127.0.0.1 --port {} --notlsverify --user {BOB} --passwordfd 5 {action} 5<{}",
        cluster.port(node, Port::ManageSieve),
        path(&password)
    );
    finish(Command::new("sh").args(["-c", &script]).env("HOME", &cluster.folder))
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn done(cluster: &Cluster, node: usize, action: &str) -> String {
    let output = sieve_connect(cluster, node, action);
    assert!(output.status.success(), "sieve-connect {action}: {}", text(&output));
    text(&output)
}

#[test]
fn scripts_put_on_one_node_are_there_on_the_others() {
    let cluster = Cluster::start(3);
    let (good, bad, back) = (cluster.folder.join("good"), cluster.folder.join("bad"), cluster.folder.join("back"));
    fs::write(&good, GOOD).unwrap();
    fs::write(&bad, BAD).unwrap();
    done(&cluster, 1, &format!("--localsieve {} --remotesieve lists --upload", path(&good)));
    done(&cluster, 2, "--remotesieve lists --activate");
    let listed = done(&cluster, 3, "--list");
    assert!(listed.contains("\"lists\" ACTIVE"), "{listed}");
    done(&cluster, 3, &format!("--localsieve {} --remotesieve lists --download", path(&back)));
    assert_eq!(fs::read_to_string(&back).unwrap().replace("\r\n", "\n"), GOOD.replace("\r\n", "\n"));
    // The place of a mistake is told.
    let refused = text(&sieve_connect(&cluster, 2, &format!("--localsieve {} --checkscript", path(&bad))));
    assert!(refused.contains("line 3, column 5: "), "{refused}");
    let refused =
        text(&sieve_connect(&cluster, 2, &format!("--localsieve {} --remotesieve lists --upload", path(&bad))));
    assert!(refused.contains("line 3, column 5: "), "{refused}");
    done(&cluster, 1, "--deactivate");
    done(&cluster, 1, "--remotesieve lists --delete");
    assert!(!done(&cluster, 2, "--list").contains("lists"));
}

//! COMPRESS=DEFLATE inside TLS, as clients on slow links have it.

use std::process::Command;

use crate::support::cluster::{Cluster, PASSWORD, Port};
use crate::support::tools::succeed;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/programs/compressed_tls.py");

#[test]
fn a_compressed_session_inside_tls() {
    let cluster = Cluster::start(1);
    let port = cluster.port(1, Port::Imaps).to_string();
    let printed = succeed(Command::new("python3").args([SCRIPT, "127.0.0.1", &port, "bob@example.com", PASSWORD]));
    assert_eq!(String::from_utf8_lossy(&printed), "all done\n");
}

//! What sessions that wait cost: bytes of heap, counted.

#[path = "../../listener/tests/counting/mod.rs"]
mod counting;

use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use zcluster_auth::{AuthConfig, Authenticator, HashParams, hash_password_with};
use zcluster_imap::{Imap, ImapConfig};
use zcluster_listener::{Connection, Protocol};
use zcluster_state::memory::Memory;

/// Bytes that one idle session may cost here: the target of 32 KiB per connection leaves room for the kernel's and
/// TLS's share, and the pipe of this test is counted too.
const SESSION_BYTES_MAX: i64 = 8 * 1024;

async fn talk(pipe: &mut DuplexStream, text: &str, until: &str) {
    pipe.write_all(text.as_bytes()).await.expect("the service reads");
    let mut got = String::new();
    while !got.contains(until) {
        let mut piece = [0; 4096];
        let n = pipe.read(&mut piece).await.expect("the service writes");
        assert!(n > 0, "closed: {got}");
        got.push_str(&String::from_utf8_lossy(&piece[..n]));
    }
}

#[tokio::test]
async fn sessions_that_wait_are_small() {
    const SESSIONS: usize = 200;
    let memory = Memory::new();
    memory.add_account("a@example.com", &hash_password_with(HashParams::cheap(), "pw"));
    let auth = Arc::new(Authenticator::new(Arc::new(memory.clone()), AuthConfig::cheap()));
    let config = ImapConfig { allow_plaintext_auth: true, ..ImapConfig::default() };
    let imap = Arc::new(Imap::new(Arc::new(memory.clone()), Arc::new(memory), auth, config));
    {
        let (connection, _pipe) = Connection::test_pair();
        let future = imap.clone().serve(connection);
        println!("session future: {} bytes", std::mem::size_of_val(&*future));
    }
    let mut last = 0;
    for (what, command, until) in [("selected", "c NOOP\r\n", "c OK"), ("in idle", "d IDLE\r\n", "+ idling")] {
        let mut pipes = Vec::new();
        let mut before = 0;
        // The first few pay for what all share.
        for i in 0..SESSIONS + 20 {
            if i == 20 {
                before = counting::held();
            }
            let (connection, mut pipe) = Connection::test_pair();
            zcluster_runtime::spawn(imap.clone().serve(connection));
            talk(&mut pipe, "a LOGIN a@example.com pw\r\n", "a OK").await;
            talk(&mut pipe, "b SELECT INBOX\r\n", "b OK").await;
            talk(&mut pipe, command, until).await;
            pipes.push(pipe);
        }
        tokio::task::yield_now().await;
        last = (counting::held() - before) / SESSIONS as i64;
        println!("{what}: {last} bytes a session");
    }
    assert!(last <= SESSION_BYTES_MAX, "{last} bytes");
}

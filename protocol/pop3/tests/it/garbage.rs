//! Whatever is sent, the session answers line by line and ends.

use crate::client::Cluster;
use proptest::prelude::*;

fn line() -> impl Strategy<Value = Vec<u8>> {
    let verb = prop::sample::select(vec![
        "USER",
        "PASS",
        "AUTH",
        "AUTH PLAIN",
        "CAPA",
        "STLS",
        "UTF8",
        "LANG",
        "STAT",
        "LIST",
        "UIDL",
        "RETR",
        "TOP",
        "DELE",
        "RSET",
        "NOOP",
        "*",
    ]);
    let argument = prop_oneof![Just("".to_owned()), "[0-3]", "[0-3] [0-3]", "-?[0-9]{1,25}", "[ -~]{0,20}"];
    prop_oneof![
        4 => (verb, argument).prop_map(|(v, a)| format!("{v} {a}").into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..300),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn lines(lines in prop::collection::vec(line(), 0..40), signed_in in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let cluster = Cluster::new();
            cluster.deliver(b"Subject: 1\r\n\r\nhello\r\n").await;
            let client = cluster.connect();
            let mut c = if signed_in { client.signed_in().await } else { client.greeted().await };
            let mut script = lines.join(&b"\r\n"[..]);
            script.extend(b"\r\n*\r\nQUIT\r\n");
            // The service may have had enough before the end; so a failing write is fine.
            let (mut read, mut write) = tokio::io::split(&mut c.stream);
            let mut answers = Vec::new();
            let talk = async { let _ = tokio::io::AsyncWriteExt::write_all(&mut write, &script).await; };
            let listen = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut answers);
            let both = futures::future::join(talk, listen);
            let (_, end) = zcluster_runtime::timeout(std::time::Duration::from_secs(20), both).await.expect("it ends");
            end.expect("it is readable");
            assert!(answers.is_empty() || answers.ends_with(b"\r\n"));
            assert_eq!(cluster.inbox().await.len(), usize::from(!removed(&answers)));
        });
    }
}

/// Whether the session says that QUIT deleted the message.
fn removed(answers: &[u8]) -> bool {
    String::from_utf8_lossy(answers).contains("goodbye, 1 messages deleted")
}

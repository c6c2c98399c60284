//! Whatever is sent, the session answers and stays in step, or says goodbye.

use crate::client::Cluster;
use proptest::prelude::*;

/// An argument, as bytes on the wire.
fn argument() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => "\"[a-c ]{0,3}\"".prop_map(String::into_bytes),
        1 => "[ -~]{0,12}".prop_map(String::into_bytes),
        2 => prop::collection::vec(any::<u8>(), 0..40).prop_map(|b| literal(&b, "+")),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(|b| literal(&b, "")),
        2 => "(keep;|discard;|stop;|frob|if true \\{){0,4}".prop_map(|s| literal(s.as_bytes(), "+")),
        1 => "[0-9]{1,12}".prop_map(String::into_bytes),
    ]
}

fn literal(bytes: &[u8], plus: &str) -> Vec<u8> {
    [format!("{{{}{plus}}}\r\n", bytes.len()).as_bytes(), bytes].concat()
}

/// A command; what looks like a literal's header in it is one.
fn command() -> impl Strategy<Value = Vec<u8>> {
    let verb = prop::sample::select(vec![
        "AUTHENTICATE",
        "CAPABILITY",
        "HAVESPACE",
        "PUTSCRIPT",
        "LISTSCRIPTS",
        "SETACTIVE",
        "GETSCRIPT",
        "DELETESCRIPT",
        "RENAMESCRIPT",
        "CHECKSCRIPT",
        "NOOP",
        "BOGUS",
        "(",
        "\"x\"",
    ]);
    let glue = prop::sample::select(vec![" ", " ", " ", "  ", ""]);
    let arguments = prop::collection::vec((glue, argument()), 0..4);
    (verb, arguments).prop_filter_map("headers without literals", |(verb, arguments)| {
        let mut wire = verb.as_bytes().to_vec();
        for (glue, argument) in &arguments {
            let text = !argument.starts_with(b"{") || !argument.contains(&b'\n');
            if text && argument.contains(&b'{') {
                return None;
            }
            wire.extend(glue.bytes());
            wire.extend(argument);
        }
        Some(wire)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn commands(commands in prop::collection::vec(command(), 0..15), signed_in in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let cluster = Cluster::new();
            let client = cluster.connect();
            let mut c = if signed_in { client.signed_in().await } else { client.greeted().await };
            for command in &commands {
                c.send(command).await;
                c.send(b"\r\n").await;
                // A challenge is answered, and so is the command then.
                let mut line = c.line().await;
                while !["OK", "NO", "BYE"].iter().any(|w| line.starts_with(w)) {
                    if line == "\"\"\r\n" {
                        c.say("\"*\"").await;
                    }
                    line = c.line().await;
                }
                assert!(!line.starts_with("BYE"), "{}: {line}", command.escape_ascii());
                c.in_step().await;
            }
        });
    }

    #[test]
    fn bytes(bytes in prop::collection::vec(any::<u8>(), 0..3_000), signed_in in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let cluster = Cluster::new();
            let client = cluster.connect();
            let mut c = if signed_in { client.signed_in().await } else { client.greeted().await };
            let (mut read, mut write) = tokio::io::split(&mut c.stream);
            let mut answers = Vec::new();
            // The service may have had enough before the end; so a failing write is fine.
            let talk = async {
                let _ = tokio::io::AsyncWriteExt::write_all(&mut write, &bytes).await;
                let _ = tokio::io::AsyncWriteExt::shutdown(&mut write).await;
            };
            let listen = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut answers);
            let both = futures::future::join(talk, listen);
            let (_, end) = zcluster_runtime::timeout(std::time::Duration::from_secs(20), both).await.expect("it ends");
            end.expect("it is readable");
            assert!(answers.is_empty() || answers.ends_with(b"\r\n"));
        });
    }
}

//! For any bytes, and any way they come in.

mod support;

use proptest::prelude::*;
use support::{ALICE, BOB, Site};
use zcluster_smtp::Service;
use zcluster_smtp::Service::{Lmtp, Mx, Submission};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A conversation with everything in it, right and wrong.
fn conversation(hello: &str, submission: bool) -> Vec<u8> {
    let envelope =
        format!("MAIL FROM:<{ALICE}> SIZE=100\r\nRCPT TO:<{BOB}>\r\nRCPT TO:<x@example.com>\r\nRCPT TO:<{ALICE}>\r\n");
    let auth = if submission { "AUTH LOGIN\r\n*\r\nAUTH PLAIN AGFsaWNlQGV4YW1wbGUuY29tAHNlY3JldA==\r\n" } else { "" };
    format!(
        "NOOP\r\n{hello} x\r\n{auth}WIZ\r\n{envelope}DATA\r\nSubject: x\r\n\r\n..\r\n.\r.\r\n\r\n.\r\n{envelope}\
         DATA\r\nbare\nlf\n.\n\r\n.\r\n{envelope}BDAT 10\r\n0123456\r\n.BDAT 3 LAST\r\n\r\n.{envelope}RSET\r\nDATA\r\n\
         NOOP {}\r\n{envelope}DATA\r\n.\r\nVRFY x\r\nQUIT\r\n",
        "x".repeat(15000)
    )
    .into_bytes()
}

/// What was answered, but for until when mail may be held back: that follows the clock.
fn replies(service: Service, pieces: &[Vec<u8>]) -> String {
    let said = block_on(Site::new().talk_in_pieces(service, pieces));
    let untimed = |line: &str| match line.split_once("FUTURERELEASE ") {
        Some((before, _)) => format!("{before}FUTURERELEASE\r\n"),
        None => line.to_string(),
    };
    said.split_inclusive('\n').map(untimed).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_split_gives_the_same_replies(sizes in proptest::collection::vec(1..700_usize, 1..60), service in 0..3_usize) {
        let (service, hello) = [(Lmtp, "LHLO"), (Mx, "EHLO"), (Submission, "EHLO")][service];
        let whole = conversation(hello, service == Submission);
        let mut pieces = Vec::new();
        let (mut rest, mut i) = (whole.as_slice(), 0);
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(sizes[i % sizes.len()].min(rest.len()));
            pieces.push(piece.to_vec());
            rest = tail;
            i += 1;
        }
        let expected = replies(service, std::slice::from_ref(&whole));
        prop_assert!(expected.ends_with("221 2.0.0 goodbye\r\n"), "{}", expected);
        prop_assert_eq!(replies(service, &pieces), expected);
    }

    #[test]
    fn garbage_never_panics(
        input in proptest::collection::vec(prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            proptest::sample::select(vec![
                "EHLO x\r\n", "LHLO x\r\n", "MAIL FROM:<>\r\n", "RCPT TO:<bob@example.com>\r\n", "DATA\r\n", ".\r\n", "\r\n",
                "BDAT 7\r\n", "BDAT 0 LAST\r\n", "RSET\r\n", "AUTH PLAIN\r\n", "AUTH LOGIN AAAA\r\n", "=\r\n", "*\r\n", "\n", "\r",
            ]).prop_map(|s| s.as_bytes().to_vec()),
        ], 0..30),
        service in 0..3_usize,
    ) {
        let output = replies([Lmtp, Mx, Submission][service], &[input.concat()]);
        prop_assert!(output.starts_with("220 "));
        prop_assert!(output.ends_with("\r\n"));
        for line in output.lines() {
            prop_assert!(line.len() > 3 && line.as_bytes()[..3].iter().all(u8::is_ascii_digit), "{}", line);
        }
    }
}

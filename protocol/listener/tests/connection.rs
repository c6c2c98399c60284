//! Connections over in-memory pipes.

use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zcluster_listener::{Connection, DRAIN_BYTES_MAX, Ending, ReadError, WriteError};
use zcluster_runtime::{Either, select, sleep, spawn};

fn is_send_and_sync<T: Send + Sync>() {}

#[test]
fn a_connection_may_be_shared_by_reference() {
    is_send_and_sync::<Connection>();
}

#[tokio::test]
async fn an_idle_connection_is_small() {
    let (mut conn, _client) = Connection::test_pair();
    let reading = size_of_val(&conn.read_line(100));
    assert!(size_of::<Connection>() + reading < 1536, "{} and {reading} bytes", size_of::<Connection>());
}

#[tokio::test]
async fn lines_with_both_endings_and_end_of_input() {
    let (mut conn, mut client) = Connection::test_pair();
    client.write_all(b"one\r\ntwo\n\r\n\nthree\rmore\r\nrest").await.unwrap();
    drop(client);
    let mut lines = Vec::new();
    let error = loop {
        match conn.read_line(100).await {
            Ok(line) => lines.push((String::from_utf8(line.to_vec()).unwrap(), line.ending)),
            Err(error) => break error,
        }
    };
    let expected = [
        ("one", Ending::CrLf),
        ("two", Ending::Lf),
        ("", Ending::CrLf),
        ("", Ending::Lf),
        ("three\rmore", Ending::CrLf),
    ];
    assert_eq!(lines, expected.map(|(l, e)| (l.to_string(), e)));
    assert!(matches!(error, ReadError::Eof));
}

#[tokio::test]
async fn an_overlong_line_is_dropped_and_the_next_one_is_read() {
    for ending in ["\n", "\r\n"] {
        for length in [11, 12, 13, 300, 70_000] {
            let (mut conn, mut client) = Connection::test_pair();
            let line = "x".repeat(length);
            let input = format!("{line}{ending}next\r\n{}{ending}after\r\n", "y".repeat(10));
            spawn(async move {
                // In pieces, so that the end comes later than the begin.
                for piece in input.as_bytes().chunks(7_000) {
                    client.write_all(piece).await.unwrap();
                    client.flush().await.unwrap();
                }
                sleep(Duration::from_millis(50)).await;
            });
            match conn.read_line(10).await {
                Err(ReadError::TooLong(line)) => {
                    assert!(line.start.starts_with(b"xxxxxxxxxx") && line.start.len() <= 256);
                    assert!(line.end.iter().all(|b| *b == b'x') && line.end.len() == length.min(32));
                }
                other => panic!("{length}: {other:?}"),
            }
            assert_eq!(&conn.read_line(10).await.unwrap()[..], b"next");
            assert_eq!(conn.read_line(10).await.unwrap().len(), 10, "exactly the limit");
            assert_eq!(&conn.read_line(10).await.unwrap()[..], b"after");
        }
    }
}

#[tokio::test]
async fn an_endless_line_ends_the_connection() {
    let (mut conn, mut client) = Connection::test_pair();
    spawn(async move { while client.write_all(&[b'x'; 8192]).await.is_ok() {} });
    assert!(matches!(conn.read_line(100).await, Err(ReadError::Io(_))));
    const { assert!(DRAIN_BYTES_MAX >= 64 * 1024) };
}

#[tokio::test]
async fn replies_are_sent_together_when_the_session_waits() {
    let (mut conn, mut client) = Connection::test_pair();
    client.write_all(b"a\r\nb\r\nc").await.unwrap();
    let server = spawn(async move {
        for _ in 0..2 {
            let line = conn.read_line(10).await.unwrap();
            conn.push(&line);
            conn.write(b"!").await.unwrap();
        }
        assert!(!conn.has_line());
        conn.read_line(10).await.unwrap()
    });
    let mut got = [0; 10];
    let n = client.read(&mut got).await.unwrap();
    assert_eq!(&got[..n], b"a!b!", "in one write");
    client.write_all(b"\r\n").await.unwrap();
    assert_eq!(&server.await.unwrap()[..], b"c");
}

#[tokio::test]
async fn a_cancelled_read_loses_nothing() {
    let (mut conn, mut client) = Connection::test_pair();
    client.write_all(b"half").await.unwrap();
    assert!(matches!(select(conn.read_line(100), sleep(Duration::from_millis(10))).await, Either::Right(())));
    client.write_all(b" and half\r\n").await.unwrap();
    assert_eq!(&conn.read_line(100).await.unwrap()[..], b"half and half");
    client.write_all(&[b'z'; 1000]).await.unwrap();
    assert!(matches!(select(conn.read_line(100), sleep(Duration::from_millis(10))).await, Either::Right(())));
    client.write_all(b"\r\nok\r\n").await.unwrap();
    assert!(matches!(conn.read_line(100).await, Err(ReadError::TooLong(_))), "remembered over the cancellation");
    assert_eq!(&conn.read_line(100).await.unwrap()[..], b"ok");
}

#[tokio::test]
async fn silence_and_a_client_that_does_not_read_time_out() {
    let (mut conn, client) = Connection::test_pair();
    conn.set_idle_timeout(Duration::from_millis(30));
    assert!(matches!(conn.read_line(100).await, Err(ReadError::Timeout)));
    conn.set_write_timeout(Duration::from_millis(30));
    let much = vec![b'x'; 1024 * 1024];
    assert!(matches!(conn.write(&much).await, Err(WriteError::Timeout)));
    drop(client);
}

#[tokio::test]
async fn chunks_exact_pieces_and_discarding() {
    let (mut conn, mut client) = Connection::test_pair();
    client.write_all(b"0123456789abcdefghij\r\n").await.unwrap();
    assert_eq!(&conn.read_chunk(4).await.unwrap()[..], b"0123");
    assert_eq!(&conn.read_exact(6).await.unwrap()[..], b"456789");
    assert_eq!(conn.buffered(), b"abcdefghij\r\n");
    conn.consume(2);
    conn.discard(7).await.unwrap();
    assert_eq!(&conn.read_line(5).await.unwrap()[..], b"j");
    drop(client);
    assert!(matches!(conn.read_exact(1).await, Err(ReadError::Eof)));
}

proptest::proptest! {
    #[test]
    fn any_split_of_the_input_gives_the_same_lines(
        input in proptest::collection::vec(proptest::prop_oneof![
            proptest::prelude::Just(b'\r'), proptest::prelude::Just(b'\n'), proptest::prelude::any::<u8>()], 0..120),
        max in 0..12_usize,
        size in 1..20_usize,
    ) {
        let read = |pieces: Vec<Vec<u8>>| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let (mut conn, mut client) = Connection::test_pair();
                spawn(async move {
                    for piece in pieces {
                        client.write_all(&piece).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                });
                let mut seen = Vec::new();
                loop {
                    match conn.read_line(max).await {
                        Ok(line) => seen.push(Some((line.to_vec(), line.ending))),
                        Err(ReadError::TooLong(_)) => seen.push(None),
                        Err(ReadError::Eof) => return seen,
                        Err(other) => panic!("{other}"),
                    }
                }
            })
        };
        let whole = read(vec![input.clone()]);
        let split = read(input.chunks(size).map(<[u8]>::to_vec).collect());
        proptest::prop_assert_eq!(whole, split);
    }
}

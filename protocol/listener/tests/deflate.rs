//! Connections with DEFLATE on top (RFC 4978), against a client that uses the library directly.

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use zcluster_listener::{Connection, ReadError};
use zcluster_runtime::spawn;
use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush};

/// The other end: raw DEFLATE both ways.
struct Peer {
    pipe: DuplexStream,
    deflate: Deflate,
    inflate: Inflate,
}

impl Peer {
    fn new(pipe: DuplexStream) -> Self {
        Peer { pipe, deflate: Deflate::new(6, false, 15), inflate: Inflate::new(false, 15) }
    }

    fn packed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![0; bytes.len() + 1_000];
        let before = self.deflate.total_out();
        self.deflate.compress(bytes, &mut out, DeflateFlush::SyncFlush).unwrap();
        out.truncate((self.deflate.total_out() - before) as usize);
        out
    }

    async fn send(&mut self, bytes: &[u8]) {
        let packed = self.packed(bytes);
        self.pipe.write_all(&packed).await.unwrap();
    }

    /// The next `n` bytes of text.
    async fn receive(&mut self, n: usize) -> Vec<u8> {
        let (mut text, mut piece) = (vec![0; n], [0; 700]);
        let mut at = 0;
        while at < n {
            let got = self.pipe.read(&mut piece).await.unwrap();
            assert!(got > 0, "closed");
            let before = self.inflate.total_out();
            self.inflate.decompress(&piece[..got], &mut text[at..], InflateFlush::SyncFlush).unwrap();
            at += (self.inflate.total_out() - before) as usize;
        }
        text
    }
}

async fn pair() -> (Connection, Peer) {
    let (mut conn, client) = Connection::test_pair();
    assert!(!conn.is_deflated());
    conn.start_deflate().await.unwrap();
    assert!(conn.is_deflated());
    (conn, Peer::new(client))
}

#[tokio::test]
async fn lines_and_replies() {
    let (mut conn, client) = Connection::test_pair();
    let mut peer = Peer::new(client);
    // What was said before is sent as it is.
    conn.write(b"plain\r\n").await.unwrap();
    conn.start_deflate().await.unwrap();
    let mut plain = [0; 7];
    peer.pipe.read_exact(&mut plain).await.unwrap();
    assert_eq!(&plain, b"plain\r\n");
    for round in 0..50 {
        peer.send(format!("line {round}\r\nand another\r\n").as_bytes()).await;
        assert_eq!(conn.read_line(100).await.unwrap().to_vec(), format!("line {round}").as_bytes());
        assert_eq!(conn.read_line(100).await.unwrap().to_vec(), b"and another");
        let reply = format!("reply {round}\r\n");
        conn.write(reply.as_bytes()).await.unwrap();
        conn.flush().await.unwrap();
        assert_eq!(peer.receive(reply.len()).await, reply.as_bytes());
        // A deflater that comes anew goes on in the same stream.
        if round % 7 == 0 {
            conn.rest();
        }
    }
    drop(peer);
    assert!(matches!(conn.read_line(100).await, Err(ReadError::Eof)));
}

#[tokio::test]
async fn much_in_little_is_bounded_by_the_reader() {
    let (mut conn, mut peer) = pair().await;
    // 8 MiB of zeroes in a few KiB: an endless line, given up in time.
    let bomb = peer.packed(&vec![b'0'; 8 << 20]);
    assert!(bomb.len() < 100_000);
    spawn(async move {
        let _ = peer.pipe.write_all(&bomb).await;
    });
    assert!(matches!(conn.read_line(1_000).await, Err(ReadError::Io(_))));
    assert!(conn.buffered().len() <= 64 * 1024, "{}", conn.buffered().len());
}

#[tokio::test]
async fn garbage_breaks_the_connection_and_an_ended_stream_ends_it() {
    let (mut conn, mut peer) = pair().await;
    peer.pipe.write_all(b"a NOOP\r\nb NOOP\r\n").await.unwrap();
    assert!(matches!(conn.read_line(100).await, Err(ReadError::Io(_))));
    let (mut conn, mut peer) = pair().await;
    let mut out = [0; 100];
    peer.deflate.compress(b"bye\r\n", &mut out, DeflateFlush::Finish).unwrap();
    let n = peer.deflate.total_out() as usize;
    peer.pipe.write_all(&out[..n]).await.unwrap();
    assert_eq!(conn.read_line(100).await.unwrap().to_vec(), b"bye");
    assert!(matches!(conn.read_line(100).await, Err(ReadError::Eof)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn what_is_written_arrives(pieces in prop::collection::vec((any::<u8>(), 0usize..60_000, any::<bool>()), 1..6),
                               cut in 1usize..900) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut conn, mut peer) = pair().await;
            for (seed, length, rest) in pieces {
                let mut x = u32::from(seed) + 1;
                // Half of it repeats, half is noise.
                let text: Vec<u8> = (0..length).map(|i| {
                    x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    if i % 2 == 0 { seed } else { (x >> 24) as u8 }
                }).collect();
                let packed = peer.packed(&text);
                let there = async {
                    for piece in packed.chunks(cut) {
                        peer.pipe.write_all(piece).await.unwrap();
                    }
                    peer.receive(text.len()).await
                };
                let here = async {
                    let mut got = Vec::new();
                    while got.len() < text.len() {
                        got.extend_from_slice(&conn.read_chunk(text.len() - got.len()).await.unwrap());
                    }
                    conn.write(&got).await.unwrap();
                    conn.flush().await.unwrap();
                    got
                };
                let (back, got) = tokio::join!(there, here);
                assert!(got == text && back == text);
                if rest {
                    conn.rest();
                }
            }
        });
    }
}

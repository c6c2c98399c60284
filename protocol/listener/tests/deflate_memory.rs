//! What DEFLATE costs a connection: bytes of heap, counted. The figures stand in `src/deflate.rs`.

mod counting;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zcluster_listener::Connection;

#[tokio::test]
async fn a_compressed_connection_has_bounds() {
    let (mut conn, mut client) = Connection::test_pair();
    let before = counting::held();
    let held = || counting::held() - before;
    conn.start_deflate().await.unwrap();
    // 100 KiB of text in, which fills the client's window, and 100 KiB out.
    let text: Vec<u8> = (0..100 * 1024u32).map(|i| b'a' + (i.wrapping_mul(2_654_435_761) >> 28) as u8).collect();
    let mut packed = vec![0; 200 * 1024];
    let mut deflate = zlib_rs::Deflate::new(6, false, 15);
    deflate.compress(&text, &mut packed, zlib_rs::DeflateFlush::SyncFlush).unwrap();
    packed.truncate(deflate.total_out() as usize);
    drop(deflate);
    client.write_all(&packed).await.unwrap();
    drop(packed);
    let mut got = 0;
    while got < text.len() {
        got += conn.read_chunk(8 * 1024).await.unwrap().len();
    }
    let reader = held() - text.len() as i64;
    conn.write(&text).await.unwrap();
    conn.flush().await.unwrap();
    let mut out = vec![0; 256 * 1024];
    while client.read(&mut out).await.unwrap() == out.len() {}
    drop(out);
    let both = held() - text.len() as i64;
    conn.rest();
    let resting = held() - text.len() as i64;
    println!("reading {reader}, both ways {both}, resting {resting} bytes");
    assert!(reader <= 56 * 1024, "{reader} bytes to read");
    let deflater = both - resting;
    assert!((100 * 1024..=210 * 1024).contains(&deflater), "{deflater} bytes to write");
}

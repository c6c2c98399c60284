//! clamd: `zINSTREAM` (clamd(8)).

use super::pool::{Failure, Pool};
use super::{endpoint::Stream, read_all};
use crate::screened::Virus;
use bytes::Bytes;
use tokio::io::AsyncWriteExt;

/// Bytes of one chunk. clamd takes any size up to its StreamMaxLength.
const CHUNK_BYTES: usize = 128 * 1024;
/// Bytes of a reply: `stream: NAME FOUND` and its NUL.
const REPLY_BYTES_MAX: usize = 4 * 1024;

/// Asks whether there is a virus in the message; `None` when it is larger than clamd looks at.
///
/// # Errors
/// [`Failure`]: no server gave a verdict.
pub async fn scan(pool: &Pool, raw: &Bytes) -> Result<Option<Virus>, Failure> {
    pool.ask(|stream| {
        let raw = raw.clone();
        Box::pin(async move { instream(stream, &raw).await })
    })
    .await
}

async fn instream(mut stream: Stream, raw: &[u8]) -> Result<Option<Virus>, Failure> {
    let sent = send(&mut stream, raw).await;
    // clamd that has seen enough (its StreamMaxLength) says so and closes: its words tell more than the broken pipe.
    match (read_all(&mut stream, REPLY_BYTES_MAX).await, sent) {
        (Ok(reply), Ok(())) => verdict(&reply),
        (Ok(reply), Err(_)) if !reply.is_empty() => verdict(&reply),
        (_, Err(error)) => Err(error.into()),
        (Err(failure), Ok(())) => Err(failure),
    }
}

async fn send(stream: &mut Stream, raw: &[u8]) -> std::io::Result<()> {
    stream.write_all(b"zINSTREAM\0").await?;
    for chunk in raw.chunks(CHUNK_BYTES) {
        stream.write_all(&(chunk.len() as u32).to_be_bytes()).await?;
        stream.write_all(chunk).await?;
    }
    stream.write_all(&0u32.to_be_bytes()).await?;
    stream.flush().await
}

/// `stream: OK`, `stream: NAME FOUND`, `... ERROR`.
fn verdict(reply: &[u8]) -> Result<Option<Virus>, Failure> {
    let text = String::from_utf8_lossy(reply);
    let text = text.trim_end_matches(['\0', '\n', '\r', ' ']);
    let unusable = || Failure::Reply(text.chars().take(200).collect());
    if text.starts_with("INSTREAM size limit exceeded") {
        return Ok(None);
    }
    let found = text.strip_prefix("stream: ").ok_or_else(unusable)?;
    if found == "OK" {
        return Ok(Some(Virus::Clean));
    }
    match found.strip_suffix(" FOUND") {
        Some(name) if !name.is_empty() => Ok(Some(Virus::Found(crate::text::one_line(name, 120)))),
        _ => Err(unusable()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Limits;
    use crate::testing::one_answer;
    use proptest::prelude::*;

    #[test]
    fn replies() {
        assert_eq!(verdict(b"stream: OK\0").unwrap(), Some(Virus::Clean));
        let found = verdict(b"stream: Win.Test.EICAR_HDB-1 FOUND\0").unwrap();
        assert_eq!(found, Some(Virus::Found("Win.Test.EICAR_HDB-1".into())));
        assert_eq!(verdict(b"INSTREAM size limit exceeded. ERROR\0").unwrap(), None);
        for wrong in [&b""[..], b"stream: ", b"stream:  FOUND", b"stream: Broken ERROR\0", b"OK", b"\0"] {
            assert!(verdict(wrong).is_err(), "{}", wrong.escape_ascii());
        }
    }

    #[tokio::test]
    async fn the_message_goes_in_chunks_and_ends_with_an_empty_one() {
        let raw: Bytes = vec![7u8; CHUNK_BYTES + 5].into();
        let (endpoint, seen) = one_answer("stream: Eicar FOUND\0").await;
        let pool = Pool::new("clamd", vec![endpoint], Limits::default());
        assert_eq!(scan(&pool, &raw).await.unwrap(), Some(Virus::Found("Eicar".into())));
        let seen = seen.await.unwrap();
        let mut expected = b"zINSTREAM\0\0\x02\0\0".to_vec();
        expected.extend_from_slice(&raw[..CHUNK_BYTES]);
        expected.extend_from_slice(b"\0\0\0\x05\x07\x07\x07\x07\x07\0\0\0\0");
        assert!(seen == expected);
    }

    proptest! {
        #[test]
        fn any_reply_is_answered(reply in prop::collection::vec(any::<u8>(), 0..200)) {
            // Nothing but the exact words is a clean bill.
            if let Ok(Some(Virus::Clean)) = verdict(&reply) {
                prop_assert!(reply.starts_with(b"stream: OK"));
            }
        }
        #[test]
        fn any_name_stays_on_its_line(name in ".{1,200}") {
            if let Ok(Some(Virus::Found(name))) = verdict(format!("stream: {name} FOUND").as_bytes()) {
                prop_assert!(name.bytes().all(|b| (b' '..=b'~').contains(&b)), "{}", name);
            }
        }
    }
}

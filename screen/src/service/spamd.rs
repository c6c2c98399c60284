//! SpamAssassin's spamd: `SYMBOLS` and `TELL` of the SPAMC protocol 1.5 (spamd's PROTOCOL file).

use super::pool::{Failure, Pool};
use super::{endpoint::Stream, read_all};
use crate::arrival::Arrival;
use crate::screened::Spam;
use crate::text::one_line;
use crate::trainer::Class;
use bytes::Bytes;
use tokio::io::AsyncWriteExt;

/// Bytes of a reply.
const REPLY_BYTES_MAX: usize = 64 * 1024;
/// Rules that are named in the verdict.
const TESTS_MAX: usize = 100;

/// Asks for a score. `trace` stands before the message: SpamAssassin reads the client's address from `Received` and the
/// sender from `Return-Path`.
///
/// # Errors
/// [`Failure`]: no server gave one.
pub async fn check(pool: &Pool, arrival: &Arrival, trace: &Bytes) -> Result<Spam, Failure> {
    let checked = pool.ask(|stream| {
        let (raw, trace) = (arrival.raw.clone(), trace.clone());
        Box::pin(async move { score(&exchange(stream, "SYMBOLS", "", &[&trace, &raw]).await?) })
    });
    checked.await
}

/// Tells what a message is. spamd must run with `--allow-tell`.
///
/// # Errors
/// [`Failure`]: no server has learned it.
pub async fn learn(pool: &Pool, class: Class, raw: &Bytes) -> Result<(), Failure> {
    let learned = pool.ask(|stream| {
        let raw = raw.clone();
        Box::pin(async move {
            let class = if class == Class::Spam { "spam" } else { "ham" };
            let fields = format!("Message-class: {class}\r\nSet: local\r\n");
            Reply::parse(&exchange(stream, "TELL", &fields, &[&raw]).await?).map(|_| ())
        })
    });
    learned.await
}

async fn exchange(mut stream: Stream, verb: &str, fields: &str, pieces: &[&[u8]]) -> Result<Vec<u8>, Failure> {
    let length: usize = pieces.iter().map(|p| p.len()).sum();
    stream.write_all(format!("{verb} SPAMC/1.5\r\nContent-length: {length}\r\n{fields}\r\n").as_bytes()).await?;
    for piece in pieces {
        stream.write_all(piece).await?;
    }
    // The end of what we say: spamd reads to it.
    stream.shutdown().await?;
    read_all(&mut stream, REPLY_BYTES_MAX).await
}

struct Reply<'a> {
    fields: Vec<(&'a str, &'a str)>,
    body: &'a str,
}

impl<'a> Reply<'a> {
    /// `SPAMD/1.1 0 EX_OK`, fields, an empty line, the body.
    fn parse(bytes: &'a [u8]) -> Result<Self, Failure> {
        let unusable = || Failure::Reply(one_line(&String::from_utf8_lossy(&bytes[..bytes.len().min(200)]), 200));
        let text = std::str::from_utf8(bytes).map_err(|_| unusable())?;
        let (head, body) = text.split_once("\r\n\r\n").ok_or_else(unusable)?;
        let mut lines = head.split("\r\n");
        let mut status = lines.next().unwrap_or_default().split_ascii_whitespace();
        let version = status.next().is_some_and(|word| word.starts_with("SPAMD/"));
        if !version || status.next() != Some("0") {
            return Err(unusable());
        }
        let fields = lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.trim(), value.trim()));
        Ok(Reply { fields: fields.collect(), body })
    }

    fn field(&self, name: &str) -> Option<&'a str> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

/// `Spam: True ; 7.3 / 5.0`, and the rules in the body.
fn score(bytes: &[u8]) -> Result<Spam, Failure> {
    let reply = Reply::parse(bytes)?;
    let points = reply.field("Spam").and_then(|value| value.split_once(';')).and_then(|(_, points)| {
        let (score, threshold) = points.split_once('/')?;
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| n.is_finite());
        Some((number(score)?, number(threshold)?))
    });
    let (score, threshold) = points.ok_or_else(|| Failure::Reply("no score".into()))?;
    let names = reply.body.split([',', '\r', '\n']).map(str::trim).filter(|name| !name.is_empty());
    Ok(Spam { score, threshold, tests: names.take(TESTS_MAX).map(|name| one_line(name, 80)).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Limits;
    use crate::testing::{arrival, one_answer};
    use proptest::prelude::*;

    const REPLY: &str =
        "SPAMD/1.1 0 EX_OK\r\nContent-length: 14\r\nSpam: True ; 1000.0 / 5.0\r\n\r\nGTUBE,NO_RELAYS\r\n";

    #[tokio::test]
    async fn the_score_and_the_rules() {
        let (endpoint, seen) = one_answer(REPLY).await;
        let pool = Pool::new("spamd", vec![endpoint], Limits::default());
        let spam = check(&pool, &arrival(b"a: b\r\n\r\nc\r\n"), &Bytes::from_static(b"Received: x\r\n")).await.unwrap();
        assert_eq!((spam.score, spam.threshold), (1000.0, 5.0));
        assert_eq!(spam.tests, ["GTUBE", "NO_RELAYS"]);
        let expected = "SYMBOLS SPAMC/1.5\r\nContent-length: 24\r\n\r\nReceived: x\r\na: b\r\n\r\nc\r\n";
        assert_eq!(String::from_utf8(seen.await.unwrap()).unwrap(), expected);
    }

    #[tokio::test]
    async fn told_what_is_ham() {
        let (endpoint, seen) = one_answer("SPAMD/1.1 0 EX_OK\r\nDidSet: local\r\nContent-length: 2\r\n\r\n\r\n").await;
        let pool = Pool::new("spamd", vec![endpoint], Limits::default());
        learn(&pool, Class::Ham, &Bytes::from_static(b"a: b\r\n\r\n")).await.unwrap();
        let expected = "TELL SPAMC/1.5\r\nContent-length: 8\r\nMessage-class: ham\r\nSet: local\r\n\r\na: b\r\n\r\n";
        assert_eq!(String::from_utf8(seen.await.unwrap()).unwrap(), expected);
    }

    #[test]
    fn unusable_replies() {
        for wrong in [
            "",
            "SPAMD/1.1 0 EX_OK\r\n\r\n",
            "SPAMD/1.1 76 Bad header line\r\n\r\n",
            "HTTP/1.1 0 x\r\nSpam: True ; 1 / 5\r\n\r\n",
            "SPAMD/1.1 0 EX_OK\r\nSpam: True ; NaN / 5\r\n\r\n",
            "SPAMD/1.1 0 EX_OK\r\nSpam: True\r\n\r\n",
        ] {
            assert!(score(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_reply_is_answered(reply in prop::collection::vec(any::<u8>(), 0..200), cut in 0..60usize) {
            let _ = score(&reply);
            prop_assert!(score(&REPLY.as_bytes()[..cut]).is_err());
        }
    }
}

//! rspamd: `/checkv2`, `/learnspam`, `/learnham` (<https://docs.rspamd.com/developers/protocol/>).

use super::http::post;
use super::pool::{Failure, Pool};
use crate::arrival::Arrival;
use crate::screened::Spam;
use crate::text::one_line;
use crate::trainer::Class;
use bytes::Bytes;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Rules that are named in the verdict.
const TESTS_MAX: usize = 100;

/// What rspamd wants done, where that says more than the score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// By the score alone. Also `greylist`, which is advice for greylisting, not a verdict.
    #[default]
    None,
    /// `soft reject`: later, a limit was exceeded.
    Later,
    /// `add header` and `rewrite subject`: spam.
    Tag,
    /// `reject`: surely spam.
    Kill,
}

#[derive(Deserialize)]
struct Reply {
    score: f64,
    required_score: f64,
    action: String,
    #[serde(default)]
    symbols: BTreeMap<String, serde_json::Value>,
}

/// Asks for a score.
///
/// # Errors
/// [`Failure`]: no server gave one.
pub async fn check(pool: &Pool, arrival: &Arrival) -> Result<(Spam, Action), Failure> {
    let reply = pool.ask(|stream| {
        let arrival = arrival.clone();
        Box::pin(async move {
            let ip = arrival.client_ip.to_string();
            let mut fields = vec![
                ("IP", ip.as_str()),
                ("Helo", arrival.helo.as_str()),
                ("From", arrival.sender.as_str()),
                ("Queue-Id", arrival.queue_id.as_str()),
            ];
            fields.extend(arrival.client_name.as_deref().map(|name| ("Hostname", name)));
            fields.extend(arrival.authenticated.as_deref().map(|name| ("User", name)));
            fields.extend(arrival.recipients.iter().map(|to| ("Rcpt", to.as_str())));
            parse(&post(stream, "/checkv2", &fields, arrival.raw.clone()).await?)
        })
    });
    reply.await
}

/// Tells what a message is (asks the controller, whose port is not that of the scanner).
///
/// # Errors
/// [`Failure`]: no server has learned it.
pub async fn learn(pool: &Pool, password: Option<&str>, class: Class, raw: &Bytes) -> Result<(), Failure> {
    let path = if class == Class::Spam { "/learnspam" } else { "/learnham" };
    let learned = pool.ask(|stream| {
        let (raw, password) = (raw.clone(), password.map(str::to_string));
        Box::pin(async move {
            let fields: Vec<_> = password.iter().map(|p| ("Password", p.as_str())).collect();
            match post(stream, path, &fields, raw).await {
                Ok(_) => Ok(()),
                // 208 "already learned", 204 "nothing to learn from": the server is well.
                Err(Failure::Reply(words)) if words.starts_with("20") => Ok(()),
                Err(failure) => Err(failure),
            }
        })
    });
    learned.await
}

fn parse(json: &[u8]) -> Result<(Spam, Action), Failure> {
    let reply: Reply = serde_json::from_slice(json).map_err(|e| Failure::Reply(e.to_string()))?;
    let action = match reply.action.as_str() {
        "reject" | "discard" => Action::Kill,
        "add header" | "rewrite subject" => Action::Tag,
        "soft reject" => Action::Later,
        _ => Action::None,
    };
    let tests = reply.symbols.keys().take(TESTS_MAX).map(|name| one_line(name, 80)).collect();
    Ok((Spam { score: reply.score, threshold: reply.required_score, tests }, action))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Limits;
    use crate::testing::{arrival, one_answer};
    use proptest::prelude::*;

    /// rspamd 3.4 calls a message skipped that a rule decided alone: its score and action count as ever.
    const REPLY: &str = r#"{"is_skipped":true,"score":7.5,"required_score":15.0,"action":"add header","thresholds":
        {"reject":15.0,"add header":6.0},"symbols":{"R_SPF_FAIL":{"name":"R_SPF_FAIL","score":1.0},"A":{}},
        "messages":{},"message-id":"a@b","milter":{}}"#;

    #[tokio::test]
    async fn the_envelope_goes_along_and_the_score_comes_back() {
        let http = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{REPLY}", REPLY.len());
        let (endpoint, seen) = one_answer(http).await;
        let pool = Pool::new("rspamd", vec![endpoint], Limits::default());
        let mut arrival = arrival(b"Subject: x\r\n\r\nhello\r\n");
        arrival.recipients.push("second@example.com".into());
        arrival.helo = "bad\nhelo".into();
        let (spam, action) = check(&pool, &arrival).await.unwrap();
        assert_eq!((spam.score, spam.threshold, action), (7.5, 15.0, Action::Tag));
        assert_eq!(spam.tests, ["A", "R_SPF_FAIL"]);
        let seen = String::from_utf8(seen.await.unwrap()).unwrap();
        assert!(seen.starts_with("POST /checkv2 HTTP/1.1\r\n"), "{seen}");
        assert!(seen.ends_with("\r\n\r\nSubject: x\r\n\r\nhello\r\n"), "{seen}");
        for field in ["ip: 192.0.2.1", "from: sender@example.org", "rcpt: alice@example.com", "queue-id: q1"] {
            assert!(seen.contains(&format!("\r\n{field}\r\n")), "{field} in {seen}");
        }
        assert!(seen.contains("\r\nrcpt: second@example.com\r\n") && !seen.contains("helo"), "{seen}");
    }

    #[tokio::test]
    async fn errors_are_failures() {
        for answer in ["HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n{}", "", "x\r\n\r\n"] {
            let (endpoint, _) = one_answer(answer).await;
            let pool = Pool::new("rspamd", vec![endpoint], Limits::default());
            assert!(check(&pool, &arrival(b"\r\n")).await.is_err(), "{answer}");
        }
    }

    #[tokio::test]
    async fn learning_says_the_class_and_takes_known_for_learned() {
        for (class, path) in [(Class::Spam, "/learnspam"), (Class::Ham, "/learnham")] {
            let (endpoint, seen) = one_answer("HTTP/1.1 208 known\r\nContent-Length: 0\r\n\r\n").await;
            let pool = Pool::new("rspamd", vec![endpoint], Limits::default());
            learn(&pool, Some("secret"), class, &Bytes::from_static(b"a: b\r\n\r\n")).await.unwrap();
            let seen = String::from_utf8(seen.await.unwrap()).unwrap();
            assert!(seen.starts_with(&format!("POST {path} ")) && seen.contains("\r\npassword: secret\r\n"), "{seen}");
        }
    }

    proptest! {
        #[test]
        fn any_reply_is_answered(reply in prop::collection::vec(any::<u8>(), 0..200), cut in 0..REPLY.len()) {
            let _ = parse(&reply);
            prop_assert!(parse(&REPLY.as_bytes()[..cut]).is_err());
        }
    }
}

//! Replies: a code, lines of text, perhaps an enhanced status code (RFC 5321 §4.2, RFC 2034).

use zcluster_delivery::carry::Failure;

/// Bytes of one reply; RFC 5321 §4.5.3.1.5 has 512 for a line.
const REPLY_BYTES_MAX: usize = 16 * 1024;
/// Bytes of it that are told further.
const TOLD_BYTES_MAX: usize = 400;

/// What a host said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    /// `5.1.1`, if there is one of the code's class.
    pub status: Option<String>,
    /// The lines' texts, without the status.
    pub lines: Vec<String>,
}

/// Why bytes are no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoReply(pub &'static str);

impl Reply {
    /// Takes one reply off the front of `buffer`; `None`: it is not all there yet.
    ///
    /// # Errors
    /// What stands there is none.
    pub fn take(buffer: &mut Vec<u8>) -> Result<Option<Reply>, NoReply> {
        let (mut at, mut lines, mut first) = (0, Vec::new(), None);
        loop {
            let Some(len) = buffer[at..].iter().position(|b| *b == b'\n') else {
                return if buffer.len() > REPLY_BYTES_MAX { Err(NoReply("a reply without end")) } else { Ok(None) };
            };
            let (code, last, text) = line(&buffer[at..at + len])?;
            if *first.get_or_insert(code) != code {
                return Err(NoReply("a reply with several codes"));
            }
            at += len + 1;
            lines.push(text);
            if at > REPLY_BYTES_MAX {
                return Err(NoReply("a reply without end"));
            }
            if last {
                buffer.drain(..at);
                return Ok(Some(Reply::of(code, lines)));
            }
        }
    }

    fn of(code: u16, mut lines: Vec<String>) -> Reply {
        let status = lines.first().and_then(|line| status(line, code)).map(str::to_string);
        if let Some(status) = &status {
            for line in &mut lines {
                if let Some(rest) = line.strip_prefix(status.as_str()) {
                    *line = rest.trim_start().to_string();
                }
            }
        }
        Reply { code, status, lines }
    }

    /// 2xx.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 5xx.
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// In one line.
    pub fn text(&self) -> String {
        let mut all = self.code.to_string();
        for part in self.status.iter().chain(&self.lines) {
            if !part.is_empty() && all.len() < TOLD_BYTES_MAX {
                all.push(' ');
                all.extend(part.chars().take(TOLD_BYTES_MAX));
            }
        }
        all
    }

    /// As the reason why something was not taken.
    pub fn failure(&self, host: &str) -> Failure {
        let status = self.status.clone().unwrap_or_else(|| format!("{}.0.0", if self.is_permanent() { 5 } else { 4 }));
        let failure = match self.is_permanent() {
            true => Failure::permanent(&status, self.text()),
            false => Failure::temporary(&status, self.text()),
        };
        Failure { host: Some(host.to_string()), ..failure }
    }
}

/// A line without its end: code, whether it is the last, text.
fn line(bytes: &[u8]) -> Result<(u16, bool, String), NoReply> {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let (code, rest) = bytes.split_at_checked(3).ok_or(NoReply("a line that is too short"))?;
    let code = std::str::from_utf8(code).ok().and_then(|c| c.parse::<u16>().ok());
    let code = code.filter(|c| (200..600).contains(c)).ok_or(NoReply("a line without a code"))?;
    let (last, text) = match rest.split_first() {
        None => (true, &[][..]),
        Some((b' ', text)) => (true, text),
        Some((b'-', text)) => (false, text),
        Some(_) => return Err(NoReply("a code that something else follows")),
    };
    let text = String::from_utf8_lossy(text).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Ok((code, last, text))
}

/// An enhanced status code at the front of a text, if it is of the code's class.
fn status(text: &str, code: u16) -> Option<&str> {
    let status = text.split(' ').next()?;
    let mut parts = status.split('.');
    let (class, subject, detail) = (parts.next()?, parts.next()?, parts.next()?);
    let number = |s: &str| (1..=3).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
    let fit = parts.next().is_none() && number(subject) && number(detail) && class == (code / 100).to_string();
    fit.then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn take(text: &str) -> Result<Option<Reply>, NoReply> {
        Reply::take(&mut text.as_bytes().to_vec())
    }

    #[test]
    fn replies_of_one_line_and_of_several() {
        let mut buffer = b"250-mx.example\r\n250-PIPELINING\r\n250 SIZE 10\r\n550 5.7.515 no\r\n45".to_vec();
        let first = Reply::take(&mut buffer).unwrap().unwrap();
        assert_eq!((first.code, first.lines.len(), first.lines[2].as_str()), (250, 3, "SIZE 10"));
        let second = Reply::take(&mut buffer).unwrap().unwrap();
        assert_eq!((second.status.as_deref(), second.text().as_str()), (Some("5.7.515"), "550 5.7.515 no"));
        assert_eq!(second.failure("mx").status, "5.7.515");
        assert_eq!((Reply::take(&mut buffer), buffer.as_slice()), (Ok(None), &b"45"[..]));
        let many = take("550-5.1.1 one\r\n550 5.1.1 two\n").unwrap().unwrap();
        assert_eq!(many.text(), "550 5.1.1 one two");
        assert_eq!(take("450 4.2.x no\n").unwrap().unwrap().failure("mx").status, "4.0.0");
        assert_eq!(take("450 5.1.1 no\n").unwrap().unwrap().failure("mx").status, "4.0.0", "another class");
        assert_eq!(take("250\r\n").unwrap().unwrap().code, 250);
    }

    #[test]
    fn what_is_none() {
        for bad in ["hello\r\n", "99 x\r\n", "600 x\r\n", "250_x\r\n", "250-a\r\n550 b\r\n", "\r\n"] {
            assert!(take(bad).is_err(), "{bad:?}");
        }
        assert!(take(&"250-x\r\n".repeat(5_000)).is_err());
        assert!(take(&"2".repeat(20_000)).is_err());
    }

    proptest! {
        #[test]
        fn whatever_comes_is_answered(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "([2-5][0-9]{2}[ -](5\\.[0-9]{1,4}\\.[0-9] )?\\PC{0,9}\r\n){0,5}") {
            for mut buffer in [bytes, text.into_bytes()] {
                while let Ok(Some(reply)) = Reply::take(&mut buffer) {
                    prop_assert!(!reply.failure("h").text.contains(['\r', '\n']));
                }
            }
        }
    }
}

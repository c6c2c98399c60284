//! A small IMAP client: tagged commands, untagged responses counted, literals skipped.

use std::io::Write as _;
use std::net::SocketAddr;

use anyhow::{Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::connection::Connection;
use crate::corpus;

/// One IMAP session.
pub struct Client {
    connection: Connection,
    tag: u64,
    /// How many messages the folder had when it was selected.
    pub messages: u64,
}

/// How a command ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Whether the server said OK.
    pub ok: bool,
    /// The tagged line.
    pub line: String,
    /// How many untagged FETCH responses came before it.
    pub fetches: u64,
    /// The number of the last untagged EXISTS.
    pub exists: Option<u64>,
    /// How many messages SEARCH, SORT, THREAD (RFC 5256) or VANISHED (RFC 7162) named.
    pub named: u64,
    /// MESSAGES of an untagged STATUS.
    pub status_messages: Option<u64>,
    /// UIDVALIDITY of the response codes.
    pub uid_validity: Option<u64>,
    /// HIGHESTMODSEQ of the response codes (RFC 7162).
    pub highest_mod_seq: Option<u64>,
}

impl Outcome {
    /// Keeps what one line of the response says.
    fn note(&mut self, line: &[u8]) {
        self.exists = exists_of(line).or(self.exists);
        self.named += named_in(line);
        self.status_messages = status_of(line).or(self.status_messages);
        self.uid_validity = code_of(line, b"[UIDVALIDITY ").or(self.uid_validity);
        self.highest_mod_seq = code_of(line, b"[HIGHESTMODSEQ ").or(self.highest_mod_seq);
    }
}

impl Client {
    /// Connects and reads the greeting.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        Self::greeted(Connection::open(address).await?).await
    }

    /// The same with small buffers.
    pub async fn open_small(address: SocketAddr) -> Result<Self> {
        Self::greeted(Connection::open_small(address).await?).await
    }

    async fn greeted(mut connection: Connection) -> Result<Self> {
        let greeting = connection.line().await?;
        if !greeting.starts_with(b"* OK") {
            bail!("the server greets with {}", String::from_utf8_lossy(greeting));
        }
        Ok(Self { connection, tag: 0, messages: 0 })
    }

    /// LOGIN, which must succeed.
    pub async fn login(&mut self, user: &str, password: &str) -> Result<()> {
        self.must(&format!("LOGIN \"{user}\" \"{password}\"")).await.map(drop)
    }

    /// AUTHENTICATE PLAIN (RFC 4616) of an administrator who acts as `user`; must succeed.
    pub async fn login_as(&mut self, user: &str, admin: &str, password: &str) -> Result<()> {
        let response = STANDARD.encode(format!("{user}\0{admin}\0{password}"));
        self.must(&format!("AUTHENTICATE PLAIN {response}")).await.map(drop)
    }

    /// SELECT, which must succeed; returns how many messages there are.
    pub async fn select(&mut self, folder: &str) -> Result<u64> {
        self.messages = self.must(&format!("SELECT \"{folder}\"")).await?.exists.unwrap_or(0);
        Ok(self.messages)
    }

    /// A command that must succeed.
    pub async fn must(&mut self, command: &str) -> Result<Outcome> {
        let outcome = self.run(command).await?;
        if !outcome.ok {
            bail!("the server refused {command}: {}", outcome.line);
        }
        Ok(outcome)
    }

    /// A command and its outcome.
    pub async fn run(&mut self, command: &str) -> Result<Outcome> {
        let tag = self.send(command).await?;
        self.finish(&tag).await
    }

    /// APPEND with a synchronising literal (RFC 3501 §6.3.11), which every server takes.
    pub async fn append(&mut self, folder: &str, text: &str) -> Result<Outcome> {
        let tag = self.send(&format!("APPEND \"{folder}\" () {{{}}}", text.len())).await?;
        loop {
            let line = self.connection.line().await?;
            if line.starts_with(b"+") {
                break;
            }
            if line.starts_with(tag.as_bytes()) {
                return Ok(Outcome { line: String::from_utf8_lossy(line).into_owned(), ..Outcome::default() });
            }
        }
        let mut bytes = Vec::with_capacity(text.len() + 2);
        bytes.extend_from_slice(text.as_bytes());
        bytes.extend_from_slice(b"\r\n");
        self.connection.send(&bytes).await?;
        self.finish(&tag).await
    }

    /// APPEND of several messages with their flags and dates in one command (RFC 3502), sent without waiting (RFC 7888).
    pub async fn append_many(&mut self, folder: &str, messages: &[corpus::Message]) -> Result<Outcome> {
        self.tag += 1;
        let tag = format!("a{} ", self.tag);
        let mut bytes = format!("{tag}APPEND \"{folder}\"").into_bytes();
        for message in messages {
            let (flags, date, text) = (message.flags, &message.internal_date, &message.text);
            write!(bytes, " ({flags}) \"{date}\" {{{}+}}\r\n{text}", text.len())?;
        }
        bytes.extend_from_slice(b"\r\n");
        self.connection.send(&bytes).await?;
        self.finish(&tag).await
    }

    /// IDLE (RFC 2177), until the server's continuation.
    pub async fn idle(&mut self) -> Result<()> {
        let tag = self.send("IDLE").await?;
        loop {
            let line = self.connection.line().await?;
            if line.starts_with(b"+") {
                return Ok(());
            }
            if line.starts_with(tag.as_bytes()) {
                bail!("the server refused IDLE: {}", String::from_utf8_lossy(line));
            }
        }
    }

    /// Waits for an untagged EXISTS of at least `count`.
    pub async fn await_exists(&mut self, count: u64) -> Result<u64> {
        loop {
            if let Some(exists) = exists_of(self.connection.line().await?)
                && exists >= count
            {
                return Ok(exists);
            }
        }
    }

    async fn send(&mut self, command: &str) -> Result<String> {
        self.tag += 1;
        let tag = format!("a{} ", self.tag);
        self.connection.send(format!("{tag}{command}\r\n").as_bytes()).await?;
        Ok(tag)
    }

    async fn finish(&mut self, tag: &str) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        loop {
            let line = self.connection.line().await?;
            if line.starts_with(tag.as_bytes()) {
                outcome.note(line);
                outcome.line = String::from_utf8_lossy(line).trim_end().to_owned();
                outcome.ok = line[tag.len()..].starts_with(b"OK");
                return Ok(outcome);
            }
            if is_fetch(line) {
                outcome.fetches += 1;
            }
            outcome.note(line);
            let mut literal = literal_of(line);
            while let Some(size) = literal {
                self.connection.skip(size).await?;
                literal = literal_of(self.connection.line().await?);
            }
        }
    }
}

/// `* 12 FETCH (...`
fn is_fetch(line: &[u8]) -> bool {
    let mut words = line.splitn(4, |byte| *byte == b' ');
    words.next() == Some(b"*") && words.next().is_some() && words.next() == Some(b"FETCH")
}

/// `* 12 EXISTS`
fn exists_of(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(b"* ")?;
    std::str::from_utf8(rest).ok()?.trim_end().strip_suffix(" EXISTS")?.parse().ok()
}

/// The number of messages in `* STATUS INBOX (MESSAGES 12)`.
fn status_of(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line.strip_prefix(b"* STATUS ")?).ok()?;
    let (_, rest) = text.split_once("(MESSAGES ")?;
    rest.split_once(')')?.0.parse().ok()
}

/// The number after `code` in `* OK [CODE 12]`.
fn code_of(line: &[u8], code: &[u8]) -> Option<u64> {
    // Other untagged responses have none, and there may be 100,000 of them.
    if line.starts_with(b"*") && !line.starts_with(b"* OK [") {
        return None;
    }
    let at = line.windows(code.len()).position(|window| window == code)? + code.len();
    let digits = line[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&line[at..at + digits]).ok()?.parse().ok()
}

/// How many messages a line of SEARCH, SORT, THREAD or VANISHED names; ranges count in full.
fn named_in(line: &[u8]) -> u64 {
    const LISTS: [&[u8]; 5] = [b"* SEARCH", b"* SORT", b"* THREAD", b"* VANISHED (EARLIER)", b"* VANISHED"];
    let Some(rest) = LISTS.iter().find_map(|name| line.strip_prefix(*name)) else { return 0 };
    let words = rest.split(|byte| !(byte.is_ascii_digit() || *byte == b':')).filter(|word| !word.is_empty());
    words.map(range_length).sum()
}

fn range_length(word: &[u8]) -> u64 {
    let number = |text: Option<&[u8]>| std::str::from_utf8(text?).ok()?.parse::<u64>().ok();
    let mut ends = word.split(|byte| *byte == b':');
    match (number(ends.next()), number(ends.next())) {
        (Some(first), Some(last)) => last.abs_diff(first) + 1,
        (Some(_), None) => 1,
        _ => 0,
    }
}

/// The size of a literal that this line announces at its end (RFC 3501 §4.3).
fn literal_of(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"}\r\n")?;
    let open = line.iter().rposition(|byte| *byte == b'{')?;
    std::str::from_utf8(&line[open + 1..]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_told_apart() {
        assert!(is_fetch(b"* 12 FETCH (UID 1)\r\n"));
        assert!(!is_fetch(b"* 12 EXISTS\r\n"));
        assert_eq!(exists_of(b"* 12 EXISTS\r\n"), Some(12));
        assert_eq!(exists_of(b"* 12 RECENT\r\n"), None);
        assert_eq!(named_in(b"* SORT 3 1 2\r\n"), 3);
        assert_eq!(named_in(b"* SEARCH\r\n"), 0);
        assert_eq!(named_in(b"* THREAD (1)(2 3 (4)(5 6))\r\n"), 6);
        assert_eq!(named_in(b"* VANISHED (EARLIER) 41,43:116,118\r\n"), 76);
        assert_eq!(code_of(b"* OK [UIDVALIDITY 17] ok\r\n", b"[UIDVALIDITY "), Some(17));
        assert_eq!(literal_of(b"* 1 FETCH (BODY[] {10}\r\n"), Some(10));
        assert_eq!(literal_of(b"* 1 FETCH (X \"{10}\")\r\n"), None);
    }
}

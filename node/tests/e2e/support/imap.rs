//! An IMAP client (RFC 3501) that keeps what the server said.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use super::wire::Wire;

/// One session.
pub struct Imap {
    pub wire: Wire,
    tag: u32,
}

/// The answer to a command.
#[derive(Debug, Default)]
pub struct Answer {
    /// Untagged responses, literals included.
    pub untagged: Vec<Vec<u8>>,
    /// The tagged line without its tag.
    pub tagged: String,
}

impl Answer {
    pub fn ok(&self) -> bool {
        self.tagged.starts_with("OK")
    }

    /// The number of the last EXISTS.
    pub fn exists(&self) -> Option<usize> {
        self.untagged.iter().rev().find_map(|line| exists_of(line))
    }

    /// Whether some untagged response contains this text.
    pub fn says(&self, text: &str) -> bool {
        self.untagged.iter().any(|line| String::from_utf8_lossy(line).contains(text)) || self.tagged.contains(text)
    }
}

impl Imap {
    pub fn open(port: u16) -> io::Result<Self> {
        let mut wire = Wire::open(port)?;
        let greeting = wire.text()?;
        if !greeting.starts_with("* OK") {
            return Err(io::Error::other(greeting));
        }
        Ok(Self { wire, tag: 0 })
    }

    pub fn try_login(port: u16, user: &str, password: &str) -> io::Result<Self> {
        let mut this = Self::open(port)?;
        this.must(&format!("LOGIN \"{user}\" \"{password}\""))?;
        Ok(this)
    }

    /// A command and its answer, whatever it is; a broken connection is an error.
    pub fn ask(&mut self, command: &str) -> io::Result<Answer> {
        let tag = self.send(command)?;
        self.answer(&tag)
    }

    /// A command that must succeed.
    pub fn must(&mut self, command: &str) -> io::Result<Answer> {
        let answer = self.ask(command)?;
        if answer.ok() { Ok(answer) } else { Err(io::Error::other(format!("{command}: {}", answer.tagged))) }
    }

    /// SELECT, and how many messages there are.
    pub fn select(&mut self, folder: &str) -> io::Result<usize> {
        Ok(self.must(&format!("SELECT \"{folder}\""))?.exists().unwrap_or(0))
    }

    pub fn append(&mut self, folder: &str, message: &[u8]) -> io::Result<Answer> {
        let tag = self.send(&format!("APPEND \"{folder}\" {{{}}}", message.len()))?;
        loop {
            let line = self.wire.text()?;
            if line.starts_with('+') {
                break;
            }
            if let Some(tagged) = line.strip_prefix(&tag) {
                return Ok(Answer { tagged: tagged.to_owned(), ..Answer::default() });
            }
        }
        self.wire.send(message)?;
        self.wire.send(b"\r\n")?;
        self.answer(&tag)
    }

    /// All messages of the selected folder by UID, byte for byte.
    pub fn bodies(&mut self) -> io::Result<BTreeMap<u32, Vec<u8>>> {
        let answer = self.must("UID FETCH 1:* (UID BODY.PEEK[])")?;
        Ok(answer.untagged.iter().filter_map(|response| uid_and_literal(response)).collect())
    }

    /// The ids (see [`super::mail::id_of`]) of a folder's messages with how often each is there.
    pub fn ids(&mut self, folder: &str) -> io::Result<BTreeMap<String, usize>> {
        self.select(folder)?;
        let answer = self.must("UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")?;
        let mut ids = BTreeMap::new();
        for (_, header) in answer.untagged.iter().filter_map(|response| uid_and_literal(response)) {
            *ids.entry(super::mail::id_of(&header).unwrap_or_default()).or_insert(0) += 1;
        }
        Ok(ids)
    }

    /// The flags of one message, sorted, without \Recent.
    pub fn flags(&mut self, uid: u32) -> io::Result<Vec<String>> {
        let answer = self.must(&format!("UID FETCH {uid} (FLAGS)"))?;
        let text = answer.untagged.iter().map(|line| String::from_utf8_lossy(line).into_owned());
        let line = text.into_iter().find(|line| line.contains("FETCH") && line.contains(&format!("UID {uid}")));
        let line = line.ok_or_else(|| io::Error::other(format!("no flags of {uid}: {answer:?}")))?;
        let inside = line.split("FLAGS (").nth(1).and_then(|rest| rest.split(')').next()).unwrap_or("");
        let mut flags: Vec<String> =
            inside.split_whitespace().filter(|&flag| flag != "\\Recent").map(str::to_owned).collect();
        flags.sort();
        Ok(flags)
    }

    /// IDLE, up to the continuation.
    pub fn idle(&mut self) -> io::Result<()> {
        let tag = self.send("IDLE")?;
        let line = self.wire.text()?;
        if line.starts_with('+') {
            return Ok(());
        }
        Err(io::Error::other(format!("{tag} {line}")))
    }

    /// Waits in IDLE for an EXISTS of at least `count`.
    pub fn await_exists(&mut self, count: usize, limit: Duration) -> io::Result<usize> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.wire.patience(left)?;
            if let Some(exists) = exists_of(&self.wire.line()?)
                && exists >= count
            {
                self.wire.patience(super::wire::PATIENCE)?;
                return Ok(exists);
            }
        }
    }

    /// Ends IDLE.
    pub fn done(&mut self) -> io::Result<Answer> {
        self.wire.send(b"DONE\r\n")?;
        let tag = format!("t{} ", self.tag);
        self.answer(&tag)
    }

    /// Sends a command and returns its tag with a blank.
    pub fn send(&mut self, command: &str) -> io::Result<String> {
        self.tag += 1;
        let tag = format!("t{} ", self.tag);
        self.wire.send(format!("{tag}{command}\r\n").as_bytes())?;
        Ok(tag)
    }

    /// Reads up to the tagged line.
    pub fn answer(&mut self, tag: &str) -> io::Result<Answer> {
        let mut answer = Answer::default();
        loop {
            let response = self.response()?;
            if response.starts_with(tag.as_bytes()) {
                answer.tagged = String::from_utf8_lossy(&response[tag.len()..]).trim_end().to_owned();
                return Ok(answer);
            }
            answer.untagged.push(response);
        }
    }

    /// One response with its literals.
    fn response(&mut self) -> io::Result<Vec<u8>> {
        let mut response = self.wire.line()?;
        let mut last_line = response.clone();
        while let Some(size) = literal_of(&last_line) {
            response.extend(self.wire.bytes(size)?);
            last_line = self.wire.line()?;
            response.extend_from_slice(&last_line);
        }
        Ok(response)
    }
}

/// The UID and the first literal of a FETCH response.
fn uid_and_literal(response: &[u8]) -> Option<(u32, Vec<u8>)> {
    let end = response.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let size = literal_of(&response[..end])?;
    let literal = response.get(end..end + size)?.to_vec();
    let around = [&response[..end], &response[end + size..]].concat();
    let text = String::from_utf8_lossy(&around);
    let uid = text.split("UID ").nth(1)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    Some((uid, literal))
}

/// `* 12 EXISTS`
pub fn exists_of(line: &[u8]) -> Option<usize> {
    std::str::from_utf8(line).ok()?.trim_end().strip_prefix("* ")?.strip_suffix(" EXISTS")?.parse().ok()
}

fn literal_of(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"}\r\n")?;
    let open = line.iter().rposition(|&byte| byte == b'{')?;
    std::str::from_utf8(&line[open + 1..]).ok()?.parse().ok()
}

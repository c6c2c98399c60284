//! The protocol's packets: a length of four bytes, a command of one, its data.

use super::changes::Change;
use crate::service::Failure;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes of one packet from a milter: libmilter sends no more than this (`MILTER_MDS_1M`).
const PACKET_BYTES_MAX: usize = 1024 * 1024 + 1;
/// Bytes of body in one packet (`MILTER_CHUNK_SIZE`).
pub const CHUNK_BYTES: usize = 65_535;

/// The version we speak.
pub const VERSION: u32 = 6;
/// What milters may do: add (1) and change (16) fields, replace the body (2), quarantine (32). Not: recipients and the
/// sender, which have been answered for by now.
pub const ACTIONS: u32 = 0x01 | 0x02 | 0x10 | 0x20;
/// Steps that a milter may leave out, or leave without a reply; and `SMFIP_SKIP`, `SMFIP_HDR_LEADSPC`.
pub const STEPS: u32 = 0x1F_FFFF & !(STEP_RCPT_REJ | STEP_NO_UNKNOWN | STEP_NR_UNKNOWN);
const STEP_RCPT_REJ: u32 = 0x800;
const STEP_NO_UNKNOWN: u32 = 0x100;
const STEP_NR_UNKNOWN: u32 = 0x2_0000;

/// A step of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its command.
    pub command: u8,
    /// The bit by which a milter does not want it (0: it always comes).
    pub unwanted: u32,
    /// The bit by which a milter does not reply to it.
    pub no_reply: u32,
}

/// The steps, by what is told.
pub mod step {
    use super::Step;
    pub const CONNECT: Step = Step { command: b'C', unwanted: 0x1, no_reply: 0x1000 };
    pub const HELO: Step = Step { command: b'H', unwanted: 0x2, no_reply: 0x2000 };
    pub const MAIL: Step = Step { command: b'M', unwanted: 0x4, no_reply: 0x4000 };
    pub const RCPT: Step = Step { command: b'R', unwanted: 0x8, no_reply: 0x8000 };
    pub const DATA: Step = Step { command: b'T', unwanted: 0x200, no_reply: 0x1_0000 };
    pub const HEADER: Step = Step { command: b'L', unwanted: 0x20, no_reply: 0x80 };
    pub const EOH: Step = Step { command: b'N', unwanted: 0x40, no_reply: 0x4_0000 };
    pub const BODY: Step = Step { command: b'B', unwanted: 0x10, no_reply: 0x8_0000 };
    pub const END: Step = Step { command: b'E', unwanted: 0, no_reply: 0 };
}
/// Field values keep the space after their colon.
pub const LEADING_SPACE: u32 = 0x10_0000;

/// What a milter says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Go on.
    Continue,
    /// Take it, ask no more.
    Accept,
    /// 5yz.
    Reject,
    /// 4yz.
    Tempfail,
    /// 250 and away with it.
    Discard,
    /// An SMTP reply: code, enhanced code, text.
    Code(u16, String, String),
    /// No more of the body.
    Skip,
    /// Still at it.
    Progress,
    /// Set it aside.
    Quarantine(String),
    /// Something is to be changed.
    Change(Change),
}

/// A packet.
pub fn packet(command: u8, pieces: &[&[u8]]) -> Vec<u8> {
    let length = 1 + pieces.iter().map(|p| p.len()).sum::<usize>();
    let mut out = Vec::with_capacity(4 + length);
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    out.push(command);
    pieces.iter().for_each(|piece| out.extend_from_slice(piece));
    out
}

/// Text with its NUL; NUL within it would end it: `?`.
pub fn text(text: &[u8]) -> Vec<u8> {
    text.iter().map(|b| if *b == 0 { b'?' } else { *b }).chain([0]).collect()
}

/// Reads a packet: its command and data.
///
/// # Errors
/// [`Failure`]: the connection ended, or no packet is that long.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<(u8, Vec<u8>), Failure> {
    let length = stream.read_u32().await? as usize;
    if !(1..=PACKET_BYTES_MAX).contains(&length) {
        return Err(Failure::Reply(format!("a packet of {length} bytes")));
    }
    let mut data = Vec::new();
    // Not allocated in advance: the length is only said.
    stream.take(length as u64).read_to_end(&mut data).await?;
    if data.len() < length {
        return Err(Failure::Io(std::io::ErrorKind::UnexpectedEof.into()));
    }
    let command = data.remove(0);
    Ok((command, data))
}

/// The milter's answer to our offer: its version, actions and steps.
pub fn negotiated(command: u8, data: &[u8]) -> Option<(u32, u32, u32)> {
    let number = |at: usize| Some(u32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?));
    (command == b'O').then_some((number(0)?, number(4)?, number(8)?))
}

/// What a packet means; `None` when no milter may say so.
pub fn reply(command: u8, data: &[u8]) -> Option<Reply> {
    Some(match command {
        b'c' => Reply::Continue,
        b'a' => Reply::Accept,
        b'r' => Reply::Reject,
        b't' => Reply::Tempfail,
        b'd' => Reply::Discard,
        b's' => Reply::Skip,
        b'p' => Reply::Progress,
        b'q' => Reply::Quarantine(strings(data).next().unwrap_or_default()),
        b'y' => smtp(&strings(data).next()?)?,
        b'h' => Reply::Change(field(data).map(|(name, value)| Change::Add { name, value })?),
        b'i' | b'm' => {
            let (at, rest) = data.split_first_chunk::<4>()?;
            let at = usize::try_from(u32::from_be_bytes(*at)).ok()?;
            let (name, value) = field(rest)?;
            Reply::Change(match command {
                b'i' => Change::Insert { at, name, value },
                _ => Change::Replace { at, name, value },
            })
        }
        b'b' => Reply::Change(Change::Body(data.to_vec())),
        _ => return None,
    })
}

fn strings(data: &[u8]) -> impl Iterator<Item = String> {
    data.split(|b| *b == 0).map(|text| String::from_utf8_lossy(text).into_owned())
}

fn field(data: &[u8]) -> Option<(String, Vec<u8>)> {
    let mut parts = data.splitn(3, |b| *b == 0);
    let (name, value) = (parts.next()?, parts.next()?);
    // RFC 5322 §2.2; what is no name would be no header field.
    let named = !name.is_empty() && name.iter().all(|b| matches!(b, 33..=57 | 59..=126));
    named.then(|| (String::from_utf8_lossy(name).into_owned(), value.to_vec()))
}

/// `550 5.7.1 text`; several lines come with CRLF between them and become one.
fn smtp(text: &str) -> Option<Reply> {
    let lines: Vec<&str> = text.split(['\r', '\n']).filter(|line| !line.is_empty()).collect();
    let first = lines.first()?;
    let code: u16 = first.get(..3)?.parse().ok().filter(|code| (400..600).contains(code))?;
    let rest = first.get(4..).unwrap_or("");
    let class = format!("{}.", code / 100);
    let (status, words) = match rest.split_once(' ').unwrap_or((rest, "")) {
        (status, words) if status.starts_with(&class) && status.matches('.').count() == 2 => (status.into(), words),
        _ => (format!("{class}7.1"), rest),
    };
    let more = lines[1..]
        .iter()
        .filter_map(|line| line.get(4..))
        .map(|line| line.split_once(' ').filter(|(start, _)| *start == status).map_or(line, |(_, words)| words));
    let words = std::iter::once(words).chain(more).collect::<Vec<_>>().join(" ");
    Some(Reply::Code(code, crate::text::one_line(&status, 11), crate::text::one_line(&words, 400)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn replies() {
        let code = |code, status: &str, text: &str| Some(Reply::Code(code, status.into(), text.into()));
        assert_eq!(reply(b'y', b"550 5.7.1 no\0"), code(550, "5.7.1", "no"));
        assert_eq!(reply(b'y', b"451 wait a bit\0"), code(451, "4.7.1", "wait a bit"));
        assert_eq!(reply(b'y', b"550-5.1.1 one\r\n550 5.1.1 two\0"), code(550, "5.1.1", "one two"));
        for wrong in [&b"250 fine\0"[..], b"\0", b"", b"55", b"abc no\0"] {
            assert_eq!(reply(b'y', wrong), None);
        }
        let add = Change::Add { name: "A".into(), value: b"b".to_vec() };
        assert_eq!(reply(b'h', b"A\0b\0"), Some(Reply::Change(add)));
        assert_eq!(reply(b'h', b"A b\0c\0"), None);
        assert_eq!(reply(b'm', b"\0\0\0"), None);
        assert_eq!(reply(b'+', b"<a@b>\0"), None);
    }

    #[tokio::test]
    async fn lengths_that_lie_are_refused() {
        for wrong in [&b"\xff\xff\xff\xffc"[..], b"\0\0\0\0", b"\0\0\0\x05c", b"\0\0"] {
            assert!(read(&mut &*wrong).await.is_err());
        }
        assert_eq!(read(&mut &packet(b'h', &[b"A\0", b"b\0"])[..]).await.unwrap(), (b'h', b"A\0b\0".to_vec()));
    }

    proptest! {
        #[test]
        fn any_packet_is_answered(command: u8, data in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Some(Reply::Code(code, status, text)) = reply(command, &data) {
                prop_assert!((400..600).contains(&code));
                prop_assert!(status.bytes().chain(text.bytes()).all(|b| (b' '..=b'~').contains(&b)));
            }
            let _ = negotiated(command, &data);
        }
        #[test]
        fn smtp_replies_of_any_words(text in ".{0,80}") {
            let _ = reply(b'y', &super::text(text.as_bytes()));
        }
    }
}

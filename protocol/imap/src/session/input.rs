//! Reading commands: lines, literals, and what to do with those that are refused.

use super::{Expunges, Session};
use crate::codec::command::Command;
use crate::codec::cursor::Fault;
use crate::codec::fragment::{Literal, literal_at_end};
use crate::codec::parse;
use crate::commands::{idle::RETRY_AFTER, notify};
use crate::config::*;
use crate::errors::{End, Failure, Reply};
use futures::FutureExt;
use zcluster_listener::{Line, LongLine, ReadError};
use zcluster_runtime::{Either, select, sleep};

/// What came in.
pub enum Input {
    /// A command, read in full (an APPEND up to its message).
    Command(Command),
    /// Something that is none; it has been read in full all the same.
    Refused {
        /// Its tag, if it has one.
        tag: Option<String>,
        /// The answer.
        reply: Reply,
    },
}

/// What to do about a literal's header.
enum Verdict {
    Read,
    Message(Command),
    Refuse(Reply),
}

impl Session {
    /// The next command. A line without literals is read with no more state than the line.
    pub(super) async fn read_command(&mut self) -> Result<Input, End> {
        let max = if self.user.is_some() { LINE_BYTES_MAX } else { BYTES_MAX_BEFORE_LOGIN };
        let line = self.connection.read_line(max).await;
        self.take_line(line).await
    }

    /// The next command of a session that is told news while it waits (RFC 5465).
    pub(super) async fn read_while_notifying(&mut self) -> Result<Input, End> {
        loop {
            let Some(notifier) = self.notifier.as_deref_mut() else { return self.read_command().await };
            let line = self.connection.read_line(LINE_BYTES_MAX);
            let wake = match notifier.behind {
                true => select(line, sleep(RETRY_AFTER).map(|()| true)).await,
                false => select(line, notifier.changed()).await,
            };
            match wake {
                Either::Left(line) => return self.take_line(line).await,
                Either::Right(true) => match Box::pin(notify::look(self, Expunges::Hold)).await {
                    Err(Failure::End(end)) => return Err(end),
                    Ok(()) | Err(Failure::Reply(_)) => {}
                    Err(Failure::Api(error)) => tracing::warn!(%error, "cannot tell news"),
                },
                // The mailbox is gone: the client finds out when it next asks for something.
                Either::Right(false) => self.notifier = None,
            }
            self.send().await?;
        }
    }

    /// Goes on with a command's first line.
    pub(super) async fn take_line(&mut self, line: Result<Line, ReadError>) -> Result<Input, End> {
        let line = match line {
            Ok(line) => line.bytes,
            Err(ReadError::TooLong(line)) => return self.pass_long_line(line).await,
            Err(e) => return Err(e.into()),
        };
        match literal_at_end(&line) {
            None => Ok(self.parsed(&line)),
            Some(literal) => Box::pin(self.read_with_literals(line.to_vec(), literal)).await,
        }
    }

    fn parsed(&self, buf: &[u8]) -> Input {
        // In literals the parser looks for NUL itself, and in no other place a NUL parses.
        match parse::command_in(buf, self.utf8, self.dialect.rev2) {
            Ok(command) => Input::Command(command),
            Err(_) if buf.contains(&0) => refused(buf, Reply::Bad("NUL is not allowed".into())),
            Err(fault) => refused(buf, reply_to(fault)),
        }
    }

    /// Goes on with a command whose first line ends in a literal's header.
    async fn read_with_literals(&mut self, mut buf: Vec<u8>, mut literal: Literal) -> Result<Input, End> {
        let line_max = if self.user.is_some() { LINE_BYTES_MAX } else { BYTES_MAX_BEFORE_LOGIN };
        for _ in 0..LITERALS_MAX {
            match self.judge(&buf, literal) {
                Verdict::Message(command) => return Ok(Input::Command(command)),
                Verdict::Refuse(reply) => return self.skip_literal(buf, literal, reply).await,
                Verdict::Read => {}
            }
            if literal.sync {
                self.connection.push(b"+ go ahead\r\n");
            }
            let bytes = self.connection.read_exact(usize::try_from(literal.size).unwrap_or(usize::MAX)).await?;
            buf.extend_from_slice(b"\r\n");
            buf.extend_from_slice(&bytes);
            match self.connection.read_line(line_max).await {
                Ok(line) => {
                    buf.extend_from_slice(&line);
                    match literal_at_end(&line) {
                        Some(next) => literal = next,
                        None => return Ok(self.parsed(&buf)),
                    }
                }
                Err(ReadError::TooLong(line)) => {
                    return self.pass_long_line(LongLine { start: buf.into(), ..line }).await;
                }
                Err(e) => return Err(e.into()),
            }
        }
        self.skip_literal(buf, literal, Reply::Bad("too many literals in one command".into())).await
    }

    /// Whether the literal that `buf` ends in is to be read: only where the command so far makes sense, so that a
    /// client that did not mean a literal is not left waiting.
    fn judge(&self, buf: &[u8], literal: Literal) -> Verdict {
        let (literal_max, total_max) = match self.user {
            Some(_) => (LITERAL_BYTES_MAX, COMMAND_BYTES_MAX),
            None => (BYTES_MAX_BEFORE_LOGIN as u64, 2 * BYTES_MAX_BEFORE_LOGIN),
        };
        match parse::command_in(buf, self.utf8, self.dialect.rev2) {
            Ok(command) if command.request.reads_on() => Verdict::Message(command),
            Err(Fault::Literal(_)) if literal.size > literal_max => {
                Verdict::Refuse(Reply::Bad("[TOOBIG] a literal is too large".into()))
            }
            Err(Fault::Literal(_)) if buf.len() as u64 + literal.size > total_max as u64 => {
                Verdict::Refuse(Reply::Bad("[TOOBIG] a command is too long".into()))
            }
            Err(Fault::Literal(_)) => Verdict::Read,
            Err(fault) => Verdict::Refuse(reply_to(fault)),
            Ok(_) => Verdict::Refuse(Reply::Bad("a literal was not expected".into())),
        }
    }

    /// Refuses a command one of whose lines is too long, and passes over the literal that line may end in.
    async fn pass_long_line(&mut self, line: LongLine) -> Result<Input, End> {
        if let Some(literal) = literal_at_end(&line.end) {
            self.skip_message(literal).await?;
        }
        Ok(too_long(&line.start))
    }

    async fn skip_literal(&mut self, buf: Vec<u8>, literal: Literal, reply: Reply) -> Result<Input, End> {
        self.skip_message(literal).await?;
        Ok(refused(&buf, reply))
    }

    /// Passes over a refused literal and the rest of its command. A client that waits for our continuation will not
    /// send it after a tagged NO or BAD (RFC 3501 §7.5); one that does not wait sends it in any case (RFC 7888 §4).
    pub async fn skip_message(&mut self, literal: Literal) -> Result<(), End> {
        if literal.sync {
            return Ok(());
        }
        if literal.size > DISCARD_BYTES_MAX || self.user.is_none() && literal.size > LITERAL_BYTES_MAX {
            return Err(End::Bye("a literal is far too large"));
        }
        self.connection.discard(literal.size).await?;
        self.skip_rest().await
    }

    /// Passes over the rest of a command behind a literal.
    pub async fn skip_rest(&mut self) -> Result<(), End> {
        for _ in 0..LITERALS_SKIPPED_MAX {
            let line = match self.connection.read_line(LINE_BYTES_MAX).await {
                Ok(line) => line.bytes,
                Err(ReadError::TooLong(line)) => line.end,
                Err(e) => return Err(e.into()),
            };
            match literal_at_end(&line) {
                Some(l) if !l.sync && l.size <= DISCARD_BYTES_MAX => self.connection.discard(l.size).await?,
                Some(l) if !l.sync => return Err(End::Bye("a literal is far too large")),
                _ => return Ok(()),
            }
        }
        Err(End::Bye("too many literals in one command"))
    }
}

fn refused(buf: &[u8], reply: Reply) -> Input {
    Input::Refused { tag: parse::tag(buf).map(str::to_string), reply }
}

fn too_long(start: &[u8]) -> Input {
    refused(start, Reply::Bad("[TOOBIG] a line is too long".into()))
}

/// The answer to a command that cannot be read.
pub fn reply_to(fault: Fault) -> Reply {
    match fault {
        Fault::Bad(why) => Reply::Bad(why.into()),
        // A code of the fault's own stands at its front.
        Fault::Name(why) if why.starts_with('[') => Reply::No(why.into()),
        Fault::Name(why) => Reply::No(format!("[CANNOT] {why}").into()),
        Fault::Charset => Reply::No("[BADCHARSET (US-ASCII UTF-8)] unknown charset".into()),
        Fault::Literal(_) => Reply::Bad("a literal's header is malformed".into()),
    }
}

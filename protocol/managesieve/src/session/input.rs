//! Reading commands and SASL responses to their end, whatever they look like.

use super::Session;
use crate::codec::reply::{Code, Reply};
use crate::codec::words::{Bounds, FaultKind, Step, Word, Words, literal_at_end};
use crate::config::*;
use crate::errors::End;
use zcluster_listener::ReadError;

/// What came in.
pub enum Input {
    /// A command or response.
    Words(Vec<Word>),
    /// Something malformed.
    Bad(Reply),
    /// Something that is in order but too large.
    Refused(Reply),
}

impl Session {
    /// The next command or response.
    pub async fn read(&mut self) -> Result<Input, End> {
        if self.user.is_some() {
            return self.read_words().await;
        }
        let by = self.login_by;
        let late = || Err(End::Bye(Reply::bye("no sign-in in time")));
        zcluster_runtime::timeout_at(by, self.read_words()).await.unwrap_or_else(|_| late())
    }

    async fn read_words(&mut self) -> Result<Input, End> {
        let line_max = self.line_max();
        let mut words = Words::new(self.bounds());
        for _ in 0..=LITERALS_MAX {
            let line = match self.conn.read_line(line_max).await {
                Ok(line) => line.bytes,
                Err(ReadError::TooLong(long)) => {
                    self.skip(literal_at_end(&long.end)).await?;
                    return Ok(Input::Bad(Reply::no("a line is too long")));
                }
                Err(error) => return Err(error.into()),
            };
            match words.line(&line) {
                Ok(Step::Complete) => return Ok(Input::Words(words.finish())),
                Ok(Step::Literal(size)) => words.literal(self.conn.read_exact(size).await?),
                Err(fault) => {
                    self.skip(fault.literal).await?;
                    return Ok(match fault.kind {
                        FaultKind::Syntax(why) => Input::Bad(Reply::no(why)),
                        FaultKind::TooLarge => self.too_large(words.verb().unwrap_or_default()),
                    });
                }
            }
        }
        let rest = self.skip_line().await?;
        self.skip(rest).await?;
        Ok(Input::Bad(Reply::no("too many literals in one command")))
    }

    fn line_max(&self) -> usize {
        if self.user.is_some() { LINE_BYTES_MAX } else { LOGIN_BYTES_MAX }
    }

    fn bounds(&self) -> Bounds {
        match self.user {
            Some(_) => Bounds { quoted: QUOTED_BYTES_MAX, literal: LITERAL_BYTES_MAX, command: COMMAND_BYTES_MAX },
            None => Bounds { quoted: LOGIN_BYTES_MAX, literal: LOGIN_BYTES_MAX, command: 2 * LOGIN_BYTES_MAX },
        }
    }

    fn too_large(&self, verb: &str) -> Input {
        let script = ["PUTSCRIPT", "CHECKSCRIPT"].iter().any(|v| v.eq_ignore_ascii_case(verb));
        match &self.user {
            Some(user) if script => Input::Refused(super::too_large(user.script_bytes_max)),
            None if script => Input::Refused(Reply::no("sign in first")),
            _ => Input::Bad(Reply::no("a literal is too large")),
        }
    }

    /// Reads over a literal and the rest of its command. There is no other way to stay in step: a client does not wait
    /// for leave to send a literal.
    async fn skip(&mut self, mut literal: Option<u64>) -> Result<(), End> {
        let max = if self.user.is_some() { DISCARD_BYTES_MAX } else { LOGIN_DISCARD_BYTES_MAX };
        for _ in 0..LITERALS_SKIPPED_MAX {
            let Some(size) = literal else { return Ok(()) };
            if size > max {
                return Err(End::Bye(Reply::bye("a literal is far too large").with(Code::MaxSize)));
            }
            self.conn.discard(size).await?;
            literal = self.skip_line().await?;
        }
        Err(End::Bye(Reply::bye("too many literals in one command")))
    }

    /// Reads over a line; the size of the literal that follows it.
    async fn skip_line(&mut self) -> Result<Option<u64>, End> {
        let line_max = self.line_max();
        match self.conn.read_line(line_max).await {
            Ok(line) => Ok(literal_at_end(&line)),
            Err(ReadError::TooLong(long)) => Ok(literal_at_end(&long.end)),
            Err(error) => Err(error.into()),
        }
    }
}

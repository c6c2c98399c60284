//! A command with messages on its way in: what it says between its literals, and the literals' bytes in bounded memory.

use crate::codec::cursor::{Cursor, Fault};
use crate::codec::fragment::{Literal, literal_at_end};
use crate::codec::parse_append::{Piece, Stage};
use crate::codec::url::URL_BYTES_MAX;
use crate::config::{APPEND_ROOM_WAIT, APPEND_STEP_KIB, LINE_BYTES_MAX, UPLOAD_SILENCE_MAX};
use crate::errors::{End, Failure};
use crate::session::{Session, fault_reply};
use bytes::BytesMut;
use tokio::sync::OwnedSemaphorePermit;
use zcluster_listener::ReadError;

/// Where the client is in its command.
#[derive(Clone, Copy)]
enum Wire {
    /// At a line's end; a literal that it announces has not been asked for.
    Line,
    /// So many bytes before the end of a literal, behind which the command goes on.
    Literal(u64),
}

/// A command that is being read.
pub struct Intake {
    /// The line under way, literals of URLs in it included.
    line: Vec<u8>,
    /// How far it has been read.
    pos: usize,
    stage: Stage,
    wire: Wire,
    /// Room among what all sessions may hold.
    room: Option<OwnedSemaphorePermit>,
    /// Bytes that earlier messages of the command still take.
    kept: u64,
}

impl Intake {
    /// A command of which `line` has been read.
    pub fn new(line: Vec<u8>) -> Self {
        Intake { line, pos: 0, stage: Stage::Message, wire: Wire::Line, room: None, kept: 0 }
    }

    /// What comes next.
    pub async fn next(&mut self, s: &mut Session) -> Result<Piece, Failure> {
        loop {
            let mut c = Cursor::at(&self.line, self.pos, s.utf8);
            match self.stage.next(&mut c) {
                Ok((piece, stage)) => {
                    (self.pos, self.stage) = (c.pos(), stage);
                    return Ok(piece);
                }
                Err(Fault::Literal(literal)) => self.read_word(s, literal).await?,
                Err(fault) => return Err(Failure::Reply(fault_reply(fault))),
            }
        }
    }

    /// Reads a literal that is a word of the command, and the next line.
    async fn read_word(&mut self, s: &mut Session, literal: Literal) -> Result<(), Failure> {
        if literal.size > URL_BYTES_MAX as u64 {
            return Err(Failure::bad("[TOOBIG] a literal is too large"));
        }
        let mut word = BytesMut::new();
        // What has been read of the line is not needed any more.
        let mut line = self.line.split_off(self.pos);
        self.pos = 0;
        line.extend_from_slice(b"\r\n");
        self.read_bytes(s, literal, &mut word).await?;
        line.extend_from_slice(&word);
        let next = self.read_line(s).await?;
        line.extend_from_slice(&next);
        self.line = line;
        Ok(())
    }

    /// Appends a message literal's bytes to `raw`, and reads the line behind it.
    pub async fn read(&mut self, s: &mut Session, literal: Literal, raw: &mut BytesMut) -> Result<(), Failure> {
        let before = raw.len();
        self.read_bytes(s, literal, raw).await?;
        if !literal.binary && raw[before..].contains(&0) {
            return Err(Failure::no("[UNKNOWN-CTE] NUL bytes can come in a literal8 only"));
        }
        self.line = self.read_line(s).await?;
        self.pos = 0;
        Ok(())
    }

    /// Memory, and room among what all sessions may hold, are taken as bytes come: a client that announces much and
    /// sends little holds little.
    async fn read_bytes(&mut self, s: &mut Session, literal: Literal, raw: &mut BytesMut) -> Result<(), Failure> {
        if literal.sync {
            s.connection.push(b"+ go ahead\r\n");
        }
        s.connection.set_idle_timeout(s.config().idle_timeout.min(UPLOAD_SILENCE_MAX));
        let mut left = literal.size;
        self.wire = Wire::Literal(left);
        while left > 0 {
            let room = self.room_for(s, raw).await?;
            let piece = s.connection.read_chunk(usize::try_from(left.min(room)).unwrap_or(usize::MAX)).await?;
            left -= piece.len() as u64;
            self.wire = Wire::Literal(left);
            raw.extend_from_slice(&piece);
        }
        Ok(())
    }

    /// How many bytes more than `raw` there is room for: at least one.
    pub async fn room_for(&mut self, s: &Session, raw: &mut BytesMut) -> Result<u64, Failure> {
        loop {
            let room = self.held().saturating_sub(self.kept + raw.len() as u64);
            if room > 0 {
                return Ok(room);
            }
            if !self.take_room(s).await {
                *raw = BytesMut::new();
                self.room = None;
                return Err(Failure::no("[LIMIT] too many messages are being appended at once, try again later"));
            }
        }
    }

    /// Bytes that `room` allows.
    fn held(&self) -> u64 {
        self.room.as_ref().map_or(0, |r| r.num_permits() as u64 * 1024)
    }

    /// Takes room for some more bytes, waiting for it a while.
    async fn take_room(&mut self, s: &Session) -> bool {
        let more = s.imap.append_memory.clone().acquire_many_owned(APPEND_STEP_KIB);
        let Ok(Ok(more)) = zcluster_runtime::timeout(APPEND_ROOM_WAIT, more).await else { return false };
        match &mut self.room {
            Some(room) => room.merge(more),
            None => self.room = Some(more),
        }
        true
    }

    /// Keeps room for what the messages so far have become, and gives the rest back.
    pub fn keep(&mut self, bytes: usize) {
        self.kept = bytes as u64;
        let needed = bytes.div_ceil(1024);
        if let Some(room) = &mut self.room {
            let spare = room.num_permits().saturating_sub(needed);
            drop(room.split(spare));
        }
    }

    async fn read_line(&mut self, s: &mut Session) -> Result<Vec<u8>, Failure> {
        let line = match s.connection.read_line(LINE_BYTES_MAX).await {
            Ok(line) => line.bytes.to_vec(),
            Err(ReadError::TooLong(long)) => {
                // Its end tells whether a literal follows.
                (self.line, self.wire) = (long.end.to_vec(), Wire::Line);
                return Err(Failure::bad("[TOOBIG] a line is too long"));
            }
            Err(e) => return Err(e.into()),
        };
        self.wire = Wire::Line;
        Ok(line)
    }

    /// Reads the rest of a command that has been refused, as far as the client sends it.
    pub async fn pass_over(&mut self, s: &mut Session) -> Result<(), End> {
        match self.wire {
            Wire::Line => match literal_at_end(&self.line) {
                Some(literal) => s.skip_message(literal).await,
                None => Ok(()),
            },
            Wire::Literal(left) => {
                s.connection.discard(left).await?;
                s.skip_rest().await
            }
        }
    }
}

//! Frames on the Raft lane: many small messages in one gRPC message, both ways.
//!
//! A batch is `{ length: u32, id: u64, method: u16, kind: u8, body }*`, big-endian, where `length` counts what follows
//! it. The id matches an answer to its call.

use crate::RpcError;
use bytes::{Buf, BufMut, Bytes};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// What one write of the sender holds at most (a single larger frame goes alone), bytes.
pub const BATCH_BYTES_MAX: usize = 256 * 1024;
/// The largest body of a call or answer, bytes.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The largest gRPC message that is accepted, bytes: one body and its headers.
pub(crate) const MESSAGE_BYTES_MAX: usize = BODY_BYTES_MAX + 64 * 1024;
/// What error texts between nodes are cut to, bytes.
pub(crate) const ERROR_TEXT_MAX: usize = 1_000;
/// Bytes before a body: length, id, method, kind.
const HEADER_BYTES: usize = 4 + 8 + 2 + 1;
/// Encode buffers grow in steps of this many bytes.
const BUFFER_STEP: usize = 16 * 1024;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A call.
    Call,
    /// The answer to one.
    Answer,
    /// An error instead, as text: [`RpcError::Remote`].
    Remote,
    /// [`RpcError::Refused`].
    Refused,
    /// [`RpcError::Lost`].
    Lost,
    /// [`RpcError::Unreachable`]; the body is the node id and the text.
    Unreachable,
}

impl Kind {
    /// As written.
    pub(crate) fn code(self) -> u8 {
        match self {
            Kind::Call => 0,
            Kind::Answer => 1,
            Kind::Remote => 2,
            Kind::Refused => 3,
            Kind::Lost => 4,
            Kind::Unreachable => 5,
        }
    }
    /// From what is written.
    pub(crate) fn from_code(code: u8) -> Option<Kind> {
        [Kind::Call, Kind::Answer, Kind::Remote, Kind::Refused, Kind::Lost, Kind::Unreachable]
            .into_iter()
            .find(|k| k.code() == code)
    }
}

/// One message on the Raft lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Matches an answer to its call.
    pub id: u64,
    /// Method of a call; 0 in answers.
    pub method: u16,
    /// What it is.
    pub kind: Kind,
    /// Opaque.
    pub body: Bytes,
}

impl Frame {
    /// What it costs in a batch.
    pub fn cost(&self) -> usize {
        HEADER_BYTES + self.body.len()
    }

    /// The answer to call `id`.
    pub fn answer(id: u64, result: Result<Bytes, RpcError>) -> Frame {
        let (kind, body) = match result {
            Ok(body) if body.len() > BODY_BYTES_MAX => {
                (Kind::Remote, format!("answer of {} bytes is too large", body.len()).into())
            }
            Ok(body) => (Kind::Answer, body),
            Err(e) => error_parts(&e),
        };
        Frame { id, method: 0, kind, body }
    }

    /// What an answer says.
    pub fn result(self) -> Result<Bytes, RpcError> {
        match self.kind {
            Kind::Answer => Ok(self.body),
            Kind::Call => Err(RpcError::Lost("a call came as an answer".into())),
            kind => Err(error_from_parts(kind, &self.body)),
        }
    }
}

/// An error as kind and text.
pub(crate) fn error_parts(e: &RpcError) -> (Kind, Bytes) {
    let text = |s: &str| Bytes::copy_from_slice(cut(s).as_bytes());
    match e {
        RpcError::Remote(s) => (Kind::Remote, text(s)),
        RpcError::Refused(s) => (Kind::Refused, text(s)),
        RpcError::Lost(s) => (Kind::Lost, text(s)),
        RpcError::Unreachable(node, s) => (Kind::Unreachable, text(&format!("{node} {s}"))),
    }
}

/// The inverse of [`error_parts`].
pub(crate) fn error_from_parts(kind: Kind, body: &[u8]) -> RpcError {
    let text = String::from_utf8_lossy(body).into_owned();
    match kind {
        Kind::Refused => RpcError::Refused(text),
        Kind::Lost => RpcError::Lost(text),
        Kind::Unreachable => match text.split_once(' ').and_then(|(n, rest)| Some((n.parse().ok()?, rest))) {
            Some((node, rest)) => RpcError::Unreachable(node, rest.to_string()),
            None => RpcError::Remote(text),
        },
        Kind::Remote | Kind::Call | Kind::Answer => RpcError::Remote(text),
    }
}

/// `s`, at most [`ERROR_TEXT_MAX`] bytes of it.
pub(crate) fn cut(s: &str) -> &str {
    let mut end = s.len().min(ERROR_TEXT_MAX);
    while !s.is_char_boundary(end) {
        end -= 1;
    }
    &s[..end]
}

/// gRPC codec: a message is a batch of frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct BatchCodec;

impl Codec for BatchCodec {
    type Encode = Vec<Frame>;
    type Decode = Vec<Frame>;
    type Encoder = BatchCodec;
    type Decoder = BatchCodec;
    fn encoder(&mut self) -> Self {
        BatchCodec
    }
    fn decoder(&mut self) -> Self {
        BatchCodec
    }
}

impl Encoder for BatchCodec {
    type Item = Vec<Frame>;
    type Error = Status;
    fn encode(&mut self, batch: Vec<Frame>, dst: &mut EncodeBuf<'_>) -> Result<(), Status> {
        dst.reserve(batch.iter().map(Frame::cost).sum());
        for frame in batch {
            let length = u32::try_from(frame.cost() - 4).map_err(|_| Status::internal("frame too large"))?;
            dst.put_u32(length);
            dst.put_u64(frame.id);
            dst.put_u16(frame.method);
            dst.put_u8(frame.kind.code());
            dst.put_slice(&frame.body);
        }
        Ok(())
    }
    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_STEP, BATCH_BYTES_MAX)
    }
}

impl Decoder for BatchCodec {
    type Item = Vec<Frame>;
    type Error = Status;
    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<Vec<Frame>>, Status> {
        let bytes = src.copy_to_bytes(src.remaining());
        decode_batch(bytes).map(Some).ok_or_else(|| Status::invalid_argument("malformed batch of frames"))
    }
}

/// The frames of a batch; `None` when it is malformed.
pub fn decode_batch(mut bytes: Bytes) -> Option<Vec<Frame>> {
    let mut batch = Vec::new();
    while bytes.has_remaining() {
        let length = bytes.try_get_u32().ok()? as usize;
        if length < HEADER_BYTES - 4 || length > bytes.remaining() {
            return None;
        }
        let mut frame = bytes.split_to(length);
        let (id, method) = (frame.get_u64(), frame.get_u16());
        let kind = Kind::from_code(frame.get_u8())?;
        batch.push(Frame { id, method, kind, body: frame });
    }
    Some(batch)
}

/// gRPC codec: a message is just bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = RawCodec;
    type Decoder = RawCodec;
    fn encoder(&mut self) -> Self {
        RawCodec
    }
    fn decoder(&mut self) -> Self {
        RawCodec
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;
    fn encode(&mut self, item: Bytes, dst: &mut EncodeBuf<'_>) -> Result<(), Status> {
        dst.reserve(item.len());
        dst.put_slice(&item);
        Ok(())
    }
    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_STEP, BATCH_BYTES_MAX)
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;
    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(src.copy_to_bytes(src.remaining())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(batch: &[Frame]) -> Bytes {
        let mut out = Vec::new();
        for f in batch {
            out.extend_from_slice(&((f.cost() - 4) as u32).to_be_bytes());
            out.extend_from_slice(&f.id.to_be_bytes());
            out.extend_from_slice(&f.method.to_be_bytes());
            out.push(f.kind.code());
            out.extend_from_slice(&f.body);
        }
        out.into()
    }

    #[test]
    fn errors_survive_the_wire() {
        for e in [
            RpcError::Remote("a".into()),
            RpcError::Refused("b c".into()),
            RpcError::Lost(String::new()),
            RpcError::Unreachable(65536, "x y".into()),
        ] {
            assert_eq!(Frame::answer(1, Err(e.clone())).result(), Err(e));
        }
    }

    proptest! {
        #[test]
        fn batches_round_trip(
            frames in prop::collection::vec((any::<u64>(), any::<u16>(), 0u8..6, prop::collection::vec(any::<u8>(), 0..40)), 0..8)
        ) {
            let batch: Vec<Frame> = frames
                .into_iter()
                .map(|(id, method, k, body)| Frame { id, method, kind: Kind::from_code(k).unwrap(), body: body.into() })
                .collect();
            prop_assert_eq!(decode_batch(encode(&batch)), Some(batch));
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_batch(bytes.into());
        }
    }
}

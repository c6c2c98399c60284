//! Length-prefixed CBOR.

use minicbor::{Decode, Encode};
use std::io::{self, Read, Write};

/// Why a frame cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("a frame of {0} bytes")]
    TooLong(u64),
    #[error("a frame that makes no sense: {0}")]
    Senseless(String),
}

/// The length prefix of `bytes`, and they.
pub fn encoded<T: Encode<()>>(value: &T) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; 4];
    minicbor::encode(value, &mut frame).map_err(|e| FrameError::Senseless(e.to_string()))?;
    let length = u32::try_from(frame.len() - 4).map_err(|_| FrameError::TooLong(frame.len() as u64))?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

/// The value in a frame.
pub fn decoded<T: for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Result<T, FrameError> {
    minicbor::decode(bytes).map_err(|e| FrameError::Senseless(e.to_string()))
}

/// How long the frame is that `prefix` announces, if that is no more than `bytes_max`.
pub fn length(prefix: [u8; 4], bytes_max: u64) -> Result<usize, FrameError> {
    let length = u32::from_be_bytes(prefix);
    if u64::from(length) > bytes_max { Err(FrameError::TooLong(length.into())) } else { Ok(length as usize) }
}

/// Writes a frame in one piece.
pub fn write<T: Encode<()>>(to: &mut impl Write, value: &T) -> Result<(), FrameError> {
    to.write_all(&encoded(value)?)?;
    Ok(to.flush()?)
}

/// The next frame; `None` when the input ends before it.
pub fn read<T: for<'b> Decode<'b, ()>>(from: &mut impl Read, bytes_max: u64) -> Result<Option<T>, FrameError> {
    let mut prefix = [0; 4];
    match from.read_exact(&mut prefix) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut bytes = vec![0; length(prefix, bytes_max)?];
    from.read_exact(&mut bytes)?;
    decoded(&bytes).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, ExtractError, Extracted, Killed};
    use proptest::prelude::*;

    #[test]
    fn frames_come_back_as_they_were() {
        let document = Document { media_type: "a/b".into(), filename: "ö".into(), bytes: vec![0, 255] };
        let mut wire = Vec::new();
        write(&mut wire, &document).unwrap();
        write(&mut wire, &crate::worker::Reply::Failed(ExtractError::Killed(Killed::Died("x".into())))).unwrap();
        write(&mut wire, &crate::worker::Reply::Done(Extracted::default())).unwrap();
        let mut from = wire.as_slice();
        assert_eq!(read::<Document>(&mut from, 100).unwrap(), Some(document));
        assert!(matches!(read(&mut from, 100).unwrap(), Some(crate::worker::Reply::Failed(_))));
        assert!(matches!(read(&mut from, 100).unwrap(), Some(crate::worker::Reply::Done(_))));
        assert_eq!(read::<Document>(&mut from, 100).unwrap(), None);
    }

    #[test]
    fn long_and_cut_frames_are_refused() {
        assert!(matches!(read::<Document>(&mut &[0, 0, 0, 101, 0][..], 100), Err(FrameError::TooLong(101))));
        assert!(matches!(read::<Document>(&mut &[0, 0, 0, 3, 0][..], 100), Err(FrameError::Io(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read::<Document>(&mut bytes.as_slice(), 1000);
            let _ = decoded::<crate::worker::Reply>(&bytes);
        }
    }
}

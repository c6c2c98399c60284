//! One codec for log entries, node-to-node calls and stored values: CBOR with numbered fields, behind a version byte.
//!
//! Structs are CBOR arrays ordered by field number, so the encoding of a value is unique; unknown trailing fields are
//! skipped and absent optional ones default. A decoder that meets an unknown enum variant fails loudly.

use crate::error::{Error, Result};
use minicbor::{Decode, Encode};

/// The encoding version written before every value.
pub const VERSION: u8 = 1;

/// Encodes `value` behind the version byte.
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    let mut out = vec![VERSION];
    // Writing into a Vec cannot fail, and no `Encode` of ours reports a message error.
    minicbor::encode(value, &mut out).expect("encode into memory");
    out
}

/// Decodes a value that [`encode`] wrote.
///
/// # Errors
/// `Internal` when the version is unknown or the bytes are not such a value.
pub fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => {
            minicbor::decode(rest).map_err(|e| Error::Internal(format!("decode {}: {e}", std::any::type_name::<T>())))
        }
        Some((v, _)) => Err(Error::Internal(format!("encoding version {v} is newer than this node"))),
        None => Err(Error::Internal("empty value".into())),
    }
}

/// `#[cbor(with = "crate::codec::bytes_field")]` for [`bytes::Bytes`].
pub mod bytes_field {
    use bytes::Bytes;
    use minicbor::decode::{Decoder, Error};
    use minicbor::encode::{self, Encoder, Write};

    /// Writes a CBOR byte string.
    pub fn encode<C, W: Write>(v: &Bytes, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.bytes(v)?.ok()
    }

    /// Reads a CBOR byte string (copied).
    pub fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Bytes, Error> {
        Ok(Bytes::copy_from_slice(d.bytes()?))
    }

    /// An absent field reads as empty.
    pub fn nil() -> Option<Bytes> {
        None
    }
}

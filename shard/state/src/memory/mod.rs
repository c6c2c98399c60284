//! A whole back end in one process, without storage or network: the protocol crates' test double.

mod back_end;
mod kv;
mod text;
mod watch;

pub use back_end::Memory;
pub use kv::MemoryKv;
pub use text::PlainText;

use std::io::Read;
use zcluster_api::{Codec, Error, Result};

/// Largest body that [`Memory`] decompresses, bytes.
const BODY_MAX: u64 = 256 * 1024 * 1024;

fn unpack(codec: Codec, stored: Vec<u8>) -> Result<Vec<u8>> {
    if codec == Codec::Plain {
        return Ok(stored);
    }
    let bad = |e: std::io::Error| Error::Internal(format!("zstd: {e}"));
    let mut out = Vec::new();
    zstd::stream::read::Decoder::new(stored.as_slice())
        .map_err(bad)?
        .take(BODY_MAX)
        .read_to_end(&mut out)
        .map_err(bad)?;
    Ok(out)
}

//! The programs next to us that are asked about messages.

pub mod clamd;
mod endpoint;
mod http;
mod pool;
pub mod rspamd;
pub mod spamd;

pub use endpoint::{Endpoint, Stream};
pub use pool::{Failure, Limits, Pool};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Reads to the end of what the other side sends.
///
/// # Errors
/// [`Failure::Reply`] when there are more than `max` bytes of it, [`Failure::Io`].
async fn read_all(stream: &mut (impl AsyncRead + Unpin), max: usize) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    stream.take(max as u64 + 1).read_to_end(&mut out).await?;
    if out.len() > max { Err(Failure::Reply("too long".into())) } else { Ok(out) }
}

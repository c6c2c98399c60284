//! What the cluster keeps for itself.

use minicbor::{Decode, Encode};

/// Bytes of a [`Secret`]'s name at most.
pub const SECRET_NAME_BYTES_MAX: usize = 400;
/// Bytes of a [`Secret`] at most.
pub const SECRET_BYTES_MAX: usize = 256 * 1024;
/// Names in one `Secrets` reply at most.
pub const SECRETS_PER_PAGE_MAX: u32 = 1_000;

/// What the cluster keeps for itself, like a certificate's key: on every node, and shown to nobody. It is no attribute,
/// so no way to read attributes leads to it; in logs it is only its length.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Secret(#[cbor(n(0), with = "minicbor::bytes")] pub Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

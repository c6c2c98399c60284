//! What nodes tell each other of failed sign-ins, so that guesses are slowed down in the whole cluster: a guess on each of
//! ten nodes is ten guesses (docs/decisions/0024).
//!
//! News are small, told in the background, lost without harm, and bounded: a node that is told too much at once forgets
//! the rest. What they lead to, a locked account, stands in the directory.

use crate::authenticator::Authenticator;
use minicbor::{Decode, Encode};
use std::net::IpAddr;
use zcluster_api::AccountId;

/// News of one message at most.
pub const NEWS_MAX: usize = 512;

/// One sign-in that the others should know of.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct News {
    /// The normalised address; empty when there was none.
    #[n(0)]
    pub user: String,
    /// From where.
    #[n(1)]
    pub peer: Peer,
    /// The account, if there is one.
    #[n(2)]
    pub account: Option<AccountId>,
    /// Whether it was a success after failures.
    #[n(3)]
    pub success: bool,
}

/// An address of the network: 4 or 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

impl<C> Encode<C> for Peer {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match self.0 {
            IpAddr::V4(ip) => e.bytes(&ip.octets())?,
            IpAddr::V6(ip) => e.bytes(&ip.octets())?,
        };
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for Peer {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bytes = d.bytes()?;
        let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
        let any = v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
        any.map(Peer).map_err(|_| minicbor::decode::Error::message("neither IPv4 nor IPv6"))
    }
}

/// Tells the other nodes.
pub trait Herald: Send + Sync + 'static {
    /// At once and without waiting: what there is no room for is dropped.
    fn tell(&self, news: News);
}

/// A message of news.
pub fn encode_news(news: &[News]) -> Vec<u8> {
    minicbor::to_vec(news).unwrap_or_default()
}

impl Authenticator {
    /// Takes another node's message.
    ///
    /// # Errors
    /// It is none.
    pub fn hear(&self, message: &[u8]) -> Result<(), minicbor::decode::Error> {
        let news: Vec<News> = minicbor::decode(message)?;
        for one in news.into_iter().take(NEWS_MAX) {
            self.heard(&one);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(user in "\\PC{0,40}", v4 in any::<[u8; 4]>(), v6 in any::<[u8; 16]>(), success in any::<bool>()) {
            let one = |ip| News { user: user.clone(), peer: Peer(ip), account: Some(AccountId([3; 16])), success };
            let news = vec![one(IpAddr::from(v4)), one(IpAddr::from(v6))];
            let bytes = encode_news(&news);
            prop_assert_eq!(minicbor::decode::<Vec<News>>(&bytes).unwrap(), news);
            prop_assert!(minicbor::decode::<Vec<News>>(&bytes[..bytes.len() - 1]).is_err());
        }
    }
}

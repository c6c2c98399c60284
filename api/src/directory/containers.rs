//! Domains and classes of service.

use super::Attributes;
use crate::ids::AccountId;
use minicbor::{Decode, Encode};

/// A mail domain.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Domain {
    /// `zimbraId`.
    #[n(0)]
    pub id: AccountId,
    /// Lower case.
    #[n(1)]
    pub name: String,
    /// Attributes.
    #[n(2)]
    pub attrs: Attributes,
}

/// A class of service.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Cos {
    /// `zimbraId`.
    #[n(0)]
    pub id: AccountId,
    /// Name; `default` always exists.
    #[n(1)]
    pub name: String,
    /// Attributes that accounts inherit.
    #[n(2)]
    pub attrs: Attributes,
}

//! Accounts and where their mailboxes live.

use super::Attributes;
use crate::ids::*;
use crate::mailbox::Traits;
use minicbor::{Decode, Encode};
use std::sync::Arc;
use std::time::Duration;

/// The attribute of accounts and domains that names legal holds: with any, nothing is removed for good.
pub const LEGAL_HOLD: &str = "zclusterLegalHold";

/// Whether the shard may serve the mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum HomeState {
    /// Serving.
    #[n(0)]
    Active,
    /// The account is gone; the mailbox's contents are still to be removed.
    #[n(1)]
    Deleting,
}

/// Where a mailbox lives. Written at account creation, changed only by a move; never computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Home {
    /// The mailbox.
    #[n(0)]
    pub mailbox: MailboxId,
    /// Its shard's group.
    #[n(1)]
    pub group: GroupId,
    /// Raised at each move; starts at 1.
    #[n(2)]
    pub epoch: Epoch,
    /// Serving or not.
    #[n(3)]
    pub state: HomeState,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Account {
    /// `zimbraId`.
    #[n(0)]
    pub id: AccountId,
    /// Primary address, lower case.
    #[n(1)]
    pub name: String,
    /// Its own attributes (without inherited ones). `userPassword` holds a hash.
    #[n(2)]
    pub attrs: Attributes,
    /// Its mailbox.
    #[n(3)]
    pub home: Home,
    /// What it inherits from its COS: filled in by whoever answers a query, never stored nor sent. Shared by all
    /// accounts of the COS: a COS has hundreds of attributes.
    #[cbor(skip)]
    pub cos: Option<Arc<Attributes>>,
    /// Its domain's attributes: the same way.
    #[cbor(skip)]
    pub domain: Option<Arc<Attributes>>,
}

/// What accounts inherit of a COS: not what describes the COS itself. Attributes that no table knows are inherited.
pub fn inheritable(cos: Attributes) -> Attributes {
    use zcluster_schema::Flag::{AccountCosDomainInherited, AccountInherited};
    let inherited = |name: &str| {
        zcluster_schema::find(name).is_none_or(|d| d.has(AccountInherited) || d.has(AccountCosDomainInherited))
    };
    cos.keep(inherited)
}

impl Account {
    /// The account's value, else the one it inherits (data model §12): from its COS, then, for some, from its domain.
    pub fn effective(&self, name: &str) -> Option<&str> {
        self.effective_all(name).first().map(String::as_str)
    }
    /// All values: the account's own, else the inherited ones; never a mixture.
    pub fn effective_all(&self, name: &str) -> &[String] {
        let own = self.attrs.all(name);
        if !own.is_empty() {
            return own;
        }
        let (cos, domain) = zcluster_schema::find(name).map_or((true, false), |d| {
            use zcluster_schema::Flag::{AccountCosDomainInherited, AccountInherited};
            let both = d.has(AccountCosDomainInherited);
            (both || d.has(AccountInherited), both)
        });
        let cos = self.cos.as_ref().filter(|_| cos).map_or(&[][..], |c| c.all(name));
        if !cos.is_empty() {
            return cos;
        }
        self.domain.as_ref().filter(|_| domain).map_or(&[][..], |d| d.all(name))
    }
    /// Whether it is a room or a thing, not a person (`zimbraAccountCalendarUserType`).
    pub fn is_resource(&self) -> bool {
        self.attrs.get("zimbraAccountCalendarUserType") == Some("RESOURCE")
    }
    /// `zimbraAccountStatus`; `active` when unset.
    pub fn status(&self) -> &str {
        self.effective("zimbraAccountStatus").unwrap_or("active")
    }
    /// The smaller of `zimbraMailQuota` and its domain's `zimbraMailDomainQuota`, in bytes; 0 = no limit.
    pub fn quota(&self) -> u64 {
        let number = |value: Option<&str>| value.and_then(|v| v.parse().ok()).unwrap_or(0);
        let of_domain = self.domain.as_ref().and_then(|d| d.get("zimbraMailDomainQuota"));
        match (number(self.effective("zimbraMailQuota")), number(of_domain)) {
            (0, domain) => domain,
            (own, 0) => own,
            (own, domain) => own.min(domain),
        }
    }
    /// What its mailbox must know of it.
    pub fn traits(&self) -> Traits {
        Traits {
            account: self.id,
            dumpster: self.effective("zimbraDumpsterEnabled") == Some("TRUE"),
            hold: self.holds().next().is_some(),
            no_files: self.effective("zimbraAttachmentsIndexingEnabled") == Some("FALSE"),
        }
    }
    /// The names of the legal holds that it is under: its own ([`LEGAL_HOLD`]) and its domain's, which add up.
    pub fn holds(&self) -> impl Iterator<Item = &str> {
        let of_domain = self.domain.as_ref().map_or(&[][..], |d| d.all(LEGAL_HOLD));
        self.attrs.all(LEGAL_HOLD).iter().chain(of_domain).map(String::as_str)
    }
    /// An inherited span of time; `default` when none is set, `None` for 0: no end.
    pub fn span(&self, name: &str, default: Duration) -> Option<Duration> {
        let span = self.effective(name).and_then(super::duration).unwrap_or(default);
        Some(span).filter(|span| !span.is_zero())
    }
    /// `zimbraIsAdminAccount`.
    pub fn is_admin(&self) -> bool {
        self.effective("zimbraIsAdminAccount") == Some("TRUE")
    }
}

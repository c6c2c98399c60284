//! What the directory's tables hold, and under which keys.

use super::index;
use crate::kv::{Kv, KvRead, Table, behind, load, save};
use minicbor::{Decode, Decoder, Encode};
use zcluster_api::directory::{Account, Attributes, Cluster, Cos, Domain, Object, ObjectKind, split_address};
use zcluster_api::{AccountId, Error, Result};

/// Name of the class of service that always exists.
pub(super) const DEFAULT_COS: &str = "default";

const CLUSTER_KEY: &[u8] = &[];
const COUNTERS_KEY: &[u8] = &[1];

/// The directory's counters, apart from the cluster's facts, which are long and hardly ever change.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Counters {
    /// The next node number.
    #[n(0)]
    pub next_node: u32,
    /// The next mailbox number.
    #[n(1)]
    pub next_mailbox: u64,
    /// Mailbox shards of the cluster.
    #[n(2)]
    pub shards: u32,
    /// Join tokens kept.
    #[n(3)]
    pub tokens: u32,
    /// How far the entries written before there was an index are in it: none of them, those with an id up to this, or all.
    #[n(4)]
    pub indexed: Option<Indexed>,
}

/// See [`Counters::indexed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Indexed {
    #[n(0)]
    UpTo(#[n(0)] AccountId),
    #[n(1)]
    All,
}

impl Counters {
    /// Whether an entry with this id is to be found in the index.
    pub fn is_indexed(&self, id: AccountId) -> bool {
        match self.indexed {
            None => false,
            Some(Indexed::UpTo(last)) => id <= last,
            Some(Indexed::All) => true,
        }
    }
}

/// A row of [`Table::Address`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Owner {
    #[n(0)]
    pub account: AccountId,
    /// The account's name, not an alias.
    #[n(1)]
    pub primary: bool,
    /// What it is, if it is no account.
    #[n(2)]
    pub kind: Option<ObjectKind>,
}

impl Owner {
    pub fn account(account: AccountId, primary: bool) -> Owner {
        Owner { account, primary, kind: None }
    }
}

pub(super) fn counters(kv: &dyn KvRead) -> Result<Option<Counters>> {
    load(kv, Table::Cluster, COUNTERS_KEY)
}

pub(super) fn save_counters(kv: &mut dyn Kv, counters: &Counters) {
    save(kv, Table::Cluster, COUNTERS_KEY, counters);
}

pub(super) fn cluster(kv: &dyn KvRead) -> Result<Option<Cluster>> {
    load(kv, Table::Cluster, CLUSTER_KEY)
}

pub(super) fn save_cluster(kv: &mut dyn Kv, cluster: &Cluster) {
    save(kv, Table::Cluster, CLUSTER_KEY, cluster);
}

/// Normalises a domain name by the rules of addresses.
pub(super) fn domain_name(name: &str) -> Result<String> {
    match split_address(&format!("x@{name}")) {
        Ok((_, domain)) if !domain.is_empty() => Ok(domain),
        _ => Err(Error::Invalid(format!("domain {name:?}"))),
    }
}

pub(super) fn domain(kv: &dyn KvRead, name: &str) -> Result<Option<Domain>> {
    load(kv, Table::Domain, name.as_bytes())
}

/// Key of a class of service: names compare without case.
pub(super) fn cos_key(name: &str) -> Vec<u8> {
    name.to_lowercase().into_bytes()
}

pub(super) fn cos(kv: &dyn KvRead, name: &str) -> Result<Option<Cos>> {
    load(kv, Table::Cos, &cos_key(name))
}

/// The id of a class of service, of which hardly more than the beginning is read: it is long.
pub(super) fn cos_id(kv: &dyn KvRead, name: &str) -> Result<Option<AccountId>> {
    struct Head(AccountId);
    impl<'b, C> Decode<'b, C> for Head {
        fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> std::result::Result<Self, minicbor::decode::Error> {
            d.array()?;
            d.decode_with(ctx).map(Head)
        }
    }
    Ok(load::<Head>(kv, Table::Cos, &cos_key(name))?.map(|head| head.0))
}

pub(super) fn account(kv: &dyn KvRead, id: AccountId) -> Result<Account> {
    load(kv, Table::Account, &id.0)?.ok_or_else(|| Error::NotFound(format!("account {id}")))
}

pub(super) fn entry(kv: &dyn KvRead, id: AccountId) -> Result<Option<Object>> {
    load(kv, Table::Entry, &id.0)
}

/// The domain with this `zimbraId`.
pub(super) fn domain_by_id(kv: &dyn KvRead, id: AccountId) -> Result<Option<Domain>> {
    match kv.get(Table::DomainId, &id.0) {
        Some(name) => load(kv, Table::Domain, &name),
        None => Ok(None),
    }
}

/// Writes a domain; `before` is what is indexed under its id.
pub(super) fn save_domain(kv: &mut dyn Kv, before: Option<&Attributes>, domain: &Domain) {
    index::update(kv, ObjectKind::Domain, domain.id, before.unwrap_or(&Attributes::new()), &domain.attrs);
    save(kv, Table::Domain, domain.name.as_bytes(), domain);
    kv.put(Table::DomainId, &domain.id.0, domain.name.clone().into_bytes());
}

/// An address as stored: its parts in lower case. The key sorts by domain first, so that a domain's addresses are
/// one range.
pub(super) struct Address {
    pub local: String,
    pub domain: String,
}

impl Address {
    pub fn parse(text: &str) -> Result<Address> {
        let (local, domain) = split_address(text)?;
        if domain.is_empty() {
            return Err(Error::Invalid(format!("address {text:?}")));
        }
        Ok(Address { local, domain })
    }

    pub fn text(&self) -> String {
        format!("{}@{}", self.local, self.domain)
    }

    pub fn key(&self) -> Vec<u8> {
        let mut key = domain_prefix(&self.domain);
        key.extend_from_slice(self.local.as_bytes());
        key
    }

    /// Who has it.
    pub fn owner(&self, kv: &dyn KvRead) -> Result<Option<Owner>> {
        load(kv, Table::Address, &self.key())
    }
}

/// What all addresses of a domain begin with. Domains hold no control characters, so the NUL cannot be theirs.
pub(super) fn domain_prefix(domain: &str) -> Vec<u8> {
    let mut key = domain.as_bytes().to_vec();
    key.push(0);
    key
}

/// Whether any account or alias is in the domain.
pub(super) fn has_addresses(kv: &dyn KvRead, domain: &str) -> bool {
    let prefix = domain_prefix(domain);
    let mut found = false;
    kv.scan(Table::Address, &prefix, &behind(&prefix), &mut |_, _| {
        found = true;
        false
    });
    found
}

//! What the nodes share about ACME, in the directory's secrets.

use anyhow::{Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use zcluster_api::directory::{SECRETS_PER_PAGE_MAX, Secret};
use zcluster_api::{Actor, DirectoryApi, DirectoryCommand, DirectoryQuery, DirectoryReply, Error, Freshness};

const LEASE: &str = "acme/lease";
const PAUSE: &str = "acme/pause";
const CERTIFICATE: &str = "acme/certificate/";
const EXPIRY: &str = "acme/expiry/";
const ATTEMPT: &str = "acme/attempt/";
const CHALLENGE: &str = "acme/challenge/";
const ACCOUNT: &str = "acme/account/";

/// Who orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Its id.
    pub node: u64,
    /// Until when nobody else does, Unix milliseconds.
    pub until_ms: u64,
}

/// What is to be answered for a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The challenge's token (RFC 8555 §8.3).
    pub token: String,
    /// The answer to `http-01`.
    pub key_authorization: String,
    /// Its SHA-256, the answer to `tls-alpn-01`.
    pub digest: Vec<u8>,
}

/// An order that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// How many in a row.
    pub failures: u32,
    /// Not again before, Unix milliseconds.
    pub next_ms: u64,
    /// Why.
    pub error: String,
}

/// When a certificate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    /// Unix milliseconds.
    pub not_before_ms: u64,
    /// Unix milliseconds.
    pub not_after_ms: u64,
}

/// A certificate with its key.
#[derive(Clone, Serialize, Deserialize)]
pub struct Issued {
    /// PEM, leaf first.
    pub chain_pem: String,
    /// PEM.
    pub key_pem: String,
    /// As the certificate says.
    pub not_before_ms: u64,
    /// As the certificate says.
    pub not_after_ms: u64,
}

/// The directory's secrets, as far as they are about ACME.
#[derive(Clone)]
pub struct Vault(Arc<dyn DirectoryApi>);

impl Vault {
    /// Over this directory.
    pub fn new(directory: Arc<dyn DirectoryApi>) -> Self {
        Vault(directory)
    }

    async fn read<T: DeserializeOwned>(&self, name: &str, freshness: Freshness) -> Result<Option<(T, u64)>> {
        match self.0.read(DirectoryQuery::Secret(name.into()), freshness).await {
            Ok(DirectoryReply::Secret(Secret(bytes), version)) => Ok(Some((serde_json::from_slice(&bytes)?, version))),
            Ok(other) => bail!("unexpected reply {other:?}"),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether it was written; not when another was faster.
    async fn write<T: Serialize>(&self, name: String, value: Option<&T>, expect: Option<u64>) -> Result<bool> {
        let value = value.map(serde_json::to_vec).transpose()?.map(Secret);
        let command = DirectoryCommand::PutSecret { name, value, expect };
        match self.0.write(Actor::System, crate::join::request_id(), command).await {
            Ok(_) => Ok(true),
            Err(Error::Conflict(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Names behind a prefix, with versions.
    async fn names(&self, prefix: &str) -> Result<BTreeMap<String, u64>> {
        let (mut out, mut after) = (BTreeMap::new(), None);
        loop {
            let query = DirectoryQuery::Secrets { prefix: prefix.into(), after, limit: SECRETS_PER_PAGE_MAX };
            let DirectoryReply::Secrets(page) = self.0.read(query, Freshness::Local).await? else {
                bail!("unexpected reply to a question about names")
            };
            after = page.last().map(|(name, _)| name.clone());
            let is_last = page.len() < SECRETS_PER_PAGE_MAX as usize;
            out.extend(page.into_iter().map(|(name, version)| (name[prefix.len()..].to_string(), version)));
            if is_last {
                return Ok(out);
            }
        }
    }

    async fn all<T: DeserializeOwned>(&self, prefix: &str) -> Result<BTreeMap<String, T>> {
        let mut out = BTreeMap::new();
        for name in self.names(prefix).await?.into_keys() {
            if let Some((value, _)) = self.read(&format!("{prefix}{name}"), Freshness::Local).await? {
                out.insert(name, value);
            }
        }
        Ok(out)
    }

    /// Who orders, and the version to compare.
    pub async fn lease(&self) -> Result<(Option<Lease>, u64)> {
        let found = self.read(LEASE, Freshness::Local).await?;
        Ok(found.map_or((None, 0), |(lease, version)| (Some(lease), version)))
    }

    /// Whether it is taken.
    pub async fn set_lease(&self, lease: &Lease, expect: u64) -> Result<bool> {
        self.write(LEASE.into(), Some(lease), Some(expect)).await
    }

    /// Until when the authority wants no orders, Unix milliseconds.
    pub async fn paused_until(&self) -> Result<u64> {
        Ok(self.read(PAUSE, Freshness::Local).await?.map_or(0, |(until, _)| until))
    }

    /// Orders nothing until then.
    pub async fn pause(&self, until_ms: u64) -> Result<()> {
        self.write(PAUSE.into(), Some(&until_ms), None).await.map(drop)
    }

    /// Credentials of an account at an authority, as kept.
    pub async fn account<T: DeserializeOwned>(&self, authority: &str) -> Result<Option<T>> {
        Ok(self.read(&account_name(authority), Freshness::Linearizable).await?.map(|(account, _)| account))
    }

    /// Keeps them, if there are none yet; whether that was so.
    pub async fn add_account<T: Serialize>(&self, authority: &str, account: &T) -> Result<bool> {
        self.write(account_name(authority), Some(account), Some(0)).await
    }

    /// What every node answers from now on.
    pub async fn set_answer(&self, host: &str, answer: &Answer) -> Result<()> {
        self.write(format!("{CHALLENGE}{host}"), Some(answer), None).await.map(drop)
    }

    /// What is to be answered: as of now, whichever node is asked.
    pub async fn answer(&self, host: &str) -> Result<Option<Answer>> {
        Ok(self.read(&format!("{CHALLENGE}{host}"), Freshness::Linearizable).await?.map(|(answer, _)| answer))
    }

    /// Answers no more.
    pub async fn take_back(&self, host: &str) -> Result<()> {
        self.write::<Answer>(format!("{CHALLENGE}{host}"), None, None).await.map(drop)
    }

    /// Certificates' names and versions.
    pub async fn certificate_versions(&self) -> Result<BTreeMap<String, u64>> {
        self.names(CERTIFICATE).await
    }

    /// One of them.
    pub async fn certificate(&self, host: &str) -> Result<Option<Issued>> {
        Ok(self.read(&format!("{CERTIFICATE}{host}"), Freshness::Local).await?.map(|(issued, _)| issued))
    }

    /// When they count.
    pub async fn certificates(&self) -> Result<BTreeMap<String, Validity>> {
        self.all(EXPIRY).await
    }

    /// What has failed since a certificate was issued.
    pub async fn attempts(&self) -> Result<BTreeMap<String, Attempt>> {
        self.all(ATTEMPT).await
    }

    /// Keeps a certificate for all nodes.
    pub async fn keep(&self, host: &str, issued: &Issued) -> Result<()> {
        let Issued { not_before_ms, not_after_ms, .. } = *issued;
        self.write(format!("{CERTIFICATE}{host}"), Some(issued), None).await?;
        self.write(format!("{EXPIRY}{host}"), Some(&Validity { not_before_ms, not_after_ms }), None).await?;
        self.write::<Attempt>(format!("{ATTEMPT}{host}"), None, None).await.map(drop)
    }

    /// Notes that there is none, and when it is tried again.
    pub async fn failed(&self, host: &str, attempt: &Attempt) -> Result<()> {
        self.write(format!("{ATTEMPT}{host}"), Some(attempt), None).await.map(drop)
    }

    /// Forgets all about a name.
    pub async fn forget(&self, host: &str) -> Result<()> {
        for prefix in [CERTIFICATE, EXPIRY, ATTEMPT] {
            self.write::<Attempt>(format!("{prefix}{host}"), None, None).await?;
        }
        Ok(())
    }
}

fn account_name(authority: &str) -> String {
    format!("{ACCOUNT}{}", blake3::hash(authority.as_bytes()).to_hex())
}

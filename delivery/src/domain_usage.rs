//! What all mailboxes of a domain hold together (`zimbraDomainAggregateQuota`).
//!
//! The mailboxes of a domain lie in many shards, so no command can compare their sum with a bound. As in Zimbra the sum is
//! counted now and then, here by each node that takes mail for the domain, and what this node delivers meanwhile is added:
//! a domain may go above its bound by what other nodes take between two counts.

use crate::deliverer::Deliverer;
use futures::StreamExt;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::directory::Account;
use zcluster_api::{
    AccountId, Actor, Call, DirectoryApi, DirectoryQuery, DirectoryReply, Error, Freshness, MailboxApi, MailboxQuery,
    MailboxReply, RequestId, Result,
};
use zcluster_runtime::{Instant, random_bytes};

/// How long a count is good at least.
const FRESH: Duration = Duration::from_secs(60);
/// A count that takes long is not made more often than this many times its duration.
const REST: u32 = 20;
/// Domains remembered; beyond it all counts start afresh.
const DOMAINS_MAX: usize = 10_000;
/// Accounts of a page, and mailboxes asked at a time.
const PAGE: u32 = 500;
const AT_A_TIME: usize = 8;
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a domain is known to hold.
#[derive(Default)]
struct Known {
    used: u64,
    /// When it was counted, and how long that took; none: not yet.
    counted: Option<(Instant, Duration)>,
    counting: bool,
}

/// Sums by domain.
#[derive(Default)]
pub(crate) struct DomainUsage(Mutex<BTreeMap<String, Known>>);

impl DomainUsage {
    /// What is known; whether to count now.
    fn look(&self, domain: &str) -> (Option<u64>, bool) {
        let mut all = self.0.lock();
        if all.len() >= DOMAINS_MAX && !all.contains_key(domain) {
            all.clear();
        }
        let known = all.entry(domain.to_string()).or_default();
        let stale = known.counted.is_none_or(|(at, took)| at.elapsed() > FRESH.max(took * REST));
        let count = stale && !known.counting;
        known.counting |= count;
        (known.counted.map(|_| known.used), count)
    }

    fn counted(&self, domain: &str, outcome: Result<u64>, began: Instant) {
        let mut all = self.0.lock();
        let known = all.entry(domain.to_string()).or_default();
        known.counting = false;
        match outcome {
            Ok(used) => {
                known.used = used;
                known.counted = Some((Instant::now(), began.elapsed()));
            }
            Err(error) => tracing::debug!(domain, %error, "what the domain holds is not known"),
        }
    }

    /// Adds what was delivered here.
    pub fn add(&self, domain: &str, bytes: u64) {
        if let Some(known) = self.0.lock().get_mut(domain) {
            known.used = known.used.saturating_add(bytes);
        }
    }
}

/// The sum over all mailboxes of the domain, bytes. A mailbox that nobody has used yet holds nothing.
///
/// # Errors
/// A shard or the directory cannot be asked.
pub async fn count(directory: &dyn DirectoryApi, mailboxes: &dyn MailboxApi, domain: &str) -> Result<u64> {
    let mut sum = 0u64;
    let mut after = None;
    loop {
        let query = DirectoryQuery::Accounts { domain: Some(domain.to_string()), after: after.clone(), limit: PAGE };
        let DirectoryReply::Accounts(accounts) = directory.read(query, Freshness::Local).await? else {
            return Err(Error::Internal("accounts expected".into()));
        };
        let Some(last) = accounts.last().map(|a| a.name.clone()) else { return Ok(sum) };
        let sizes: Vec<_> = accounts.iter().map(|a| size(mailboxes, a.id)).collect();
        let mut sizes = futures::stream::iter(sizes).buffer_unordered(AT_A_TIME);
        while let Some(size) = sizes.next().await {
            sum = sum.saturating_add(size?);
        }
        after = Some(last);
    }
}

async fn size(mailboxes: &dyn MailboxApi, account: AccountId) -> Result<u64> {
    let (actor, request) = (Actor::System, RequestId(random_bytes()));
    let call = Call { actor, account, request, timeout: TIMEOUT, body: MailboxQuery::Info };
    match mailboxes.read(call).await {
        Ok(MailboxReply::Info { used, .. }) => Ok(used),
        Ok(_) | Err(Error::NotFound(_)) => Ok(0),
        Err(error) => Err(error),
    }
}

impl Deliverer {
    /// Whether the account's domain holds what it may hold, and may therefore (`zimbraDomainAggregateQuotaPolicy`) get no
    /// mail or, if `sending`, send none. A domain that was not counted yet may.
    pub fn domain_is_full(&self, account: &Account, sending: bool) -> bool {
        let Some(attrs) = &account.domain else { return false };
        let quota = attrs.get("zimbraDomainAggregateQuota").and_then(|v| v.parse().ok()).unwrap_or(0u64);
        let blocks = match attrs.get("zimbraDomainAggregateQuotaPolicy") {
            Some("BLOCKSENDRECEIVE") => true,
            Some("BLOCKSEND") => sending,
            _ => false,
        };
        let Some((_, domain)) = account.name.rsplit_once('@').filter(|_| quota > 0 && blocks) else { return false };
        let (used, now) = self.domain_usage().look(domain);
        if now {
            let (usage, domain) = (self.domain_usage().clone(), domain.to_string());
            let (directory, mailboxes) = (self.directory().clone(), self.mailboxes().clone());
            zcluster_runtime::spawn(async move {
                let began = Instant::now();
                let outcome = count(directory.as_ref(), mailboxes.as_ref(), &domain).await;
                usage.counted(&domain, outcome, began);
            });
        }
        used.is_some_and(|used| used >= quota)
    }

    /// Adds what was delivered to what the account's domain is known to hold.
    pub(crate) fn domain_got(&self, account: &Account, bytes: u64) {
        if let Some((_, domain)) = account.name.rsplit_once('@') {
            self.domain_usage().add(domain, bytes);
        }
    }
}

/// Shared by a node's deliveries.
pub(crate) type Shared = Arc<DomainUsage>;

//! Delivering a message to an account.

use crate::arrival::Arrival;
use crate::config::DeliveryConfig;
use crate::context::{Annotated, Answers, Asked, RunContext, is_named};
use crate::domain_usage;
use crate::limiter::Limiter;
use crate::plan::{Ids, Owner, Plan, vacation_id, went_round};
use crate::scripts::{Cache, MailboxScripts, Rules};
use crate::sign::Signer;
use crate::verdict::{Verdict, filters_see_spam};
use crate::warn;
use std::collections::BTreeMap;
use std::sync::Arc;
use zcluster_api::delivery::{
    Content, Delivered, Delivery, OUTGOING_RECIPIENTS_MAX, OutgoingKind, QuotaWarning, Remember, SEEN_PER_COMMAND_MAX,
    SeenId,
};
use zcluster_api::directory::{Account, AccountBy, Attributes, duration, split_address};
use zcluster_api::mailbox::{Conversations, Folder};
use zcluster_api::sharing::Depth;
use zcluster_api::*;
use zcluster_mail::Zone;
use zcluster_runtime::{random_bytes, spawn_blocking, wall_ms};
use zcluster_sieve::{Action, Envelope, Outcome, RuntimeError, Script};

/// Times that a message is filtered anew because the scripts changed meanwhile.
const TRIES_MAX: usize = 4;
/// Times that filters run because they asked what had to be looked up; each round knows all answers of those before.
const ROUNDS_MAX: usize = 8;
/// Messages that an account's forwards make, each for [`OUTGOING_RECIPIENTS_MAX`] addresses.
const FORWARDS_MAX: usize = 10;
/// Annotations looked up for one round.
const ANNOTATIONS_MAX: usize = 32;
/// An owner hears of a failing script once in so many milliseconds.
const ERROR_TOLD_MS: u64 = 24 * 60 * 60 * 1000;
/// Sets the ids of told errors apart from other uses of BLAKE3.
const ERROR_CONTEXT: &str = "zcluster told script error: script; v1";

/// Whom a message is for.
#[derive(Clone, Copy, Debug)]
pub struct Recipient<'a> {
    /// The account.
    pub account: AccountId,
    /// The address as the envelope had it.
    pub address: &'a str,
}

/// What became of a message for one recipient. Both are final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is stored, sent on or discarded, as the account's filters wanted, by a quorum's word.
    Taken {
        /// It was before.
        duplicate: bool,
    },
    /// The account's filters do not want it: the text is for the sender. Only when [`Arrival::refusable`].
    Refused(String),
}

/// Delivers messages; one for all protocols of a node.
pub struct Deliverer {
    mailboxes: Arc<dyn MailboxApi>,
    directory: Arc<dyn DirectoryApi>,
    config: DeliveryConfig,
    cache: Arc<Cache>,
    limiter: Limiter,
    usage: domain_usage::Shared,
    signer: Option<Arc<dyn Signer>>,
}

/// A message and its recipient, with what the directory says.
struct Case<'a> {
    arrival: &'a Arrival,
    to: Recipient<'a>,
    account: Account,
    rules: Rules,
    addresses: Vec<String>,
}

impl Deliverer {
    /// A deliverer over the cluster's mailboxes.
    pub fn new(mailboxes: Arc<dyn MailboxApi>, directory: Arc<dyn DirectoryApi>, config: DeliveryConfig) -> Self {
        let cache = Arc::new(Cache::new(config.cache_bytes));
        let limiter = Limiter::new(config.redirects_per_hour);
        let usage = domain_usage::Shared::default();
        Deliverer { mailboxes, directory, config, cache, limiter, usage, signer: None }
    }

    /// Signs what leaves.
    #[must_use]
    pub fn with_signer(self, signer: Arc<dyn Signer>) -> Self {
        Deliverer { signer: Some(signer), ..self }
    }

    pub(crate) fn signer(&self) -> Option<&Arc<dyn Signer>> {
        self.signer.as_ref()
    }

    /// The settings.
    pub fn config(&self) -> &DeliveryConfig {
        &self.config
    }

    pub(crate) fn domain_usage(&self) -> &domain_usage::Shared {
        &self.usage
    }

    pub(crate) fn mailboxes(&self) -> &Arc<dyn MailboxApi> {
        &self.mailboxes
    }

    pub(crate) fn directory(&self) -> &Arc<dyn DirectoryApi> {
        &self.directory
    }

    /// Delivers to one account: runs its filters and commits what they decide.
    ///
    /// # Errors
    /// `QuotaExceeded`, `NotFound` (the account is gone), `TooLarge`, `Unavailable` (unknown outcome: the same message
    /// again is recognised) and what else a mailbox answers.
    pub async fn deliver(&self, arrival: &Arrival, to: Recipient<'_>) -> Result<Fate> {
        let account = self.account(to.account).await?;
        let rules = self.rules(&account).await?;
        let addresses = own_addresses(&account);
        let case = Case { arrival, to, account, rules, addresses };
        let key = arrival.key(case.account.id);
        // Most accounts have no scripts: that is the guess, and the command is refused where it is wrong.
        let mut scripts = self.cache.mailbox(case.account.id).unwrap_or_default();
        let mut outbox_full = false;
        for _ in 0..TRIES_MAX {
            let mut plan = self.plan(&case, &scripts).await?;
            if outbox_full {
                tracing::warn!(account = %case.account.name, "the outbox is full: nothing is sent");
                plan.send_none(|_| true);
            }
            if let Some(reason) = plan.refuse {
                return Ok(Fate::Refused(reason));
            }
            let sends = !plan.outgoing.is_empty();
            let call = self.caller(case.account.id);
            let delivery = self.command(&case, plan, scripts.version, key, &call).await?;
            match self.mailboxes.write(call.with(MailboxCommand::Deliver(Box::new(delivery)))).await {
                Ok(Receipt::Delivered(done)) => return Ok(self.delivered(&case, done).await),
                Ok(other) => return Err(Error::Internal(format!("unexpected receipt {other:?}"))),
                // A message must not come back because others wait to be sent.
                Err(Error::TooLarge(_)) if sends => outbox_full = true,
                Err(Error::Conflict(_)) => scripts = self.fresh_scripts(case.account.id).await?,
                Err(error) => return Err(error),
            }
        }
        Err(Error::Unavailable("the mailbox's scripts keep changing".into()))
    }

    async fn account(&self, id: AccountId) -> Result<Account> {
        self.directory.read(DirectoryQuery::Account(AccountBy::Id(id)), Freshness::Local).await?.into_account()
    }

    async fn rules(&self, account: &Account) -> Result<Rules> {
        let domain = account.name.rsplit_once('@').map_or("", |(_, domain)| domain).to_string();
        let found = self.directory.read(DirectoryQuery::Domain(domain), Freshness::Local).await;
        let attrs: Option<Attributes> = match found {
            Ok(DirectoryReply::Domain(domain)) => Some(domain.attrs),
            _ => None,
        };
        Ok(Rules::of(account, attrs.as_ref()))
    }

    /// Calls to a mailbox, each under a request id of its own.
    pub(crate) fn caller(&self, account: AccountId) -> Caller {
        Caller { account, timeout: self.config.timeout }
    }

    async fn ask(&self, account: AccountId, query: MailboxQuery) -> Result<delivery::FilterView> {
        match self.mailboxes.read(self.caller(account).with(query)).await? {
            MailboxReply::Filters(view) => Ok(view),
            other => Err(Error::Internal(format!("unexpected reply {other:?}"))),
        }
    }

    /// Folders, and whether ids are remembered.
    async fn filters(&self, account: AccountId, folders: bool, seen: Vec<SeenId>) -> Result<delivery::FilterView> {
        self.ask(account, MailboxQuery::Filters { all: false, folders, seen }).await
    }

    async fn fresh_scripts(&self, account: AccountId) -> Result<Arc<MailboxScripts>> {
        let query = MailboxQuery::Filters { all: true, folders: false, seen: Vec::new() };
        let scripts = Arc::new(MailboxScripts::of(self.ask(account, query).await?));
        self.cache.learned(account, scripts.clone());
        Ok(scripts)
    }

    /// Finds out what is to be done.
    async fn plan(&self, case: &Case<'_>, scripts: &Arc<MailboxScripts>) -> Result<Plan> {
        let mut plan = Plan::of(case.arrival);
        let (name, address) = (case.account.name.as_str(), case.to.address);
        let owner =
            Owner { name, address, hostname: &self.config.hostname, zone: zone_of(&case.account), deliverer: self };
        let junk = Verdict::of(&case.arrival.raw).is_junk(&case.account);
        // As in Zimbra: the owner's and the administrator's filters see no spam unless they are to.
        let (run, problem) = match junk && !filters_see_spam(&case.account) {
            true => (Vec::new(), None),
            false => self.compiled(case, scripts),
        };
        if let Some((script, problem)) = problem {
            plan.keep();
            self.tell(case, &mut plan, (&script, problem)).await?;
        } else if run.is_empty() {
            plan.keep();
        } else {
            let mut outcome = self.run(case, scripts, &run).await?;
            self.settle_vacation(case, &mut outcome).await?;
            let error = outcome.error.clone();
            plan.take(case.arrival, &owner, outcome).await?;
            if let Some(error) = error {
                let script =
                    texts(case, scripts).into_iter().nth(error.number).map(|(name, _)| name).unwrap_or_default();
                self.tell(case, &mut plan, (&script, error)).await?;
            }
        }
        if junk {
            plan.junk();
        }
        self.forward(case, &owner, &mut plan).await?;
        self.restrain(case, &mut plan);
        Ok(plan)
    }

    /// The scripts that run, in order; or which one does not compile.
    fn compiled(&self, case: &Case<'_>, scripts: &MailboxScripts) -> (Vec<Script>, Option<(String, RuntimeError)>) {
        let mut run = Vec::new();
        for (number, (name, source)) in texts(case, scripts).into_iter().enumerate() {
            match &*self.cache.compile(&source) {
                Ok(script) => run.push(script.clone()),
                Err(message) => {
                    let message = message.clone();
                    let error = RuntimeError { script: None, number, line: 1, column: 1, message };
                    return (Vec::new(), Some((name, error)));
                }
            }
        }
        (run, None)
    }

    /// Runs the scripts; a second time when they asked for what had to be looked up.
    async fn run(&self, case: &Case<'_>, scripts: &Arc<MailboxScripts>, run: &[Script]) -> Result<Outcome> {
        let needs = |f: fn(&zcluster_sieve::Needs) -> bool| run.iter().any(|s| f(s.needs()));
        let includes = needs(|n| n.any_include || !n.includes.is_empty());
        let mut folders = Vec::new();
        if needs(|n| n.mailboxes || n.metadata) || includes {
            folders = self.filters(case.account.id, true, Vec::new()).await?.folders;
        }
        let mut answers = Answers::default();
        let mut round = 0;
        loop {
            round += 1;
            let context = RunContext {
                now_ms: wall_ms() as i64,
                zone: zone_of(&case.account),
                addresses: case.addresses.clone(),
                name: case.account.attrs.get("displayName").map(str::to_string),
                environment: self.environment(case),
                verdict: Verdict::of(&case.arrival.raw),
                folders: folders.clone(),
                scripts: scripts.clone(),
                global: case.rules.global.clone(),
                cache: self.cache.clone(),
                answers: answers.clone(),
                asked: Default::default(),
            };
            let (outcome, asked) = self.run_once(case, run.to_vec(), context).await?;
            // A run assumes "no" where it did not know: it stands if that was right, and if it asks for ever.
            if asked.is_empty() || round == ROUNDS_MAX || !self.look_up(case, &folders, asked, &mut answers).await? {
                return Ok(outcome);
            }
        }
    }

    /// A vacation reply comes from the owner and nobody else; one that is filed as well as sent is left out here if it
    /// will not be sent (others are left out when they are put into the outbox).
    async fn settle_vacation(&self, case: &Case<'_>, outcome: &mut Outcome) -> Result<()> {
        let mut known = false;
        for action in &mut outcome.actions {
            let Action::Vacation(vacation) = action else { continue };
            let from = zcluster_mail::addresses(vacation.from.as_bytes());
            let from = from.iter().filter_map(|a| a.addr_spec());
            let mut is_own = from.map(|a| case.addresses.iter().any(|own| own.eq_ignore_ascii_case(&a)));
            if !is_own.all(|own| own) {
                vacation.from = case.account.name.clone();
            }
            if vacation.fcc.is_some() {
                known = self.filters(case.account.id, false, vec![vacation_id(vacation)]).await?.seen == [true];
            }
        }
        if known {
            outcome.actions.retain(|action| !matches!(action, Action::Vacation(_)));
        }
        Ok(())
    }

    /// Answers what a run asked; says whether some answer is not what the run assumed.
    async fn look_up(&self, case: &Case<'_>, folders: &[Folder], asked: Asked, answers: &mut Answers) -> Result<bool> {
        let mut other = false;
        let ids: Vec<[u8; 32]> = asked.seen.into_iter().collect();
        for some in ids.chunks(SEEN_PER_COMMAND_MAX) {
            let view = self.filters(case.account.id, false, some.iter().copied().map(SeenId).collect()).await?;
            other |= view.seen.contains(&true);
            answers.seen.extend(some.iter().copied().zip(view.seen));
        }
        for place in asked.metadata.into_iter().take(ANNOTATIONS_MAX) {
            let value = self.annotation(case, folders, &place).await?;
            other |= value.is_some();
            answers.metadata.insert(place, value);
        }
        Ok(other)
    }

    /// RFC 5490 §3.3 and §4: an annotation of a folder, or of the server.
    async fn annotation(&self, case: &Case<'_>, folders: &[Folder], place: &Annotated) -> Result<Option<String>> {
        let (mailbox, name) = place;
        let Some(path) = mailbox else {
            let attribute = match name.as_str() {
                "/shared/comment" => "zclusterServerComment",
                "/shared/admin" => "zclusterServerAdmin",
                _ => return Ok(None),
            };
            return match self.directory.read(DirectoryQuery::Cluster, Freshness::Local).await? {
                DirectoryReply::Cluster(cluster) => Ok(cluster.config.get(attribute).map(str::to_string)),
                _ => Ok(None),
            };
        };
        let Some(folder) = folders.iter().find(|f| is_named(f, path)).map(|f| f.id) else { return Ok(None) };
        let (folder, entries) = (Some(folder), vec![name.clone()]);
        let query = MailboxQuery::Metadata { folder, entries, depth: Depth::Zero, max_size: None };
        match self.mailboxes.read(self.caller(case.account.id).with(query)).await? {
            MailboxReply::Metadata { entries, .. } => {
                let value = entries.into_iter().find(|e| e.name == *name).and_then(|e| e.value);
                Ok(value.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
            }
            other => Err(Error::Internal(format!("unexpected reply {other:?}"))),
        }
    }

    async fn run_once(&self, case: &Case<'_>, run: Vec<Script>, context: RunContext) -> Result<(Outcome, Asked)> {
        let envelope = Envelope {
            from: case.arrival.sender.clone(),
            to: case.to.address.to_string(),
            orig_to: None,
            auth: case.arrival.auth.clone(),
        };
        let (raw, cache) = (case.arrival.raw.clone(), self.cache.clone());
        let work = move || {
            let outcome = zcluster_sieve::run_sequence(&run, &raw, &envelope, &context, cache.limits());
            (outcome, context.asked.into_inner())
        };
        let (outcome, asked) = spawn_blocking(work).await.map_err(|e| Error::Internal(format!("filters: {e}")))?;
        let result = if outcome.error.is_some() { "failed" } else { "ok" };
        metrics::counter!("zcluster_sieve_runs_total", "result" => result).increment(1);
        Ok((outcome, asked))
    }

    fn environment(&self, case: &Case<'_>) -> BTreeMap<&'static str, String> {
        let host = self.config.hostname.clone();
        let domain = host.split_once('.').map_or(host.as_str(), |(_, domain)| domain).to_string();
        let peer = &case.arrival.peer;
        BTreeMap::from([
            ("domain", domain),
            ("host", host),
            ("location", "MDA".to_string()),
            ("name", "zcluster".to_string()),
            ("phase", "during".to_string()),
            ("version", env!("CARGO_PKG_VERSION").to_string()),
            ("remote-host", peer.helo.clone()),
            ("remote-ip", peer.ip.clone()),
        ])
    }

    /// Tells the owner of a script that failed, now and then.
    async fn tell(&self, case: &Case<'_>, plan: &mut Plan, (script, error): (&str, RuntimeError)) -> Result<()> {
        tracing::info!(account = %case.account.name, script, line = error.line, error = %error.message, "a filter failed; the message is kept");
        let mut hash = blake3::Hasher::new_derive_key(ERROR_CONTEXT);
        hash.update(script.as_bytes());
        let id = SeenId(*hash.finalize().as_bytes());
        if self.filters(case.account.id, false, vec![id]).await?.seen == [true] {
            return Ok(());
        }
        plan.remember.push(Remember { id, for_ms: ERROR_TOLD_MS });
        let (ids, host) = (Ids::new(&self.config.hostname), &self.config.hostname);
        let stamp = ids.stamp(host);
        let raw = zcluster_sieve::render_script_error(&error, script, &case.account.name, &case.arrival.raw, &stamp);
        plan.tell(raw).await
    }

    /// Addresses that the user or an administrator wants all mail sent to (`zimbraPrefMailForwardingAddress`,
    /// `zimbraMailForwardingAddress`), with or without keeping it here (`zimbraPrefMailLocalDeliveryDisabled`).
    async fn forward(&self, case: &Case<'_>, owner: &Owner<'_>, plan: &mut Plan) -> Result<()> {
        let account = &case.account;
        let mut to: Vec<String> = Vec::new();
        let mut add = |values: &str| {
            // What is no plain address must not be said to another host.
            let each = values.split(',').map(str::trim).filter(|a| split_address(a).is_ok());
            to.extend(each.map(str::to_string));
        };
        if account.effective("zimbraFeatureMailForwardingEnabled") != Some("FALSE")
            && let Some(own) = account.attrs.get("zimbraPrefMailForwardingAddress")
        {
            add(own);
        }
        account.attrs.all("zimbraMailForwardingAddress").iter().for_each(|a| add(a));
        if to.is_empty() || plan.refuse.is_some() || went_round(&case.arrival.raw, &case.addresses) {
            return Ok(());
        }
        for some in to.chunks(OUTGOING_RECIPIENTS_MAX).take(FORWARDS_MAX) {
            plan.redirect(case.arrival, owner, None, some.to_vec()).await?;
        }
        if account.effective("zimbraPrefMailLocalDeliveryDisabled") == Some("TRUE") {
            plan.filings.clear();
        }
        Ok(())
    }

    /// Messages that go round, and accounts that send on too many, stay here.
    fn restrain(&self, case: &Case<'_>, plan: &mut Plan) {
        let is_redirect = |kind: OutgoingKind| kind == OutgoingKind::Redirect;
        let wanted = plan.outgoing.iter().filter(|o| is_redirect(o.kind)).map(|o| o.recipients.len() as u32).sum();
        if wanted == 0 {
            return;
        }
        let why = if went_round(&case.arrival.raw, &case.addresses) {
            "it was here before"
        } else if !self.limiter.allows(case.account.id, wanted) {
            "the account sends on too many"
        } else {
            return;
        };
        tracing::warn!(account = %case.account.name, why, "message not sent on");
        metrics::counter!("zcluster_redirects_refused_total").increment(1);
        plan.send_none(is_redirect);
    }

    /// Makes the bodies ready and the command.
    async fn command(
        &self,
        case: &Case<'_>,
        plan: Plan,
        scripts: u64,
        delivery_key: DeliveryKey,
        call: &Caller,
    ) -> Result<Delivery> {
        let used = |n: u32| plan.filings.iter().any(|f| f.content == n) || plan.outgoing.iter().any(|o| o.content == n);
        let mut contents = Vec::with_capacity(plan.pieces.len());
        for (n, piece) in (0u32..).zip(plan.pieces) {
            let mut parsed = plan.filings.iter().any(|f| f.content == n).then_some(piece.parsed).flatten();
            if let Some(parsed) = &mut parsed {
                parsed.set_conversations(conversations_of(&case.account));
            }
            let body = if used(n) { self.mailboxes.put(call.with(piece.body)).await? } else { nothing() };
            contents.push(Content { body, parsed });
        }
        Ok(Delivery {
            internal_ms: case.arrival.internal_ms,
            contents,
            filings: plan.filings,
            outgoing: plan.outgoing,
            remember: plan.remember,
            delivery_key,
            scripts,
            warn: quota_warning(&case.account),
        })
    }

    async fn delivered(&self, case: &Case<'_>, done: Delivered) -> Fate {
        if done.duplicate {
            tracing::info!("message was delivered before: not added again");
        } else {
            self.domain_got(&case.account, case.arrival.body.size);
        }
        if let Some((used, quota)) = done.warn {
            warn::owner(self, &case.account, used, quota).await;
        }
        Fate::Taken { duplicate: done.duplicate }
    }
}

/// The scripts that are to run, with their names, in order.
fn texts(case: &Case<'_>, scripts: &MailboxScripts) -> Vec<(String, Bytes)> {
    let own = scripts.active().map(|(name, source)| (name.to_string(), source.clone()));
    let own = own.or_else(|| case.rules.own.clone().map(|source| ("zimbraMailSieveScript".to_string(), source)));
    let before = case.rules.before.clone().map(|s| ("zimbraAdminSieveScriptBefore".to_string(), s));
    let after = case.rules.after.clone().map(|s| ("zimbraAdminSieveScriptAfter".to_string(), s));
    [before, own, after].into_iter().flatten().collect()
}

/// A content that nothing names: no bytes of it need to travel.
fn nothing() -> Body {
    let empty = zcluster_mail::prepare(&Bytes::new());
    Body::Inline { id: empty.id, size: empty.size, codec: empty.codec, stored: empty.stored }
}

/// The account's own addresses.
fn own_addresses(account: &Account) -> Vec<String> {
    let mut all = vec![account.name.clone()];
    all.extend(account.attrs.all("zimbraMailAlias").iter().cloned());
    all.extend(account.attrs.all("zimbraPrefFromAddress").iter().cloned());
    all
}

/// Where an account's clocks are (`zimbraPrefTimeZoneId`, an IANA name): UTC if it does not say, or in other words.
fn zone_of(account: &Account) -> Zone {
    Zone::or_utc(account.effective("zimbraPrefTimeZoneId"))
}

/// How an account's conversations are built (`zimbraMailThreadingAlgorithm`).
pub(crate) fn conversations_of(account: &Account) -> Conversations {
    Conversations::named(account.effective("zimbraMailThreadingAlgorithm"))
}

/// `zimbraQuotaWarnPercent` (90; 0 is off) and `zimbraQuotaWarnInterval` (a day).
fn quota_warning(account: &Account) -> Option<QuotaWarning> {
    let percent = account.effective("zimbraQuotaWarnPercent").and_then(|v| v.parse().ok()).unwrap_or(90);
    let interval = account.effective("zimbraQuotaWarnInterval").and_then(duration);
    let interval_ms = interval.map_or(86_400_000, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
    (account.quota() > 0 && percent > 0).then_some(QuotaWarning { percent: percent.min(100), interval_ms })
}

/// Makes the calls of one delivery.
pub(crate) struct Caller {
    account: AccountId,
    timeout: std::time::Duration,
}

impl Caller {
    pub fn with<T>(&self, body: T) -> Call<T> {
        let request = RequestId(random_bytes());
        Call { actor: Actor::Delivery, account: self.account, request, timeout: self.timeout, body }
    }
}

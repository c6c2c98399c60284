//! All checks of a message, cheapest first: attachments, then sender, viruses and spam side by side, then milters.

use crate::arrival::{Arrival, Screen};
use crate::attachments;
use crate::milter::{DefaultAction, Milter};
use crate::policy::Policy;
use crate::screened::{Answer, Disposition, Screened, Spam, Virus};
use crate::sender::{self, Mode, Resolver, ResolverSettings, SenderSettings, Wanted, Witness};
use crate::service::{Endpoint, Failure, Limits, Pool, clamd, rspamd, spamd};
use crate::{forged, headers};
use bytes::Bytes;
use futures::future::{BoxFuture, join3};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::Semaphore;
use zcluster_api::directory::Attributes;
use zcluster_api::{DirectoryApi, DirectoryQuery, DirectoryReply, Freshness};
use zcluster_runtime::{spawn_blocking, wall_ms};

/// Messages above this are searched for attachments away from the event loop.
const INLINE_WORK_BYTES_MAX: usize = 64 * 1024;
/// Messages searched at a time: each may unpack [`attachments::Bounds::bytes`].
const UNPACKING_MAX: usize = 8;

/// What it means when no server of a service gives an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The message goes on without the check.
    #[default]
    Accept,
    /// The client shall come again (451).
    Defer,
}

/// What is done with a message that has a virus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnVirus {
    /// 550: the sender's server knows.
    #[default]
    Reject,
    /// Taken, and stored nowhere.
    Discard,
    /// Stored in the Junk folder, marked.
    Junk,
}

/// Which spam filter is asked, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpamService {
    /// rspamd's scanner (the "normal" worker, port 11333).
    Rspamd(Vec<Endpoint>),
    /// SpamAssassin's spamd (port 783).
    Spamd(Vec<Endpoint>),
}

/// Settings of a node.
#[derive(Clone, Debug, Default)]
pub struct ScreenSettings {
    /// The name in `Authentication-Results` and other fields: what the node calls itself.
    pub host: String,
    /// Where clamd listens; nobody looks for viruses without one.
    pub clamd: Vec<Endpoint>,
    /// Bounds of asking it.
    pub virus_limits: Limits,
    /// When it does not answer.
    pub virus_failure: OnFailure,
    /// When it finds something.
    pub on_virus: OnVirus,
    /// The spam filter; there is none without one.
    pub spam: Option<SpamService>,
    /// Bounds of asking it.
    pub spam_limits: Limits,
    /// When it does not answer.
    pub spam_failure: OnFailure,
    /// Sender authentication.
    pub sender: SenderSettings,
    /// DNS for it.
    pub resolver: ResolverSettings,
}

enum SpamFilter {
    Rspamd(Pool),
    Spamd(Pool),
}

/// All checks.
pub struct Chain {
    settings: ScreenSettings,
    directory: Arc<dyn DirectoryApi>,
    clamd: Option<Pool>,
    spam: Option<SpamFilter>,
    resolver: Option<Resolver>,
    witness: Option<Arc<dyn Witness>>,
    unpacking: Semaphore,
    current: Mutex<Arc<Current>>,
}

/// The cluster's settings, and what they became.
struct Current {
    attributes: Attributes,
    policy: Policy,
    milters: Vec<Milter>,
}

/// A verdict on its way.
struct Verdict {
    screened: Screened,
    /// Why it is not just accepted, for the log.
    reason: String,
}

impl Verdict {
    /// The worst counts; of equals the first.
    fn want(&mut self, disposition: Disposition, reason: impl Into<String>) {
        if rank(&disposition) > rank(&self.screened.disposition) {
            self.screened.disposition = disposition;
            self.reason = reason.into();
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.screened.disposition, Disposition::Reject(_) | Disposition::Discard)
    }
}

fn rank(disposition: &Disposition) -> u8 {
    match disposition {
        Disposition::Accept => 0,
        Disposition::Junk => 1,
        Disposition::Defer(_) => 2,
        Disposition::Discard => 3,
        Disposition::Reject(_) => 4,
    }
}

fn answer(code: u16, status: &str, text: impl AsRef<str>) -> Answer {
    Answer { code, status: status.into(), text: crate::text::one_line(text.as_ref(), 400) }
}

impl Chain {
    /// The checks that the settings ask for. Reads the cluster's settings from `directory` with every message.
    ///
    /// # Errors
    /// Without `resolver.servers`, when the system's cannot be found.
    pub fn new(settings: ScreenSettings, directory: Arc<dyn DirectoryApi>) -> Result<Self, String> {
        let clamd =
            (!settings.clamd.is_empty()).then(|| Pool::new("clamd", settings.clamd.clone(), settings.virus_limits));
        let spam = settings.spam.clone().map(|service| match service {
            SpamService::Rspamd(at) => SpamFilter::Rspamd(Pool::new("rspamd", at, settings.spam_limits)),
            SpamService::Spamd(at) => SpamFilter::Spamd(Pool::new("spamd", at, settings.spam_limits)),
        });
        let resolver = match settings.sender.mode {
            Mode::Off => None,
            Mode::Report | Mode::Enforce => Some(Resolver::new(settings.resolver.clone())?),
        };
        let attributes = Attributes::new();
        let policy = Policy::of(&attributes, clamd.is_some());
        let current = Mutex::new(Arc::new(Current { attributes, policy, milters: Vec::new() }));
        let unpacking = Semaphore::new(UNPACKING_MAX);
        Ok(Chain { settings, directory, clamd, spam, resolver, witness: None, unpacking, current })
    }

    /// Tells somebody what DMARC found.
    #[must_use]
    pub fn with_witness(self, witness: Arc<dyn Witness>) -> Self {
        Chain { witness: Some(witness), ..self }
    }

    /// The cluster's settings as they are now; as they were when the directory is silent.
    async fn current(&self) -> Arc<Current> {
        let found = self.directory.read(DirectoryQuery::Cluster, Freshness::Local).await;
        let known = self.current.lock().clone();
        match found {
            Ok(DirectoryReply::Cluster(cluster)) if cluster.config != known.attributes => {
                let attributes = cluster.config;
                let policy = Policy::of(&attributes, self.clamd.is_some());
                let milter = |at: &Endpoint| Milter::new(at.clone(), policy.milter_limits, self.settings.host.clone());
                let milters = policy.milters.iter().map(milter).collect();
                let current = Arc::new(Current { attributes, policy, milters });
                *self.current.lock() = current.clone();
                current
            }
            _ => known,
        }
    }

    async fn look(&self, arrival: &Arrival) -> Verdict {
        let current = self.current().await;
        let policy = &current.policy;
        let mut verdict = Verdict { screened: Screened::default(), reason: String::new() };
        self.attachments(arrival, policy, &mut verdict).await;
        if verdict.is_over() {
            return verdict;
        }
        let (sender, virus, spam) = join3(self.sender(arrival), self.virus(arrival), self.spam(arrival, policy)).await;
        self.take_virus(virus, &mut verdict);
        match sender.wanted {
            Wanted::Nothing => {}
            Wanted::Junk => verdict.want(Disposition::Junk, "DMARC quarantine"),
            Wanted::Refusal(answer) => {
                let reason = answer.text.clone();
                verdict.want(Disposition::Reject(answer), reason);
            }
        }
        self.take_spam(arrival, spam, policy, &mut verdict);
        let scanned = self.clamd.is_some().then_some(verdict.screened.virus.as_ref()).flatten();
        let mut fields: Vec<_> = sender.field.into_iter().collect();
        fields.extend(headers::virus(&self.settings.host, scanned));
        let mut removed = forged::places(&arrival.raw, &self.settings.host, &policy.spam_header);
        if !verdict.is_over() && !current.milters.is_empty() {
            // Gone before milters write fields of these names, as rspamd's and SpamAssassin's do.
            let stripped = Screened { removed: std::mem::take(&mut removed), ..Screened::default() };
            verdict.screened.replaced = Some(stripped.apply(&arrival.raw));
            self.milters(arrival, &current, &mut verdict).await;
        }
        if arrival.authenticated.is_none() {
            let junk = verdict.screened.disposition == Disposition::Junk;
            fields.extend(headers::spam(verdict.screened.spam.as_ref(), junk, &verdict.reason, policy));
        }
        let raw = verdict.screened.replaced.clone().unwrap_or_else(|| arrival.raw.clone());
        if let Some((place, subject)) = headers::subject(&raw, &verdict.screened.disposition, policy) {
            removed.extend(place);
            removed.sort_unstable();
            fields.push(subject);
        }
        (verdict.screened.fields, verdict.screened.removed) = (fields, removed);
        verdict
    }

    async fn attachments(&self, arrival: &Arrival, policy: &Policy, verdict: &mut Verdict) {
        let rules = &policy.attachments;
        if rules.is_empty() {
            return;
        }
        let found = if arrival.raw.len() <= INLINE_WORK_BYTES_MAX {
            attachments::inspect(&arrival.raw, rules)
        } else {
            let Ok(_turn) = self.unpacking.acquire().await else { return };
            let (raw, rules) = (arrival.raw.clone(), rules.clone());
            match spawn_blocking(move || attachments::inspect(&raw, &rules)).await {
                Ok(found) => found,
                Err(_) => return verdict.want(Disposition::Defer(cannot()), "attachments were not looked at"),
            }
        };
        if let Err(finding) = found {
            let text = format!("attachment not allowed: {finding}");
            verdict.want(Disposition::Reject(answer(550, "5.7.1", &text)), text);
        }
    }

    async fn sender(&self, arrival: &Arrival) -> sender::Findings {
        match &self.resolver {
            // Whoever signed in has proven who it is, to us.
            Some(resolver) if arrival.authenticated.is_none() => {
                let (settings, host) = (&self.settings.sender, &self.settings.host);
                sender::check(resolver, settings, host, arrival, self.witness.as_ref()).await
            }
            _ => sender::Findings::default(),
        }
    }

    async fn virus(&self, arrival: &Arrival) -> Result<Option<Virus>, Failure> {
        match &self.clamd {
            Some(pool) if arrival.raw.len() <= pool.limits().bytes => clamd::scan(pool, &arrival.raw).await,
            _ => Ok(None),
        }
    }

    fn take_virus(&self, virus: Result<Option<Virus>, Failure>, verdict: &mut Verdict) {
        match virus {
            Ok(virus) => {
                if let Some(Virus::Found(name)) = &virus {
                    let text = format!("virus found: {name}");
                    let disposition = match self.settings.on_virus {
                        OnVirus::Reject => Disposition::Reject(answer(550, "5.7.1", &text)),
                        OnVirus::Discard => Disposition::Discard,
                        OnVirus::Junk => Disposition::Junk,
                    };
                    verdict.want(disposition, text);
                }
                verdict.screened.virus = virus;
            }
            Err(failure) => self.failed("clamd", &failure, self.settings.virus_failure, verdict),
        }
    }

    async fn spam(&self, arrival: &Arrival, policy: &Policy) -> Result<Option<(Spam, rspamd::Action)>, Failure> {
        if arrival.authenticated.is_some() && policy.trust_users {
            return Ok(None);
        }
        match &self.spam {
            Some(SpamFilter::Rspamd(pool)) if arrival.raw.len() <= pool.limits().bytes => {
                rspamd::check(pool, arrival).await.map(Some)
            }
            Some(SpamFilter::Spamd(pool)) if arrival.raw.len() <= pool.limits().bytes => {
                let trace = self.trace(arrival);
                spamd::check(pool, arrival, &trace).await.map(|spam| Some((spam, rspamd::Action::None)))
            }
            _ => Ok(None),
        }
    }

    /// The envelope as SpamAssassin reads it.
    fn trace(&self, arrival: &Arrival) -> Bytes {
        let mut trace = zcluster_mail::return_path(&arrival.sender);
        trace.push_str(&zcluster_mail::received(&zcluster_mail::Received {
            helo: &arrival.helo,
            ip: &arrival.client_ip.to_string(),
            by: &self.settings.host,
            with: match (arrival.tls, arrival.authenticated.is_some()) {
                (false, false) => "ESMTP",
                (true, false) => "ESMTPS",
                (false, true) => "ESMTPA",
                (true, true) => "ESMTPSA",
            },
            id: &arrival.queue_id,
            recipient: None,
            unix_ms: wall_ms() as i64,
        }));
        trace.into()
    }

    fn take_spam(
        &self,
        arrival: &Arrival,
        spam: Result<Option<(Spam, rspamd::Action)>, Failure>,
        policy: &Policy,
        verdict: &mut Verdict,
    ) {
        let (spam, action) = match spam {
            Ok(Some(found)) => found,
            Ok(None) => return,
            Err(failure) => return self.failed("the spam filter", &failure, self.settings.spam_failure, verdict),
        };
        let reason = format!("spam, {:.1} points", spam.score);
        if action == rspamd::Action::Kill || spam.score >= policy.spam_kill {
            let refusal = || Disposition::Reject(answer(550, "5.7.1", "the message looks like spam"));
            verdict.want(
                match policy.spam_destiny.of(arrival.authenticated.is_some()) {
                    crate::policy::SpamDestiny::Junk => Disposition::Junk,
                    crate::policy::SpamDestiny::Reject => refusal(),
                    crate::policy::SpamDestiny::Discard => Disposition::Discard,
                },
                reason,
            );
        } else if action == rspamd::Action::Later {
            verdict
                .want(Disposition::Defer(answer(451, "4.7.1", "not now, try again later")), "the spam filter's limit");
        } else if arrival.authenticated.is_none() && (action == rspamd::Action::Tag || spam.score >= policy.spam_tag) {
            verdict.want(Disposition::Junk, reason);
        }
        verdict.screened.spam = Some(Spam { threshold: policy.spam_tag, ..spam });
    }

    async fn milters(&self, arrival: &Arrival, current: &Current, verdict: &mut Verdict) {
        for milter in &current.milters {
            let raw = verdict.screened.replaced.clone().unwrap_or_else(|| arrival.raw.clone());
            match milter.tell(arrival, &raw).await {
                Ok(said) => {
                    verdict.screened.replaced = said.replaced.or(verdict.screened.replaced.take());
                    verdict.want(said.disposition, "a milter's word");
                }
                Err(failure) => {
                    tracing::error!(message = %arrival.queue_id, error = %failure, "a milter gave no verdict");
                    let disposition = match current.policy.milter_default {
                        DefaultAction::Accept => Disposition::Accept,
                        DefaultAction::Tempfail => Disposition::Defer(cannot()),
                        DefaultAction::Reject => {
                            Disposition::Reject(answer(550, "5.7.1", "the message cannot be checked"))
                        }
                        DefaultAction::Quarantine => Disposition::Junk,
                    };
                    verdict.want(disposition, "a milter gave no verdict");
                }
            }
            if verdict.is_over() {
                return;
            }
        }
    }

    fn failed(&self, who: &'static str, failure: &Failure, policy: OnFailure, verdict: &mut Verdict) {
        tracing::error!(service = who, error = %failure, ?policy, "no verdict");
        metrics::counter!("zcluster_screen_without_verdict_total", "service" => who).increment(1);
        if policy == OnFailure::Defer {
            verdict.want(Disposition::Defer(cannot()), format!("{who} gave no verdict"));
        }
    }
}

fn cannot() -> Answer {
    answer(451, "4.3.0", "the message cannot be checked now, try again later")
}

impl Screen for Chain {
    fn screen<'a>(&'a self, arrival: &'a Arrival) -> BoxFuture<'a, Screened> {
        Box::pin(async move {
            let Verdict { screened, reason } = self.look(arrival).await;
            let disposition = match &screened.disposition {
                Disposition::Accept => "accept",
                Disposition::Junk => "junk",
                Disposition::Discard => "discard",
                Disposition::Defer(_) => "defer",
                Disposition::Reject(_) => "reject",
            };
            metrics::counter!("zcluster_screen_messages_total", "disposition" => disposition).increment(1);
            tracing::info!(
                message = %arrival.queue_id,
                disposition,
                reason = %reason.escape_debug(),
                score = screened.spam.as_ref().map(|spam| spam.score),
                "message screened"
            );
            screened
        })
    }
}

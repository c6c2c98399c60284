//! Sender authentication: SPF (RFC 7208), DKIM (RFC 6376, RFC 8463), ARC (RFC 8617) and DMARC (RFC 7489, RFC 9989).
//! The work is `mail-auth`'s; here are the bounds, the header field (RFC 8601) and what a failure means.

mod aggregate;
mod resolver;
mod surplus;

pub use aggregate::{Judged, Witness};
pub use resolver::{Resolver, ResolverSettings};

use crate::arrival::Arrival;
use crate::screened::{Answer, Field};
use bytes::Bytes;
use futures::future::join3;
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::VerifySignature;
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::dmarc::{Dmarc, Policy};
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{
    ArcOutput, AuthenticatedMessage, AuthenticationResults, DkimOutput, DkimResult, DmarcOutput, DmarcResult,
    MessageAuthenticator, SpfOutput, SpfResult,
};
use std::sync::Arc;
use std::time::Duration;
use zcluster_runtime::{Instant, spawn_blocking, timeout_at};

/// Messages above this are hashed away from the event loop.
const INLINE_WORK_BYTES_MAX: usize = 256 * 1024;

/// What is done about sender authentication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is looked up.
    #[default]
    Off,
    /// The results are written down.
    Report,
    /// The results are written down, and what the author's domain wants of forgeries is done.
    Enforce,
}

/// Settings of sender authentication.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SenderSettings {
    /// What is done.
    pub mode: Mode,
    /// Domains whose ARC seal over a passed DMARC is believed (RFC 8617 §7.2): forwarders and lists.
    pub arc_trusted: Vec<String>,
}

/// What is known of the sender.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// `Authentication-Results`.
    pub field: Option<Field>,
    /// What the policy wants.
    pub wanted: Wanted,
}

/// What the author's domain wants of this message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing: it passed, or there is no policy, or it is not enforced.
    #[default]
    Nothing,
    /// `p=quarantine`.
    Junk,
    /// `p=reject`, or a header that DMARC cannot judge.
    Refusal(Answer),
}

/// Asks who sent the message. Takes no longer than the resolver's total time.
pub async fn check(
    resolver: &Resolver,
    settings: &SenderSettings,
    host: &str,
    arrival: &Arrival,
    witness: Option<&Arc<dyn Witness>>,
) -> Findings {
    if settings.mode == Mode::Off {
        return Findings::default();
    }
    let deadline = Instant::now() + resolver.settings().total;
    let work = Work {
        resolver: resolver.authenticator().clone(),
        settings: settings.clone(),
        host: host.to_string(),
        arrival: arrival.clone(),
        witness: witness.cloned(),
        deadline,
    };
    if arrival.raw.len() <= INLINE_WORK_BYTES_MAX {
        return work.run().await;
    }
    let Ok(Ok(_turn)) = timeout_at(deadline, resolver.large_turns().acquire()).await else {
        let value = format!("{host};\r\n\tdmarc=temperror (not in time)");
        return Findings { field: Some(Field::new("Authentication-Results", value)), wanted: Wanted::Nothing };
    };
    let results = spawn_blocking(move || futures::executor::block_on(work.run())).await;
    results.unwrap_or_default()
}

struct Work {
    resolver: MessageAuthenticator,
    settings: SenderSettings,
    host: String,
    arrival: Arrival,
    witness: Option<Arc<dyn Witness>>,
    deadline: Instant,
}

impl Work {
    async fn run(self) -> Findings {
        let raw: Bytes = surplus::without(&self.arrival.raw);
        let (ip, helo, sender) = (self.arrival.client_ip, &self.arrival.helo, &self.arrival.sender);
        let message = AuthenticatedMessage::parse(&raw).unwrap_or_default();
        let (spf, dkim, arc) = join3(self.spf(), self.dkim(&message), self.arc(&message)).await;
        let mut none = "";
        let mut results = AuthenticationResults::new(&self.host)
            .with_spf_ehlo_result(&spf.helo, ip, helo)
            .with_dkim_results(&dkim, message.from());
        if !sender.is_empty() {
            results = results.with_spf_mailfrom_result(&spf.mail_from, ip, sender, helo);
        }
        if arc.result() != &DkimResult::None {
            results = results.with_arc_result(&arc, ip);
        }
        if dkim.is_empty() {
            none = ";\r\n\tdkim=none";
        }
        let identity = if sender.is_empty() { (&spf.helo, helo.as_str()) } else { (&spf.mail_from, domain_of(sender)) };
        let dmarc = DmarcParameters::new(&message, &dkim, identity.1, identity.0);
        let dmarc = timeout_at(self.deadline, self.resolver.verify_dmarc(dmarc)).await;
        let (mut wanted, mut text) = (Wanted::Nothing, String::new());
        match &dmarc {
            Ok(dmarc) => {
                results = results.with_dmarc_result(dmarc);
                wanted = wanted_by(dmarc.policy(), &dmarc.result(), dmarc.domain());
                self.tell(&message, &dkim, identity.0, dmarc, &arc).await;
            }
            Err(_) => text.push_str(";\r\n\tdmarc=temperror (not in time)"),
        }
        if from_fields(&raw) > 1 {
            // RFC 5322 §3.6 wants one; of several every reader may show another, and DMARC would judge but one.
            let answer = Answer {
                code: 550,
                status: "5.7.1".into(),
                text: "a message has one From field (RFC 5322, section 3.6)".into(),
            };
            wanted = Wanted::Refusal(answer);
        } else if wanted != Wanted::Nothing && self.arc_vouches(&arc) {
            wanted = Wanted::Nothing;
            text.push_str(" (overridden by a trusted ARC seal)");
        }
        if self.settings.mode == Mode::Report {
            wanted = Wanted::Nothing;
        }
        let field = Field::new("Authentication-Results", format!("{results}{text}{none}"));
        Findings { field: Some(field), wanted }
    }

    /// Tells the witness, when there is one.
    async fn tell(
        &self,
        message: &AuthenticatedMessage<'_>,
        dkim: &[DkimOutput<'_>],
        spf: &SpfOutput,
        dmarc: &DmarcOutput,
        arc: &ArcOutput<'_>,
    ) {
        let (Some(witness), Some(published)) = (&self.witness, dmarc.dmarc_record()) else { return };
        let (ip, sender, author, mode) =
            (self.arrival.client_ip, &self.arrival.sender, message.from(), self.settings.mode);
        let vouched = self.arc_vouches(arc);
        let evidence = aggregate::Evidence { ip, sender, author, dkim, spf, dmarc, mode, vouched };
        if published.rua().is_empty() {
            return;
        }
        let domain = timeout_at(self.deadline, self.policy_domain(dmarc.domain(), published)).await;
        let domain = domain.unwrap_or_else(|_| dmarc.domain().to_string());
        if let Some(judged) = evidence.judged(&domain) {
            witness.saw(judged);
        }
    }

    /// Where an author's domain has its policy from: itself, or the nearest domain above it that publishes this one
    /// (RFC 9989 §4.10). The answers are in the resolver's cache by now.
    async fn policy_domain(&self, author: &str, published: &Dmarc) -> String {
        let above = author.match_indices('.').map(|(at, _)| &author[at + 1..]).filter(|name| name.contains('.'));
        for name in [author].into_iter().chain(above).take(aggregate::LABELS_MAX) {
            let found = self.resolver.txt_raw_lookup(format!("_dmarc.{name}.")).await;
            if found.is_ok_and(|text| Dmarc::parse(&text).is_ok_and(|record| record == *published)) {
                return name.to_string();
            }
        }
        author.to_string()
    }

    async fn spf(&self) -> Spf {
        let (ip, helo, sender) = (self.arrival.client_ip, self.arrival.helo.as_str(), self.arrival.sender.as_str());
        let helo_check = self.resolver.verify_spf(SpfParameters::verify_ehlo(ip, helo, &self.host));
        let late = |domain: &str| SpfOutput::new(domain.into()).with_result(SpfResult::TempError);
        let helo_result = timeout_at(self.deadline, helo_check).await.unwrap_or_else(|_| late(helo));
        if sender.is_empty() {
            return Spf { helo: helo_result, mail_from: SpfOutput::default() };
        }
        let from_check = self.resolver.verify_spf(SpfParameters::verify_mail_from(ip, helo, &self.host, sender));
        let mail_from = timeout_at(self.deadline, from_check).await.unwrap_or_else(|_| late(domain_of(sender)));
        Spf { helo: helo_result, mail_from }
    }

    async fn dkim<'m>(&self, message: &'m AuthenticatedMessage<'m>) -> Vec<DkimOutput<'m>> {
        let checked = timeout_at(self.deadline, self.resolver.verify_dkim(message)).await;
        checked.unwrap_or_else(|_| {
            let late = || DkimOutput::temp_err(mail_auth::Error::Io("not in time".into()));
            message.dkim_headers.iter().map(|header| late().with_signature(&header.header)).collect()
        })
    }

    async fn arc<'m>(&self, message: &'m AuthenticatedMessage<'m>) -> ArcOutput<'m> {
        let checked = timeout_at(self.deadline, self.resolver.verify_arc(message)).await;
        let late = || DkimResult::TempError(mail_auth::Error::Io("not in time".into()));
        checked.unwrap_or_else(|_| ArcOutput::default().with_result(late()))
    }

    /// Whether a forwarder that we trust says that it had passed DMARC when it came there.
    fn arc_vouches(&self, arc: &ArcOutput<'_>) -> bool {
        let Some(last) = arc.sets().last().filter(|_| arc.result() == &DkimResult::Pass) else { return false };
        let domain = last.seal.header.domain();
        let trusted = self.settings.arc_trusted.iter().any(|trusted| trusted.eq_ignore_ascii_case(domain));
        let said = String::from_utf8_lossy(last.results.value).to_ascii_lowercase();
        trusted && said.split([';', ' ', '\t', '\r', '\n']).any(|word| word == "dmarc=pass")
    }
}

struct Spf {
    helo: SpfOutput,
    mail_from: SpfOutput,
}

fn domain_of(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

fn from_fields(raw: &[u8]) -> usize {
    zcluster_mail::fields(raw).filter(|field| field.is("From")).count()
}

/// What a policy means for a result.
fn wanted_by(policy: Policy, result: &DmarcResult, domain: &str) -> Wanted {
    let failed = matches!(result, DmarcResult::Fail(_));
    match policy {
        Policy::Reject if failed => {
            let domain = crate::text::one_line(domain, 200);
            // RFC 7372 §3.3.
            let text = format!("{domain} wants mail in its name refused that is not proven to be its own (DMARC)");
            Wanted::Refusal(Answer { code: 550, status: "5.7.26".into(), text })
        }
        Policy::Quarantine if failed => Wanted::Junk,
        _ => Wanted::Nothing,
    }
}

impl Default for ResolverSettings {
    fn default() -> Self {
        ResolverSettings { servers: Vec::new(), query: Duration::from_secs(3), total: Duration::from_secs(15) }
    }
}

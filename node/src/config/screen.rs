//! The `[screen]` section: content and sender checks.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use zcluster_screen::service::{Endpoint, Limits, Pool};
use zcluster_screen::trainer::Teacher;
use zcluster_screen::{Mode, OnFailure, OnVirus, ResolverSettings, ScreenSettings, SenderSettings, SpamService};

/// Content and sender checks of mail that comes in by SMTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Screen {
    /// Sender authentication.
    pub sender: SenderMode,
    /// DNS servers for it.
    pub resolvers: Vec<SocketAddr>,
    /// Milliseconds for one question to one of them.
    pub dns_query_ms: u64,
    /// Milliseconds for all that is asked about a message.
    pub dns_total_ms: u64,
    /// Domains whose ARC seals are believed.
    pub arc_trusted: Vec<String>,
    /// Where clamd listens.
    pub clamd: Vec<String>,
    /// When it gives no verdict.
    pub virus_failure: FailureMode,
    /// When it finds something.
    pub on_virus: VirusMode,
    /// Seconds it may take.
    pub virus_seconds: u64,
    /// Where rspamd's scanners listen.
    pub rspamd: Vec<String>,
    /// Where rspamd's controllers listen.
    pub rspamd_controller: Vec<String>,
    /// The controllers' password.
    pub rspamd_password_file: Option<PathBuf>,
    /// Where SpamAssassin's spamd listens.
    pub spamd: Vec<String>,
    /// Whether spamd learns from users.
    pub spamd_learns: bool,
    /// When the spam filter gives no verdict.
    pub spam_failure: FailureMode,
    /// Seconds it may take.
    pub spam_seconds: u64,
    /// Bytes of messages that it sees.
    pub spam_max_bytes: usize,
    /// Messages that a service is asked about at a time.
    pub concurrent: usize,
}

/// Sender authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SenderMode {
    /// None.
    Off,
    /// Results are written into `Authentication-Results`.
    Report,
    /// DMARC policies are carried out.
    Enforce,
}

/// When a service gives no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureMode {
    /// Without it.
    Accept,
    /// Later.
    Defer,
}

/// What is done with a virus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VirusMode {
    /// Refused.
    Reject,
    /// Dropped.
    Discard,
    /// Into Junk.
    Junk,
}

impl Default for Screen {
    fn default() -> Self {
        Screen {
            sender: SenderMode::Off,
            resolvers: Vec::new(),
            dns_query_ms: 3_000,
            dns_total_ms: 15_000,
            arc_trusted: Vec::new(),
            clamd: Vec::new(),
            virus_failure: FailureMode::Defer,
            on_virus: VirusMode::Reject,
            virus_seconds: 120,
            rspamd: Vec::new(),
            rspamd_controller: Vec::new(),
            rspamd_password_file: None,
            spamd: Vec::new(),
            spamd_learns: false,
            spam_failure: FailureMode::Accept,
            spam_seconds: 60,
            spam_max_bytes: 2 * 1024 * 1024,
            concurrent: 32,
        }
    }
}

fn endpoints(key: &str, values: &[String]) -> Result<Vec<Endpoint>> {
    let parse = |value: &String| value.parse::<Endpoint>().map_err(|e| anyhow::anyhow!("screen.{key}: {e}"));
    values.iter().map(parse).collect()
}

impl Screen {
    pub(crate) fn check(&self) -> Result<()> {
        for (key, values) in [
            ("clamd", &self.clamd),
            ("rspamd", &self.rspamd),
            ("rspamd_controller", &self.rspamd_controller),
            ("spamd", &self.spamd),
        ] {
            endpoints(key, values)?;
        }
        if !self.rspamd.is_empty() && !self.spamd.is_empty() {
            bail!("screen.rspamd and screen.spamd: one spam filter, not both");
        }
        let times = [self.dns_query_ms, self.dns_total_ms, self.virus_seconds, self.spam_seconds];
        if times.contains(&0) || self.concurrent == 0 {
            bail!("screen: times and `concurrent` must be above 0");
        }
        Ok(())
    }

    fn limits(&self, seconds: u64, bytes: usize) -> Limits {
        let total = Duration::from_secs(seconds);
        // So that there is time for another server when one is silent.
        let step = total / 2;
        Limits { step, total, bytes, concurrent: self.concurrent, ..Limits::default() }
    }

    fn spam_limits(&self) -> Limits {
        self.limits(self.spam_seconds, self.spam_max_bytes)
    }

    /// As the checks take it; `host` is what the node calls itself, `message_bytes` the largest message.
    ///
    /// # Errors
    /// An address that is none.
    pub fn settings(&self, host: String, message_bytes: u64) -> Result<ScreenSettings> {
        let failure = |mode| match mode {
            FailureMode::Accept => OnFailure::Accept,
            FailureMode::Defer => OnFailure::Defer,
        };
        let spam = match (self.rspamd.is_empty(), self.spamd.is_empty()) {
            (false, _) => Some(SpamService::Rspamd(endpoints("rspamd", &self.rspamd)?)),
            (true, false) => Some(SpamService::Spamd(endpoints("spamd", &self.spamd)?)),
            (true, true) => None,
        };
        Ok(ScreenSettings {
            host,
            clamd: endpoints("clamd", &self.clamd)?,
            virus_limits: self.limits(self.virus_seconds, usize::try_from(message_bytes)?),
            virus_failure: failure(self.virus_failure),
            on_virus: match self.on_virus {
                VirusMode::Reject => OnVirus::Reject,
                VirusMode::Discard => OnVirus::Discard,
                VirusMode::Junk => OnVirus::Junk,
            },
            spam,
            spam_limits: self.spam_limits(),
            spam_failure: failure(self.spam_failure),
            sender: SenderSettings {
                mode: match self.sender {
                    SenderMode::Off => Mode::Off,
                    SenderMode::Report => Mode::Report,
                    SenderMode::Enforce => Mode::Enforce,
                },
                arc_trusted: self.arc_trusted.clone(),
            },
            resolver: ResolverSettings {
                servers: self.resolvers.clone(),
                query: Duration::from_millis(self.dns_query_ms),
                total: Duration::from_millis(self.dns_total_ms),
            },
        })
    }

    /// The spam filter to tell what users say is spam, if it is to be told.
    ///
    /// # Errors
    /// An address that is none, a password file that cannot be read.
    pub fn teacher(&self) -> Result<Option<Teacher>> {
        if !self.rspamd_controller.is_empty() {
            let at = endpoints("rspamd_controller", &self.rspamd_controller)?;
            let read = |path: &PathBuf| {
                let text = std::fs::read_to_string(path);
                text.with_context(|| format!("screen.rspamd_password_file {}", path.display()))
            };
            let password = self.rspamd_password_file.as_ref().map(read).transpose()?;
            let password = password.map(|text| text.trim_end().to_string());
            return Ok(Some(Teacher::Rspamd(Pool::new("rspamd learning", at, self.spam_limits()), password)));
        }
        if self.spamd_learns && !self.spamd.is_empty() {
            let at = endpoints("spamd", &self.spamd)?;
            return Ok(Some(Teacher::Spamd(Pool::new("spamd learning", at, self.spam_limits()))));
        }
        Ok(None)
    }
}

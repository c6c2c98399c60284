//! What the cluster's settings say (`zmprov modifyConfig`): read anew with every message.

use crate::attachments::{Bounds, Rules};
use crate::milter::{DefaultAction, MilterLimits};
use crate::service::Endpoint;
use std::time::Duration;
use zcluster_api::directory::{Attributes, duration};

/// Points that are 100 per cent: Zimbra's scale for `zimbraSpamTagPercent` and `zimbraSpamKillPercent`.
pub const SPAM_POINTS_FULL: f64 = 20.0;

/// What is done with what is surely spam (`zimbraAmavisFinalSpamDestiny`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpamDestiny {
    /// `D_PASS`: into the Junk folder as other spam.
    Junk,
    /// `D_REJECT`, and `D_BOUNCE`: the refusal makes the sending server write the bounce.
    Reject,
    /// `D_DISCARD`.
    #[default]
    Discard,
}

impl SpamDestiny {
    /// For a message that a user submits: it must not vanish, its sender would believe it sent.
    pub(crate) fn of(self, submitted: bool) -> Self {
        if submitted { SpamDestiny::Reject } else { self }
    }
}

/// The cluster's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Blocked attachments.
    pub attachments: Rules,
    /// Points from which a message is spam.
    pub spam_tag: f64,
    /// Points from which it is surely spam.
    pub spam_kill: f64,
    /// What is done with that.
    pub spam_destiny: SpamDestiny,
    /// What is put before a spam's subject (`zimbraSpamSubjectTag`).
    pub spam_subject: Option<String>,
    /// The field that marks spam (`zimbraSpamHeader`).
    pub spam_header: String,
    /// Whether users' own messages are spared the spam filter (`zimbraAmavisOriginatingBypassSA`).
    pub trust_users: bool,
    /// The milters, in order (`zimbraMtaSmtpdMilters`).
    pub milters: Vec<Endpoint>,
    /// How long they may take.
    pub milter_limits: MilterLimits,
    /// What it means when one gives no answer.
    pub milter_default: DefaultAction,
}

impl Policy {
    /// From the cluster's attributes. What cannot be understood is said in the log and left out. `viruses`: there is a
    /// scanner, with which Zimbra's default of refusing encrypted archives comes.
    pub fn of(config: &Attributes, viruses: bool) -> Self {
        let truth = |name: &str, default: bool| config.get(name).map_or(default, |value| value == "TRUE");
        let percent = |name: &str, default: f64| {
            let value = config.get(name).and_then(|v| v.parse::<u32>().ok()).map_or(default, f64::from);
            value * SPAM_POINTS_FULL / 100.0
        };
        let time = |name: &str, default: Duration| {
            config.get(name).and_then(duration).filter(|d| !d.is_zero()).unwrap_or(default)
        };
        let extensions = config.all("zimbraMtaBlockedExtension").iter().flat_map(|value| value.split([' ', ',']));
        let extensions = extensions.map(|e| e.trim_start_matches(['.', '*']).to_lowercase()).filter(|e| !e.is_empty());
        let limits = MilterLimits::default();
        Policy {
            attachments: Rules {
                extensions: extensions.collect(),
                encrypted: truth("zimbraVirusBlockEncryptedArchive", viruses),
                unreadable: true,
                bounds: Bounds::default(),
            },
            spam_tag: percent("zimbraSpamTagPercent", 33.0),
            spam_kill: percent("zimbraSpamKillPercent", 75.0),
            spam_destiny: match config.get("zimbraAmavisFinalSpamDestiny") {
                Some("D_PASS") => SpamDestiny::Junk,
                Some("D_REJECT" | "D_BOUNCE") => SpamDestiny::Reject,
                _ => SpamDestiny::Discard,
            },
            spam_subject: config.get("zimbraSpamSubjectTag").filter(|tag| !tag.is_empty()).map(str::to_string),
            spam_header: config.get("zimbraSpamHeader").unwrap_or("X-Spam-Flag").to_string(),
            trust_users: truth("zimbraAmavisOriginatingBypassSA", false),
            milters: endpoints(config.all("zimbraMtaSmtpdMilters")),
            milter_limits: MilterLimits {
                connect: time("zimbraMtaMilterConnectTimeout", limits.connect),
                command: time("zimbraMtaMilterCommandTimeout", limits.command),
                content: time("zimbraMtaMilterContentTimeout", limits.content),
                ..limits
            },
            milter_default: match config.get("zimbraMtaMilterDefaultAction") {
                Some("accept") => DefaultAction::Accept,
                Some("reject") => DefaultAction::Reject,
                Some("quarantine") => DefaultAction::Quarantine,
                _ => DefaultAction::Tempfail,
            },
        }
    }
}

/// Zimbra keeps the list as Postfix reads it: with commas or spaces.
fn endpoints(values: &[String]) -> Vec<Endpoint> {
    let mut out = Vec::new();
    for text in values.iter().flat_map(|value| value.split([',', ' '])).filter(|text| !text.is_empty()) {
        match text.parse() {
            Ok(endpoint) => out.push(endpoint),
            Err(error) => tracing::error!(%error, "zimbraMtaSmtpdMilters"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zimbras_defaults_and_words() {
        let none = Policy::of(&Attributes::new(), false);
        assert_eq!((none.spam_tag, none.spam_kill, none.spam_destiny), (6.6, 15.0, SpamDestiny::Discard));
        assert!(none.attachments.is_empty() && none.milters.is_empty());
        assert!(Policy::of(&Attributes::new(), true).attachments.encrypted);
        let mut config = Attributes::new();
        let mut set = |name: &str, values: &[&str]| config.set(name, values.iter().map(|v| v.to_string()).collect());
        set("zimbraMtaBlockedExtension", &["EXE", ".js", "vbs, scr"]);
        set("zimbraMtaSmtpdMilters", &["inet:127.0.0.1:8891, nonsense unix:/run/m"]);
        set("zimbraMtaMilterContentTimeout", &["2m"]);
        set("zimbraMtaMilterDefaultAction", &["accept"]);
        set("zimbraAmavisFinalSpamDestiny", &["D_BOUNCE"]);
        set("zimbraSpamKillPercent", &["50"]);
        set("zimbraVirusBlockEncryptedArchive", &["FALSE"]);
        let policy = Policy::of(&config, true);
        assert_eq!(policy.attachments.extensions.iter().collect::<Vec<_>>(), ["exe", "js", "scr", "vbs"]);
        assert_eq!(policy.milters, [Endpoint::Tcp("127.0.0.1".into(), 8891), Endpoint::Unix("/run/m".into())]);
        assert_eq!(policy.milter_limits.content, Duration::from_secs(120));
        assert_eq!(policy.milter_default, DefaultAction::Accept);
        assert_eq!((policy.spam_destiny, policy.spam_kill), (SpamDestiny::Reject, 10.0));
        assert!(!policy.attachments.encrypted);
    }
}

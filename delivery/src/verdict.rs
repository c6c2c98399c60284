//! What a filter in front of us thinks of a message, read from the fields it left: ours, or Amavis', SpamAssassin's,
//! rspamd's where one of them hands mail over by LMTP. Fields of that name from outside never come this far (`screen`
//! removes them).

use zcluster_api::directory::Account;
use zcluster_mail::{fields, unfold};

/// Points that are 100 per cent, as Zimbra counts them.
const POINTS_FULL: f64 = 20.0;
/// What spam has at least: the middle of RFC 5235's scale, should the score say less.
const SPAM_PERCENT_MIN: u8 = 50;

/// What a filter thinks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// It is spam (`X-Spam-Flag: YES`; rspamd as a milter says `X-Spam: Yes`).
    pub spam: bool,
    /// How likely it is, 0 to 100; `None` when nobody looked.
    pub percent: Option<u8>,
    /// 1 (no virus) or 5 (a virus); `None` when nobody looked.
    pub virus: Option<u8>,
}

impl Verdict {
    /// The verdict in a message's header. The topmost field of a name counts: it is the last filter's.
    pub fn of(raw: &[u8]) -> Self {
        let (mut flag, mut score, mut virus) = (None, None, None);
        for field in fields(raw) {
            let value = || String::from_utf8_lossy(&unfold(field.value)).trim().to_ascii_lowercase();
            if field.is("X-Spam-Flag") || field.is("X-Spam") {
                flag = flag.or_else(|| Some(value() == "yes"));
            } else if score.is_none() && field.is("X-Spam-Score") {
                score = value().parse::<f64>().ok().filter(|points| points.is_finite());
            } else if virus.is_none() && field.is("X-Virus-Status") {
                // Other words mean that the scanner could not say.
                virus = match value() {
                    v if v == "clean" || v == "no" => Some(1),
                    v if v == "yes" || v.starts_with("infected") => Some(5),
                    _ => None,
                };
            }
        }
        let spam = flag == Some(true);
        let percent = score.map(|points| (points * 100.0 / POINTS_FULL).clamp(0.0, 100.0) as u8);
        let percent = if spam { Some(percent.unwrap_or(0).max(SPAM_PERCENT_MIN)) } else { percent };
        Verdict { spam, percent: percent.or(flag.map(|_| 0)), virus }
    }

    /// Whether it goes to Junk in this account (`zimbraFeatureAntispamEnabled`).
    pub fn is_junk(&self, account: &Account) -> bool {
        self.spam && account.effective("zimbraFeatureAntispamEnabled") != Some("FALSE")
    }
}

/// Whether the account's filters see spam (`zimbraSpamApplyUserFilters`).
pub(crate) fn filters_see_spam(account: &Account) -> bool {
    account.effective("zimbraSpamApplyUserFilters") == Some("TRUE")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: &str) -> (bool, Option<u8>, Option<u8>) {
        let Verdict { spam, percent, virus } = Verdict::of(format!("{header}\r\n\r\nX-Spam-Flag: YES\r\n").as_bytes());
        (spam, percent, virus)
    }

    #[test]
    fn filters_words() {
        assert_eq!(of("Subject: x"), (false, None, None));
        assert_eq!(of("X-Spam-Flag: NO\r\nX-Spam-Score: -1.9\r\nX-Virus-Status: Clean"), (false, Some(0), Some(1)));
        assert_eq!(of("x-spam-flag: yes\r\nX-Spam-Score:\r\n 15"), (true, Some(75), None));
        assert_eq!(of("X-Spam-Flag: YES\r\nX-Spam-Score: 7"), (true, Some(50), None));
        assert_eq!(of("X-Spam-Flag: YES\r\nX-Spam-Flag: NO"), (true, Some(50), None));
        assert_eq!(of("X-Spam-Score: 1000\r\nX-Virus-Status: Infected (Eicar)"), (false, Some(100), Some(5)));
        assert_eq!(of("X-Spam-Score: NaN\r\nX-Virus-Status: unknown"), (false, None, None));
        assert_eq!(of("X-Spam-Flag: NO"), (false, Some(0), None));
        assert_eq!(of("X-Spam: Yes"), (true, Some(50), None));
    }
}

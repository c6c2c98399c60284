//! The fields that a verdict leaves in a message, as Amavis writes them for Zimbra, so that users' filters go on working.

use crate::policy::Policy;
use crate::screened::{Disposition, Field, Spam, Virus};
use crate::text::one_line;
use zcluster_mail::fields;

/// Characters of `X-Spam-Level`.
const LEVEL_MAX: usize = 64;
/// Bytes of a line before it is folded.
const FOLD_AT: usize = 76;

/// `X-Virus-Scanned`, and `X-Virus-Status` for Sieve's `virustest`.
pub fn virus(host: &str, virus: Option<&Virus>) -> Vec<Field> {
    let Some(virus) = virus else { return Vec::new() };
    let status = match virus {
        Virus::Clean => "Clean".to_string(),
        Virus::Found(name) => format!("Infected ({})", name.replace(['(', ')', '\\'], "?")),
    };
    vec![Field::new("X-Virus-Scanned", format!("clamd at {host}")), Field::new("X-Virus-Status", status)]
}

/// `X-Spam-Flag`, `X-Spam-Score`, `X-Spam-Level` and `X-Spam-Status`. `junk`: it goes to the Junk folder, for `reason`.
pub fn spam(spam: Option<&Spam>, junk: bool, reason: &str, policy: &Policy) -> Vec<Field> {
    let mut out = Vec::new();
    if spam.is_some() || junk {
        out.push(Field::new("X-Spam-Flag", if junk { "YES" } else { "NO" }));
        if !policy.spam_header.eq_ignore_ascii_case("X-Spam-Flag") && junk {
            out.push(Field::new(policy.spam_header.clone(), "YES"));
        }
    }
    let Some(spam) = spam else {
        if junk {
            out.push(Field::new("X-Spam-Status", format!("Yes, {}", one_line(reason, 100))));
        }
        return out;
    };
    out.push(Field::new("X-Spam-Score", number(spam.score)));
    if spam.score >= 1.0 {
        out.push(Field::new("X-Spam-Level", "*".repeat((spam.score as usize).min(LEVEL_MAX))));
    }
    let yes = if junk { "Yes" } else { "No" };
    let mut status = format!("{yes}, score={} required={}", number(spam.score), number(spam.threshold));
    status.push_str("\r\n\ttests=[");
    let mut line = 8;
    for (i, test) in spam.tests.iter().enumerate() {
        if i > 0 {
            status.push(',');
            if line + test.len() > FOLD_AT {
                status.push_str("\r\n\t");
                line = 1;
            } else {
                status.push(' ');
            }
        }
        status.push_str(test);
        line += test.len() + 2;
    }
    status.push(']');
    out.push(Field::new("X-Spam-Status", status));
    out
}

/// One digit after the point, as Amavis writes it when it is enough.
fn number(points: f64) -> String {
    let points = if points.is_finite() { points } else { 0.0 };
    let text = format!("{points:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// With `zimbraSpamSubjectTag`, a spam's new subject and the place of its old one, if it had one.
pub fn subject(raw: &[u8], disposition: &Disposition, policy: &Policy) -> Option<(Option<usize>, Field)> {
    let tag = policy.spam_subject.as_deref().filter(|_| *disposition == Disposition::Junk)?;
    let old = fields(raw).enumerate().find(|(_, field)| field.is("Subject"));
    let Some((place, field)) = old else { return Some((None, Field::new("Subject", one_line(tag, 64)))) };
    // Bytes that are not UTF-8 could not be kept as they are: then the subject stays.
    let value = std::str::from_utf8(field.value).ok()?.trim_end_matches(['\r', '\n']).trim_start_matches(' ');
    let tagged = format!("{} {value}", one_line(tag, 64));
    Some((Some(place), Field::new("Subject", tagged)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use zcluster_api::directory::Attributes;

    fn policy() -> Policy {
        Policy::of(&Attributes::new(), false)
    }

    fn text(fields: &[Field]) -> String {
        fields.iter().map(|f| format!("{}: {}\n", f.name, f.value)).collect()
    }

    #[test]
    fn verdicts_in_amavis_words() {
        let found = Spam { score: 7.25, threshold: 6.6, tests: vec!["A_TEST".into(), "ANOTHER".into()] };
        let expected = "X-Spam-Flag: YES\nX-Spam-Score: 7.25\nX-Spam-Level: *******\n\
            X-Spam-Status: Yes, score=7.25 required=6.6\r\n\ttests=[A_TEST, ANOTHER]\n";
        assert_eq!(text(&spam(Some(&found), true, "", &policy())), expected);
        let clean = Spam { score: -0.1, threshold: 6.6, tests: vec![] };
        let expected =
            "X-Spam-Flag: NO\nX-Spam-Score: -0.1\nX-Spam-Status: No, score=-0.1 required=6.6\r\n\ttests=[]\n";
        assert_eq!(text(&spam(Some(&clean), false, "", &policy())), expected);
        let expected = "X-Spam-Flag: YES\nX-Spam-Status: Yes, DMARC quarantine\n";
        assert_eq!(text(&spam(None, true, "DMARC quarantine", &policy())), expected);
        assert_eq!(spam(None, false, "", &policy()), []);
        let eicar = Virus::Found("Eicar)\\".into());
        assert_eq!(
            text(&virus("mx", Some(&eicar))),
            "X-Virus-Scanned: clamd at mx\nX-Virus-Status: Infected (Eicar??)\n"
        );
    }

    #[test]
    fn many_tests_are_folded() {
        let tests = (0..100).map(|i| format!("A_RATHER_LONG_TEST_NAME_{i}")).collect();
        let found = spam(Some(&Spam { score: 1e9, threshold: 6.6, tests }), true, "", &policy());
        assert!(found.iter().all(|f| f.value.split("\r\n").all(|line| line.len() <= 100)));
        assert!(found.iter().all(|f| f.value.split("\r\n").skip(1).all(|line| line.starts_with('\t'))));
    }

    #[test]
    fn subjects_are_tagged() {
        let policy = Policy { spam_subject: Some("[SPAM]".into()), ..policy() };
        let tagged = |raw: &[u8]| subject(raw, &Disposition::Junk, &policy);
        let field = |value: &str| Field::new("Subject", value);
        assert_eq!(tagged(b"A: b\r\nSubject: hi\r\n there\r\n\r\n"), Some((Some(1), field("[SPAM] hi\r\n there"))));
        assert_eq!(tagged(b"A: b\r\n\r\n"), Some((None, field("[SPAM]"))));
        assert_eq!(tagged(b"Subject: \xff\r\n\r\n"), None);
        assert_eq!(subject(b"Subject: hi\r\n\r\n", &Disposition::Accept, &policy), None);
    }
}

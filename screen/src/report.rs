//! A lesson as a mail, in the form that Zimbra's `zmtrainsa` takes messages out of.

use crate::trainer::{Class, Lesson};
use zcluster_mail::rfc5322_date;

/// What is said about a lesson.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Who says it: the user's address.
    pub sender: &'a str,
    /// Whom it goes to.
    pub to: &'a str,
    /// What begins its subject (`zimbraSpamTrainingSubjectPrefix`).
    pub subject_prefix: &'a str,
    /// Our host, for the Message-ID.
    pub host: &'a str,
    /// 16 bytes that nobody else has.
    pub unique: [u8; 16],
    /// When, Unix milliseconds.
    pub unix_ms: i64,
}

/// The report with the message in it, unchanged.
pub fn report(report: &Report<'_>, lesson: &Lesson) -> Vec<u8> {
    let kind = if lesson.class == Class::Spam { "spam" } else { "ham" };
    let unique: String = report.unique.iter().map(|b| format!("{b:02x}")).collect();
    let clean = |text: &str| crate::text::one_line(text, 320);
    let (sender, to, host) = (clean(report.sender), clean(report.to), clean(report.host));
    let mut out = format!(
        "From: <{sender}>\r\nTo: <{to}>\r\nSubject: {} {kind}\r\nDate: {}\r\nMessage-ID: <{unique}@{host}>\r\n\
         X-Zimbra-Spam-Report-Sender: {sender}\r\nX-Zimbra-Spam-Report-Type: {kind}\r\nAuto-Submitted: auto-generated\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"={unique}\"\r\n\r\n\
         --={unique}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
         Classified-By: {sender}\r\nClassified-As: {kind}\r\n\r\n\
         --={unique}\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n",
        clean(report.subject_prefix),
        rfc5322_date(report.unix_ms),
    )
    .into_bytes();
    out.extend_from_slice(&lesson.raw);
    out.extend_from_slice(format!("\r\n--={unique}--\r\n").as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use zcluster_api::AccountId;

    #[test]
    fn the_message_is_in_it_unchanged() {
        let raw = Bytes::from_static(b"Subject: buy\r\n\r\n--boundary\r\ntext");
        let lesson = Lesson { class: Class::Spam, account: AccountId([1; 16]), raw: raw.clone() };
        let about = Report {
            sender: "a@x.test",
            to: "spam@x.test",
            subject_prefix: "zimbra-spam-report:",
            host: "mx",
            unique: [7; 16],
            unix_ms: 0,
        };
        let made = report(&about, &lesson);
        let summary = zcluster_mail::parse(&made);
        let [_, part] = summary.root.children() else { panic!("two parts") };
        assert!(part.is("message", "rfc822"));
        assert_eq!(&made[part.body_start as usize..part.body_end as usize], &raw[..]);
        let text = String::from_utf8_lossy(&made);
        assert!(
            text.contains("\r\nX-Zimbra-Spam-Report-Type: spam\r\n")
                && text.contains("Subject: zimbra-spam-report: spam\r\n")
        );
    }
}

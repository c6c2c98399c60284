//! Command lines (RFC 5321 §4.1.1 and the extensions offered).

use super::params::{BodyType, Hold, Notify, Return, is_original_recipient, is_xtext};
use super::path;

/// A command as understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// HELO with the client's name.
    Helo(String),
    /// EHLO with the client's name.
    Ehlo(String),
    /// LHLO with the client's name (RFC 2033 §4.1).
    Lhlo(String),
    /// MAIL FROM.
    Mail(MailFrom),
    /// RCPT TO.
    Rcpt(RcptTo),
    /// DATA.
    Data,
    /// BDAT (RFC 3030 §2).
    Bdat {
        /// Octets that follow.
        size: u64,
        /// The message ends with them.
        last: bool,
    },
    /// BURL (RFC 4468 §3.2): the message, or the next piece of it, is fetched by us.
    Burl {
        /// An IMAP URL with an authorization.
        url: String,
        /// The message ends with it.
        last: bool,
    },
    /// RSET.
    Rset,
    /// NOOP.
    Noop,
    /// VRFY.
    Vrfy,
    /// HELP.
    Help,
    /// QUIT.
    Quit,
    /// STARTTLS (RFC 3207).
    StartTls,
    /// AUTH (RFC 4954).
    Auth {
        /// Mechanism name.
        mechanism: String,
        /// Initial response as it stands on the line.
        initial: Option<Vec<u8>>,
    },
}

impl Command {
    /// The command's name, for metrics.
    pub fn verb(&self) -> &'static str {
        match self {
            Command::Helo(_) => "HELO",
            Command::Ehlo(_) => "EHLO",
            Command::Lhlo(_) => "LHLO",
            Command::Mail(_) => "MAIL",
            Command::Rcpt(_) => "RCPT",
            Command::Data => "DATA",
            Command::Bdat { .. } => "BDAT",
            Command::Burl { .. } => "BURL",
            Command::Rset => "RSET",
            Command::Noop => "NOOP",
            Command::Vrfy => "VRFY",
            Command::Help => "HELP",
            Command::Quit => "QUIT",
            Command::StartTls => "STARTTLS",
            Command::Auth { .. } => "AUTH",
        }
    }
}

/// The arguments of MAIL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailFrom {
    /// The reverse-path without brackets; empty for `<>`.
    pub path: String,
    /// SIZE (RFC 1870).
    pub size: Option<u64>,
    /// SMTPUTF8 (RFC 6531).
    pub utf8: bool,
    /// BODY (RFC 6152, RFC 3030).
    pub body: BodyType,
    /// RET (RFC 3461 §4.3).
    pub ret: Option<Return>,
    /// ENVID (RFC 3461 §4.4), as it was written (xtext).
    pub envid: Option<String>,
    /// REQUIRETLS (RFC 8689 §2).
    pub require_tls: bool,
    /// HOLDFOR, HOLDUNTIL (RFC 4865).
    pub hold: Option<Hold>,
}

/// The arguments of RCPT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RcptTo {
    /// The forward-path without brackets, not empty.
    pub path: String,
    /// NOTIFY (RFC 3461 §4.1).
    pub notify: Option<Notify>,
    /// ORCPT (RFC 3461 §4.2), as it was written (`rfc822;` and xtext).
    pub orcpt: Option<String>,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyntaxError {
    /// NUL or another control character, or not UTF-8.
    Characters,
    /// No such verb.
    Unknown,
    /// A verb of SMTP that is not offered.
    NotOffered,
    /// A verb of HTTP: a browser was talked into sending this.
    Http,
    /// Arguments missing, malformed or too many; says how it should look.
    Usage(&'static str),
    /// MAIL's path.
    ReversePath,
    /// RCPT's path.
    ForwardPath,
    /// Characters beyond ASCII in a path without SMTPUTF8.
    NeedsUtf8,
    /// An ESMTP parameter that is not offered.
    UnknownParameter,
    /// A known ESMTP parameter with a value that makes no sense, or twice.
    BadParameter,
}

/// Understands a line without its ending.
///
/// # Errors
/// [`SyntaxError`].
pub fn parse(line: &[u8]) -> Result<Command, SyntaxError> {
    let line = std::str::from_utf8(line).map_err(|_| SyntaxError::Characters)?;
    if line.chars().any(|c| c.is_control() && c != '\t') {
        return Err(SyntaxError::Characters);
    }
    // RFC 5321 §4.1.1: trailing white space is to be tolerated.
    let line = line.trim_end_matches([' ', '\t']);
    let (verb, args) = line.split_once(' ').unwrap_or((line, ""));
    match verb.to_ascii_uppercase().as_str() {
        "HELO" => name(args).map(Command::Helo),
        "EHLO" => name(args).map(Command::Ehlo),
        "LHLO" => name(args).map(Command::Lhlo),
        "MAIL" => mail(args),
        "RCPT" => rcpt(args),
        "DATA" => bare(args, Command::Data),
        "BDAT" => bdat(args),
        "BURL" => burl(args),
        "RSET" => bare(args, Command::Rset),
        "NOOP" => Ok(Command::Noop),
        "VRFY" if args.is_empty() => Err(SyntaxError::Usage("VRFY address")),
        "VRFY" => Ok(Command::Vrfy),
        "HELP" => Ok(Command::Help),
        "QUIT" => bare(args, Command::Quit),
        "STARTTLS" => bare(args, Command::StartTls),
        "AUTH" => auth(args),
        "EXPN" | "ETRN" | "TURN" | "ATRN" | "SEND" | "SOML" | "SAML" => Err(SyntaxError::NotOffered),
        "GET" | "POST" | "PUT" | "HEAD" | "OPTIONS" | "CONNECT" | "DELETE" | "PATCH" => Err(SyntaxError::Http),
        _ => Err(SyntaxError::Unknown),
    }
}

fn bare(args: &str, command: Command) -> Result<Command, SyntaxError> {
    if args.is_empty() { Ok(command) } else { Err(SyntaxError::Usage("no arguments are allowed")) }
}

/// RFC 5321 §4.1.1.1. What the client calls itself is only written down; so any domain-like word will do.
fn name(args: &str) -> Result<String, SyntaxError> {
    let name = args.trim_matches(' ');
    if path::is_domain(name) { Ok(name.to_string()) } else { Err(SyntaxError::Usage("a host name is needed")) }
}

/// Takes `keyword` (any case) off the front.
fn keyword<'a>(args: &'a str, keyword: &str) -> Option<&'a str> {
    let head = args.get(..keyword.len())?;
    head.eq_ignore_ascii_case(keyword).then(|| &args[keyword.len()..])
}

/// RFC 5321 §4.1.1.2.
fn mail(args: &str) -> Result<Command, SyntaxError> {
    let args = keyword(args.trim_start(), "FROM:").ok_or(SyntaxError::Usage("MAIL FROM:<address>"))?;
    let (path, rest) = path::split(args).ok_or(SyntaxError::ReversePath)?;
    if !path.is_empty() && !path::is_mailbox(path) {
        return Err(SyntaxError::ReversePath);
    }
    let mut from = MailFrom { path: path.to_string(), ..MailFrom::default() };
    parameters(rest, |name, value| mail_parameter(&mut from, name, value))?;
    if !from.utf8 && !from.path.is_ascii() {
        return Err(SyntaxError::NeedsUtf8);
    }
    Ok(Command::Mail(from))
}

fn mail_parameter(from: &mut MailFrom, name: &str, value: Option<&str>) -> Result<(), SyntaxError> {
    let bad = Err(SyntaxError::BadParameter);
    match (name, value) {
        // RFC 1870 §6: at most 20 digits.
        ("SIZE", Some(v)) if v.len() <= 20 && v.bytes().all(|b| b.is_ascii_digit()) => {
            // What does not fit into 64 bits is too large by any measure.
            from.size = Some(v.parse().unwrap_or(u64::MAX));
            Ok(())
        }
        ("BODY", Some(v)) => match BodyType::parse(v) {
            Some(body) => {
                from.body = body;
                Ok(())
            }
            None => bad,
        },
        ("RET", Some(v)) => match Return::parse(v) {
            Some(ret) => {
                from.ret = Some(ret);
                Ok(())
            }
            None => bad,
        },
        // RFC 3461 §4.4: at most 100 characters.
        ("ENVID", Some(v)) if v.len() <= 100 && is_xtext(v) => {
            from.envid = Some(v.to_string());
            Ok(())
        }
        ("REQUIRETLS", None) => {
            from.require_tls = true;
            Ok(())
        }
        // RFC 4865 §4: one of the two.
        ("HOLDFOR" | "HOLDUNTIL", Some(v)) if from.hold.is_none() => match Hold::parse(name, v) {
            Some(hold) => {
                from.hold = Some(hold);
                Ok(())
            }
            None => bad,
        },
        ("SMTPUTF8", None) => {
            from.utf8 = true;
            Ok(())
        }
        // RFC 4954 §5: who submitted it elsewhere; not trusted, so not kept.
        ("AUTH", Some(_)) => Ok(()),
        ("SIZE" | "BODY" | "SMTPUTF8" | "AUTH" | "RET" | "ENVID" | "REQUIRETLS" | "HOLDFOR" | "HOLDUNTIL", _) => bad,
        _ => Err(SyntaxError::UnknownParameter),
    }
}

/// RFC 5321 §4.1.1.3.
fn rcpt(args: &str) -> Result<Command, SyntaxError> {
    let args = keyword(args.trim_start(), "TO:").ok_or(SyntaxError::Usage("RCPT TO:<address>"))?;
    let (path, rest) = path::split(args).ok_or(SyntaxError::ForwardPath)?;
    // RFC 5321 §4.5.1: <Postmaster> alone has no domain.
    if !path::is_mailbox(path) && !path.eq_ignore_ascii_case("postmaster") {
        return Err(SyntaxError::ForwardPath);
    }
    let mut to = RcptTo { path: path::unquoted(path), ..RcptTo::default() };
    parameters(rest, |name, value| match (name, value) {
        ("NOTIFY", Some(v)) => {
            to.notify = Some(Notify::parse(v).ok_or(SyntaxError::BadParameter)?);
            Ok(())
        }
        ("ORCPT", Some(v)) if is_original_recipient(v) => {
            to.orcpt = Some(v.to_string());
            Ok(())
        }
        ("NOTIFY" | "ORCPT", _) => Err(SyntaxError::BadParameter),
        _ => Err(SyntaxError::UnknownParameter),
    })?;
    Ok(Command::Rcpt(to))
}

/// RFC 5321 §4.1.2 `Mail-parameters`: hands each over with its name in upper case, none twice.
fn parameters(
    rest: &str,
    mut each: impl FnMut(&str, Option<&str>) -> Result<(), SyntaxError>,
) -> Result<(), SyntaxError> {
    let mut seen: Vec<String> = Vec::new();
    for word in rest.split(' ').filter(|w| !w.is_empty()) {
        let (name, value) = word.split_once('=').map_or((word, None), |(n, v)| (n, Some(v)));
        let name = name.to_ascii_uppercase();
        // RFC 5321 §4.1.2 `esmtp-value`. An xtext may hold `=` (RFC 3461 §4 leaves it out, some clients do not).
        let value_ok = value.is_none_or(|v| !v.is_empty() && (!v.contains('=') || name == "ORCPT"));
        if seen.contains(&name) || !value_ok {
            return Err(SyntaxError::BadParameter);
        }
        each(&name, value)?;
        seen.push(name);
    }
    Ok(())
}

/// RFC 3030 §2: `BDAT chunk-size [LAST]`.
fn bdat(args: &str) -> Result<Command, SyntaxError> {
    const USAGE: SyntaxError = SyntaxError::Usage("BDAT size [LAST]");
    let mut words = args.split(' ').filter(|w| !w.is_empty());
    let size = words.next().filter(|w| w.bytes().all(|b| b.is_ascii_digit())).ok_or(USAGE)?;
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("LAST") => true,
        Some(_) => return Err(USAGE),
    };
    if words.next().is_some() {
        return Err(USAGE);
    }
    Ok(Command::Bdat { size: size.parse().map_err(|_| USAGE)?, last })
}

/// RFC 4468 §3.2: `BURL url [LAST]`.
fn burl(args: &str) -> Result<Command, SyntaxError> {
    const USAGE: SyntaxError = SyntaxError::Usage("BURL url [LAST]");
    let mut words = args.split(' ').filter(|w| !w.is_empty());
    let url = words.next().ok_or(USAGE)?.to_string();
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("LAST") => true,
        Some(_) => return Err(USAGE),
    };
    if words.next().is_some() {
        return Err(USAGE);
    }
    Ok(Command::Burl { url, last })
}

/// RFC 4954 §4: `AUTH mechanism [initial-response]`.
fn auth(args: &str) -> Result<Command, SyntaxError> {
    let mut words = args.split(' ').filter(|w| !w.is_empty());
    let mechanism = words.next().ok_or(SyntaxError::Usage("AUTH mechanism [initial-response]"))?.to_string();
    let initial = words.next().map(|w| w.as_bytes().to_vec());
    if words.next().is_some() {
        return Err(SyntaxError::Usage("AUTH mechanism [initial-response]"));
    }
    Ok(Command::Auth { mechanism, initial })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mail_of(path: &str, size: Option<u64>, utf8: bool) -> Command {
        Command::Mail(MailFrom { path: path.into(), size, utf8, ..MailFrom::default() })
    }

    #[test]
    fn understood() {
        for (line, command) in [
            ("helo a", Command::Helo("a".into())),
            ("EHLO [192.0.2.1]", Command::Ehlo("[192.0.2.1]".into())),
            ("LHLO x.example  ", Command::Lhlo("x.example".into())),
            ("MAIL FROM:<>", mail_of("", None, false)),
            (
                "mail from:<a@b> size=12 BODY=8bitmime",
                Command::Mail(MailFrom {
                    path: "a@b".into(),
                    size: Some(12),
                    body: BodyType::EightBit,
                    ..MailFrom::default()
                }),
            ),
            (
                "MAIL FROM:<a@b> RET=hdrs ENVID=QQ+2B314 REQUIRETLS HOLDFOR=86400 BODY=BINARYMIME",
                Command::Mail(MailFrom {
                    path: "a@b".into(),
                    body: BodyType::Binary,
                    ret: Some(Return::Headers),
                    envid: Some("QQ+2B314".into()),
                    require_tls: true,
                    hold: Some(Hold::For(86_400)),
                    ..MailFrom::default()
                }),
            ),
            (
                "MAIL FROM:<a@b> HOLDUNTIL=1970-01-02T00:00:00Z",
                Command::Mail(MailFrom {
                    path: "a@b".into(),
                    hold: Some(Hold::Until(86_400_000)),
                    ..MailFrom::default()
                }),
            ),
            (
                "RCPT TO:<c@d> NOTIFY=success,Delay ORCPT=rfc822;Carol+40D@x",
                Command::Rcpt(RcptTo {
                    path: "c@d".into(),
                    notify: Some(Notify { success: true, failure: false, delay: true }),
                    orcpt: Some("rfc822;Carol+40D@x".into()),
                }),
            ),
            ("BURL imap://a@h/b;uid=1 last", Command::Burl { url: "imap://a@h/b;uid=1".into(), last: true }),
            ("MAIL FROM: <a@b> AUTH=<>", mail_of("a@b", None, false)),
            ("MAIL FROM:<bö@b> SMTPUTF8", mail_of("bö@b", None, true)),
            ("MAIL FROM:<a@b> SIZE=99999999999999999999", mail_of("a@b", Some(u64::MAX), false)),
            ("RCPT TO:<@relay:c@d>", Command::Rcpt(RcptTo { path: "c@d".into(), ..RcptTo::default() })),
            ("RCPT TO:<postMaster>", Command::Rcpt(RcptTo { path: "postMaster".into(), ..RcptTo::default() })),
            ("BDAT 10 last", Command::Bdat { size: 10, last: true }),
            ("BDAT 0", Command::Bdat { size: 0, last: false }),
            ("NOOP whatever", Command::Noop),
            ("AUTH PLAIN =", Command::Auth { mechanism: "PLAIN".into(), initial: Some(b"=".to_vec()) }),
            ("data", Command::Data),
        ] {
            assert_eq!(parse(line.as_bytes()), Ok(command), "{line}");
        }
    }

    #[test]
    fn refused() {
        use SyntaxError::*;
        for (line, error) in [
            ("", Unknown),
            ("WIZ", Unknown),
            ("EXPN list", NotOffered),
            ("GET / HTTP/1.1", Http),
            ("MAIL FROM:a@b", ReversePath),
            ("MAIL FROM:<a>", ReversePath),
            ("MAIL FROM:<a@b>SIZE=1", ReversePath),
            ("MAIL FROM:<bö@b>", NeedsUtf8),
            ("MAIL FROM:<a@b> SIZE=x", BadParameter),
            ("MAIL FROM:<a@b> SIZE=", BadParameter),
            ("MAIL FROM:<a@b> SIZE=1 SIZE=2", BadParameter),
            ("MAIL FROM:<a@b> SMTPUTF8=1", BadParameter),
            ("MAIL FROM:<a@b> BODY=9BIT", BadParameter),
            ("MAIL FROM:<a@b> RET=ALL", BadParameter),
            ("MAIL FROM:<a@b> ENVID=a+2", BadParameter),
            ("MAIL FROM:<a@b> REQUIRETLS=YES", BadParameter),
            ("MAIL FROM:<a@b> HOLDFOR=-1", BadParameter),
            ("MAIL FROM:<a@b> HOLDFOR=1 HOLDUNTIL=1970-01-02T00:00:00Z", BadParameter),
            ("MAIL FROM:<a@b> HOLDUNTIL=tomorrow", BadParameter),
            ("MAIL FROM:<a@b> MT-PRIORITY=3", UnknownParameter),
            ("RCPT TO:<>", ForwardPath),
            ("RCPT TO:<a@b> NOTIFY=NEVER,SUCCESS", BadParameter),
            ("RCPT TO:<a@b> ORCPT=c@d", BadParameter),
            ("RCPT TO:<a@b> BY=1", UnknownParameter),
            ("MAIL FROM:<a\0@b>", Characters),
        ] {
            assert_eq!(parse(line.as_bytes()), Err(error), "{line}");
        }
        assert_eq!(parse(b"NOOP \xff"), Err(Characters));
        for usage in [
            "HELO",
            "EHLO a b",
            "DATA now",
            "BDAT",
            "BDAT x",
            "BDAT 1 FIRST",
            "BDAT 1 LAST x",
            "BDAT -1",
            "RSET x",
            "AUTH",
            "AUTH A B C",
            "VRFY",
            "MAIL TO:<a@b>",
            "RCPT FROM:<a@b>",
            "BDAT 99999999999999999999",
            "BURL",
            "BURL imap://a FIRST",
            "BURL imap://a LAST x",
        ] {
            assert!(matches!(parse(usage.as_bytes()), Err(Usage(_))), "{usage}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&line);
        }

        #[test]
        fn odd_mail_and_rcpt_never_panic(path in "\\PC{0,40}", rest in "\\PC{0,40}") {
            let _ = parse(format!("MAIL FROM:<{path}>{rest}").as_bytes());
            let _ = parse(format!("RCPT TO:<{path}> {rest}").as_bytes());
            let _ = parse(format!("MAIL {path} {rest}").as_bytes());
        }
    }
}

//! Names, texts and room: what several commands ask about scripts.

use crate::codec::reply::{Code, Reply};
use crate::config::{DIAGNOSTICS_MAX, TEXT_CHARS_MAX};
use crate::errors::{Failure, Outcome, refused, refused_with};
use crate::session::{Session, too_large};
use std::fmt::Display;
use zcluster_api::delivery::{SCRIPT_NAME_BYTES_MAX, SCRIPTS_BYTES_MAX, SCRIPTS_MAX, ScriptInfo};
use zcluster_api::{Bytes, Error, MailboxQuery, MailboxReply};
use zcluster_sieve::Limits;

/// Whether a script may be called so (RFC 5804 §1.6). `/` is kept out because scripts end up as files in backups and
/// in other programs.
pub fn check_name(name: &str) -> Result<(), Failure> {
    let bad = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '/');
    if name.is_empty() {
        return Err(refused("a script's name must not be empty"));
    }
    if name.len() > SCRIPT_NAME_BYTES_MAX {
        return Err(refused(format!("a script's name may have {SCRIPT_NAME_BYTES_MAX} bytes")));
    }
    if name.chars().any(bad) {
        return Err(refused("a script's name must have neither control characters nor /"));
    }
    Ok(())
}

/// There is no such script.
pub fn missing(name: &str) -> Failure {
    refused_with(Code::NonExistent, format!("there is no script {name:?}"))
}

/// The text of a script.
pub async fn text(session: &Session, name: &str) -> Result<Bytes, Failure> {
    match session.ask(MailboxQuery::Script(name.into())).await? {
        Ok(MailboxReply::Script(script)) => Ok(script.source),
        Ok(_) => Err(odd()),
        Err(Error::NotFound(_)) => Err(missing(name)),
        Err(error) => Err(error.into()),
    }
}

/// All scripts, by name.
pub async fn list(session: &Session) -> Result<Vec<ScriptInfo>, Failure> {
    match session.ask(MailboxQuery::Scripts).await?? {
        MailboxReply::Scripts(scripts) => Ok(scripts),
        _ => Err(odd()),
    }
}

fn odd() -> Failure {
    Error::Internal("reply of another query".into()).into()
}

/// Whether a script makes sense: what to answer if everything else goes well, with its warnings (RFC 5804 §1.3).
pub async fn check(session: &Session, source: &Bytes) -> Outcome {
    let max = session.user()?.script_bytes_max;
    if source.len() > max {
        return Err(Failure::Refused(too_large(max)));
    }
    let limits = Limits { script_bytes: max, ..session.service.config.limits };
    let source = source.clone();
    // Not among the sessions: many large regular expressions take their time.
    let compiled = zcluster_runtime::spawn_blocking(move || zcluster_sieve::compile(&source, &limits)).await;
    match compiled {
        Ok(Ok(script)) if script.warnings().is_empty() => Ok(Reply::ok("")),
        Ok(Ok(script)) => Ok(Reply::ok(lines(script.warnings())).with(Code::Warnings)),
        Ok(Err(faults)) => Err(refused(lines(&faults))),
        Err(_) => Err(Error::Internal("compiling a script failed".into()).into()),
    }
}

/// One line each.
fn lines(diagnostics: &[impl Display]) -> String {
    let cut = |d: &dyn Display| d.to_string().chars().take(TEXT_CHARS_MAX).collect::<String>();
    let mut lines: Vec<String> = diagnostics.iter().take(DIAGNOSTICS_MAX).map(|d| cut(d)).collect();
    if let Some(more) = diagnostics.len().checked_sub(DIAGNOSTICS_MAX).filter(|n| *n > 0) {
        lines.push(format!("and {more} more"));
    }
    lines.join("\r\n")
}

/// Whether a script of so many bytes fits beside the others, perhaps instead of one of the same name.
pub fn check_room(scripts: &[ScriptInfo], name: &str, size: u64) -> Result<(), Failure> {
    let others = || scripts.iter().filter(|s| s.name != name);
    if others().count() >= SCRIPTS_MAX as usize {
        return Err(refused_with(Code::MaxScripts, format!("there may be {SCRIPTS_MAX} scripts")));
    }
    let used: u64 = others().map(|s| s.size).sum();
    if used.saturating_add(size) > SCRIPTS_BYTES_MAX {
        let text = format!("all scripts together may have {SCRIPTS_BYTES_MAX} bytes, {used} are used");
        return Err(refused_with(Code::MaxSize, text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(outcome: Result<(), Failure>) -> String {
        match outcome {
            Ok(()) => "fits".into(),
            Err(Failure::Refused(reply)) => reply.to_string(),
            Err(Failure::End(end)) => format!("{end:?}"),
        }
    }

    #[test]
    fn names() {
        for good in ["a", "Grüße von unterwegs", &"x".repeat(512), "a\"b\\c", "."] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "a\nb", "a\u{85}b", "a\u{2028}b", "../a", "\0", &"x".repeat(513)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn room() {
        let script = |name: String, size| ScriptInfo { name, size, active: false };
        let many: Vec<_> = (0..SCRIPTS_MAX).map(|n| script(n.to_string(), 10)).collect();
        assert_eq!(reply(check_room(&many, "5", 10)), "fits");
        assert_eq!(reply(check_room(&many, "x", 10)), "NO (QUOTA/MAXSCRIPTS) \"there may be 64 scripts\"\r\n");
        let large = [script("a".into(), SCRIPTS_BYTES_MAX - 10), script("b".into(), 5)];
        assert_eq!(reply(check_room(&large, "c", 5)), "fits");
        assert!(reply(check_room(&large, "c", 6)).starts_with("NO (QUOTA/MAXSIZE) "));
        assert_eq!(reply(check_room(&large, "b", 10)), "fits");
    }

    #[test]
    fn long_lists_of_faults_are_cut() {
        let text = lines(&vec!["x".repeat(400); 25]);
        assert_eq!(text.lines().count(), DIAGNOSTICS_MAX + 1);
        assert!(text.ends_with("\r\nand 5 more") && text.lines().all(|l| l.len() <= TEXT_CHARS_MAX));
        assert_eq!(lines(&["a"]), "a");
    }
}

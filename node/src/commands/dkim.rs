//! `zcluster dkim`: the keys that domains sign with.

use crate::admin::client::Client;
use crate::admin::dkim::{DkimAction, DkimReply, DkimRequest};
use crate::cli::{Dkim, DkimCommand, DkimPlace};
use anyhow::Result;

/// Bytes of one string in a TXT record (RFC 1035 §3.3.14).
const STRING_MAX: usize = 255;

/// Runs the command.
///
/// # Errors
/// What to tell the user.
pub async fn run(args: Dkim) -> Result<()> {
    let (place, action) = match args.command {
        DkimCommand::Generate { place, kind, selector } => {
            let selector = selector.unwrap_or_else(|| new_selector(kind));
            (place, DkimAction::Generate { kind, selector })
        }
        DkimCommand::Show(place) => (place, DkimAction::Show),
        DkimCommand::Activate(place) => (place, DkimAction::Activate),
        DkimCommand::Remove { place, selector } => (place, DkimAction::Remove { selector }),
    };
    let DkimPlace { domain, reach, json } = place;
    let reply: DkimReply = Client::new(&reach)?.post("/v1/dkim", &DkimRequest { domain, action }).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&reply)?);
        return Ok(());
    }
    if reply.keys.is_empty() {
        println!("the domain has no DKIM key: messages leave unsigned");
    }
    for key in reply.keys {
        let state = if key.active { "signs" } else { "waits: publish the record, then `zcluster dkim activate`" };
        println!("; {} {state}", key.selector);
        println!("{}. IN TXT ({})", key.name, strings(&key.record));
    }
    Ok(())
}

/// A selector of the day: keys that follow each other need different ones.
fn new_selector(kind: crate::admin::dkim::DkimKind) -> String {
    let day = chrono::DateTime::from_timestamp_millis(zcluster_runtime::wall_ms() as i64).unwrap_or_default();
    let kind = if kind == crate::admin::dkim::DkimKind::Rsa { "r" } else { "e" };
    format!("{}{kind}", day.format("%Y%m%d"))
}

/// As zone files have it.
fn strings(record: &str) -> String {
    let parts = record.as_bytes().chunks(STRING_MAX).map(|part| format!("\"{}\"", String::from_utf8_lossy(part)));
    parts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::strings;

    #[test]
    fn long_records_are_split() {
        assert_eq!(strings("v=DKIM1; p=x"), "\"v=DKIM1; p=x\"");
        assert_eq!(strings(&"a".repeat(256)), format!("\"{}\" \"a\"", "a".repeat(255)));
    }
}

//! `zcluster report`: what this node will tell domains about their mail.

use crate::admin::client::Client;
use crate::cli::{Report, ReportCommand};
use anyhow::Result;
use comfy_table::Table;
use zcluster_relay::reports::{Kind, Outcome, Pending, Sent};

/// Seconds of a day.
const DAY_S: i64 = 24 * 60 * 60;

/// Runs the command.
///
/// # Errors
/// What to tell the user.
pub async fn run(args: Report) -> Result<()> {
    match args.command {
        ReportCommand::List(place) => {
            let pending: Vec<Pending> = Client::new(&place.reach)?.get("/v1/report/list").await?;
            if place.json {
                println!("{}", serde_json::to_string(&pending)?);
                return Ok(());
            }
            let mut table = table(&["day", "about", "domain", "good", "bad"]);
            for p in &pending {
                table.add_row([
                    day(p.day),
                    about(p.kind).into(),
                    p.domain.clone(),
                    p.good.to_string(),
                    p.bad.to_string(),
                ]);
            }
            println!("{table}");
        }
        ReportCommand::SendNow(place) => {
            let sent: Vec<Sent> = Client::new(&place.reach)?.post("/v1/report/send", &()).await?;
            if place.json {
                println!("{}", serde_json::to_string(&sent)?);
                return Ok(());
            }
            let mut table = table(&["day", "about", "domain", "result"]);
            for Sent { report, outcome } in &sent {
                let result = match outcome {
                    Outcome::Sent(to) => format!("to {}", to.join(", ")),
                    Outcome::Unwanted => "nobody wants it".into(),
                    Outcome::Later(why) => format!("later: {why}"),
                };
                table.add_row([day(report.day), about(report.kind).into(), report.domain.clone(), result]);
            }
            println!("{table}");
        }
    }
    Ok(())
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::TableStyle::new());
    table.set_header(header.to_vec());
    table
}

fn about(kind: Kind) -> &'static str {
    match kind {
        Kind::Tls => "TLS",
        Kind::Dmarc => "DMARC",
    }
}

fn day(day: u64) -> String {
    let time = chrono::DateTime::from_timestamp(day as i64 * DAY_S, 0).unwrap_or_default();
    time.format("%Y-%m-%d").to_string()
}

//! What bodies on volumes cost: storage and requests at a store's list prices, from what this cluster has measured.

use crate::admin::client::Client;
use crate::admin::status::StatusReply;
use crate::commands::volume::Only;
use anyhow::{Result, bail};
use clap::Args;
use comfy_table::Table;
use serde::Serialize;

const YEAR_S: f64 = 365.0 * 86_400.0;
const MONTHS: f64 = 12.0;
/// What is measured for a shorter time than this says little of a year.
const MEASURED_MIN_S: f64 = 3_600.0;

/// `zcluster blob cost`. The prices are those of Amazon S3 Standard in us-east-1, in dollars.
#[derive(Debug, Args)]
pub struct Cost {
    /// Storage of a gigabyte (1,000,000,000 bytes) for a month
    #[arg(long, default_value_t = 0.023, value_name = "DOLLARS")]
    pub storage: f64,
    /// A thousand PUT or LIST requests
    #[arg(long, default_value_t = 0.005, value_name = "DOLLARS")]
    pub put: f64,
    /// A thousand GET requests
    #[arg(long, default_value_t = 0.0004, value_name = "DOLLARS")]
    pub get: f64,
    /// Bytes that an object is paid for at least (Standard-IA: 131072)
    #[arg(long, default_value_t = 0, value_name = "BYTES")]
    pub smallest: u64,
    /// Bodies that come to a mailbox in a day; without it, what came since the nodes started
    #[arg(long, value_name = "NUMBER")]
    pub arriving: Option<f64>,
    /// Where.
    #[command(flatten)]
    pub only: Only,
}

/// What was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Measured {
    mailboxes: f64,
    /// Bodies that lie in packs, and their bytes.
    bodies: f64,
    bytes: f64,
    /// Objects on volumes, and their bytes.
    objects: f64,
    object_bytes: f64,
    /// Since the nodes started: how long that is, packs written and bodies in them, requests.
    seconds: f64,
    packs_written: f64,
    bodies_written: f64,
    puts: f64,
    gets: f64,
    lists: f64,
}

/// Cents per mailbox and year.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cents {
    storage: f64,
    put: f64,
    get: f64,
    sum: f64,
}

/// The answer.
#[derive(Debug, Serialize)]
struct Answer {
    measured: Measured,
    /// Bodies that come to a mailbox in a year.
    arriving: f64,
    /// Bodies in a pack.
    per_pack: f64,
    with_packs: Cents,
    /// As if every body was an object.
    without_packs: Cents,
}

fn measured(status: &StatusReply) -> Measured {
    let sum = |name: &str| status.nodes.iter().filter_map(|n| n.packing.get(name)).sum::<u64>() as f64;
    let longest = status.nodes.iter().filter_map(|n| n.packing.get("pack_seconds")).max().copied().unwrap_or(0);
    Measured {
        mailboxes: status.shards.iter().map(|s| s.mailboxes).sum::<u64>() as f64,
        bodies: sum("packed_bodies"),
        bytes: sum("packed_bytes"),
        objects: sum("volume_objects"),
        object_bytes: sum("volume_bytes"),
        seconds: longest as f64,
        packs_written: sum("pack_objects_written"),
        bodies_written: sum("pack_bodies_written"),
        puts: sum("volume_puts"),
        gets: sum("volume_gets"),
        lists: sum("volume_lists"),
    }
}

fn answer(m: Measured, args: &Cost) -> Answer {
    let per_year = |count: f64| if m.seconds > 0.0 { count / m.seconds * YEAR_S / m.mailboxes } else { 0.0 };
    let arriving = args.arriving.map_or_else(|| per_year(m.bodies_written), |day| day * 365.0);
    let per_pack = match (m.packs_written > 0.0, m.objects > 0.0) {
        (true, _) => m.bodies_written / m.packs_written,
        (false, true) => (m.bodies / m.objects).max(1.0),
        (false, false) => 1.0,
    };
    let gets = per_year(m.gets);
    let cents = |bytes: f64, objects: f64, puts: f64| {
        let paid = bytes.max(objects * args.smallest as f64);
        let storage = paid / m.mailboxes / 1e9 * args.storage * MONTHS * 100.0;
        let (put, get) = (puts / 1_000.0 * args.put * 100.0, gets / 1_000.0 * args.get * 100.0);
        Cents { storage, put, get, sum: storage + put + get }
    };
    // Packs are listed only by who verifies them; those requests cost as much as writing does.
    let with_packs = cents(m.object_bytes, m.objects, arriving / per_pack + per_year(m.lists));
    let without_packs = cents(m.bytes, m.bodies, arriving);
    Answer { measured: m, arriving, per_pack, with_packs, without_packs }
}

/// Runs the command.
///
/// # Errors
/// What to tell the user.
pub async fn run(args: Cost) -> Result<()> {
    let status: StatusReply = Client::new(&args.only.reach)?.get("/v1/status").await?;
    let measured = measured(&status);
    if measured.mailboxes < 1.0 || measured.bodies < 1.0 {
        bail!("no bodies lie on volumes yet: there is nothing to measure");
    }
    let answer = answer(measured, &args);
    if args.only.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        print(&answer, &args);
    }
    Ok(())
}

fn print(answer: &Answer, args: &Cost) {
    let m = &answer.measured;
    println!(
        "{} mailboxes; {} bodies of {:.1} MB in {} objects of {:.1} MB",
        m.mailboxes,
        m.bodies,
        m.bytes / 1e6,
        m.objects,
        m.object_bytes / 1e6
    );
    println!(
        "in {:.1} hours: {} packs with {} bodies written ({:.0} bodies a pack), {} PUT, {} GET, {} LIST",
        m.seconds / 3_600.0,
        m.packs_written,
        m.bodies_written,
        answer.per_pack,
        m.puts,
        m.gets,
        m.lists
    );
    let by = if args.arriving.is_some() { "as given" } else { "at the rate measured" };
    println!("bodies that come to a mailbox in a year: {:.0} ({by})", answer.arriving);
    println!("prices: {} $ per GB and month, {} $ per 1,000 PUT, {} $ per 1,000 GET", args.storage, args.put, args.get);
    let mut table = Table::new();
    table.load_style(comfy_table::TableStyle::new());
    table.set_header(["cents per mailbox and year", "with packs", "an object a body"]);
    let (with, without) = (&answer.with_packs, &answer.without_packs);
    for (name, a, b) in [
        ("storage", with.storage, without.storage),
        ("PUT, LIST", with.put, without.put),
        ("GET", with.get, without.get),
        ("sum", with.sum, without.sum),
    ] {
        table.add_row([name.to_string(), format!("{a:.4}"), format!("{b:.4}")]);
    }
    println!("{table}");
    if m.seconds < MEASURED_MIN_S {
        println!(
            "measured for less than an hour: rates of a year are a guess (--arriving NUMBER says how many bodies come)"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_costs_what_it_costs() {
        let only = Only { reach: crate::cli::Reach::default(), json: false };
        let mut args = Cost { storage: 0.023, put: 0.005, get: 0.0004, smallest: 0, arriving: Some(100.0), only };
        let measured = Measured {
            mailboxes: 10.0,
            bodies: 1_000.0,
            bytes: 10e6,
            objects: 2.0,
            object_bytes: 11e6,
            seconds: YEAR_S / 10.0,
            packs_written: 4.0,
            bodies_written: 4_000.0,
            puts: 5.0,
            gets: 1_000.0,
            lists: 0.0,
        };
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9 * b.abs().max(1.0), "{a} is not {b}");
        let got = answer(measured, &args);
        near(got.arriving, 36_500.0);
        near(got.per_pack, 1_000.0);
        near(got.without_packs.put, 36.5 * 0.5);
        near(got.with_packs.put, 0.0365 * 0.5);
        near(got.without_packs.storage, 1e6 / 1e9 * 0.023 * 12.0 * 100.0);
        near(got.with_packs.get, 1.0 * 0.04);
        // Where an object is paid for 128 KiB at least, a body of 10 kB costs thirteen times as much alone.
        args.smallest = 131_072;
        let got = answer(measured, &args);
        near(got.without_packs.storage / got.with_packs.storage, 131.072 / 11.0);
    }
}

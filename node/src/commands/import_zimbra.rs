//! `zcluster import-zimbra`: the dump of a Zimbra site's LDAP, brought in.

use super::carry_in::{Batches, Progress};
use crate::admin::client::Client;
use crate::cli::Reach;
use anyhow::{Context, Result};
use clap::Args;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use zcluster_directory::ldif::{LdifError, Reader, Record};
use zcluster_directory::wanted::{Done, Manner, Outcome, Wanted};
use zcluster_directory::zimbra::{Dump, Stage};

const READ_BUFFER: usize = 256 * 1024;
/// Entries were left: something is to be looked at.
const SOME_LEFT: u8 = 3;

/// `zcluster import-zimbra`.
#[derive(Debug, Args)]
pub struct ImportZimbra {
    /// What slapcat or zmslapcat wrote
    #[arg(value_name = "LDIF")]
    pub file: PathBuf,
    /// How to reach the cluster.
    #[command(flatten)]
    pub reach: Reach,
    /// Write nothing, and tell what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Let mail of imported accounts go on to their old servers (zimbraMailTransport), for a step-by-step move
    #[arg(long)]
    pub keep_transport: bool,
    /// Leave entries alone that are there already with other values
    #[arg(long)]
    pub no_update: bool,
    /// Write the report as a JSON object
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// What to tell the user.
pub async fn run(args: ImportZimbra) -> Result<u8> {
    let client = Client::new(&args.reach)?;
    let manner = Manner { dry_run: args.dry_run, update: !args.no_update };
    let mut dump = Dump::new(args.keep_transport);
    let mut progress = Progress::new();
    let mut read = 0;
    let mut unreadable = Vec::new();
    let mut survey = open(&args.file)?;
    while let Some(record) = next(&mut survey, &mut unreadable)? {
        dump.survey(&record);
        read += 1;
        progress.show("reading", read, 0);
    }
    unreadable.iter().for_each(|why| dump.report.unreadable(why));
    for stage in Stage::ALL.into_iter().filter(|s| dump.count(*s) > 0).collect::<Vec<_>>() {
        progress.restart();
        let mut batches = Batches::new(client.clone(), manner);
        let mut reader = open(&args.file)?;
        let (mut done, all) = (0, dump.count(stage));
        // What cannot be read was told already.
        while let Some(record) = next(&mut reader, &mut Vec::new())? {
            let Some(wanted) = dump.wish(stage, &record) else { continue };
            let outcomes = batches.put(wanted).await?;
            done += outcomes.len() as u64;
            note(&mut dump, outcomes);
            progress.show(stage.title(), done, all);
        }
        note(&mut dump, batches.flush().await?);
    }
    progress.clear();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&dump.report)?);
    } else {
        if args.dry_run {
            println!("A dry run: nothing was written.\n");
        }
        print!("{}", dump.report);
    }
    let left = dump.report.entries.values().any(|t| t.left > 0) || !unreadable.is_empty();
    Ok(if left { SOME_LEFT } else { 0 })
}

fn note(dump: &mut Dump, outcomes: Vec<(Wanted, Outcome)>) {
    for (wanted, outcome) in outcomes {
        if let Some(id) = &outcome.id
            && outcome.done != Done::Left
        {
            dump.is_called(&wanted, id);
        }
        dump.report.note(&wanted, &outcome);
    }
}

/// Opens a file to be read record by record.
///
/// # Errors
/// What to tell the user.
pub fn open(path: &Path) -> Result<Reader<BufReader<File>>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Reader::new(BufReader::with_capacity(READ_BUFFER, file)))
}

/// The next record that can be read; what cannot is told beside.
///
/// # Errors
/// The file.
pub fn next(reader: &mut Reader<BufReader<File>>, unreadable: &mut Vec<String>) -> Result<Option<Record>> {
    /// Told of at most.
    const UNREADABLE_MAX: usize = 1_000;
    loop {
        match reader.next() {
            Ok(record) => return Ok(record),
            Err(e @ LdifError::Record { .. }) if unreadable.len() < UNREADABLE_MAX => unreadable.push(e.to_string()),
            Err(LdifError::Record { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

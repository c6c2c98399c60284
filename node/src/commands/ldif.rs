//! `zcluster ldif`: entries as text, both ways.

use super::carry_in::{Batches, Progress, patiently};
use super::import_zimbra::{next, open};
use crate::admin::client::{CallError, Client};
use crate::admin::directory::ChangeReply;
use crate::cli::Reach;
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use zcluster_api::directory::ObjectKind;
use zcluster_directory::change::{Change, How};
use zcluster_directory::dn::{Dn, Rdn};
use zcluster_directory::ldif::{Line, Record, What, Writer};
use zcluster_directory::shown::{KindName, Listed, Listing, wanted};
use zcluster_directory::tree::{self, Container, Place};
use zcluster_directory::wanted::{Done, Manner, Outcome, Wanted};
use zcluster_directory::zimbra::Report;

/// Records were left: something is to be looked at.
const SOME_LEFT: u8 = 3;

/// `zcluster ldif`.
#[derive(Debug, Args)]
pub struct Ldif {
    /// What to do.
    #[command(subcommand)]
    pub command: LdifCommand,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum LdifCommand {
    /// Write entries, in Zimbra's tree; passwords as hashes
    Export(Export),
    /// Bring entries in and carry out change records
    Import(Import),
}

/// `zcluster ldif export`.
#[derive(Debug, Args)]
pub struct Export {
    /// Only this entry and those below it
    #[arg(long, value_name = "DN")]
    pub base: Option<String>,
    /// Only entries that this filter fits (RFC 4515)
    #[arg(long, value_name = "FILTER")]
    pub filter: Option<String>,
    /// Only entries' own attributes; this is the default
    #[arg(long, conflicts_with = "effective")]
    pub own: bool,
    /// With what accounts, domains and servers inherit
    #[arg(long)]
    pub effective: bool,
    /// Write to this file, which only its owner can read
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// How to reach the cluster.
    #[command(flatten)]
    pub reach: Reach,
}

/// `zcluster ldif import`.
#[derive(Debug, Args)]
pub struct Import {
    /// The file
    #[arg(value_name = "LDIF")]
    pub file: PathBuf,
    /// Give entries that are there with other values those of the file; else they are left
    #[arg(long)]
    pub update: bool,
    /// Write nothing, and tell what would be done; change records are passed over
    #[arg(long)]
    pub dry_run: bool,
    /// Pass over so many records at the beginning: to go on with change records
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub skip: u64,
    /// Stop at the first record that is left
    #[arg(long)]
    pub stop: bool,
    /// Write the report as a JSON object
    #[arg(long)]
    pub json: bool,
    /// How to reach the cluster.
    #[command(flatten)]
    pub reach: Reach,
}

/// Runs the command.
///
/// # Errors
/// What to tell the user.
pub async fn run(args: Ldif) -> Result<u8> {
    match args.command {
        LdifCommand::Export(args) => export(args).await.map(|()| 0),
        LdifCommand::Import(args) => import(args).await,
    }
}

struct Exporter {
    client: Client,
    writer: Writer<Box<dyn Write>>,
    listing: Listing,
    base: Option<Dn>,
    /// Fixed entries written so far.
    fixed: BTreeSet<String>,
    progress: Progress,
    count: u64,
}

async fn export(args: Export) -> Result<()> {
    let base = args.base.as_deref().map(Dn::parse).transpose().context("--base")?;
    let out: Box<dyn Write> = match &args.output {
        Some(path) => {
            use std::os::unix::fs::OpenOptionsExt;
            let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path);
            Box::new(BufWriter::new(file.with_context(|| format!("cannot write {}", path.display()))?))
        }
        None => Box::new(BufWriter::new(std::io::stdout())),
    };
    let listing =
        Listing { base: args.base.clone(), filter: args.filter, effective: args.effective, ..Listing::default() };
    let mut exporter = Exporter {
        client: Client::new(&args.reach)?,
        writer: Writer::new(out)?,
        listing,
        base,
        fixed: BTreeSet::new(),
        progress: Progress::new(),
        count: 0,
    };
    exporter.all().await?;
    exporter.progress.clear();
    exporter.writer.finish()?;
    Ok(())
}

impl Exporter {
    async fn all(&mut self) -> Result<()> {
        use ObjectKind as K;
        let place = self.base.as_ref().and_then(tree::place);
        let domain = match &place {
            Some(Place::People(d) | Place::Groups(d)) => Some(d.clone()),
            Some(Place::Person(a) | Place::Group(a)) => a.rsplit_once('@').map(|(_, d)| d.to_string()),
            _ => None,
        };
        let global = matches!(place, None | Some(Place::Root | Place::Container(_) | Place::Named(..)));
        if global {
            for container in Container::ALL.into_iter().filter(|c| *c != Container::Mime) {
                self.fixed(&container.dn())?;
            }
            self.kinds(&[K::Config, K::GlobalGrant], None).await?;
            self.fixed(&Container::Mime.dn())?;
            self.kinds(&[K::Cos], None).await?;
            let others = [
                K::Server,
                K::Zimlet,
                K::MimeType,
                K::XmppComponent,
                K::AlwaysOnCluster,
                K::UcService,
                K::ShareLocator,
            ];
            self.kinds(&others, None).await?;
        }
        let domains = match domain {
            Some(domain) => vec![domain],
            None if matches!(place, None | Some(Place::Root | Place::Dc(_))) => {
                let written = self.kinds(&[K::Domain], None).await?;
                // What is in a domain may fit a filter that the domain does not.
                if self.listing.filter.is_some() { self.domains().await? } else { written }
            }
            None => Vec::new(),
        };
        for domain in &domains {
            self.fixed(&tree::people(domain))?;
            self.fixed(&tree::groups(domain))?;
            self.kinds(&[K::Account, K::Resource], Some(domain)).await?;
            self.kinds(&[K::DistributionList, K::DynamicGroup, K::Alias], Some(domain)).await?;
        }
        self.kinds(&[K::Identity, K::Signature, K::DataSource, K::AddressList, K::HabGroup], None).await?;
        Ok(())
    }

    /// Names of all domains at and below the base.
    async fn domains(&self) -> Result<Vec<String>> {
        let kinds = vec![KindName(ObjectKind::Domain)];
        let mut listing = Listing { kinds, base: self.listing.base.clone(), ..Listing::default() };
        let mut names = Vec::new();
        loop {
            let page: Listed = patiently(|| self.client.post("/v1/directory/list", &listing)).await?;
            names.extend(page.entries.into_iter().map(|shown| shown.name));
            listing.after = page.next;
            if listing.after.is_none() {
                return Ok(names);
            }
        }
    }

    /// Writes all entries of these kinds; their names.
    async fn kinds(&mut self, kinds: &[ObjectKind], domain: Option<&str>) -> Result<Vec<String>> {
        let of_domains = kinds.contains(&ObjectKind::Domain);
        let mut names = Vec::new();
        let mut listing = Listing {
            kinds: kinds.iter().map(|k| KindName(*k)).collect(),
            domain: domain.map(String::from),
            ..self.listing.clone()
        };
        loop {
            let page: Listed = patiently(|| self.client.post("/v1/directory/list", &listing)).await?;
            for shown in page.entries {
                let dn = shown.dn.clone();
                if of_domains {
                    names.push(shown.name.clone());
                    self.above(&dn)?;
                }
                self.writer.entry(&dn, &shown.lines())?;
                self.count += 1;
            }
            self.progress.show("entries", self.count, 0);
            listing.after = page.next;
            if listing.after.is_none() {
                return Ok(names);
            }
        }
    }

    /// The parts of a domain's name above it.
    fn above(&mut self, dn: &str) -> Result<()> {
        // It is written itself: not to be written again above another.
        self.fixed.insert(dn.to_lowercase());
        let mut above = Vec::new();
        let mut here = Dn::parse(dn)?.parent();
        while let Some(dn) = here.filter(|d| !d.0.is_empty()) {
            here = dn.parent();
            above.push(dn);
        }
        above.iter().rev().try_for_each(|dn| self.fixed(dn))
    }

    /// An entry that every directory has: only where all is written.
    fn fixed(&mut self, dn: &Dn) -> Result<()> {
        let wanted = self.listing.filter.is_none() && self.base.as_ref().is_none_or(|base| dn.ends_with(base));
        let text = dn.to_string();
        if !wanted || !self.fixed.insert(text.to_lowercase()) {
            return Ok(());
        }
        let Some((attr, value)) = dn.0.first().and_then(Rdn::single) else { return Ok(()) };
        let line = |name: &str, value: &str| -> Line { (name.to_string(), value.as_bytes().to_vec()) };
        let lines = match attr {
            "dc" => vec![
                line("objectClass", "dcObject"),
                line("objectClass", "organization"),
                line("dc", value),
                line("o", value),
            ],
            "ou" => vec![line("objectClass", "organizationalRole"), line("ou", value), line("cn", value)],
            _ => vec![line("objectClass", "organizationalRole"), line("cn", value)],
        };
        Ok(self.writer.entry(&text, &lines)?)
    }
}

async fn import(args: Import) -> Result<u8> {
    let client = Client::new(&args.reach)?;
    let mut batches = Batches::new(client.clone(), Manner { dry_run: args.dry_run, update: args.update });
    let mut run = Run { report: Report::default(), done: 0, left: 0, stop: args.stop, progress: Progress::new() };
    let mut reader = open(&args.file)?;
    let mut unreadable = Vec::new();
    let (mut number, mut stopped) = (0, None);
    while let Some(record) = next(&mut reader, &mut unreadable)? {
        number += 1;
        if number <= args.skip {
            continue;
        }
        match one(&client, &mut batches, &mut run, &record, args.dry_run).await {
            Ok(()) if run.stop && run.left > 0 => stopped = Some("a record was left".to_string()),
            Ok(()) => continue,
            Err(e) => stopped = Some(format!("{e:#}")),
        }
        break;
    }
    if stopped.is_none() {
        let outcomes = batches.flush().await?;
        run.note(outcomes);
    }
    run.progress.clear();
    unreadable.iter().for_each(|why| run.report.unreadable(why));
    if args.json {
        println!("{}", serde_json::to_string_pretty(&run.report)?);
    } else {
        print!("{}", run.report);
    }
    if let Some(why) = stopped {
        eprintln!("stopped at record {number}: {why}\nto go on: --skip {}", number.saturating_sub(1));
        return Ok(1);
    }
    Ok(if run.left > 0 || !unreadable.is_empty() { SOME_LEFT } else { 0 })
}

struct Run {
    report: Report,
    done: u64,
    left: u64,
    stop: bool,
    progress: Progress,
}

impl Run {
    fn note(&mut self, outcomes: Vec<(Wanted, Outcome)>) {
        for (wanted, outcome) in outcomes {
            self.left += u64::from(outcome.done == Done::Left || !outcome.attrs_left.is_empty());
            self.done += 1;
            self.report.note(&wanted, &outcome);
        }
        self.progress.show("records", self.done, 0);
    }

    fn refuse(&mut self, record: &Record, why: &str) {
        self.left += 1;
        self.report.unreadable(&format!("line {} ({}): {why}", record.line, record.dn));
    }
}

async fn one(client: &Client, batches: &mut Batches, run: &mut Run, record: &Record, dry_run: bool) -> Result<()> {
    if let What::Content(lines) | What::Add(lines) = &record.what {
        match wanted(&record.dn, lines) {
            Ok(Some(wanted)) => {
                let outcomes = batches.put(wanted).await?;
                run.note(outcomes);
            }
            Ok(None) => run.report.fixed += 1,
            Err(why) => run.refuse(record, &why),
        }
        return Ok(());
    }
    // What a change is made to may wait in the batch before it.
    let outcomes = batches.flush().await?;
    run.note(outcomes);
    let how = match How::of(&record.what) {
        Ok(Some(how)) => how,
        Ok(None) => return Ok(()),
        Err(why) => {
            run.refuse(record, &why);
            return Ok(());
        }
    };
    if dry_run {
        return Ok(());
    }
    let change = Change { dn: record.dn.clone(), how };
    let tally = match client.post::<ChangeReply>("/v1/directory/change", &change).await {
        Ok(ChangeReply {}) => Done::Changed,
        Err(e) => match e.downcast_ref::<CallError>() {
            Some(refused) if refused.code != "service.TEMPORARILY_UNAVAILABLE" => {
                run.refuse(record, &format!("{} ({})", refused.code, refused.text));
                return Ok(());
            }
            _ => return Err(e),
        },
    };
    run.done += 1;
    if tally == Done::Changed {
        run.report.entries.entry("change record".into()).or_default().changed += 1;
    }
    run.progress.show("records", run.done, 0);
    Ok(())
}

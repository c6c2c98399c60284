//! LDAP loads: searches of one who is signed in, sign-ins with a search, and sign-ins of the accounts themselves.

use anyhow::{Context, Result, ensure};
use ldap3::{LdapConnAsync, Scope, SearchEntry};
use std::time::Instant;

use super::DirectoryOptions;
use super::data::{ADMIN, PASSWORD, address, spread, surname};
use crate::stats::{Meter, Recorder, Report};

/// Who is asked.
pub struct Server {
    /// `ldap://...`.
    pub url: String,
    /// Its process.
    pub pid: u32,
}

/// What one operation is.
#[derive(Clone, Copy)]
enum Ask {
    /// An account by its address, as an MTA asks.
    Mail,
    /// An address that nobody has.
    Nobody,
    /// Who has that surname.
    Surname,
    /// Sign in as the administrator, ask by address, leave.
    BindAndMail,
    /// Sign in as an account, leave.
    BindAsAccount,
}

impl Ask {
    fn name(self) -> &'static str {
        match self {
            Ask::Mail => "search by address",
            Ask::Nobody => "search, nobody has it",
            Ask::Surname => "search by surname, 7 entries",
            Ask::BindAndMail => "connect, bind, search",
            Ask::BindAsAccount => "connect, bind as an account",
        }
    }
}

const WANTED: [&str; 4] = ["zimbraId", "zimbraMailDeliveryAddress", "zimbraMailStatus", "cn"];

async fn connect(server: &Server, dn: &str) -> Result<ldap3::Ldap> {
    let (driver, mut ldap) = LdapConnAsync::new(&server.url).await?;
    tokio::spawn(driver.drive());
    ldap.simple_bind(dn, PASSWORD).await?.success()?;
    Ok(ldap)
}

async fn search(ldap: &mut ldap3::Ldap, filter: &str, want: usize) -> Result<()> {
    let (entries, _) = ldap.search("", Scope::Subtree, filter, WANTED).await?.success()?;
    ensure!(entries.len() == want, "{filter}: {} entries, not {want}", entries.len());
    for entry in entries {
        let entry = SearchEntry::construct(entry);
        ensure!(entry.attrs.contains_key("zimbraId"), "{filter}: {entry:?}");
    }
    Ok(())
}

async fn ask(options: &DirectoryOptions, server: &Server, ldap: &mut ldap3::Ldap, ask: Ask, k: u64) -> Result<()> {
    let n = spread(options, k);
    let (user, domain) = address(options, n);
    let mail = format!("(mail={user}@d{domain}.example)");
    match ask {
        Ask::Mail => search(ldap, &mail, 1).await,
        Ask::Nobody => search(ldap, &format!("(mail=nobody{k}@d{domain}.example)"), 0).await,
        Ask::Surname => {
            let full = (n / 7 + 1) * 7 <= options.accounts;
            let want = if full { 7 } else { (options.accounts % 7) as usize };
            search(ldap, &format!("(sn={})", surname(n)), want).await
        }
        Ask::BindAndMail => {
            let mut own = connect(server, ADMIN).await?;
            search(&mut own, &mail, 1).await?;
            Ok(own.unbind().await?)
        }
        Ask::BindAsAccount => {
            let mut own = connect(server, &format!("uid={user},ou=people,dc=d{domain},dc=example")).await?;
            Ok(own.unbind().await?)
        }
    }
}

async fn load(options: &DirectoryOptions, server: &Server, what: Ask, operations: u64) -> Result<Report> {
    let connections = options.ldap_connections;
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(connect(server, ADMIN).await.with_context(|| format!("{} as {ADMIN}", server.url))?);
    }
    let meter = Meter::start(&[server.pid]);
    let workers = open.into_iter().enumerate().map(|(worker, mut ldap)| async move {
        let mut recorder = Recorder::default();
        for k in (worker as u64..operations).step_by(connections) {
            let began = Instant::now();
            match ask(options, server, &mut ldap, what, k).await {
                Ok(()) => recorder.record(began.elapsed()),
                Err(error) => recorder.error(&format!("{error:#}")),
            }
        }
        recorder
    });
    let mut all = Recorder::default();
    for recorder in futures::future::join_all(workers).await {
        all.merge(recorder);
    }
    Ok(meter.finish(what.name(), all, 1))
}

/// All loads, one after the other. The first one is run twice: what is not in a cache yet is not measured.
///
/// # Errors
/// The server cannot be reached, or does not let the administrator in.
pub async fn run(options: &DirectoryOptions, server: &Server) -> Result<Vec<Report>> {
    let searches = options.ldap_searches;
    load(options, server, Ask::Mail, searches).await?;
    let mut reports = Vec::new();
    for (what, operations) in [
        (Ask::Mail, searches),
        (Ask::Nobody, searches),
        (Ask::Surname, searches / 4),
        (Ask::BindAndMail, searches / 10),
    ] {
        reports.push(load(options, server, what, operations).await?);
    }
    // The first time the stored {SSHA} is verified, and by zcluster replaced by argon2id; then it is known.
    for time in ["first time", "again"] {
        let mut report = load(options, server, Ask::BindAsAccount, options.ldap_binds).await?;
        report.load = format!("{}, {time}", report.load);
        reports.push(report);
    }
    Ok(reports)
}

/// A search that no index helps with, and finds one entry: seconds.
///
/// # Errors
/// The server answers something else.
pub async fn unindexed(options: &DirectoryOptions, server: &Server) -> Result<f64> {
    let mut ldap = connect(server, ADMIN).await?;
    let began = Instant::now();
    search(&mut ldap, &format!("(description=number {})", options.accounts / 2), 1).await?;
    Ok(began.elapsed().as_secs_f64())
}

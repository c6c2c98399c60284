//! Dovecot with Debian's dovecot-fts-xapian: no other full-text search comes with the distribution but Solr's client.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::server::{Server, SignIn, bytes_of};
use super::{Indexed, LARGE, SearchOptions, mailbox, other};
use crate::compare::dovecot::{self, Guard};

/// What the package brings.
const PLUGIN: &str = "/usr/lib/dovecot/modules/lib21_fts_xapian_plugin.so";
/// Its folder of indexes, in each mailbox's.
const INDEXES: &str = "xapian-indexes";
const PASSWORD: &str = "demo";
const IMAP: u16 = 143;
const LMTP: u16 = 124;
/// doveadm's that index at the same time: as many indexes as zcluster writes at a time.
const AT_A_TIME: usize = 2;

/// A running Dovecot.
pub struct Dovecot {
    /// To the loads.
    pub server: Server,
    folder: PathBuf,
    _guard: Guard,
}

/// Starts it in a folder; none when it, or its full-text search, is not installed.
///
/// # Errors
/// It does not come up.
pub async fn start(options: &SearchOptions, folder: &Path) -> Result<Option<Dovecot>> {
    let Some(binary) = dovecot::installed().filter(|_| Path::new(PLUGIN).exists()) else { return Ok(None) };
    fs::create_dir_all(folder)?;
    let (imap, lmtp) = (options.base_port + IMAP, options.base_port + LMTP);
    let mut text = dovecot::without_accounts(folder, imap, lmtp)?;
    let (uid, gid) = dovecot::owner();
    let home = |user: &str| format!("{}/mail/{user}", folder.display());
    let mut accounts = String::new();
    for user in std::iter::once(LARGE.to_owned()).chain((0..options.mailboxes).map(other)) {
        let user = mailbox(&user);
        writeln!(accounts, "{user}:{{PLAIN}}{PASSWORD}:{uid}:{gid}::{}::", home(&user))?;
    }
    let users = folder.join("users");
    fs::write(&users, accounts)?;
    write!(
        text,
        "passdb {{\n  driver = passwd-file\n  args = {0}\n}}\nuserdb {{\n  driver = passwd-file\n  args = {0}\n}}\n\
         mail_plugins = fts fts_xapian\n\
         plugin {{\n  fts = xapian\n  fts_xapian = partial=3 full=20\n  fts_autoindex = no\n  fts_enforced = yes\n}}\n\
         service indexer-worker {{\n  vsz_limit = 0\n}}\n",
        users.display()
    )?;
    let config = folder.join("dovecot.conf");
    fs::write(&config, text)?;
    let (guard, pid) = dovecot::spawn(binary, folder, &config, true)?;
    let address = |port: u16| ([127, 0, 0, 1], port).into();
    dovecot::wait_for(address(imap), folder).await?;
    let name = format!("Dovecot {}, fts-xapian", dovecot::version(binary).await?);
    let server = Server { name, imap: address(imap), sign_in: SignIn::Same(PASSWORD.to_owned()), pid };
    Ok(Some(Dovecot { server, folder: folder.to_owned(), _guard: guard }))
}

impl Dovecot {
    fn doveadm(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("doveadm");
        command.arg("-c").arg(self.folder.join("dovecot.conf")).args(arguments);
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Indexes all mailboxes by `doveadm index`, two at a time, and optimises the indexes as Debian's README says.
    ///
    /// # Errors
    /// doveadm fails.
    pub async fn index(&self, options: &SearchOptions) -> Result<Indexed> {
        // The large mailbox first, then each of the others to who has less to do.
        let mut parts = vec![(0, Vec::new()); AT_A_TIME];
        let others = (0..options.mailboxes).map(|n| (options.each, mailbox(&other(n))));
        for (messages, user) in std::iter::once((options.large, mailbox(LARGE))).chain(others) {
            if let Some(part) = parts.iter_mut().min_by_key(|(load, _)| *load) {
                part.0 += messages;
                part.1.push(user);
            }
        }
        let mut files = Vec::new();
        for (n, (_, users)) in parts.into_iter().enumerate().filter(|(_, (_, users))| !users.is_empty()) {
            let file = self.folder.join(format!("part{n}"));
            fs::write(&file, users.join("\n") + "\n")?;
            files.push(file.display().to_string());
        }
        let (began, before) = (Instant::now(), children_cpu());
        let all = |words: &'static [&str], last: &'static [&str]| {
            let runs = files.iter().map(move |file| self.finish([words, &["-F", file.as_str()], last].concat()));
            futures::future::try_join_all(runs.collect::<Vec<_>>())
        };
        all(&["index"], &["INBOX"]).await?;
        let seconds = began.elapsed().as_secs_f64();
        all(&["fts", "optimize"], &[]).await?;
        let bytes = bytes_of(&self.folder.join("mail"), INDEXES);
        ensure!(bytes > 0, "Dovecot has made no indexes: see {}", self.folder.join("log").display());
        let optimise_seconds = began.elapsed().as_secs_f64() - seconds;
        Ok(Indexed { seconds: seconds + optimise_seconds, cpu_seconds: children_cpu() - before, bytes })
    }

    async fn finish(&self, arguments: Vec<&str>) -> Result<()> {
        let output = self.doveadm(&arguments).output().await.context("doveadm")?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "doveadm {}: {error}", arguments.join(" "));
        Ok(())
    }

    /// `doveadm search` over all mailboxes: until the first hit, until the end, how many.
    ///
    /// # Errors
    /// doveadm fails.
    pub async fn discover(&self, word: &str) -> Result<(Duration, Duration, u64)> {
        let began = Instant::now();
        let arguments = ["search", "-A", "mailbox", "INBOX", "TEXT", word];
        let mut child = self.doveadm(&arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let (mut first, mut count) = (None, 0);
        while lines.next_line().await?.is_some() {
            first.get_or_insert_with(|| began.elapsed());
            count += 1;
        }
        if !child.wait().await?.success() {
            bail!("doveadm {} failed", arguments.join(" "));
        }
        Ok((first.unwrap_or_else(|| began.elapsed()), began.elapsed(), count))
    }
}

/// CPU seconds of programs that this one has started and seen the end of.
pub fn children_cpu() -> f64 {
    crate::compare::queue::children_cpu()
}

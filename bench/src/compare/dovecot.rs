//! Dovecot 2.3 as a peer of the comparison: its own configuration in a temporary folder, mdbox, fsync on every delivery.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::{CompareOptions, Running, account_names};

/// Where Debian puts it.
const BINARIES: [&str; 2] = ["/usr/sbin/dovecot", "/usr/local/sbin/dovecot"];
/// What the packages dovecot-sieve and dovecot-managesieved bring.
const PIGEONHOLE: [&str; 2] = ["/usr/lib/dovecot/modules/lib90_sieve_plugin.so", "/usr/lib/dovecot/managesieve"];
/// Unprivileged user that the mail belongs to when the comparison runs as root: Debian's `nobody`.
const MAIL_UID: u32 = 65_534;

/// A running Dovecot; it is stopped when this is dropped.
pub struct Guard {
    dovecot: Child,
    folder: PathBuf,
    /// Leave its folder behind.
    keep: bool,
    _watches: Option<Watches>,
}

/// How many processes of one user may watch files. Every IMAP process of Dovecot wants to; one that cannot looks only
/// every half minute for new mail, which would say nothing about Dovecot.
const WATCHERS: &str = "/proc/sys/fs/inotify/max_user_instances";
const WATCHERS_WANTED: u64 = 8_192;

/// Raises the limit while it lives; none where it is high enough, or where this process may not.
struct Watches(String);

impl Watches {
    fn raise() -> Option<Self> {
        let before = std::fs::read_to_string(WATCHERS).ok()?;
        if before.trim().parse::<u64>().ok()? >= WATCHERS_WANTED {
            return None;
        }
        match std::fs::write(WATCHERS, WATCHERS_WANTED.to_string()) {
            Ok(()) => Some(Self(before)),
            Err(error) => {
                eprintln!("{WATCHERS} cannot be raised ({error}): Dovecot will tell most IDLE sessions late");
                None
            }
        }
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        if let Err(error) = std::fs::write(WATCHERS, self.0.trim()) {
            eprintln!("{WATCHERS} stays raised: {error}");
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(pid) = self.dovecot.id().and_then(|pid| libc::pid_t::try_from(pid).ok()) {
            // SAFETY: kill takes no pointers; the child has not been waited for, so the id is still its own.
            unsafe { libc::kill(pid, libc::SIGTERM) };
            for _ in 0..50 {
                if matches!(self.dovecot.try_wait(), Ok(Some(_))) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        let _ = self.dovecot.start_kill();
        if self.keep {
            return;
        }
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            eprintln!("cannot remove {}: {error}", self.folder.display());
        }
    }
}

/// Starts it, or returns none when it is not installed.
pub async fn start(options: &CompareOptions) -> Result<Option<Running>> {
    let Some(binary) = installed() else { return Ok(None) };
    let folder = options.data.join(format!("dovecot-bench-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("mail"))?;
    let accounts = account_names(options.accounts);
    let (imap, lmtp, sieve) = (options.base_port + 43, options.base_port + 24, options.base_port + 90);
    let config = folder.join("dovecot.conf");
    let mut text = configuration(&folder, imap, lmtp)?;
    let pigeonhole = PIGEONHOLE.iter().all(|path| Path::new(path).exists());
    if pigeonhole {
        with_sieve(&mut text, sieve)?;
    } else {
        eprintln!("Dovecot is without Sieve: `deploy/prerequisites bench` installs it.");
    }
    std::fs::write(&config, text)?;
    let (guard, pid) = spawn(binary, &folder, &config, false)?;
    let address = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    wait_for(address(imap), &folder).await?;
    wait_for(address(lmtp), &folder).await?;
    if pigeonhole {
        wait_for(address(sieve), &folder).await?;
    }
    Ok(Some(Running {
        name: format!("Dovecot {}", version(binary).await?),
        lmtp: vec![address(lmtp)],
        smtp: Vec::new(),
        submission: Vec::new(),
        imap: vec![address(imap)],
        managesieve: if pigeonhole { vec![address(sieve)] } else { Vec::new() },
        pids: vec![pid],
        accounts,
        operator: None,
        _guard: Box::new(guard),
    }))
}

/// The binary, where it is installed.
pub fn installed() -> Option<&'static Path> {
    BINARIES.iter().map(Path::new).find(|path| path.exists())
}

/// Starts it with a configuration; its process id.
pub fn spawn(binary: &Path, folder: &Path, config: &Path, keep: bool) -> Result<(Guard, u32)> {
    let log = std::fs::File::create(folder.join("stderr"))?;
    let watches = Watches::raise();
    let dovecot = Command::new(binary)
        .arg("-F")
        .arg("-c")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .context("cannot start dovecot")?;
    let pid = dovecot.id().context("dovecot ended at once")?;
    Ok((Guard { dovecot, folder: folder.to_owned(), keep, _watches: watches }, pid))
}

/// What it calls itself.
pub async fn version(binary: &Path) -> Result<String> {
    let output = Command::new(binary).arg("--version").output().await?;
    Ok(String::from_utf8_lossy(&output.stdout).split_whitespace().next().unwrap_or("?").to_owned())
}

/// Waits until it listens there.
pub async fn wait_for(address: SocketAddr, folder: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(15);
    while TcpStream::connect(address).await.is_err() {
        if Instant::now() > deadline {
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            let stderr = std::fs::read_to_string(folder.join("stderr")).unwrap_or_default();
            bail!("dovecot does not listen on {address}: {stderr}{log}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Whom the mail belongs to: user and group.
pub fn owner() -> (u32, u32) {
    // SAFETY: these read the process's own ids.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    if uid == 0 { (MAIL_UID, MAIL_UID) } else { (uid, gid) }
}

/// With accounts of any name, all with one password.
fn configuration(folder: &Path, imap: u16, lmtp: u16) -> Result<String> {
    let mut text = without_accounts(folder, imap, lmtp)?;
    let ((uid, gid), folder) = (owner(), folder.display());
    write!(
        text,
        "passdb {{\n  driver = static\n  args = password={{SHA512-CRYPT}}{CRYPTED}\n}}\n\
         userdb {{\n  driver = static\n  args = uid={uid} gid={gid} home={folder}/mail/%u allow_all_users=yes\n}}\n"
    )?;
    Ok(text)
}

/// Everything a site of this kind would set: fsync on every delivery (as zcluster does), login processes that serve
/// many connections, no limit that the loads would run into.
pub fn without_accounts(folder: &Path, imap: u16, lmtp: u16) -> Result<String> {
    let folder = folder.display();
    let mut text = format!(
        "base_dir = {folder}/run\n\
         state_dir = {folder}/run\n\
         log_path = {folder}/log\n\
         protocols = imap lmtp\n\
         listen = 127.0.0.1\n\
         ssl = no\n\
         disable_plaintext_auth = no\n\
         auth_mechanisms = plain\n\
         auth_cache_size = 1M\n\
         first_valid_uid = 1\n\
         mail_fsync = always\n\
         mail_location = mdbox:~/mdbox\n\
         mail_max_userip_connections = 0\n\
         default_client_limit = 20000\n\
         default_process_limit = 20000\n\
         default_vsz_limit = 0\n\
         postmaster_address = postmaster@example.com\n\
         service imap-login {{\n  service_count = 0\n  process_min_avail = 2\n  client_limit = 20000\n  process_limit = 2\n\
         \x20 inet_listener imap {{\n    address = 127.0.0.1\n    port = {imap}\n  }}\n  inet_listener imaps {{\n    port = 0\n  }}\n}}\n\
         service imap {{\n  process_limit = 20000\n}}\n\
         service lmtp {{\n  inet_listener lmtp {{\n    address = 127.0.0.1\n    port = {lmtp}\n  }}\n}}\n"
    );
    std::fs::create_dir_all(format!("{folder}/mail"))?;
    // SAFETY: this reads the process's own id.
    if unsafe { libc::geteuid() } == 0 {
        std::os::unix::fs::chown(format!("{folder}/mail"), Some(MAIL_UID), Some(MAIL_UID))?;
    } else {
        unprivileged(&mut text)?;
    }
    Ok(text)
}

/// Sieve for deliveries, and ManageSieve to put scripts there.
fn with_sieve(text: &mut String, port: u16) -> Result<()> {
    writeln!(
        text,
        "protocols = imap lmtp sieve\n\
         protocol lmtp {{\n  mail_plugins = sieve\n}}\n\
         plugin {{\n  sieve = file:~/sieve;active=~/.dovecot.sieve\n}}\n\
         service managesieve-login {{\n  service_count = 0\n\
         \x20 inet_listener sieve {{\n    address = 127.0.0.1\n    port = {port}\n  }}\n}}"
    )?;
    Ok(())
}

/// The hash of `demo`, so that a login costs Dovecot what it costs a site.
const CRYPTED: &str = include_str!("demo.sha512crypt");

/// Without root, every process of Dovecot runs as the caller and none can change its root.
fn unprivileged(text: &mut String) -> Result<()> {
    let name = |flag: &str| -> Result<String> {
        let output = std::process::Command::new("id").arg(flag).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let (user, group) = (name("-un")?, name("-gn")?);
    writeln!(text, "default_internal_user = {user}\ndefault_login_user = {user}\ndefault_internal_group = {group}")?;
    for service in ["imap-login", "managesieve-login", "anvil", "stats", "ipc"] {
        writeln!(text, "service {service} {{\n  chroot =\n}}")?;
    }
    Ok(())
}

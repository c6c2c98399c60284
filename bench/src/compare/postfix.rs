//! Postfix in front of Dovecot as a peer of the comparison: its own configuration and queue in a temporary folder, mail for
//! the accounts handed to Dovecot by LMTP, all other mail to the smart host that the load starts.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::future::BoxFuture;
use tokio::net::TcpStream;
use tokio::process::Command;

use super::queue::Operator;
use super::{CompareOptions, Running, dovecot, sink_address};

/// Where Debian puts it.
const BINARY: &str = "/usr/sbin/postfix";
/// Its services as Debian runs them, with none in a chroot, and only what these loads use.
const SERVICES: &str = "\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
";

struct Guard {
    config: PathBuf,
    folder: PathBuf,
    _dovecot: Running,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let stopped = std::process::Command::new(BINARY).arg("-c").arg(&self.config).arg("stop").output();
        if !stopped.is_ok_and(|output| output.status.success()) {
            eprintln!("postfix did not stop");
        }
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            eprintln!("cannot remove {}: {error}", self.folder.display());
        }
    }
}

struct Postmaster {
    config: PathBuf,
    folder: PathBuf,
    dovecot: Vec<u32>,
}

impl Postmaster {
    async fn postfix(&self, what: &str) -> Result<()> {
        let output = Command::new(BINARY).arg("-c").arg(&self.config).arg(what).output().await?;
        if !output.status.success() {
            bail!("postfix {what}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// All process ids of the server.
    fn pids(&self) -> Result<Vec<u32>> {
        let path = self.folder.join("queue/pid/master.pid");
        let pid = std::fs::read_to_string(path).context("postfix has no master")?;
        let mut pids = self.dovecot.clone();
        pids.push(pid.trim().parse()?);
        Ok(pids)
    }
}

impl Operator for Postmaster {
    fn look(&self) -> Vec<String> {
        let config = self.config.display().to_string();
        ["qshape", "-c", &config, "incoming", "active", "deferred"].map(str::to_owned).into()
    }
    fn stop(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.postfix("stop"))
    }
    fn start(&mut self) -> BoxFuture<'_, Result<Vec<u32>>> {
        Box::pin(async {
            self.postfix("start").await?;
            self.pids()
        })
    }
}

/// Starts it and Dovecot behind it, or returns none when one is not installed.
pub async fn start(options: &CompareOptions) -> Result<Option<Running>> {
    // SAFETY: geteuid reads the process's own id.
    if !Path::new(BINARY).exists() || unsafe { libc::geteuid() } != 0 {
        return Ok(None);
    }
    let Some(dovecot) = dovecot::start(options).await? else { return Ok(None) };
    let folder = options.data.join(format!("postfix-bench-{}", std::process::id()));
    let config = folder.join("etc");
    for name in ["etc", "queue", "lib"] {
        std::fs::create_dir_all(folder.join(name))?;
    }
    // The rest of the queue belongs to root, as Postfix wants it.
    let owner = Command::new("chown").arg("postfix").arg(folder.join("lib")).status().await?;
    anyhow::ensure!(owner.success(), "there is no user postfix");
    certificate(&folder).await?;
    let port = options.base_port + 25;
    std::fs::write(config.join("main.cf"), settings(&folder, dovecot.lmtp[0], sink_address(options)))?;
    std::fs::write(config.join("master.cf"), format!("127.0.0.1:{port} inet n - n - - smtpd\n{SERVICES}"))?;
    let name = format!("Postfix {} + {}", version().await?, dovecot.name);
    let (imap, accounts) = (dovecot.imap.clone(), dovecot.accounts.clone());
    let mut postmaster = Postmaster { config: config.clone(), folder: folder.clone(), dovecot: dovecot.pids.clone() };
    let guard = Guard { config, folder: folder.clone(), _dovecot: dovecot };
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let pids = postmaster.start().await?;
    wait_for(address, &folder).await?;
    Ok(Some(Running {
        name,
        // Its mailboxes are Dovecot's, whose own loads run without it.
        lmtp: Vec::new(),
        smtp: vec![address],
        submission: vec![address],
        imap,
        managesieve: Vec::new(),
        pids,
        accounts,
        operator: Some(Box::new(postmaster)),
        _guard: Box::new(guard),
    }))
}

/// What a site of this kind would set; the limits of processes are those of the defaults but for the connections of the loads.
fn settings(folder: &Path, lmtp: SocketAddr, sink: SocketAddr) -> String {
    let folder = folder.display();
    let (lmtp, lmtp_port) = (lmtp.ip(), lmtp.port());
    let (sink, sink_port) = (sink.ip(), sink.port());
    format!(
        "compatibility_level = 3.6\n\
         queue_directory = {folder}/queue\n\
         data_directory = {folder}/lib\n\
         maillog_file = {folder}/log\n\
         maillog_file_prefixes = {folder}\n\
         myhostname = mx.example.com\n\
         mydestination =\n\
         mynetworks = 127.0.0.0/8\n\
         inet_interfaces = 127.0.0.1\n\
         inet_protocols = ipv4\n\
         virtual_mailbox_domains = example.com\n\
         virtual_mailbox_maps = static:all\n\
         virtual_transport = lmtp:inet:{lmtp}:{lmtp_port}\n\
         relayhost = [{sink}]:{sink_port}\n\
         smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n\
         smtpd_peername_lookup = no\n\
         smtpd_client_connection_count_limit = 0\n\
         smtpd_tls_security_level = may\n\
         smtpd_tls_chain_files = {folder}/key.pem, {folder}/cert.pem\n\
         smtp_tls_security_level = may\n\
         alias_maps =\n\
         alias_database =\n\
         disable_dns_lookups = yes\n\
         smtp_host_lookup = native\n"
    )
}

/// A certificate of its own, of the kind that zcluster's demo has.
async fn certificate(folder: &Path) -> Result<()> {
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "7"])
        .args(["-subj", "/CN=mx.example.com", "-keyout"])
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("cert.pem"))
        .output()
        .await
        .context("cannot run openssl")?;
    anyhow::ensure!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

async fn version() -> Result<String> {
    let output = Command::new("/usr/sbin/postconf").args(["-d", "-h", "mail_version"]).output().await?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

async fn wait_for(address: SocketAddr, folder: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(15);
    while TcpStream::connect(address).await.is_err() {
        if Instant::now() > deadline {
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            bail!("postfix does not listen on {address}: {log}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

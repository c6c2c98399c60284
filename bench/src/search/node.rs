//! One zcluster node, its accounts, and its indexes.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::http::Http;
use super::server::{Server, SignIn};
use super::{DOMAIN, Indexed, LARGE, SearchOptions, other};
use crate::directory::node::{Node, run, text};

/// How long a start or a build of the indexes may take.
const PATIENCE: Duration = Duration::from_secs(3_600);
const IMAP: u16 = 43;
const ADMIN: u16 = 71;
const PASSWORD: &str = "secret";

/// A running node.
pub struct Zcluster {
    /// To the loads.
    pub server: Server,
    data: PathBuf,
    config: PathBuf,
    admin: SocketAddr,
    binary: PathBuf,
    shards: usize,
    node: Option<Node>,
}

impl Zcluster {
    /// A new node with all accounts, whose texts are not indexed yet.
    ///
    /// # Errors
    /// Whatever the commands of the binary say.
    pub async fn new(options: &SearchOptions, folder: &Path) -> Result<Self> {
        let mut zcluster = Self::at(options, folder);
        let (base, shards) = (options.base_port.to_string(), options.shards.to_string());
        let data = text(&zcluster.data).to_owned();
        run(&zcluster.binary, &["init", "--data", &data, "--base-port", &base, "--shards", &shards])?;
        zcluster.start(false).await?;
        let ldif = folder.join("accounts.ldif");
        write_ldif(options, &ldif)?;
        run(&zcluster.binary, &["ldif", "import", text(&ldif), "--data", &data])?;
        let admin = format!("admin@{DOMAIN}");
        let create = ["prov", "--data", &data, "createAccount", &admin, PASSWORD, "zimbraIsAdminAccount", "TRUE"];
        run(&zcluster.binary, &create)?;
        Ok(zcluster)
    }

    /// What an earlier run has left.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn again(options: &SearchOptions, folder: &Path) -> Result<Self> {
        let mut zcluster = Self::at(options, folder);
        zcluster.start(true).await?;
        Ok(zcluster)
    }

    fn at(options: &SearchOptions, folder: &Path) -> Self {
        let address = |port: u16| ([127, 0, 0, 1], options.base_port + port).into();
        Self {
            server: Server {
                name: "zcluster, 1 node".to_owned(),
                imap: address(IMAP),
                sign_in: SignIn::As(format!("admin@{DOMAIN}"), PASSWORD.to_owned()),
                pid: 0,
            },
            data: folder.join("node1"),
            config: folder.join("search.toml"),
            admin: address(ADMIN),
            binary: options.zcluster.clone(),
            shards: options.shards as usize,
            node: None,
        }
    }

    /// Starts the node, and the one that runs is stopped first.
    async fn start(&mut self, index: bool) -> Result<()> {
        self.stop()?;
        fs::write(&self.config, format!("[search]\nindex = {index}\n"))?;
        let node = Node::serve_with(&self.binary, &self.data, &["--config", text(&self.config)])?;
        self.server.pid = node.child.id();
        self.node = Some(node);
        let until = Instant::now() + PATIENCE;
        while let Err(error) = self.ready() {
            ensure!(Instant::now() < until, "the node does not come up: {error:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    fn ready(&self) -> Result<()> {
        let status = run(&self.binary, &["status", "--json", "--data", text(&self.data)])?;
        let status: Value = serde_json::from_str(&status)?;
        let shards = status["shards"].as_array().context("no shards")?;
        let led = |group: &Value| group["leader"].is_u64();
        ensure!(led(&status["directory"]) && shards.len() == self.shards && shards.iter().all(led), "no leaders yet");
        Ok(())
    }

    fn stop(&mut self) -> Result<()> {
        let Some(mut node) = self.node.take() else { return Ok(()) };
        // SAFETY: kill takes no pointers; the child has not been waited for, so the id is still its own.
        unsafe { libc::kill(libc::pid_t::try_from(node.child.id())?, libc::SIGTERM) };
        node.child.wait()?;
        Ok(())
    }

    /// Its administration.
    ///
    /// # Errors
    /// No secret, no connection.
    pub async fn admin(&self) -> Result<Http> {
        let secret = fs::read_to_string(self.data.join("admin.secret")).context("the node's secret")?;
        Http::open(self.admin, secret.trim()).await
    }

    /// Starts the node anew, with indexes, and waits until they are complete. What it costs counts from the start of the
    /// process.
    ///
    /// # Errors
    /// An index that cannot be made.
    pub async fn index(&mut self, options: &SearchOptions) -> Result<Indexed> {
        self.stop()?;
        let began = Instant::now();
        self.start(true).await?;
        let bytes = self.complete(options, began + PATIENCE).await?;
        let cpu_seconds = self.server.watch().cpu_seconds();
        Ok(Indexed { seconds: began.elapsed().as_secs_f64(), cpu_seconds, bytes })
    }

    /// Waits until the indexes know all; their bytes.
    async fn complete(&self, options: &SearchOptions, until: Instant) -> Result<u64> {
        let mut admin = self.admin().await?;
        loop {
            let reply = admin.post("/v1/mailbox/texts", &json!({ "account": null })).await?;
            let indexes = reply["indexes"].as_array().context("no indexes")?;
            if let Some(trouble) = indexes.iter().find_map(|index| index["trouble"].as_str()) {
                bail!("an index cannot be made: {trouble}");
            }
            let sum = |field: &str| indexes.iter().filter_map(|index| index[field].as_u64()).sum::<u64>();
            let built = indexes.iter().all(|index| index["building"].is_null());
            if built && sum("behind") == 0 && sum("items") >= options.messages() {
                return Ok(sum("bytes"));
            }
            ensure!(Instant::now() < until, "the indexes are not complete in time: {reply}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// The domain and all accounts; nobody has a password but the administrator.
fn write_ldif(options: &SearchOptions, path: &Path) -> Result<()> {
    let domain = DOMAIN.split('.').map(|label| format!("dc={label}")).collect::<Vec<_>>().join(",");
    let label = DOMAIN.split('.').next().unwrap_or_default();
    let mut out = format!(
        "version: 1\n\ndn: {domain}\nobjectClass: dcObject\nobjectClass: organization\nobjectClass: zimbraDomain\n\
         dc: {label}\no: {label}\nzimbraDomainName: {DOMAIN}\nzimbraDomainStatus: active\n\n"
    );
    for user in std::iter::once(LARGE.to_owned()).chain((0..options.mailboxes).map(other)) {
        write!(
            out,
            "dn: uid={user},ou=people,{domain}\nobjectClass: inetOrgPerson\nobjectClass: zimbraAccount\nuid: {user}\n\
             mail: {user}@{DOMAIN}\nzimbraMailDeliveryAddress: {user}@{DOMAIN}\ncn: {user}\nsn: {user}\n\
             zimbraAccountStatus: active\nzimbraMailStatus: enabled\n\n"
        )?;
    }
    Ok(fs::write(path, out)?)
}

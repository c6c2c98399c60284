//! `zcluster init`: a new cluster's first node.

use crate::admin::client::read_password;
use crate::assembly::bootstrap::{Bootstrap, FirstAdmin};
use crate::cli::Init;
use crate::config::{Config, Overrides};
use crate::datadir::{DataDir, NodeFile};
use crate::pki;
use anyhow::{Result, bail};
use std::path::Path;
use zcluster_api::directory::split_address;

/// The number of the first node.
const FIRST_NODE: u32 = 1;

/// What a new cluster should be.
pub struct NewCluster {
    /// Number of mailbox shards.
    pub shards: u32,
    /// First domain.
    pub domain: Option<String>,
    /// First administrator and password.
    pub admin: Option<(String, String)>,
}

/// Runs the command.
///
/// # Errors
/// What to tell the user.
pub async fn run(args: Init) -> Result<()> {
    let admin = match (&args.domain, &args.admin, &args.password_file) {
        (Some(domain), Some(admin), Some(file)) => Some((admin_address(admin, domain)?, read_password(file)?)),
        _ => None,
    };
    let overrides = args.place.overrides().with_defaults();
    let cluster = NewCluster { shards: args.shards, domain: args.domain, admin };
    let (id, config) = create(&args.data, overrides, cluster).await?;
    println!("cluster {id} is made; this is node {FIRST_NODE}, peers reach it at {}", config.rpc_address());
    println!("next: zcluster serve --data {}", args.data.display());
    println!("then, for each further node: zcluster token --data {}", args.data.display());
    Ok(())
}

fn admin_address(admin: &str, domain: &str) -> Result<String> {
    let address = if admin.contains('@') { admin.to_string() } else { format!("{admin}@{domain}") };
    match split_address(&address) {
        Ok((local, of)) if of == domain.to_lowercase() => Ok(format!("{local}@{of}")),
        Ok(_) => bail!("--admin {admin} is not in the domain {domain}"),
        Err(e) => bail!("--admin {admin}: {e}"),
    }
}

/// Fills a data directory for the first node. The cluster comes into being when it is served for the first time.
///
/// # Errors
/// The directory is in use or not writable, or the configuration is no good.
pub async fn create(data: &Path, overrides: Overrides, cluster: NewCluster) -> Result<(String, Config)> {
    let config = Config::load(&overrides)?;
    let dir = DataDir::at(data);
    let _lock = dir.create()?;
    let id = uuid::Uuid::from_bytes(zcluster_runtime::random_bytes()).to_string();
    let ca = pki::new_ca(&id)?;
    dir.write_cluster_tls(&ca.cert_pem, &pki::new_node(&ca, &id, FIRST_NODE)?)?;
    write_client_files(&dir, &config)?;
    let admin = match cluster.admin {
        Some((address, password)) => Some(FirstAdmin {
            address,
            password: zcluster_runtime::spawn_blocking(move || {
                zcluster_auth::password_values(zcluster_auth::HashParams::default(), &password)
            })
            .await?,
            id: zcluster_runtime::random_bytes(),
        }),
        None => None,
    };
    let bootstrap = Bootstrap::new(&ca, cluster.shards, cluster.domain.map(|d| d.to_lowercase()), admin);
    dir.write_json(Bootstrap::FILE, &bootstrap)?;
    // Last: from here on the directory is a node's.
    dir.write_node(&NodeFile::new(&id, FIRST_NODE, overrides))?;
    Ok((id, config))
}

/// What every new node gets besides its place in the cluster.
///
/// # Errors
/// The disk.
pub fn write_client_files(dir: &DataDir, config: &Config) -> Result<()> {
    let mut names = vec![config.advertise(), "localhost".into(), "127.0.0.1".into(), "::1".into()];
    names.extend(config.mail.hostname.clone());
    names.sort();
    names.dedup();
    // The advertised name comes first: it is the one that is shown.
    names.sort_by_key(|n| *n != config.advertise());
    dir.write_client_tls(&pki::self_signed(&names)?)?;
    dir.write_admin_secret()
}

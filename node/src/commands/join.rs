//! `zcluster join`: makes this machine a member.

use super::init::write_client_files;
use crate::admin::client::with_port;
use crate::cli::{Join, Serve};
use crate::config::{Config, Overrides};
use crate::datadir::{DataDir, NodeFile};
use crate::join::{JoinReply, JoinRequest};
use crate::pki::{self, Pair};
use crate::ports::Ports;
use crate::token::Token;
use anyhow::{Context, Result, anyhow, bail};
use std::path::Path;
use std::time::Duration;
use zcluster_rpc::JoinError;

/// How long the member may take to decide: it needs a quorum, twice or three times.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Runs the command.
///
/// # Errors
/// What to tell the user.
pub async fn run(args: Join) -> Result<u8> {
    let node = create(&args.address, &args.token, &args.data, args.place.overrides().with_defaults()).await?;
    println!("joined cluster {} as node {}", node.cluster, node.number);
    if args.serve {
        let serve = Serve {
            data: args.data,
            place: crate::cli::Place::default(),
            enable_fault_injection: false,
            with_parent: false,
        };
        return super::serve::run(serve).await;
    }
    println!("next: zcluster serve --data {}", args.data.display());
    Ok(0)
}

/// Asks the member at `address` to be let in, and fills the data directory.
///
/// # Errors
/// What to tell the user.
pub async fn create(address: &str, token: &str, data: &Path, overrides: Overrides) -> Result<NodeFile> {
    let token = Token::decode(token)?;
    let config = Config::load(&overrides)?;
    let dir = DataDir::at(data);
    let _lock = dir.create()?;
    // Before the token is used up.
    ports_are_free(&config)?;
    let (key, request_pem) = pki::new_request()?;
    let request = JoinRequest::new(token.secret, request_pem, &config);
    let address = with_port(address, Ports::default().rpc);
    let body = serde_json::to_vec(&request)?.into();
    let answer = zcluster_rpc::join_call(&address, token.ca_hash, body, TIMEOUT).await.map_err(explain)?;
    let reply: JoinReply = serde_json::from_slice(&answer).context("the member sent an unusable answer")?;
    let pair = Pair { cert_pem: reply.cert_pem, key_pem: key.serialize_pem() };
    dir.write_cluster_tls(&reply.ca_pem, &pair)?;
    write_client_files(&dir, &config)?;
    let node = NodeFile { peers: reply.peers, ..NodeFile::new(&reply.cluster, reply.number, overrides) };
    dir.write_node(&node)?;
    Ok(node)
}

fn ports_are_free(config: &Config) -> Result<()> {
    for (service, port) in config.ports.all() {
        let address = config.bind(port);
        if let Err(e) = std::net::TcpListener::bind(address) {
            bail!(crate::assembly::cannot_listen(service, address, &e));
        }
    }
    Ok(())
}

fn explain(e: JoinError) -> anyhow::Error {
    match e {
        JoinError::OtherCluster(address) => anyhow!(
            "{address} belongs to a cluster with another CA than the token's: make the token on a member of the cluster \
             that you want to join, and give the address of one of its nodes"
        ),
        JoinError::Unreachable(address, why) => anyhow!(
            "no answer from {address}: {why}. Give a member's node-to-node address (port 7007, or base port + 7), and \
             see that it runs. If the connection broke off, the token may be used up: make a new one"
        ),
        JoinError::Refused(why) => anyhow!("refused: {why}"),
    }
}

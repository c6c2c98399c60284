//! How a node becomes a member: what it asks, and what a member answers.

use crate::pki::{self, Pair};
use crate::token::hash_secret;
use anyhow::Result;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use zcluster_api::{Actor, DirectoryApi, DirectoryCommand, Error, RequestId};
use zcluster_router::admission::{self, Candidate};
use zcluster_rpc::RpcError;

/// Version of the messages below.
const VERSION: u32 = 1;

/// What a new node says. It travels over TLS to a server that has proved to be of the token's cluster.
#[derive(Debug, Serialize, Deserialize)]
pub struct JoinRequest {
    /// Version of this message.
    pub version: u32,
    /// The token's secret.
    pub secret: [u8; 16],
    /// Certificate request, PEM.
    pub request_pem: String,
    /// What peers shall dial.
    pub rpc: String,
    /// What clients shall use.
    pub advertise: String,
    /// Services.
    pub ports: BTreeMap<String, u16>,
    /// Failure domain.
    pub zone: String,
    /// Software version.
    pub software: String,
}

impl JoinRequest {
    /// With the present version.
    pub fn new(secret: [u8; 16], request_pem: String, config: &crate::config::Config) -> Self {
        JoinRequest {
            version: VERSION,
            secret,
            request_pem,
            rpc: config.rpc_address(),
            advertise: config.advertise(),
            ports: config.ports.to_map(),
            zone: config.node.zone.clone(),
            software: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

/// What the member answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct JoinReply {
    /// The cluster's id.
    pub cluster: String,
    /// The new node's number.
    pub number: u32,
    /// The cluster CA's certificate.
    pub ca_pem: String,
    /// The new node's certificate.
    pub cert_pem: String,
    /// Peers' addresses by raft node id.
    pub peers: BTreeMap<u64, String>,
}

fn refused(text: impl Into<String>) -> RpcError {
    RpcError::Refused(text.into())
}

/// A fresh request id.
pub fn request_id() -> RequestId {
    RequestId(zcluster_runtime::random_bytes())
}

/// Decides on a request to join, on a member.
///
/// # Errors
/// `Refused` with a text for the operator of the new node.
pub async fn admit(directory: Arc<dyn DirectoryApi>, body: Bytes) -> Result<Bytes, RpcError> {
    let request: JoinRequest =
        serde_json::from_slice(&body).map_err(|e| refused(format!("not a join request: {e}")))?;
    if request.version != VERSION {
        return Err(refused(format!(
            "the join request has version {}, this node ({}) knows {VERSION}: use the same zcluster version",
            request.version,
            env!("CARGO_PKG_VERSION")
        )));
    }
    let cluster = admission::known_cluster(directory.as_ref()).await.map_err(failed)?;
    // Looked at before the token is used up.
    let ca = Pair { cert_pem: cluster.ca_cert_pem.clone(), key_pem: cluster.ca_key_pem.clone() };
    pki::sign_request(&ca, &cluster.id, 0, &request.request_pem).map_err(|e| refused(format!("{e:#}")))?;
    use_token(directory.as_ref(), &request.secret).await?;
    let number = admission::reserve(directory.as_ref(), &request.rpc).await.map_err(failed)?;
    let cert_pem =
        pki::sign_request(&ca, &cluster.id, number, &request.request_pem).map_err(|e| refused(format!("{e:#}")))?;
    let JoinRequest { rpc, advertise, ports, zone, software, .. } = request;
    let candidate = Candidate { rpc, advertise, ports, zone, version: software };
    let peers = admission::admit(directory.as_ref(), number, candidate).await.map_err(failed)?;
    let reply = JoinReply { cluster: cluster.id, number, ca_pem: cluster.ca_cert_pem, cert_pem, peers };
    serde_json::to_vec(&reply).map(Bytes::from).map_err(|e| refused(e.to_string()))
}

/// Why the directory did not do it, for the operator of the new node.
fn failed(e: Error) -> RpcError {
    match e {
        Error::Unavailable(text) => refused(format!(
            "the cluster cannot decide now ({text}): see `zcluster status`; the token may be used up, make a new one"
        )),
        Error::Conflict(text) => {
            refused(format!("{text}: choose another --advertise or --base-port. The token is used up: make a new one"))
        }
        other => refused(other.to_string()),
    }
}

async fn use_token(directory: &dyn DirectoryApi, secret: &[u8; 16]) -> Result<(), RpcError> {
    let command = DirectoryCommand::UseToken { hash: hash_secret(secret) };
    match directory.write(Actor::System, request_id(), command).await {
        Ok(_) => Ok(()),
        Err(Error::Denied(why)) => Err(refused(format!(
            "the token is refused ({why}): each token admits one node, once, until it expires. Make a new one with \
             `zcluster token` on a member"
        ))),
        Err(Error::Unavailable(why)) => {
            Err(refused(format!("the cluster cannot decide now ({why}): see `zcluster status`, then try again")))
        }
        Err(e) => Err(refused(e.to_string())),
    }
}

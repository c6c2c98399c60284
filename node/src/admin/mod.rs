//! Administration over HTTPS: what the `zcluster` commands talk to.

mod auth;
pub mod blob;
pub mod client;
pub mod directory;
pub mod dkim;
pub mod dumpster;
mod handlers;
pub mod queue;
pub mod report;
pub mod search;
pub mod signin;
pub mod status;
mod tls;
pub mod volume;

pub use auth::PeerAddress;
pub use tls::{AdminTls, TlsListener};

use crate::finder::Finder;
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use handlers::Refused;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use zcluster_api::{Actor, DirectoryApi, NodeId};
use zcluster_auth::Authenticator;
use zcluster_directory::gal::ExternalBook;
use zcluster_prov::Prov;
use zcluster_rpc::FaultSwitch;

/// What the handlers work on.
pub struct Admin {
    /// This node.
    pub node: NodeId,
    /// The router, for its status and its choice of shards.
    pub router: Arc<zcluster_router::Router>,
    /// Checks administrators' passwords.
    pub authenticator: Arc<Authenticator>,
    /// Lets commands on this machine in.
    pub secret: String,
    /// The cluster CA's certificate, DER.
    pub ca_der: Vec<u8>,
    /// Present only when the node was started for fault injection.
    pub faults: Option<FaultSwitch>,
    /// Sends the reports that domains ask for.
    pub reporter: Arc<zcluster_relay::reports::Reporter>,
    /// Address lists of other directories.
    pub book: Arc<dyn ExternalBook>,
    /// Where bodies lie outside of the shards.
    pub volumes: volume::VolumeAdmin,
    /// Searches mailboxes.
    pub finder: Finder,
}

impl Admin {
    fn prov(&self, actor: Actor) -> Prov {
        Prov::new(self.directory(), self.router.clone(), actor).with_book(self.book.clone())
    }
    fn directory(&self) -> Arc<dyn DirectoryApi> {
        self.router.clone()
    }
}

/// Largest request body, bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Takes the whole request in before anything is refused: some HTTP/2 clients (curl 7.88 for one) take an answer that
/// comes earlier for a broken connection.
async fn whole(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match axum::body::to_bytes(body, BODY_BYTES_MAX).await {
        Ok(bytes) => next.run(Request::from_parts(parts, bytes.into())).await,
        Err(_) => {
            let text = format!("the request is longer than {BODY_BYTES_MAX} bytes, or broke off");
            Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "service.INVALID_REQUEST", &text).into_response()
        }
    }
}

/// The routes.
pub fn routes(admin: Arc<Admin>) -> Router {
    Router::new()
        .route("/v1/status", get(handlers::status))
        .route("/v1/token", post(handlers::token))
        .route("/v1/prov", post(handlers::prov))
        .route("/v1/prov/lines", post(handlers::prov_lines))
        .route("/v1/locate", get(handlers::locate))
        .route("/v1/node", post(handlers::node))
        .route("/v1/queue/list", post(queue::list))
        .route("/v1/queue/act", post(queue::act))
        .route("/v1/queue/show", post(queue::show))
        .route("/v1/queue/summary", get(queue::summary))
        .route("/v1/dkim", post(dkim::dkim))
        .route("/v1/volume", post(volume::volume))
        .route("/v1/mailbox/search", post(search::search))
        .route("/v1/mailbox/texts", post(search::texts))
        .route("/v1/mailbox/dumpster/list", post(dumpster::list))
        .route("/v1/mailbox/dumpster/recover", post(dumpster::recover))
        .route("/v1/mailbox/dumpster/purge", post(dumpster::purge))
        .route("/v1/discover", post(search::discover))
        .route("/v1/blob/verify", post(blob::verify))
        .route("/v1/hsm", post(blob::hsm))
        .route("/v1/report/list", get(report::list))
        .route("/v1/report/send", post(report::send))
        .route("/v1/auth", post(signin::login))
        .route("/v1/logout", post(signin::logout))
        .route("/v1/signin", post(signin::signin))
        .route("/v1/fault", post(handlers::fault))
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(axum::middleware::from_fn(whole))
        .merge(directory_routes())
        .with_state(admin)
}

/// Calls with many entries, and so with larger bodies.
fn directory_routes() -> Router<Arc<Admin>> {
    Router::new()
        .route("/v1/directory/bring", post(directory::bring))
        .route("/v1/directory/change", post(directory::change))
        .route("/v1/directory/list", post(directory::list))
        .layer(axum::extract::DefaultBodyLimit::max(directory::BODY_BYTES_MAX))
}

/// `POST /v1/token`.
#[derive(Debug, Serialize, Deserialize)]
pub struct TokenRequest {
    /// Hours it is good for.
    pub hours: u64,
}

/// Answer to [`TokenRequest`].
#[derive(Debug, Serialize, Deserialize)]
pub struct TokenReply {
    /// What to carry to the new node.
    pub token: String,
    /// Unix milliseconds.
    pub expires_ms: u64,
    /// Node-to-node address of the node that was asked: `zcluster join` takes it.
    pub address: String,
}

/// `POST /v1/prov`: one command; the answer is [`zcluster_prov::Reply`], its first page. For many, and for further pages,
/// there is `POST /v1/prov/lines` ([`zcluster_prov::Request`]).
#[derive(Debug, Serialize, Deserialize)]
pub struct ProvRequest {
    /// Command and arguments.
    pub args: Vec<String>,
}

/// `GET /v1/locate?account=`.
#[derive(Debug, Serialize, Deserialize)]
pub struct LocateRequest {
    /// Address, alias or id.
    pub account: String,
}

/// Answer to [`LocateRequest`].
#[derive(Debug, Serialize, Deserialize)]
pub struct LocateReply {
    /// Primary address.
    pub account: String,
    /// `zimbraId`.
    pub id: String,
    /// Mailbox number.
    pub mailbox: u64,
    /// Shard number.
    pub shard: u32,
    /// Home epoch.
    pub epoch: u64,
}

/// `POST /v1/node`: what a node shall be from now on.
#[derive(Debug, Serialize, Deserialize)]
pub struct NodeRequest {
    /// Node number.
    pub node: u32,
    /// The new state.
    pub state: WantedState,
}

/// See [`NodeRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WantedState {
    /// Takes its share.
    Active,
    /// Gives its share away.
    Draining,
    /// Is gone; only a node that holds nothing.
    Removed,
}

/// `POST /v1/fault`.
#[derive(Debug, Serialize, Deserialize)]
pub struct FaultRequest {
    /// Node numbers to cut off.
    pub block: BTreeSet<u32>,
}

/// What every refusal says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Problem {
    /// For people.
    pub error: String,
    /// For programs: Zimbra's code where there is one.
    pub code: String,
}

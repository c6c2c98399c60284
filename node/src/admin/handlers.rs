//! The calls.

use super::auth::{Allowed, Signed};
use super::status::StatusReply;
use super::{
    Admin, FaultRequest, LocateReply, LocateRequest, NodeRequest, Problem, ProvRequest, TokenReply, TokenRequest,
    WantedState,
};
use crate::join::request_id;
use crate::token::Token;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::directory::{NodeState, Object};
use zcluster_api::{Actor, DirectoryCommand, DirectoryQuery, DirectoryReply, Error, Freshness};
use zcluster_directory::Directory;
use zcluster_prov::{Failure, LineOutcome, Reply, Request};
use zcluster_router::admission;

/// How long each node may take to report.
const STATUS_TIMEOUT: Duration = Duration::from_millis(1_500);
/// The longest a token may live, hours.
const TOKEN_HOURS_MAX: u64 = 8_760;

/// A request that was not carried out.
pub struct Refused(StatusCode, Problem);

impl Refused {
    /// With a code for programs and a text for people.
    pub fn new(status: StatusCode, code: &str, error: &str) -> Refused {
        Refused(status, Problem { error: error.to_string(), code: code.to_string() })
    }
}

impl From<Error> for Refused {
    fn from(e: Error) -> Refused {
        let (status, code) = match &e {
            Error::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "service.TEMPORARILY_UNAVAILABLE"),
            Error::Denied(_) => (StatusCode::FORBIDDEN, "service.PERM_DENIED"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "service.FAILURE"),
        };
        Refused::new(status, code, &e.to_string())
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Refused {
        let status = match failure.code.as_str() {
            "service.TEMPORARILY_UNAVAILABLE" => StatusCode::SERVICE_UNAVAILABLE,
            "service.FAILURE" => StatusCode::INTERNAL_SERVER_ERROR,
            "service.PERM_DENIED" => StatusCode::FORBIDDEN,
            _ => StatusCode::BAD_REQUEST,
        };
        Refused::new(status, &failure.code, &failure.text)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

/// `GET /v1/status`.
pub async fn status(_: Allowed, State(admin): State<Arc<Admin>>) -> Result<Json<StatusReply>, Refused> {
    Ok(Json(StatusReply::from(admin.router.status(STATUS_TIMEOUT).await?)))
}

/// `POST /v1/token`.
pub async fn token(
    Allowed(actor): Allowed,
    State(admin): State<Arc<Admin>>,
    Json(request): Json<TokenRequest>,
) -> Result<Json<TokenReply>, Refused> {
    let directory = admin.directory();
    let token = Token::new(&admin.ca_der);
    let hours = request.hours.clamp(1, TOKEN_HOURS_MAX);
    let expires_ms = zcluster_runtime::wall_ms() + hours * 3_600_000;
    directory.write(actor, request_id(), DirectoryCommand::AddToken { hash: token.hash(), expires_ms }).await?;
    let nodes = match directory.read(DirectoryQuery::Nodes, Freshness::Local).await? {
        DirectoryReply::Nodes(nodes) => nodes,
        _ => Vec::new(),
    };
    let address = nodes.into_iter().find(|n| n.id == admin.node).map(|n| n.rpc).unwrap_or_default();
    Ok(Json(TokenReply { token: token.encode(), expires_ms, address }))
}

/// `POST /v1/prov`. Every command asks for the rights of who signed in.
pub async fn prov(
    Signed(actor): Signed,
    State(admin): State<Arc<Admin>>,
    Json(request): Json<ProvRequest>,
) -> Result<Json<Reply>, Refused> {
    Ok(Json(admin.prov(actor).run(&request.args).await?))
}

/// `POST /v1/prov/lines`. The same.
pub async fn prov_lines(
    Signed(actor): Signed,
    State(admin): State<Arc<Admin>>,
    Json(request): Json<Request>,
) -> Result<Json<Vec<LineOutcome>>, Refused> {
    Ok(Json(admin.prov(actor).run_lines(&request).await?))
}

/// `GET /v1/locate`.
pub async fn locate(
    Signed(actor): Signed,
    State(admin): State<Arc<Admin>>,
    Query(request): Query<LocateRequest>,
) -> Result<Json<LocateReply>, Refused> {
    let account = admin.prov(actor).account(&request.account).await?;
    let directory = Directory::new(admin.directory(), Freshness::Recent);
    directory.require_right(actor, &Object::from(account.clone()), &["getAccountInfo"]).await?;
    Ok(Json(LocateReply {
        account: account.name,
        id: account.id.to_string(),
        mailbox: account.home.mailbox.0,
        shard: account.home.group.0,
        epoch: account.home.epoch.0,
    }))
}

/// `POST /v1/node`.
pub async fn node(
    Allowed(actor): Allowed,
    State(admin): State<Arc<Admin>>,
    Json(request): Json<NodeRequest>,
) -> Result<Json<StatusReply>, Refused> {
    let state = match request.state {
        WantedState::Active => NodeState::Active,
        WantedState::Draining => NodeState::Draining,
        WantedState::Removed => NodeState::Removed,
    };
    match admission::set_state(&admin.router, actor, request.node, state, STATUS_TIMEOUT).await {
        Ok(()) => {}
        Err(Error::Conflict(text)) => return Err(Refused::new(StatusCode::CONFLICT, "service.CONFLICT", &text)),
        Err(e) => return Err(e.into()),
    }
    Ok(Json(StatusReply::from(admin.router.status(STATUS_TIMEOUT).await?)))
}

/// `POST /v1/fault`.
pub async fn fault(
    Allowed(actor): Allowed,
    State(admin): State<Arc<Admin>>,
    Json(request): Json<FaultRequest>,
) -> Result<Json<FaultRequest>, Refused> {
    let Some(faults) = admin.faults.as_ref().filter(|_| actor == Actor::System) else {
        let text = "fault injection is off: start the node with --enable-fault-injection and use --data";
        return Err(Refused::new(StatusCode::FORBIDDEN, "service.PERM_DENIED", text));
    };
    faults.set(request.block.clone());
    Ok(Json(request))
}

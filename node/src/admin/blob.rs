//! Proving that bodies are where they should be, and the volume policies' runs.

use super::Admin;
use super::auth::Allowed;
use super::handlers::Refused;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::sync::Arc;
use zcluster_router::{HsmAsk, HsmStatus, VerifyAsk};

/// `POST /v1/blob/verify`: one [`zcluster_router::VerifyNews`] a line, as it is found.
pub async fn verify(
    _: Allowed,
    State(admin): State<Arc<Admin>>,
    Json(ask): Json<VerifyAsk>,
) -> Result<Response, Refused> {
    let known = zcluster_api::Volumes::names(admin.volumes.stores.as_ref());
    if let Some(name) = ask.volume.as_ref().filter(|name| !known.contains(name)) {
        let text = format!("there is no volume {name}");
        return Err(Refused::new(StatusCode::BAD_REQUEST, "service.INVALID_REQUEST", &text));
    }
    let lines = admin.router.verify(ask).map(|news| {
        let mut line = serde_json::to_vec(&news).unwrap_or_default();
        line.push(b'\n');
        Ok::<_, Infallible>(Bytes::from(line))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

/// `POST /v1/hsm`.
#[derive(Debug, Serialize, Deserialize)]
pub struct HsmRequest {
    /// What to do.
    pub ask: HsmAsk,
}

/// How far a node is with the volume policies.
#[derive(Debug, Serialize, Deserialize)]
pub struct HsmNode {
    /// Node number.
    pub node: u32,
    /// What it says.
    pub status: Option<HsmStatus>,
    /// Why it says nothing.
    pub error: Option<String>,
}

/// `POST /v1/hsm`: asked of every node.
pub async fn hsm(
    _: Allowed,
    State(admin): State<Arc<Admin>>,
    Json(request): Json<HsmRequest>,
) -> Result<Json<Vec<HsmNode>>, Refused> {
    let told = admin.router.hsm(request.ask).await.into_iter().map(|(node, status)| match status {
        Ok(status) => HsmNode { node: node.number(), status: Some(status), error: None },
        Err(error) => HsmNode { node: node.number(), status: None, error: Some(error) },
    });
    Ok(Json(told.collect()))
}

//! The reports that domains get about their mail, of this node.

use super::Admin;
use super::auth::Allowed;
use super::handlers::Refused;
use axum::Json;
use axum::extract::State;
use std::sync::Arc;
use zcluster_api::Error;
use zcluster_relay::reports::{Pending, Sent};

/// `GET /v1/report/list`: what this node is counting.
pub async fn list(_: Allowed, State(admin): State<Arc<Admin>>) -> Result<Json<Vec<Pending>>, Refused> {
    Ok(Json(admin.reporter.pending()))
}

/// `POST /v1/report/send`: sends all that this node has counted, today's counts too.
pub async fn send(_: Allowed, State(admin): State<Arc<Admin>>) -> Result<Json<Vec<Sent>>, Refused> {
    // It goes on when whoever asked does not wait for the answer.
    let reporter = admin.reporter.clone();
    let sent = zcluster_runtime::spawn(async move { reporter.send(true).await }).await;
    Ok(Json(sent.map_err(|e| Error::Internal(e.to_string()))?))
}

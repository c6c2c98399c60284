//! Many entries at a time: what imports and exports are made of.

use super::Admin;
use super::auth::Allowed;
use super::handlers::Refused;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zcluster_api::Freshness;
use zcluster_directory::change::Change;
use zcluster_directory::shown::{Listed, Listing};
use zcluster_directory::wanted::{Manner, Outcome, Wanted};
use zcluster_directory::{Directory, Failure};

/// Largest body of these calls, bytes: a list with 100,000 members, as JSON.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// `POST /v1/directory/bring`.
#[derive(Debug, Serialize, Deserialize)]
pub struct BringRequest {
    /// Entries as they shall be.
    pub wanted: Vec<Wanted>,
    /// How those that are there are treated.
    #[serde(default)]
    pub manner: Manner,
}

/// Answer to [`BringRequest`].
#[derive(Debug, Serialize, Deserialize)]
pub struct BringReply {
    /// What became of each, in order.
    pub outcomes: Vec<Outcome>,
}

/// Answer to `POST /v1/directory/change`, whose body is a [`Change`].
#[derive(Debug, Serialize, Deserialize)]
pub struct ChangeReply {}

fn refused(failure: &Failure) -> Refused {
    let status = match failure.code.as_str() {
        "service.TEMPORARILY_UNAVAILABLE" => StatusCode::SERVICE_UNAVAILABLE,
        "service.FAILURE" => StatusCode::INTERNAL_SERVER_ERROR,
        "service.PERM_DENIED" => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_REQUEST,
    };
    Refused::new(status, &failure.code, &failure.text)
}

impl Admin {
    /// What was written through any node is seen first; all further reads of the call are this node's own.
    async fn up_to_date(&self) -> Result<Directory, Refused> {
        let directory = self.directory();
        directory.read(zcluster_api::DirectoryQuery::Cluster, Freshness::Recent).await?;
        Ok(Directory::new(directory, Freshness::Local))
    }
}

/// `POST /v1/directory/bring`.
pub async fn bring(
    Allowed(actor): Allowed,
    State(admin): State<Arc<Admin>>,
    Json(request): Json<BringRequest>,
) -> Result<Json<BringReply>, Refused> {
    let directory = admin.up_to_date().await?;
    let outcomes = directory.bring(actor, &request.wanted, request.manner).await.map_err(|f| refused(&f))?;
    Ok(Json(BringReply { outcomes }))
}

/// `POST /v1/directory/change`.
pub async fn change(
    Allowed(actor): Allowed,
    State(admin): State<Arc<Admin>>,
    Json(request): Json<Change>,
) -> Result<Json<ChangeReply>, Refused> {
    admin.up_to_date().await?.change(actor, &request).await.map_err(|f| refused(&f))?;
    Ok(Json(ChangeReply {}))
}

/// `POST /v1/directory/list`.
pub async fn list(
    Allowed(actor): Allowed,
    State(admin): State<Arc<Admin>>,
    Json(request): Json<Listing>,
) -> Result<Json<Listed>, Refused> {
    admin.up_to_date().await?.list(actor, &request).await.map(Json).map_err(|f| refused(&f))
}

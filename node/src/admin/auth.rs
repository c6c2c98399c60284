//! Who may administer: commands with the node's own secret, and administrators with their password.

use super::handlers::Refused;
use super::{Admin, TlsListener};
use axum::extract::FromRequestParts;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::serve::IncomingStream;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use zcluster_api::Actor;
use zcluster_auth::{AuthError, Service};

/// Where a request comes from.
#[derive(Clone, Copy)]
pub struct PeerAddress(IpAddr);

impl Connected<IncomingStream<'_, TlsListener>> for PeerAddress {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        PeerAddress(stream.remote_addr().ip())
    }
}

/// A request of somebody who may everything: the node's own commands, a global administrator.
pub struct Allowed(pub Actor);

/// The same, or a request of a delegated administrator (`zimbraIsDelegatedAdminAccount`), who comes as his account:
/// what is done for him asks for his rights.
pub struct Signed(pub Actor);

impl FromRequestParts<Arc<Admin>> for Allowed {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, admin: &Arc<Admin>) -> Result<Self, Refused> {
        match Signed::from_request_parts(parts, admin).await? {
            Signed(Actor::Account(_)) => {
                let text = "permission denied: this is for global administrators";
                Err(Refused::new(StatusCode::FORBIDDEN, "service.PERM_DENIED", text))
            }
            Signed(actor) => Ok(Allowed(actor)),
        }
    }
}

impl FromRequestParts<Arc<Admin>> for Signed {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, admin: &Arc<Admin>) -> Result<Self, Refused> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok());
        let unsigned = || Refused::new(StatusCode::UNAUTHORIZED, "service.AUTH_REQUIRED", "sign in first");
        let (scheme, value) = header.and_then(|h| h.split_once(' ')).ok_or_else(unsigned)?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return if same(value.as_bytes(), admin.secret.as_bytes()) {
                Ok(Signed(Actor::System))
            } else {
                Err(wrong())
            };
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(unsigned());
        }
        let decoded = STANDARD.decode(value).ok().and_then(|b| String::from_utf8(b).ok()).ok_or_else(wrong)?;
        let (user, password) = decoded.split_once(':').ok_or_else(wrong)?;
        let peer = parts.extensions.get::<ConnectInfo<PeerAddress>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.0);
        match admin.authenticator.verify(user, password.as_bytes(), peer, Service::Admin).await {
            Ok(account) if account.is_admin() => Ok(Signed(Actor::Admin(account.id))),
            Ok(account) if account.effective("zimbraIsDelegatedAdminAccount") == Some("TRUE") => {
                Ok(Signed(Actor::Account(account.id)))
            }
            Ok(account) => Err(Refused::new(
                StatusCode::FORBIDDEN,
                "service.PERM_DENIED",
                &format!(
                    "{} is not an administrator (zimbraIsAdminAccount, zimbraIsDelegatedAdminAccount)",
                    account.name
                ),
            )),
            Err(AuthError::TryLater) => Err(Refused::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "account.AUTH_FAILED",
                "too many attempts, try again later",
            )),
            Err(e) => Err(Refused::new(StatusCode::UNAUTHORIZED, "account.AUTH_FAILED", &e.to_string())),
        }
    }
}

fn wrong() -> Refused {
    Refused::new(StatusCode::UNAUTHORIZED, "account.AUTH_FAILED", "wrong credentials")
}

/// Compares without telling by its time where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    // Hashes of one length are compared whole by this type.
    blake3::hash(a) == blake3::hash(b)
}

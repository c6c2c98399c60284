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
use zcluster_api::directory::Account;
use zcluster_auth::{AuthError, Service};

/// Where a request comes from.
#[derive(Clone, Copy)]
pub struct PeerAddress(IpAddr);

impl PeerAddress {
    /// The address.
    pub fn ip(self) -> IpAddr {
        self.0
    }
}

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
                by_token(admin, value).await
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
            Ok(account) if is_delegated(&account) => Ok(Signed(Actor::Account(account.id))),
            Ok(account) => Err(Refused::new(
                StatusCode::FORBIDDEN,
                "service.PERM_DENIED",
                &format!(
                    "{} is not an administrator (zimbraIsAdminAccount, zimbraIsDelegatedAdminAccount)",
                    account.name
                ),
            )),
            Err(e) => Err(refusal(&e)),
        }
    }
}

/// Whether it is a delegated administrator's account.
fn is_delegated(account: &Account) -> bool {
    account.attrs.get("zimbraIsDelegatedAdminAccount") == Some("TRUE")
}

/// A token of `POST /v1/auth`.
async fn by_token(admin: &Admin, token: &str) -> Result<Signed, Refused> {
    match admin.authenticator.redeem_token(token).await {
        Ok((account, token)) if token.admin && account.is_admin() => Ok(Signed(Actor::Admin(account.id))),
        Ok((account, token)) if token.admin && is_delegated(&account) => Ok(Signed(Actor::Account(account.id))),
        Ok(_) => Err(Refused::new(StatusCode::FORBIDDEN, "service.PERM_DENIED", "not a token for administration")),
        Err(AuthError::Invalid) => {
            Err(Refused::new(StatusCode::UNAUTHORIZED, "service.AUTH_EXPIRED", "the token is not valid, or no longer"))
        }
        Err(e) => Err(refusal(&e)),
    }
}

/// How a refused sign-in is told, with Zimbra's code.
pub fn refusal(error: &AuthError) -> Refused {
    let (status, code) = match error {
        AuthError::TryLater => {
            let text = "too many attempts, try again later";
            return Refused::new(StatusCode::SERVICE_UNAVAILABLE, "account.AUTH_FAILED", text);
        }
        AuthError::Disabled(status) if status == "maintenance" => {
            (StatusCode::UNAUTHORIZED, "account.MAINTENANCE_MODE")
        }
        AuthError::Invalid | AuthError::Disabled(_) | AuthError::SwitchedOff => {
            (StatusCode::UNAUTHORIZED, "account.AUTH_FAILED")
        }
        AuthError::ChangePassword => (StatusCode::UNAUTHORIZED, "account.CHANGE_PASSWORD"),
        AuthError::CodeRequired => (StatusCode::UNAUTHORIZED, "account.TWO_FACTOR_AUTH_REQUIRED"),
        AuthError::SetupRequired => (StatusCode::UNAUTHORIZED, "account.TWO_FACTOR_SETUP_REQUIRED"),
    };
    Refused::new(status, code, &error.to_string())
}

fn wrong() -> Refused {
    Refused::new(StatusCode::UNAUTHORIZED, "account.AUTH_FAILED", "wrong credentials")
}

/// Compares without telling by its time where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    // Hashes of one length are compared whole by this type.
    blake3::hash(a) == blake3::hash(b)
}

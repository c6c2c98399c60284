//! Auth tokens, second factors, app passwords: for administrators, and the sign-in that gives a token.

use super::Admin;
use super::auth::{Allowed, PeerAddress, refusal};
use super::handlers::Refused;
use axum::Json;
use axum::extract::State;
use axum::extract::connect_info::ConnectInfo;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zcluster_api::directory::Modification;
use zcluster_api::{Actor, DirectoryCommand};
use zcluster_auth::{AuthError, ChangeError, SecondFactorError, Service, app_passwords, new_preauth_key};

/// `POST /v1/auth`: no sign-in is needed for it.
#[derive(Debug, Serialize, Deserialize)]
pub struct LoginRequest {
    /// Address.
    pub account: String,
    /// Password.
    pub password: String,
    /// Code of the second factor.
    pub code: Option<String>,
}

/// Answer to [`LoginRequest`].
#[derive(Debug, Serialize, Deserialize)]
pub struct LoginReply {
    /// To be sent as `Authorization: Bearer`.
    pub token: String,
    /// Unix milliseconds.
    pub expires_ms: u64,
    /// Milliseconds from now.
    pub lifetime_ms: u64,
}

/// `POST /v1/logout`.
#[derive(Debug, Serialize, Deserialize)]
pub struct LogoutRequest {
    /// The token to end.
    pub token: String,
}

/// `POST /v1/signin`.
#[derive(Debug, Serialize, Deserialize)]
pub struct SignInRequest {
    /// What to do.
    pub action: SignInAction,
}

/// See [`SignInRequest`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignInAction {
    /// A secret for a phone; nothing changes yet.
    BeginTwoFactor {
        /// Whose.
        account: String,
    },
    /// Switches the second factor on.
    EnableTwoFactor {
        /// Whose.
        account: String,
        /// The secret from before.
        secret: String,
        /// What the phone shows.
        code: String,
    },
    /// Switches it off.
    DisableTwoFactor {
        /// Whose.
        account: String,
    },
    /// New codes for paper.
    ScratchCodes {
        /// Whose.
        account: String,
    },
    /// A password for a program.
    AddAppPassword {
        /// Whose.
        account: String,
        /// What it is for.
        name: String,
    },
    /// What there is.
    ListAppPasswords {
        /// Whose.
        account: String,
    },
    /// Makes one void.
    RemoveAppPassword {
        /// Whose.
        account: String,
        /// Which.
        name: String,
    },
    /// Ends all of an account's tokens.
    SignOut {
        /// Whose.
        account: String,
    },
    /// A new key for tokens.
    RotateKey,
    /// A new key for a domain's portal.
    PreAuthKey {
        /// The domain.
        domain: String,
    },
}

/// Answer to [`SignInRequest`]: what there is to show.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SignInReply {
    /// Secret, base32.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The same, to scan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Codes for paper.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<String>,
    /// A new app password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// App passwords.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub app_passwords: Vec<ShownAppPassword>,
    /// A key, or its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// An app password as shown.
#[derive(Debug, Serialize, Deserialize)]
pub struct ShownAppPassword {
    /// Name.
    pub name: String,
    /// Unix milliseconds.
    pub created_ms: u64,
    /// Unix milliseconds.
    pub expires_ms: Option<u64>,
}

impl From<SecondFactorError> for Refused {
    fn from(error: SecondFactorError) -> Refused {
        let status = match &error {
            SecondFactorError::Directory(e) => return e.clone().into(),
            _ => StatusCode::BAD_REQUEST,
        };
        Refused::new(status, error.code(), &error.to_string())
    }
}

impl From<ChangeError> for Refused {
    fn from(error: ChangeError) -> Refused {
        match error {
            ChangeError::Auth(error) => refusal(&error),
            ChangeError::Violation(v) => Refused::new(StatusCode::BAD_REQUEST, v.code(), &v.to_string()),
            ChangeError::Directory(error) => error.into(),
        }
    }
}

/// `POST /v1/auth`.
pub async fn login(
    ConnectInfo(peer): ConnectInfo<PeerAddress>,
    State(admin): State<Arc<Admin>>,
    Json(request): Json<LoginRequest>,
) -> Result<Json<LoginReply>, Refused> {
    let LoginRequest { account, password, code } = request;
    let authenticator = &admin.authenticator;
    let verified =
        authenticator.verify_with_code(&account, password.as_bytes(), code.as_deref(), peer.ip(), Service::Admin).await;
    let account = verified.map_err(|e| refusal(&e))?;
    let token = authenticator.issue_token(&account, true).await.map_err(|e| match e {
        AuthError::Invalid => Refused::new(
            StatusCode::FORBIDDEN,
            "service.PERM_DENIED",
            &format!("{} is not an administrator (zimbraIsAdminAccount is not TRUE)", account.name),
        ),
        other => refusal(&other),
    })?;
    Ok(Json(LoginReply { token: token.text, expires_ms: token.expires_ms, lifetime_ms: token.lifetime_ms }))
}

/// `POST /v1/logout`. Who has a token may end it.
pub async fn logout(
    State(admin): State<Arc<Admin>>,
    Json(request): Json<LogoutRequest>,
) -> Result<Json<SignInReply>, Refused> {
    admin.authenticator.revoke_token(&request.token).await.map_err(|e| refusal(&e))?;
    Ok(Json(SignInReply::default()))
}

/// `POST /v1/signin`.
pub async fn signin(
    Allowed(actor): Allowed,
    State(admin): State<Arc<Admin>>,
    Json(request): Json<SignInRequest>,
) -> Result<Json<SignInReply>, Refused> {
    let prov = admin.prov(actor);
    let authenticator = &admin.authenticator;
    let mut reply = SignInReply::default();
    match request.action {
        SignInAction::BeginTwoFactor { account } => {
            let enrolment = authenticator.begin_second_factor(&prov.account(&account).await?).await?;
            (reply.secret, reply.uri) = (Some(enrolment.secret), Some(enrolment.uri));
        }
        SignInAction::EnableTwoFactor { account, secret, code } => {
            let account = prov.account(&account).await?;
            reply.codes = authenticator.enable_second_factor(&account, &secret, &code).await?;
        }
        SignInAction::DisableTwoFactor { account } => {
            authenticator.disable_second_factor(&prov.account(&account).await?, true).await?;
        }
        SignInAction::ScratchCodes { account } => {
            reply.codes = authenticator.new_scratch_codes(&prov.account(&account).await?).await?;
        }
        SignInAction::AddAppPassword { account, name } => {
            reply.password = Some(authenticator.new_app_password(&prov.account(&account).await?, &name).await?);
        }
        SignInAction::ListAppPasswords { account } => {
            let shown = app_passwords(&prov.account(&account).await?).into_iter();
            let shown =
                shown.map(|a| ShownAppPassword { name: a.name, created_ms: a.created_ms, expires_ms: a.expires_ms });
            reply.app_passwords = shown.collect();
        }
        SignInAction::RemoveAppPassword { account, name } => {
            authenticator.revoke_app_password(&prov.account(&account).await?, &name).await?;
        }
        SignInAction::SignOut { account } => authenticator.revoke_all_tokens(&prov.account(&account).await?).await?,
        SignInAction::RotateKey => {
            reply.key = Some(authenticator.rotate_token_key().await.map_err(|e| refusal(&e))?.to_string());
        }
        SignInAction::PreAuthKey { domain } => reply.key = Some(preauth_key(&admin, actor, domain).await?),
    }
    Ok(Json(reply))
}

async fn preauth_key(admin: &Admin, actor: Actor, domain: String) -> Result<String, Refused> {
    let key = new_preauth_key();
    let changes = vec![Modification::set("zimbraPreAuthKey", key.clone())];
    let command = DirectoryCommand::ModifyDomain { name: domain, changes };
    admin.directory().write(actor, crate::join::request_id(), command).await?;
    Ok(key)
}

//! Auth tokens, second factors, app passwords: for administrators, and the sign-in that gives a token.

use super::Admin;
use super::auth::{PeerAddress, Signed, refusal};
use super::handlers::Refused;
use axum::Json;
use axum::extract::State;
use axum::extract::connect_info::ConnectInfo;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zcluster_api::directory::{Account, Object};
use zcluster_api::{Actor, Freshness};
use zcluster_auth::{AuthError, ChangeError, SecondFactorError, Service, app_passwords};
use zcluster_directory::Directory;

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
            &format!("{} is not an administrator (zimbraIsAdminAccount, zimbraIsDelegatedAdminAccount)", account.name),
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

/// `POST /v1/signin`. What concerns an account is for who may act as it (`adminLoginAs`).
pub async fn signin(
    Signed(actor): Signed,
    State(admin): State<Arc<Admin>>,
    Json(request): Json<SignInRequest>,
) -> Result<Json<SignInReply>, Refused> {
    let authenticator = &admin.authenticator;
    let account = match request.action.account() {
        Some(name) => acted_as(&admin, actor, name).await?,
        None => return of_all(&admin, actor, request.action).await,
    };
    let mut reply = SignInReply::default();
    match request.action {
        SignInAction::BeginTwoFactor { .. } => {
            let enrolment = authenticator.begin_second_factor(&account).await?;
            (reply.secret, reply.uri) = (Some(enrolment.secret), Some(enrolment.uri));
        }
        SignInAction::EnableTwoFactor { secret, code, .. } => {
            reply.codes = authenticator.enable_second_factor(&account, &secret, &code).await?;
        }
        SignInAction::DisableTwoFactor { .. } => authenticator.disable_second_factor(&account, true).await?,
        SignInAction::ScratchCodes { .. } => reply.codes = authenticator.new_scratch_codes(&account).await?,
        SignInAction::AddAppPassword { name, .. } => {
            reply.password = Some(authenticator.new_app_password(&account, &name).await?);
        }
        SignInAction::ListAppPasswords { .. } => {
            let shown = app_passwords(&account).into_iter();
            let shown =
                shown.map(|a| ShownAppPassword { name: a.name, created_ms: a.created_ms, expires_ms: a.expires_ms });
            reply.app_passwords = shown.collect();
        }
        SignInAction::RemoveAppPassword { name, .. } => authenticator.revoke_app_password(&account, &name).await?,
        SignInAction::SignOut { .. } => authenticator.revoke_all_tokens(&account).await?,
        SignInAction::RotateKey | SignInAction::PreAuthKey { .. } => {}
    }
    Ok(Json(reply))
}

impl SignInAction {
    /// Whose sign-in it is about.
    fn account(&self) -> Option<&str> {
        match self {
            SignInAction::BeginTwoFactor { account }
            | SignInAction::EnableTwoFactor { account, .. }
            | SignInAction::DisableTwoFactor { account }
            | SignInAction::ScratchCodes { account }
            | SignInAction::AddAppPassword { account, .. }
            | SignInAction::ListAppPasswords { account }
            | SignInAction::RemoveAppPassword { account, .. }
            | SignInAction::SignOut { account } => Some(account),
            SignInAction::RotateKey | SignInAction::PreAuthKey { .. } => None,
        }
    }
}

async fn acted_as(admin: &Admin, actor: Actor, name: &str) -> Result<Account, Refused> {
    let account = admin.prov(actor).account(name).await?;
    let directory = Directory::new(admin.directory(), Freshness::Recent);
    directory.require_acting(actor, &Object::from(account.clone())).await?;
    Ok(account)
}

/// What is about no account.
async fn of_all(admin: &Admin, actor: Actor, action: SignInAction) -> Result<Json<SignInReply>, Refused> {
    let key = match action {
        SignInAction::PreAuthKey { domain } => preauth_key(admin, actor, domain).await?,
        _ if matches!(actor, Actor::Account(_)) => {
            let text = "permission denied: this is for global administrators";
            return Err(Refused::new(StatusCode::FORBIDDEN, "service.PERM_DENIED", text));
        }
        _ => admin.authenticator.rotate_token_key().await.map_err(|e| refusal(&e))?.to_string(),
    };
    Ok(Json(SignInReply { key: Some(key), ..SignInReply::default() }))
}

/// What is done by `zmprov generateDomainPreAuthKey`, whatever key there is.
async fn preauth_key(admin: &Admin, actor: Actor, domain: String) -> Result<String, Refused> {
    let reply = admin.prov(actor).run(&["generateDomainPreAuthKey".into(), "-f".into(), domain]).await?;
    Ok(reply.print().trim().trim_start_matches("preAuthKey:").trim().to_string())
}

//! Changing passwords, for every protocol that can.

use super::{Attempt, AuthError, Authenticator};
use crate::channel::Service;
use crate::policy::{Violation, check_new_password, check_password_strength, password_changes};
use crate::sasl::Credentials;
use std::net::IpAddr;
use zcluster_api::Error;
use zcluster_api::directory::Account;
use zeroize::Zeroizing;

/// Why a password was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The old one is wrong, or the account may not sign in.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The new one will not do.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// The directory's answer.
    #[error(transparent)]
    Directory(#[from] Error),
}

impl Authenticator {
    /// A user changes a password with the old one, also where it has to be changed before anything else. All auth tokens
    /// end.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn change_password(
        &self,
        user: &str,
        old: &[u8],
        new: &str,
        peer: IpAddr,
        service: Service,
    ) -> Result<Account, ChangeError> {
        let credentials = Credentials { authzid: None, user: user.into(), password: Zeroizing::new(old.to_vec()) };
        let attempt = Attempt::new(service, "change-password", peer, user);
        let (result, kept_here) = match self.authenticate(&attempt, &credentials, None).await {
            Ok((account, kept_here)) => (self.admit(account, None, service).await, kept_here),
            Err(error) => (Err(error), false),
        };
        let account = self.conclude(&attempt, result).await?;
        // A program's password, or one that another directory has, gives no say over the one that is kept here.
        if !kept_here {
            return Err(Violation::Locked.into());
        }
        let (checked, text) = (account.clone(), new.to_string());
        self.in_turn(move || check_new_password(&checked, &text, zcluster_runtime::wall_ms())).await??;
        self.store_password(&account, new).await?;
        Ok(account)
    }

    /// An administrator sets a password; it only has to be as the account's attributes want passwords to be. All auth
    /// tokens end.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn set_password(&self, account: &Account, new: &str) -> Result<(), ChangeError> {
        check_password_strength(account, new)?;
        self.store_password(account, new).await
    }

    async fn store_password(&self, account: &Account, new: &str) -> Result<(), ChangeError> {
        let (of, text, params) = (account.clone(), new.to_string(), self.config.hash);
        let changes = self.in_turn(move || password_changes(&of, &text, params, zcluster_runtime::wall_ms())).await?;
        self.change(account.id, changes).await?;
        tracing::info!(target: "audit", account = %account.name, "password changed");
        Ok(())
    }
}

//! As whom an account may write.

use crate::route::Found;
use crate::session::Session;
use zcluster_api::directory::{Account, Object};
use zcluster_api::{Error, Result};
use zcluster_directory::Directory;

/// By what right an address is written under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Right {
    /// It is the account's own, one it was allowed (`zimbraAllowFromAddress`, `zimbraAllowAnyFromAddress`), or one whose
    /// owner granted `sendAs` (`sendAsDistList` of a list).
    #[default]
    Own,
    /// Its owner granted `sendOnBehalfOf` (`sendOnBehalfOfDistList` of a list): a Sender field says who it was.
    OnBehalf,
}

impl Session {
    /// The right of an account to an address, if there is any.
    ///
    /// # Errors
    /// The directory's.
    pub(crate) async fn right_to(&self, account: &Account, address: &str) -> Result<Option<Right>> {
        if is_allowed(account, address) {
            return Ok(Some(Right::Own));
        }
        let (owner, [own, on_behalf]) = match self.find(address).await? {
            Found::Account { account: owner, .. } if owner.id == account.id => return Ok(Some(Right::Own)),
            Found::Account { account: owner, .. } => (Object::from(*owner), ["sendAs", "sendOnBehalfOf"]),
            Found::List(list) => (*list, ["sendAsDistList", "sendOnBehalfOfDistList"]),
            Found::Transport { .. } | Found::Nobody | Found::Elsewhere => return Ok(None),
        };
        let directory = Directory::nearby(self.smtp.backend.directory.clone());
        match directory.granted(account.id, &owner, &[own, on_behalf]).await {
            Ok(right) => Ok(right.map(|r| if r == own { Right::Own } else { Right::OnBehalf })),
            Err(failure) => Err(Error::Unavailable(failure.to_string())),
        }
    }
}

fn is_allowed(account: &Account, address: &str) -> bool {
    account.effective("zimbraAllowAnyFromAddress") == Some("TRUE")
        || account.attrs.all("zimbraAllowFromAddress").iter().any(|a| a.eq_ignore_ascii_case(address))
}

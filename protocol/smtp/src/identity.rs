//! As whom an account may write.

use crate::route::Found;
use crate::session::Session;
use zcluster_api::directory::{Account, split_address};
use zcluster_api::{AccountId, DirectoryQuery, DirectoryReply, Error, Freshness, Result};

/// The grantee that stands for every account of the cluster (Zimbra's `GUID_AUTHUSER`).
const ALL_ACCOUNTS: &str = "00000000-0000-0000-0000-000000000000";

/// By what right an address is written under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Right {
    /// It is the account's own, one it was allowed (`zimbraAllowFromAddress`, `zimbraAllowAnyFromAddress`), or one whose
    /// owner granted `sendAs`.
    #[default]
    Own,
    /// Its owner granted `sendOnBehalfOf`: a Sender field says who it was.
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
        let owner = match self.find(address).await? {
            Found::Account { account: owner, .. } => owner,
            Found::Transport { .. } | Found::Refused(_) | Found::Nobody | Found::Elsewhere => return Ok(None),
        };
        if owner.id == account.id {
            return Ok(Some(Right::Own));
        }
        if !owner.attrs.has("zimbraACE") {
            return Ok(None);
        }
        Ok(granted(owner.attrs.all("zimbraACE"), account.id, self.domain_id(account).await?.as_deref()))
    }

    /// The id of an account's domain.
    async fn domain_id(&self, account: &Account) -> Result<Option<String>> {
        let Ok((_, domain)) = split_address(&account.name) else { return Ok(None) };
        match self.smtp.backend.directory.read(DirectoryQuery::Domain(domain), Freshness::Local).await {
            Ok(DirectoryReply::Domain(domain)) => Ok(Some(domain.id.to_string())),
            Ok(_) | Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn is_allowed(account: &Account, address: &str) -> bool {
    account.effective("zimbraAllowAnyFromAddress") == Some("TRUE")
        || account.attrs.all("zimbraAllowFromAddress").iter().any(|a| a.eq_ignore_ascii_case(address))
}

/// What an owner's `zimbraACE` values grant: `grantee-id type right`, the right with `-` in front when it is denied and
/// with `+` when it may be passed on. A denial stands above all.
fn granted(aces: &[String], account: AccountId, domain: Option<&str>) -> Option<Right> {
    let (mut send_as, mut on_behalf) = (None, None);
    for ace in aces {
        let mut words = ace.split_ascii_whitespace();
        let [Some(grantee), Some(kind), Some(right), None] = [words.next(), words.next(), words.next(), words.next()]
        else {
            continue;
        };
        let is_meant = match kind {
            "usr" => grantee.parse() == Ok(account),
            "dom" => domain.is_some_and(|id| id.eq_ignore_ascii_case(grantee)),
            "all" => grantee == ALL_ACCOUNTS,
            _ => false,
        };
        if !is_meant {
            continue;
        }
        let (yes, name) = match right.strip_prefix('-') {
            Some(name) => (false, name),
            None => (true, right.strip_prefix('+').unwrap_or(right)),
        };
        let slot = match name {
            "sendAs" => &mut send_as,
            "sendOnBehalfOf" => &mut on_behalf,
            _ => continue,
        };
        *slot = Some(slot.unwrap_or(true) && yes);
    }
    match (send_as, on_behalf) {
        (Some(true), _) => Some(Right::Own),
        (_, Some(true)) => Some(Right::OnBehalf),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn grants() {
        let me = AccountId([0x11; 16]);
        let domain = "22222222-2222-2222-2222-222222222222";
        let of = |aces: &[&str]| granted(&aces.iter().map(ToString::to_string).collect::<Vec<_>>(), me, Some(domain));
        let ace = |kind: &str, right: &str| match kind {
            "usr" => format!("{me} usr {right}"),
            "dom" => format!("{domain} dom {right}"),
            _ => format!("{ALL_ACCOUNTS} all {right}"),
        };
        assert_eq!(of(&[&ace("usr", "sendAs")]), Some(Right::Own));
        assert_eq!(of(&[&ace("usr", "+sendOnBehalfOf")]), Some(Right::OnBehalf));
        assert_eq!(of(&[&ace("dom", "sendAs"), &ace("usr", "-sendAs")]), None);
        assert_eq!(of(&[&ace("usr", "-sendAs"), &ace("all", "sendAs")]), None);
        assert_eq!(of(&[&ace("all", "sendOnBehalfOf"), &ace("usr", "sendAs")]), Some(Right::Own));
        for other in
            ["", "x usr sendAs", "33333333-3333-3333-3333-333333333333 usr sendAs", &ace("usr", "viewFreeBusy")]
        {
            assert_eq!(of(&[other]), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(ace in "\\PC{0,80}") {
            let _ = granted(&[ace], AccountId([1; 16]), None);
        }
    }
}

//! Journal copies: what an account gets and sends is also kept elsewhere (`zimbraArchiveEnabled`,
//! `zimbraArchiveAccount`, of the account or its COS).

use crate::session::Transaction;
use std::collections::BTreeSet;
use zcluster_api::directory::{Account, split_address};

/// Where copies of an account's mail are kept.
pub fn archives(account: &Account) -> Vec<String> {
    if account.effective("zimbraArchiveEnabled") != Some("TRUE") {
        return Vec::new();
    }
    let all = account.effective_all("zimbraArchiveAccount");
    all.iter().filter(|a| split_address(a).is_ok()).cloned().collect()
}

/// The archives of a message: of those who got it (by their place among the recipients) and of who sent it; each once.
pub fn copies(transaction: &Transaction, got: impl Iterator<Item = usize>, sender: Option<&Account>) -> Vec<String> {
    let of_recipients = got.filter_map(|i| transaction.recipients.get(i)).flat_map(|r| r.archives.iter().cloned());
    let all: BTreeSet<String> = of_recipients.chain(sender.map(archives).unwrap_or_default()).collect();
    all.into_iter().collect()
}

/// The envelope, which the header need not tell (RFC 5321 §7.2: blind copies), in front of the copy.
pub fn envelope_fields(transaction: &Transaction) -> String {
    let mut fields = format!("X-Envelope-From: <{}>\r\n", clean(&transaction.sender));
    for recipient in &transaction.recipients {
        fields.push_str(&format!("X-Envelope-To: <{}>\r\n", clean(&recipient.address)));
    }
    fields
}

/// No address ends a line, whatever was let through.
fn clean(address: &str) -> String {
    address.chars().map(|c| if c.is_control() || c == '<' || c == '>' { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use zcluster_api::directory::{Attributes, Home, HomeState};
    use zcluster_api::{AccountId, Epoch, GroupId, MailboxId};

    #[test]
    fn an_account_stands_above_its_cos() {
        let set = |list: &[(&str, &str)]| {
            let mut attrs = Attributes::new();
            list.iter().for_each(|(name, value)| attrs.set(name, vec![value.to_string()]));
            attrs
        };
        let home = Home { mailbox: MailboxId(1), group: GroupId(1), epoch: Epoch(1), state: HomeState::Active };
        let cos = set(&[("zimbraArchiveEnabled", "TRUE"), ("zimbraArchiveAccount", "all@archive.example")]);
        let account = |own: &[(&str, &str)]| Account {
            id: AccountId([1; 16]),
            name: "a@b".into(),
            attrs: set(own),
            home,
            cos: Some(cos.clone()),
        };
        assert_eq!(archives(&account(&[])), ["all@archive.example"]);
        assert_eq!(archives(&account(&[("zimbraArchiveAccount", "own@archive.example")])), ["own@archive.example"]);
        assert!(archives(&account(&[("zimbraArchiveEnabled", "FALSE")])).is_empty());
        assert!(archives(&account(&[("zimbraArchiveAccount", "no address")])).is_empty());
    }
}

//! Search keys that the inner API does not have (SAVEDATE's, EMAILID): answered by looking at every message once.

use crate::codec::command::SearchKey;
use crate::codec::date::DAY_MS;
use crate::config::PAGE_MESSAGES;
use crate::errors::Failure;
use crate::session::numbers::pieces;
use crate::session::{Mailbox, Session};
use zcluster_api::UidSet;
use zcluster_api::mailbox::{Message, Want};

/// Keys and the messages that meet them.
#[derive(Default)]
pub struct Scanned(Vec<(SearchKey, UidSet)>);

impl Scanned {
    /// The answer to one key.
    pub fn answer(&self, key: &SearchKey) -> UidSet {
        self.0.iter().find(|(k, _)| k == key).map(|(_, uids)| uids.clone()).unwrap_or_default()
    }

    fn collect(&mut self, key: &SearchKey) {
        match key {
            SearchKey::Saved(..) | SearchKey::EmailId(_) if !self.0.iter().any(|(k, _)| k == key) => {
                self.0.push((key.clone(), UidSet::new()));
            }
            SearchKey::And(keys) => keys.iter().for_each(|k| self.collect(k)),
            SearchKey::Or(a, b) => {
                self.collect(a);
                self.collect(b);
            }
            SearchKey::Not(key) => self.collect(key),
            _ => {}
        }
    }
}

/// Answers the keys within `key` that need it; no message is read when there are none.
pub async fn scan(s: &Session, mailbox: &Mailbox, key: &SearchKey) -> Result<Scanned, Failure> {
    let mut scanned = Scanned::default();
    scanned.collect(key);
    if scanned.0.is_empty() {
        return Ok(scanned);
    }
    let view = s.view()?;
    for piece in pieces(&view.uids, PAGE_MESSAGES.into()) {
        let (messages, _) = mailbox.messages(view.folder, piece, Want::default(), None, PAGE_MESSAGES).await?;
        for m in &messages {
            for (key, uids) in &mut scanned.0 {
                if meets(key, m) {
                    uids.insert(m.uid.0);
                }
            }
        }
    }
    Ok(scanned)
}

fn meets(key: &SearchKey, m: &Message) -> bool {
    match key {
        SearchKey::Saved(from, to) => (*from..*to).contains(&m.saved_ms.div_euclid(DAY_MS)),
        SearchKey::EmailId(id) => id.strip_prefix('M').and_then(|n| n.parse().ok()) == Some(m.item.0),
        _ => false,
    }
}

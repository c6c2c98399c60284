//! BURL (RFC 4468): the message, or a piece of it, is fetched from a mailbox by us. The mailboxes are this cluster's own:
//! no IMAP is spoken for it.

use crate::codec::{Access, Reply, SubmitUrl};
use crate::errors;
use crate::incoming::Incoming;
use crate::service::Service;
use crate::session::{Next, Session};
use aws_lc_rs::{constant_time, hmac};
use futures::StreamExt;
use std::ops::Range;
use std::time::Duration;
use zcluster_api::directory::{Account, AccountBy};
use zcluster_api::mailbox::{UrlAuthKey, Want};
use zcluster_api::{
    Actor, Call, DirectoryQuery, DirectoryReply, Error, Freshness, MailboxQuery, MailboxReply, RequestId, UidSet,
};
use zcluster_listener::ReadError;
use zcluster_mail::{Section, Summary, section};
use zcluster_runtime::{random_bytes, wall_ms};

/// How long the mailbox may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// What the IMAP service's tokens begin with.
const TOKEN_VERSION: &str = "01";

impl Session {
    /// RFC 4468 §3.2.
    pub(crate) async fn burl(&mut self, url: &str, last: bool) -> Result<Next, ReadError> {
        if let Some(refusal) = self.burl_refusal() {
            self.count("BURL", &refusal);
            self.reply(&refusal);
            return Ok(Next::Go);
        }
        let target = match self.chunk_target().await {
            Ok(target) => target,
            Err(refusal) => {
                self.count("BURL", &refusal);
                self.reply(&refusal);
                return Ok(Next::Go);
            }
        };
        let reply = match self.fetch(url, target).await {
            Ok(incoming) if last => {
                self.finish_message("BURL", incoming).await;
                return Ok(Next::Go);
            }
            Ok(incoming) => {
                let reply = incoming.problem().map_or(Reply::new(250, "2.5.0", "waiting for more"), errors::problem);
                if let Some(transaction) = &mut self.transaction {
                    transaction.chunks = Some(incoming);
                }
                reply
            }
            Err(refusal) => {
                // RFC 4468 §3.4: after a piece that failed nothing may be delivered.
                self.transaction = None;
                refusal
            }
        };
        self.count("BURL", &reply);
        self.reply(&reply);
        Ok(Next::Go)
    }

    fn burl_refusal(&self) -> Option<Reply> {
        if self.service() != Service::Submission || self.smtp.backend.edge.mailboxes.is_none() {
            return Some(Reply::new(502, "5.5.1", "command not implemented"));
        }
        // RFC 4468 §3.3: only for users.
        self.account.is_none().then(|| Reply::new(530, "5.7.0", "authentication required"))
    }

    /// Appends what the URL names.
    async fn fetch(&self, url: &str, mut incoming: Incoming) -> Result<Incoming, Reply> {
        // Whatever is wrong with a URL, no more is told than that (RFC 4467 §7).
        let bad = || Reply::new(554, "5.5.0", "URL cannot be resolved");
        let later = |error: Error| match error {
            Error::Unavailable(_) | Error::WrongHome { .. } | Error::Internal(_) => {
                Reply::new(451, "4.4.1", "mailbox temporarily unavailable, try again later")
            }
            _ => bad(),
        };
        let parsed = SubmitUrl::parse(url).ok_or_else(bad)?;
        let (Some(me), Some(mailboxes)) = (&self.account, &self.smtp.backend.edge.mailboxes) else { return Err(bad()) };
        let now = i64::try_from(wall_ms()).unwrap_or(i64::MAX);
        let owner = self.named(&parsed.user, me).await.map_err(later)?.ok_or_else(bad)?;
        let is_meant = match &parsed.access {
            Access::Anyone | Access::AnyUser => true,
            Access::Submit(name) | Access::User(name) => {
                self.named(name, me).await.map_err(later)?.is_some_and(|account| account.id == me.id)
            }
        };
        if !is_meant || owner.status() != "active" || parsed.expire_ms.is_some_and(|at| at <= now) {
            return Err(bad());
        }
        // The key shows whether the owner wants it: the question is the cluster's own.
        let ask = |body| Call {
            actor: Actor::System,
            account: owner.id,
            request: RequestId(random_bytes()),
            timeout: TIMEOUT,
            body,
        };
        let folder =
            match mailboxes.read(ask(MailboxQuery::FolderByPath(parsed.folder.clone()))).await.map_err(later)? {
                MailboxReply::Folders(found) => found.into_iter().next().ok_or_else(bad)?,
                _ => return Err(bad()),
            };
        if parsed.uid_validity.is_some_and(|v| v != folder.uid_validity) {
            return Err(bad());
        }
        let key = match mailboxes.read(ask(MailboxQuery::UrlAuthKey(folder.id))).await.map_err(later)? {
            MailboxReply::UrlAuthKey(Some(key)) => key,
            _ => return Err(bad()),
        };
        let right = token(&key, url.get(..parsed.rump).unwrap_or_default());
        if constant_time::verify_slices_are_equal(right.as_bytes(), parsed.token.as_bytes()).is_err() {
            return Err(bad());
        }
        let query = MailboxQuery::Messages {
            folder: folder.id,
            uids: UidSet::range(parsed.uid, parsed.uid),
            want: Want { summary: parsed.section.is_some(), blob: true },
            changed_since: None,
            limit: 1,
        };
        let message = match mailboxes.read(ask(query)).await.map_err(later)? {
            MailboxReply::Messages { messages, .. } => messages.into_iter().next().ok_or_else(bad)?,
            _ => return Err(bad()),
        };
        let blob = message.blob.clone().ok_or_else(bad)?;
        let range = match &parsed.section {
            None => 0..blob.size,
            Some(text) => {
                let summary = Summary::decode(&message.summary).map_err(later)?;
                range_of(&summary, text).ok_or_else(bad)?
            }
        };
        let call = Call {
            actor: Actor::System,
            account: owner.id,
            request: RequestId(random_bytes()),
            timeout: TIMEOUT,
            body: blob,
        };
        let mut pieces = mailboxes.get(call, range).await.map_err(later)?;
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(later)?;
            incoming.make_room(piece.len()).await;
            incoming.append(&piece);
            if incoming.problem().is_some() {
                break;
            }
        }
        Ok(incoming)
    }

    /// An account by its address, or by the local part alone within the domain of `me`.
    async fn named(&self, name: &str, me: &Account) -> Result<Option<Account>, Error> {
        let address = match (name.contains('@'), me.name.rsplit_once('@')) {
            (false, Some((_, domain))) => format!("{name}@{domain}"),
            _ => name.to_string(),
        };
        let query = DirectoryQuery::Account(AccountBy::Address(address));
        match self.smtp.backend.directory.read(query, Freshness::Local).await.and_then(DirectoryReply::into_account) {
            Ok(account) => Ok(Some(account)),
            Err(Error::NotFound(_) | Error::Invalid(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The token that the IMAP service made under the folder's key (RFC 4467 §7).
fn token(key: &UrlAuthKey, rump: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key.0), rump.as_bytes());
    tag.as_ref().iter().fold(TOKEN_VERSION.to_string(), |out, b| out + &format!("{b:02x}"))
}

/// The bytes of `1.2`, `1.2.MIME`, `HEADER`, `TEXT`, `3.HEADER`; selections of fields are not taken.
fn range_of(summary: &Summary, text: &str) -> Option<Range<u64>> {
    let (mut path, mut what) = (Vec::new(), Section::Whole);
    let mut words = text.split('.').peekable();
    while let Some(word) = words.next() {
        if word.bytes().all(|b| b.is_ascii_digit()) {
            path.push(word.parse().ok().filter(|n| *n > 0)?);
            continue;
        }
        what = match word.to_ascii_uppercase().as_str() {
            "HEADER" => Section::Header,
            "TEXT" => Section::Text,
            "MIME" if !path.is_empty() => Section::Mime,
            _ => return None,
        };
        if words.peek().is_some() {
            return None;
        }
    }
    section(summary, &path, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sections() {
        let raw = b"Subject: a\r\n\r\nbody\r\n";
        let summary = zcluster_mail::parse(raw);
        let of = |text: &str| range_of(&summary, text).map(|r| raw[r.start as usize..r.end as usize].to_vec());
        assert_eq!(of("TEXT").unwrap(), b"body\r\n");
        assert_eq!(of("1").unwrap(), b"body\r\n");
        assert_eq!(of("header").unwrap(), b"Subject: a\r\n\r\n");
        for bad in ["", "MIME", "0", "1.HEADER.2", "HEADER.FIELDS (To)", "x", "1..2"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[0-9.A-Z]{0,20}|\\PC{0,20}") {
            let _ = range_of(&zcluster_mail::parse(b"a: b\r\n\r\nc"), &text);
        }
    }
}

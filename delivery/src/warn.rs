//! Telling an owner that the mailbox fills up.

use crate::deliverer::{Deliverer, conversations_of};
use crate::plan::Ids;
use zcluster_api::directory::Account;
use zcluster_api::mailbox::{NewMessage, folders};
use zcluster_api::{Flags, MailboxCommand, Result};
use zcluster_runtime::wall_ms;

const MIB: u64 = 1024 * 1024;

/// The text when `zimbraQuotaWarnMessage` is not set.
const TEMPLATE: &str = "From: Mail Administrator <postmaster@${RECIPIENT_DOMAIN}>${NEWLINE}\
To: ${RECIPIENT_NAME} <${RECIPIENT_ADDRESS}>${NEWLINE}\
Subject: Your mailbox is ${WARN_PERCENT}% full${NEWLINE}\
Date: ${DATE}${NEWLINE}\
Content-Type: text/plain; charset=utf-8${NEWLINE}${NEWLINE}\
Your mailbox holds ${MBOX_SIZE_MB} MB; its limit is ${QUOTA_MB} MB.${NEWLINE}\
When it is full, new messages can no longer be delivered. Please delete${NEWLINE}\
what you do not need and empty the Trash.${NEWLINE}";

/// Puts the warning into the Inbox. That it fails must not make the delivery fail that it came with.
pub(crate) async fn owner(deliverer: &Deliverer, account: &Account, used: u64, quota: u64) {
    tracing::info!(account = %account.name, used, quota, "the mailbox fills up: its owner is told");
    if let Err(error) = put(deliverer, account, used, quota).await {
        tracing::warn!(account = %account.name, %error, "quota warning not delivered");
    }
}

async fn put(deliverer: &Deliverer, account: &Account, used: u64, quota: u64) -> Result<()> {
    let now_ms = wall_ms() as i64;
    let raw = bytes::Bytes::from(render(account, used, quota, now_ms, &deliverer.config().hostname));
    let (mut parsed, body) = crate::arrival::prepare(raw).await?;
    parsed.set_conversations(conversations_of(account));
    let call = deliverer.caller(account.id);
    let mailboxes = deliverer.mailboxes();
    let body = mailboxes.put(call.with(body)).await?;
    let message = NewMessage {
        folder: folders::INBOX,
        flags: Flags::UNREAD.with(Flags::FLAGGED),
        keywords: Vec::new(),
        internal_ms: now_ms,
        parsed,
        body,
        delivery_key: None,
    };
    mailboxes.write(call.with(MailboxCommand::AddMessage(message))).await.map(|_| ())
}

/// `zimbraQuotaWarnMessage` with its variables.
fn render(account: &Account, used: u64, quota: u64, now_ms: i64, hostname: &str) -> String {
    let template = account.effective("zimbraQuotaWarnMessage").unwrap_or(TEMPLATE);
    let domain = account.name.rsplit_once('@').map_or("", |(_, domain)| domain);
    let name: String = account.attrs.get("displayName").unwrap_or_default().chars().filter(char::is_ascii).collect();
    let percent = used.saturating_mul(100).checked_div(quota).unwrap_or(100);
    let values = [
        ("${NEWLINE}", "\r\n".to_string()),
        ("${RECIPIENT_DOMAIN}", domain.to_string()),
        ("${RECIPIENT_NAME}", name.replace(['\r', '\n', '<', '>', '"'], "")),
        ("${RECIPIENT_ADDRESS}", account.name.clone()),
        ("${DATE}", zcluster_mail::rfc5322_date(now_ms)),
        ("${MBOX_SIZE_MB}", used.div_ceil(MIB).to_string()),
        ("${QUOTA_MB}", quota.div_ceil(MIB).to_string()),
        ("${WARN_PERCENT}", percent.to_string()),
    ];
    let text = values.iter().fold(template.to_string(), |text, (name, value)| text.replace(name, value));
    let ids = Ids::new(hostname);
    let id = ids.stamp(hostname).message_id.to_string();
    format!("Message-ID: <{id}>\r\nAuto-Submitted: auto-generated\r\n{text}")
}

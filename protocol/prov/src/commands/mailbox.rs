//! Commands about mailboxes.

use super::Handlers;
use crate::Outcome;
use crate::call::Call;
use crate::prov::Prov;
use crate::reply::{Item, Reply};
use crate::show::search;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::time::Duration;
use zcluster_api::directory::{Filter, Kinds, Object, ObjectKind};
use zcluster_api::{Actor, Call as MailboxCall, Error, MailboxQuery, MailboxReply, RequestId};
use zcluster_directory::Failure;

/// How long a mailbox may take to answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Mailboxes asked at a time.
const AT_A_TIME: usize = 32;
/// Accounts of one page of an answer.
const PAGE: u32 = 500;

pub(super) const HANDLERS: Handlers =
    &[("getMailboxInfo", |p, c| Box::pin(info(p, c))), ("getQuotaUsage", |p, c| Box::pin(quota_usage(p, c)))];

/// Bytes used; 0 of a mailbox that nothing has come to yet.
async fn used(prov: &Prov, account: &Object) -> Result<u64, Failure> {
    let call = MailboxCall {
        // Whoever asks was found to be allowed to.
        actor: Actor::System,
        account: account.id,
        request: RequestId(zcluster_runtime::random_bytes()),
        timeout: TIMEOUT,
        body: MailboxQuery::Info,
    };
    match prov.mailboxes.read(call).await {
        Ok(MailboxReply::Info { used, .. }) => Ok(used),
        Ok(other) => Err(Failure::new("service.FAILURE", format!("unexpected answer {other:?}"))),
        Err(Error::NotFound(_)) => Ok(0),
        Err(e) => Err(Failure::of(&e, ObjectKind::Account, &account.name)),
    }
}

async fn info(prov: &Prov, call: &Call<'_>) -> Outcome {
    let account = prov.person(call.name()).await?;
    prov.directory.require_right(prov.actor, &account, &[right(account.kind)]).await?;
    let used = used(prov, &account).await?;
    let number = account.home.map_or(0, |home| home.mailbox.0);
    Ok(Reply::lines([format!("mailboxId: {number}"), format!("quotaUsed: {used}")]))
}

/// The right to know the size of a mailbox.
fn right(kind: ObjectKind) -> &'static str {
    if kind == ObjectKind::Resource { "getCalendarResourceInfo" } else { "getMailboxInfo" }
}

/// `name limit used` of every account that the caller may know it of: mailboxes live on no single server, so every server
/// tells of all of them.
async fn quota_usage(prov: &Prov, call: &Call<'_>) -> Outcome {
    prov.directory.named(&[ObjectKind::Server], None, call.name()).await?;
    let mut search = search(Kinds::ACCOUNTS, None, Filter::all());
    search.limit = PAGE;
    search.after = call.page.map(crate::show::cursor).transpose()?;
    let page = prov.directory.search(prov.actor, search).await?;
    let line = |account: Object| async move {
        if !prov.directory.has_right(prov.actor, &account, &[right(account.kind)]).await? {
            return Ok(None);
        }
        let limit = prov.full_account(account.id).await?.quota();
        let used = used(prov, &account).await?;
        Ok::<_, Failure>(Some(Item::Text(format!("{} {limit} {used}", account.name))))
    };
    let lines: Vec<Option<Item>> = stream::iter(page.objects).map(line).buffered(AT_A_TIME).try_collect().await?;
    let items = lines.into_iter().flatten().collect();
    Ok(Reply { items, more: page.next.as_deref().map(crate::show::mark) })
}

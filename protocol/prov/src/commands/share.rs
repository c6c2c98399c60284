//! `getShareInfo`.

use super::Handlers;
use crate::Outcome;
use crate::call::Call;
use crate::prov::Prov;
use crate::reply::Reply;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::time::Duration;
use zcluster_api::directory::{Object, ObjectBy, ObjectKind};
use zcluster_api::mailbox::{Folder, FolderView};
use zcluster_api::sharing::{Grant, Grantee};
use zcluster_api::{Actor, Call as MailboxCall, Error, MailboxQuery, MailboxReply, RequestId};
use zcluster_directory::Failure;

/// How long a mailbox may take to answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Folders asked about at a time.
const AT_A_TIME: usize = 16;

pub(super) const HANDLERS: Handlers = &[("getShareInfo", |p, c| Box::pin(get(p, c)))];

/// The folders that an account shares, a line for each grant.
async fn get(prov: &Prov, call: &Call<'_>) -> Outcome {
    let owner = prov.acted_as(call.name()).await?;
    let folders = match ask(prov, &owner, MailboxQuery::Folders).await {
        Ok(MailboxReply::Folders(folders)) => folders,
        Ok(other) => return Err(Failure::new("service.FAILURE", format!("unexpected answer {other:?}"))),
        // Nothing has come to the mailbox yet.
        Err(Error::NotFound(_)) => Vec::new(),
        Err(e) => return Err(Failure::of(&e, ObjectKind::Account, &owner.name)),
    };
    let grants_of = |folder: Folder| async {
        match ask(prov, &owner, MailboxQuery::Acl(folder.id)).await {
            Ok(MailboxReply::Acl { grants, .. }) => Ok((folder, grants)),
            Ok(other) => Err(Failure::new("service.FAILURE", format!("unexpected answer {other:?}"))),
            Err(e) => Err(Failure::of(&e, ObjectKind::Account, &owner.name)),
        }
    };
    let shared: Vec<(Folder, Vec<Grant>)> =
        stream::iter(folders).map(grants_of).buffered(AT_A_TIME).try_collect().await?;
    let mut lines = vec![
        row(&[
            "owner id",
            "owner email",
            "owner display",
            "fid",
            "folder path",
            "view",
            "rights",
            "mid",
            "grantee type",
            "grantee id",
            "grantee name",
            "grantee display",
        ]),
        row(&["-"; 12].map(|dash| dash.repeat(40)).each_ref().map(String::as_str)),
    ];
    for (folder, grants) in &shared {
        for grant in grants {
            lines.push(line(prov, &owner, folder, grant).await?);
        }
    }
    Ok(Reply::lines(lines))
}

async fn ask(prov: &Prov, owner: &Object, body: MailboxQuery) -> Result<MailboxReply, Error> {
    let request = RequestId(zcluster_runtime::random_bytes());
    // Whoever asks was found to be allowed to.
    let actor = Actor::System;
    prov.mailboxes.read(MailboxCall { actor, account: owner.id, request, timeout: TIMEOUT, body }).await
}

async fn line(prov: &Prov, owner: &Object, folder: &Folder, grant: &Grant) -> Result<String, Failure> {
    let (kind, id) = match grant.grantee {
        Grantee::Account(id) => ("usr", Some(id)),
        Grantee::Group(id) => ("grp", Some(id)),
        Grantee::Authenticated => ("all", None),
        Grantee::Anyone => ("pub", None),
    };
    let grantee = match id {
        Some(id) => prov.directory.get(prov.actor, ObjectBy::Id(id)).await.ok(),
        None => None,
    };
    let display = |o: &Object| o.attrs.get("displayName").unwrap_or_default().to_string();
    Ok(row(&[
        &owner.id.to_string(),
        &owner.name,
        &display(owner),
        &folder.id.0.to_string(),
        &format!("/{}", folder.path),
        view(folder.view),
        &grant.allow.without(grant.deny).to_zimbra(),
        "",
        kind,
        &id.map(|id| id.to_string()).unwrap_or_default(),
        &grantee.as_ref().map(|o| o.name.clone()).unwrap_or_default(),
        &grantee.as_ref().map(display).unwrap_or_default(),
    ]))
}

/// Columns as wide as zmprov's; what is longer is not cut off.
fn row(columns: &[&str; 12]) -> String {
    const WIDTHS: [usize; 12] = [36, 30, 15, 5, 20, 11, 8, 5, 12, 36, 30, 15];
    let dashes = columns[0].starts_with('-');
    let cell = |(text, width): (&&str, usize)| match dashes {
        true => "-".repeat(width),
        false => format!("{text:<width$}"),
    };
    columns.iter().zip(WIDTHS).map(cell).collect::<Vec<_>>().join(" ").trim_end().to_string()
}

fn view(view: FolderView) -> &'static str {
    match view {
        FolderView::Unknown => "unknown",
        FolderView::Message => "message",
        FolderView::Contact => "contact",
        FolderView::Appointment => "appointment",
        FolderView::Task => "task",
        FolderView::Document => "document",
        FolderView::Chat => "chat",
    }
}

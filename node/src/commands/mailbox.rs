//! `zcluster mailbox`: where a mailbox lives, and what is in it.

use crate::admin::LocateReply;
use crate::admin::client::Client;
use crate::cli::{Mailbox, MailboxCommand};
use anyhow::Result;

/// Runs the command.
///
/// # Errors
/// What to tell the user.
pub async fn run(args: Mailbox) -> Result<()> {
    let locate = match args.command {
        MailboxCommand::Locate(locate) => locate,
        MailboxCommand::Search(args) => return super::search::search(args).await,
        MailboxCommand::Reindex(args) => return super::search::reindex(args).await,
        MailboxCommand::Dumpster(command) => return super::dumpster::run(command).await,
        MailboxCommand::Texts(args) => return super::search::texts(args).await,
    };
    let located: LocateReply =
        Client::new(&locate.reach)?.get_with("/v1/locate", &[("account", &locate.account)]).await?;
    if locate.json {
        println!("{}", serde_json::to_string(&located)?);
    } else {
        println!(
            "{}: mailbox {} in shard {} (epoch {})",
            located.account, located.mailbox, located.shard, located.epoch
        );
    }
    Ok(())
}

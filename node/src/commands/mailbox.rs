//! `zcluster mailbox locate`: where a mailbox lives.

use crate::admin::LocateReply;
use crate::admin::client::Client;
use crate::cli::{Mailbox, MailboxCommand};
use anyhow::Result;

/// Runs the command.
///
/// # Errors
/// What to tell the user.
pub async fn run(args: Mailbox) -> Result<()> {
    let MailboxCommand::Locate(locate) = args.command;
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

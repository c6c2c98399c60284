//! `zcluster token`: lets one node join.

use crate::admin::client::Client;
use crate::admin::{TokenReply, TokenRequest};
use crate::cli::Token;
use anyhow::Result;
use std::io::IsTerminal;

/// Runs the command. On a terminal it says what to do with the token; a script gets the bare token.
///
/// # Errors
/// What to tell the user.
pub async fn run(args: Token) -> Result<()> {
    let reply: TokenReply = Client::new(&args.reach)?.post("/v1/token", &TokenRequest { hours: args.hours }).await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&reply)?);
        return Ok(());
    }
    println!("{}", reply.token);
    if std::io::stdout().is_terminal() {
        eprintln!("good for one node within {} hours; on that machine:", args.hours);
        eprintln!("zcluster join {} --token TOKEN --data DIR", reply.address);
    }
    Ok(())
}

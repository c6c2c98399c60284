//! `zcluster prov`: zmprov's commands.

use crate::admin::ProvRequest;
use crate::admin::client::{CallError, Client};
use crate::cli::Prov;
use crate::prov::Reply;
use anyhow::Result;

/// What zmprov exits with when the server refuses.
const REFUSED: u8 = 2;

/// Runs the command.
///
/// # Errors
/// What to tell the user.
pub async fn run(args: Prov) -> Result<u8> {
    let reply = match Client::new(&args.reach)?.post::<Reply>("/v1/prov", &ProvRequest { args: args.args }).await {
        Ok(reply) => reply,
        Err(e) => match e.downcast_ref::<CallError>() {
            Some(refused) if refused.code == "usage" => {
                eprintln!("{}", refused.text);
                return Ok(1);
            }
            Some(refused) => {
                eprintln!("ERROR: {} ({})", refused.code, refused.text);
                return Ok(REFUSED);
            }
            None => return Err(e),
        },
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&reply)?);
    } else {
        print!("{}", reply.print());
    }
    Ok(0)
}

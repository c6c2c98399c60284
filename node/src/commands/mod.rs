//! What the command line asks for, one file per command.

pub mod blob;
mod carry_in;
pub mod discover;
mod dkim;
pub mod dumpster;
mod fault;
pub mod hsm;
pub mod import_zimbra;
pub mod init;
pub mod join;
pub mod ldif;
mod leave;
mod mailbox;
mod prov;
mod queue;
mod report;
pub mod search;
pub mod serve;
mod signin;
mod status;
mod token;
pub mod volume;

use crate::cli::Command;
use anyhow::Result;

/// Runs a command; its exit code.
///
/// # Errors
/// What to tell the user.
pub async fn run(command: Command) -> Result<u8> {
    let done = |result: Result<()>| result.map(|()| 0);
    match command {
        Command::Demo(args) => crate::demo::run(args).await,
        Command::Init(args) => done(init::run(args).await),
        Command::Token(args) => done(token::run(args).await),
        Command::Join(args) => join::run(args).await,
        Command::Serve(args) => serve::run(args).await,
        Command::Status(args) => done(status::run(args).await),
        Command::Drain(args) => done(leave::drain(args).await),
        Command::Leave(args) => done(leave::leave(args).await),
        Command::Mailbox(args) => done(mailbox::run(args).await),
        Command::Discover(args) => discover::run(args).await,
        Command::Queue(args) => done(queue::run(args).await),
        Command::Dkim(args) => done(dkim::run(args).await),
        Command::Volume(args) => done(volume::run(args).await),
        Command::Blob(args) => blob::run(args).await,
        Command::Hsm(args) => done(hsm::run(args).await),
        Command::Report(args) => done(report::run(args).await),
        Command::Auth(args) => done(signin::run(args).await),
        Command::Prov(args) => prov::run(args).await,
        Command::Ldif(args) => ldif::run(args).await,
        Command::ImportZimbra(args) => import_zimbra::run(args).await,
        Command::Fault(args) => done(fault::run(args).await),
    }
}

//! `zcluster auth`: auth tokens, second factors, app passwords, keys.

use crate::admin::client::{Client, read_password};
use crate::admin::signin::{LoginReply, LoginRequest, LogoutRequest, SignInAction, SignInReply, SignInRequest};
use crate::cli::{Auth, AuthCommand, Reach};
use anyhow::{Result, bail};
use std::io::{IsTerminal, Write};

/// Runs the command.
///
/// # Errors
/// What to tell the user.
pub async fn run(args: Auth) -> Result<()> {
    let (reach, action) = match args.command {
        AuthCommand::Login { reach, code } => return login(&reach, code).await,
        AuthCommand::Logout { reach } => return logout(&reach).await,
        AuthCommand::Enable { account, reach, secret, code } => return enable(&reach, account, secret, code).await,
        AuthCommand::Disable { account, reach } => (reach, SignInAction::DisableTwoFactor { account }),
        AuthCommand::ScratchCodes { account, reach } => (reach, SignInAction::ScratchCodes { account }),
        AuthCommand::AddAppPassword { account, name, reach } => (reach, SignInAction::AddAppPassword { account, name }),
        AuthCommand::ListAppPasswords { account, reach } => (reach, SignInAction::ListAppPasswords { account }),
        AuthCommand::RemoveAppPassword { account, name, reach } => {
            (reach, SignInAction::RemoveAppPassword { account, name })
        }
        AuthCommand::SignOut { account, reach } => (reach, SignInAction::SignOut { account }),
        AuthCommand::RotateKey { reach } => (reach, SignInAction::RotateKey),
        AuthCommand::PreauthKey { domain, reach } => (reach, SignInAction::PreAuthKey { domain }),
    };
    show(&ask(&Client::new(&reach)?, action).await?);
    Ok(())
}

async fn ask(client: &Client, action: SignInAction) -> Result<SignInReply> {
    client.post("/v1/signin", &SignInRequest { action }).await
}

/// Prints the token alone, so that a script may keep it.
async fn login(reach: &Reach, code: Option<String>) -> Result<()> {
    let (Some(account), Some(file)) = (&reach.admin, &reach.password_file) else {
        bail!("signing in takes --server ADDR --admin ADDRESS --password-file FILE");
    };
    let request = LoginRequest { account: account.clone(), password: read_password(file)?, code };
    let reply: LoginReply = Client::new(reach)?.unsigned().post("/v1/auth", &request).await?;
    println!("{}", reply.token);
    Ok(())
}

async fn logout(reach: &Reach) -> Result<()> {
    let Some(file) = &reach.token_file else { bail!("which token? give it with --token-file FILE") };
    let request = LogoutRequest { token: read_password(file)? };
    let _: SignInReply = Client::new(reach)?.unsigned().post("/v1/logout", &request).await?;
    Ok(())
}

/// Shows a secret, and asks for what the phone makes of it.
async fn enable(reach: &Reach, account: String, secret: Option<String>, code: Option<String>) -> Result<()> {
    let client = Client::new(reach)?;
    let secret = match secret {
        Some(secret) => secret,
        None => {
            let begun = ask(&client, SignInAction::BeginTwoFactor { account: account.clone() }).await?;
            show(&begun);
            begun.secret.unwrap_or_default()
        }
    };
    let code = match code {
        Some(code) => code,
        None if !std::io::stdin().is_terminal() => return Ok(()),
        None => {
            print!("code that the phone shows: ");
            std::io::stdout().flush()?;
            let mut line = String::new();
            std::io::stdin().read_line(&mut line)?;
            line.trim().to_string()
        }
    };
    show(&ask(&client, SignInAction::EnableTwoFactor { account, secret, code }).await?);
    Ok(())
}

fn show(reply: &SignInReply) {
    let single = [&reply.secret, &reply.uri, &reply.password, &reply.key];
    single.into_iter().flatten().chain(&reply.codes).for_each(|line| println!("{line}"));
    for app in &reply.app_passwords {
        let day =
            |ms: u64| chrono::DateTime::from_timestamp_millis(ms.cast_signed()).unwrap_or_default().format("%Y-%m-%d");
        let until = app.expires_ms.map_or(String::new(), |ms| format!(" until {}", day(ms)));
        println!("{} since {}{until}", app.name, day(app.created_ms));
    }
}

//! `zcluster prov`: zmprov's commands, one by one, from a script, or typed.

mod link;
mod script;
mod shell;

use crate::admin::client::{Auth, Client, read_password};
use crate::cli::Prov;
use anyhow::{Result, bail};
use link::Link;
use std::io::IsTerminal;
use std::path::Path;
use zcluster_prov::{LineOutcome, Reply, USAGE};

/// What zmprov exits with when the server refuses.
const REFUSED: u8 = 2;
/// And when a command is called wrongly.
const WRONG: u8 = 1;
/// Where a node's data is by default.
const DATA: &str = "/var/lib/zcluster";

/// Runs the command.
///
/// # Errors
/// What to tell the user.
pub async fn run(args: Prov) -> Result<u8> {
    let mut link = Link::new(clients(&args)?, args.debug || args.debughigh, args.debughigh);
    if !args.args.is_empty() {
        return one(&mut link, &args).await;
    }
    match &args.file {
        Some(path) => script::run(&mut link, script::Source::File(path.clone()), &args).await,
        None if std::io::stdin().is_terminal() => shell::run(&mut link, &args).await,
        None => script::run(&mut link, script::Source::Stdin, &args).await,
    }
}

/// The nodes to ask, in order.
fn clients(args: &Prov) -> Result<Vec<Client>> {
    if !args.server.is_empty() && !args.zadmin {
        let auth = auth(args)?;
        let client = |server: &String| Client::signed_in(server, auth.clone(), args.ca.as_deref());
        return args.server.iter().map(client).collect();
    }
    let default = Some(Path::new(DATA)).filter(|p| p.exists());
    match args.data.as_deref().or(default) {
        // An account that is named is meant: its rights count, not those of this machine's node.
        Some(data) if is_named(args) && !args.zadmin => Ok(vec![Client::local_as(data, auth(args)?)?]),
        Some(data) => Ok(vec![Client::local(data)?]),
        None => bail!(
            "say where the cluster is: --data DIR (of a node on this machine) or --server HOST --account ADDRESS --passfile FILE"
        ),
    }
}

/// Whether somebody signs in.
fn is_named(args: &Prov) -> bool {
    args.account.is_some() || args.authtokenfile.is_some()
}

/// What `--server` is shown.
fn auth(args: &Prov) -> Result<Auth> {
    if let Some(file) = &args.authtokenfile {
        return Ok(Auth::Secret(read_password(file)?));
    }
    let Some(account) = &args.account else {
        bail!("--server needs --account ADDRESS and --passfile FILE, or --authtokenfile FILE")
    };
    let password = match (&args.password, &args.passfile) {
        (Some(password), _) => password.clone(),
        (None, Some(file)) => read_password(file)?,
        (None, None) => bail!("--account needs --passfile FILE (or --password)"),
    };
    Ok(Auth::Password(account.clone(), password))
}

/// One command.
async fn one(link: &mut Link, args: &Prov) -> Result<u8> {
    let mut outcomes = link.send(std::slice::from_ref(&args.args)).await?;
    let Some(outcome) = outcomes.pop() else { bail!("the node sent no answer") };
    if args.json {
        return json(link, &args.args, outcome).await;
    }
    Ok(match &outcome {
        LineOutcome::Refused { code, text } if code == USAGE => {
            eprintln!("{text}");
            WRONG
        }
        _ => u8::from(!show(link, &args.args, outcome, None).await?) * REFUSED,
    })
}

async fn json(link: &mut Link, words: &[String], outcome: LineOutcome) -> Result<u8> {
    match outcome {
        LineOutcome::Done(mut reply) => {
            while let Some(page) = reply.more.take() {
                let next = link.page(words, page).await?;
                reply.items.extend(next.items);
                reply.more = next.more;
            }
            println!("{}", serde_json::to_string_pretty(&reply)?);
            Ok(0)
        }
        LineOutcome::Refused { code, text } => {
            eprintln!("{}", refusal(&code, &text, None));
            Ok(if code == USAGE { WRONG } else { REFUSED })
        }
    }
}

/// Prints what became of a line, all pages of it; whether it was carried out.
async fn show(link: &mut Link, words: &[String], outcome: LineOutcome, line: Option<usize>) -> Result<bool> {
    match outcome {
        LineOutcome::Done(reply) => {
            print_pages(link, words, reply).await?;
            Ok(true)
        }
        LineOutcome::Refused { code, text } => {
            eprintln!("{}", refusal(&code, &text, line));
            Ok(false)
        }
    }
}

async fn print_pages(link: &mut Link, words: &[String], mut reply: Reply) -> Result<()> {
    loop {
        print!("{}", reply.print());
        let Some(page) = reply.more.take() else { return Ok(()) };
        reply = link.page(words, page).await?;
    }
}

/// `ERROR: code (text)`, as scripts look for it.
fn refusal(code: &str, text: &str, line: Option<usize>) -> String {
    let place = line.map(|n| format!(" at line {n}")).unwrap_or_default();
    if code == USAGE { format!("{text}{place}") } else { format!("ERROR: {code} ({text}){place}") }
}

#[cfg(test)]
mod tests {
    #[test]
    fn refusals_look_like_zmprovs() {
        let refusal = super::refusal;
        let text = "no such account: a@b";
        assert_eq!(
            refusal("account.NO_SUCH_ACCOUNT", text, None),
            "ERROR: account.NO_SUCH_ACCOUNT (no such account: a@b)"
        );
        assert!(refusal("account.NO_SUCH_ACCOUNT", text, Some(3)).ends_with(") at line 3"));
        assert_eq!(refusal("usage", "usage: help", None), "usage: help");
    }
}

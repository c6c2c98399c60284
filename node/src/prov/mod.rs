//! `zmprov`'s commands, carried out by the node that was asked.

mod account;
mod config;
mod cos;
mod domain;
mod entry;
mod help;

pub use entry::Reply;

use std::sync::Arc;
use zcluster_api::directory::{Account, AccountBy, Modification, ModifyKind};
use zcluster_api::{
    AccountId, Actor, DirectoryApi, DirectoryCommand, DirectoryQuery, DirectoryReply, Error, Freshness, GroupId,
};

/// What the commands work on.
pub struct Prov {
    /// The directory.
    pub directory: Arc<dyn DirectoryApi>,
    /// A shard for a new mailbox.
    pub choose_shard: Arc<dyn Fn() -> zcluster_api::Result<GroupId> + Send + Sync>,
    /// On whose behalf.
    pub actor: Actor,
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Zimbra's code: `account.NO_SUCH_ACCOUNT`.
    pub code: String,
    /// For people.
    pub text: String,
}

impl Failure {
    fn new(code: &str, text: impl Into<String>) -> Self {
        Failure { code: code.into(), text: text.into() }
    }
    fn usage(text: impl Into<String>) -> Self {
        Self::new("usage", text)
    }
}

type Outcome = Result<Reply, Failure>;

impl Prov {
    /// Carries out one command: its name (or alias) and arguments.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn run(&self, args: &[String]) -> Outcome {
        let Some((verb, args)) = args.split_first() else { return Ok(help::all()) };
        let Some(command) = help::find(verb) else {
            return Err(Failure::usage(format!("unknown command {verb:?}: `help` lists the commands")));
        };
        let (flags, args) = split_flags(command, args);
        if args.len() < command.min || args.len() > command.max {
            return Err(Failure::usage(format!("usage: {} {}", command.name, command.arguments)));
        }
        let call = Arguments { flags, args };
        match command.name {
            "createAccount" => account::create(self, &call).await,
            "getAccount" => account::get(self, &call).await,
            "modifyAccount" => account::modify(self, &call).await,
            "deleteAccount" => account::delete(self, &call).await,
            "setPassword" => account::set_password(self, &call).await,
            "setAccountCos" => account::set_cos(self, &call).await,
            "renameAccount" => account::rename(self, &call).await,
            "addAccountAlias" => account::add_alias(self, &call).await,
            "removeAccountAlias" => account::remove_alias(self, &call).await,
            "getAllAccounts" => account::get_all(self, &call, false).await,
            "getAllAdminAccounts" => account::get_all(self, &call, true).await,
            "createDomain" => domain::create(self, &call).await,
            "getDomain" => domain::get(self, &call).await,
            "modifyDomain" => domain::modify(self, &call).await,
            "deleteDomain" => domain::delete(self, &call).await,
            "getAllDomains" => domain::get_all(self, &call).await,
            "createCos" => cos::create(self, &call).await,
            "getCos" => cos::get(self, &call).await,
            "modifyCos" => cos::modify(self, &call).await,
            "deleteCos" => cos::delete(self, &call).await,
            "getAllCos" => cos::get_all(self, &call).await,
            "getConfig" => config::get(self, &call).await,
            "getAllConfig" => config::get_all(self, &call).await,
            "modifyConfig" => config::modify(self, &call).await,
            _ => Ok(help::all()),
        }
    }

    async fn read(&self, query: DirectoryQuery) -> Result<DirectoryReply, Failure> {
        self.directory.read(query, Freshness::Recent).await.map_err(|e| generic(&e))
    }

    /// Carries out a directory command; `refused` translates what this kind of thing may be refused for.
    async fn write(
        &self,
        command: DirectoryCommand,
        refused: impl Fn(&Error) -> Option<Failure>,
    ) -> Result<DirectoryReply, Failure> {
        let written = self.directory.write(self.actor, crate::join::request_id(), command).await;
        written.map_err(|e| refused(&e).unwrap_or_else(|| generic(&e)))
    }

    /// An account by address, alias or id.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn account(&self, name: &str) -> Result<Account, Failure> {
        let by = match name.parse::<AccountId>() {
            Ok(id) => AccountBy::Id(id),
            Err(()) => AccountBy::Address(name.to_string()),
        };
        match self.directory.read(DirectoryQuery::Account(by), Freshness::Recent).await {
            Ok(reply) => reply.into_account().map_err(|e| generic(&e)),
            Err(Error::NotFound(_)) => Err(Failure::new("account.NO_SUCH_ACCOUNT", format!("no such account: {name}"))),
            Err(e) => Err(generic(&e)),
        }
    }
}

/// A command's options and arguments.
struct Arguments<'a> {
    flags: Vec<&'a str>,
    args: Vec<&'a str>,
}

impl Arguments<'_> {
    fn has(&self, flag: &str) -> bool {
        self.flags.contains(&flag)
    }
    fn name(&self) -> &str {
        self.args.first().copied().unwrap_or_default()
    }
    fn second(&self) -> &str {
        self.args.get(1).copied().unwrap_or_default()
    }
}

/// Takes a command's own options off the front; the rest may begin with `-` (`-attr value` removes a value).
fn split_flags<'a>(command: &help::Command, args: &'a [String]) -> (Vec<&'a str>, Vec<&'a str>) {
    let count = args.iter().take_while(|a| command.flags.contains(&a.as_str())).count();
    let texts = |part: &'a [String]| part.iter().map(String::as_str).collect();
    (texts(&args[..count]), texts(&args[count..]))
}

/// `attr value`, `+attr value`, `-attr value`, in pairs. Several plain values of one attribute are all set.
fn modifications(pairs: &[&str]) -> Result<Vec<Modification>, Failure> {
    if !pairs.len().is_multiple_of(2) {
        return Err(Failure::usage("attributes and values come in pairs"));
    }
    let mut out: Vec<Modification> = Vec::new();
    for pair in pairs.chunks(2) {
        let (name, kind) = match (pair[0].strip_prefix('+'), pair[0].strip_prefix('-')) {
            (Some(name), _) => (name, ModifyKind::Add),
            (_, Some(name)) => (name, ModifyKind::Remove),
            _ => (pair[0], ModifyKind::Replace),
        };
        if name.is_empty() {
            return Err(Failure::usage(format!("{:?} names no attribute", pair[0])));
        }
        match out.iter_mut().find(|m| m.kind == kind && m.name.eq_ignore_ascii_case(name)) {
            Some(same) => same.values.push(pair[1].to_string()),
            None => out.push(Modification { name: name.to_string(), kind, values: vec![pair[1].to_string()] }),
        }
    }
    Ok(out)
}

/// Passwords are kept as hashes and SCRAM keys only.
async fn hash_passwords(changes: &mut [Modification]) -> Result<(), Failure> {
    for change in changes.iter_mut().filter(|m| m.name.eq_ignore_ascii_case("userPassword")) {
        let mut stored = Vec::new();
        for value in std::mem::take(&mut change.values) {
            if let Some(scheme) = zcluster_auth::scheme_not_supported(&value) {
                let text = format!("stored passwords of scheme {scheme} are not supported, or ask for too much work");
                return Err(Failure::new("account.INVALID_PASSWORD", text));
            }
            if value.is_empty() || zcluster_auth::is_password_hash(&value) {
                stored.push(value);
            } else {
                stored.extend(password_values(&value).await?);
            }
        }
        change.values = stored;
    }
    Ok(())
}

/// The change that sets a password.
async fn password(password: &str) -> Result<Modification, Failure> {
    Ok(Modification { values: password_values(password).await?, ..Modification::set("userPassword", "") })
}

/// Hashing costs tens of milliseconds by design: not on the event loop.
async fn password_values(password: &str) -> Result<Vec<String>, Failure> {
    if password.is_empty() || password.len() > zcluster_auth::PASSWORD_BYTES_MAX {
        return Err(Failure::new(
            "account.INVALID_PASSWORD",
            format!("a password has 1 to {} bytes", zcluster_auth::PASSWORD_BYTES_MAX),
        ));
    }
    let password = password.to_string();
    let hash = move || zcluster_auth::password_values(zcluster_auth::HashParams::default(), &password);
    zcluster_runtime::spawn_blocking(hash).await.map_err(|e| Failure::new("service.FAILURE", e.to_string()))
}

fn fresh_id() -> AccountId {
    AccountId(*uuid::Uuid::from_bytes(zcluster_runtime::random_bytes()).as_bytes())
}

/// An error that has the same words for every kind of thing.
fn generic(e: &Error) -> Failure {
    let code = match e {
        Error::Invalid(_) | Error::TooLarge(_) => "service.INVALID_REQUEST",
        Error::Denied(_) => "service.PERM_DENIED",
        Error::Unavailable(_) => "service.TEMPORARILY_UNAVAILABLE",
        Error::NotFound(_) => "service.NOT_FOUND",
        Error::Exists(_) | Error::Conflict(_) => "service.CONFLICT",
        Error::QuotaExceeded => "mail.QUOTA_EXCEEDED",
        Error::Internal(_) | Error::WrongHome { .. } => "service.FAILURE",
    };
    Failure::new(code, e.to_string())
}

/// The answer was of another kind than the question: a fault of ours.
fn unexpected(reply: &DirectoryReply) -> Failure {
    Failure::new("service.FAILURE", format!("unexpected answer {reply:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_and_repeated_attributes() {
        let changes = modifications(&["a", "1", "A", "2", "+b", "3", "-b", "4"]).unwrap();
        let shown: Vec<_> = changes.iter().map(|m| (m.name.as_str(), m.kind, m.values.len())).collect();
        assert_eq!(shown, [("a", ModifyKind::Replace, 2), ("b", ModifyKind::Add, 1), ("b", ModifyKind::Remove, 1)]);
        assert!(modifications(&["a"]).is_err());
        assert!(modifications(&["+", "x"]).is_err());
    }

    #[test]
    fn own_flags_are_told_from_removals() {
        let command = help::find("gaa").unwrap();
        let args = ["-v".to_string(), "example.com".to_string()];
        let (flags, rest) = split_flags(command, &args);
        assert_eq!((flags, rest), (vec!["-v"], vec!["example.com"]));
        let command = help::find("ma").unwrap();
        let args = ["a@b".to_string(), "-v".to_string(), "x".to_string()];
        assert_eq!(split_flags(command, &args).1.len(), 3);
    }
}

//! The table of commands.

use super::entry::{Item, Reply};

/// One command.
pub struct Command {
    /// Zimbra's name.
    pub name: &'static str,
    alias: &'static str,
    /// Its arguments, for people.
    pub arguments: &'static str,
    /// Options it takes before its arguments.
    pub flags: &'static [&'static str],
    /// Fewest arguments.
    pub min: usize,
    /// Most arguments.
    pub max: usize,
}

const fn command(name: &'static str, alias: &'static str, arguments: &'static str, min: usize, max: usize) -> Command {
    Command { name, alias, arguments, flags: &[], min, max }
}

const fn flags(command: Command, flags: &'static [&'static str]) -> Command {
    Command { flags, ..command }
}

const MANY: usize = usize::MAX;

/// Zimbra's names, aliases and arguments, as far as they are carried out.
const COMMANDS: &[Command] = &[
    command("createDomain", "cd", "<domain> [attr value]...", 1, MANY),
    flags(command("getDomain", "gd", "[-e] <domain> [attr]...", 1, MANY), &["-e"]),
    command("modifyDomain", "md", "<domain> [attr value]...", 3, MANY),
    command("deleteDomain", "dd", "<domain>", 1, 1),
    flags(command("getAllDomains", "gad", "[-v] [-e] [attr]...", 0, MANY), &["-v", "-e"]),
    command("createAccount", "ca", "<name@domain> <password> [attr value]...", 2, MANY),
    flags(command("getAccount", "ga", "[-e] <account|id> [attr]...", 1, MANY), &["-e"]),
    command("modifyAccount", "ma", "<account|id> [attr value]...", 3, MANY),
    command("deleteAccount", "da", "<account|id>", 1, 1),
    command("setPassword", "sp", "<account|id> <password>", 2, 2),
    command("setAccountCos", "sac", "<account|id> <cos-name|cos-id>", 2, 2),
    command("renameAccount", "ra", "<account|id> <newName@domain>", 2, 2),
    command("addAccountAlias", "aaa", "<account|id> <alias@domain>", 2, 2),
    command("removeAccountAlias", "raa", "<account|id> <alias@domain>", 2, 2),
    flags(command("getAllAccounts", "gaa", "[-v] [-e] [<domain>]", 0, 1), &["-v", "-e"]),
    flags(command("getAllAdminAccounts", "gaaa", "[-v] [-e] [attr]...", 0, MANY), &["-v", "-e"]),
    command("createCos", "cc", "<name> [attr value]...", 1, MANY),
    command("getCos", "gc", "<name|id> [attr]...", 1, MANY),
    command("modifyCos", "mc", "<name|id> [attr value]...", 3, MANY),
    command("deleteCos", "dc", "<name|id>", 1, 1),
    flags(command("getAllCos", "gac", "[-v]", 0, 0), &["-v"]),
    command("getConfig", "gcf", "<name>", 1, 1),
    command("getAllConfig", "gacf", "[attr]...", 0, MANY),
    command("modifyConfig", "mcf", "attr value [attr value]...", 2, MANY),
    command("help", "?", "", 0, MANY),
];

/// A command by name or alias; names compare without case, as zmprov's do.
pub fn find(verb: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|c| c.name.eq_ignore_ascii_case(verb) || c.alias.eq_ignore_ascii_case(verb))
}

/// What `help` prints.
pub fn all() -> Reply {
    let line = |c: &Command| Item::Text(format!("  {}({}) {}", c.name, c.alias, c.arguments).trim_end().to_string());
    Reply { items: COMMANDS.iter().map(line).collect() }
}

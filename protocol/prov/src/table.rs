//! The table of commands: Zimbra's names, aliases, arguments and categories.

use crate::reply::Reply;
use std::sync::LazyLock;

const TEXT: &str = include_str!("../commands.tsv");

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Zimbra's name.
    pub name: &'static str,
    /// The short name.
    pub alias: &'static str,
    /// Its arguments, for people.
    pub arguments: &'static str,
    /// What it is about.
    pub category: &'static str,
    /// 1 and 2: what sites use.
    pub priority: u8,
    /// Fewest arguments, options among them.
    pub min: usize,
    /// Most arguments, options among them.
    pub max: usize,
    /// Options: `-v`; those with a value: `-s server`.
    pub options: Vec<(&'static str, bool)>,
    /// Whether options may also stand behind arguments.
    pub options_anywhere: bool,
}

static COMMANDS: LazyLock<Vec<Command>> = LazyLock::new(|| TEXT.lines().skip(1).filter_map(parse).collect());

fn parse(line: &'static str) -> Option<Command> {
    let columns: Vec<&'static str> = line.split('\t').collect();
    let [name, alias, arguments, category, priority, min, max, ..] = columns[..] else { return None };
    let options = options_of(arguments);
    let first_option = options.first().and_then(|(o, _)| arguments.find(o));
    Some(Command {
        name,
        alias,
        arguments,
        category,
        priority: priority.parse().ok()?,
        min: min.parse().ok()?,
        max: max.parse().unwrap_or(usize::MAX),
        options_anywhere: first_option.zip(arguments.find('<')).is_some_and(|(option, argument)| argument < option),
        options,
    })
}

/// The options that the description of arguments names: `[-v]`, `[-s server]`, `[-s/--server hostname]`.
fn options_of(arguments: &'static str) -> Vec<(&'static str, bool)> {
    let mut out = Vec::new();
    for part in arguments.split('[').skip(1).filter(|p| p.starts_with('-')) {
        let inner = part.split(']').next().unwrap_or_default();
        let (names, value) = inner.split_once(' ').map_or((inner, false), |(names, _)| (names, true));
        out.extend(names.split('/').map(|name| (name, value)));
    }
    // `-a <attribute-name>` of describe, which stands in no brackets of its own.
    if arguments.contains("| [-a <") && !out.iter().any(|(o, _)| *o == "-a") {
        out.push(("-a", true));
    }
    out
}

/// All commands, in the order of the table.
pub fn all() -> &'static [Command] {
    &COMMANDS
}

/// A command by name or alias; both compare without case.
pub fn find(verb: &str) -> Option<&'static Command> {
    all().iter().find(|c| c.name.eq_ignore_ascii_case(verb) || c.alias.eq_ignore_ascii_case(verb))
}

/// The categories, in the order of the table.
pub fn categories() -> Vec<&'static str> {
    let mut out: Vec<&'static str> = Vec::new();
    for command in all().iter().filter(|c| is_shown(c)) {
        if !out.contains(&command.category) {
            out.push(command.category);
        }
    }
    out
}

/// What `help` shows: what can be carried out.
fn is_shown(command: &Command) -> bool {
    crate::commands::is_there(command.name)
}

impl Command {
    /// How it is called, for people.
    pub fn usage(&self) -> String {
        format!("{}({}) {}", self.name, self.alias, self.arguments).trim_end().to_string()
    }
}

/// What `help` prints: the categories, or a category's commands, or all.
pub(crate) fn help(what: Option<&str>) -> Reply {
    let mut lines = Vec::new();
    match what.map(str::to_ascii_lowercase).as_deref() {
        None => {
            let usage = "zmprov [args] [cmd] [cmd-args ...]";
            lines.extend([usage, "", "zmprov is used for provisioning. Try:", ""].map(String::from));
            for category in categories() {
                lines.push(format!("     zmprov help {category:<15} help on {category}-related commands"));
            }
            lines.push(format!("     zmprov help {:<15} all commands", "commands"));
        }
        Some("commands") => lines.extend(all().iter().filter(|c| is_shown(c)).map(|c| format!("  {}", c.usage()))),
        Some(wanted) => {
            let fits = |c: &&Command| {
                c.category == wanted || c.name.eq_ignore_ascii_case(wanted) || c.alias.eq_ignore_ascii_case(wanted)
            };
            for command in all().iter().filter(fits) {
                lines.push(format!("  {}", command.usage()));
                if let Some(why) = crate::left_out::why(command.name) {
                    lines.push(format!("      not here: {why}"));
                }
                lines.push(String::new());
            }
            if lines.is_empty() {
                lines.push(format!("no category and no command {wanted}; categories: {}", categories().join(", ")));
            }
        }
    }
    Reply::lines(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_read() {
        assert_eq!(all().len(), TEXT.lines().count() - 1);
        assert!(all().len() > 140);
        let ga = find("GA").unwrap();
        assert_eq!((ga.name, ga.min, ga.max, ga.options.clone()), ("getAccount", 1, usize::MAX, vec![("-e", false)]));
        assert_eq!(find("gaa").unwrap().options, [("-v", false), ("-e", false), ("-s", true)]);
        assert_eq!(find("gal").unwrap().options, [("-s", true), ("--server", true)]);
        assert!(find("cto").unwrap().options_anywhere && !find("ga").unwrap().options_anywhere);
        assert_eq!(find("desc").unwrap().options, [("-v", false), ("-ni", false), ("-a", true)]);
        let mut names: Vec<&str> = all().iter().flat_map(|c| [c.name, c.alias]).filter(|n| !n.is_empty()).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "a name stands for one command");
    }

    #[test]
    fn what_sites_use_is_there_or_has_a_reason() {
        let lost: Vec<&str> = all()
            .iter()
            .filter(|c| c.priority <= 2 && !crate::commands::is_there(c.name) && crate::left_out::why(c.name).is_none())
            .map(|c| c.name)
            .collect();
        assert_eq!(lost, [""; 0]);
        for (name, _) in crate::left_out::LEFT_OUT {
            assert!(find(name).is_some() && !crate::commands::is_there(name), "{name}");
        }
        assert!(crate::commands::names().all(|n| find(n).is_some()), "every handler has a row");
    }
}

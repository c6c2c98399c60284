//! What the interactive shell completes, and what it must not remember.

use crate::table::{self, Command};
use crate::words::{Split, split};

/// Letters of an attribute's name before names are looked for: there are nearly two thousand.
const ATTRIBUTE_LETTERS: usize = 2;

/// Where the word that is being written begins (a byte of `line`), and how it may go on.
pub fn complete(line: &str) -> (usize, Vec<String>) {
    let begin =
        line.rfind(char::is_whitespace).map_or(0, |at| at + line[at..].chars().next().map_or(0, char::len_utf8));
    let word = &line[begin..];
    let before = line[..begin].trim();
    if before.is_empty() {
        return (begin, commands(word));
    }
    let Some(command) = before.split_whitespace().next().and_then(table::find) else { return (begin, Vec::new()) };
    if command.name == "help" {
        let all = table::categories().into_iter().chain(["commands"]);
        return (begin, all.filter(|c| c.starts_with(word)).map(String::from).collect());
    }
    if takes_attributes(command) { attributes(begin, word) } else { (begin, Vec::new()) }
}

fn commands(word: &str) -> Vec<String> {
    let lower = word.to_ascii_lowercase();
    let there = table::all().iter().filter(|c| crate::commands::is_there(c.name));
    there.filter(|c| c.name.to_ascii_lowercase().starts_with(&lower)).map(|c| c.name.to_string()).collect()
}

fn takes_attributes(command: &Command) -> bool {
    command.arguments.contains("attr")
}

fn attributes(begin: usize, word: &str) -> (usize, Vec<String>) {
    let sign = usize::from(word.starts_with(['+', '-']));
    let wanted = word[sign..].to_ascii_lowercase();
    if wanted.len() < ATTRIBUTE_LETTERS {
        return (begin, Vec::new());
    }
    let fits = |name: &str| name.to_ascii_lowercase().starts_with(&wanted);
    (begin + sign, zcluster_schema::all().filter(|d| fits(d.name)).map(|d| d.name.to_string()).collect())
}

/// Whether a line holds a password: it is kept in no history.
pub fn is_secret(line: &str) -> bool {
    const WITH_PASSWORD: [&str; 4] =
        ["createAccount", "createCalendarResource", "setPassword", "checkPasswordStrength"];
    let words = match split(line) {
        Split::Words(words) => words,
        // What is not complete is not remembered.
        Split::Continues | Split::Open => return true,
    };
    let command = words.first().and_then(|verb| table::find(verb));
    let secret = |word: &String| {
        let name = word.trim_start_matches(['+', '-']);
        zcluster_schema::is_secret(name) || name.to_ascii_lowercase().contains("password")
    };
    command.is_some_and(|c| WITH_PASSWORD.contains(&c.name)) || words.iter().skip(1).any(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_attributes_are_completed() {
        assert_eq!(complete("createDo"), (0, vec!["createDomain".to_string()]));
        assert_eq!(complete("  RENAMEC").1, ["renameCalendarResource", "renameCos"]);
        assert_eq!(complete("ma a@b +zimbraMailQuo"), (8, vec!["zimbraMailQuota".to_string()]));
        assert_eq!(complete("help ca").1, ["calendar"]);
        assert!(complete("da zimbraMail").1.is_empty() && complete("nonsense x").1.is_empty());
    }

    #[test]
    fn passwords_are_not_remembered() {
        for secret in
            ["ca a@b c", "setPassword a b", "ma a userPassword x", "mds a b zimbraDataSourcePassword x", "ga 'x"]
        {
            assert!(is_secret(secret), "{secret}");
        }
        assert!(!is_secret("ga a@b") && !is_secret("mc default zimbraMailQuota 5"));
    }
}

//! One call's options and arguments.

use crate::passwords::Hashed;
use crate::table::Command;
use crate::usage;
use zcluster_api::AccountId;
use zcluster_directory::Failure;

/// A call that fits its command's table row.
pub(crate) struct Call<'a> {
    /// Which command.
    pub command: &'static Command,
    pub options: Vec<(&'a str, &'a str)>,
    /// What is left when the options are taken out.
    pub args: Vec<&'a str>,
    /// All of them as they were given.
    pub raw: &'a [String],
    /// Where a listing goes on.
    pub page: Option<&'a str>,
    /// The call may have been carried out before, its answer lost.
    pub again: bool,
    /// The id of an entry that the call makes; the same each time it is sent.
    pub fresh: AccountId,
    /// What is stored of its passwords, as far as that was computed before.
    pub hashed: Vec<Hashed>,
}

impl<'a> Call<'a> {
    /// Takes options and arguments apart.
    ///
    /// # Errors
    /// Too few or too many of them.
    pub fn new(command: &'static Command, args: &'a [String], fresh: AccountId) -> Result<Call<'a>, Failure> {
        let wrong = || usage(format!("usage: {}", command.usage()));
        if args.len() < command.min || args.len() > command.max {
            return Err(wrong());
        }
        let (mut options, mut rest) = (Vec::new(), Vec::new());
        let mut left = args.iter().map(String::as_str);
        while let Some(arg) = left.next() {
            let option = command.options.iter().find(|(name, _)| *name == arg);
            match option.filter(|_| rest.is_empty() || command.options_anywhere) {
                Some((name, true)) => options.push((*name, left.next().ok_or_else(wrong)?)),
                Some((name, false)) => options.push((*name, "")),
                None => rest.push(arg),
            }
        }
        if rest.len() < required(command.arguments) {
            return Err(wrong());
        }
        Ok(Call { command, options, args: rest, raw: args, page: None, again: false, fresh, hashed: Vec::new() })
    }

    /// Whether an option is given.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|(name, _)| *name == option)
    }
    /// An option's value.
    pub fn value(&self, option: &str) -> Option<&'a str> {
        self.options.iter().find(|(name, _)| *name == option).map(|(_, value)| *value)
    }
    /// An argument; empty where there is none.
    pub fn arg(&self, at: usize) -> &'a str {
        self.args.get(at).copied().unwrap_or_default()
    }
    /// Arguments from one on.
    pub fn from(&self, at: usize) -> &[&'a str] {
        self.args.get(at..).unwrap_or_default()
    }
    /// The first argument.
    pub fn name(&self) -> &'a str {
        self.arg(0)
    }
    /// What the call would have been for people.
    pub fn wrong(&self) -> Failure {
        usage(format!("usage: {}", self.command.usage()))
    }
}

/// Arguments that stand in no brackets.
fn required(arguments: &str) -> usize {
    let (mut depth, mut count) = (0, 0);
    for c in arguments.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            '<' if depth == 0 => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(line: &str) -> Result<String, String> {
        let words: Vec<String> = line.split(' ').map(String::from).collect();
        let command = crate::table::find(&words[0]).unwrap();
        let call = Call::new(command, &words[1..], AccountId([0; 16])).map_err(|f| f.text)?;
        Ok(format!("{:?} {}", call.options, call.args.join(" ")))
    }

    #[test]
    fn own_options_are_told_from_removals() {
        assert_eq!(call("gaa -v example.com"), Ok(r#"[("-v", "")] example.com"#.into()));
        assert_eq!(call("ma a@b -v x"), Ok("[] a@b -v x".into()));
        assert_eq!(call("ga -e a@b -e"), Ok(r#"[("-e", "")] a@b -e"#.into()));
        assert_eq!(call("gaa -s mx1 b"), Ok(r#"[("-s", "mx1")] b"#.into()));
        assert_eq!(call("cto domain -d a.b"), Ok(r#"[("-d", "a.b")] domain"#.into()));
        assert_eq!(call("ga -e"), Err("usage: getAccount(ga) [-e] <account|id> [attr]...".into()));
        assert!(call("gaa -s").is_err() && call("da a b").is_err() && call("sp a").is_err());
    }
}

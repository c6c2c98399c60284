//! Variables (RFC 5229), and global ones (RFC 6609 §3.4).

use super::{Run, Runner};
use crate::matching::Captures;
use crate::program::{Modifier, Texts};
use crate::text::{Piece, Text, VarName};
use std::fmt::Write;

/// `text` without what lies beyond `max` bytes.
pub(crate) fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        let mut end = max;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}

impl Runner<'_> {
    /// The value of a string.
    pub(super) fn expand(&mut self, text: &Text) -> Run<String> {
        let mut out = String::new();
        for piece in &text.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Match(number) => {
                    out.push_str(self.frames.last().and_then(|f| f.captures.get(*number)).map_or("", |c| c));
                }
                Piece::Variable(name) => out.push_str(self.value(name)),
            }
            if text.0.len() > 1 && out.len() > self.limits.variable_bytes_total {
                out = cut(out, self.limits.variable_bytes_total);
                break;
            }
        }
        self.budget.spend_bytes(out.len())?;
        Ok(out)
    }

    pub(super) fn expand_all(&mut self, texts: &Texts) -> Run<Vec<String>> {
        texts.iter().map(|t| self.expand(t)).collect()
    }

    fn is_global(&self, name: &VarName) -> bool {
        name.global || self.frames.last().is_some_and(|f| f.global_names.contains(&name.name))
    }

    /// A variable's value; empty when it was never set.
    pub(super) fn value(&self, name: &VarName) -> &str {
        let found = if self.is_global(name) {
            self.globals.get(&name.name)
        } else {
            self.frames.last().and_then(|f| f.variables.get(&name.name))
        };
        found.map_or("", |v| v)
    }

    pub(super) fn assign(&mut self, name: &VarName, value: String) -> Run<()> {
        let value = cut(value, self.limits.variable_bytes);
        let added = value.len();
        let known = if self.is_global(name) {
            self.globals.insert(name.name.clone(), value)
        } else {
            self.frame().variables.insert(name.name.clone(), value)
        };
        self.variable_bytes = (self.variable_bytes + added).saturating_sub(known.map_or(0, |k| k.len()));
        let count = self.globals.len() + self.frames.iter().map(|f| f.variables.len()).sum::<usize>();
        if count > self.limits.variables {
            return Err(format!("the script sets more than {} variables", self.limits.variables).into());
        }
        if self.variable_bytes > self.limits.variable_bytes_total {
            let max = self.limits.variable_bytes_total;
            return Err(format!("the script's variables hold more than {max} bytes").into());
        }
        Ok(())
    }

    /// Counts again, after variables went away.
    pub(super) fn count_variables(&mut self) {
        let local = self.frames.iter().flat_map(|f| f.variables.values());
        self.variable_bytes = self.globals.values().chain(local).map(String::len).sum();
    }

    pub(super) fn make_global(&mut self, names: &[String]) -> Run<()> {
        for name in names {
            if self.frame().variables.contains_key(name) {
                return Err(format!("`{name}` cannot become global: it is a variable of this script already").into());
            }
            self.frame().global_names.insert(name.clone());
        }
        Ok(())
    }

    /// RFC 5229 §3.2: what a successful `:matches` or `:regex` leaves behind.
    pub(super) fn set_captures(&mut self, captures: Captures) {
        let max = self.limits.variable_bytes;
        self.frame().captures = captures.into_iter().map(|c| cut(c, max)).collect();
    }

    pub(super) fn modified(&mut self, mut value: String, modifiers: &[Modifier]) -> Run<String> {
        for modifier in modifiers {
            self.budget.spend_bytes(value.len())?;
            value = cut(modify(&value, *modifier), self.limits.variable_bytes_total);
        }
        Ok(value)
    }
}

fn modify(value: &str, modifier: Modifier) -> String {
    let first = |change: fn(char) -> String| {
        let mut chars = value.chars();
        chars.next().map(change).into_iter().chain([chars.collect()]).collect()
    };
    let escaped = |special: &str| {
        value.chars().fold(String::with_capacity(value.len()), |mut out, c| {
            if special.contains(c) {
                out.push('\\');
            }
            out.push(c);
            out
        })
    };
    match modifier {
        Modifier::Lower => value.to_lowercase(),
        Modifier::Upper => value.to_uppercase(),
        Modifier::LowerFirst => first(|c| c.to_lowercase().collect()),
        Modifier::UpperFirst => first(|c| c.to_uppercase().collect()),
        Modifier::QuoteWildcard => escaped("*?\\"),
        Modifier::QuoteRegex => escaped("\\^$.*+?()[]{}|"),
        Modifier::Length => value.chars().count().to_string(),
        // RFC 5435 §6: RFC 3986's unreserved characters stay.
        Modifier::EncodeUrl => value.bytes().fold(String::new(), |mut out, b| {
            if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
                out.push(b as char);
            } else {
                let _ = write!(out, "%{b:02X}");
            }
            out
        }),
    }
}

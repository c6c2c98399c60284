//! A syntax tree as script text: for tests, which print trees and parse them back.

use crate::syntax::{ArgumentKind, Arguments, Command, Test};
use std::fmt::Write;

/// The script, one command a line, blocks indented by four.
pub(crate) fn print(commands: &[Command]) -> String {
    let mut out = String::new();
    commands.iter().for_each(|c| command(c, 0, &mut out));
    out
}

fn command(command_: &Command, depth: usize, out: &mut String) {
    let indent = "    ".repeat(depth);
    let _ = write!(out, "{indent}{}", command_.name);
    arguments(&command_.arguments, out);
    match &command_.block {
        None => out.push_str(";\n"),
        Some(block) => {
            out.push_str(" {\n");
            block.iter().for_each(|c| command(c, depth + 1, out));
            let _ = writeln!(out, "{indent}}}");
        }
    }
}

fn arguments(arguments: &Arguments, out: &mut String) {
    for argument in &arguments.list {
        out.push(' ');
        match &argument.kind {
            ArgumentKind::Tag(t) => {
                let _ = write!(out, ":{t}");
            }
            ArgumentKind::Number(n) => {
                let _ = write!(out, "{n}");
            }
            ArgumentKind::Text(t) => quoted(t, out),
            ArgumentKind::List(list) => {
                out.push('[');
                for (i, (_, text)) in list.iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { ", " });
                    quoted(text, out);
                }
                out.push(']');
            }
        }
    }
    if arguments.test_list {
        out.push_str(" (");
        for (i, t) in arguments.tests.iter().enumerate() {
            out.push_str(if i == 0 { "" } else { ", " });
            test(t, out);
        }
        out.push(')');
    } else if let Some(t) = arguments.tests.first() {
        out.push(' ');
        test(t, out);
    }
}

fn test(test: &Test, out: &mut String) {
    out.push_str(&test.name);
    arguments(&test.arguments, out);
}

fn quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

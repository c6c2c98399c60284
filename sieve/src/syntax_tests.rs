//! Trees printed and parsed again are the same trees.

use crate::diagnostic::Pos;
use crate::limits::Limits;
use crate::printer::print;
use crate::syntax::{Argument, ArgumentKind, Arguments, Command, Test, parse};
use proptest::prelude::*;

const HERE: Pos = Pos { line: 0, column: 0 };

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 .\"\\\\\r\n${}:*?ü]{0,12}"
}

fn name() -> impl Strategy<Value = String> {
    "[a-z_][a-z0-9_]{0,8}".prop_filter("the word that begins a text", |n| n != "text")
}

fn argument() -> impl Strategy<Value = Argument> {
    let kind = prop_oneof![
        name().prop_map(ArgumentKind::Tag),
        (0..=i64::MAX as u64).prop_map(ArgumentKind::Number),
        text().prop_map(ArgumentKind::Text),
        prop::collection::vec(text().prop_map(|t| (HERE, t)), 1..4).prop_map(ArgumentKind::List),
    ];
    kind.prop_map(|kind| Argument { pos: HERE, kind })
}

fn arguments(tests: impl Strategy<Value = Vec<Test>>) -> impl Strategy<Value = Arguments> {
    (prop::collection::vec(argument(), 0..4), tests, any::<bool>()).prop_map(|(list, tests, many)| {
        let test_list = !tests.is_empty() && (many || tests.len() > 1);
        Arguments { list, tests, test_list, end: HERE }
    })
}

fn test() -> impl Strategy<Value = Test> {
    let leaf = (name(), arguments(Just(Vec::new()))).prop_map(|(name, arguments)| Test { pos: HERE, name, arguments });
    leaf.prop_recursive(3, 12, 3, |inner| {
        (name(), arguments(prop::collection::vec(inner, 0..3))).prop_map(|(name, arguments)| Test {
            pos: HERE,
            name,
            arguments,
        })
    })
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let head = || (name(), arguments(prop::collection::vec(test(), 0..2)));
    let leaf = head().prop_map(|(name, arguments)| Command { pos: HERE, name, arguments, block: None });
    let command =
        leaf.prop_recursive(3, 12, 3, move |inner| {
            (head(), prop::option::of(prop::collection::vec(inner, 0..3)))
                .prop_map(|((name, arguments), block)| Command { pos: HERE, name, arguments, block })
        });
    prop::collection::vec(command, 0..4)
}

fn forget_arguments(arguments: &mut Arguments) {
    arguments.end = HERE;
    for argument in &mut arguments.list {
        argument.pos = HERE;
        if let ArgumentKind::List(list) = &mut argument.kind {
            list.iter_mut().for_each(|(pos, _)| *pos = HERE);
        }
    }
    for test in &mut arguments.tests {
        test.pos = HERE;
        forget_arguments(&mut test.arguments);
    }
}

fn forget(commands: &mut [Command]) {
    for command in commands {
        command.pos = HERE;
        forget_arguments(&mut command.arguments);
        command.block.iter_mut().for_each(|b| forget(b));
    }
}

proptest! {
    #[test]
    fn printed_scripts_parse_back(tree in commands()) {
        let printed = print(&tree);
        let mut parsed = parse(&printed, &Limits::default()).map_err(|e| TestCaseError::fail(format!("{e}\n{printed}")))?;
        forget(&mut parsed);
        prop_assert_eq!(parsed, tree);
    }

    #[test]
    fn any_text_parses_or_not(source in "\\PC{0,200}") {
        let _ = parse(&source, &Limits::default());
    }

    #[test]
    fn pieces_of_scripts_parse_or_not(pieces in prop::collection::vec(prop_oneof![
        Just("if"), Just("elsif"), Just("{"), Just("}"), Just(";"), Just("("), Just(")"), Just("["), Just("]"),
        Just(","), Just("\"a\""), Just(":tag"), Just("10K"), Just("text:\n.\n"), Just("/*"), Just("*/"), Just("#\n"),
        Just("not"), Just("anyof"), Just(" "), Just("\""),
    ], 0..60)) {
        let _ = parse(&pieces.concat(), &Limits::default());
    }
}

#[test]
fn nesting_ends_before_the_stack_does() {
    let limits = Limits { script_bytes: 10_000_000, ..Limits::default() };
    for source in ["if true {".repeat(100_000), format!("if {}", "not ".repeat(100_000)), "if anyof(".repeat(100_000)] {
        let error = parse(&source, &limits).unwrap_err();
        assert!(error.message.contains("nested"), "{error}");
    }
}

//! What does not compile, and where it says so.

use zcluster_sieve::{Limits, Severity, compile};

fn errors(source: &str) -> Vec<(u32, u32, String)> {
    match compile(source.as_bytes(), &Limits::default()) {
        Ok(_) => Vec::new(),
        Err(list) => {
            let errors = list.into_iter().filter(|d| d.severity == Severity::Error);
            errors.map(|d| (d.line, d.column, d.message)).collect()
        }
    }
}

#[test]
fn wrong_scripts() {
    for (source, line, column, says) in [
        ("keep", 1, 5, "`;` or a block is missing"),
        ("keep;\n  foo;", 2, 3, "`foo` is no command"),
        ("if foo { keep; }", 1, 4, "`foo` is no test"),
        ("require \"foo\";", 1, 9, "\"foo\" is not supported"),
        ("require [\"fileinto\",\n \"bar\"];", 2, 2, "\"bar\" is not supported"),
        ("keep; require \"fileinto\";", 1, 7, "before all other commands"),
        ("fileinto \"a\";", 1, 1, "needs `require \"fileinto\";`"),
        ("require \"fileinto\"; fileinto;", 1, 29, "a mailbox's name is missing"),
        ("require \"fileinto\"; fileinto 5;", 1, 30, "takes a mailbox's name"),
        ("require \"fileinto\"; fileinto [\"a\"];", 1, 30, "takes a mailbox's name"),
        ("require \"fileinto\"; fileinto \"a\" \"b\";", 1, 34, "no more arguments"),
        ("require \"fileinto\"; fileinto \"a//b\";", 1, 30, "no mailbox's name"),
        ("require \"fileinto\"; fileinto \"\";", 1, 30, "it is empty"),
        ("require \"fileinto\"; fileinto :copy \"a\";", 1, 30, "needs `require \"copy\";`"),
        ("require \"fileinto\"; fileinto :create \"a\";", 1, 30, "needs `require \"mailbox\";`"),
        ("require \"fileinto\"; fileinto :foo \"a\";", 1, 30, "no argument `:foo`"),
        ("require [\"fileinto\", \"copy\"]; fileinto \"a\" :copy;", 1, 44, "must stand before"),
        ("require [\"fileinto\", \"copy\"]; fileinto :copy :copy \"a\";", 1, 46, "twice"),
        ("redirect \"nobody\";", 1, 10, "no valid mail address"),
        ("if header :is :contains \"a\" \"b\" { }", 1, 15, "twice, or with what excludes it"),
        ("if header :comparator \"i;foo\" \"a\" \"b\" { }", 1, 23, "\"i;foo\" is not supported"),
        ("if header :comparator \"i;ascii-numeric\" \"a\" \"b\" { }", 1, 23, "comparator-i;ascii-numeric"),
        ("if header \"a b\" \"c\" { }", 1, 11, "no header field's name"),
        ("if size 10 { }", 1, 4, "`:over` or `:under`"),
        ("if size :over :under 10 { }", 1, 15, "excludes"),
        ("if size :over \"10\" { }", 1, 15, "number of bytes"),
        ("if allof true { }", 1, 15, "in parentheses"),
        ("if not (true, false) { }", 1, 22, "one test must follow"),
        ("if true, false { }", 1, 8, "is missing before `,`"),
        ("if (true, false) { }", 1, 1, "`allof` or `anyof`"),
        ("if true { keep; ", 1, 9, "no end"),
        ("if true;", 1, 8, "a block must follow"),
        ("else { keep; }", 1, 1, "must follow an `if`"),
        ("if true {} else {} else {}", 1, 20, "must follow an `if`"),
        ("keep { }", 1, 6, "`keep` has no block"),
        ("keep true;", 1, 6, "takes no test"),
        ("if header [] \"a\" { }", 1, 12, "a string must stand here"),
        ("if header [\"a\" \"b\"] \"a\" { }", 1, 16, "`]` is missing"),
        ("if exists \"a\" \"b\" { }", 1, 15, "no more arguments"),
        ("keep; }", 1, 7, "does not belong here"),
        ("keep \"x", 1, 6, "no end"),
        ("stop 5;", 1, 6, "no more arguments"),
        ("if envelope \"from\" \"a\" { }", 1, 4, "needs `require \"envelope\";`"),
        ("require \"envelope\"; if envelope \"helo\" \"a\" { }", 1, 33, "no part of an envelope"),
        ("require \"regex\"; if header :regex \"a\" \"(\" { }", 1, 39, "regular expression is wrong"),
        ("require \"regex\"; if header :regex \"a\" \"(a{500}){500}\" { }", 1, 39, "too large"),
        ("require \"relational\"; if header :count \"xx\" \"a\" \"1\" { }", 1, 40, "a relation is one of"),
        ("require \"variables\"; set \"a b\" \"x\";", 1, 26, "no variable's name"),
        ("require \"variables\"; set \"a\" \"${foo.bar}\";", 1, 30, "namespace `foo`"),
        ("require \"variables\"; set :upper :lower \"a\" \"x\";", 1, 33, "excludes"),
        ("require \"variables\"; set \"1\" \"x\";", 1, 26, "no variable's name"),
        ("require \"imap4flags\"; setflag \"\\\\Recent\";", 1, 31, "no IMAP flag"),
        ("require \"imap4flags\"; setflag \"v\" \"\\\\Seen\";", 1, 31, "needs `require \"variables\";`"),
        ("require \"date\"; if currentdate \"foo\" \"1\" { }", 1, 32, "no part of a date"),
        ("require \"date\"; if currentdate :zone \"1\" \"hour\" \"1\" { }", 1, 38, "a zone is"),
        ("require \"index\"; if header :index 0 \"a\" \"b\" { }", 1, 35, "counts from 1"),
        ("require \"index\"; if header :last \"a\" \"b\" { }", 1, 28, "needs `:index`"),
        ("require \"mime\"; if header :anychild \"a\" \"b\" { }", 1, 27, "needs `:mime`"),
        ("require \"foreverypart\"; break;", 1, 25, "inside a `foreverypart`"),
        ("require [\"foreverypart\"]; foreverypart :name \"a\" { break :name \"b\"; }", 1, 52, "no loop around"),
        ("require [\"extracttext\", \"variables\"]; extracttext \"a\";", 1, 39, "inside a `foreverypart`"),
        ("require \"enotify\"; notify \"xmpp:a@b\";", 1, 27, "only `mailto`"),
        ("require \"enotify\"; notify :importance \"4\" \"mailto:a@b.org\";", 1, 39, "\"1\", \"2\" or \"3\""),
        ("require [\"enotify\", \"notify\"];", 1, 1, "cannot be required together"),
        ("require \"vacation\"; vacation :seconds 5 \"x\";", 1, 30, "vacation-seconds"),
        ("require \"vacation\"; vacation :days 1 :days 2 \"x\";", 1, 38, "twice"),
        ("require [\"vacation\", \"mailbox\"]; vacation :create \"x\";", 1, 43, "needs `:fcc`"),
        ("require \"encoded-character\"; redirect \"${unicode:110000}@x.org\";", 1, 39, "no character"),
        ("require \"duplicate\"; if duplicate :header \"a\" :uniqueid \"b\" { }", 1, 47, "excludes"),
        ("require [\"special-use\", \"fileinto\"]; fileinto :specialuse \"Junk\" \"a\";", 1, 59, "backslash"),
        ("require \"include\"; include :personal :global \"a\";", 1, 38, "excludes"),
        ("require \"spamtest\"; if spamtest :percent :value \"eq\" \"1\" { }", 1, 33, "spamtestplus"),
    ] {
        let found = errors(source);
        let Some((l, c, message)) = found.first() else { panic!("compiles: {source}") };
        assert!((*l, *c) == (line, column) && message.contains(says), "{source}\n{l}:{c} {message}");
    }
}

#[test]
fn all_errors_at_once() {
    let source = "require \"foo\";\nkeep 1;\nif header \"a\" { discard 2; }\nfileinto \"x\";";
    let lines: Vec<u32> = errors(source).iter().map(|e| e.0).collect();
    assert_eq!(lines, [1, 2, 3, 3, 4]);
}

#[test]
fn bytes_and_sizes() {
    let list = compile(b"keep;\n# \xff", &Limits::default()).unwrap_err();
    assert_eq!((list[0].line, list[0].column), (2, 3));
    let long = vec![b' '; 256 * 1024 + 1];
    assert!(compile(&long, &Limits::default()).unwrap_err()[0].message.contains("262145 bytes"));
    assert!(compile(&long[1..], &Limits::default()).is_ok());
    let many = "keep;".repeat(8_193);
    assert!(compile(many.as_bytes(), &Limits::default()).unwrap_err()[0].message.contains("8192 commands"));
    let regexes = format!("require \"regex\"; if header :regex \"a\" [{}] {{ }}", vec!["\"x\""; 129].join(","));
    assert!(compile(regexes.as_bytes(), &Limits::default()).unwrap_err()[0].message.contains("128 regular"));
}

#[test]
fn warnings_and_needs() {
    let source = "require [\"editheader\", \"mailbox\", \"include\", \"variables\", \"duplicate\"];\n\
        addheader \"Received\" \"x\";\n\
        if anyof (mailboxexists \"a\", duplicate, address \"subject\" \"x\") { include :global \"g\"; include \"${x}\"; include \"p\"; include \"p\"; }";
    let script = compile(source.as_bytes(), &Limits::default()).unwrap();
    let warnings: Vec<String> = script.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].starts_with("line 2, column 11: warning: `Received` cannot be changed"), "{warnings:?}");
    let needs = script.needs();
    assert!(needs.mailboxes && needs.duplicate && needs.any_include && !needs.metadata && !needs.verdicts);
    let names: Vec<&str> = needs.includes.iter().map(|(_, n)| n.as_str()).collect();
    assert_eq!(names, ["g", "p"]);
}

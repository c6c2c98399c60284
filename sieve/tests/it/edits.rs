//! RFC 5293: `addheader` and `deleteheader`.

use crate::support::*;

const M: &str = "Received: r\r\nX-A: 1\r\nX-B: x\r\nX-A: 2\r\nx-a: 3\r\n\r\nbody\r\n";

fn edited(script: &str) -> String {
    kept(&outcome(
        &format!("require [\"editheader\", \"relational\", \"variables\", \"fileinto\", \"index\"]; {script}"),
        M,
    ))
}

#[test]
fn headers() {
    for (script, want) in [
        (
            "addheader \"X-C\" \"new\";",
            "X-C: new\r\nReceived: r\r\nX-A: 1\r\nX-B: x\r\nX-A: 2\r\nx-a: 3\r\n\r\nbody\r\n",
        ),
        (
            "addheader :last \"X-C\" \"ü\";",
            "Received: r\r\nX-A: 1\r\nX-B: x\r\nX-A: 2\r\nx-a: 3\r\nX-C: =?utf-8?b?w7w=?=\r\n\r\nbody\r\n",
        ),
        ("deleteheader \"X-A\";", "Received: r\r\nX-B: x\r\n\r\nbody\r\n"),
        ("deleteheader :index 1 \"X-A\";", "Received: r\r\nX-B: x\r\nX-A: 2\r\nx-a: 3\r\n\r\nbody\r\n"),
        ("deleteheader :index 1 :last \"X-A\";", "Received: r\r\nX-A: 1\r\nX-B: x\r\nX-A: 2\r\n\r\nbody\r\n"),
        (
            "deleteheader :index 1 \"X-A\"; deleteheader :index 2 \"X-A\";",
            "Received: r\r\nX-B: x\r\nX-A: 2\r\n\r\nbody\r\n",
        ),
        ("deleteheader :matches \"X-A\" [\"2\", \"3*\"];", "Received: r\r\nX-A: 1\r\nX-B: x\r\n\r\nbody\r\n"),
        ("deleteheader :index 2 :is \"X-A\" \"1\";", "as it came"),
        ("deleteheader :value \"gt\" \"X-A\" \"1\";", "Received: r\r\nX-A: 1\r\nX-B: x\r\n\r\nbody\r\n"),
        ("deleteheader \"Received\"; addheader \"Auto-Submitted\" \"no\";", "as it came"),
        // §6's example: nothing changes
        ("addheader \"X-Hello\" \"World\"; deleteheader :index 1 \"X-Hello\";", "as it came"),
        (
            "addheader \"X-C\" \"a\r\nX-Evil: b\"; deleteheader \"X-A\"; deleteheader \"X-B\";",
            "X-C: a  X-Evil: b\r\nReceived: r\r\n\r\nbody\r\n",
        ),
    ] {
        assert_eq!(edited(script), want, "{script}");
    }
}

#[test]
fn later_tests_and_actions_see_edits() {
    let r = "require [\"editheader\", \"fileinto\", \"copy\"]; ";
    let s = format!("{r}addheader \"X-C\" \"1\"; if header \"x-c\" \"1\" {{ fileinto \"yes\"; }}");
    assert_eq!(does(&s, M), "fileinto yes edited");
    // Each action stores what the message was then.
    let s = format!(
        "{r}fileinto \"before\"; addheader \"X-C\" \"1\"; fileinto \"after\"; deleteheader \"x-c\"; fileinto \"again\";"
    );
    assert_eq!(does(&s, M), "fileinto before; fileinto after edited; fileinto again");
    // The same mailbox once only.
    assert_eq!(does(&format!("{r}keep; addheader \"X-Flavor\" \"vanilla\"; keep;"), M), "keep");
    assert_eq!(
        does(&format!("{r}addheader \"X-C\" \"1\"; redirect :copy \"a@b.org\";"), M),
        "redirect a@b.org copy edited; keep implicit edited"
    );
}

#[test]
fn headers_without_body_or_end() {
    let add = |m: &str| kept(&outcome("require \"editheader\"; addheader :last \"X\" \"y\";", m));
    assert_eq!(add("A: b"), "A: b\r\nX: y\r\n\r\n");
    assert_eq!(add(""), "X: y\r\n\r\n");
    assert_eq!(add("A: b\n\nbody"), "A: b\nX: y\r\n\nbody");
}

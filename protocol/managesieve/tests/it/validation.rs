//! Scripts that make no sense (RFC 5804 §2.6, §2.8, §2.12).

use crate::client::Cluster;

#[tokio::test]
async fn errors_have_lines_and_columns() {
    let cluster = Cluster::new();
    let mut c = cluster.connect().signed_in().await;
    let bad = "require \"fileinto\";\r\nif true {\r\n    fileintoo \"x\";\r\n}\r\n";
    for command in ["CHECKSCRIPT", "PUTSCRIPT \"a\""] {
        let answer = c.tell(&format!("{command} {{{}+}}\r\n{bad}", bad.len())).await;
        assert!(answer.starts_with("NO \"line 3, column 5: error: "), "{answer}");
        assert_eq!(answer.matches("\r\n").count(), 1, "{answer}");
    }
    // Several: a literal, one a line.
    let worse = "frob;\r\nkeep;\r\n  frobnicate;\r\n";
    let answer = c.tell(&format!("CHECKSCRIPT {{{}+}}\r\n{worse}", worse.len())).await;
    let lines: Vec<&str> = answer.lines().collect();
    assert!(lines[0].starts_with("NO {") && lines.len() == 3, "{answer}");
    assert!(lines[1].starts_with("line 1, column 1: ") && lines[2].starts_with("line 3, column 3: "), "{answer}");
    c.ask("LISTSCRIPTS", "OK\r\n").await;
    c.ask("CHECKSCRIPT \"keep;\"", "OK\r\n").await;
    c.ask("CHECKSCRIPT \"\"", "OK\r\n").await;
    c.ask("LISTSCRIPTS", "OK\r\n").await;
}

#[tokio::test]
async fn a_script_that_was_good_stays_when_its_successor_is_not() {
    let cluster = Cluster::new();
    let mut c = cluster.connect().signed_in().await;
    c.ask("PUTSCRIPT \"a\" \"keep;\"", "OK\r\n").await;
    c.ask("SETACTIVE \"a\"", "OK\r\n").await;
    assert!(c.tell("PUTSCRIPT \"a\" \"keep\"").await.starts_with("NO \"line 1, "));
    c.ask("GETSCRIPT \"a\"", "{5}\r\nkeep;\r\nOK\r\n").await;
    // One that came in another way is not switched on.
    cluster.put("b", "frob;").await;
    assert!(c.tell("SETACTIVE \"b\"").await.starts_with("NO \"line 1, column 1: "));
    c.ask("LISTSCRIPTS", "\"a\" ACTIVE\r\n\"b\"\r\nOK\r\n").await;
}

#[tokio::test]
async fn warnings_do_not_stand_in_the_way() {
    let cluster = Cluster::new();
    let mut c = cluster.connect().signed_in().await;
    let odd = "if address :is \"subject\" \"x\" { discard; }\r\n";
    for command in ["CHECKSCRIPT", "PUTSCRIPT \"a\""] {
        let answer = c.tell(&format!("{command} {{{}+}}\r\n{odd}", odd.len())).await;
        assert!(answer.starts_with("OK (WARNINGS) \"line 1, column "), "{answer}");
    }
    assert!(c.tell("SETACTIVE \"a\"").await.starts_with("OK (WARNINGS) \""));
    c.ask("LISTSCRIPTS", "\"a\" ACTIVE\r\nOK\r\n").await;
}

#[tokio::test]
async fn scripts_are_utf_8() {
    let cluster = Cluster::new();
    let mut c = cluster.connect().signed_in().await;
    for script in [&b"# \xff\r\n"[..], b"keep;\0", b"\xff\xfe"] {
        c.send(format!("PUTSCRIPT \"a\" {{{}+}}\r\n", script.len()).as_bytes()).await;
        c.send(script).await;
        c.send(b"\r\n").await;
        let answer = c.answer().await;
        assert!(answer.starts_with("NO "), "{answer}");
        c.in_step().await;
    }
    assert!(cluster.scripts().await.is_empty());
}

#[tokio::test]
async fn everything_on_offer_can_be_required() {
    let cluster = Cluster::new();
    let mut c = cluster.connect().signed_in().await;
    for extension in zcluster_sieve::capabilities() {
        let answer = c.tell(&format!("CHECKSCRIPT \"require \\\"{extension}\\\";\"")).await;
        assert!(answer.starts_with("OK"), "{extension}: {answer}");
    }
}

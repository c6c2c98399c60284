//! Every command as RFC 5804 §2 describes it, and its response codes.

use crate::client::{Client, Cluster};
use zcluster_api::delivery::{SCRIPTS_BYTES_MAX, SCRIPTS_MAX};
use zcluster_api::directory::Modification;
use zcluster_managesieve::Config;

const KEEP: &str = "keep;\r\n";

/// RFC 5804 §1.7: what must be there, and only what holds now.
#[tokio::test]
async fn capabilities() {
    let cluster = Cluster::new();
    let mut c = cluster.connect();
    let greeting = c.answer().await;
    let listed = c.tell("capability").await;
    assert_eq!(greeting.replace("ManageSieve ready", "done"), listed);
    for line in [
        "\"IMPLEMENTATION\" \"zcluster\"",
        "\"VERSION\" \"1.0\"",
        "\"SASL\" \"SCRAM-SHA-256 PLAIN LOGIN\"",
        "\"NOTIFY\" \"mailto\"",
        "\"LANGUAGE\" \"en\"",
        "\"UNAUTHENTICATE\"",
        &format!("\"MAXREDIRECTS\" \"{}\"", Config::default().limits.redirects),
        &format!("\"SIEVE\" \"{}\"", zcluster_sieve::capabilities().join(" ")),
    ] {
        assert!(listed.lines().any(|l| l == line), "{line} in {listed}");
    }
    assert!(!listed.contains("STARTTLS") && !listed.contains("OWNER"), "{listed}");
    let mut c = cluster.connect().signed_in().await;
    let listed = c.tell("CAPABILITY").await;
    assert!(listed.lines().any(|l| l == "\"OWNER\" \"bob@example.com\""), "{listed}");
}

#[tokio::test]
async fn a_script_s_life() {
    let cluster = Cluster::new();
    let mut c = cluster.connect().signed_in().await;
    c.ask("LISTSCRIPTS", "OK\r\n").await;
    c.ask("HAVESPACE \"summer\" 999", "OK\r\n").await;
    let summer = "#comment\r\nrequire [\"fileinto\"];\r\nfileinto \"INBOX.auf Rädern\";\r\n";
    c.ask_with("PUTSCRIPT \"summer\"", summer, "OK\r\n").await;
    c.ask("putscript {8+}\r\nvacation \"keep;\"", "OK\r\n").await;
    c.ask("LISTSCRIPTS", "\"summer\"\r\n\"vacation\"\r\nOK\r\n").await;
    c.ask("SETACTIVE \"vacation\"", "OK\r\n").await;
    c.ask("LISTSCRIPTS", "\"summer\"\r\n\"vacation\" ACTIVE\r\nOK\r\n").await;
    c.ask("GETSCRIPT \"summer\"", &format!("{{{}}}\r\n{summer}\r\nOK\r\n", summer.len())).await;
    c.ask("DELETESCRIPT \"vacation\"", "NO (ACTIVE) \"the active script cannot be deleted\"\r\n").await;
    c.ask("RENAMESCRIPT \"vacation\" \"a \\\"b\\\\\"", "OK\r\n").await;
    c.ask("LISTSCRIPTS", "\"a \\\"b\\\\\" ACTIVE\r\n\"summer\"\r\nOK\r\n").await;
    // Replaced under the same name, which stays active.
    c.ask("PUTSCRIPT \"a \\\"b\\\\\" \"discard;\"", "OK\r\n").await;
    c.ask("GETSCRIPT \"a \\\"b\\\\\"", "{8}\r\ndiscard;\r\nOK\r\n").await;
    c.ask("SETACTIVE \"\"", "OK\r\n").await;
    c.ask("SETACTIVE \"\"", "OK\r\n").await;
    c.ask("DELETESCRIPT \"a \\\"b\\\\\"", "OK\r\n").await;
    c.ask("LISTSCRIPTS", "\"summer\"\r\nOK\r\n").await;
    c.ask("LOGOUT", "OK \"goodbye\"\r\n").await;
    c.closed().await;
    assert_eq!(cluster.scripts().await.len(), 1);
}

#[tokio::test]
async fn names() {
    let cluster = Cluster::new();
    let mut c = cluster.connect().signed_in().await;
    for name in ["\"a\"", "\"A\"", "\"ä\"", "\"a \"", "{2+}\r\n\u{e4}"] {
        c.ask_with(&format!("PUTSCRIPT {name}"), KEEP, "OK\r\n").await;
    }
    // Compared byte by byte: the literal named the third once more.
    c.ask("LISTSCRIPTS", "\"A\"\r\n\"a\"\r\n\"a \"\r\n\"ä\"\r\nOK\r\n").await;
    let longest = "x".repeat(512);
    c.ask_with(&format!("PUTSCRIPT \"{longest}\""), KEEP, "OK\r\n").await;
    let empty = "NO \"a script's name must not be empty\"\r\n";
    let invalid = "NO \"a script's name must have neither control characters nor /\"\r\n";
    let too_long = "NO \"a script's name may have 512 bytes\"\r\n";
    for (name, answer) in [
        ("\"\"", empty),
        ("{0+}\r\n", empty),
        ("\"../a\"", invalid),
        ("\"a\tb\"", invalid),
        ("{3+}\r\na\nb", invalid),
        ("{3+}\r\n\u{2028}", invalid),
        (&format!("\"{longest}y\""), too_long),
    ] {
        c.ask_with(&format!("PUTSCRIPT {name}"), KEEP, answer).await;
        c.ask(&format!("HAVESPACE {name} 5"), answer).await;
        c.ask(&format!("RENAMESCRIPT \"a\" {name}"), answer).await;
    }
    c.send(b"GETSCRIPT {1+}\r\n\xff\r\n").await;
    assert_eq!(c.answer().await, "NO \"a name must be UTF-8\"\r\n");
    assert_eq!(cluster.scripts().await.len(), 5);
}

#[tokio::test]
async fn what_is_missing_or_there_already() {
    let cluster = Cluster::new();
    let mut c = cluster.connect().signed_in().await;
    let missing = "NO (NONEXISTENT) \"there is no script \\\"b\\\"\"\r\n";
    c.ask_with("PUTSCRIPT \"a\"", KEEP, "OK\r\n").await;
    for command in ["SETACTIVE \"b\"", "GETSCRIPT \"b\"", "DELETESCRIPT \"b\"", "RENAMESCRIPT \"b\" \"c\""] {
        c.ask(command, missing).await;
    }
    c.ask("GETSCRIPT \"\"", "NO (NONEXISTENT) \"there is no script \\\"\\\"\"\r\n").await;
    c.ask_with("PUTSCRIPT \"b\"", KEEP, "OK\r\n").await;
    c.ask("RENAMESCRIPT \"a\" \"b\"", "NO (ALREADYEXISTS) \"there is a script \\\"b\\\" already\"\r\n").await;
    c.ask("SETACTIVE \"b\"", "OK\r\n").await;
    // RFC 5804 §2.8: a failed one changes nothing.
    c.ask("SETACTIVE \"c\"", "NO (NONEXISTENT) \"there is no script \\\"c\\\"\"\r\n").await;
    c.ask("LISTSCRIPTS", "\"a\"\r\n\"b\" ACTIVE\r\nOK\r\n").await;
}

#[tokio::test]
async fn too_many_scripts() {
    let cluster = Cluster::new();
    for n in 0..SCRIPTS_MAX {
        cluster.put(&n.to_string(), KEEP).await;
    }
    let mut c = cluster.connect().signed_in().await;
    let full = "NO (QUOTA/MAXSCRIPTS) \"there may be 64 scripts\"\r\n";
    c.ask("HAVESPACE \"one more\" 5", full).await;
    c.ask_with("PUTSCRIPT \"one more\"", KEEP, full).await;
    c.ask("HAVESPACE \"7\" 5", "OK\r\n").await;
    c.ask_with("PUTSCRIPT \"7\"", KEEP, "OK\r\n").await;
}

#[tokio::test]
async fn too_large_scripts() {
    let cluster = Cluster::new();
    let mut c = cluster.connect().signed_in().await;
    c.ask("HAVESPACE \"a\" 262144", "OK\r\n").await;
    let too_large = "NO (QUOTA/MAXSIZE) \"a script may have 262144 bytes\"\r\n";
    c.ask("HAVESPACE \"a\" 262145", too_large).await;
    let script = |size: usize| format!("{}{KEEP}", "#\r\n".repeat(size / 3))[..].to_owned();
    // Read over, whatever its size, and still in step.
    for size in [300_000, 3_000_000] {
        c.ask_with("PUTSCRIPT \"a\"", &script(size), too_large).await;
        c.ask_with("CHECKSCRIPT", &script(size), too_large).await;
        c.in_step().await;
    }
    // All together.
    let quarter = script(262_000);
    let four = SCRIPTS_BYTES_MAX / quarter.len() as u64;
    for n in 0..four {
        c.ask_with(&format!("PUTSCRIPT \"{n}\""), &quarter, "OK\r\n").await;
    }
    let answer = c.tell(&format!("PUTSCRIPT \"more\" {{{}+}}\r\n{quarter}", quarter.len())).await;
    assert!(answer.starts_with("NO (QUOTA/MAXSIZE) \"all scripts together may have"), "{answer}");
    let answer = c.tell(&format!("HAVESPACE \"more\" {}", quarter.len())).await;
    assert!(answer.starts_with("NO (QUOTA/MAXSIZE) \"all scripts together may have"), "{answer}");
    assert_eq!(cluster.scripts().await.len() as u64, four);
}

#[tokio::test]
async fn an_account_s_own_bound() {
    let cluster = Cluster::new();
    let bound = |value: &str| cluster.modify(Modification::set("zimbraMailSieveScriptMaxSize", value));
    bound("10");
    let mut c = cluster.connect().signed_in().await;
    let too_large = "NO (QUOTA/MAXSIZE) \"a script may have 10 bytes\"\r\n";
    c.ask("HAVESPACE \"a\" 11", too_large).await;
    c.ask("PUTSCRIPT \"a\" \"keep; keep;\"", too_large).await;
    c.ask("CHECKSCRIPT \"keep; keep;\"", too_large).await;
    c.ask("PUTSCRIPT \"a\" \"keep;\"", "OK\r\n").await;
    // One that was stored before is no good for deliveries either.
    cluster.put("b", "keep; keep; keep;").await;
    c.ask("SETACTIVE \"b\"", too_large).await;
    // 0: no bound but ours; more than ours: ours.
    for value in ["0", "1MB"] {
        bound(value);
        let mut c = cluster.connect().signed_in().await;
        c.ask("HAVESPACE \"a\" 262144", "OK\r\n").await;
        c.ask("HAVESPACE \"a\" 262145", "NO (QUOTA/MAXSIZE) \"a script may have 262144 bytes\"\r\n").await;
    }
}

/// RFC 5804 §2.13.
#[tokio::test]
async fn noop() {
    let cluster = Cluster::new();
    let mut c = cluster.connect().greeted().await;
    c.ask("NOOP", "OK \"done\"\r\n").await;
    c.ask("NOOP \"STARTTLS-RESYNC-42\"", "OK (TAG \"STARTTLS-RESYNC-42\") \"done\"\r\n").await;
    c.ask("NOOP {3+}\r\na\nb", "OK (TAG {3}\r\na\nb) \"done\"\r\n").await;
    c.ask("NOOP {3}\r\na\"b", "OK (TAG \"a\\\"b\") \"done\"\r\n").await;
}

#[tokio::test]
async fn only_some_commands_before_sign_in() {
    let cluster = Cluster::new();
    let mut c = cluster.connect().greeted().await;
    for command in [
        "HAVESPACE \"a\" 1",
        "PUTSCRIPT \"a\" \"keep;\"",
        "LISTSCRIPTS",
        "SETACTIVE \"a\"",
        "SETACTIVE \"\"",
        "GETSCRIPT \"a\"",
        "DELETESCRIPT \"a\"",
        "RENAMESCRIPT \"a\" \"b\"",
        "CHECKSCRIPT \"keep;\"",
        "UNAUTHENTICATE",
    ] {
        c.ask(command, "NO \"sign in first\"\r\n").await;
    }
    let script = "#".repeat(100_000);
    c.ask_with("PUTSCRIPT \"a\"", &script, "NO \"sign in first\"\r\n").await;
    c.ask("LOGOUT", "OK \"goodbye\"\r\n").await;
    c.closed().await;
}

#[tokio::test]
async fn commands_come_without_waiting_for_answers() {
    let cluster = Cluster::new();
    let mut c: Client = cluster.connect().signed_in().await;
    c.send(b"PUTSCRIPT \"a\" {5+}\r\nkeep;\r\nSETACTIVE \"a\"\nBOGUS\r\nLISTSCRIPTS\r\nGETSCRIPT \"a\"\r\nLOGOUT\r\n")
        .await;
    for answer in [
        "OK\r\n",
        "OK\r\n",
        "NO \"unknown command\"\r\n",
        "\"a\" ACTIVE\r\nOK\r\n",
        "{5}\r\nkeep;\r\nOK\r\n",
        "OK \"goodbye\"\r\n",
    ] {
        assert_eq!(c.answer().await, answer);
    }
    c.closed().await;
}

//! Before a mailbox: greeting, capabilities, signing in, leaving.

use crate::support::{ALICE, Client, Site};
use zcluster_api::DirectoryCommand;
use zcluster_api::directory::Modification;
use zcluster_auth::{HashParams, ScramClient, password_values};
use zcluster_imap::ImapConfig;

fn set(site: &Site, name: &str, values: Vec<String>) {
    let changes = vec![Modification { values, ..Modification::set(name, "") }];
    site.memory.command(DirectoryCommand::ModifyAccount { id: site.alice, changes }).expect("modify");
}

/// The tagged response to a SCRAM exchange with or without initial response.
async fn scram(c: &mut Client, password: &str, initial: bool) -> String {
    let mut client = ScramClient::new(ALICE, password, "n,,", b"");
    if initial {
        c.send(format!("s AUTHENTICATE SCRAM-SHA-256 {}\r\n", client.first())).await;
    } else {
        c.send("s AUTHENTICATE SCRAM-SHA-256\r\n").await;
        assert_eq!(c.line().await, "+ ");
        c.send(format!("{}\r\n", client.first())).await;
    }
    let challenge = c.line().await;
    let last = client.last(challenge.strip_prefix("+ ").expect("a challenge")).expect("one that makes sense");
    c.send(format!("{last}\r\n")).await;
    let line = c.line().await;
    match line.strip_prefix("+ ") {
        Some(signature) => {
            assert!(client.accepts(signature));
            c.send("\r\n").await;
            c.until_tagged("s").await
        }
        None => line,
    }
}

#[tokio::test]
async fn scram_is_for_plain_text_too() {
    let site = Site::with(ImapConfig::default());
    set(&site, "userPassword", password_values(HashParams::cheap(), "pw"));
    for initial in [true, false] {
        let mut c = site.connect().await;
        assert!(scram(&mut c, "wrong", initial).await.starts_with("s NO [AUTHENTICATIONFAILED]"));
        assert!(scram(&mut c, "pw", initial).await.starts_with("# OK [CAPABILITY "));
        c.ok("SELECT INBOX").await;
    }
    let mut c = site.connect().await;
    assert!(c.run("AUTHENTICATE SCRAM-SHA-256 biws").await.starts_with("# BAD malformed"));
    assert!(c.run("AUTHENTICATE SCRAM-SHA-256-PLUS").await.starts_with("# NO [PRIVACYREQUIRED]"));
    assert!(c.run(format!("AUTHENTICATE SCRAM-SHA-256 {}", "A".repeat(12_288))).await.starts_with("# BAD malformed"));
    assert!(c.run(format!("AUTHENTICATE SCRAM-SHA-256 {}", "A".repeat(20_000))).await.starts_with("# BAD [TOOBIG]"));
    c.send("a AUTHENTICATE SCRAM-SHA-256\r\n").await;
    assert_eq!(c.line().await, "+ ");
    c.send(format!("{}\r\n", "A".repeat(20_000))).await;
    assert_eq!(c.line().await, "a BAD a line is too long");
    c.ok("NOOP").await;
}

#[tokio::test]
async fn accounts_that_may_not() {
    let site = Site::new();
    for (name, value, want) in [
        ("zimbraImapEnabled", "FALSE", "# NO [CONTACTADMIN] IMAP is not enabled"),
        ("zimbraPrefImapEnabled", "FALSE", "# NO [CONTACTADMIN] IMAP is not enabled"),
        ("zimbraAccountStatus", "maintenance", "# NO [UNAVAILABLE] account is under maintenance"),
        ("zimbraAccountStatus", "closed", "# NO [CONTACTADMIN] account is not active"),
    ] {
        set(&site, name, vec![value.into()]);
        let mut c = site.connect().await;
        assert!(c.run(format!("LOGIN {ALICE} pw")).await.starts_with(want), "{name} {value}");
        let plain = c.run("AUTHENTICATE PLAIN AGFsaWNlQGV4YW1wbGUuY29tAHB3").await;
        assert!(plain.starts_with(want), "{name} {value}");
        set(&site, name, vec![]);
    }
    site.alice().await;
}

#[tokio::test]
async fn capabilities_by_state() {
    let site = Site::new();
    let mut c = site.connect().await;
    c.expect(
        "CAPABILITY",
        &[
            "* CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE AUTH=SCRAM-SHA-256 AUTH=PLAIN AUTH=LOGIN",
            "# OK CAPABILITY completed",
        ],
    )
    .await;
    c.ok(&format!("LOGIN {ALICE} pw")).await;
    let shown = c.ok("CAPABILITY").await;
    for word in
        ["IDLE", "UIDPLUS", "MOVE", "CONDSTORE", "QRESYNC", "UIDONLY", "NOTIFY", "ESEARCH", "APPENDLIMIT=52428800"]
    {
        assert!(shown.split_whitespace().any(|w| w == word), "{word} in {shown}");
    }
    assert!(!shown.contains(" AUTH="));
}

#[tokio::test]
async fn passwords_do_not_go_over_plain_text() {
    let site = Site::with(ImapConfig::default());
    let mut c = site.connect().await;
    assert!(c.ok("CAPABILITY").await.contains(" LOGINDISABLED AUTH=SCRAM-SHA-256\r\n"));
    c.expect(&format!("LOGIN {ALICE} pw"), &["# NO [PRIVACYREQUIRED] sign in over TLS only"]).await;
    c.expect("AUTHENTICATE PLAIN AA==", &["# NO [PRIVACYREQUIRED] sign in over TLS only"]).await;
    c.expect("STARTTLS", &["# BAD TLS is not offered here"]).await;
}

#[tokio::test]
async fn ways_to_sign_in() {
    let site = Site::new();
    let mut c = site.connect().await;
    assert!(c.run("LOGIN alice@example.com wrong").await.starts_with("# NO [AUTHENTICATIONFAILED]"));
    assert!(c.run("LOGIN {17+}\r\nalice@example.com {2+}\r\npw").await.starts_with("# OK [CAPABILITY "));
    assert!(c.run("LOGIN a b").await.starts_with("# BAD already"));

    // A synchronising literal is waited for.
    let mut c = site.connect().await;
    c.send("a LOGIN {17}\r\n").await;
    assert_eq!(c.line().await, "+ go ahead");
    c.send("alice@example.com {2}\r\n").await;
    assert_eq!(c.line().await, "+ go ahead");
    c.send("pw\r\n").await;
    assert!(c.until_tagged("a").await.starts_with("# OK"));

    // "\0alice@example.com\0pw", with and without an initial response (RFC 4959).
    let plain = "AGFsaWNlQGV4YW1wbGUuY29tAHB3";
    let mut c = site.connect().await;
    assert!(c.run(format!("AUTHENTICATE PLAIN {plain}")).await.starts_with("# OK [CAPABILITY "));
    let mut c = site.connect().await;
    c.send("a authenticate plain\r\n").await;
    assert_eq!(c.line().await, "+ ");
    c.send("*\r\n").await;
    assert!(c.until_tagged("a").await.starts_with("# BAD authentication cancelled"));
    c.send("b AUTHENTICATE LOGIN\r\n").await;
    assert_eq!(c.line().await, "+ VXNlcm5hbWU6");
    c.send("YWxpY2VAZXhhbXBsZS5jb20=\r\n").await;
    assert_eq!(c.line().await, "+ UGFzc3dvcmQ6");
    c.send("cHc=\r\n").await;
    assert!(c.until_tagged("b").await.starts_with("# OK"));
    let mut c = site.connect().await;
    assert!(c.run("AUTHENTICATE CRAM-MD5").await.starts_with("# NO"));
    assert!(c.run("AUTHENTICATE PLAIN !!").await.starts_with("# BAD"));
}

#[tokio::test]
async fn guessing_ends_in_bye() {
    let site = Site::new();
    let mut c = site.connect().await;
    for _ in 0..4 {
        assert!(c.run("LOGIN alice@example.com guess").await.starts_with("# NO"));
    }
    c.send("x LOGIN alice@example.com guess\r\n").await;
    assert_eq!(c.line().await, "* BYE [AUTHENTICATIONFAILED] too many failed sign-ins");
    assert_eq!(c.line().await, "");
}

#[tokio::test]
async fn commands_need_their_state() {
    let site = Site::new();
    let mut c = site.connect().await;
    for command in ["SELECT INBOX", "LIST \"\" *", "FETCH 1 FLAGS", "IDLE", "CLOSE"] {
        c.expect(command, &["# BAD sign in first"]).await;
    }
    c.expect("NOOP", &["# OK NOOP completed"]).await;
    c.ok(&format!("LOGIN {ALICE} pw")).await;
    for command in
        ["FETCH 1 FLAGS", "STORE 1 FLAGS ()", "SEARCH ALL", "EXPUNGE", "CLOSE", "UNSELECT", "CHECK", "COPY 1 x"]
    {
        c.expect(command, &["# BAD select a mailbox first"]).await;
    }
}

#[tokio::test]
async fn small_talk() {
    let site = Site::new();
    let mut c = site.alice().await;
    c.expect("ID (\"name\" \"test\" \"version\" NIL)", &["* ID (\"name\" \"zcluster\")", "# OK ID completed"]).await;
    c.expect("ID NIL", &["* ID (\"name\" \"zcluster\")", "# OK ID completed"]).await;
    c.expect("NAMESPACE", &["* NAMESPACE ((\"\" \"/\")) ((\"/home/\" \"/\")) NIL", "# OK NAMESPACE completed"]).await;
    c.expect("ENABLE CONDSTORE X-UNKNOWN", &["* ENABLED CONDSTORE", "# OK ENABLE completed"]).await;
    c.expect("ENABLE CONDSTORE", &["* ENABLED", "# OK ENABLE completed"]).await;
    c.expect("LOGOUT", &["* BYE see you", "# OK LOGOUT completed"]).await;
    assert_eq!(c.line().await, "");
}

#[tokio::test]
async fn silence_before_sign_in_is_not_kept() {
    let login_timeout = std::time::Duration::from_millis(300);
    let site = Site::with(ImapConfig { login_timeout, ..ImapConfig::default() });
    let mut c = site.connect().await;
    // One byte now and then does not help.
    for _ in 0..3 {
        zcluster_runtime::sleep(login_timeout / 4).await;
        c.send("x").await;
    }
    assert_eq!(c.line().await, "* BYE silent for too long");
}

//! URLAUTH (RFC 4467).

use crate::support::{Client, Site, message};
use zcluster_auth::{HashParams, hash_password_with};

async fn sign_in(site: &Site, name: &str) -> Client {
    let mut c = site.connect().await;
    assert!(c.run(format!("LOGIN {name} pw")).await.contains("# OK"));
    c
}

fn quoted(reply: &str) -> String {
    reply.split('"').nth(1).expect("a quoted URL").to_string()
}

#[tokio::test]
async fn a_url_opens_one_piece_to_whom_it_names() {
    let site = Site::new();
    let hash = hash_password_with(HashParams::cheap(), "pw");
    site.memory.add_account("bob@example.com", &hash);
    let admin = site.memory.add_account("submit@example.com", &hash);
    let set = zcluster_api::directory::Modification::set("zimbraIsAdminAccount", "TRUE");
    let modify = zcluster_api::DirectoryCommand::ModifyAccount { id: admin, changes: vec![set] };
    site.memory.command(modify).expect("admin");
    let mut c = site.inbox().await;
    assert!(c.append("INBOX", &message("secret", "hello")).await.contains("# OK"));
    let (mut bob, mut submit) = (sign_in(&site, "bob@example.com").await, sign_in(&site, "submit@example.com").await);
    let base = "imap://alice%40example.com@mail.example.com/INBOX/;uid=1/;section=TEXT";
    for (access, alice_may, bob_may, submit_may) in [
        ("anonymous", true, true, true),
        ("authuser", true, true, true),
        ("user+bob", false, true, false),
        ("user+bob%40example.com", false, true, false),
        ("submit+bob", false, false, true),
    ] {
        let reply = c.ok(&format!("GENURLAUTH \"{base};urlauth={access}\" INTERNAL")).await;
        let url = quoted(&reply);
        assert!(url.starts_with(&format!("{base};urlauth={access}:internal:01")), "{reply}");
        for (client, may) in [(&mut c, alice_may), (&mut bob, bob_may), (&mut submit, submit_may)] {
            let got = client.ok(&format!("URLFETCH \"{url}\"")).await;
            let expected = if may { " {7}\r\nhello\r\n\r\n# OK" } else { " NIL\r\n# OK" };
            assert!(got.contains(expected), "{access}: {got}");
        }
    }
}

#[tokio::test]
async fn tampering_time_and_new_keys_close_it() {
    let site = Site::new();
    let mut c = site.inbox().await;
    c.fill_inbox(2).await;
    let base = "imap://alice@h/INBOX/;uid=1/;section=TEXT";
    let make = |extra: &str| {
        format!("GENURLAUTH \"{base}{extra};urlauth=anonymous\" INTERNAL \"{base};urlauth=authuser\" internal")
    };
    let reply = c.ok(&make("")).await;
    let url = quoted(&reply);
    assert_eq!(reply.matches(":internal:01").count(), 2);
    let fetched = |got: String| !got.contains("NIL");
    assert!(fetched(c.ok(&format!("URLFETCH \"{url}\"")).await));
    // The same key, the same URL.
    assert_eq!(quoted(&c.ok(&make("")).await), url);
    for bad in [
        url.replace("uid=1", "uid=2"),
        url.replace("TEXT", "HEADER"),
        url.replace("anonymous", "authuser"),
        url.replace(":internal:", ":other:"),
        format!("{}0", &url[..url.len() - 1]).replace("00", "0x"),
        url[..url.len() - 2].to_string(),
        format!("{base};urlauth=anonymous"),
        base.to_string(),
        "junk".to_string(),
        url.replace("alice@", "nobody@"),
        url.replace("INBOX", "Nowhere"),
    ] {
        let got = c.ok(&format!("URLFETCH \"{bad}\"")).await;
        assert!(!fetched(got.clone()), "{bad}: {got}");
    }
    // Several at once, each with its own answer.
    let got = c.ok(&format!("URLFETCH \"{url}\" junk \"{url}\"")).await;
    assert_eq!((got.matches("* URLFETCH ").count(), got.matches("NIL").count()), (3, 1), "{got}");
    // Times.
    let old = quoted(&c.ok(&make(";expire=2002-05-31T23:59:59Z")).await);
    assert!(!fetched(c.ok(&format!("URLFETCH \"{old}\"")).await));
    let young = quoted(&c.ok(&make(";expire=9002-05-31T23:59:59Z")).await);
    assert!(fetched(c.ok(&format!("URLFETCH \"{young}\"")).await));
    // Keys.
    c.expect("RESETKEY INBOX XSAMPLE", &["# NO [CANNOT] the only mechanism is INTERNAL"]).await;
    c.expect("RESETKEY INBOX INTERNAL", &["# OK [URLMECH INTERNAL] RESETKEY completed"]).await;
    assert!(!fetched(c.ok(&format!("URLFETCH \"{url}\"")).await));
    let url = quoted(&c.ok(&make("")).await);
    assert!(fetched(c.ok(&format!("URLFETCH \"{url}\"")).await));
    c.expect("RESETKEY", &["# OK all keys removed"]).await;
    assert!(!fetched(c.ok(&format!("URLFETCH \"{url}\"")).await));
    assert!(c.run("RESETKEY nowhere").await.starts_with("# NO [NONEXISTENT]"));
}

#[tokio::test]
async fn only_owners_make_them() {
    let site = Site::new();
    site.memory.add_account("bob@example.com", "none");
    let mut c = site.inbox().await;
    c.fill_inbox(1).await;
    for bad in [
        "imap://bob@h/INBOX/;uid=1;urlauth=anonymous",
        "imap://nobody@h/INBOX/;uid=1;urlauth=anonymous",
        "imap://h/INBOX/;uid=1;urlauth=anonymous",
        "/INBOX/;uid=1;urlauth=anonymous",
        "imap://alice@h/INBOX/;uid=1",
        "imap://alice@h/INBOX/;uid=1;urlauth=anonymous:internal:00",
        "imap://alice@h/INBOX;UIDVALIDITY=1/;uid=1;urlauth=anonymous",
    ] {
        let reply = c.run(format!("GENURLAUTH \"{bad}\" INTERNAL")).await;
        assert!(reply.starts_with("# BAD not the URL"), "{bad}: {reply}");
    }
    let url = "imap://alice@h/INBOX/;uid=1;urlauth=anonymous";
    assert!(c.run(format!("GENURLAUTH \"{url}\" XSAMPLE")).await.starts_with("# NO"));
    assert!(c.run(format!("GENURLAUTH \"{url}\"")).await.starts_with("# BAD"));
    let mut stranger = site.connect().await;
    assert!(stranger.run(format!("URLFETCH \"{url}\"")).await.starts_with("# BAD"));
}

#[tokio::test]
async fn deleted_storage_adds_up() {
    let site = Site::new();
    let mut c = site.inbox().await;
    c.fill_inbox(3).await;
    c.expect("STATUS INBOX (DELETED-STORAGE)", &["* STATUS INBOX (DELETED-STORAGE 0)", "# OK STATUS completed"]).await;
    c.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)").await;
    let size = message("s1", "text 1").len() * 2;
    let status = format!("* STATUS INBOX (DELETED 2 DELETED-STORAGE {size})");
    c.expect("STATUS INBOX (DELETED DELETED-STORAGE)", &[&status, "# OK STATUS completed"]).await;
    let listed = c.ok("LIST \"\" INBOX RETURN (STATUS (DELETED-STORAGE))").await;
    assert!(listed.contains(&format!("(DELETED-STORAGE {size})")), "{listed}");
}

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
        // Another last digit.
        format!("{}{}", &url[..url.len() - 1], if url.ends_with('0') { '1' } else { '0' }),
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

/// RFC 5524: parts without their transfer encoding, and what they are.
#[tokio::test]
async fn parts_in_other_forms() {
    let site = Site::new();
    let mut c = site.inbox().await;
    let raw = "Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
               Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
               gr=C3=BC=C3=9Fe\r\n--b\r\nContent-Type: application/octet-stream\r\n\
               Content-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n--b\r\nContent-Type: text/plain\r\n\
               Content-Transfer-Encoding: x-own\r\n\r\nwhat\r\n--b--\r\n";
    assert!(c.append("INBOX", raw).await.contains("# OK"));
    assert!(c.ok("CAPABILITY").await.contains(" URLAUTH=BINARY"));
    let mut urls = Vec::new();
    for section in ["/;section=1", "/;section=2", "/;section=3", "/;section=1/;partial=3.2", "", "/;section=HEADER"] {
        let rump = format!("imap://alice@h/INBOX/;uid=1{section};urlauth=anonymous");
        urls.push(quoted(&c.ok(&format!("GENURLAUTH \"{rump}\" INTERNAL")).await));
    }
    let text = "(BODYPARTSTRUCTURE (\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"quoted-printable\" 15 0 ";
    let got = c.ok(&format!("URLFETCH (\"{}\" BODYPARTSTRUCTURE BINARY)", urls[0])).await;
    assert!(got.contains(text) && got.contains(") (BINARY {7}\r\ngr\u{fc}\u{df}e)\r\n"), "{got}");
    let got = c.ok(&format!("URLFETCH (\"{}\" body)", urls[0])).await;
    assert!(got.contains(" (BODY {15}\r\ngr=C3=BC=C3=9Fe)\r\n"), "{got}");
    // NUL, an encoding that nobody knows, a partial range of what is decoded, a whole message, a header.
    let got = c.ok(&format!("URLFETCH (\"{}\" BINARY)", urls[1])).await;
    assert!(got.contains(" (BINARY ~{4}\r\n\0\u{1}\u{2}\u{3})\r\n"), "{got}");
    let got = c.ok(&format!("URLFETCH (\"{}\" BINARY)", urls[2])).await;
    assert!(got.contains(" (BINARY NIL)\r\n"), "{got}");
    let got = c.ok(&format!("URLFETCH (\"{}\" BINARY)", urls[3])).await;
    // "gr" and then the first two bytes behind the third.
    assert!(got.contains(" (BINARY {2}\r\n"), "{got}");
    let got = c.ok(&format!("URLFETCH (\"{}\" BINARY BODYPARTSTRUCTURE)", urls[4])).await;
    assert!(got.contains("(BODYPARTSTRUCTURE ((\"text\"") && got.contains(raw), "{got}");
    let got = c.ok(&format!("URLFETCH (\"{}\" BODYPARTSTRUCTURE BINARY)", urls[5])).await;
    assert!(got.contains("(BODYPARTSTRUCTURE NIL) (BINARY {") && got.contains("Subject: parts\r\n"), "{got}");
    // Old and new forms in one command; a URL that opens nothing says no more than that.
    let got = c.ok(&format!("URLFETCH \"{}\" (junk BINARY BODYPARTSTRUCTURE) (\"{}\")", urls[0], urls[0])).await;
    assert!(got.contains(" {15}\r\ngr=C3=BC=C3=9Fe\r\n* URLFETCH junk NIL\r\n") && got.contains("(BODY {15}"), "{got}");
    for bad in ["(x BODY BINARY)", "(x OTHER)", "(x BODY", "()", "(x  BODY)"] {
        assert!(c.run(format!("URLFETCH {bad}")).await.starts_with("# BAD"), "{bad}");
    }
}

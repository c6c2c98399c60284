//! The same scripts and messages through Pigeonhole's `sieve-test`, where it is installed: both store, send on and drop
//! alike.

use crate::support::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use zcluster_sieve::Action;

/// Somebody who is not root, whom Dovecot refuses mail.
const NOBODY: &str = "65534";

fn installed() -> bool {
    Command::new("sieve-test").output().is_ok() && Command::new("setpriv").arg("--version").output().is_ok()
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.trim_ascii() == b"0")
}

/// What it says that it would do: `store NAME (flags)`, `redirect ADDRESS`, ..., sorted; `None`: it does not compile.
fn theirs(dir: &Path, number: usize, script: &str, message: &str) -> Option<Vec<String>> {
    // Each under a name of its own, so that no compiled form of another one is taken for it.
    let name = format!("s{number}.sieve");
    fs::write(dir.join(&name), script).unwrap();
    fs::write(dir.join("m.eml"), message).unwrap();
    let arguments = ["-c", "dovecot.conf", "-f", "alice@example.net", "-r", "bob@example.org", &name, "m.eml"];
    let mut command = if is_root() {
        let mut c = Command::new("setpriv");
        c.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "sieve-test"]);
        c
    } else {
        Command::new("sieve-test")
    };
    let out = command.args(arguments).env("HOME", dir).current_dir(dir).output().unwrap();
    if String::from_utf8_lossy(&out.stderr).contains("failed to compile") {
        return None;
    }
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(text.contains("Performed actions"), "{script}\n{text}{}", String::from_utf8_lossy(&out.stderr));
    let mut list: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim) {
        let flags = |list: &mut Vec<String>, flags: &str| {
            if let Some(last) = list.last_mut() {
                last.push_str(&format!(" ({flags})"));
            }
        };
        if let Some(folder) = line.strip_prefix("* store message in folder: ") {
            list.push(format!("store {folder}"));
        } else if let Some(address) = line.strip_prefix("* redirect message to: ") {
            list.push(format!("redirect {}", address.trim_matches(['<', '>'])));
        } else if let Some(f) = line.strip_prefix("+ add IMAP flags: ") {
            flags(&mut list, f);
        } else if line.starts_with("* discard") {
            list.push("discard".into());
        }
    }
    // It does not say which of its discards drops the message.
    if list.iter().any(|l| l != "discard") {
        list.retain(|l| l != "discard");
    } else if list.is_empty() {
        list.push("discard".into());
    }
    list.sort();
    list.dedup();
    Some(list)
}

fn ours(script: &str, message: &str) -> Option<Vec<String>> {
    zcluster_sieve::compile(script.as_bytes(), &Default::default()).ok()?;
    let o = outcome(script, message);
    let with = |name: String, flags: &[String]| {
        if flags.is_empty() { name } else { format!("{name} ({})", flags.join(" ")) }
    };
    let one = |a: &Action| match a {
        Action::Keep { flags, .. } => Some(with("store INBOX".into(), flags)),
        Action::FileInto { target, flags, .. } => Some(with(format!("store {}", target.mailbox), flags)),
        Action::Redirect { address, .. } => Some(format!("redirect {address}")),
        Action::Discard => Some("discard".into()),
        _ => None,
    };
    let mut list: Vec<String> = o.actions.iter().filter_map(one).collect();
    list.sort();
    Some(list)
}

const SCRIPTS: &[&str] = &[
    "",
    "keep;",
    "discard;",
    "fileinto \"a\"; fileinto \"b\"; keep;",
    "fileinto \"a\"; fileinto \"a\";",
    "fileinto :copy \"a\";",
    "fileinto :copy \"INBOX\";",
    "redirect \"x@y.org\"; redirect :copy \"z@y.org\";",
    "redirect :copy \"x@y.org\";",
    "addflag \"a\"; keep;",
    "addflag [\"a b\", \"c\"]; removeflag \"b\"; fileinto \"f\";",
    "addflag \"a\"; fileinto :copy :flags \"x y\" \"f\";",
    "setflag \"a\";",
    "if header :matches \"subject\" \"*[*] *\" { fileinto \"${2}-${3}\"; }",
    "if header :matches \"subject\" \"*o*\" { fileinto \"m${1}\"; }",
    "if header :matches :comparator \"i;octet\" \"subject\" \"* O*\" { fileinto \"m\"; }",
    "if header :regex \"subject\" \"([a-z]+) ([a-z]+)\" { fileinto \"r-${1}-${2}\"; }",
    "if header :contains [\"x-a\", \"x-b\"] [\"one\", \"two\"] { fileinto \"c\"; }",
    "if header :is \"x-a\" \"\" { fileinto \"empty\"; }",
    "if header :count \"ge\" :comparator \"i;ascii-numeric\" \"received\" \"2\" { fileinto \"two\"; }",
    "if header :value \"gt\" :comparator \"i;ascii-numeric\" \"x-num\" \"9\" { fileinto \"big\"; }",
    "if address :domain \"from\" \"example.net\" { fileinto \"net\"; }",
    "if address :all :matches [\"to\", \"cc\"] \"*+*@*\" { fileinto \"plus-${1}-${2}\"; }",
    "if address :detail \"to\" \"lists\" { fileinto \"detail\"; }",
    "if address :user \"to\" \"bob\" { fileinto \"user\"; }",
    "if address :count \"eq\" :comparator \"i;ascii-numeric\" [\"to\", \"cc\"] \"3\" { fileinto \"three\"; }",
    "if envelope :localpart \"from\" \"alice\" { fileinto \"env\"; }",
    "if exists [\"x-a\", \"x-num\"] { fileinto \"ex\"; }",
    "if size :over 300 { fileinto \"big\"; } elsif size :over 100 { fileinto \"middle\"; } else { fileinto \"small\"; }",
    "if body :contains \"anvil\" { fileinto \"anvil\"; }",
    "if body :raw :contains \"=C3=BC\" { fileinto \"raw\"; }",
    "if body :contains \"grün\" { fileinto \"gruen\"; }",
    "if body :content \"text/html\" :contains \"<b>\" { fileinto \"html\"; }",
    "if date :originalzone \"date\" \"hour\" \"09\" { fileinto \"nine\"; }",
    "if date :zone \"+0000\" :value \"ge\" \"date\" \"hour\" \"12\" { fileinto \"noon\"; }",
    "if date :matches \"date\" \"julian\" \"*\" { fileinto \"j${0}\"; }",
    "if date :matches :zone \"+0100\" \"date\" \"iso8601\" \"*T*\" { fileinto \"d${1}\"; }",
    "if date :index 1 :last :originalzone :matches \"received\" \"year\" \"*\" { fileinto \"y${0}\"; }",
    "if header :index 2 :contains \"received\" \"second\" { fileinto \"second\"; }",
    "if header :index 1 :last :contains \"received\" \"second\" { fileinto \"last\"; }",
    "set \"a\" \"b\"; set :upper \"c\" \"${a}x${nope}\"; fileinto \"${c}\";",
    "set :length \"n\" \"äöü\"; set :quotewildcard \"q\" \"a*b\"; fileinto \"${n}-${q}\";",
    "set :upperfirst :lower \"x\" \"hELLO\"; fileinto \"${x}\";",
    "if string :matches \"abc-def\" \"*-*\" { fileinto \"${2}${1}\"; }",
    "if not anyof(false, allof(true, not true)) { fileinto \"logic\"; }",
    "if true { fileinto \"x\"; stop; } fileinto \"y\";",
    "fileinto \"${hex:61 62}${unicode:e4}\";",
    "addheader \"X-New\" \"v\"; if header \"x-new\" \"v\" { fileinto \"new\"; }",
    "deleteheader :index 1 \"Received\"; deleteheader \"subject\"; if not exists \"subject\" { fileinto \"gone\"; }",
    "deleteheader :matches \"x-num\" \"1*\"; if not exists \"x-num\" { fileinto \"gone\"; }",
    "if header :mime :anychild :contenttype \"content-type\" \"text/html\" { fileinto \"mime\"; }",
    "if header :mime :anychild :param \"name\" \"content-type\" \"f.txt\" { fileinto \"param\"; }",
    "foreverypart { if header :mime :type \"content-type\" \"text\" { set \"n\" \"${n}1\"; } } fileinto \"n${n}\";",
    "foreverypart { if header :mime :subtype \"content-type\" \"plain\" { extracttext :first 4 \"t\"; break; } } fileinto \"t${t}\";",
    "if hasflag :contains \"a\" { fileinto \"no\"; } addflag \"abc\"; if hasflag :contains \"b\" { fileinto \"yes\"; }",
    "if environment :matches \"phase\" \"*\" { } fileinto \"env\";",
    "if mailboxexists \"no-such-one\" { fileinto \"x\"; }",
    "if ihave \"vnd.none\" { nothing \"x\"; } else { fileinto \"ihave\"; }",
    // What both refuse.
    "fileinto;",
    "fileinto 1;",
    "nothing;",
    "if { }",
    "if true keep;",
    "keep",
    "fileinto \"a\" \"b\";",
    "if header :is :contains \"a\" \"b\" { }",
    "if header :comparator \"i;none\" \"a\" \"b\" { }",
    "redirect \"no address\";",
    "if size 10 { }",
    "else { }",
    "set \"1a\" \"b\";",
    "if header :regex \"a\" \"(\" { }",
    "require \"vnd.none\";",
    "foreverypart { break :name \"x\"; }",
];

const REQUIRE: &str = "require [\"fileinto\", \"copy\", \"imap4flags\", \"variables\", \"regex\", \"relational\", \
    \"comparator-i;ascii-numeric\", \"subaddress\", \"envelope\", \"body\", \"date\", \"index\", \"encoded-character\", \"editheader\", \
    \"mime\", \"foreverypart\", \"extracttext\", \"environment\", \"mailbox\", \"ihave\"];\n";

fn messages() -> Vec<String> {
    vec![
        MESSAGE_A.into(),
        MESSAGE_B.into(),
        "Received: from a by b; Mon, 1 Jan 2007 10:00:00 +0000\r\nReceived: second; Sun, 31 Dec 2006 10:00:00 -0500\r\n\
         From: =?utf-8?q?J=C3=B6rg?= <joerg@Example.NET>\r\nTo: Bob <bob+lists@example.org>, a@x.org\r\nCc: group: c@x.org;\r\n\
         Subject: Re: [list] hello old =?utf-8?q?w=C3=B6rld?=\r\nX-A: one\r\nX-B:\r\nX-Num: 10\r\nDate: Wed, 2 Jan 2008 23:30:00 +0130\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8; name=f.txt\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\ngr=C3=BCn und blau\r\n--b\r\nContent-Type: text/html\r\n\r\n<b>x</b>\r\n--b--\r\n"
            .into(),
        "Subject: \r\nX-A:\r\nX-Num: x\r\n\r\n".into(),
    ]
}

#[test]
fn as_pigeonhole_does() {
    if !installed() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let config = format!(
        "mail_location = maildir:{}/mail\npostmaster_address = postmaster@example.org\n\
         plugin {{\n  sieve_extensions = +editheader\n}}\n",
        dir.path().display()
    );
    fs::write(dir.path().join("dovecot.conf"), config).unwrap();
    let mut wrong = String::new();
    for (at, script) in SCRIPTS.iter().enumerate() {
        let script = format!("{REQUIRE}{script}\n");
        for (number, message) in messages().iter().enumerate() {
            let (theirs, ours) = (theirs(dir.path(), at, &script, message), ours(&script, message));
            if theirs != ours {
                wrong.push_str(&format!("message {number}: {script}  theirs {theirs:?}\n  ours   {ours:?}\n"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

//! RFC 5703.

use crate::support::*;

const M: &str = "From: a@b.org\r\nSubject: s\r\nX-Top: 1\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n\
    Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe, Welt\r\n\
    --b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n\
    --c\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>hi</p>\r\n\
    --c\r\nContent-Type: image/gif; name=\"=?utf-8?q?=C3=BC.gif?=\"\r\nContent-Disposition: attachment; filename=evil.exe\r\n\r\nGIF\r\n--c--\r\n\
    --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nFrom: c@d.org\r\n\r\ninner\r\n\
    --b--\r\npost\r\n";
const R: &str = "require [\"mime\", \"foreverypart\", \"extracttext\", \"replace\", \"enclose\", \"variables\", \"fileinto\", \"editheader\", \"relational\", \"copy\"]; ";

fn yes(test: &str) -> bool {
    does(&format!("{R}if {test} {{ discard; }}"), M) == "discard"
}

#[test]
fn headers_of_parts() {
    for (test, want) in [
        ("header :mime :type \"Content-Type\" \"multipart\"", true),
        ("header :mime :subtype \"Content-Type\" \"mixed\"", true),
        ("header :mime :contenttype \"Content-Type\" \"multipart/mixed\"", true),
        ("header :mime :type \"Content-Type\" \"image\"", false),
        ("header :mime :anychild :type \"Content-Type\" \"image\"", true),
        ("header :mime :anychild :contenttype \"Content-Type\" \"text/html\"", true),
        ("header :mime :anychild :param \"filename\" :contains \"Content-Disposition\" \".exe\"", true),
        ("header :mime :anychild :param [\"name\", \"x\"] \"Content-Type\" \"ü.gif\"", true),
        ("header :mime :param \"boundary\" \"Content-Type\" \"b\"", true),
        ("header :mime :anychild \"Subject\" \"inner\"", true),
        ("header \"Subject\" \"inner\"", false),
        ("exists :mime \"Content-Disposition\"", false),
        ("exists :mime :anychild \"Content-Disposition\"", true),
        ("address :mime :anychild :domain \"from\" \"d.org\"", true),
        ("address :mime :domain \"from\" \"d.org\"", false),
        ("header :mime :anychild :count \"eq\" \"Content-Type\" \"6\"", true),
    ] {
        assert_eq!(yes(test), want, "{test}");
    }
}

#[test]
fn loops() {
    let order = "set \"all\" \"\"; foreverypart { if header :mime :contenttype :matches \"Content-Type\" \"*\" { set \"all\" \"${all} ${0}\"; } } fileinto \"${all}\";";
    assert_eq!(
        does(&format!("{R}{order}"), M),
        "fileinto  multipart/mixed text/plain multipart/alternative text/html image/gif message/rfc822"
    );
    let nested = "foreverypart :name \"out\" { if header :mime :subtype \"Content-Type\" \"alternative\" { \
        foreverypart { if header :mime :type :matches \"Content-Type\" \"*\" { set \"n\" \"${n}${0},\"; } \
            if header :mime :type \"Content-Type\" \"image\" { break :name \"out\"; } } } set \"o\" \"${o}x\"; } fileinto \"${n}${o}\";";
    assert_eq!(does(&format!("{R}{nested}"), M), "fileinto text,image,xx");
    let text = "foreverypart { if header :mime :subtype \"Content-Type\" \"plain\" { extracttext :first 5 :upper \"t\"; break; } } fileinto \"${t}\";";
    assert_eq!(does(&format!("{R}{text}"), M), "fileinto GRÜSSE");
    // A message without parts is one part.
    let single = "foreverypart { extracttext \"t\"; set \"n\" \"${n}1\"; } fileinto \"${n}${t}\";";
    assert_eq!(does(&format!("{R}{single}"), "A: b\r\n\r\nhello"), "fileinto 1hello");
    assert_eq!(does(&format!("{R}foreverypart {{ stop; }} discard;"), M), "keep implicit");
}

#[test]
fn replacing_a_part() {
    let s = "foreverypart { if header :mime :param \"filename\" :matches \"Content-Disposition\" \"*.exe\" { \
        replace \"Removed: ${1}.\"; } } addheader \"X-New\" \"1\";";
    let got = kept(&outcome(&format!("{R}{s}"), M));
    let want = M.replace(
        "Content-Type: image/gif; name=\"=?utf-8?q?=C3=BC.gif?=\"\r\nContent-Disposition: attachment; filename=evil.exe\r\n\r\nGIF",
        "Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\nRemoved: evil.",
    );
    assert_eq!(got, format!("X-New: 1\r\n{want}"));
    // Later tests see it; a replaced multipart is not walked through.
    let s = "foreverypart { set \"n\" \"${n}1\"; if header :mime :type \"Content-Type\" \"multipart\" { \
        if header :mime :subtype \"Content-Type\" \"alternative\" { replace :mime \"Content-Type: text/x-new\r\n\r\nnew\"; } } } \
        if header :mime :anychild :subtype \"Content-Type\" \"x-new\" { fileinto \"${n}\"; }";
    assert_eq!(does(&format!("{R}{s}"), M), "fileinto 11111 edited");
}

#[test]
fn replacing_all() {
    let got = kept(&outcome(&format!("{R}replace :subject \"neu ü\" :from \"Joe <j@x.org>\" \"gone ü\";"), M));
    assert_eq!(
        got,
        "Original-From: a@b.org\r\nOriginal-Subject: s\r\nX-Top: 1\r\nSubject: =?utf-8?b?bmV1IMO8?=\r\nFrom: \"Joe\" <j@x.org>\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nZ29uZSDDvA0K\r\n"
    );
    let s = "foreverypart { replace \"x\"; } if header :contains \"subject\" \"s\" { keep; }";
    assert!(kept(&outcome(&format!("{R}{s}"), M)).ends_with("\r\n\r\nx\r\n"));
}

#[test]
fn enclosing() {
    let s = "enclose :subject \"Warning\" :headers [\"X-Why: virus\", \"Content-Type: text/x-evil\"] \"Be careful.\";";
    let got = kept(&outcome(&format!("{R}{s}"), M));
    let summary = zcluster_mail::parse(got.as_bytes());
    let parts = summary.root.children();
    assert!(parts.len() == 2 && parts[0].is("text", "plain") && parts[1].is("message", "rfc822"), "{got}");
    let range = parts[1].body_range();
    assert_eq!(&got[range.start as usize..range.end as usize], M);
    assert!(got.starts_with(
        "From: a@b.org\r\nSubject: Warning\r\nX-Why: virus\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed;"
    ));
    assert!(!got.contains("x-evil") && got.matches("Subject: Warning").count() == 1);
    let twice = kept(&outcome(&format!("{R}enclose \"one\"; enclose \"two\";"), M));
    assert!(twice.find("two").unwrap() < twice.find("one").unwrap());
    let got = does(&format!("{R}enclose :headers \"no colon\" \"x\";"), M);
    assert!(got.contains("is no header field"), "{got}");
}

//! Nothing goes on for ever, and nothing grows for ever.

use crate::support::*;
use std::time::Duration;
use zcluster_api::Bytes;
use zcluster_sieve::{Limits, Location, run};

#[test]
fn work_is_bounded() {
    // Patterns that make backtracking expensive, on a long value.
    let long = "a".repeat(200_000);
    let m = format!("Subject: {long}\r\n\r\n{long}");
    let stars = "*a".repeat(200) + "*b";
    let tests = format!("header :matches \"subject\" \"{stars}\",").repeat(200);
    let s = format!(
        "require [\"regex\", \"body\", \"variables\"]; if anyof({tests} body :regex \"(a*)*b\", header :regex \"subject\" \"(a|aa)+b\") {{ discard; }}"
    );
    let o = outcome(&s, &m);
    assert!(o.instructions <= Limits::default().instructions);
    let got = words(&o);
    assert!(got.contains("more work than one message allows") || got == "keep implicit", "{got}");
}

#[test]
fn variables_are_bounded() {
    let doubling = "set \"a\" \"xxxxxxxxxxxxxxxx\";".to_string() + &"set \"a\" \"${a}${a}\";".repeat(60);
    let s = format!(
        "require [\"variables\", \"fileinto\", \"relational\", \"comparator-i;ascii-numeric\"]; {doubling} set :length \"n\" \"${{a}}\"; fileinto \"${{n}}\";"
    );
    assert_eq!(does(&s, "\r\n"), "fileinto 16384");
    let many: String = (0..300).map(|i| format!("set \"v{i}\" \"\";")).collect();
    assert!(does(&format!("require \"variables\"; {many}"), "\r\n").contains("more than 256 variables"));
    let fat: String = (0..100).map(|i| format!("set \"v{i}\" \"${{a}}\";")).collect();
    let s = format!("require \"variables\"; {doubling}{fat}");
    assert!(does(&s, "\r\n").contains("hold more than 1048576 bytes"));
    // RFC 5229 §3: 128 variables of 4,000 bytes each are fine.
    let fine: String = (0..127).map(|i| format!("set \"v{i}\" \"{}\";", "y".repeat(1_900))).collect();
    assert_eq!(does(&format!("require \"variables\"; {fine}"), "\r\n"), "keep implicit");
}

#[test]
fn includes_are_bounded() {
    let mut world = World::default();
    for i in 0..20 {
        let source = format!("require \"include\"; include \"s{}\";", i + 1);
        world.scripts.insert((Location::Personal, format!("s{i}")), source);
    }
    world.scripts.insert((Location::Personal, "leaf".into()), "".into());
    let does = |s: &str| words(&outcome_in(s, "\r\n", &envelope(), &world));
    assert!(does("require \"include\"; include \"s0\";").contains("nested more than 10 deep"));
    let many = "include \"leaf\";".repeat(65);
    assert!(does(&format!("require \"include\"; {many}")).contains("more than 64 includes"));
}

#[test]
fn actions_and_edits_are_bounded() {
    let many: String = (0..65).map(|i| format!("fileinto \"m{i}\";")).collect();
    assert!(does(&format!("require \"fileinto\"; {many}"), "\r\n").contains("more than 64 things"));
    let many = "addheader \"X\" \"y\";".repeat(257);
    assert!(does(&format!("require \"editheader\"; {many}"), "\r\n").contains("more than 256 times"));
    let many = "enclose \"x\";".repeat(33);
    assert!(does(&format!("require \"enclose\"; {many}"), "\r\n").contains("more than 32 times"));
    let deep = "foreverypart {".repeat(11) + &"}".repeat(11);
    let e = zcluster_sieve::compile(format!("require \"foreverypart\"; {deep}").as_bytes(), &Limits::default());
    assert!(e.unwrap_err()[0].message.contains("more than 10 deep"));
}

#[test]
fn deep_mail_and_long_headers_end_in_time() {
    let mut m = String::new();
    for i in 0..200 {
        m.push_str(&format!("Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n"));
    }
    let s = good(
        "require [\"foreverypart\", \"mime\", \"variables\", \"replace\", \"body\"]; foreverypart { foreverypart { foreverypart { if header :mime :anychild :contains \"content-type\" \"zzz\" { replace \"x\"; } } } } if body :content \"\" :contains \"zz\" { discard; }",
    );
    let fields = "X-A: b\r\n".repeat(100_000) + "\r\n";
    for m in [m, fields] {
        let start = zcluster_sieve_clock();
        let o = run(&s, &Bytes::from(m), &envelope(), &World::default(), &Limits::default());
        assert!(start() < Duration::from_secs(20), "{o:?}");
    }
}

/// Tests may look at the clock.
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
fn zcluster_sieve_clock() -> impl Fn() -> Duration {
    let start = std::time::Instant::now();
    move || start.elapsed()
}

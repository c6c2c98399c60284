//! RFC 5229, and the variables of RFC 5232, 5435, 6609; regular expressions.

use crate::support::*;
use zcluster_sieve::Location;

/// The value that a script leaves in `v`.
fn value(script: &str, message: &str) -> String {
    let source = format!(
        "require [\"variables\", \"fileinto\", \"regex\", \"encoded-character\", \"envelope\", \"body\", \"enotify\", \"imap4flags\", \"relational\"];\n\
         {script}\nfileinto \"=${{v}}=\";"
    );
    let words = does(&source, message);
    let got = words.strip_prefix("fileinto =").and_then(|w| w.strip_suffix('='));
    got.unwrap_or_else(|| panic!("{script}: {words}")).to_string()
}

#[test]
fn setting() {
    for (script, want) in [
        ("set \"v\" \"a\";", "a"),
        ("set \"V\" \"a${missing}b\";", "ab"),
        ("set \"a\" \"x\"; set \"v\" \"${A}${a}\";", "xx"),
        ("set \"company\" \"ACME\"; set \"v\" \"&%${}!\";", "&%${}!"),
        ("set \"company\" \"ACME\"; set \"v\" \"${doh!}\";", "${doh!}"),
        ("set \"company\" \"ACME\"; set \"v\" \"${President, ${Company} Inc.}\";", "${President, ACME Inc.}"),
        // §4.1's examples
        ("set \"a\" \"juMBlEd lETteRS\"; set :length \"v\" \"${a}\";", "15"),
        ("set \"a\" \"juMBlEd lETteRS\"; set :lower \"v\" \"${a}\";", "jumbled letters"),
        ("set \"a\" \"juMBlEd lETteRS\"; set :upperfirst \"v\" \"${a}\";", "JuMBlEd lETteRS"),
        ("set \"a\" \"juMBlEd lETteRS\"; set :upperfirst :lower \"v\" \"${a}\";", "Jumbled letters"),
        ("set :quotewildcard \"v\" \"Rock*\";", "Rock\\*"),
        ("set :quoteregex \"v\" \"a.b(c)\";", "a\\.b\\(c\\)"),
        ("set :encodeurl \"v\" \"a b&ü~\";", "a%20b%26%C3%BC~"),
        ("set :length \"v\" \"äöü\";", "3"),
        ("set :lowerfirst :upper \"v\" \"äb\";", "äB"),
        ("set :length :encodeurl \"v\" \" \";", "3"),
        // RFC 5228 §2.4.2.4 works before variables do.
        ("set \"x\" \"y\"; set \"v\" \"${hex:24}{x}\";", "y"),
        ("set \"v\" \"\\${unicode: 20AC}\";", "€"),
        // RFC 5232: flags in variables
        ("setflag \"v\" [\"\\\\Seen\", \"a a\"]; addflag \"v\" \"b\"; removeflag \"v\" \"A\";", "\\Seen b"),
    ] {
        assert_eq!(value(script, MESSAGE_A), want, "{script}");
    }
}

#[test]
fn match_variables() {
    let m = "Subject: [acme-users] [fwd] version 1.0 is out\r\nList-ID: Dummy <acme-users@lists.example>\r\nFrom: a@b.org\r\n\r\nbody text\r\n";
    for (script, want) in [
        // §3.2's example
        ("if header :matches \"List-ID\" \"*<*@*\" { set \"v\" \"${2}\"; }", "acme-users"),
        (
            "if header :matches \"Subject\" \"[*] *\" { set \"v\" \"${1}/${2}\"; }",
            "acme-users/[fwd] version 1.0 is out",
        ),
        (
            "if header :matches \"subject\" \"*\" { } if header :is \"subject\" \"x\" { } set \"v\" \"${0}\";",
            "[acme-users] [fwd] version 1.0 is out",
        ),
        (
            "if header :matches \"subject\" \"[*]*\" { } if header :matches \"subject\" \"nope*\" { } set \"v\" \"${1}\";",
            "acme-users",
        ),
        (
            "if header :regex \"subject\" \"version ([0-9]+)\\\\.([0-9]+)\" { set \"v\" \"${1}-${2}-${0}\"; }",
            "1-0-version 1.0",
        ),
        ("if header :regex :comparator \"i;octet\" \"subject\" \"VERSION\" { set \"v\" \"no\"; }", ""),
        ("if header :regex \"subject\" \"VERS(x)?\" { set \"v\" \"<${1}>\"; }", "<>"),
        ("if string :matches \"a-b-c\" \"*-*\" { set \"v\" \"${1},${2},${3}\"; }", "a,b-c,"),
        // RFC 5173 §6: the body test leaves none
        ("if header :matches \"from\" \"*@*\" { } if body :matches \"*text*\" { set \"v\" \"${1}\"; }", "a"),
        ("set \"p\" \"v.*n\"; if header :regex \"subject\" \"(${p})\" { set \"v\" \"${1}\"; }", "version"),
        ("set \"p\" \"[*\"; if header :matches \"subject\" \"${p}]*\" { set \"v\" \"${1}\"; }", "acme-users"),
        ("if envelope :matches \"from\" \"*@*\" { set \"v\" \"${1}\"; }", "alice"),
        ("if not string :count \"eq\" [\"\", \"x\", \"\"] \"1\" { set \"v\" \"no\"; }", ""),
    ] {
        assert_eq!(value(script, m), want, "{script}");
    }
}

#[test]
fn a_bad_expression_at_run_time_is_an_error() {
    let got = does(
        "require [\"variables\", \"regex\"]; set \"p\" \"(\"; if header :regex \"subject\" \"${p}\" { }",
        MESSAGE_A,
    );
    assert!(got.starts_with("error ") && got.contains("regular expression is wrong"), "{got}");
}

/// RFC 6609.
#[test]
fn includes() {
    let mut world = World::default();
    let mut put = |location, name: &str, source: &str| {
        world.scripts.insert((location, name.into()), source.into());
    };
    let r = "require [\"include\", \"variables\", \"fileinto\", \"relational\"];\n";
    put(
        Location::Personal,
        "set",
        &format!("{r}global \"out\"; set \"out\" \"from-include\"; set \"mine\" \"x\"; return; discard;"),
    );
    put(Location::Global, "set", &format!("{r}set \"global.out\" \"from-global\";"));
    put(Location::Personal, "stop", "fileinto \"x\";");
    put(Location::Personal, "halt", "stop;");
    put(Location::Personal, "self", &format!("{r}include \"self\";"));
    put(Location::Personal, "one", &format!("{r}include :once \"two\";"));
    put(Location::Personal, "two", &format!("{r}include :once \"one\"; global \"n\"; set \"n\" \"${{n}}i\";"));
    put(Location::Personal, "fails", "require \"ihave\";\n\nerror \"x\";");
    let does = |script: &str| words(&outcome_in(&format!("{r}{script}"), MESSAGE_A, &envelope(), &world));
    assert_eq!(does("include \"set\"; fileinto \"${global.out}${mine}\";"), "fileinto from-include");
    assert_eq!(does("global [\"out\"]; include :global \"set\"; fileinto \"${out}\";"), "fileinto from-global");
    assert_eq!(
        does("set \"n\" \"set\"; include :personal \"${n}\"; fileinto \"${global.out}\";"),
        "fileinto from-include"
    );
    assert_eq!(does("include \"halt\"; discard;"), "keep implicit");
    assert_eq!(does("include :optional \"none\"; fileinto \"a\";"), "fileinto a");
    assert_eq!(
        does("include \"one\"; include :once \"two\"; fileinto \"${global.n}\";").contains("includes itself"),
        false
    );
    assert!(does("include \"none\";").contains("there is no such script"));
    assert!(does("include \"self\";").contains("it includes itself"));
    assert!(does("include \"stop\";").contains("does not compile: line 1, column 1"));
    assert_eq!(does("include \"fails\";"), "error script \"fails\", line 3, column 1: x");
    assert!(does("set \"a\" \"b\"; global \"a\";").contains("cannot become global"));
    assert_eq!(does("if true { return; } discard;"), "keep implicit");
}

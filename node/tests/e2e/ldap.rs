//! LDAP as others speak it: OpenLDAP's tools, ldap3 and python-ldap, and Postfix with `ldap:` tables, against a node that
//! only follows the directory.

use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::support::cluster::{ACCOUNTS, Cluster, PASSWORD, Port, path};
use crate::support::eventually;
use crate::support::tools::{finish, succeed};

const LDAP3: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/programs/ldap3_session.py");
const PYTHON_LDAP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/programs/python_ldap_session.py");
const ADMIN: &str = "uid=admin,ou=people,dc=example,dc=com";
const BOB: &str = "uid=bob,ou=people,dc=example,dc=com";
const ROOT: &str = "uid=zimbra,cn=admins,cn=zimbra";

struct Scene {
    cluster: Cluster,
    /// A node that does not lead the directory.
    follower: usize,
}

impl Scene {
    fn start() -> Scene {
        let cluster = Cluster::start(3);
        let mut follower = None;
        eventually("a leader of the directory", Duration::from_secs(30), || {
            let leader = cluster.status(1).and_then(|s| s["directory"]["leader"].as_u64());
            follower = leader.and_then(|l| (1..=3).find(|n| *n as u64 != l));
            follower.is_some()
        });
        Scene { follower: follower.unwrap(), cluster }
    }

    fn uri(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.cluster.port(self.follower, Port::Ldap))
    }

    /// One of OpenLDAP's tools, signed in as `dn`; what it prints and how it ends.
    fn run(&self, tool: &str, dn: &str, password: &str, arguments: &[&str]) -> Output {
        let uri = self.uri();
        let mut all = vec!["-x", "-H", &uri, "-D", dn, "-w", password];
        // The certificate is the node's own.
        all.extend_from_slice(arguments);
        finish(Command::new(tool).env("LDAPTLS_REQCERT", "never").args(&all))
    }

    fn good(&self, tool: &str, arguments: &[&str]) -> String {
        let output = self.run(tool, ADMIN, PASSWORD, arguments);
        assert!(output.status.success(), "{tool} {arguments:?}: {}", said(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn search(&self, arguments: &[&str]) -> String {
        self.good("ldapsearch", &[&["-LLL", "-o", "ldif-wrap=no"], arguments].concat())
    }

    /// A tool that reads LDIF.
    fn feed(&self, tool: &str, arguments: &[&str], ldif: &str) -> Output {
        let file = self.cluster.folder.join("input.ldif");
        fs::write(&file, ldif).unwrap();
        self.run(tool, ADMIN, PASSWORD, &[arguments, &["-f", path(&file)]].concat())
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[test]
fn openldaps_tools() {
    let scene = Scene::start();
    // Who am I, over StartTLS that must succeed, and over TLS from the first byte.
    assert_eq!(scene.good("ldapwhoami", &["-ZZ"]).trim(), format!("dn:{ADMIN}"));
    let ldaps = format!("ldaps://127.0.0.1:{}", scene.cluster.port(scene.follower, Port::Ldaps));
    let over_tls = ["-x", "-H", &ldaps, "-D", "bob@example.com", "-w", PASSWORD];
    let output = succeed(Command::new("ldapwhoami").env("LDAPTLS_REQCERT", "never").args(over_tls));
    assert_eq!(String::from_utf8_lossy(&output).trim(), format!("dn:{BOB}"));
    assert_eq!(scene.run("ldapwhoami", BOB, "wrong", &[]).status.code(), Some(49));
    // Nobody is told anything but what the server is.
    let anonymous = |arguments: &[&str]| {
        finish(Command::new("ldapsearch").args(["-x", "-LLL", "-H", &scene.uri()]).args(arguments))
    };
    let root = anonymous(&["-s", "base", "-b", "", "+"]);
    assert!(
        said(&root).contains("supportedLDAPVersion: 3")
            && said(&root).contains("supportedExtension: 1.3.6.1.4.1.1466.20037"),
        "{}",
        said(&root)
    );
    assert_eq!(anonymous(&["-b", "dc=example,dc=com"]).status.code(), Some(50));

    let eve = "dn: uid=eve,ou=people,dc=example,dc=com\nobjectClass: inetOrgPerson\nobjectClass: zimbraAccount\nuid: eve\n\
               cn: Eve\nsn: Example\nmail: eve@example.com\nuserPassword: a new password\n\n\
               dn: uid=team,ou=people,dc=example,dc=com\nobjectClass: zimbraDistributionList\nuid: team\n\
               zimbraMailForwardingAddress: eve@example.com\nzimbraMailForwardingAddress: bob@example.com\n\n\
               dn: dc=second,dc=org\nobjectClass: dcObject\nobjectClass: organization\nobjectClass: zimbraDomain\ndc: second\no: Second\n";
    let added = scene.feed("ldapadd", &["-ZZ"], eve);
    assert!(added.status.success(), "{}", said(&added));
    assert_eq!(scene.feed("ldapadd", &[], eve).status.code(), Some(68), "there already");
    let found = scene.search(&["-b", "dc=example,dc=com", "(mail=EVE@example.com)", "cn", "entryUUID"]);
    assert!(
        found.contains("dn: uid=eve,ou=people,dc=example,dc=com")
            && found.contains("cn: Eve")
            && found.contains("entryUUID: "),
        "{found}"
    );
    // The account is one in every other way.
    let account = scene.cluster.prov(&["getAccount", "eve@example.com", "cn"]);
    assert!(account.contains("cn: Eve"), "{account}");
    eventually("eve signs in", Duration::from_secs(10), || {
        scene.run("ldapwhoami", "uid=eve,ou=people,dc=example,dc=com", "a new password", &[]).status.success()
    });

    let change = "dn: uid=eve,ou=people,dc=example,dc=com\nchangetype: modify\nreplace: title\ntitle: Dr\n-\nadd: zimbraMailAlias\n\
                  zimbraMailAlias: eva@example.com\n-\nreplace: zimbraMailQuota\nzimbraMailQuota: 10\n-\nincrement: zimbraMailQuota\nzimbraMailQuota: 5\n";
    let changed = scene.feed("ldapmodify", &[], change);
    assert!(changed.status.success(), "{}", said(&changed));
    let found = scene.search(&["-b", "", "(mail=eva@example.com)", "title", "zimbraMailQuota"]);
    assert!(found.contains("title: Dr") && found.contains("zimbraMailQuota: 15"), "{found}");
    let refused = scene.feed("ldapmodify", &[], "dn: uid=eve,ou=people,dc=example,dc=com\nchangetype: modify\nreplace: zimbraMailQuota\nzimbraMailQuota: lots\n");
    assert_eq!(refused.status.code(), Some(19), "{}", said(&refused));
    assert!(said(&refused).contains("account.INVALID_ATTR_VALUE"), "{}", said(&refused));

    let compare = |assertion: &str| {
        scene.run("ldapcompare", ADMIN, PASSWORD, &["uid=eve,ou=people,dc=example,dc=com", assertion]).status.code()
    };
    assert_eq!((compare("title:DR"), compare("title:Prof")), (Some(6), Some(5)));

    scene.good("ldappasswd", &["-ZZ", "-s", "changed by the admin", "uid=eve,ou=people,dc=example,dc=com"]);
    let own = scene.run(
        "ldappasswd",
        "uid=eve,ou=people,dc=example,dc=com",
        "changed by the admin",
        &["-a", "changed by the admin", "-s", "changed by Eve"],
    );
    assert!(own.status.success(), "{}", said(&own));
    assert!(scene.run("ldapwhoami", "uid=eve,ou=people,dc=example,dc=com", "changed by Eve", &[]).status.success());

    scene.good("ldapmodrdn", &["-r", "uid=eve,ou=people,dc=example,dc=com", "uid=evelyn"]);
    scene.good(
        "ldapmodrdn",
        &["-r", "-s", "ou=people,dc=second,dc=org", "uid=evelyn,ou=people,dc=example,dc=com", "uid=evelyn"],
    );
    let moved = scene.search(&["-b", "dc=second,dc=org", "(uid=evelyn)", "mail"]);
    assert!(moved.contains("mail: evelyn@second.org"), "{moved}");

    // Pages, order, and the two together.
    let ldif: String = (0..120)
        .map(|n| format!("dn: uid=p{n:03},ou=people,dc=second,dc=org\nobjectClass: inetOrgPerson\nobjectClass: zimbraAccount\nuid: p{n:03}\ncn: Person {:03}\nsn: P\n\n", (n * 7) % 120))
        .collect();
    let added = scene.feed("ldapadd", &["-ZZ"], &ldif);
    assert!(added.status.success(), "{}", said(&added));
    let paged = scene.search(&["-E", "pr=25/noprompt", "-b", "ou=people,dc=second,dc=org", "(cn=person*)", "cn"]);
    assert_eq!(paged.matches("dn: uid=p").count(), 120);
    let sorted =
        scene.search(&["-E", "sss=-cn", "-E", "pr=50/noprompt", "-b", "dc=second,dc=org", "(cn=person*)", "cn"]);
    let names: Vec<&str> = sorted.lines().filter_map(|l| l.strip_prefix("cn: ")).collect();
    assert!(names.len() == 120 && names.windows(2).all(|w| w[0] > w[1]), "{names:?}");
    let limited = scene.run("ldapsearch", ADMIN, PASSWORD, &["-LLL", "-z", "7", "-b", "", "(cn=person*)", "1.1"]);
    assert_eq!((limited.status.code(), said(&limited).matches("dn: ").count()), (Some(4), 7));

    // Zimbra's tree.
    for (base, filter, want) in [
        ("cn=zimbra", "(objectClass=zimbraGlobalConfig)", "dn: cn=config,cn=zimbra"),
        ("cn=cos,cn=zimbra", "(cn=default)", "dn: cn=default,cn=cos,cn=zimbra"),
        ("dc=example,dc=com", "(&(objectClass=zimbraDomain)(zimbraDomainName=example.com))", "dn: dc=example,dc=com"),
        (
            "dc=example,dc=com",
            "(&(objectClass=zimbraDistributionList)(zimbraMailForwardingAddress=bob@example.com))",
            "dn: uid=team,ou=people,dc=example,dc=com",
        ),
    ] {
        let found = scene.search(&["-b", base, filter, "1.1"]);
        assert_eq!(found.trim(), want, "{base} {filter}");
    }
    // The administrator that only LDAP knows.
    scene.good("ldappasswd", &["-ZZ", "-s", "of LDAP alone", ROOT]);
    assert_eq!(said(&scene.run("ldapwhoami", ROOT, "of LDAP alone", &[])).trim(), format!("dn:{ROOT}"));

    // People see an address book.
    let seen = scene.run(
        "ldapsearch",
        BOB,
        PASSWORD,
        &["-LLL", "-b", "dc=example,dc=com", "(objectClass=zimbraAccount)", "mail", "zimbraId", "userPassword"],
    );
    assert!(
        said(&seen).contains("mail: alice@example.com") && !said(&seen).contains("userPassword"),
        "{}",
        said(&seen)
    );
    assert_eq!(
        scene.run("ldapdelete", BOB, PASSWORD, &["uid=team,ou=people,dc=example,dc=com"]).status.code(),
        Some(50)
    );
    scene.good("ldapdelete", &["uid=team,ou=people,dc=example,dc=com", "uid=evelyn,ou=people,dc=second,dc=org"]);
    assert_eq!(
        scene.run("ldapdelete", ADMIN, PASSWORD, &["uid=team,ou=people,dc=example,dc=com"]).status.code(),
        Some(32)
    );
    assert_eq!(scene.run("ldapdelete", ADMIN, PASSWORD, &["dc=second,dc=org"]).status.code(), Some(66));

    follows(&scene);
}

/// Another directory follows ours (RFC 4533), as `ldapsearch -E sync=rp` shows it.
fn follows(scene: &Scene) {
    let file = scene.cluster.folder.join("followed");
    let log = fs::File::create(&file).unwrap();
    let arguments = [
        "-x",
        "-LLL",
        "-H",
        &scene.uri(),
        "-D",
        ADMIN,
        "-w",
        PASSWORD,
        "-E",
        "sync=rp",
        "-b",
        "ou=people,dc=example,dc=com",
        "(uid=*)",
        "title",
    ];
    let mut child = Command::new("ldapsearch").args(arguments).stdout(log).stderr(Stdio::null()).spawn().unwrap();
    let told = |what: &str| {
        let text = fs::read_to_string(&file).unwrap_or_default();
        text.contains(what)
    };
    eventually("the refresh", Duration::from_secs(20), || told(BOB));
    let change = format!("dn: {BOB}\nchangetype: modify\nreplace: title\ntitle: Follow me\n");
    assert!(scene.feed("ldapmodify", &[], &change).status.success());
    eventually("the change is told", Duration::from_secs(30), || told("title: Follow me"));
    let _ = child.kill();
    let _ = child.wait();
}

#[test]
fn python_and_postfix() {
    let scene = Scene::start();
    let port = scene.cluster.port(scene.follower, Port::Ldap).to_string();
    for script in [LDAP3, PYTHON_LDAP] {
        let output = succeed(Command::new("/usr/bin/python3").args([script, &port, ADMIN, PASSWORD]));
        assert!(String::from_utf8_lossy(&output).trim_end().ends_with("ok"), "{}", String::from_utf8_lossy(&output));
    }
    scene.cluster.prov(&["addAccountAlias", "bob@example.com", "robert@example.com"]);
    postfix(&scene);
}

/// Zimbra's own tables for Postfix.
fn postfix(scene: &Scene) {
    let folder = scene.cluster.folder.join("postfix");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("main.cf"), "").unwrap();
    let table = |name: &str, filter: &str, result: &str| {
        let uri = scene.uri();
        let text = format!(
            "server_host = {uri}\nversion = 3\nbind = yes\nbind_dn = {ADMIN}\nbind_pw = {PASSWORD}\nstart_tls = yes\n\
             tls_require_cert = no\ntimeout = 10\nsearch_base =\nscope = sub\nquery_filter = {filter}\nresult_attribute = {result}\n"
        );
        fs::write(folder.join(name), text).unwrap();
    };
    table("vmm", "(&(zimbraMailDeliveryAddress=%s)(zimbraMailStatus=enabled))", "zimbraMailDeliveryAddress");
    let aliases = "(&(|(zimbraMailDeliveryAddress=%s)(zimbraMailAlias=%s)(zimbraOldMailAddress=%s)(zimbraMailCatchAllAddress=%s))(zimbraMailStatus=enabled))";
    table("vam", aliases, "zimbraMailDeliveryAddress,zimbraMailForwardingAddress");
    table("vmd", "(&(zimbraDomainName=%s)(objectClass=zimbraDomain))", "zimbraDomainName");
    let query = |name: &str, key: &str| {
        let output = finish(Command::new("postmap").args([
            "-c",
            path(&folder),
            "-q",
            key,
            &format!("ldap:{}", path(&folder.join(name))),
        ]));
        (output.status.success(), said(&output).trim().to_owned())
    };
    let eventually_is = |name: &str, key: &str, want: &str| {
        let mut last = (false, String::new());
        eventually("the table's answer", Duration::from_secs(10), || {
            last = query(name, key);
            last == (true, want.to_owned())
        });
    };
    eventually_is("vmm", ACCOUNTS[2], "bob@example.com");
    eventually_is("vam", "robert@example.com", "bob@example.com");
    eventually_is("vmd", "example.com", "example.com");
    assert_eq!(query("vmm", "nobody@example.com"), (false, String::new()));
    assert_eq!(query("vmd", "elsewhere.org"), (false, String::new()));
}

/// A certificate instead of a password (SASL EXTERNAL).
#[test]
fn certificates() {
    let cluster = Cluster::start_configured(|folder| {
        let openssl = |arguments: &[&str]| {
            succeed(Command::new("openssl").args(arguments).current_dir(folder));
        };
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-batch"];
        let own = ["-x509", "-days", "2", "-subj", "/CN=Site", "-keyout", "ca.key", "-out", "ca.pem"];
        openssl(&[&["req"], &key[..], &own[..]].concat());
        for name in ["alice@example.com", "nobody@example.com"] {
            let (key_file, request) = (format!("{name}.key"), format!("{name}.csr"));
            openssl(&[&["req"], &key[..], &["-subj", "/CN=x", "-keyout", &key_file, "-out", &request]].concat());
            fs::write(folder.join("extensions"), format!("subjectAltName=email:{name}\n")).unwrap();
            let (made, ca) = (format!("{name}.pem"), ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]);
            let rest = ["-in", &request, "-days", "2", "-extfile", "extensions", "-out", &made];
            openssl(&[&["x509", "-req"], &ca[..], &rest[..]].concat());
        }
        "[ldap]\nclient_authorities = \"ca.pem\"\n".to_owned()
    });
    let uri = format!("ldap://127.0.0.1:{}", cluster.port(1, Port::Ldap));
    let who_am_i = |name: &str| {
        let file = |end: &str| cluster.folder.join(format!("{name}.{end}"));
        let mut command = Command::new("ldapwhoami");
        command.env("LDAPTLS_REQCERT", "never").env("LDAPTLS_CERT", file("pem")).env("LDAPTLS_KEY", file("key"));
        finish(command.args(["-ZZ", "-Y", "EXTERNAL", "-Q", "-H", &uri]))
    };
    let alice = who_am_i("alice@example.com");
    assert_eq!(
        String::from_utf8_lossy(&alice.stdout).trim(),
        "dn:uid=alice,ou=people,dc=example,dc=com",
        "{}",
        said(&alice)
    );
    assert_eq!(who_am_i("nobody@example.com").status.code(), Some(49));
    // Who has no certificate signs in as ever.
    let arguments = ["-x", "-ZZ", "-H", &uri, "-D", BOB, "-w", PASSWORD];
    succeed(Command::new("ldapwhoami").env("LDAPTLS_REQCERT", "never").args(arguments));
    let without = finish(
        Command::new("ldapwhoami").env("LDAPTLS_REQCERT", "never").args(["-ZZ", "-Y", "EXTERNAL", "-Q", "-H", &uri]),
    );
    assert!(!without.status.success());
}

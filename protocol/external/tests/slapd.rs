//! Sign-in and accounts from Debian's slapd, with StartTLS.

// A real server is waited for: these tests stand outside the seam that the simulator owns.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use zcluster_api::directory::{Account, AccountBy, Domain, Modification, ModifyKind};
use zcluster_api::{DirectoryCommand, DirectoryQuery, DirectoryReply, GroupId};
use zcluster_auth::{
    AuthConfig, AuthError, Authenticator, ExternalDirectory, ExternalError, ExternalQuery, ExternalServer, HashParams,
    Provisioner, Service, hash_password_with,
};
use zcluster_directory::gal::{self, ExternalBook};
use zcluster_external::{Book, BookConfig, ExternalConfig, LdapClient};
use zcluster_state::memory::Memory;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
/// slappasswd -s reader, for the account that searches.
const PEOPLE: usize = 1_203;

/// A slapd of its own, with its own certificate.
struct Slapd {
    process: Child,
    port: u16,
    dir: TempDir,
}

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Slapd {
    fn start() -> Slapd {
        let dir = TempDir::new().unwrap();
        certificates(dir.path());
        std::fs::create_dir(dir.path().join("db")).unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let config = format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
             pidfile {}\nTLSCACertificateFile {}\nTLSCertificateFile {}\nTLSCertificateKeyFile {}\n\
             database mdb\nmaxsize 104857600\nsuffix \"dc=example,dc=com\"\nrootdn \"cn=reader,dc=example,dc=com\"\n\
             rootpw reader\ndirectory {}\nindex objectClass,uid eq\n\
             access to attrs=userPassword by anonymous auth by * none\naccess to * by users read by * none\n",
            at("pid"),
            at("ca.pem"),
            at("cert.pem"),
            at("key.pem"),
            at("db")
        );
        std::fs::write(at("slapd.conf"), config).unwrap();
        std::fs::write(at("people.ldif"), people()).unwrap();
        let loaded =
            Command::new("/usr/sbin/slapadd").args(["-q", "-f", &at("slapd.conf"), "-l", &at("people.ldif")]).output();
        let loaded = loaded.expect("slapd is installed (deploy/prerequisites)");
        assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new("/usr/sbin/slapd")
            .args(["-d", "0", "-f", &at("slapd.conf"), "-h", &format!("ldap://127.0.0.1:{port}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let slapd = Slapd { process, port, dir };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "slapd does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
        slapd
    }

    fn url(&self) -> String {
        // By name: that is what the certificate is for.
        format!("ldap://localhost:{}", self.port)
    }

    fn ca(&self) -> std::path::PathBuf {
        self.dir.path().join("ca.pem")
    }
}

fn certificates(dir: &Path) {
    let mut ca = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let ca_cert = ca.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let cert = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&key, &issuer).unwrap();
    for (name, text) in [("ca.pem", ca_cert.pem()), ("cert.pem", cert.pem()), ("key.pem", key.serialize_pem())] {
        std::fs::write(dir.join(name), text).unwrap();
    }
}

fn people() -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(
        b"dn: dc=example,dc=com\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: x\n\n",
    );
    out.extend_from_slice(b"dn: ou=people,dc=example,dc=com\nobjectClass: organizationalUnit\nou: people\n\n");
    for n in 0..PEOPLE {
        let uid = match n {
            0 => "alice".to_string(),
            1 => "bob".to_string(),
            2 => "b*b+x".to_string(),
            _ => format!("user{n}"),
        };
        let rdn = uid.replace('+', "\\2b").replace('*', "\\2a");
        writeln!(
            out,
            "dn: uid={rdn},ou=people,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: Person {n}\nsn: P{n}\n\
             mail: {uid}@example.com\nuserPassword: secret-{n}\n"
        )
        .unwrap();
    }
    out
}

struct Site {
    memory: Memory,
    node: Authenticator,
    provisioner: Provisioner,
}

fn site(slapd: &Slapd) -> Site {
    let memory = Memory::new();
    memory.add_account("alice@example.com", &hash_password_with(HashParams::cheap(), "local"));
    let client = Arc::new(LdapClient::new(ExternalConfig::default(), Some(&slapd.ca())).unwrap());
    let provisioner = Provisioner::new(Arc::new(memory.clone()), client.clone(), Arc::new(|| Ok(GroupId(1))));
    let node = Authenticator::new(Arc::new(memory.clone()), AuthConfig::cheap());
    let node = node.with_external(client, provisioner.clone());
    let site = Site { memory, node, provisioner };
    site.set("zimbraAuthMech", &["ldap"]);
    site.set("zimbraAuthLdapStartTlsEnabled", &["TRUE"]);
    site.set("zimbraAuthLdapURL", &[&slapd.url()]);
    site
}

impl Site {
    fn set(&self, name: &str, values: &[&str]) {
        let values = values.iter().map(|v| v.to_string()).collect();
        let changes = vec![Modification { name: name.into(), kind: ModifyKind::Replace, values }];
        self.memory.command(DirectoryCommand::ModifyDomain { name: "example.com".into(), changes }).unwrap();
    }
    async fn sign_in(&self, user: &str, password: &str) -> Result<String, AuthError> {
        self.node.verify(user, password.as_bytes(), PEER, Service::Imap).await.map(|a| a.name)
    }
    fn account(&self, name: &str) -> Option<Account> {
        let query = DirectoryQuery::Account(AccountBy::Address(name.into()));
        self.memory.directory(query).ok().and_then(|reply| reply.into_account().ok())
    }
    fn domain(&self) -> Domain {
        match self.memory.directory(DirectoryQuery::Domain("example.com".into())).unwrap() {
            DirectoryReply::Domain(domain) => domain,
            other => panic!("{other:?}"),
        }
    }
    fn search_settings(&self) {
        self.set("zimbraAuthLdapSearchFilter", &["(uid=%u)"]);
        self.set("zimbraAuthLdapSearchBase", &["ou=people,%D"]);
        self.set("zimbraAuthLdapSearchBindDn", &["cn=reader,dc=example,dc=com"]);
        self.set("zimbraAuthLdapSearchBindPassword", &["reader"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_and_accounts_of_a_real_directory() {
    let slapd = Slapd::start();
    let site = site(&slapd);

    // By template.
    site.set("zimbraAuthLdapBindDn", &["uid=%u,ou=people,%D"]);
    let alice = Ok("alice@example.com".to_string());
    assert_eq!(site.sign_in("alice@example.com", "secret-0").await, alice);
    for wrong in ["secret-1", "local", "", "\0"] {
        assert_eq!(site.sign_in("alice@example.com", wrong).await, Err(AuthError::Invalid), "{wrong:?}");
    }

    // By search; the first server is not there.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    site.set("zimbraAuthLdapURL", &[&format!("ldap://localhost:{nobody}"), &slapd.url()]);
    site.search_settings();
    let mut signed_in = Vec::new();
    for password in ["secret-0", "secret-0", "wrong"] {
        let from = IpAddr::V4(Ipv4Addr::new(198, 51, 100, signed_in.len() as u8));
        signed_in.push(site.node.verify("alice@example.com", password.as_bytes(), from, Service::Imap).await.is_ok());
    }
    assert_eq!(signed_in, [true, true, false]);
    site.set("zimbraAuthLdapSearchBindPassword", &["wrong"]);
    assert_eq!(site.sign_in("alice@example.com", "secret-9").await, Err(AuthError::TryLater), "our settings are wrong");
    site.search_settings();

    // Accounts at their first sign-in; names that mean something to a filter or a name are only names.
    for (name, values) in [
        ("zimbraAutoProvMode", &["LAZY", "EAGER"][..]),
        ("zimbraAutoProvAuthMech", &["LDAP"]),
        ("zimbraAutoProvLdapURL", &[&slapd.url()]),
        ("zimbraAutoProvLdapStartTlsEnabled", &["TRUE"]),
        ("zimbraAutoProvLdapAdminBindDn", &["cn=reader,dc=example,dc=com"]),
        ("zimbraAutoProvLdapAdminBindPassword", &["reader"]),
        ("zimbraAutoProvLdapSearchBase", &["ou=people,%D"]),
        ("zimbraAutoProvLdapSearchFilter", &["(&(objectClass=inetOrgPerson)(uid=%u))"]),
        ("zimbraAutoProvAccountNameMap", &["uid"]),
        ("zimbraAutoProvAttrMap", &["cn=displayName", "sn=sn"]),
        ("zimbraAutoProvBatchSize", &["10000"]),
    ] {
        site.set(name, values);
    }
    assert_eq!(site.sign_in("bob@example.com", "secret-1").await, Ok("bob@example.com".into()));
    assert_eq!(site.account("bob@example.com").unwrap().attrs.get("displayName"), Some("Person 1"));
    assert_eq!(site.sign_in("b*@example.com", "secret-1").await, Err(AuthError::Invalid), "a star is a star");
    assert_eq!(site.sign_in("b*b+x@example.com", "secret-2").await, Ok("b*b+x@example.com".into()));
    site.set("zimbraAuthLdapSearchFilter", &[]);
    let again = site.node.verify("b*b+x@example.com", b"secret-2", PEER, Service::Pop3).await;
    assert!(again.is_ok(), "the same by template: {again:?}");

    // All of them, page by page.
    let polled = site.provisioner.poll(&site.domain(), zcluster_runtime::wall_ms()).await.unwrap();
    assert_eq!((polled.seen, polled.made, polled.failed, polled.more), (PEOPLE, PEOPLE - 3, 0, false));
    assert!(site.account(&format!("user{}@example.com", PEOPLE - 1)).is_some());
    let polled = site.provisioner.poll(&site.domain(), zcluster_runtime::wall_ms()).await.unwrap();
    assert_eq!((polled.made, polled.more), (0, false));
    let found = site.provisioner.search(&site.domain(), "(sn=P77)").await.unwrap();
    assert_eq!(found.len(), 1);
    let by_name = site.provisioner.entry(&site.domain(), &found[0].dn).await.unwrap();
    assert_eq!(by_name.as_ref(), found.first());
    assert_eq!(site.provisioner.entry(&site.domain(), "uid=nobody,ou=people,dc=example,dc=com").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_may_do_wrong() {
    let slapd = Slapd::start();
    let server = |url: &str, start_tls| ExternalServer { urls: vec![url.to_string()], start_tls };
    let good = server(&slapd.url(), true);
    let dn = "uid=alice,ou=people,dc=example,dc=com";
    let client = LdapClient::new(ExternalConfig::default(), Some(&slapd.ca())).unwrap();
    assert_eq!(client.bind(&good, dn, "secret-0").await, Ok(true));
    assert_eq!(client.bind(&good, dn, "").await, Ok(false), "not sent: it would succeed");
    assert_eq!(client.bind(&good, "", "x").await, Ok(false));
    assert_eq!(client.bind(&good, "not a name", "x").await, Ok(false));
    assert_eq!(client.bind(&good, "uid=nobody,dc=example,dc=com", "x").await, Ok(false));

    // Nobody vouches for the certificate; a name that is not the certificate's.
    let stranger = LdapClient::new(ExternalConfig::default(), None).unwrap();
    assert!(matches!(stranger.bind(&good, dn, "secret-0").await, Err(ExternalError::Unreachable(_))));
    let other_name = server(&format!("ldap://127.0.0.1:{}", slapd.port), true);
    assert!(matches!(client.bind(&other_name, dn, "secret-0").await, Err(ExternalError::Unreachable(_))));
    assert!(LdapClient::new(ExternalConfig::default(), Some(Path::new("/nonexistent"))).is_err());
    for bad in ["", "http://localhost", "ldapi:///", "ldap://"] {
        assert!(client.bind(&server(bad, false), dn, "x").await.is_err(), "{bad}");
    }

    // One that takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = ExternalConfig {
        connect_timeout: Duration::from_millis(300),
        answer_timeout: Duration::from_millis(300),
        ..ExternalConfig::default()
    };
    let impatient = LdapClient::new(config, Some(&slapd.ca())).unwrap();
    for start_tls in [false, true] {
        let mute = server(&format!("ldap://{}", silent.local_addr().unwrap()), start_tls);
        assert!(matches!(impatient.bind(&mute, dn, "secret-0").await, Err(ExternalError::Unreachable(_))));
    }

    // Questions.
    let query = |filter: &str, limit| ExternalQuery {
        base: "dc=example,dc=com".into(),
        base_only: false,
        filter: filter.into(),
        attributes: vec!["uid".into()],
        limit,
    };
    let reader = Some(("cn=reader,dc=example,dc=com", "reader"));
    let search = async |bind, filter, limit| client.search(&good, bind, &query(filter, limit)).await;
    assert_eq!(search(reader, "(uid=alice)", 2).await.unwrap()[0].attrs.all("UID"), ["alice"]);
    assert_eq!(search(reader, "(uid=nobody)", 2).await, Ok(vec![]));
    assert!(matches!(search(reader, "(uid=user*)", 5).await, Err(ExternalError::Refused(_))), "too many");
    assert!(matches!(search(reader, "(uid=", 5).await, Err(ExternalError::Refused(_))), "no filter");
    assert!(matches!(
        search(Some(("cn=reader,dc=example,dc=com", "x")), "(uid=a)", 5).await,
        Err(ExternalError::Refused(_))
    ));
    assert!(matches!(
        search(Some(("cn=reader,dc=example,dc=com", "")), "(uid=a)", 5).await,
        Err(ExternalError::Refused(_))
    ));
    assert_eq!(
        search(None, "(uid=alice)", 5).await,
        Ok(vec![]),
        "anonymous sees nothing, whoever used the connection before"
    );
    assert_eq!(search(reader, "(objectClass=inetOrgPerson)", 5_000).await.unwrap().len(), PEOPLE, "paged");

    // A kept connection that died is replaced.
    drop(slapd);
    assert!(matches!(client.bind(&good, dn, "secret-0").await, Err(ExternalError::Unreachable(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_list_of_a_real_directory() {
    let slapd = Slapd::start();
    let config = ExternalConfig {
        connect_timeout: Duration::from_secs(1),
        answer_timeout: Duration::from_secs(1),
        ..ExternalConfig::default()
    };
    let client = Arc::new(LdapClient::new(config, Some(&slapd.ca())).unwrap());
    let book = Book::new(client.clone(), BookConfig::default());
    let query = |filter: &str, password: &str, limit| gal::ExternalQuery {
        urls: vec![slapd.url()],
        start_tls: true,
        bind: Some(("cn=reader,dc=example,dc=com".into(), password.into())),
        base: "dc=example,dc=com".into(),
        filter: filter.into(),
        attributes: vec!["cn".into(), "mail".into()],
        limit,
    };
    let alice = query("(uid=alice)", "reader", 10);
    let found = book.look(&alice).await.unwrap();
    assert_eq!((found.len(), found[0].all("mail")), (1, &["alice@example.com".to_string()][..]));
    assert_eq!(book.look(&query("(uid=user*)", "reader", 700)).await.unwrap().len(), 700, "the first are enough");
    assert_eq!(book.look(&query("(uid=nobody)", "reader", 10)).await, Ok(vec![]));
    assert!(book.look(&query("(uid=alice)", "wrong", 10)).await.is_err(), "what is kept is for who knows the password");
    assert_eq!(book.look(&alice).await.as_ref(), Ok(&found), "our settings were wrong, the server was not");
    let stopped = Command::new("kill").args(["-STOP", &slapd.process.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    assert_eq!(book.look(&alice).await, Ok(found), "it is still known");
    let silent = book.look(&query("(uid=bob)", "reader", 10)).await;
    assert!(silent.is_err());
    assert_eq!(book.look(&query("(uid=bo)", "reader", 10)).await, silent, "it is not asked again at once");
    let forgetful = Book::new(client, BookConfig { keep: Duration::ZERO, ..BookConfig::default() });
    assert!(forgetful.look(&alice).await.is_err());
}

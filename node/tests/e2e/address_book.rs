//! The address list of a company's own directory (`zimbraGalMode` `ldap` and `both`): Debian's slapd, asked through `zmprov`;
//! also when it does not answer any more.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::cluster::Cluster;
use crate::support::eventually;

/// The company's directory.
struct Company {
    process: Child,
    port: u16,
}

impl Drop for Company {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const PEOPLE: &str = "dn: dc=corp,dc=test
objectClass: dcObject
objectClass: organization
dc: corp
o: Corp

dn: uid=carla,dc=corp,dc=test
objectClass: inetOrgPerson
uid: carla
cn: Carla Corporate
sn: Corporate
mail: carla@corp.test
telephoneNumber: +49 30 1234

dn: uid=alfred,dc=corp,dc=test
objectClass: inetOrgPerson
uid: alfred
cn: Alfred Example
sn: Example
mail: alfred@corp.test

dn: uid=alice,dc=corp,dc=test
objectClass: inetOrgPerson
uid: alice
cn: Alice Elsewhere
sn: Elsewhere
mail: alice@example.com

";

impl Company {
    fn start(folder: &Path) -> Company {
        fs::create_dir(folder.join("company")).unwrap();
        let at = |name: &str| folder.join("company").join(name).display().to_string();
        let schema = ["core", "cosine", "inetorgperson"].map(|s| format!("include /etc/ldap/schema/{s}.schema\n"));
        let config = format!(
            "{}modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {}\ndatabase mdb\nmaxsize 104857600\n\
             suffix \"dc=corp,dc=test\"\nrootdn \"cn=reader,dc=corp,dc=test\"\nrootpw reader\ndirectory {}\n\
             access to * by users read by anonymous auth\n",
            schema.concat(),
            at("pid"),
            folder.join("company").display()
        );
        fs::write(at("slapd.conf"), config).unwrap();
        fs::write(at("people.ldif"), PEOPLE).unwrap();
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
        let company = Company { process, port };
        eventually("slapd listens", Duration::from_secs(30), || TcpStream::connect(("127.0.0.1", port)).is_ok());
        company
    }

    /// It takes connections, and says nothing any more.
    fn fall_silent(&self) {
        let pid = i32::try_from(self.process.id()).unwrap();
        // SAFETY: a signal to a child of ours that has not been waited for.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGSTOP) }, 0);
    }
}

#[test]
fn a_companys_directory_is_part_of_the_address_list() {
    let cluster =
        Cluster::start_configured(|_| "[auth]\nldap_answer_seconds = 1\nldap_connect_seconds = 1\n".to_owned());
    let company = Company::start(&cluster.folder);
    let url = format!("ldap://127.0.0.1:{}", company.port);
    cluster.prov(&["ma", "alice@example.com", "displayName", "Alice Here"]);
    cluster.prov(&[
        "md",
        "example.com",
        "zimbraGalMode",
        "both",
        "zimbraGalLdapURL",
        &url,
        "zimbraGalLdapSearchBase",
        "dc=corp,dc=test",
        "zimbraGalLdapAuthMech",
        "simple",
        "zimbraGalLdapBindDn",
        "cn=reader,dc=corp,dc=test",
        "zimbraGalLdapBindPassword",
        "reader",
        "zimbraGalLdapFilter",
        "(&(objectClass=inetOrgPerson)(|(cn=*%s*)(mail=*%s*)))",
        "zimbraGalAutoCompleteLdapFilter",
        "(|(cn=%s*)(sn=%s*)(mail=%s*))",
    ]);
    let search = |word: &str| cluster.prov(&["sg", "example.com", word]);
    let complete = |word: &str| cluster.prov(&["acg", "example.com", word]);
    let mode = |mode: &str| drop(cluster.prov(&["md", "example.com", "zimbraGalMode", mode]));

    let carla = search("carla");
    for wanted in ["email: carla@corp.test\n", "fullName: Carla Corporate\n", "workPhone: +49 30 1234\n"] {
        assert!(carla.contains(wanted), "{carla}");
    }
    // Who is known here and there is told once, as here.
    let al = search("al");
    assert!(al.contains("Alice Here") && al.contains("alfred@corp.test") && !al.contains("Elsewhere"), "{al}");
    assert!(complete("corpo").contains("carla@corp.test"), "by the other filter");
    assert!(complete("alfr").contains("alfred@corp.test"));
    assert!(search("*)(uid=*").is_empty(), "what is typed is no filter");
    mode("ldap");
    let al = search("al");
    assert!(al.contains("Alice Elsewhere") && al.contains("alfred@corp.test") && !al.contains("Alice Here"), "{al}");
    mode("zimbra");
    assert!(search("carla").is_empty() && search("al").contains("Alice Here"));

    mode("both");
    company.fall_silent();
    assert!(search("carla").contains("carla@corp.test"), "what was asked a moment ago is known");
    for word in ["alic", "ali", "lice"] {
        let found = search(word);
        assert!(found.contains("Alice Here") && !found.contains("corp.test"), "{found}");
    }
    mode("ldap");
    let refused = cluster.try_prov(&["sg", "example.com", "alfre"]);
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && error.contains("account.GAL_UNAVAILABLE"), "{error}");
    // Its password is shown to nobody.
    let shown = cluster.prov(&["gd", "example.com", "zimbraGalLdapBindPassword"]);
    assert!(shown.contains("VALUE-BLOCKED") && !shown.contains("reader"), "{shown}");
}

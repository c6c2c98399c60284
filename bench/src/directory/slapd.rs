//! Debian's slapd (OpenLDAP, mdb) with the same entries: the attributes and indexes that the loads ask for.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::data::{ADMIN, PASSWORD};
use super::node::{disk, text};
use crate::process::Watch;

/// Room of the database: its file is sparse.
const MAX_BYTES: u64 = 64 << 30;

/// A running slapd; it is killed when it is dropped.
pub struct Slapd {
    process: Child,
    /// Seconds that `slapadd -q` took (without syncs, offline).
    pub load_seconds: f64,
    /// Bytes of its database.
    pub disk_bytes: u64,
}

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Zimbra's schema as far as the entries use it; object identifiers are Zimbra's arc with numbers of our own.
const SCHEMA: &str = r"
attributetype ( 1.3.6.1.4.1.19348.2.1.90001 NAME 'zimbraId' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.19348.2.1.90002 NAME 'zimbraCOSId' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.19348.2.1.90003 NAME 'zimbraMailDeliveryAddress' EQUALITY caseIgnoreIA5Match SUBSTR caseIgnoreIA5SubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 )
attributetype ( 1.3.6.1.4.1.19348.2.1.90004 NAME 'zimbraAccountStatus' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.19348.2.1.90005 NAME 'zimbraMailStatus' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.19348.2.1.90006 NAME 'zimbraPasswordModifiedTime' EQUALITY generalizedTimeMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.24 )
attributetype ( 1.3.6.1.4.1.19348.2.1.90007 NAME 'zimbraCreateTimestamp' EQUALITY generalizedTimeMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.24 )
attributetype ( 1.3.6.1.4.1.19348.2.1.90008 NAME 'zimbraMailQuota' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.19348.2.1.90009 NAME 'zimbraPrefLocale' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.19348.2.1.90010 NAME 'zimbraDomainName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.19348.2.1.90011 NAME 'zimbraDomainStatus' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
objectclass ( 1.3.6.1.4.1.19348.2.2.90001 NAME 'zimbraCOS' SUP top STRUCTURAL MUST ( cn $ zimbraId ) MAY ( zimbraMailQuota $ zimbraPrefLocale ) )
objectclass ( 1.3.6.1.4.1.19348.2.2.90002 NAME 'zimbraDomain' SUP top AUXILIARY MAY ( zimbraId $ zimbraDomainName $ zimbraDomainStatus ) )
objectclass ( 1.3.6.1.4.1.19348.2.2.90003 NAME 'zimbraAccount' SUP top AUXILIARY MAY ( zimbraId $ zimbraCOSId $ zimbraMailDeliveryAddress $ zimbraAccountStatus $ zimbraMailStatus $ zimbraPasswordModifiedTime $ zimbraCreateTimestamp ) )
";

impl Slapd {
    /// Loads the file and starts it on `port`.
    ///
    /// # Errors
    /// slapd is not installed, or does not take the entries.
    pub fn start(folder: &Path, file: &Path, port: u16) -> Result<Slapd> {
        let database = folder.join("db");
        fs::create_dir_all(&database)?;
        let schema = folder.join("zimbra.schema");
        fs::write(&schema, SCHEMA)?;
        let config = folder.join("slapd.conf");
        fs::write(
            &config,
            format!(
                "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
                 include /etc/ldap/schema/inetorgperson.schema\ninclude {}\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
                 pidfile {}\nsizelimit unlimited\ndatabase mdb\nmaxsize {MAX_BYTES}\nsuffix \"\"\nrootdn \"{ADMIN}\"\n\
                 rootpw {PASSWORD}\ndirectory {}\n\
                 index objectClass,uid,zimbraId,zimbraCOSId eq\nindex mail,zimbraMailDeliveryAddress eq\nindex cn,sn,givenName eq,sub\n\
                 access to attrs=userPassword by anonymous auth by * none\naccess to * by users read by * none\n",
                text(&schema),
                text(&folder.join("pid")),
                text(&database)
            ),
        )?;
        let began = Instant::now();
        let loaded = Command::new("/usr/sbin/slapadd").args(["-q", "-f", text(&config), "-l", text(file)]).output();
        let loaded = loaded.context("slapd is not installed (deploy/prerequisites bench)")?;
        ensure!(loaded.status.success(), "slapadd: {}", String::from_utf8_lossy(&loaded.stderr));
        let load_seconds = began.elapsed().as_secs_f64();
        let process = Command::new("/usr/sbin/slapd")
            .args(["-d", "0", "-f", text(&config), "-h", &format!("ldap://127.0.0.1:{port}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let slapd = Slapd { process, load_seconds, disk_bytes: disk(&database) };
        for _ in 0..600 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(slapd);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        anyhow::bail!("slapd does not come up")
    }

    /// Its CPU time and memory.
    pub fn watch(&self) -> Watch {
        Watch::new(&[self.process.id()])
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

//! The directory's contents: COS, domains, and accounts with what an account of a real site has of its own.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Result;

use super::DirectoryOptions;

/// Everybody's password, and its hash with the salt "salt": nobody's time is spent on hashing.
pub const PASSWORD: &str = "secret";
const HASH: &str = "userPassword:: e1NTSEF9Z1ZLOFdDOVl5RlQxZ01zUUhUR0NnVDNzU3Y1ellXeDA=";
/// The administrator that asks.
pub const ADMIN: &str = "uid=asker,ou=people,dc=d0,dc=example";

fn uuid(kind: u8, n: u64) -> String {
    // Spread, so that rows by id do not come in order.
    let spread = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let (high, low) = (spread >> 32, spread & 0xFFFF_FFFF);
    format!("{high:08x}-{:04x}-4{kind:03x}-8000-{:04x}{n:08x}", low >> 16, low & 0xFFFF)
}

/// Local part and number of the domain of account `n`.
pub fn address(options: &DirectoryOptions, n: u64) -> (String, u64) {
    (format!("user{n}"), n % options.domains)
}

/// The `k`th account to ask for: all over the directory.
pub fn spread(options: &DirectoryOptions, k: u64) -> u64 {
    k.wrapping_mul(0x9E37_79B9) % options.accounts
}

/// The surname of account `n`: seven have the same.
pub fn surname(n: u64) -> String {
    format!("Last{}", n / 7)
}

/// COS, domains and accounts, and if wanted what stands around them in a tree: slapd wants every parent. Returns the bytes
/// of the file.
pub fn write_ldif(options: &DirectoryOptions, path: &Path, parents: bool) -> Result<u64> {
    let mut out = BufWriter::new(File::create(path)?);
    if parents {
        // slapadd knows no version line.
        write_parents(options, &mut out)?;
    } else {
        writeln!(out, "version: 1\n")?;
    }
    for n in 0..options.cos {
        writeln!(out, "dn: cn=cos{n},cn=cos,cn=zimbra\nobjectClass: zimbraCOS\ncn: cos{n}\nzimbraId: {}", uuid(1, n))?;
        writeln!(out, "zimbraMailQuota: {}\nzimbraPrefLocale: en\n", (n + 1) << 30)?;
    }
    for n in 0..options.domains {
        writeln!(
            out,
            "dn: dc=d{n},dc=example\nobjectClass: dcObject\nobjectClass: organization\nobjectClass: zimbraDomain\n\
             dc: d{n}\no: Domain {n}\nzimbraDomainName: d{n}.example"
        )?;
        writeln!(out, "zimbraId: {}\nzimbraDomainStatus: active\n", uuid(2, n))?;
    }
    for n in 0..options.accounts {
        let (user, domain) = address(options, n);
        writeln!(
            out,
            "dn: uid={user},ou=people,dc=d{domain},dc=example\nobjectClass: inetOrgPerson\nobjectClass: zimbraAccount\n\
             uid: {user}\nmail: {user}@d{domain}.example\nzimbraMailDeliveryAddress: {user}@d{domain}.example"
        )?;
        writeln!(out, "zimbraId: {}\nzimbraCOSId: {}", uuid(3, n), uuid(1, n % options.cos))?;
        let (first, last) = (n % 997, surname(n));
        writeln!(
            out,
            "cn: First{first} {last}\nsn: {last}\ngivenName: First{first}\ndisplayName: First{first} {last}"
        )?;
        writeln!(out, "{HASH}")?;
        writeln!(
            out,
            "zimbraAccountStatus: active\nzimbraMailStatus: enabled\nzimbraPasswordModifiedTime: 20240101000000Z"
        )?;
        writeln!(
            out,
            "zimbraCreateTimestamp: 20200101000000Z\ntelephoneNumber: +49 30 {n:07}\ndescription: number {n}\n"
        )?;
    }
    out.flush()?;
    Ok(fs::metadata(path)?.len())
}

fn write_parents(options: &DirectoryOptions, out: &mut impl Write) -> Result<()> {
    writeln!(out, "dn: dc=example\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: example\n")?;
    writeln!(out, "dn: cn=zimbra\nobjectClass: organizationalRole\ncn: zimbra\n")?;
    writeln!(out, "dn: cn=cos,cn=zimbra\nobjectClass: organizationalRole\ncn: cos\n")?;
    for n in 0..options.domains {
        writeln!(out, "dn: ou=people,dc=d{n},dc=example\nobjectClass: organizationalRole\nou: people\ncn: people\n")?;
    }
    Ok(())
}

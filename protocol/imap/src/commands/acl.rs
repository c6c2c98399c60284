//! SETACL, DELETEACL, GETACL, LISTRIGHTS and MYRIGHTS (RFC 4314).

use crate::codec::write;
use crate::errors::{Answer, Failure, Reply};
use crate::session::{Named, Session, sharing::require, sharing::rights};
use zcluster_api::directory::AccountBy;
use zcluster_api::mailbox::Folder;
use zcluster_api::sharing::{Grantee, Rights, RightsChange};
use zcluster_api::{AccountId, Actor, DirectoryCommand, RequestId};

/// Everybody, also who has not signed in (RFC 4314 §2; Zimbra `pub`).
const ANYONE: &str = "anyone";
/// Everybody who has signed in (Zimbra `all`).
const AUTHENTICATED: &str = "authuser";

/// Who an identifier stands for.
struct Identified {
    grantee: Grantee,
    /// It began with `-`: what is denied.
    negative: bool,
}

async fn identify(s: &Session, identifier: &str) -> Result<Identified, Failure> {
    let (name, negative) = identifier.strip_prefix('-').map_or((identifier, false), |name| (name, true));
    let grantee = match name {
        ANYONE => Grantee::Anyone,
        AUTHENTICATED => Grantee::Authenticated,
        _ => {
            // What GETACL shows of an account that is gone can be taken away by that name.
            let by_id = name.parse::<AccountId>().ok();
            let account = match by_id {
                Some(_) => None,
                None => s.account_named(name).await?.map(|a| a.id),
            };
            let id = by_id.or(account);
            Grantee::Account(id.ok_or_else(|| Failure::no("[CANNOT] there is no such account"))?)
        }
    };
    Ok(Identified { grantee, negative })
}

/// How a grantee is told: the account's address as long as it has one.
async fn identifier(s: &Session, grantee: Grantee) -> Result<String, Failure> {
    let id = match grantee {
        Grantee::Anyone => return Ok(ANYONE.into()),
        Grantee::Authenticated => return Ok(AUTHENTICATED.into()),
        Grantee::Account(id) | Grantee::Group(id) => id,
    };
    Ok(s.account(AccountBy::Id(id)).await?.map_or_else(|| id.to_string(), |a| a.name))
}

pub async fn set_acl(s: &mut Session, name: &str, who: &str, change: RightsChange) -> Answer {
    change_acl(s, name, who, change).await?;
    Ok(Reply::Ok("SETACL completed".into()))
}

/// RFC 4314 §3.2: takes away all that the identifier was given.
pub async fn delete_acl(s: &mut Session, name: &str, who: &str) -> Answer {
    change_acl(s, name, who, RightsChange::Remove(Rights::ALL)).await?;
    Ok(Reply::Ok("DELETEACL completed".into()))
}

async fn change_acl(s: &mut Session, name: &str, who: &str, change: RightsChange) -> Result<(), Failure> {
    let named = s.named(name).await?;
    let folder = administered(&named).await?;
    let who = identify(s, who).await?;
    let owner = named.mailbox.owner();
    if who.grantee == Grantee::Account(owner) {
        return Err(Failure::no("[CANNOT] the owner has all rights and keeps them"));
    }
    let (grantees, modseq) = named.mailbox.set_acl(folder.id, (who.grantee, who.negative), change).await?;
    // Only the mailbox decides about rights; this lets others find it. It is said anew each time, so a client that is
    // told to try again later sets both right.
    let command = DirectoryCommand::SetShares { owner, grantees, modseq };
    let request = RequestId(zcluster_runtime::random_bytes());
    s.imap.directory.write(Actor::System, request, command).await?;
    Ok(())
}

/// The folder, if the user may give and take rights on it.
async fn administered(named: &Named) -> Result<Folder, Failure> {
    let folder = named.folder().await?;
    require(&folder, Rights::ADMIN)?;
    Ok(folder)
}

pub async fn get_acl(s: &mut Session, name: &str) -> Answer {
    let named = s.named(name).await?;
    let folder = administered(&named).await?;
    let grants = named.mailbox.acl(folder.id).await?;
    let owner = identifier(s, Grantee::Account(named.mailbox.owner())).await?;
    let mut list = vec![(owner, Rights::IMAP)];
    for grant in grants {
        let who = identifier(s, grant.grantee).await?;
        for (prefix, rights) in [("", grant.allow), ("-", grant.deny)] {
            if rights.any(Rights::IMAP) {
                list.push((format!("{prefix}{who}"), rights));
            }
        }
    }
    s.out.extend_from_slice(b"* ACL ");
    write::mailbox(&named.shown(&folder), s.utf8, &mut s.out);
    for (who, rights) in list {
        s.out.push(b' ');
        write::astring(who.as_bytes(), &mut s.out);
        s.out.push(b' ');
        write::astring(rights.to_string().as_bytes(), &mut s.out);
    }
    s.out.extend_from_slice(b"\r\n");
    Ok(Reply::Ok("GETACL completed".into()))
}

/// RFC 4314 §3.7: the owner always has everything; anybody else may be given each right by itself.
pub async fn list_rights(s: &mut Session, name: &str, identifier: &str) -> Answer {
    let named = s.named(name).await?;
    let folder = administered(&named).await?;
    let who = identify(s, identifier).await?;
    let all = Rights::IMAP.to_string();
    s.out.extend_from_slice(b"* LISTRIGHTS ");
    write::mailbox(&named.shown(&folder), s.utf8, &mut s.out);
    s.out.push(b' ');
    write::astring(identifier.as_bytes(), &mut s.out);
    if who.grantee == Grantee::Account(named.mailbox.owner()) {
        s.line(format_args!(" {all}"));
    } else {
        let each: Vec<String> = all.chars().map(String::from).collect();
        s.line(format_args!(" \"\" {}", each.join(" ")));
    }
    Ok(Reply::Ok("LISTRIGHTS completed".into()))
}

pub async fn my_rights(s: &mut Session, name: &str) -> Answer {
    let named = s.named(name).await?;
    let folder = named.folder().await?;
    write_my_rights(&named.shown(&folder), rights(&folder), s.utf8, &mut s.out);
    Ok(Reply::Ok("MYRIGHTS completed".into()))
}

/// Appends a MYRIGHTS response (RFC 4314 §3.8).
pub fn write_my_rights(name: &str, rights: Rights, utf8: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(b"* MYRIGHTS ");
    write::mailbox(name, utf8, out);
    out.push(b' ');
    write::astring(rights.to_string().as_bytes(), out);
    out.extend_from_slice(b"\r\n");
}

//! GENURLAUTH, URLFETCH and RESETKEY (RFC 4467): URLs that let others read one piece of mail.
//!
//! The mechanism is INTERNAL: a token is an HMAC over the URL under a key that the folder keeps. Whoever can reset the key
//! takes all URLs back.

use super::fetch::binary;
use super::fetch::bodies::whole_or_nothing;
use super::urls::{self, Found};
use crate::codec::command::{UrlFetch, UrlWants};
use crate::codec::url::{Access, MessageUrl, UrlAuth};
use crate::codec::write;
use crate::errors::{Answer, Failure, Reply};
use crate::session::{Mailbox, Session};
use aws_lc_rs::hmac;
use zcluster_api::directory::Account;
use zcluster_api::mailbox::UrlAuthKey;
use zcluster_api::{Error, FolderId, Result};
use zcluster_mail::TransferEncoding;

/// What a token begins with: how it was made, so that there can be other ways (RFC 4467 §9).
const VERSION: &str = "01";

pub async fn gen_url_auth(s: &mut Session, pairs: &[(String, String)]) -> Answer {
    let me = urls::myself(s).await?;
    let mailbox = s.mailbox()?;
    let mut made = Vec::with_capacity(pairs.len());
    for (url, mechanism) in pairs {
        if mechanism != "INTERNAL" {
            return Err(Failure::no("[CANNOT] the only mechanism is INTERNAL"));
        }
        let Some(folder) = to_authorize(s, &me, url).await? else {
            return Err(Failure::bad("not the URL of a message here with an access identifier"));
        };
        let key = key_of(&mailbox, folder).await?;
        made.push(format!("{url}:internal:{}", token(&key, url)));
    }
    s.out.extend_from_slice(b"* GENURLAUTH");
    for url in made {
        s.out.push(b' ');
        write::string(url.as_bytes(), &mut s.out);
    }
    s.out.extend_from_slice(b"\r\n");
    Ok(Reply::Ok("GENURLAUTH completed".into()))
}

/// The folder of a URL that its owner wants a token for (RFC 4467 §7): absolute, of the owner's own mailbox, ending in
/// an access identifier.
async fn to_authorize(s: &Session, me: &Account, url: &str) -> Result<Option<FolderId>> {
    let Some(parsed) = MessageUrl::parse(url) else { return Ok(None) };
    let (Some(user), Some(name)) = (&parsed.user, &parsed.mailbox) else { return Ok(None) };
    let bare = parsed.auth.as_ref().is_some_and(|a| a.token.is_none());
    if !parsed.absolute || !bare || !is_account(s, user, me).await? {
        return Ok(None);
    }
    let mailbox = s.mailbox().map_err(|_| Error::Denied("not signed in".into()))?;
    let folder = mailbox.folder(name).await?;
    Ok(parsed.uid_validity.is_none_or(|v| v == folder.uid_validity).then_some(folder.id))
}

async fn is_account(s: &Session, user: &str, account: &Account) -> Result<bool> {
    match urls::account(s, user, urls::domain_of(account)).await {
        Ok(found) => Ok(found.id == account.id),
        Err(Error::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The folder's key, drawn now if there is none. Of two that are drawn at once the first one stays.
async fn key_of(mailbox: &Mailbox, folder: FolderId) -> Result<UrlAuthKey> {
    if let Some(key) = mailbox.url_auth_key(folder).await? {
        return Ok(key);
    }
    mailbox.set_url_auth_key(folder, UrlAuthKey(zcluster_runtime::random_bytes()), true).await?;
    mailbox.url_auth_key(folder).await?.ok_or_else(|| Error::Unavailable("the key was taken away again".into()))
}

fn token(key: &UrlAuthKey, rump: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key.0), rump.as_bytes());
    let mut out = VERSION.to_string();
    for b in tag.as_ref() {
        out.push_str(&format!("{b:02x}"));
    }
    out
}

pub async fn url_fetch(s: &mut Session, all: &[UrlFetch]) -> Answer {
    for UrlFetch { url, wants } in all {
        let mut head = b"* URLFETCH ".to_vec();
        write::astring(url.as_bytes(), &mut head);
        head.push(b' ');
        // Whatever is wrong with a URL, its bytes are NIL, and so nothing is told of what there is (RFC 4467 §7).
        let found = match opened(s, url, wants.is_some()).await {
            Ok(found) => found,
            Err(error @ (Error::Unavailable(_) | Error::WrongHome { .. })) => return Err(error.into()),
            Err(error) => {
                tracing::debug!(%error, "a URL cannot be opened");
                None
            }
        };
        match (found, wants) {
            (Some(found), Some(wants)) => {
                s.mark = Some(s.out.len());
                s.out.extend_from_slice(&head);
                let outcome = write_extended(s, &found, *wants).await;
                whole_or_nothing(s, outcome)?;
                s.mark = None;
            }
            (Some(found), None) => {
                let source = found.open().await?;
                write::literal_header(found.len(), &mut head);
                source.write(s, &head, found.range()).await?;
            }
            (None, _) => {
                head.extend_from_slice(b"NIL");
                s.out.extend_from_slice(&head);
            }
        }
        s.out.extend_from_slice(b"\r\n");
        s.spill_if_full().await?;
    }
    Ok(Reply::Ok("URLFETCH completed".into()))
}

/// The elements of RFC 5524 §3.2, the line's end left to the caller. What has no structure or cannot be decoded is NIL.
async fn write_extended(s: &mut Session, found: &Found, wants: UrlWants) -> Result<(), Failure> {
    let source = found.open().await?;
    let mut space = "";
    if wants.has(UrlWants::BODYPARTSTRUCTURE) {
        s.out.extend_from_slice(b"(BODYPARTSTRUCTURE ");
        s.out.extend_from_slice(found.part().map_or(&b"NIL"[..], |part| &part.structure[..]));
        s.out.push(b')');
        space = " ";
    }
    if wants.has(UrlWants::BODY) {
        let mut head = format!("{space}(BODY ").into_bytes();
        write::literal_header(found.len(), &mut head);
        source.write(s, &head, found.range()).await?;
        s.out.push(b')');
    }
    if wants.has(UrlWants::BINARY) {
        s.out.extend_from_slice(format!("{space}(BINARY ").as_bytes());
        match found.part() {
            Some(part) if !matches!(part.encoding, TransferEncoding::Unknown) => {
                binary::write_decoded(s, &source, part.all.clone(), part.encoding, part.partial).await?;
            }
            Some(_) => s.out.extend_from_slice(b"NIL"),
            // What is no part has no transfer encoding.
            None => binary::write_decoded(s, &source, found.range(), TransferEncoding::Identity, None).await?,
        }
        s.out.push(b')');
    }
    Ok(())
}

/// What a URL opens to this session.
async fn opened(s: &Session, url: &str, part: bool) -> Result<Option<Found>> {
    let Some(parsed) = MessageUrl::parse(url) else { return Ok(None) };
    let (Some(user), Some(name), Some(auth)) = (&parsed.user, &parsed.mailbox, &parsed.auth) else { return Ok(None) };
    let Some((mechanism, told)) = &auth.token else { return Ok(None) };
    let now = i64::try_from(zcluster_runtime::wall_ms()).unwrap_or(i64::MAX);
    if mechanism != "INTERNAL" || parsed.expire_ms.is_some_and(|at| at <= now) {
        return Ok(None);
    }
    let me = urls::myself(s).await?;
    let owner = urls::account(s, user, urls::domain_of(&me)).await?;
    if owner.status() != "active" || !may_open(s, &me, auth).await? {
        return Ok(None);
    }
    let mailbox = s.mailbox().map_err(|_| Error::Denied("not signed in".into()))?.of_owner(owner.id);
    let folder = mailbox.folder(name).await?;
    let Some(key) = mailbox.url_auth_key(folder.id).await? else { return Ok(None) };
    let rump = url.get(..auth.rump).unwrap_or_default();
    let right = token(&key, rump);
    // Compared in constant time.
    let same =
        aws_lc_rs::constant_time::verify_slices_are_equal(right.as_bytes(), told.to_ascii_lowercase().as_bytes());
    if same.is_err() {
        return Ok(None);
    }
    urls::find(mailbox, &folder, &parsed, part).await
}

/// RFC 4467 §4: who the access identifier lets in. Submission servers sign in as administrators.
async fn may_open(s: &Session, me: &Account, auth: &UrlAuth) -> Result<bool> {
    match &auth.access {
        Access::Anyone | Access::AnyUser => Ok(true),
        Access::User(name) => is_account(s, name, me).await,
        Access::Submit(_) => Ok(me.is_admin()),
    }
}

pub async fn reset_key(s: &mut Session, name: Option<&str>, mechanisms: &[String]) -> Answer {
    let mailbox = s.mailbox()?;
    if mechanisms.iter().any(|m| m != "INTERNAL") {
        return Err(Failure::no("[CANNOT] the only mechanism is INTERNAL"));
    }
    let Some(name) = name else {
        mailbox.drop_url_auth_keys().await?;
        return Ok(Reply::Ok("all keys removed".into()));
    };
    let folder = mailbox.folder(name).await?;
    mailbox.set_url_auth_key(folder.id, UrlAuthKey(zcluster_runtime::random_bytes()), false).await?;
    Ok(Reply::Ok("[URLMECH INTERNAL] RESETKEY completed".into()))
}

//! GETMETADATA and SETMETADATA (RFC 5464).

use super::annotations;
use crate::codec::command::{GetMetadata, SetMetadata};
use crate::codec::write;
use crate::errors::{Answer, Failure, Reply};
use crate::session::{Mailbox, Session};
use std::collections::BTreeMap;
use zcluster_api::sharing::{ANNOTATION_VALUE_BYTES_MAX, Annotation, Depth};
use zcluster_api::{Bytes, DirectoryQuery, DirectoryReply, Error, FolderId, Freshness};

/// Server annotations that the cluster's config tells (RFC 5464 §6.2.1), and the attributes they are in.
pub const OF_SERVER: [(&str, &str); 2] =
    [("/shared/comment", "zclusterServerComment"), ("/shared/admin", "zclusterServerAdmin")];

/// Annotations wanted of one mailbox, or of the server.
pub struct Wanted<'a> {
    pub entries: &'a [String],
    pub depth: Depth,
    pub max_size: Option<u64>,
}

pub async fn get_metadata(s: &mut Session, get: &GetMetadata) -> Answer {
    let wanted = Wanted { entries: &get.entries, depth: get.depth, max_size: get.max_size };
    let longest = if get.mailbox.is_empty() {
        let own = s.mailbox()?;
        let mut found = read(&own, None, &wanted).await?;
        of_server(s, &wanted, &mut found).await?;
        write_found(s, "", &wanted, &found.values);
        found.longest
    } else {
        let named = s.named(&get.mailbox).await?;
        let folder = named.folder().await?;
        let found = read(&named.mailbox, Some(folder.id), &wanted).await?;
        write_found(s, &named.shown(&folder), &wanted, &found.values);
        found.longest
    };
    Ok(Reply::Ok(match longest {
        Some(longest) => format!("[METADATA LONGENTRIES {longest}] GETMETADATA completed").into(),
        None => "GETMETADATA completed".into(),
    }))
}

/// What was found.
struct Found {
    values: BTreeMap<String, Bytes>,
    /// The longest value that was left out.
    longest: Option<u64>,
}

async fn read(mailbox: &Mailbox, folder: Option<FolderId>, wanted: &Wanted<'_>) -> Result<Found, Failure> {
    let (entries, longest) = mailbox.metadata(folder, wanted.entries.to_vec(), wanted.depth, wanted.max_size).await?;
    let values = entries.into_iter().filter_map(|a| a.value.map(|v| (a.name, v))).collect();
    Ok(Found { values, longest })
}

/// Tells a mailbox's annotations behind LIST (RFC 9590); what may not be read is passed over.
pub async fn tell(
    s: &mut Session,
    mailbox: &Mailbox,
    folder: FolderId,
    name: &str,
    wanted: &Wanted<'_>,
) -> Result<(), Failure> {
    match read(mailbox, Some(folder), wanted).await {
        Ok(found) => write_found(s, name, wanted, &found.values),
        Err(Failure::Api(Error::Denied(_) | Error::NotFound(_))) => {}
        Err(other) => return Err(other),
    }
    Ok(())
}

/// Adds what is the whole server's.
async fn of_server(s: &Session, wanted: &Wanted<'_>, found: &mut Found) -> Result<(), Failure> {
    let reply = s.imap.directory.read(DirectoryQuery::Cluster, Freshness::Local).await?;
    let DirectoryReply::Cluster(cluster) = reply else { return Err(Error::Internal("no cluster".into()).into()) };
    for (name, attribute) in OF_SERVER {
        let asked = |e: &String| {
            e == name
                || wanted.depth != Depth::Zero && name.strip_prefix(e.as_str()).is_some_and(|r| r.starts_with('/'))
        };
        let Some(value) = cluster.config.get(attribute).filter(|_| wanted.entries.iter().any(asked)) else { continue };
        if wanted.max_size.is_some_and(|max| value.len() as u64 > max) {
            found.longest = found.longest.max(Some(value.len() as u64));
        } else {
            found.values.insert(name.into(), Bytes::copy_from_slice(value.as_bytes()));
        }
    }
    Ok(())
}

/// Appends a METADATA response with values (RFC 5464 §4.4.1). Entries that were asked for by name and are not there are
/// told as NIL; those that are too long are left out.
fn write_found(s: &mut Session, name: &str, wanted: &Wanted<'_>, values: &BTreeMap<String, Bytes>) {
    let mut list: BTreeMap<&str, Option<&[u8]>> = values.iter().map(|(n, v)| (n.as_str(), Some(&v[..]))).collect();
    if wanted.depth == Depth::Zero && wanted.max_size.is_none() {
        let named = wanted.entries.iter().filter(|e| e.matches('/').count() > 1);
        named.for_each(|e| {
            list.entry(e).or_insert(None);
        });
    }
    if list.is_empty() {
        return;
    }
    s.out.extend_from_slice(b"* METADATA ");
    write::mailbox(name, s.utf8, &mut s.out);
    for (i, (entry, value)) in list.into_iter().enumerate() {
        s.out.extend_from_slice(if i == 0 { b" (" } else { b" " });
        write::astring(entry.as_bytes(), &mut s.out);
        s.out.push(b' ');
        write_value(value, &mut s.out);
    }
    s.out.extend_from_slice(b")\r\n");
}

/// `value = nstring / literal8` (RFC 5464 §5): the latter where there is a NUL.
fn write_value(value: Option<&[u8]>, out: &mut Vec<u8>) {
    match value {
        Some(bytes) if bytes.contains(&0) => {
            out.push(b'~');
            write::literal_header(bytes.len() as u64, out);
            out.extend_from_slice(bytes);
        }
        other => write::nstring(other, out),
    }
}

pub async fn set_metadata(s: &mut Session, set: SetMetadata) -> Answer {
    let too_long = |a: &Annotation| a.value.as_ref().is_some_and(|v| v.len() > ANNOTATION_VALUE_BYTES_MAX);
    if set.entries.iter().any(too_long) {
        return Err(Failure::no(format!("[METADATA MAXSIZE {ANNOTATION_VALUE_BYTES_MAX}] value is too long")));
    }
    let names: Vec<String> = set.entries.iter().map(|e| e.name.clone()).collect();
    let (mut here, mut own) = (None, true);
    let outcome = if set.mailbox.is_empty() {
        // Annotations of the server that all share are the operator's, in the cluster's config.
        if set.entries.iter().any(|a| a.name.starts_with("/shared/")) {
            return Err(Failure::no("[NOPERM] shared annotations of the server are its administrators'"));
        }
        s.mailbox()?.set_metadata(None, set.entries).await
    } else {
        let named = s.named(&set.mailbox).await?;
        let folder = named.folder().await?;
        (here, own) = (Some(folder.id), !named.mailbox.is_others());
        named.mailbox.set_metadata(here, set.entries).await
    };
    match outcome {
        Ok(()) => {
            if own {
                annotations::changed_here(s, here, names.into_iter());
            }
            Ok(Reply::Ok("SETMETADATA completed".into()))
        }
        Err(Error::Conflict(_)) => Err(Failure::no("[METADATA TOOMANY] too many annotations")),
        Err(e) => Err(e.into()),
    }
}

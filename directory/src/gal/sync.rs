//! The whole address list for clients that keep a copy.
//!
//! The directory does not know when an entry last changed, so what changed since a token cannot be told: the token is a
//! digest of the list. With the one of the list as it is, nothing is sent; with any other, all of it, and the client
//! drops what is not among it.

use super::fields::Contact;
use super::{Book, GalKind};
use crate::{Directory, Failure};
use zcluster_api::directory::Filter;
use zcluster_api::{Actor, DirectoryQuery};

/// Contacts of one list, where `zimbraGalSyncSizeLimit` says nothing.
const CONTACTS_MAX: usize = 30_000;

/// The list.
#[derive(Clone, Debug, Default)]
pub struct Sync {
    /// For the next time.
    pub token: String,
    /// The contacts are the whole list; otherwise nothing has changed.
    pub full: bool,
    /// The contacts, by name.
    pub contacts: Vec<Contact>,
}

impl Directory {
    /// The address list, unless it is still the one that `token` stands for. Another directory's part is not in it.
    ///
    /// # Errors
    /// `PERM_DENIED` (also where `zimbraFeatureGalSyncEnabled` is FALSE), `NO_SUCH_DOMAIN`, more contacts than
    /// `zimbraGalSyncSizeLimit`; the directory cannot be read.
    pub async fn gal_sync(&self, actor: Actor, domain: Option<&str>, token: Option<&str>) -> Result<Sync, Failure> {
        let book = self.book(actor, domain, "zimbraFeatureGalSyncEnabled").await?;
        let mut contacts = self.whole(&book).await?;
        contacts.sort_by(|a, b| (a.address(), a.id).cmp(&(b.address(), b.id)));
        let mut hasher = blake3::Hasher::new_derive_key("zcluster GAL: contacts; v1");
        for contact in &contacts {
            hasher.update(&contact.id.unwrap_or(zcluster_api::AccountId([0; 16])).0);
            for (field, value) in &contact.fields {
                for text in [field, value] {
                    hasher.update(&(text.len() as u64).to_le_bytes());
                    hasher.update(text.as_bytes());
                }
            }
            hasher.update(&[0xFF]);
        }
        let now = hasher.finalize().to_hex()[..32].to_string();
        match token == Some(now.as_str()) {
            true => Ok(Sync { token: now, full: false, contacts: Vec::new() }),
            false => Ok(Sync { token: now, full: true, contacts }),
        }
    }

    async fn whole(&self, book: &Book) -> Result<Vec<Contact>, Failure> {
        if !book.is_local() {
            return Ok(Vec::new());
        }
        let most = book.settings.get("zimbraGalSyncSizeLimit").and_then(|v| v.parse().ok()).unwrap_or(CONTACTS_MAX);
        let mut search = book.search(GalKind::All.kinds(), Filter::all());
        let mut out = Vec::new();
        loop {
            let page = self.read(DirectoryQuery::Search(Box::new(search.clone()))).await?.into_page()?;
            out.extend(page.objects.iter().filter(|o| book.has(o)).map(|o| book.map.contact(o)));
            if out.len() > most {
                let text = format!("more than {most} contacts (zimbraGalSyncSizeLimit)");
                return Err(Failure::new("service.TOO_MANY", text));
            }
            match page.next {
                Some(next) => search.after = Some(next),
                None => return Ok(out),
            }
        }
    }
}

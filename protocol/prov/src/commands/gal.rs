//! Commands about the global address list.

use super::Handlers;
use crate::call::Call;
use crate::prov::Prov;
use crate::reply::{Entry, Item, Reply};
use crate::{Outcome, usage};
use zcluster_api::directory::Attributes;
use zcluster_directory::Failure;
use zcluster_directory::gal::{Contact, GalKind, GalQuery};

pub(super) const HANDLERS: Handlers = &[
    ("searchGal", |p, c| Box::pin(find(p, c))),
    ("autoCompleteGal", |p, c| Box::pin(complete(p, c))),
    ("syncGal", |p, c| Box::pin(sync(p, c))),
];

/// `limit <limit> offset <offset> sortBy <attr>`: contacts come by name, whatever order is wished for.
fn query<'a>(call: &Call<'a>) -> Result<GalQuery<'a>, Failure> {
    let mut query = GalQuery { domain: Some(call.arg(0)), text: call.arg(1), kind: GalKind::All, limit: 0, offset: 0 };
    for pair in call.from(2).chunks(2) {
        let [name, value] = pair else { return Err(call.wrong()) };
        let number = || value.parse().map_err(|_| usage(format!("{value:?} is no number")));
        match name.to_ascii_lowercase().as_str() {
            "limit" => query.limit = number()?,
            "offset" => query.offset = number()?,
            "sortby" => {}
            other => return Err(usage(format!("unknown option {other:?}"))),
        }
    }
    // A star alone asks for everybody.
    query.text = query.text.trim_matches('*');
    Ok(query)
}

fn entry(contact: &Contact) -> Item {
    let mut attrs = Attributes::new();
    contact.fields.iter().for_each(|(name, value)| attrs.set(name, vec![value.clone()]));
    let name = contact.address().or_else(|| contact.fields.get("fullName").map(String::as_str)).unwrap_or_default();
    Item::Entry(Entry::new(name, &attrs, &[]))
}

async fn find(prov: &Prov, call: &Call<'_>) -> Outcome {
    let found = prov.directory.gal_search(prov.actor, query(call)?, prov.book.as_deref()).await?;
    Ok(Reply { items: found.contacts.iter().map(entry).collect(), more: None })
}

async fn complete(prov: &Prov, call: &Call<'_>) -> Outcome {
    let found = prov.directory.gal_autocomplete(prov.actor, query(call)?, prov.book.as_deref()).await?;
    Ok(Reply { items: found.contacts.iter().map(entry).collect(), more: None })
}

/// The whole list and its token; with a token of the list as it is, the token alone.
async fn sync(prov: &Prov, call: &Call<'_>) -> Outcome {
    let sync = prov.directory.gal_sync(prov.actor, Some(call.arg(0)), call.args.get(1).copied()).await?;
    let token = Item::Text(format!("# token = {}", sync.token));
    Ok(Reply { items: std::iter::once(token).chain(sync.contacts.iter().map(entry)).collect(), more: None })
}

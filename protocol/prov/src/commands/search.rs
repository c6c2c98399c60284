//! `searchAccounts`.

use super::Handlers;
use crate::call::Call;
use crate::prov::Prov;
use crate::reply::{Item, Reply};
use crate::show::{SORTED_MAX, search};
use crate::{Outcome, usage};
use zcluster_api::directory::{Kinds, Object};
use zcluster_directory::{Failure, filter_text};

pub(super) const HANDLERS: Handlers = &[("searchAccounts", |p, c| Box::pin(accounts(p, c)))];

/// What stands behind the filter.
#[derive(Default)]
struct Wishes<'a> {
    limit: Option<usize>,
    offset: Option<usize>,
    sort_by: Option<&'a str>,
    descending: bool,
    domain: Option<&'a str>,
}

impl<'a> Wishes<'a> {
    fn parse(words: &[&'a str]) -> Result<Wishes<'a>, Failure> {
        let mut wishes = Wishes::default();
        let number = |text: &str| text.parse().map_err(|_| usage(format!("{text:?} is no number")));
        for pair in words.chunks(2) {
            let [name, value] = pair else { return Err(usage(format!("{} has no value", pair[0]))) };
            match name.to_ascii_lowercase().as_str() {
                "limit" => wishes.limit = Some(number(value)?),
                "offset" => wishes.offset = Some(number(value)?),
                "sortby" => wishes.sort_by = Some(value),
                "sortascending" | "ascending" => {
                    wishes.descending = *value == "0" || value.eq_ignore_ascii_case("false");
                }
                "domain" => wishes.domain = Some(value),
                "attrs" => {}
                other => return Err(usage(format!("unknown option {other:?}"))),
            }
        }
        Ok(wishes)
    }

    fn is_plain(&self) -> bool {
        self.limit.is_none() && self.offset.is_none() && self.sort_by.is_none() && !self.descending
    }
}

/// Accounts, resources, lists and groups that the filter fits. Without limit, offset and order the answer comes in pages.
async fn accounts(prov: &Prov, call: &Call<'_>) -> Outcome {
    let filter =
        filter_text::parse(call.name()).map_err(|e| Failure::invalid(format!("invalid search filter: {e}")))?;
    let wishes = Wishes::parse(call.from(1))?;
    let search = search(Kinds::ACCOUNTS.and(Kinds::GROUPS), wishes.domain, filter);
    if wishes.is_plain() {
        return prov.list(call, search, &[]).await;
    }
    let mut found = prov.all(search, SORTED_MAX).await?;
    let key = |o: &Object| match wishes.sort_by {
        None | Some("name") => o.name.clone(),
        Some(attr) => o.attrs.get(attr).unwrap_or_default().to_lowercase(),
    };
    found.sort_by_cached_key(|o| (key(o), o.name.clone()));
    if wishes.descending {
        found.reverse();
    }
    let wanted =
        found.iter().skip(wishes.offset.unwrap_or(0)).take(wishes.limit.filter(|l| *l > 0).unwrap_or(usize::MAX));
    let mut reply = Reply::default();
    for object in wanted {
        reply.items.push(match call.has("-v") {
            true => Item::Entry(prov.entry(object, false, &[]).await?),
            false => Item::Text(object.name.clone()),
        });
    }
    Ok(reply)
}

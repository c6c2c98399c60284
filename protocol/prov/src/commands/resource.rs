//! Commands about calendar resources.

use super::{Handlers, Preparer, account, only};
use crate::Outcome;
use crate::call::Call;
use crate::prov::Prov;
use crate::show::search;
use zcluster_api::directory::{Filter, ObjectKind};

const RESOURCE: &[ObjectKind] = &[ObjectKind::Resource];

pub(super) const HANDLERS: Handlers = &[
    ("getCalendarResource", |p, c| Box::pin(get(p, c))),
    ("getAllCalendarResources", |p, c| Box::pin(get_all(p, c))),
    ("renameCalendarResource", |p, c| Box::pin(p.give_name(c, RESOURCE, None))),
    ("searchCalendarResources", |p, c| Box::pin(find(p, c))),
];

pub(super) const PREPARERS: &[(&str, Preparer)] = &[
    ("createCalendarResource", |p, c| Box::pin(account::create(p, c, ObjectKind::Resource))),
    ("modifyCalendarResource", |p, c| {
        Box::pin(async move {
            p.named(RESOURCE, None, c.name()).await?;
            account::modify(p, c).await
        })
    }),
    ("deleteCalendarResource", |p, c| {
        Box::pin(async move {
            p.named(RESOURCE, None, c.name()).await?;
            account::delete(p, c).await
        })
    }),
];

async fn get(prov: &Prov, call: &Call<'_>) -> Outcome {
    let resource = prov.named(RESOURCE, None, call.name()).await?;
    prov.shown(resource, call, call.from(1)).await
}

async fn get_all(prov: &Prov, call: &Call<'_>) -> Outcome {
    let domain = call.args.first().copied();
    let filter = call.value("-s").map_or_else(Filter::all, |server| Filter::equal("zimbraMailHost", server));
    prov.list(call, search(only(ObjectKind::Resource), domain, filter), &[]).await
}

/// `domain attr op value [attr op value...]`: all must hold.
async fn find(prov: &Prov, call: &Call<'_>) -> Outcome {
    let conditions = call.from(1);
    if conditions.is_empty() || !conditions.len().is_multiple_of(3) {
        return Err(call.wrong());
    }
    let domain = prov.named(&[ObjectKind::Domain], None, call.name()).await?;
    let filters = conditions.chunks(3).map(|c| condition(c[0], c[1], c[2]));
    let filter = Filter::And(filters.collect::<Option<_>>().ok_or_else(|| call.wrong())?);
    prov.list(call, search(only(ObjectKind::Resource), Some(&domain.name), filter), &[]).await
}

/// The comparisons of Zimbra's entry search filters.
fn condition(attr: &str, op: &str, value: &str) -> Option<Filter> {
    let substring = |initial: &str, any: Vec<String>, end: &str| Filter::Substring {
        attr: attr.into(),
        initial: initial.into(),
        any,
        end: end.into(),
    };
    Some(match op {
        "eq" => Filter::equal(attr, value),
        "has" => substring("", vec![value.into()], ""),
        "startswith" => substring(value, Vec::new(), ""),
        "endswith" => substring("", Vec::new(), value),
        "ge" => Filter::AtLeast(attr.into(), value.into()),
        "gt" => greater(attr, value),
        "le" => Filter::AtMost(attr.into(), value.into()),
        "lt" => less(attr, value),
        _ => return None,
    })
}

fn greater(attr: &str, value: &str) -> Filter {
    let not_equal = Filter::Not(Box::new(Filter::equal(attr, value)));
    Filter::And(vec![Filter::AtLeast(attr.into(), value.into()), not_equal])
}

fn less(attr: &str, value: &str) -> Filter {
    let not_equal = Filter::Not(Box::new(Filter::equal(attr, value)));
    Filter::And(vec![Filter::AtMost(attr.into(), value.into()), not_equal])
}

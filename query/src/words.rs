//! Conditions on text.

use crate::fields::{Comparison, Operator};
use crate::parser::Value;
use zcluster_api::search::{self, Words};
use zcluster_api::sort::SortBy;
use zcluster_api::{SearchExpr, TextField};

/// Words of a text, or how it compares with what messages are sorted by.
pub(crate) fn text(operator: &Operator, fields: &[TextField], value: &Value) -> SearchExpr {
    if let Some(is) = value.comparison.and_then(ordered) {
        let by = if operator.name == "from" { SortBy::DisplayFrom } else { SortBy::Subject };
        return SearchExpr::Compare { by, is, text: value.text.clone() };
    }
    let text = value.text.trim();
    if fields == [TextField::MessageId] {
        let id = text.trim_start_matches('<');
        let (id, more) = id.strip_suffix('*').map_or((id, false), |id| (id, true));
        return words(fields, id.trim_end_matches('>'), more, false);
    }
    let prefix = text.ends_with('*');
    let text = text.trim_end_matches('*');
    // `@*.example`: the place of the wildcard in an address does not matter, as hosts are words of their own.
    let inner = text.strip_prefix('@').filter(|host| host.starts_with('*')).unwrap_or(text);
    let rest = inner.trim_start_matches('*');
    let suffix = rest.len() < inner.len() && !rest.contains(char::is_whitespace);
    words(fields, rest.trim(), prefix, suffix)
}

/// Words with or without wildcards. With nothing to look for, everything.
pub(crate) fn words(fields: &[TextField], text: &str, prefix: bool, suffix: bool) -> SearchExpr {
    if text.is_empty() {
        return SearchExpr::All;
    }
    SearchExpr::Words(Words { fields: fields.to_vec(), text: text.to_owned(), prefix, suffix })
}

fn ordered(comparison: Comparison) -> Option<search::Comparison> {
    Some(match comparison {
        Comparison::Equal => return None,
        Comparison::Less => search::Comparison::Less,
        Comparison::LessOrEqual => search::Comparison::LessOrEqual,
        Comparison::Greater => search::Comparison::Greater,
        Comparison::GreaterOrEqual => search::Comparison::GreaterOrEqual,
    })
}

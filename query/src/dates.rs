//! Conditions on dates.

use crate::Context;
use crate::calendar::Calendar;
use crate::error::{Problem, shown};
use crate::fields::{Comparison, DateOf, DateOperator, Operator, Unit};
use crate::locale;
use crate::parser::Value;
use crate::tree::nothing;
use zcluster_api::SearchExpr;

/// How long an instant is that is given in milliseconds.
const SECOND_MS: i64 = 1_000;

pub(crate) fn condition(
    date: &DateOperator,
    operator: &Operator,
    value: &Value,
    context: &Context,
) -> Result<SearchExpr, Problem> {
    if date.compares.is_some() && value.comparison.is_some() {
        return Err(Problem::NoComparison(operator.name.clone()));
    }
    let text = locale::plain(value.text.trim().trim_end_matches(',')).to_lowercase();
    let (begin, end) = span(&text, date.unit, context)?;
    let (from_ms, to_ms) = match date.compares.or(value.comparison).unwrap_or(Comparison::Equal) {
        Comparison::Equal => (begin, end),
        Comparison::Less => (i64::MIN, begin),
        Comparison::LessOrEqual => (i64::MIN, end),
        Comparison::Greater => (end, i64::MAX),
        Comparison::GreaterOrEqual => (begin, i64::MAX),
    };
    Ok(match date.of {
        DateOf::Arrival => SearchExpr::Internal { from_ms, to_ms },
        DateOf::Saved => SearchExpr::Saved { from_ms, to_ms },
        DateOf::Nothing => nothing(),
    })
}

/// The unit of time that a value names, `[begin, end)`.
fn span(text: &str, unit: Unit, context: &Context) -> Result<(i64, i64), Problem> {
    let calendar = Calendar::new(context);
    let far = || Problem::DateOutOfReach(shown(text));
    match text {
        "today" => return calendar.around(calendar.today(), unit).ok_or_else(far),
        "yesterday" => {
            let day = calendar.today().pred_opt();
            return day.and_then(|day| calendar.around(day, unit)).ok_or_else(far);
        }
        _ => {}
    }
    if text.starts_with(['+', '-']) {
        let relative = relative(text).ok_or_else(|| bad(text, context))?;
        // Weeks, months and years are whole ones whatever the value names; days may be hours.
        let at_least = if unit == Unit::Day { Unit::Second } else { unit };
        let found = relative.count.and_then(|n| calendar.relative(n, relative.unit.unwrap_or(unit), at_least));
        return found.ok_or_else(far);
    }
    if let Some(day) = locale::year(text).filter(|_| unit == Unit::Year) {
        return calendar.around(day, unit).ok_or_else(far);
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        let at: i64 = text.parse().map_err(|_| far())?;
        return Ok((at, at.checked_add(SECOND_MS).ok_or_else(far)?));
    }
    let this_year = locale::year_of(calendar.today());
    let day = locale::day(text, locale::short(&context.locale), this_year).ok_or_else(|| bad(text, context))?;
    calendar.around(day, unit).ok_or_else(far)
}

fn bad(text: &str, context: &Context) -> Problem {
    Problem::BadDate(shown(text), locale::short(&context.locale).form)
}

/// So many units from now.
struct Relative {
    /// `None`: more than can be counted.
    count: Option<i64>,
    /// `None`: the operator's.
    unit: Option<Unit>,
}

fn relative(text: &str) -> Option<Relative> {
    let (sign, rest) = text.split_at(1);
    let at = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, unit) = rest.split_at(at);
    if digits.is_empty() {
        return None;
    }
    let unit = if unit.trim().is_empty() { None } else { Some(named(unit.trim())?) };
    let count = digits.parse::<i64>().ok().map(|count| if sign == "-" { -count } else { count });
    Some(Relative { count, unit })
}

/// Units by any beginning of their names that tells them apart: `mi` is a minute, `m` a month.
fn named(text: &str) -> Option<Unit> {
    let units = [
        ("minutes", 2, Unit::Minute),
        ("mins", 3, Unit::Minute),
        ("hours", 1, Unit::Hour),
        ("hrs", 2, Unit::Hour),
        ("days", 1, Unit::Day),
        ("weeks", 1, Unit::Week),
        ("months", 1, Unit::Month),
        ("years", 1, Unit::Year),
    ];
    let is = |(name, least, _): &&(&str, usize, Unit)| text.len() >= *least && name.starts_with(text);
    units.iter().find(is).map(|(_, _, unit)| *unit)
}

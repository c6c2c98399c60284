//! Days, weeks, months and years as a wall calendar in a time zone has them.

use crate::Context;
use crate::fields::Unit;
use chrono::{DateTime, Datelike, Days, LocalResult, NaiveDate, NaiveTime, TimeDelta, TimeZone, Timelike};
use chrono_tz::Tz;

/// Years that dates may have.
const YEARS: std::ops::RangeInclusive<i32> = 1..=9999;

/// A calendar, and what time it is.
pub(crate) struct Calendar {
    zone: Tz,
    now: DateTime<Tz>,
    /// Days from Sunday to the day on which weeks begin.
    first_day: u32,
}

impl Calendar {
    pub fn new(context: &Context) -> Calendar {
        let zone: Tz = context.zone.trim().parse().unwrap_or(Tz::UTC);
        let now = DateTime::from_timestamp_millis(context.now_ms).unwrap_or_default().with_timezone(&zone);
        Calendar { zone, now, first_day: u32::from(context.first_day_of_week % 7) }
    }

    pub fn today(&self) -> NaiveDate {
        self.now.date_naive()
    }

    /// The unit that a day lies in, Unix milliseconds, `[from, to)`. `None`: it is out of reach.
    pub fn around(&self, day: NaiveDate, unit: Unit) -> Option<(i64, i64)> {
        if !YEARS.contains(&day.year()) {
            return None;
        }
        let (first, next) = match unit {
            Unit::Week => {
                let back = (day.weekday().num_days_from_sunday() + 7 - self.first_day) % 7;
                let first = day.checked_sub_days(Days::new(back.into()))?;
                (first, first.checked_add_days(Days::new(7))?)
            }
            Unit::Month => (day.with_day(1)?, shift_months(day.with_day(1)?, 1)?),
            Unit::Year => (NaiveDate::from_ymd_opt(day.year(), 1, 1)?, NaiveDate::from_ymd_opt(day.year() + 1, 1, 1)?),
            _ => (day, day.succ_opt()?),
        };
        Some((self.begin(first), self.begin(next)))
    }

    /// The unit so many units from now, `[from, to)`. `None`: it is out of reach.
    pub fn relative(&self, count: i64, unit: Unit, at_least: Unit) -> Option<(i64, i64)> {
        let length = match unit {
            Unit::Second | Unit::Minute => TimeDelta::minutes(1),
            Unit::Hour => TimeDelta::hours(1),
            _ => return self.around(self.relative_day(count, unit)?, unit.max(at_least)),
        };
        let at = self.now.checked_add_signed(length.checked_mul(count.try_into().ok()?)?)?;
        if unit.max(at_least) > Unit::Hour {
            return self.around(at.date_naive(), at_least);
        }
        let minutes = if length == TimeDelta::hours(1) { at.minute() } else { 0 };
        // Within an hour on the wall, as zones are not whole hours apart.
        let into = i64::from(minutes) * 60_000 + i64::from(at.second()) * 1_000;
        let from = at.timestamp_millis() - i64::from(at.timestamp_subsec_millis()) - into;
        Some((from, from + length.num_milliseconds()))
    }

    fn relative_day(&self, count: i64, unit: Unit) -> Option<NaiveDate> {
        let today = self.today();
        match unit {
            Unit::Year => shift_months(today.with_day(1)?, count.checked_mul(12)?),
            Unit::Month => shift_months(today.with_day(1)?, count),
            Unit::Week => today.checked_add_signed(TimeDelta::try_days(count.checked_mul(7)?)?),
            _ => today.checked_add_signed(TimeDelta::try_days(count)?),
        }
    }

    /// When a day begins: at midnight, the first one where clocks go back over it; where they go forward over it, when they do.
    fn begin(&self, day: NaiveDate) -> i64 {
        let midnight = day.and_time(NaiveTime::MIN);
        match self.zone.from_local_datetime(&midnight) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at.timestamp_millis(),
            LocalResult::None => {
                // The first instant at which the wall shows midnight or later. No gap is longer than a day.
                let (mut before, mut after) = (midnight - TimeDelta::hours(48), midnight + TimeDelta::hours(48));
                while after - before > TimeDelta::milliseconds(1) {
                    let middle = before + (after - before) / 2;
                    let wall = self.zone.from_utc_datetime(&middle).naive_local();
                    if wall < midnight { before = middle } else { after = middle }
                }
                // Found to a nanosecond or so; zones change at whole seconds.
                (after.and_utc().timestamp_millis() + 500).div_euclid(1_000) * 1_000
            }
        }
    }
}

/// The first of the month, so many months away.
fn shift_months(first: NaiveDate, months: i64) -> Option<NaiveDate> {
    let month = (i64::from(first.year()) * 12 + i64::from(first.month0())).checked_add(months)?;
    let year: i32 = month.div_euclid(12).try_into().ok()?;
    NaiveDate::from_ymd_opt(year, month.rem_euclid(12) as u32 + 1, 1)
}

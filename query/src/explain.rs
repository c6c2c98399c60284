//! Conditions in a compact form for people: what a query has become.

use chrono::{DateTime, SecondsFormat};
use std::fmt::Write;
use zcluster_api::mailbox::Flags;
use zcluster_api::search::{Comparison, InFolder, Priority, Words};
use zcluster_api::sort::SortBy;
use zcluster_api::{SearchExpr, TextField};

/// One line; instants in UTC. It is for reading, not for parsing again.
pub fn explain(expr: &SearchExpr) -> String {
    let mut out = String::new();
    write(&mut out, expr);
    out
}

fn write(out: &mut String, expr: &SearchExpr) {
    match expr {
        SearchExpr::All => out.push_str("all"),
        SearchExpr::Not(inner) if **inner == SearchExpr::All => out.push_str("nothing"),
        SearchExpr::Not(inner) => {
            out.push_str("NOT ");
            write(out, inner);
        }
        SearchExpr::And(list) => joined(out, list, " AND "),
        SearchExpr::Or(list) => joined(out, list, " OR "),
        leaf => out.push_str(&self::leaf(leaf)),
    }
}

fn joined(out: &mut String, list: &[SearchExpr], with: &str) {
    out.push('(');
    for (at, expr) in list.iter().enumerate() {
        if at > 0 {
            out.push_str(with);
        }
        write(out, expr);
    }
    out.push(')');
}

fn leaf(expr: &SearchExpr) -> String {
    match expr {
        SearchExpr::Uids(set) => format!("uid:{set}"),
        SearchExpr::Flags(flags) => format!("flag:{}", flag_names(*flags)),
        SearchExpr::Keyword(name) => format!("tag:{name:?}"),
        SearchExpr::Larger(n) => format!("size>{n}"),
        SearchExpr::Smaller(n) => format!("size<{n}"),
        SearchExpr::Internal { from_ms, to_ms } => range("date", *from_ms, *to_ms),
        SearchExpr::Saved { from_ms, to_ms } => range("saved", *from_ms, *to_ms),
        SearchExpr::Sent { from_day, to_day } => format!("sent:[day {from_day}, day {to_day})"),
        SearchExpr::Header { name, text } => format!("header[{name}]~{text:?}"),
        SearchExpr::Text(text) => format!("text~{text:?}"),
        SearchExpr::Body(text) => format!("body~{text:?}"),
        SearchExpr::ModSeq(n) => format!("modseq>={n}"),
        SearchExpr::Email(item) => format!("email:{item}"),
        SearchExpr::Thread(item) => format!("conversation:{item}"),
        SearchExpr::In(at) => folder(at),
        SearchExpr::Words(words) => self::words(words),
        SearchExpr::Items(set) => format!("item:{set}"),
        SearchExpr::Attachment(types) => format!("attachment:{}", types.join("|")),
        SearchExpr::Priority(Priority::High) => "priority:high".into(),
        SearchExpr::Priority(Priority::Low) => "priority:low".into(),
        SearchExpr::ConversationSize { from, to: u32::MAX } if *from < u32::MAX => format!("messages>={from}"),
        SearchExpr::ConversationSize { from, to } => format!("messages:[{from}, {to})"),
        SearchExpr::Compare { by, is, text } => format!("{}{}{text:?}", sorted_by(*by), sign(*is)),
        SearchExpr::Recognised(what) => format!("has:{what}"),
        SearchExpr::All | SearchExpr::Not(_) | SearchExpr::And(_) | SearchExpr::Or(_) => String::new(),
    }
}

fn flag_names(flags: Flags) -> String {
    const OTHERS: [(&str, Flags); 4] = [
        ("\\Sent", Flags::SENT),
        ("\\Attached", Flags::ATTACHED),
        ("\\Unread", Flags::UNREAD),
        ("\\Popped", Flags::POPPED),
    ];
    let mut left = flags;
    let mut names: Vec<String> = Vec::new();
    for (name, flag) in Flags::NAMED.into_iter().chain(OTHERS) {
        if left.contains(flag) {
            names.push(name.to_owned());
            left = left.without(flag);
        }
    }
    if left.0 != 0 || names.is_empty() {
        names.push(format!("{:#x}", left.0));
    }
    names.join("&")
}

fn folder(at: &InFolder) -> String {
    let mut out = String::from(if at.below { "under:" } else { "in:" });
    if let Some(id) = at.id {
        let _ = write!(out, "#{id}");
    }
    match (at.id, at.path.is_empty()) {
        (Some(_), true) => {}
        (Some(_), false) => drop(write!(out, "/{:?}", at.path)),
        (None, _) => drop(write!(out, "{:?}", at.path)),
    }
    out
}

fn words(words: &Words) -> String {
    let fields: Vec<&str> = words.fields.iter().map(field).collect();
    let star = |yes| if yes { "*" } else { "" };
    format!("{}:{}{:?}{}", fields.join("|"), star(words.suffix), words.text, star(words.prefix))
}

fn field(field: &TextField) -> &str {
    match field {
        TextField::Content => "content",
        TextField::Subject => "subject",
        TextField::From => "from",
        TextField::To => "to",
        TextField::Cc => "cc",
        TextField::EnvelopeFrom => "envfrom",
        TextField::EnvelopeTo => "envto",
        TextField::MessageId => "msgid",
        TextField::FileName => "filename",
        TextField::Property(name) => name,
    }
}

fn sorted_by(by: SortBy) -> &'static str {
    match by {
        SortBy::Arrival => "arrival",
        SortBy::Cc => "cc",
        SortBy::Date => "date",
        SortBy::From | SortBy::DisplayFrom => "from",
        SortBy::Size => "size",
        SortBy::Subject => "subject",
        SortBy::To | SortBy::DisplayTo => "to",
    }
}

fn sign(is: Comparison) -> &'static str {
    match is {
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

fn range(name: &str, from_ms: i64, to_ms: i64) -> String {
    match (from_ms, to_ms) {
        (i64::MIN, i64::MAX) => format!("{name}:any"),
        (i64::MIN, to) => format!("{name}<{}", instant(to)),
        (from, i64::MAX) => format!("{name}>={}", instant(from)),
        (from, to) => format!("{name}:[{}, {})", instant(from), instant(to)),
    }
}

/// As short as it can be told.
fn instant(ms: i64) -> String {
    let Some(at) = DateTime::from_timestamp_millis(ms) else { return format!("{ms}ms") };
    match ms.rem_euclid(60_000) {
        0 => at.format("%Y-%m-%dT%H:%MZ").to_string(),
        rest if rest % 1_000 == 0 => at.to_rfc3339_opts(SecondsFormat::Secs, true),
        _ => at.to_rfc3339_opts(SecondsFormat::Millis, true),
    }
}

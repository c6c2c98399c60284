//! Queries and what they become, as text: `tests/queries/*.txt`.
//!
//! A line at the margin is a query; the indented one below it is its explained form, and the order where it asks for one;
//! or the error. `@` sets the context for what follows, `#` begins a remark, and `|` stands before a query that begins with
//! one of these or with white space. `\u{...}` is a character.
#![allow(missing_docs)]

use zcluster_query::{Context, explain, parse, text_fields};

/// Wednesday, 2031-04-16, 15:20:30 UTC.
const NOW_MS: i64 = 1_934_119_230_000;

fn context(settings: &str) -> Context {
    let mut context = Context {
        now_ms: NOW_MS,
        account: "6b1e7e0e-5f0a-4f0e-9d0c-3a1f2b4c5d6e".into(),
        own_addresses: vec!["ana@example.org".into(), "a.quill@example.net".into()],
        include_trash: true,
        include_junk: true,
        ..Context::default()
    };
    for setting in settings.split_whitespace() {
        let (name, value) = setting.split_once('=').unwrap();
        match name {
            "now" => context.now_ms = chrono::DateTime::parse_from_rfc3339(value).unwrap().timestamp_millis(),
            "zone" => context.zone = value.into(),
            "locale" => context.locale = value.into(),
            "week" => context.first_day_of_week = value.parse().unwrap(),
            "field" => context.default_field = text_fields(value).unwrap(),
            "trash" => context.include_trash = value == "in",
            "junk" => context.include_junk = value == "in",
            "own" => context.own_addresses.clear(),
            other => panic!("{other}"),
        }
    }
    context
}

fn unescaped(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line.strip_prefix('|').unwrap_or(line);
    while let Some((before, after)) = rest.split_once("\\u{") {
        let (code, after) = after.split_once('}').unwrap();
        out.push_str(before);
        out.push(char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap());
        rest = after;
    }
    out + rest
}

fn told(query: &str, context: &Context) -> String {
    match parse(query, context) {
        Ok(query) => {
            let order = query.order.map(|order| {
                let direction = if order.descending { "down" } else { "up" };
                format!("; {:?} {direction}", order.by)
            });
            explain(&query.expr) + &order.unwrap_or_default()
        }
        Err(error) => {
            assert_eq!(error.code(), "mail.QUERY_PARSE_ERROR");
            let reason = error.reason().map(|reason| format!(" {reason}")).unwrap_or_default();
            format!("error at {}{reason}: {error}", error.at)
        }
    }
}

/// Returns how many queries there were.
fn transcript(name: &str, text: &str) -> usize {
    let mut context = context("");
    let (mut count, mut wrong, mut as_it_is) = (0, 0, String::new());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        as_it_is.push_str(line);
        as_it_is.push('\n');
        if let Some(settings) = line.strip_prefix('@') {
            context = self::context(settings);
        }
        if line.is_empty() || line.starts_with(['@', '#']) {
            continue;
        }
        let expected = lines.next_if(|next| next.starts_with("    ")).map(str::trim_start);
        let found = told(&unescaped(line), &context);
        as_it_is.push_str(&format!("    {found}\n"));
        count += 1;
        if expected != Some(&found) {
            wrong += 1;
            println!("{name}: {line}\n  expected {}\n  found    {found}", expected.unwrap_or("nothing"));
        }
    }
    assert_eq!(wrong, 0, "{name} as it is:\n{as_it_is}");
    count
}

#[test]
fn operators() {
    assert!(transcript("operators", include_str!("queries/operators.txt")) > 100);
}

#[test]
fn shape() {
    assert!(transcript("shape", include_str!("queries/shape.txt")) > 50);
}

#[test]
fn dates() {
    assert!(transcript("dates", include_str!("queries/dates.txt")) > 100);
}

#[test]
fn places() {
    assert!(transcript("places", include_str!("queries/places.txt")) > 40);
}

#[test]
fn errors() {
    assert!(transcript("errors", include_str!("queries/errors.txt")) > 50);
}

#[test]
fn dates_as_java_writes_them() {
    let lines = include_str!("java_short_dates.tsv").lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for line in lines {
        let [locale, first, second] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let context = Context { locale: locale.into(), ..context("") };
        for (written, day) in [(first, "[2031-04-03T00:00Z, 2031-04-04"), (second, "[2030-12-31T00:00Z, 2031-01-01")] {
            let found = told(&format!("date:\"{written}\""), &context);
            assert!(found.contains(day), "{written} in {locale}: {found}");
        }
        count += 1;
    }
    assert!(count > 150);
}

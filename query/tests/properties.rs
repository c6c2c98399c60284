//! Any text is answered, and what queries mean is what an evaluator says that was written from the grammar alone.
#![allow(missing_docs)]

use proptest::prelude::*;
use zcluster_api::SearchExpr;
use zcluster_api::mailbox::Flags;
use zcluster_api::search::{InFolder, SEARCH_DEPTH_MAX, Words};
use zcluster_query::{CONDITIONS_MAX, Context, NODES_MAX, Problem, TEXT_CHARS_MAX, explain, parse};

const NOW_MS: i64 = 1_934_119_230_000;

fn context() -> Context {
    Context { now_ms: NOW_MS, own_addresses: vec!["a@b.example".into()], ..Context::default() }
}

/// Depth and nodes.
fn size(expr: &SearchExpr) -> (usize, usize) {
    let below = |list: &[SearchExpr]| {
        list.iter().map(size).fold((0, 1), |(depth, nodes), (d, n)| (depth.max(d + 1), nodes + n))
    };
    match expr {
        SearchExpr::And(list) | SearchExpr::Or(list) => below(list),
        SearchExpr::Not(inner) => below(std::slice::from_ref(inner)),
        _ => (0, 1),
    }
}

fn check(text: &str, context: &Context) -> Result<(), TestCaseError> {
    match parse(text, context) {
        Ok(query) => {
            let (depth, nodes) = size(&query.expr);
            prop_assert!(depth <= SEARCH_DEPTH_MAX && nodes <= NODES_MAX, "{} {}", depth, nodes);
            prop_assert!(query.conditions.iter().all(|c| matches!(c, SearchExpr::Words(_))));
            prop_assert!(!explain(&query.expr).is_empty());
        }
        Err(error) => {
            prop_assert!(text.is_char_boundary(error.at), "{} in {:?}", error.at, text);
            prop_assert!(!error.to_string().is_empty());
        }
    }
    Ok(())
}

/// Pieces that mean something to the parser, in any order.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "(", ")", "\"", "{", "}", ":", "-", "+", "!", " ", "\u{3000}", "*", "\\", "\\\"", "<", ">=", "=", ",", "--",
            "and", "or", "not", "&&", "||", "#", "field[", "]", "/", ".", "@",
        ]).prop_map(str::to_owned),
        4 => prop::sample::select(vec![
            "in:", "under:", "inid:", "underid:", "is:", "from:", "to:", "cc:", "tofrom:", "envto:", "subject:", "content:",
            "msgid:", "item:", "modseq:", "conv:", "conv-count:", "#x:", "field[y]:", "metadata:", "tag:", "priority:",
            "has:", "filename:", "attachment:", "type:", "size:", "larger:", "smaller:", "date:", "day:", "week:", "month:",
            "year:", "after:", "before:", "mdate:", "appt-start:", "sort:", "my:",
        ]).prop_map(str::to_owned),
        3 => prop::sample::select(vec![
            "inbox", "trash", "anywhere", "unread", "tome", "ana", "x@y.example", "10kb", "-3day", "+99999999999year", "today",
            "4/3/2031", "1934119230000", "9223372036854775807", "all", "{1,2--9}", "\\Flagged", "dateDesc", "image/*", "high",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => "[0-9]{1,25}",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_answered(text in any::<String>(), now_ms in any::<i64>(), week in any::<u8>()) {
        let context = Context { now_ms, first_day_of_week: week, zone: "America/Sao_Paulo".into(), ..context() };
        check(&text, &context)?;
    }

    #[test]
    fn any_pieces_are_answered(text in soup(), zone in "(UTC|Pacific/Apia|Asia/Kolkata)", locale in "(de|ja|en_US|ko)") {
        check(&text, &Context { zone, locale, ..context() })?;
    }

    #[test]
    fn any_date_is_answered(
        text in "[-+<>=]{0,2}[0-9]{0,12}(mi|h|d|w|m|y|day|/|-|\\.)?[0-9]{0,4}[/.-]?[0-9]{0,5},?",
        operator in "(date|week|month|year|after|before|mdate)",
        now_ms in -70_000_000_000_000i64..260_000_000_000_000,
        zone in 0..chrono_tz::TZ_VARIANTS.len(),
    ) {
        let zone = chrono_tz::TZ_VARIANTS[zone].name().to_owned();
        let context = Context { now_ms, zone, include_trash: true, include_junk: true, ..context() };
        let text = format!("{operator}:{text}");
        check(&text, &context)?;
        if let Ok(query) = parse(&text, &context)
            && let SearchExpr::Internal { from_ms, to_ms } | SearchExpr::Saved { from_ms, to_ms } = query.expr
        {
            prop_assert!(from_ms <= to_ms, "{} to {}", from_ms, to_ms);
        }
    }

    /// Days lie side by side in every zone, and a relative one is where an absolute one is.
    #[test]
    fn days_are_the_days_of_the_zone(days in 0i64..30_000, zone in 0..chrono_tz::TZ_VARIANTS.len()) {
        let zone = chrono_tz::TZ_VARIANTS[zone];
        let day = chrono::NaiveDate::from_ymd_opt(1960, 1, 1).unwrap() + chrono::TimeDelta::days(days);
        let span = |day: chrono::NaiveDate| {
            let context = Context { zone: zone.name().into(), include_trash: true, include_junk: true, ..context() };
            match parse(&format!("date:{}", day.format("%m/%d/%Y")), &context).unwrap().expr {
                SearchExpr::Internal { from_ms, to_ms } => (from_ms, to_ms),
                other => panic!("{other:?}"),
            }
        };
        let ((from, to), (next, _)) = (span(day), span(day.succ_opt().unwrap()));
        prop_assert_eq!(to, next);
        // All hours in it, but for those that the clocks show twice, are of that day.
        let mut hour = from;
        while hour < to {
            let at = chrono::DateTime::from_timestamp_millis(hour).unwrap().with_timezone(&zone);
            let before = chrono::DateTime::from_timestamp_millis(hour + 7_200_000).unwrap().with_timezone(&zone);
            prop_assert!(at.date_naive() == day || before.date_naive() == day, "{} is not on {}", at, day);
            hour += 1_800_000;
        }
        let now = chrono::DateTime::from_timestamp_millis(NOW_MS).unwrap().with_timezone(&zone).date_naive();
        let context = Context { zone: zone.name().into(), include_trash: true, include_junk: true, ..context() };
        let relative = format!("date:{:+}day", (day - now).num_days());
        let SearchExpr::Internal { from_ms, to_ms } = parse(&relative, &context).unwrap().expr else { panic!() };
        prop_assert_eq!((from_ms, to_ms), (from, to));
    }
}

// ---- What queries mean, from the grammar alone ----

#[derive(Clone, Debug)]
enum Leaf {
    Word(char),
    From(char),
    In(&'static str),
    Under(&'static str),
    Anywhere,
    Unread,
    Larger(u64),
    None,
}

#[derive(Clone, Debug)]
enum Query {
    Leaf(Leaf),
    Not(Box<Query>),
    And(Vec<Query>),
    Or(Vec<Query>),
}

#[derive(Clone, Debug)]
struct Message {
    words: Vec<char>,
    from: char,
    folder: &'static str,
    unread: bool,
    size: u64,
}

const FOLDERS: [&str; 6] = ["inbox", "trash", "trash/old", "junk", "work", "work/lists"];

fn below(folder: &str, above: &str) -> bool {
    above.is_empty() || folder == above || folder.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

impl Leaf {
    fn text(&self) -> String {
        match self {
            Leaf::Word(c) => c.to_string(),
            Leaf::From(c) => format!("from:{c}"),
            Leaf::In(folder) => format!("in:{folder}"),
            Leaf::Under(folder) => format!("under:\"/{folder}\""),
            Leaf::Anywhere => "is:anywhere".into(),
            Leaf::Unread => "is:unread".into(),
            Leaf::Larger(n) => format!("size:>{n}"),
            Leaf::None => "item:none".into(),
        }
    }
    fn holds(&self, message: &Message) -> bool {
        match self {
            Leaf::Word(c) => message.words.contains(c),
            Leaf::From(c) => message.from == *c,
            Leaf::In(folder) => message.folder == *folder,
            Leaf::Under(folder) => below(message.folder, folder),
            Leaf::Anywhere => true,
            Leaf::Unread => message.unread,
            Leaf::Larger(n) => message.size > *n,
            Leaf::None => false,
        }
    }
    fn names_a_place(&self) -> bool {
        matches!(self, Leaf::In(_) | Leaf::Anywhere) || matches!(self, Leaf::Under(folder) if !folder.is_empty())
    }
}

impl Query {
    /// As a user might type it: an and needs no parentheses within an or.
    fn text(&self, style: usize) -> String {
        let inner = |query: &Query, tight: bool| match query {
            Query::Leaf(_) | Query::Not(_) => query.text(style),
            Query::And(_) if !tight => query.text(style),
            _ => format!("({})", query.text(style)),
        };
        match self {
            Query::Leaf(leaf) => leaf.text(),
            Query::Not(query) => ["-", "!", "not ", "NOT  +"][style % 4].to_owned() + &inner(query, true),
            Query::And(list) => {
                let list: Vec<String> = list.iter().map(|query| inner(query, true)).collect();
                list.join([" ", " and ", " && ", "\u{a0}"][style % 4])
            }
            Query::Or(list) => {
                let list: Vec<String> = list.iter().map(|query| inner(query, false)).collect();
                list.join([" or ", " || ", " OR ", " Or "][style % 4])
            }
        }
    }

    /// All ways to fulfil it, each a list of conditions with what they have to be.
    fn ways(&self, wanted: bool) -> Vec<Vec<(Leaf, bool)>> {
        match (self, wanted) {
            (Query::Leaf(leaf), _) => vec![vec![(leaf.clone(), wanted)]],
            (Query::Not(query), _) => query.ways(!wanted),
            (Query::And(list), true) | (Query::Or(list), false) => {
                list.iter().map(|query| query.ways(wanted)).fold(vec![vec![]], |all, one| {
                    all.iter().flat_map(|a| one.iter().map(|b| [a.clone(), b.clone()].concat())).collect()
                })
            }
            (Query::And(list), false) | (Query::Or(list), true) => {
                list.iter().flat_map(|query| query.ways(wanted)).collect()
            }
        }
    }

    fn holds(&self, message: &Message) -> bool {
        let out = below(message.folder, "trash") || below(message.folder, "junk");
        self.ways(true).iter().any(|way| {
            let named = way.iter().any(|(leaf, wanted)| *wanted && leaf.names_a_place());
            (named || !out) && way.iter().all(|(leaf, wanted)| leaf.holds(message) == *wanted)
        })
    }
}

fn holds(expr: &SearchExpr, message: &Message) -> bool {
    match expr {
        SearchExpr::All => true,
        SearchExpr::And(list) => list.iter().all(|expr| holds(expr, message)),
        SearchExpr::Or(list) => list.iter().any(|expr| holds(expr, message)),
        SearchExpr::Not(expr) => !holds(expr, message),
        SearchExpr::Flags(Flags::UNREAD) => message.unread,
        SearchExpr::Larger(n) => message.size > *n,
        SearchExpr::Words(Words { fields, text, .. }) => match fields[0] {
            zcluster_api::TextField::From => message.from.to_string() == *text,
            _ => message.words.iter().any(|c| c.to_string() == *text),
        },
        SearchExpr::In(InFolder { id, path, below }) => {
            let start = match id.map(|id| id.0) {
                None | Some(1) => "",
                Some(2) => "inbox",
                Some(3) => "trash",
                Some(4) => "junk",
                other => panic!("{other:?}"),
            };
            let names: Vec<&str> = [start, path].into_iter().filter(|name| !name.is_empty()).collect();
            let folder = names.join("/");
            if *below { self::below(message.folder, &folder) } else { message.folder == folder }
        }
        other => panic!("{other:?}"),
    }
}

fn leaves() -> impl Strategy<Value = Query> {
    let folder = || prop::sample::select(FOLDERS.to_vec());
    prop_oneof![
        4 => prop::char::range('a', 'd').prop_map(Leaf::Word),
        2 => prop::char::range('w', 'z').prop_map(Leaf::From),
        3 => folder().prop_map(Leaf::In),
        2 => folder().prop_map(Leaf::Under),
        1 => Just(Leaf::Under("")),
        1 => Just(Leaf::Anywhere),
        1 => Just(Leaf::Unread),
        1 => (0u64..4).prop_map(Leaf::Larger),
        1 => Just(Leaf::None),
    ]
    .prop_map(Query::Leaf)
}

fn queries() -> impl Strategy<Value = Query> {
    leaves().prop_recursive(5, 14, 3, |inner| {
        let list = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            list().prop_map(Query::And),
            list().prop_map(Query::Or),
            inner.prop_map(|q| Query::Not(Box::new(q)))
        ]
    })
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let message = (
        prop::collection::vec(prop::char::range('a', 'd'), 0..4),
        prop::char::range('w', 'z'),
        prop::sample::select(FOLDERS.to_vec()),
        any::<bool>(),
        0u64..5,
    )
        .prop_map(|(words, from, folder, unread, size)| Message { words, from, folder, unread, size });
    prop::collection::vec(message, 30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn means_what_the_grammar_says(query in queries(), style in 0..4usize, messages in messages()) {
        let text = query.text(style);
        let parsed = parse(&text, &context());
        prop_assert!(parsed.is_ok(), "{}: {:?}", text, parsed);
        let expr = parsed.unwrap().expr;
        // Twice negated it is what it was, however it is negated.
        let twice = parse(&format!("-(not ({text}))"), &context()).unwrap().expr;
        let lifted = parse(&format!("is:anywhere -({text})"), &context()).unwrap().expr;
        for message in &messages {
            prop_assert_eq!(holds(&expr, message), query.holds(message), "{} for {:?}: {}", text, message, explain(&expr));
            prop_assert_eq!(holds(&twice, message), holds(&expr, message), "{}", text);
            let plain = query.ways(true).iter().any(|way| way.iter().all(|(leaf, wanted)| leaf.holds(message) == *wanted));
            prop_assert_eq!(holds(&lifted, message), !plain, "not {} for {:?}", text, message);
        }
    }
}

/// Ways that name a place, two levels deep beside others: `(c (in:trash or b) or a) (in:junk or d)`.
#[test]
fn places_named_far_down() {
    let word = |c| Query::Leaf(Leaf::Word(c));
    let either = |folder, c| Query::Or(vec![Query::Leaf(Leaf::In(folder)), word(c)]);
    let first = Query::Or(vec![Query::And(vec![word('c'), either("trash", 'b')]), word('a')]);
    let query = Query::And(vec![first, either("junk", 'd')]);
    let expr = parse(&query.text(0), &context()).unwrap().expr;
    for (folder, set) in FOLDERS.into_iter().flat_map(|folder| (0..16).map(move |set| (folder, set))) {
        let words = ('a'..='d').enumerate().filter(|(at, _)| set >> at & 1 == 1).map(|(_, c)| c).collect();
        let message = Message { words, from: 'w', folder, unread: false, size: 1 };
        assert_eq!(holds(&expr, &message), query.holds(&message), "{message:?}: {}", explain(&expr));
    }
}

#[test]
fn bounds() {
    let problem = |text: &str| parse(text, &context()).err().map(|error| error.problem);
    assert_eq!(problem(&"é".repeat(TEXT_CHARS_MAX)), None);
    assert_eq!(problem(&"é".repeat(TEXT_CHARS_MAX + 1)), Some(Problem::TooLong));
    assert_eq!(problem(&"a ".repeat(CONDITIONS_MAX)), None);
    assert_eq!(problem(&"a ".repeat(CONDITIONS_MAX + 1)), Some(Problem::TooMany));
    let nested = |n: usize| format!("{}a{}", "(".repeat(n), ")".repeat(n));
    assert_eq!(problem(&nested(SEARCH_DEPTH_MAX)), None);
    assert_eq!(problem(&nested(SEARCH_DEPTH_MAX + 1)), Some(Problem::TooDeep));
    assert_eq!(problem(&"(".repeat(TEXT_CHARS_MAX)), Some(Problem::TooDeep));
    assert_eq!(problem(&("-".repeat(TEXT_CHARS_MAX - 1) + "a")), None);
    // Parentheses that do nest conditions.
    let alternating = |n: usize| format!("{}a{}", "(b or c (".repeat(n), "))".repeat(n));
    assert_eq!(problem(&alternating(20)), None);
    assert_eq!(problem(&alternating(25)), Some(Problem::TooDeep));
    // A condition that is many.
    let own_addresses = (0..100).map(|n| format!("a{n}@b.example")).collect();
    let context = Context { own_addresses, ..context() };
    assert!(parse(&"is:tome is:read ".repeat(70), &context).is_ok());
    assert_eq!(parse(&"is:tome is:read ".repeat(100), &context).unwrap_err().problem, Problem::TooMany);
}

#[test]
fn words_to_be_shown() {
    let query = parse("lease -draft (from:ana or lease) subject:\"to sign\" is:unread in:inbox", &context()).unwrap();
    let shown: Vec<String> = query.conditions.iter().map(explain).collect();
    assert_eq!(shown, [r#"content:"lease""#, r#"from:"ana""#, r#"subject:"to sign""#]);
}

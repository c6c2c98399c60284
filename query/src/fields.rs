//! The operators by their names.

use zcluster_api::TextField;

/// An operator, as it was written and as it is meant.
#[derive(Clone, Debug)]
pub(crate) struct Operator {
    /// Lower case, without the colon.
    pub name: String,
    pub field: Field,
}

/// What an operator looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// `in:` and `under:`.
    Path {
        below: bool,
    },
    /// `inid:` and `underid:`.
    Folder {
        below: bool,
    },
    /// Senders and recipients: a value is needed.
    Who(Vec<TextField>),
    /// Other text.
    Text(Vec<TextField>),
    Is,
    Has,
    Tag,
    Priority,
    Type,
    Size(Option<Comparison>),
    Date(DateOperator),
    Item,
    ModSeq,
    Conversation,
    ConversationSize,
    Sort,
    /// Taken, and matches nothing.
    Nothing,
}

/// How values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A piece of time that dates name, the smallest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

/// An operator on dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DateOperator {
    /// Which date.
    pub of: DateOf,
    /// The unit of values that name none.
    pub unit: Unit,
    /// `before:` and `after:` compare by themselves.
    pub compares: Option<Comparison>,
}

/// Which date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DateOf {
    Arrival,
    Saved,
    /// Of an appointment.
    Nothing,
}

impl Operator {
    /// The operator of that name (any case, without the colon).
    pub fn named(name: &str) -> Option<Operator> {
        let name = name.to_lowercase();
        let field = field(&name)?;
        Some(Operator { name, field })
    }

    /// Values may begin with a sign.
    pub fn signed(&self) -> bool {
        use Field::*;
        matches!(self.field, Date(_) | Size(_) | Item | ModSeq | Conversation | ConversationSize | Nothing)
    }

    /// Values may have colons.
    pub fn colons(&self) -> bool {
        matches!(self.field, Field::Folder { .. } | Field::Item) || self.name == "msgid"
    }

    /// A comparison may stand before the value.
    pub fn comparable(&self) -> bool {
        use Field::*;
        matches!(self.field, Date(_) | Size(_) | ModSeq | ConversationSize) || self.compares_text()
    }

    /// It may be a comparison of what messages are sorted by.
    pub fn compares_text(&self) -> bool {
        matches!(self.name.as_str(), "from" | "subject")
    }
}

/// Where words of `SearchRequest/@field` are to be looked for: a text operator such as `subject:`, with or without its
/// colon. `None`: it is no text operator.
pub fn text_fields(operator: &str) -> Option<Vec<TextField>> {
    match field(&operator.trim().trim_end_matches(':').to_lowercase())? {
        Field::Who(fields) | Field::Text(fields) => Some(fields),
        _ => None,
    }
}

fn field(name: &str) -> Option<Field> {
    use TextField as T;
    let property = |name: &str| T::Property(name.to_owned());
    Some(match name {
        "in" => Field::Path { below: false },
        "under" => Field::Path { below: true },
        "inid" => Field::Folder { below: false },
        "underid" => Field::Folder { below: true },
        "from" => Field::Who(vec![T::From]),
        "to" => Field::Who(vec![T::To]),
        "cc" => Field::Who(vec![T::Cc]),
        "tofrom" => Field::Who(vec![T::To, T::From]),
        "tocc" => Field::Who(vec![T::To, T::Cc]),
        "fromcc" => Field::Who(vec![T::From, T::Cc]),
        "tofromcc" => Field::Who(vec![T::To, T::From, T::Cc]),
        "envfrom" => Field::Who(vec![T::EnvelopeFrom]),
        "envto" => Field::Who(vec![T::EnvelopeTo]),
        "subject" => Field::Text(vec![T::Subject]),
        "content" => Field::Text(vec![T::Content]),
        "msgid" => Field::Text(vec![T::MessageId]),
        "filename" => Field::Text(vec![T::FileName]),
        "author" | "title" | "keywords" | "company" => Field::Text(vec![property(name)]),
        "metadata" => Field::Text(["author", "title", "keywords", "company"].map(property).to_vec()),
        "is" => Field::Is,
        "has" => Field::Has,
        "tag" => Field::Tag,
        "priority" => Field::Priority,
        "attachment" | "type" => Field::Type,
        "size" => Field::Size(None),
        "larger" | "bigger" => Field::Size(Some(Comparison::Greater)),
        "smaller" => Field::Size(Some(Comparison::Less)),
        "item" => Field::Item,
        "modseq" => Field::ModSeq,
        "conv" => Field::Conversation,
        "conv-count" => Field::ConversationSize,
        "sort" | "sortby" => Field::Sort,
        "contact" | "message" | "my" | "conv-minm" | "conv-maxm" => Field::Nothing,
        _ if structured(name) => Field::Nothing,
        _ => Field::Date(date_operator(name)?),
    })
}

/// `field[NAME]` and `#NAME`.
fn structured(name: &str) -> bool {
    let inside = name.strip_prefix('#').or_else(|| name.strip_prefix("field[")?.strip_suffix(']'));
    inside.is_some_and(|name| !name.is_empty() && !name.contains(['[', ']', '#']))
}

fn date_operator(name: &str) -> Option<DateOperator> {
    let (of, unit, compares) = match name {
        "date" | "day" | "conv-start" | "conv-end" => (DateOf::Arrival, Unit::Day, None),
        "week" => (DateOf::Arrival, Unit::Week, None),
        "month" => (DateOf::Arrival, Unit::Month, None),
        "year" => (DateOf::Arrival, Unit::Year, None),
        "after" => (DateOf::Arrival, Unit::Day, Some(Comparison::Greater)),
        "before" => (DateOf::Arrival, Unit::Day, Some(Comparison::Less)),
        "mdate" => (DateOf::Saved, Unit::Day, None),
        "appt-start" | "appt-end" => (DateOf::Nothing, Unit::Day, None),
        _ => return None,
    };
    Some(DateOperator { of, unit, compares })
}

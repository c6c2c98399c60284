//! Prints envelopes and structures in IMAP's syntax (RFC 3501 §9), to compare with what the RFCs and other servers show.

use zcluster_mail::{Address, Envelope, Param, Part, PartKind, Raw};

fn string(v: &Raw) -> String {
    format!("\"{}\"", v.to_text().replace('\\', "\\\\").replace('"', "\\\""))
}

fn nstring(v: Option<&Raw>) -> String {
    v.map_or("NIL".into(), string)
}

fn addresses(list: &[Address]) -> String {
    if list.is_empty() {
        return "NIL".into();
    }
    let one = |a: &Address| {
        let fields = [&a.name, &a.adl, &a.mailbox, &a.host].map(|f| nstring(f.as_ref()));
        format!("({})", fields.join(" "))
    };
    format!("({})", list.iter().map(one).collect::<String>())
}

pub fn envelope(e: &Envelope) -> String {
    let lists = [&e.from, &e.sender, &e.reply_to, &e.to, &e.cc, &e.bcc].map(|l| addresses(l));
    format!(
        "({} {} {} {} {})",
        nstring(e.date.as_ref()),
        nstring(e.subject.as_ref()),
        lists.join(" "),
        nstring(e.in_reply_to.as_ref()),
        nstring(e.message_id.as_ref())
    )
}

fn params(list: &[Param]) -> String {
    if list.is_empty() {
        return "NIL".into();
    }
    let words: Vec<_> = list.iter().flat_map(|p| [string(&p.name), string(&p.value)]).collect();
    format!("({})", words.join(" "))
}

/// BODY, or BODYSTRUCTURE when `extended`.
pub fn structure(p: &Part, extended: bool) -> String {
    let disposition =
        p.disposition.as_ref().map_or("NIL".into(), |d| format!("({} {})", string(&d.kind), params(&d.params)));
    let language = match p.language.as_slice() {
        [] => "NIL".into(),
        [one] => string(one),
        many => format!("({})", many.iter().map(string).collect::<Vec<_>>().join(" ")),
    };
    let tail = format!("{disposition} {language} {}", nstring(p.location.as_ref()));
    if let PartKind::Multipart(parts) = &p.kind {
        let inner: String = parts.iter().map(|p| structure(p, extended)).collect();
        let tail = if extended { format!(" {} {tail}", params(&p.params)) } else { String::new() };
        return format!("({inner} {}{tail})", string(&p.subtype));
    }
    let mut out = format!(
        "({} {} {} {} {} {} {}",
        string(&p.media_type),
        string(&p.subtype),
        params(&p.params),
        nstring(p.id.as_ref()),
        nstring(p.description.as_ref()),
        string(p.encoding.as_ref().unwrap_or(&"7bit".into())),
        p.size()
    );
    if let PartKind::Message { root, .. } = &p.kind {
        let e = p.envelope().unwrap_or_default();
        out += &format!(" {} {} {}", envelope(&e), structure(root, extended), p.lines);
    } else if p.is_type("text") {
        out += &format!(" {}", p.lines);
    }
    if extended {
        out += &format!(" {} {tail}", nstring(p.md5.as_ref()));
    }
    out + ")"
}

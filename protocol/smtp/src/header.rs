//! The header of a submitted message: what must not leave goes, what is missing comes (RFC 6409 §8).

use zcluster_mail::{Field, addresses, fields};

/// What the header says that matters here.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Message-ID is there.
    pub message_id: bool,
    /// Date is there.
    pub date: bool,
    /// Received fields.
    pub hops: usize,
    /// The addresses in From.
    pub from: Vec<String>,
    /// The first address in Sender.
    pub sender: Option<String>,
}

impl Seen {
    /// Looks at a message.
    pub fn of(message: &[u8]) -> Self {
        let mut seen = Seen::default();
        for field in fields(message) {
            seen.message_id |= field.is("Message-ID");
            seen.date |= field.is("Date");
            seen.hops += usize::from(field.is("Received"));
            if field.is("From") {
                seen.from.extend(addresses(field.value).iter().filter_map(|a| a.addr_spec()));
            } else if field.is("Sender") && seen.sender.is_none() {
                seen.sender = addresses(field.value).iter().find_map(|a| a.addr_spec());
            }
        }
        seen
    }
}

/// What a message gets.
#[derive(Debug, Default)]
pub struct Additions {
    /// Date, in RFC 5322's form.
    pub date: Option<String>,
    /// Message-ID, without its brackets.
    pub message_id: Option<String>,
    /// From.
    pub from: Option<String>,
    /// Sender, in the place of any that is there.
    pub sender: Option<String>,
}

/// The message with its header put in order; `None` when it is already. Bcc goes (RFC 5322 §3.6.3), and a Return-Path
/// that only final delivery writes (RFC 5321 §4.4).
pub fn complete(message: &[u8], additions: &Additions) -> Option<Vec<u8>> {
    let goes = |field: &Field<'_>| {
        ["Bcc", "Resent-Bcc", "Return-Path"].iter().any(|name| field.is(name))
            || (additions.sender.is_some() && field.is("Sender"))
    };
    let mut front = String::new();
    let fields_to_add = [
        ("Date", additions.date.clone()),
        ("Message-ID", additions.message_id.as_ref().map(|id| format!("<{id}>"))),
        ("From", additions.from.clone()),
        ("Sender", additions.sender.clone()),
    ];
    for (name, value) in fields_to_add {
        if let Some(value) = value {
            front.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    if front.is_empty() && !fields(message).any(|f| goes(&f)) {
        return None;
    }
    let mut out = Vec::with_capacity(message.len() + front.len());
    out.extend_from_slice(front.as_bytes());
    let mut end = 0;
    for field in fields(message) {
        end += field.raw.len();
        if !goes(&field) {
            out.extend_from_slice(field.raw);
        }
    }
    out.extend_from_slice(message.get(end..).unwrap_or_default());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn header_is_read_to_its_end_only() {
        let seen = Seen::of(
            b"Received: a\r\nreceived: b\r\nDATE: x\r\nFrom: A <a@b>, c@d\r\nSender: e@f\r\n\r\nMessage-ID: <a@b>\r\n",
        );
        let (from, sender) = (vec!["a@b".to_string(), "c@d".into()], Some("e@f".into()));
        assert_eq!(seen, Seen { message_id: false, date: true, hops: 2, from, sender });
    }

    #[test]
    fn fields_go_and_come() {
        let message = b"Subject: a\r\nBCC: x@y,\r\n z@y\r\nSender: old@x\r\nReturn-Path: <q@r>\r\n\r\nBcc: body\r\n";
        let sender = Additions { sender: Some("me@x".into()), ..Additions::default() };
        let got = complete(message, &sender).unwrap();
        assert_eq!(got, b"Sender: me@x\r\nSubject: a\r\n\r\nBcc: body\r\n", "{}", got.escape_ascii());
        let got = complete(message, &Additions::default()).unwrap();
        assert_eq!(got, b"Subject: a\r\nSender: old@x\r\n\r\nBcc: body\r\n");
        assert_eq!(complete(b"Subject: a\r\n\r\nBcc: body\r\n", &Additions::default()), None);
        let all = Additions {
            date: Some("D".into()),
            message_id: Some("i@h".into()),
            from: Some("f@x".into()),
            ..Additions::default()
        };
        assert_eq!(complete(b"\r\nx", &all).unwrap(), b"Date: D\r\nMessage-ID: <i@h>\r\nFrom: f@x\r\n\r\nx");
    }

    proptest! {
        #[test]
        fn what_stays_stays_as_it_is(
            names in proptest::collection::vec(prop_oneof![Just("Bcc"), Just("To"), Just("Sender"), Just("x")], 0..6),
            body in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut message: Vec<u8> = names.iter().flat_map(|n| format!("{n}: v\r\n\tw\r\n").into_bytes()).collect();
            message.extend_from_slice(b"\r\n");
            message.extend_from_slice(&body);
            let kept: Vec<u8> = names.iter().filter(|n| **n != "Bcc").flat_map(|n| format!("{n}: v\r\n\tw\r\n").into_bytes())
                .chain(b"\r\n".iter().copied()).chain(body.iter().copied()).collect();
            let got = complete(&message, &Additions::default()).unwrap_or_else(|| message.clone());
            prop_assert_eq!(got, kept);
        }

        #[test]
        fn never_panics(message in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Seen::of(&message);
            let _ = complete(&message, &Additions { sender: Some("a@b".into()), ..Additions::default() });
        }
    }
}

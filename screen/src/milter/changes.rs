//! What milters change in a message.

use bytes::Bytes;
use zcluster_mail::fields;

/// One change. Values have their lines ended by LF, as milters write them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A field after all others.
    Add {
        /// Its name.
        name: String,
        /// Its value.
        value: Vec<u8>,
    },
    /// A field before the one at this place (0: the topmost).
    Insert {
        /// The place.
        at: usize,
        /// Its name.
        name: String,
        /// Its value.
        value: Vec<u8>,
    },
    /// Another value for the field that is the `at`th (from 1) of its name; without a value it goes.
    Replace {
        /// Which.
        at: usize,
        /// Its name.
        name: String,
        /// Its value.
        value: Vec<u8>,
    },
    /// The body from here on; several follow each other.
    Body(Vec<u8>),
}

/// The message with the changes, in their order. `leading_space`: values begin with what stands after the colon.
pub fn apply(raw: &Bytes, changes: Vec<Change>, leading_space: bool) -> Bytes {
    let mut header: Vec<(Vec<u8>, Vec<u8>)> =
        fields(raw).map(|field| (field.name.to_vec(), field.raw.to_vec())).collect();
    let header_bytes: usize = header.iter().map(|(_, raw)| raw.len()).sum();
    let field = |name: String, value: Vec<u8>| {
        let mut line = name.clone().into_bytes();
        line.push(b':');
        if !leading_space {
            line.push(b' ');
        }
        for (i, piece) in value.split(|b| *b == b'\n').enumerate() {
            let piece = piece.strip_suffix(b"\r").unwrap_or(piece);
            if i > 0 {
                line.extend_from_slice(b"\r\n");
                // A line that does not continue the value would end the field, or the header.
                if !piece.starts_with(b" ") && !piece.starts_with(b"\t") {
                    line.push(b'\t');
                }
            }
            line.extend(piece.iter().filter(|b| !matches!(b, b'\r' | 0)));
        }
        line.extend_from_slice(b"\r\n");
        (name.into_bytes(), line)
    };
    let mut body: Option<Vec<u8>> = None;
    for change in changes {
        match change {
            Change::Add { name, value } => header.push(field(name, value)),
            Change::Insert { at, name, value } => header.insert(at.min(header.len()), field(name, value)),
            Change::Replace { at, name, value } => {
                let same = |(_, (n, _)): &(usize, &(Vec<u8>, Vec<u8>))| n.eq_ignore_ascii_case(name.as_bytes());
                let place = header.iter().enumerate().filter(same).nth(at.max(1) - 1).map(|(place, _)| place);
                match (place, value.is_empty()) {
                    (Some(place), true) => drop(header.remove(place)),
                    (Some(place), false) => header[place] = field(name, value),
                    (None, true) => {}
                    (None, false) => header.push(field(name, value)),
                }
            }
            Change::Body(piece) => body.get_or_insert_default().extend_from_slice(&piece),
        }
    }
    let mut out: Vec<u8> = header.into_iter().flat_map(|(_, raw)| raw).collect();
    let rest = &raw[header_bytes..];
    match body {
        None if rest.is_empty() || rest.starts_with(b"\r\n") || rest.starts_with(b"\n") => out.extend_from_slice(rest),
        // A header that ends without an empty line.
        None => out.extend_from_slice(&[b"\r\n", rest].concat()),
        Some(body) => out.extend_from_slice(&[b"\r\n", &body[..]].concat()),
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn add(name: &str, value: &str) -> Change {
        Change::Add { name: name.into(), value: value.into() }
    }
    fn replace(at: usize, name: &str, value: &str) -> Change {
        Change::Replace { at, name: name.into(), value: value.into() }
    }
    fn insert(at: usize, name: &str, value: &str) -> Change {
        Change::Insert { at, name: name.into(), value: value.into() }
    }

    #[test]
    fn fields_are_added_inserted_replaced_and_removed() {
        let raw = Bytes::from_static(b"A: 1\r\nB: 2\r\n 3\r\na: 4\r\n\r\nbody\r\n");
        let after = |changes| String::from_utf8(apply(&raw, changes, false).to_vec()).unwrap();
        assert_eq!(after(vec![add("C", "5\n\t6")]), "A: 1\r\nB: 2\r\n 3\r\na: 4\r\nC: 5\r\n\t6\r\n\r\nbody\r\n");
        assert_eq!(after(vec![insert(0, "X", "y")]), "X: y\r\nA: 1\r\nB: 2\r\n 3\r\na: 4\r\n\r\nbody\r\n");
        assert_eq!(
            after(vec![insert(1, "X", "y"), insert(99, "Z", "z")]),
            "A: 1\r\nX: y\r\nB: 2\r\n 3\r\na: 4\r\nZ: z\r\n\r\nbody\r\n"
        );
        assert_eq!(after(vec![replace(2, "a", "9"), replace(1, "b", "")]), "A: 1\r\na: 9\r\n\r\nbody\r\n");
        assert_eq!(after(vec![replace(3, "a", "")]), after(vec![]));
        assert_eq!(
            after(vec![Change::Body(b"x".to_vec()), Change::Body(b"y\r\n".to_vec())]),
            "A: 1\r\nB: 2\r\n 3\r\na: 4\r\n\r\nxy\r\n"
        );
    }

    #[test]
    fn values_keep_their_space_when_it_was_agreed() {
        let raw = Bytes::from_static(b"A:1\r\n\r\n");
        assert_eq!(&apply(&raw, vec![add("B", "2"), add("C", " 3")], true)[..], b"A:1\r\nB:2\r\nC: 3\r\n\r\n");
    }

    fn change() -> impl Strategy<Value = Change> {
        let field = ("[A-C]{1,2}", "[a-z \r\n\0:]{0,12}", 0..5usize);
        prop_oneof![
            field.clone().prop_map(|(n, v, _)| add(&n, &v)),
            field.clone().prop_map(|(n, v, at)| insert(at, &n, &v)),
            field.prop_map(|(n, v, at)| replace(at, &n, &v)),
            prop::collection::vec(any::<u8>(), 0..10).prop_map(Change::Body),
        ]
    }

    proptest! {
        #[test]
        fn no_value_breaks_out_of_its_field(changes in prop::collection::vec(change(), 0..8)) {
            let raw = Bytes::from_static(b"A: 1\r\nB: 2\r\n\r\nbody\r\n");
            let inserted = changes.iter().filter(|c| !matches!(c, Change::Body(_))).count();
            let has_body = changes.iter().any(|c| matches!(c, Change::Body(_)));
            let changed = apply(&raw, changes, false);
            prop_assert!(fields(&changed).count() <= 2 + inserted);
            prop_assert!(fields(&changed).all(|f| matches!(f.name, [b'A'..=b'C'] | [b'A'..=b'C', b'A'..=b'C'])));
            prop_assert!(has_body || changed.ends_with(b"\r\n\r\nbody\r\n"));
        }
        #[test]
        fn any_message_can_be_changed(raw in prop::collection::vec(any::<u8>(), 0..60), changes in prop::collection::vec(change(), 0..8)) {
            apply(&raw.into(), changes, true);
        }
    }
}

//! LDIF (RFC 2849): entries and changes as text, read and written record by record in bounded memory.
//!
//! Values that a file names by URL (`attr:< file:...`) are refused: what is read comes from the file alone.

mod reader;
mod writer;

pub use reader::{LdifError, Reader};
pub use writer::Writer;

/// Bytes of one line, folds joined: the largest value that the directory takes, in base64, and some.
pub const LINE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of one record.
pub const RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Lines of one record.
pub const RECORD_LINES_MAX: usize = 500_000;

/// An attribute's description (name and options) and one value.
pub type Line = (String, Vec<u8>);

/// One record of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Line of the file where it begins, from 1.
    pub line: u64,
    /// Whose, as it is written.
    pub dn: String,
    /// What of it.
    pub what: What,
}

/// What a record says of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It has these values.
    Content(Vec<Line>),
    /// `changetype: add`.
    Add(Vec<Line>),
    /// `changetype: delete`.
    Delete,
    /// `changetype: modify`.
    Modify(Vec<Mod>),
    /// `changetype: modrdn` or `moddn`.
    Rename {
        /// New first part of its name.
        new_rdn: String,
        /// Whether the old one's values go.
        delete_old: bool,
        /// New place in the tree.
        new_superior: Option<String>,
    },
}

/// A change to one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mod {
    /// How.
    pub kind: ModKind,
    /// Attribute's description.
    pub attr: String,
    /// Values; none to delete or replace all.
    pub values: Vec<Vec<u8>>,
}

/// How an attribute changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModKind {
    /// Values come.
    Add,
    /// Values go.
    Delete,
    /// These values and no others.
    Replace,
    /// RFC 4525.
    Increment,
}

impl ModKind {
    const ALL: [(ModKind, &'static str); 4] = [
        (ModKind::Add, "add"),
        (ModKind::Delete, "delete"),
        (ModKind::Replace, "replace"),
        (ModKind::Increment, "increment"),
    ];

    /// The word in a file.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, word)| word)
    }

    fn of(word: &str) -> Option<ModKind> {
        Self::ALL.iter().find(|(_, w)| w.eq_ignore_ascii_case(word)).map(|(kind, _)| *kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(records: &[Record]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new()).unwrap();
        records.iter().for_each(|r| writer.record(&r.dn, &r.what).unwrap());
        writer.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> Result<Vec<Record>, LdifError> {
        let mut reader = Reader::new(bytes);
        let mut out = Vec::new();
        while let Some(record) = reader.next()? {
            out.push(record);
        }
        Ok(out)
    }

    fn value() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            "[ -~]{0,200}".prop_map(String::into_bytes),
            "\\PC{0,40}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..120),
        ]
    }

    fn line() -> impl Strategy<Value = Line> {
        ("x[a-zA-Z0-9-]{0,10}(;binary)?", value())
    }

    fn what() -> impl Strategy<Value = What> {
        let modify = (0usize..4, "x[a-z]{0,8}", prop::collection::vec(value(), 0..3));
        let modify = modify.prop_map(|(kind, attr, values)| Mod { kind: ModKind::ALL[kind].0, attr, values });
        prop_oneof![
            prop::collection::vec(line(), 1..6).prop_map(What::Content),
            prop::collection::vec(line(), 1..6).prop_map(What::Add),
            Just(What::Delete),
            prop::collection::vec(modify, 1..4).prop_map(What::Modify),
            ("[a-z]=\\PC{1,10}", any::<bool>(), prop::option::of("dc=[a-z]{1,5}"))
                .prop_map(|(new_rdn, delete_old, new_superior)| What::Rename { new_rdn, delete_old, new_superior }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(list in prop::collection::vec(("uid=\\PC{1,30},dc=x", what()), 0..5)) {
            let records: Vec<Record> = list.into_iter().map(|(dn, what)| Record { line: 0, dn, what }).collect();
            let text = written(&records);
            prop_assert!(text.split(|b| *b == b'\n').all(|line| line.len() <= 76 && line.is_ascii()));
            let mut back = read(&text).unwrap();
            back.iter_mut().for_each(|r| r.line = 0);
            prop_assert_eq!(back, records);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = Reader::new(&bytes[..]);
            // Each call gets further; the end comes.
            let calls = (0..=bytes.len() + 1).take_while(|_| !matches!(reader.next(), Ok(None))).count();
            prop_assert!(calls <= bytes.len() + 1);
        }

        #[test]
        fn any_lines_are_read_or_refused(text in "((dn|version|changetype|add|-|#c|a|newrdn)?(: |:: |:< |)[a-z=0-9 ]{0,8}\r?\n ?){0,12}") {
            let mut reader = Reader::new(text.as_bytes());
            let calls = (0..=text.len() + 1).take_while(|_| !matches!(reader.next(), Ok(None))).count();
            prop_assert!(calls <= text.len() + 1);
        }
    }
}

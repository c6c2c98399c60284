//! Lines of a script, and the words of a line, as a shell reads them.

/// Bytes of one line at most, its continuations included.
pub const LINE_BYTES_MAX: usize = 512 * 1024;

/// A command of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it begins; the first line is 1.
    pub number: usize,
    /// Its words: never none.
    pub words: Vec<String>,
}

/// Puts the lines of a script together: comments and empty lines are passed over, a backslash at the end or an open quote
/// goes on in the next line.
#[derive(Debug, Default)]
pub struct Script {
    read: usize,
    begun: Option<(usize, String)>,
}

impl Script {
    /// Takes one line, its end left out; a command, if one is complete by it.
    ///
    /// # Errors
    /// The number of the line where it began, and what is wrong. What follows may be the rest of it.
    pub fn push(&mut self, line: &str) -> Result<Option<Line>, (usize, String)> {
        self.read += 1;
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (number, mut text) = match self.begun.take() {
            Some((number, before)) => (number, before + line),
            None if line.trim_start().starts_with('#') => return Ok(None),
            None => (self.read, line.to_string()),
        };
        if text.len() > LINE_BYTES_MAX {
            return Err((number, format!("a line of more than {LINE_BYTES_MAX} bytes")));
        }
        match split(&text) {
            Split::Words(words) if words.is_empty() => Ok(None),
            Split::Words(words) => Ok(Some(Line { number, words })),
            Split::Continues => {
                text.pop();
                self.begun = Some((number, text));
                Ok(None)
            }
            Split::Open => {
                text.push('\n');
                self.begun = Some((number, text));
                Ok(None)
            }
        }
    }

    /// Whether a command is begun and not complete.
    pub fn is_open(&self) -> bool {
        self.begun.is_some()
    }

    /// The end: what is begun must not be.
    ///
    /// # Errors
    /// The number of the line where a command begins that does not end.
    pub fn end(self) -> Result<Option<Line>, (usize, String)> {
        let Some((number, text)) = self.begun else { return Ok(None) };
        match split(text.trim_end_matches('\n')) {
            Split::Words(words) if !words.is_empty() => Ok(Some(Line { number, words })),
            Split::Words(_) => Ok(None),
            Split::Continues | Split::Open => Err((number, "a quote that does not end".into())),
        }
    }
}

/// What a text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Split {
    /// Complete.
    Words(Vec<String>),
    /// It ends with a backslash: the next line follows directly.
    Continues,
    /// A quote is open: the next line follows behind a line break.
    Open,
}

/// Splits a text at spaces. Single quotes keep everything; within double quotes a backslash escapes `"`, `\`, `$` and
/// `` ` ``, elsewhere any character. `#` is a character like others: a colour may be the value of an attribute.
pub fn split(text: &str) -> Split {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c),
                        None => return Split::Open,
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('\\') => match chars.next() {
                            Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                            Some('\n') => {}
                            Some(c) => word.extend(['\\', c]),
                            // The quote goes on in the next line, without a break.
                            None => return Split::Continues,
                        },
                        Some(c) => word.push(c),
                        None => return Split::Open,
                    }
                }
            }
            '\\' => match chars.next() {
                Some('\n') => {}
                Some(c) => word.get_or_insert_default().push(c),
                None => return Split::Continues,
            },
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Split::Words(words)
}

/// A word as it may stand in a line.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "@%+=:,./_-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<String> {
        match split(text) {
            Split::Words(words) => words,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn words_are_a_shells() {
        for (text, want) in [
            ("  a  b\t", &["a", "b"][..]),
            ("ca a@b 'it''s' \"x y\"", &["ca", "a@b", "its", "x y"]),
            (r#"ma a displayName "say \"hi\" \n""#, &["ma", "a", "displayName", r#"say "hi" \n"#]),
            (r"a\ b 'c\d'", &["a b", r"c\d"]),
            ("a \\\nb", &["a", "b"]),
            ("ma a x '' y \"\"", &["ma", "a", "x", "", "y", ""]),
            ("mcf zimbraSkinBackgroundColor #ffffff", &["mcf", "zimbraSkinBackgroundColor", "#ffffff"]),
            ("+a -b", &["+a", "-b"]),
        ] {
            assert_eq!(words(text), want, "{text}");
        }
        assert_eq!((split("a 'b"), split("a \\"), split("a \"b\\")), (Split::Open, Split::Continues, Split::Continues));
    }

    #[test]
    fn scripts_have_comments_continuations_and_numbers() {
        let text = "# one\n\nca a@b \\\n  secret\nma a@b note 'two\nlines' \n  # three\nda 'x";
        let mut script = Script::default();
        let got: Vec<Line> = text.lines().filter_map(|l| script.push(l).unwrap()).collect();
        assert_eq!(got[0], Line { number: 3, words: vec!["ca".into(), "a@b".into(), "secret".into()] });
        assert_eq!((got[1].number, got[1].words[3].as_str()), (5, "two\nlines"));
        assert!(got.len() == 2 && script.is_open());
        assert_eq!(script.end(), Err((8, "a quote that does not end".into())));
        assert_eq!(Script::default().push("a\r").unwrap().unwrap().words, ["a"]);
    }

    proptest! {
        #[test]
        fn quoted_words_come_back(all in proptest::collection::vec("\\PC{0,12}|[ '\"\\\\#$a\n]{0,8}", 1..5)) {
            let text: Vec<String> = all.iter().map(|w| quote(w)).collect();
            prop_assert_eq!(split(&text.join(" ")), Split::Words(all));
        }

        #[test]
        fn any_text_is_split(text in "[ '\"\\\\#ab\n]{0,30}|\\PC{0,30}") {
            let mut script = Script::default();
            for line in text.split('\n') {
                let _ = script.push(line);
            }
            let _ = script.end();
        }
    }
}

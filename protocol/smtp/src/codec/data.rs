//! The message after DATA: where it ends, and dots taken off (RFC 5321 §4.5.2).
//!
//! Only CR LF `.` CR LF ends it. SMTP smuggling lives on servers that end it at anything like it: here `LF.CRLF`,
//! `LF.LF`, `CR.CR` and the rest are data, and a bare LF makes the whole message refused ([`LineCheck`]).

use memchr::memchr;

/// Bytes of a line of text. RFC 5321 §4.5.3.1.6 says 1,000; unwrapped HTML is often longer, and costs us nothing.
const TEXT_LINE_MAX: usize = 1024 * 1024;

/// Takes data as it comes, in pieces of any size.
#[derive(Clone, Copy, Debug, Default)]
pub struct DataDecoder(State);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Behind a CR LF, or at the very begin (the CR LF of the DATA command counts).
    #[default]
    LineStart,
    /// A dot at the begin of a line, not passed on.
    Dot,
    /// That, and a CR.
    DotCr,
    /// Within a line.
    Line,
    /// Within a line, behind a CR that has been passed on.
    LineCr,
}

impl DataDecoder {
    /// Passes what belongs to the message on to `out`. Returns how many bytes of `input` were used, and whether the end
    /// of data was among them; what follows it is not touched.
    pub fn push(&mut self, input: &[u8], mut out: impl FnMut(&[u8])) -> (usize, bool) {
        let mut at = 0;
        while at < input.len() {
            let byte = input[at];
            self.0 = match (self.0, byte) {
                (State::LineStart, b'.') => {
                    at += 1;
                    State::Dot
                }
                (State::LineStart, _) => State::Line,
                (State::Dot, b'\r') => {
                    at += 1;
                    State::DotCr
                }
                // The dot was stuffing.
                (State::Dot, _) => State::Line,
                (State::DotCr, b'\n') => return (at + 1, true),
                (State::DotCr, _) => {
                    out(b"\r");
                    State::Line
                }
                (State::LineCr, b'\n') => {
                    out(b"\n");
                    at += 1;
                    State::LineStart
                }
                (State::LineCr, _) => State::Line,
                (State::Line, _) => {
                    let (used, next) = line(&input[at..]);
                    out(&input[at..at + used]);
                    at += used;
                    next
                }
            };
        }
        (at, false)
    }
}

/// The rest of a line, as far as it is there.
fn line(rest: &[u8]) -> (usize, State) {
    let mut from = 0;
    while let Some(lf) = memchr(b'\n', &rest[from..]).map(|i| i + from) {
        // A bare LF does not begin a line: a dot behind it is just a dot. Lines without a dot in front need no stop.
        if lf > 0 && rest[lf - 1] == b'\r' && matches!(rest.get(lf + 1), None | Some(b'.')) {
            return (lf + 1, State::LineStart);
        }
        from = lf + 1;
    }
    let state = if rest.ends_with(b"\r") { State::LineCr } else { State::Line };
    (rest.len(), state)
}

/// Looks for what a message must not contain, in pieces of any size.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineCheck {
    after_cr: bool,
    line: usize,
    /// An LF without CR was seen.
    pub bare_lf: bool,
    /// A NUL was seen: no IMAP client could be sent such a text (RFC 9051 §9, CHAR8).
    pub nul: bool,
    /// A line of more than a million bytes was seen.
    pub long_line: bool,
}

impl LineCheck {
    /// Looks at the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.nul = self.nul || memchr(0, piece).is_some();
        let mut from = 0;
        while let Some(lf) = memchr(b'\n', &piece[from..]).map(|i| i + from) {
            let cr = if lf == 0 { self.after_cr } else { piece[lf - 1] == b'\r' };
            self.bare_lf |= !cr;
            self.long_line |= self.line + (lf - from) > TEXT_LINE_MAX;
            self.line = 0;
            from = lf + 1;
        }
        self.line += piece.len() - from;
        self.long_line |= self.line > TEXT_LINE_MAX;
        if let Some(last) = piece.last() {
            self.after_cr = *last == b'\r';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Decodes in pieces of the given sizes: (message, bytes used, ended, check).
    fn decode(input: &[u8], sizes: &[usize]) -> (Vec<u8>, usize, bool, LineCheck) {
        let (mut decoder, mut check, mut message) = (DataDecoder::default(), LineCheck::default(), Vec::new());
        let (mut at, mut i) = (0, 0);
        while at < input.len() {
            let size = sizes.get(i).copied().unwrap_or(usize::MAX).clamp(1, input.len() - at);
            i += 1;
            let (used, ended) = decoder.push(&input[at..at + size], |b| {
                message.extend_from_slice(b);
                check.push(b);
            });
            at += used;
            if ended {
                return (message, at, true, check);
            }
        }
        (message, at, false, check)
    }

    #[test]
    fn ends_at_the_one_right_place() {
        for (input, message, rest) in [
            ("a\r\n.\r\nQUIT", "a\r\n", "QUIT"),
            (".\r\nQUIT", "", "QUIT"),
            ("\r\n.\r\n", "\r\n", ""),
            ("..\r\n...x\r\n.\r\n.", ".\r\n..x\r\n", "."),
            (".x\r\n.\r\n", "x\r\n", ""),
            ("a\r\n.\r\r\n.\r\n", "a\r\n\r\r\n", ""),
        ] {
            let (got, used, ended, check) = decode(input.as_bytes(), &[]);
            assert_eq!((String::from_utf8(got).unwrap().as_str(), &input[used..], ended), (message, rest, true));
            assert!(!check.bare_lf && !check.nul, "{input:?}");
        }
    }

    #[test]
    fn smuggling_never_ends_it() {
        for trick in [
            "\n.\n",
            "\n.\r\n",
            "\r\n.\n",
            "\r.\r",
            "\r\n.\r",
            "\n.\r",
            "\r.\n",
            "\r.\r\n",
            "\r\n\0.\r\n",
            "\r\n.\0\r\n",
        ] {
            let input = format!("a{trick}MAIL FROM:<evil@x>\r\n.\r\n");
            let (got, used, ended, check) = decode(input.as_bytes(), &[]);
            assert!(ended && used == input.len(), "{trick:?}");
            assert!(String::from_utf8(got).unwrap().contains("MAIL FROM"), "{trick:?}");
            let has_bare_lf = trick.replace("\r\n", "").contains('\n');
            assert_eq!(check.bare_lf, has_bare_lf, "{trick:?}");
        }
    }

    #[test]
    fn checks_across_pieces() {
        let mut check = LineCheck::default();
        check.push(b"a\r");
        check.push(b"");
        check.push(b"\nb");
        assert!(!check.bare_lf);
        check.push(b"\n");
        assert!(check.bare_lf && !check.nul && !check.long_line);
        check.push(&vec![b'x'; TEXT_LINE_MAX]);
        assert!(!check.long_line);
        check.push(b"x");
        check.push(b"\0");
        assert!(check.long_line && check.nul);
    }

    /// What RFC 5321 §4.5.2 tells a client to do.
    fn encode(message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for (i, byte) in message.iter().enumerate() {
            let line_start = i == 0 || message[..i].ends_with(b"\r\n");
            if line_start && *byte == b'.' {
                out.push(b'.');
            }
            out.push(*byte);
        }
        out.extend_from_slice(b".\r\n");
        out
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(
            mut message in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), any::<u8>()], 0..60),
            sizes in proptest::collection::vec(1..9_usize, 0..40),
        ) {
            if !message.is_empty() {
                message.extend_from_slice(b"\r\n");
            }
            let mut input = encode(&message);
            let end = input.len();
            input.extend_from_slice(b"RSET\r\n");
            let (got, used, ended, check) = decode(&input, &sizes);
            prop_assert_eq!(got, message.clone());
            prop_assert_eq!((used, ended), (end, true));
            let bare = message.iter().enumerate().any(|(i, b)| *b == b'\n' && (i == 0 || message[i - 1] != b'\r'));
            prop_assert_eq!(check.bare_lf, bare);
            prop_assert_eq!(check.nul, message.contains(&0));
        }
    }
}

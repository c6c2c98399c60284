//! A message on its way to the client: CRLF, dots, and TOP's cut.

/// Turns message bytes, in pieces, into a multi-line response's lines (RFC 1939 §3): a line that begins with a dot gets
/// another one, a bare LF becomes CRLF. Everything else, a lone CR too, goes out as it is.
#[derive(Debug)]
pub struct Wire {
    /// The next byte begins a line.
    line_start: bool,
    /// The last byte was CR.
    cr: bool,
    /// TOP: in the header still, or how many lines of the body are left.
    cut: Option<Cut>,
    done: bool,
}

#[derive(Clone, Copy, Debug)]
struct Cut {
    in_header: bool,
    lines: u64,
    /// The current line holds nothing so far.
    empty: bool,
}

impl Wire {
    /// All of a message.
    pub fn whole() -> Self {
        Wire { line_start: true, cr: false, cut: None, done: false }
    }
    /// The header, the empty line and the first `lines` lines of the body (RFC 1939 §7 TOP).
    pub fn top(lines: u64) -> Self {
        Wire { cut: Some(Cut { in_header: true, lines, empty: true }), ..Wire::whole() }
    }
    /// Whether nothing more is wanted.
    pub fn done(&self) -> bool {
        self.done
    }
    /// Appends what `bytes` become.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        out.reserve(bytes.len() + bytes.len() / 32);
        while !bytes.is_empty() && !self.done {
            if std::mem::take(&mut self.line_start) && bytes[0] == b'.' {
                out.push(b'.');
            }
            let lf = memchr::memchr(b'\n', bytes);
            let (text, rest) = match lf {
                Some(at) => (&bytes[..at], &bytes[at + 1..]),
                None => (bytes, &[][..]),
            };
            out.extend_from_slice(text);
            self.look(text);
            if let Some(last) = text.last() {
                self.cr = *last == b'\r';
            }
            if lf.is_some() {
                out.extend_from_slice(if self.cr { b"\n" } else { b"\r\n" });
                self.end_line();
            }
            bytes = rest;
        }
    }
    /// Appends the end of the response: the last line's missing ending, and the dot.
    pub fn finish(self, out: &mut Vec<u8>) {
        if !self.line_start {
            out.extend_from_slice(if self.cr { b"\n" } else { b"\r\n" });
        }
        out.extend_from_slice(b".\r\n");
    }

    fn look(&mut self, text: &[u8]) {
        let Some(cut) = &mut self.cut else { return };
        cut.empty &= text.iter().all(|b| *b == b'\r');
    }

    fn end_line(&mut self) {
        self.line_start = true;
        self.cr = false;
        let Some(cut) = &mut self.cut else { return };
        if !cut.in_header {
            cut.lines -= 1;
        } else if cut.empty {
            cut.in_header = false;
        }
        cut.empty = true;
        self.done = !cut.in_header && cut.lines == 0;
    }
}

#[cfg(test)]
mod tests {
    use super::Wire;
    use proptest::prelude::*;

    fn run(mut wire: Wire, pieces: &[&[u8]]) -> String {
        let mut out = Vec::new();
        pieces.iter().for_each(|p| wire.push(p, &mut out));
        wire.finish(&mut out);
        String::from_utf8(out).expect("ascii")
    }

    #[test]
    fn dots_and_line_ends() {
        for (input, want) in [
            (&b""[..], ".\r\n"),
            (b"a\r\n", "a\r\n.\r\n"),
            (b"a", "a\r\n.\r\n"),
            (b"a\r", "a\r\n.\r\n"),
            (b"a\nb\r\n", "a\r\nb\r\n.\r\n"),
            (b".\r\n..\r\n.a\n\n", "..\r\n...\r\n..a\r\n\r\n.\r\n"),
            (b"a.b\r.c\r\n", "a.b\r.c\r\n.\r\n"),
            (b"\r\r\n\n", "\r\r\n\r\n.\r\n"),
        ] {
            assert_eq!(run(Wire::whole(), &[input]), want, "{:?}", String::from_utf8_lossy(input));
        }
    }

    #[test]
    fn top() {
        let mail = b"A: 1\r\n\r\none\r\n\r\n.three\nfour\r\n";
        assert_eq!(run(Wire::top(0), &[mail]), "A: 1\r\n\r\n.\r\n");
        assert_eq!(run(Wire::top(1), &[mail]), "A: 1\r\n\r\none\r\n.\r\n");
        assert_eq!(run(Wire::top(3), &[mail]), "A: 1\r\n\r\none\r\n\r\n..three\r\n.\r\n");
        assert_eq!(run(Wire::top(u64::MAX), &[mail]), run(Wire::whole(), &[mail]));
        assert_eq!(run(Wire::top(0), &[b"A: 1\n\nb"]), "A: 1\r\n\r\n.\r\n");
        assert_eq!(run(Wire::top(5), &[b"A: 1\r\n"]), "A: 1\r\n.\r\n");
        assert_eq!(run(Wire::top(0), &[b"\r\nbody"]), "\r\n.\r\n");
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter_and_the_client_gets_it_back(bytes in "[a.\r\n]{0,40}", cut in 0usize..40, lines in 0u64..5) {
            let bytes = bytes.as_bytes();
            let (a, b) = bytes.split_at(cut.min(bytes.len()));
            let whole = run(Wire::whole(), &[bytes]);
            prop_assert_eq!(run(Wire::whole(), &[a, b]), whole.as_str());
            prop_assert_eq!(run(Wire::top(lines), &[a, b]), run(Wire::top(lines), &[bytes]));
            // Only the end is a line with one dot, and every LF has its CR.
            prop_assert_eq!(whole.find("\r\n.\r\n").map_or(0, |i| i + 2), whole.len() - 3);
            prop_assert_eq!(whole.matches('\n').count(), whole.matches("\r\n").count());
            // What a client takes off again is the message, but for line ends.
            let text = &whole[..whole.len() - 3];
            let back: String = text.split_inclusive("\r\n").map(|l| l.strip_prefix('.').unwrap_or(l)).collect();
            let plain = |t: &str| t.replace("\r\n", "\n").trim_end_matches(['\n', '\r']).to_owned();
            prop_assert_eq!(plain(&back), plain(std::str::from_utf8(bytes).unwrap_or_default()));
        }
    }
}

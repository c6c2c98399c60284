//! `format=flowed` (RFC 3676): lines that go on in the next one are one.

/// The text with flowed lines joined, quote marks and stuffed spaces off. `delsp`: the space at a line's end goes too.
pub(super) fn joined(text: &str, delsp: bool) -> String {
    let mut out = String::with_capacity(text.len());
    // The depth of the paragraph that goes on.
    let mut open: Option<usize> = None;
    for line in text.lines() {
        let depth = line.bytes().take_while(|b| *b == b'>').count();
        let line = &line[depth..];
        let line = line.strip_prefix(' ').unwrap_or(line);
        if open.is_some_and(|d| d != depth) {
            out.push('\n');
        }
        // §4.3: the line before a signature is never flowed.
        let flowed = line.ends_with(' ') && line != "-- ";
        out.push_str(if flowed && delsp { &line[..line.len() - 1] } else { line });
        open = flowed.then_some(depth);
        if !flowed {
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn joins() {
        assert_eq!(joined("a \r\nb\r\n-- \r\nsig", false), "a b\n-- \nsig\n");
        assert_eq!(joined(">> x \r\n>> y\r\n> z \r\nw", false), "x y\nz \nw\n");
        assert_eq!(joined("日本 \r\n語\r\n  stuffed", true), "日本語\n stuffed\n");
    }
}

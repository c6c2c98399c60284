//! HTML as text: what a reader sees, word by word, in linear time on any input.

use mail_parser::decoders::html::add_html_token;

/// Elements within a line: what stands on both sides of them is one word.
const INLINE: [&str; 34] = [
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "font", "i", "ins", "kbd",
    "label", "mark", "nobr", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u",
    "var", "wbr", "o:p",
];
/// Elements whose content nobody sees.
const UNSEEN: [&str; 3] = ["script", "style", "template"];
/// The longest name above, bytes.
const NAME_MAX: usize = 10;
/// Bytes of an entity with its `&` and `;`.
const ENTITY_MAX: usize = 34;
/// Bytes of a link's address.
const LINK_MAX: usize = 512;

/// The text of an HTML document.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Html {
    /// What is seen, texts in the place of images included; blocks on lines of their own.
    pub text: String,
    /// Addresses of links without their queries, and titles of elements, one a line, each once in a row.
    pub behind: String,
}

/// Reads HTML. What is broken is read as browsers do, more or less; no tag is ever taken for text.
pub(super) fn read(html: &str) -> Html {
    let mut reader = Reader { html, bytes: html.as_bytes(), at: 0, out: Html::default() };
    while reader.at < html.len() {
        reader.step();
    }
    reader.out
}

struct Reader<'h> {
    html: &'h str,
    bytes: &'h [u8],
    at: usize,
    out: Html,
}

impl Reader<'_> {
    fn step(&mut self) {
        let next = memchr::memchr2(b'<', b'&', &self.bytes[self.at..]).map_or(self.bytes.len(), |i| self.at + i);
        self.out.text.push_str(&self.html[self.at..next]);
        self.at = next;
        match self.bytes.get(next) {
            Some(b'&') => self.at += entity(&self.html[next..], &mut self.out.text),
            Some(_) => self.markup(),
            None => {}
        }
    }

    /// Takes what begins with `<`.
    fn markup(&mut self) {
        let rest = &self.bytes[self.at..];
        match rest {
            [b'<', b'!', b'-', b'-', ..] => self.skip_after(4, b"-->"),
            [b'<', b'!' | b'?', ..] => self.skip_after(2, b">"),
            [b'<', b'/', c, ..] if c.is_ascii_alphabetic() => {
                self.at += 2;
                self.tag(false);
            }
            [b'<', c, ..] if c.is_ascii_alphabetic() => {
                self.at += 1;
                self.tag(true);
            }
            _ => {
                self.out.text.push('<');
                self.at += 1;
            }
        }
    }

    fn skip_after(&mut self, from: usize, end: &[u8]) {
        let found = memchr::memmem::find(&self.bytes[self.at + from..], end);
        self.at = found.map_or(self.bytes.len(), |i| self.at + from + i + end.len());
    }

    /// Takes a tag from its name on.
    fn tag(&mut self, opens: bool) {
        let name_end = self.until(|b| b.is_ascii_whitespace() || matches!(b, b'/' | b'>'));
        let mut name = [0; NAME_MAX];
        let name = lower(&self.bytes[self.at..name_end], &mut name);
        self.at = name_end;
        let name_is = |list: &[&str]| name.is_some_and(|n| list.iter().any(|l| l.as_bytes() == n));
        let inline = name_is(&INLINE);
        if !inline {
            self.line();
        }
        self.attributes(opens);
        if opens && name_is(&UNSEEN) {
            let name = name.unwrap_or_default().to_owned();
            self.skip_element(&name);
        }
    }

    /// Begins a line, unless one just began.
    fn line(&mut self) {
        if !self.out.text.is_empty() && !self.out.text.ends_with('\n') {
            self.out.text.push('\n');
        }
    }

    fn until(&self, stop: impl Fn(u8) -> bool) -> usize {
        self.bytes[self.at..].iter().position(|b| stop(*b)).map_or(self.bytes.len(), |i| self.at + i)
    }

    /// Takes attributes up to the tag's end.
    fn attributes(&mut self, read: bool) {
        loop {
            self.at = self.until(|b| !b.is_ascii_whitespace() && b != b'/');
            match self.bytes.get(self.at) {
                None => return,
                Some(b'>') => {
                    self.at += 1;
                    return;
                }
                Some(_) => {}
            }
            // An `=` at the beginning is part of the name (HTML §13.2.5.32).
            let from = self.at;
            self.at += 1;
            self.at = self.until(|b| b.is_ascii_whitespace() || matches!(b, b'/' | b'>' | b'='));
            let mut name = [0; NAME_MAX];
            let name = lower(&self.bytes[from..self.at.min(self.bytes.len())], &mut name);
            let after = self.until(|b| !b.is_ascii_whitespace());
            if self.bytes.get(after) == Some(&b'=') {
                self.at = after + 1;
                let value = self.value();
                if read {
                    self.attribute(name, &self.html[value]);
                }
            }
        }
    }

    /// Takes a value; where it is.
    fn value(&mut self) -> std::ops::Range<usize> {
        self.at = self.until(|b| !b.is_ascii_whitespace());
        let from = self.at;
        match self.bytes.get(from) {
            Some(quote @ (b'"' | b'\'')) => {
                let end = memchr::memchr(*quote, &self.bytes[from + 1..]).map_or(self.bytes.len(), |i| from + 1 + i);
                self.at = (end + 1).min(self.bytes.len());
                from + 1..end
            }
            _ => {
                self.at = self.until(|b| b.is_ascii_whitespace() || b == b'>');
                from..self.at
            }
        }
    }

    fn attribute(&mut self, name: Option<&[u8]>, value: &str) {
        match name {
            Some(b"alt") => {
                self.out.text.push(' ');
                decode(value, &mut self.out.text);
                self.out.text.push(' ');
            }
            Some(b"title") => {
                decode(value, &mut self.out.behind);
                self.out.behind.push('\n');
            }
            Some(b"href") => {
                let mut link = String::new();
                decode(&value[..value.floor_char_boundary(LINK_MAX.min(value.len()))], &mut link);
                let link = link.split(['?', '#']).next().unwrap_or_default().trim();
                let shown = link.strip_prefix("mailto:").unwrap_or(link);
                let again = self.out.behind.trim_end().ends_with(shown);
                if !again && !link.starts_with("cid:") && !link.starts_with("data:") && !link.starts_with("javascript:")
                {
                    self.out.behind.push_str(shown);
                    self.out.behind.push('\n');
                }
            }
            _ => {}
        }
    }

    /// Skips to behind the element's end tag.
    fn skip_element(&mut self, name: &[u8]) {
        let rest = &self.bytes[self.at..];
        let ends = |i: &usize| rest[i + 2..].get(..name.len()).is_some_and(|n| n.eq_ignore_ascii_case(name));
        let found = memchr::memmem::find_iter(rest, b"</").find(ends);
        self.at = found.map_or(self.bytes.len(), |i| self.at + i);
    }
}

/// A name in lower case; `None` when it is longer than any that we know.
fn lower<'b>(name: &[u8], buffer: &'b mut [u8; NAME_MAX]) -> Option<&'b [u8]> {
    let lower = buffer.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    Some(lower)
}

fn decode(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let len = entity(&rest[at..], out);
        rest = &rest[at + len..];
    }
    out.push_str(rest);
}

/// Appends what stands at the beginning of `text`, which is a `&`: an entity or that. Says how long it was.
fn entity(text: &str, out: &mut String) -> usize {
    let end =
        text.bytes().take(ENTITY_MAX).skip(1).position(|b| !b.is_ascii_alphanumeric() && b != b'#').map(|i| i + 1);
    match end {
        Some(end) if end > 1 && text.as_bytes()[end] == b';' => {
            add_html_token(out, &text.as_bytes()[..=end], false);
            end + 1
        }
        _ => {
            out.push('&');
            1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_is_seen() {
        for (html, text, behind) in [
            ("<p>Hello <b>w</b>orld</p><p>x", "Hello world\nx", ""),
            ("<td>one</td><td>two</td>three<br>four<br/>five", "one\ntwo\nthree\nfour\nfive", ""),
            ("<!DOCTYPE html><HTML><head><title>T &amp; U</title><STYLE type=x>p{}</STYLE></head>", "T & U\n", ""),
            ("a<script>if (a<b) {}</SCRIPT>b<!-- c -- > d -->e", "a\nbe", ""),
            ("a&nbsp;&uuml;&#x2603;&#8364;&unknown;&amp &;", "a\u{a0}ü☃€&unknown;&amp &;", ""),
            (
                "see <a href='https://x.org/a?b=c#d'>here</a> <A HREF=mailto:j@x.org>j</A>",
                "see here j",
                "https://x.org/a\nj@x.org\n",
            ),
            ("<img src=cid:1 alt=\"A &lt;cat&gt;\" title='On > a mat'>!", " A <cat> !", "On > a mat\n"),
            ("1 < 2 <3 a<", "1 < 2 <3 a<", ""),
            ("super&shy;man<wbr>ly", "super\u{ad}manly", ""),
            ("<![if !mso]>x<![endif]><?xml a?>y", "xy", ""),
            ("<a href=\"never closed>text", "", "never closed>text\n"),
            ("<style>never closed", "", ""),
            ("<p =a b = 'c>d' e>f", "f", ""),
            ("", "", ""),
        ] {
            assert_eq!(read(html), Html { text: text.into(), behind: behind.into() }, "{html}");
        }
    }

    proptest! {
        #[test]
        fn any_markup(html in "[<>/!a-b\"'= &;#\u{fc}-]{0,60}") {
            let out = read(&html);
            prop_assert!(out.text.len() <= html.len() * 4 + 8);
        }
        #[test]
        fn text_stays(words in prop::collection::vec("[a-z]{1,5}", 1..6)) {
            let html: String = words.iter().map(|w| format!("<div class=x><span>{w}</span></div>")).collect();
            let text = read(&html).text;
            prop_assert!(text.split_whitespace().eq(words.iter().map(String::as_str)));
        }
    }
}

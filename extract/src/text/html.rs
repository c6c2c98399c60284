//! HTML, and XML read like it: the text between the tags, without scripts and styles.
//!
//! The tokenizer of html5ever, without its tree: one pass, no recursion, memory of one token.

use super::plain;
use super::reading::{Reading, Stop};
use html5ever::buffer_queue::BufferQueue;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};
use std::cell::{Cell, RefCell};

/// Bytes that are looked at for a `charset` the document states itself (HTML's own number).
const DECLARATION_BYTES: usize = 1024;
/// Text that is fed at once; between two feeds a full text ends the work.
const FEED_BYTES: usize = 64 * 1024;

pub fn read(bytes: &[u8], charset: Option<&str>, to: &mut Reading) -> Result<(), Stop> {
    let declared = charset.map(str::to_string).or_else(|| declared(bytes));
    let text = plain::decode(bytes, declared.as_deref());
    let sink =
        Sink { to: RefCell::new(to), stopped: RefCell::new(None), hidden: Cell::new(false), title: RefCell::new(None) };
    let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
    let queue = BufferQueue::default();
    let mut rest = text.as_ref();
    while !rest.is_empty() && tokenizer.sink.stopped.borrow().is_none() {
        let (now, later) = rest.split_at(rest.floor_char_boundary(FEED_BYTES));
        queue.push_back(StrTendril::from(now));
        let _ = tokenizer.feed(&queue);
        rest = later;
    }
    tokenizer.end();
    let stopped = tokenizer.sink.stopped.borrow_mut().take();
    stopped.map_or(Ok(()), Err)
}

/// The `charset=` of a `meta` element, or the `encoding=` of an XML declaration.
fn declared(bytes: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(DECLARATION_BYTES)]).to_ascii_lowercase();
    let after = |word| head.find(word).map(|at| head[at..].split_once('=').map_or("", |(_, value)| value));
    let value = after("charset=").or_else(|| head.starts_with("<?xml").then(|| after("encoding=")).flatten())?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_:.".contains(c);
    let value: String = value.trim_start_matches(['"', '\'', ' ']).chars().take_while(|c| is_name(*c)).collect();
    (!value.is_empty()).then_some(value)
}

struct Sink<'a> {
    to: RefCell<&'a mut Reading>,
    stopped: RefCell<Option<Stop>>,
    /// Inside a script or style.
    hidden: Cell<bool>,
    /// Inside the title, and what it says so far.
    title: RefCell<Option<String>>,
}

impl TokenSink for Sink<'_> {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        if self.stopped.borrow().is_some() {
            return TokenSinkResult::Continue;
        }
        let (result, next) = match token {
            Token::CharacterTokens(text) => (self.text(&text), TokenSinkResult::Continue),
            Token::TagToken(tag) => (self.tag(&tag), raw(&tag)),
            _ => (Ok(()), TokenSinkResult::Continue),
        };
        if let Err(stop) = result {
            *self.stopped.borrow_mut() = Some(stop);
        }
        next
    }
}

/// Elements whose content is not markup. The tree builder says so usually; here is none.
fn raw(tag: &Tag) -> TokenSinkResult<()> {
    if tag.kind == TagKind::EndTag {
        return TokenSinkResult::Continue;
    }
    match &*tag.name {
        "script" => TokenSinkResult::RawData(RawKind::ScriptData),
        "style" | "xmp" | "iframe" | "noembed" | "noframes" => TokenSinkResult::RawData(RawKind::Rawtext),
        "title" | "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
        _ => TokenSinkResult::Continue,
    }
}

impl Sink<'_> {
    fn text(&self, text: &str) -> Result<(), Stop> {
        if self.hidden.get() {
            return Ok(());
        }
        if let Some(title) = &mut *self.title.borrow_mut() {
            title.push_str(&text[..text.floor_char_boundary(1024)]);
        }
        self.to.borrow_mut().push(text)
    }

    fn tag(&self, tag: &Tag) -> Result<(), Stop> {
        let is_start = tag.kind == TagKind::StartTag;
        let mut to = self.to.borrow_mut();
        match &*tag.name {
            "script" | "style" => self.hidden.set(is_start),
            "title" => {
                if let Some(title) = self.title.take() {
                    to.field("title", &title);
                }
                if is_start {
                    self.title.replace(Some(String::new()));
                }
                to.line();
            }
            "meta" => state(tag, &mut to),
            "img" | "area" => {
                to.push(attribute(tag, "alt"))?;
                to.space();
            }
            // What stays within a line and within a word.
            "a" | "abbr" | "b" | "bdi" | "bdo" | "big" | "cite" | "code" | "del" | "dfn" | "em" | "font" | "i"
            | "ins" | "kbd" | "mark" | "q" | "s" | "samp" | "small" | "span" | "strike" | "strong" | "sub" | "sup"
            | "tspan" | "tt" | "u" | "var" | "wbr" => {}
            "td" | "th" => to.space(),
            _ => to.line(),
        }
        Ok(())
    }
}

fn state(tag: &Tag, to: &mut Reading) {
    let field = match attribute(tag, "name").to_ascii_lowercase().as_str() {
        "author" => "author",
        "keywords" => "keywords",
        "description" => "description",
        _ => return,
    };
    to.field(field, attribute(tag, "content"));
}

fn attribute<'a>(tag: &'a Tag, name: &str) -> &'a str {
    tag.attrs.iter().find(|a| &*a.name.local == name).map_or("", |a| &a.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Extracted, Limits};

    fn extracted(html: &[u8], charset: Option<&str>, limits: &Limits) -> Extracted {
        let mut to = Reading::new(limits);
        let end = read(html, charset, &mut to);
        to.finish(end).unwrap()
    }

    fn text(html: &str) -> String {
        extracted(html.as_bytes(), None, &Limits::default()).text
    }

    #[test]
    fn words_and_lines() {
        assert_eq!(text("<p>a<b>b</b>c<p>d&amp;e<br>f"), "abc\nd&e\nf");
        assert_eq!(text("<table><tr><td>1<td>2<tr><td>3</table>"), "1 2\n3");
        assert_eq!(text("<img alt='a cat'>sat"), "a cat sat");
    }

    #[test]
    fn scripts_and_styles_are_out() {
        assert_eq!(text("a<script>if (1<2) { x('</b>') }</script>b<style>p{}</style>c<!-- d -->"), "abc");
        assert_eq!(text("<script>never closed <p>hidden"), "");
        assert_eq!(text("<textarea><b>seen</textarea>"), "<b>seen");
    }

    #[test]
    fn statements_are_fields() {
        let page = b"<title>A &lt; B</title><META NAME=Author content='Ann'><meta name=viewport content=x>";
        let extracted = extracted(page, None, &Limits::default());
        assert_eq!(extracted.fields, [("title".into(), "A < B".into()), ("author".into(), "Ann".into())]);
    }

    #[test]
    fn charsets() {
        assert_eq!(extracted(b"<meta charset=\"iso-8859-2\">\xb1", None, &Limits::default()).text, "ą");
        assert_eq!(
            extracted(b"<?xml version='1.0' encoding='koi8-r'?><a>\xc1</a>", None, &Limits::default()).text,
            "а"
        );
        assert_eq!(extracted(b"<meta charset=utf-8>\xe4", Some("latin1"), &Limits::default()).text, "ä");
    }

    #[test]
    fn full_text_ends_the_work() {
        let page = "<i>word </i>".repeat(100_000);
        let limits = Limits { text_bytes: 100, ..Limits::default() };
        let extracted = extracted(page.as_bytes(), None, &limits);
        assert!(extracted.truncated && extracted.text.len() <= 100);
    }
}

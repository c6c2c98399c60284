//! Rich Text Format (1.9.1): groups, control words, and characters in the code page of their font.
//!
//! Our own reader: the crates there are know neither code pages nor bounds.

use super::plain::code_page;
use super::reading::{Reading, Stop};
use encoding_rs::{Encoding, WINDOWS_1252};
use std::collections::BTreeMap;

/// Groups within each other.
const DEPTH_MAX: usize = 512;
/// Fonts whose code page is remembered.
const FONTS_MAX: usize = 4096;
/// Bytes of a field's value.
const FIELD_BYTES_MAX: usize = 4096;

pub fn read(bytes: &[u8], to: &mut Reading) -> Result<(), Stop> {
    let start =
        bytes.windows(5).take(1024).position(|w| w == b"{\\rtf").ok_or_else(|| Stop::malformed("it is no RTF"))?;
    let mut rtf = Rtf::new(to);
    let mut scanner = Scanner { bytes: &bytes[start..], at: 0 };
    while let Some(token) = scanner.next() {
        rtf.token(token, &mut scanner)?;
        if rtf.groups.is_empty() {
            break;
        }
    }
    rtf.flush()
}

enum Token<'a> {
    Open,
    Close,
    /// A control word and its number.
    Word(&'a str, Option<i32>),
    /// A control symbol, `\~`.
    Symbol(u8),
    /// A byte of text, as it is or as `\'hh`.
    Byte(u8),
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            match byte {
                b'{' => return Some(Token::Open),
                b'}' => return Some(Token::Close),
                b'\\' => return self.control(),
                b'\r' | b'\n' | 0 => {}
                byte => return Some(Token::Byte(byte)),
            }
        }
    }

    fn control(&mut self) -> Option<Token<'a>> {
        let rest = &self.bytes[self.at..];
        let letters = rest.iter().take(32).take_while(|b| b.is_ascii_alphabetic()).count();
        if letters == 0 {
            let symbol = *rest.first()?;
            self.at += 1;
            let digits = rest.get(1..3).and_then(|d| std::str::from_utf8(d).ok());
            return match digits.and_then(|d| u8::from_str_radix(d, 16).ok()).filter(|_| symbol == b'\'') {
                Some(byte) => {
                    self.at += 2;
                    Some(Token::Byte(byte))
                }
                None => Some(Token::Symbol(symbol)),
            };
        }
        let word = std::str::from_utf8(&rest[..letters]).ok()?;
        let tail = &rest[letters..];
        let sign = usize::from(tail.first() == Some(&b'-'));
        let digits = tail.iter().skip(sign).take(10).take_while(|b| b.is_ascii_digit()).count();
        let number_bytes = if digits > 0 { sign + digits } else { 0 };
        let number = std::str::from_utf8(&tail[..number_bytes]).ok().and_then(|n| n.parse().ok());
        let delimiter = usize::from(tail.get(number_bytes) == Some(&b' '));
        self.at += letters + number_bytes + delimiter;
        Some(Token::Word(word, number))
    }

    fn skip(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes).min(self.bytes.len());
    }
}

/// Where characters go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Destination {
    Body,
    /// A statement about the document.
    Info(&'static str),
    Fonts,
    Nowhere,
}

#[derive(Clone, Copy)]
struct Group {
    destination: Destination,
    /// The code page of its characters.
    encoding: &'static Encoding,
    /// Characters that follow each `\u` for readers that do not know it.
    fallback: usize,
    /// `\*` came: what follows may be skipped by whoever does not know it.
    optional: bool,
    hidden: bool,
    /// A note: it stands elsewhere than the text around it.
    apart: bool,
}

struct Rtf<'a> {
    to: &'a mut Reading,
    groups: Vec<Group>,
    /// Characters of a code page that are not decoded yet: some take two bytes.
    bytes: Vec<u8>,
    /// The first half of a character outside of the basic plane.
    surrogate: Option<u16>,
    /// Characters still to skip after a `\u`.
    skip: usize,
    default_encoding: &'static Encoding,
    fonts: BTreeMap<i32, &'static Encoding>,
    font: i32,
    info: String,
}

impl<'a> Rtf<'a> {
    fn new(to: &'a mut Reading) -> Self {
        Rtf {
            to,
            groups: Vec::new(),
            bytes: Vec::new(),
            surrogate: None,
            skip: 0,
            default_encoding: WINDOWS_1252,
            fonts: BTreeMap::new(),
            font: 0,
            info: String::new(),
        }
    }

    fn token(&mut self, token: Token, scanner: &mut Scanner) -> Result<(), Stop> {
        if let Token::Byte(byte) = token {
            return self.byte(byte);
        }
        self.flush()?;
        match token {
            Token::Open => self.open(),
            Token::Close => {
                self.close();
                Ok(())
            }
            Token::Word("bin", number) => {
                scanner.skip(number.and_then(|n| usize::try_from(n).ok()).unwrap_or_default());
                Ok(())
            }
            Token::Word(word, number) => self.word(word, number),
            Token::Symbol(symbol) => self.symbol(symbol),
            Token::Byte(_) => Ok(()),
        }
    }

    fn open(&mut self) -> Result<(), Stop> {
        self.skip = 0;
        if self.groups.len() >= DEPTH_MAX {
            return Err(Stop::malformed("groups nested too deep"));
        }
        let outside = Group {
            destination: Destination::Body,
            encoding: self.default_encoding,
            fallback: 1,
            optional: false,
            hidden: false,
            apart: false,
        };
        let group = self.groups.last().copied().unwrap_or(outside);
        self.groups.push(Group { optional: false, ..group });
        Ok(())
    }

    fn close(&mut self) {
        self.skip = 0;
        let Some(group) = self.groups.pop() else { return };
        if group.apart && !self.groups.last().is_some_and(|g| g.apart) {
            self.to.line();
        }
        let outer = self.groups.last().map(|g| g.destination);
        if let Destination::Info(field) = group.destination
            && outer != Some(group.destination)
        {
            self.to.field(field, &self.info);
            self.info.clear();
        }
    }

    fn group(&mut self) -> Option<&mut Group> {
        self.groups.last_mut()
    }

    fn byte(&mut self, byte: u8) -> Result<(), Stop> {
        if self.skip > 0 {
            self.skip -= 1;
            return Ok(());
        }
        self.bytes.push(byte);
        // Runs are short; this bounds a file that is one run.
        if self.bytes.len() >= 4096 && byte < 0x80 { self.flush() } else { Ok(()) }
    }

    /// Decodes the bytes gathered so far.
    fn flush(&mut self) -> Result<(), Stop> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.bytes);
        let encoding = self.groups.last().map_or(self.default_encoding, |g| g.encoding);
        self.text(&encoding.decode_without_bom_handling(&bytes).0)
    }

    fn text(&mut self, text: &str) -> Result<(), Stop> {
        let Some(group) = self.groups.last() else { return Ok(()) };
        match group.destination {
            Destination::Body if !group.hidden => self.to.push(text),
            Destination::Info(_) if self.info.len() < FIELD_BYTES_MAX => {
                self.info.push_str(text);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn line(&mut self) {
        if self.groups.last().is_some_and(|g| g.destination == Destination::Body) {
            self.to.line();
        }
    }

    fn symbol(&mut self, symbol: u8) -> Result<(), Stop> {
        if self.skip > 0 && symbol != b'*' {
            self.skip -= 1;
            return Ok(());
        }
        match symbol {
            b'*' => {
                if let Some(group) = self.group() {
                    group.optional = true;
                }
                Ok(())
            }
            b'~' => self.text(" "),
            b'_' => self.text("-"),
            b'\\' | b'{' | b'}' => self.text((symbol as char).encode_utf8(&mut [0; 4])),
            b'\r' | b'\n' => {
                self.line();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn word(&mut self, word: &str, number: Option<i32>) -> Result<(), Stop> {
        // `\*` speaks of the one word after it.
        let optional = self.group().is_some_and(|g| std::mem::take(&mut g.optional));
        if word == "u" {
            return self.unicode(number.unwrap_or_default());
        }
        if let Some(text) = character(word) {
            if self.skip > 0 {
                self.skip -= 1;
                return Ok(());
            }
            return self.text(text);
        }
        match word {
            "par" | "line" | "sect" | "page" | "row" | "cell" | "nestcell" | "nestrow" | "column" => self.line(),
            "ansicpg" => self.default_page(code_page(number.and_then(|n| u16::try_from(n).ok()).unwrap_or(1252))),
            "mac" => self.default_page(encoding_rs::MACINTOSH),
            "f" => self.choose_font(number.unwrap_or_default()),
            "fcharset" => self.font_charset(number.unwrap_or_default()),
            "plain" => {
                let encoding = self.default_encoding;
                if let Some(group) = self.group() {
                    (group.encoding, group.hidden) = (encoding, false);
                }
            }
            "v" => {
                if let Some(group) = self.group() {
                    group.hidden = number != Some(0);
                }
            }
            "uc" => {
                if let Some(group) = self.group() {
                    group.fallback = number.and_then(|n| usize::try_from(n).ok()).unwrap_or(1).min(16);
                }
            }
            word => self.destination(word, optional),
        }
        Ok(())
    }

    fn unicode(&mut self, number: i32) -> Result<(), Stop> {
        self.skip = self.groups.last().map_or(1, |g| g.fallback);
        // Negative numbers are what remains of 16 bits with a sign.
        let unit = number as u16;
        let units: Vec<u16> = self.surrogate.take().into_iter().chain([unit]).collect();
        if (0xd800..0xdc00).contains(&unit) {
            self.surrogate = Some(unit);
            return Ok(());
        }
        let text: String = char::decode_utf16(units).flatten().collect();
        self.text(&text)
    }

    fn default_page(&mut self, encoding: &'static Encoding) {
        self.default_encoding = encoding;
        if let Some(group) = self.group() {
            group.encoding = encoding;
        }
    }

    fn choose_font(&mut self, font: i32) {
        self.font = font;
        let encoding = self.fonts.get(&font).copied().unwrap_or(self.default_encoding);
        if let Some(group) = self.group()
            && group.destination != Destination::Fonts
        {
            group.encoding = encoding;
        }
    }

    fn font_charset(&mut self, charset: i32) {
        let is_table = self.groups.last().is_some_and(|g| g.destination == Destination::Fonts);
        if let Some(page) = charset_page(charset).filter(|_| is_table && self.fonts.len() < FONTS_MAX) {
            self.fonts.insert(self.font, code_page(page));
        }
    }

    /// The word may say what its group is for.
    fn destination(&mut self, word: &str, optional: bool) {
        let Some(group) = self.groups.last_mut() else { return };
        let destination = match word {
            "fonttbl" => Destination::Fonts,
            "title" => Destination::Info("title"),
            "author" | "operator" | "manager" => Destination::Info("author"),
            "subject" => Destination::Info("subject"),
            "keywords" | "category" => Destination::Info("keywords"),
            "company" => Destination::Info("company"),
            "doccomm" => Destination::Info("description"),
            "colortbl" | "stylesheet" | "info" | "pict" | "object" | "objdata" | "fldinst" | "filetbl"
            | "listtable" | "listoverridetable" | "revtbl" | "rsidtbl" | "generator" | "themedata" | "datastore"
            | "latentstyles" | "xmlnstbl" | "nonshppict" | "bkmkstart" | "bkmkend" | "sp" | "xe" | "tc" | "private" => {
                Destination::Nowhere
            }
            "annotation" | "footnote" => {
                group.apart = true;
                return self.line();
            }
            // Text boxes.
            "shpinst" | "shptxt" | "shprslt" => return,
            _ if optional => Destination::Nowhere,
            _ => return,
        };
        // `\title` stands in the information group, which itself is nowhere; text boxes stand beside shape properties.
        let is_info = matches!(destination, Destination::Info(_));
        if is_info || group.destination != Destination::Nowhere {
            group.destination = destination;
        }
    }
}

/// Characters with a name.
fn character(word: &str) -> Option<&'static str> {
    Some(match word {
        "tab" => "\t",
        "emdash" => "\u{2014}",
        "endash" => "\u{2013}",
        "bullet" => "\u{2022}",
        "lquote" => "\u{2018}",
        "rquote" => "\u{2019}",
        "ldblquote" => "\u{201c}",
        "rdblquote" => "\u{201d}",
        "emspace" | "enspace" | "qmspace" => " ",
        _ => return None,
    })
}

/// The Windows code page of a font's character set.
fn charset_page(charset: i32) -> Option<u16> {
    Some(match charset {
        77 => 10000,
        128 => 932,
        129 => 949,
        134 => 936,
        136 => 950,
        161 => 1253,
        162 => 1254,
        163 => 1258,
        177 => 1255,
        178 => 1256,
        186 => 1257,
        204 => 1251,
        222 => 874,
        238 => 1250,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Extracted, Limits};

    fn extracted(rtf: &str) -> Extracted {
        let mut to = Reading::new(&Limits::default());
        let end = read(rtf.as_bytes(), &mut to);
        to.finish(end).unwrap()
    }

    fn text(rtf: &str) -> String {
        extracted(rtf).text
    }

    #[test]
    fn words_lines_and_escapes() {
        assert_eq!(
            text("{\\rtf1\\ansi one\\b  two\\b0\\par\r\nth\r\nree\\~\\{4\\}\\tab 5\\emdash 6}"),
            "one two\nthree {4} 5\u{2014}6"
        );
        assert_eq!(text("{\\rtf1 a}{\\rtf1 after the end}"), "a");
    }

    #[test]
    fn code_pages() {
        assert_eq!(text("{\\rtf1\\ansi\\ansicpg1251 \\'cf\\'f0\\'e8}"), "При");
        let fonts = "{\\rtf1\\ansi\\ansicpg1252{\\fonttbl{\\f0\\fnil Arial;}{\\f1\\fnil\\fcharset128 MS Mincho;}}";
        assert_eq!(text(&format!("{fonts}\\f0 \\'e4 {{\\f1 \\'83\\'65}}\\'e4}}")), "ä テä");
    }

    #[test]
    fn unicode_and_its_fallbacks() {
        assert_eq!(
            text("{\\rtf1\\uc1 a\\u252?b\\u-10179?\\u-8704?c{\\uc2\\u8364 EUd}\\u252\\'fce}"),
            "aüb\u{1f600}c€düe"
        );
        assert_eq!(text("{\\rtf1\\uc0\\u252 a}"), "üa");
    }

    #[test]
    fn what_is_not_text() {
        let rtf = "{\\rtf1{\\stylesheet{\\s0 Normal;}}{\\*\\generator X;}{\\info{\\title A {\\b T}}{\\author Ann}{\\company Ex}}\
            {\\pict\\bin5 }}}}}x}a{\\field{\\*\\fldinst HYPERLINK \"u\"}{\\fldrslt link}}{\\v secret}{\\*\\annotation\\plain note}{\\footnote foot}}";
        let extracted = extracted(rtf);
        assert_eq!(extracted.text, "alink\nnote\nfoot");
        let field = |name: &str, value: &str| (name.to_string(), value.to_string());
        assert_eq!(extracted.fields, [field("title", "A T"), field("author", "Ann"), field("company", "Ex")]);
    }

    #[test]
    fn deep_groups_end_it() {
        let mut to = Reading::new(&Limits::default());
        let end = read(format!("{{\\rtf1 {}", "{".repeat(100_000)).as_bytes(), &mut to);
        assert!(to.finish(end).is_err());
    }
}

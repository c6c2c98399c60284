//! PDF: pdf-extract's reader of pages and fonts, into our bounded text, a page at a time where one is damaged.

use super::pdf_content::tidied;
use super::pdf_repair::{from_header, repaired};
use super::reading::{Reading, Stop};
use crate::ExtractError;
use pdf_extract::{
    Dictionary, Document, Error, MediaBox, Object, OutputDev, OutputError, PlainTextOutput, Stream, Transform,
    decode_text_string, output_doc, output_doc_page,
};
use std::cell::RefCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Pages that are tried after the first one that fails; each costs a walk over the tree of pages.
const RETRIED_PAGES_MAX: u32 = 500;

pub fn read(bytes: &[u8], to: &mut Reading) -> Result<(), Stop> {
    let mut document = load(from_header(bytes))?;
    if document.is_encrypted() {
        // Many documents forbid printing to whoever has no password, and let everybody read.
        document.decrypt("").map_err(|_| Stop::Failed(ExtractError::Encrypted))?;
    }
    state(&document, to);
    prepare(&mut document, to);
    read_pages(&document, to)
}

/// Loads a document, if need be with its table of objects written anew.
fn load(bytes: &[u8]) -> Result<Document, Stop> {
    let is_good = |document: &Document| document.is_encrypted() || document.page_iter().next().is_some();
    let loaded = Document::load_mem(bytes);
    if loaded.as_ref().is_ok_and(is_good) {
        return loaded.map_err(failed);
    }
    let repaired = repaired(bytes).and_then(|bytes| Document::load_mem(&bytes).ok()).filter(is_good);
    let why = || loaded.map_or_else(failed, |_| Stop::malformed("it has no page"));
    repaired.ok_or_else(why)
}

fn failed(error: Error) -> Stop {
    match error {
        Error::Decryption(_) | Error::InvalidPassword => Stop::Failed(ExtractError::Encrypted),
        error => Stop::malformed(error),
    }
}

fn state(document: &Document, to: &mut Reading) {
    let info = document.trailer.get(b"Info").and_then(|o| document.dereference(o)).and_then(|(_, o)| o.as_dict());
    let Ok(info) = info else { return };
    for (key, field) in [
        (&b"Title"[..], "title"),
        (b"Author", "author"),
        (b"Subject", "subject"),
        (b"Keywords", "keywords"),
        (b"Company", "company"),
    ] {
        let value = info.get(key).and_then(|o| document.dereference(o)).map(|(_, o)| o.clone());
        if let Ok(value @ Object::String(..)) = value
            && let Ok(value) = decode_text_string(&value)
        {
            to.field(field, &value);
        }
    }
}

/// Leaves of the document what text needs. What a picture holds would be read as page content.
fn prepare(document: &mut Document, to: &mut Reading) {
    for object in document.objects.values_mut() {
        let Object::Stream(stream) = object else { continue };
        match stream.dict.get(b"Subtype").and_then(Object::as_name) {
            Ok(b"Image") => replace(stream, Vec::new()),
            Ok(b"Form") => {
                let content = stream.decompressed_content().unwrap_or_else(|_| stream.content.clone());
                let content = tidied(&content);
                to.truncated |= content.is_none();
                replace(stream, content.unwrap_or_default());
            }
            _ => {}
        }
    }
    for page in document.get_pages().into_values() {
        let content = document.get_page_content(page).ok().and_then(|content| tidied(&content));
        to.truncated |= content.is_none();
        let content = document.add_object(Stream::new(Dictionary::new(), content.unwrap_or_default()));
        if let Ok(Object::Dictionary(page)) = document.get_object_mut(page) {
            page.set("Contents", content);
            // It only says where zero is; many pages lack it, or what they should inherit it from.
            page.set("MediaBox", vec![0.into(), 0.into(), 612.into(), 792.into()]);
            page.remove(b"ArtBox");
        }
    }
}

fn replace(stream: &mut Stream, content: Vec<u8>) {
    stream.dict.remove(b"Filter");
    stream.dict.remove(b"DecodeParms");
    stream.set_plain_content(content);
}

fn read_pages(document: &Document, to: &mut Reading) -> Result<(), Stop> {
    let shared = Shared { state: RefCell::new(State { to, page: 0, is_full: false }) };
    let mut failure = ended(&shared, |out| output_doc(document, out));
    let pages = document.get_pages().keys().next_back().copied().unwrap_or_default();
    let mut tried = 0;
    while failure.is_some() && !shared.is_full() && shared.page() < pages && tried < RETRIED_PAGES_MAX {
        let page = shared.page() + 1;
        shared.state.borrow_mut().page = page;
        tried += 1;
        if let Some(later) = ended(&shared, |out| output_doc_page(document, out, page)) {
            failure = Some(later);
        }
    }
    let state = shared.state.into_inner();
    match failure {
        _ if state.is_full => Err(Stop::Full),
        Some(why) => Err(why),
        None => Ok(()),
    }
}

/// Runs a piece of the work; why it ended early, if it did. The library panics where a document surprises it.
fn ended<'a>(shared: &Shared<'a>, work: impl FnOnce(&mut dyn OutputDev) -> Result<(), OutputError>) -> Option<Stop> {
    let mut writer = shared;
    let mut out = Pages { shared, plain: PlainTextOutput::new(&mut writer as &mut dyn io::Write) };
    match catch_unwind(AssertUnwindSafe(|| work(&mut out))) {
        Ok(Ok(())) => None,
        Ok(Err(e)) => Some(Stop::malformed(e)),
        Err(_) => Some(Stop::malformed("a page surprises the reader")),
    }
}

/// What the library's callbacks and its writer both reach.
struct Shared<'a> {
    state: RefCell<State<'a>>,
}

struct State<'a> {
    to: &'a mut Reading,
    /// The page being read, from 1.
    page: u32,
    is_full: bool,
}

impl Shared<'_> {
    fn is_full(&self) -> bool {
        self.state.borrow().is_full
    }
    fn page(&self) -> u32 {
        self.state.borrow().page
    }
}

impl io::Write for &Shared<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let mut state = self.state.borrow_mut();
        // Comes from `str`s, whole ones.
        let pushed = state.to.push(&String::from_utf8_lossy(buffer));
        state.is_full |= pushed.is_err();
        if pushed.is_err() { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(buffer.len()) }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The library's plain text, page by page.
struct Pages<'a, 'b, 'c> {
    shared: &'b Shared<'a>,
    plain: PlainTextOutput<&'c mut dyn io::Write>,
}

impl OutputDev for Pages<'_, '_, '_> {
    fn begin_page(
        &mut self,
        page: u32,
        media: &MediaBox,
        art: Option<(f64, f64, f64, f64)>,
    ) -> Result<(), OutputError> {
        let mut state = self.shared.state.borrow_mut();
        state.page = page;
        state.to.line();
        drop(state);
        self.plain.begin_page(page, media, art)
    }
    fn end_page(&mut self) -> Result<(), OutputError> {
        self.plain.end_page()
    }
    fn output_character(
        &mut self,
        transform: &Transform,
        width: f64,
        spacing: f64,
        font_size: f64,
        character: &str,
    ) -> Result<(), OutputError> {
        self.plain.output_character(transform, width, spacing, font_size, character)
    }
    fn begin_word(&mut self) -> Result<(), OutputError> {
        self.plain.begin_word()
    }
    fn end_word(&mut self) -> Result<(), OutputError> {
        self.plain.end_word()
    }
    fn end_line(&mut self) -> Result<(), OutputError> {
        self.plain.end_line()
    }
}

//! Files made to harm: bombs, loops, and damaged copies of good ones. Whatever becomes of a document, the next one is read.
#![allow(missing_docs)]

use pdf_extract::{Dictionary, Object, Stream};
use proptest::prelude::*;
use std::io::{Cursor, Write};
use std::time::Duration;
use zcluster_extract::{Document, ExtractError, Extracted, Limits, Pool, PoolConfig};
use zip9::write::{SimpleFileOptions, ZipWriter};

fn pool() -> Pool {
    let program = env!("CARGO_BIN_EXE_zcluster-extract-worker");
    Pool::new(PoolConfig { timeout: Duration::from_secs(10), ..PoolConfig::new(program, [""; 0]) })
}

async fn extract(pool: &Pool, filename: &str, bytes: Vec<u8>) -> Result<Extracted, ExtractError> {
    let document = Document { media_type: String::new(), filename: filename.into(), bytes };
    let result = pool.extract(document).await;
    let next = Document { media_type: "text/plain".into(), filename: String::new(), bytes: b"next".to_vec() };
    assert_eq!(pool.extract(next).await.map(|e| e.text), Ok("next".into()), "after {filename}: {result:?}");
    result
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn docx(document: &[u8]) -> Vec<u8> {
    zip(&[("[Content_Types].xml", b"<Types/>"), ("word/document.xml", document)])
}

fn more_than_may_be() -> Vec<u8> {
    vec![b' '; Limits::default().unpacked_bytes as usize + 1]
}

#[tokio::test]
async fn bombs_are_refused() {
    let (pool, large) = (pool(), more_than_may_be());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&large).unwrap();
    let half = vec![b' '; 30 << 20];
    let halves: Vec<(String, &[u8])> = (0..5).map(|n| (format!("{n}.txt"), half.as_slice())).collect();
    let halves: Vec<(&str, &[u8])> = halves.iter().map(|(name, content)| (name.as_str(), *content)).collect();
    let many = zip(&halves);
    let bombs = [
        ("document.docx", docx(&[b"<w:document><w:t>", large.as_slice(), b"</w:t></w:document>"].concat())),
        ("many.zip", many.clone()),
        ("nested.zip", zip(&[("inner.zip", &many)])),
        ("sheet.xlsx", zip(&[("[Content_Types].xml", b""), ("xl/sharedStrings.xml", &large)])),
        ("slides.odp", zip(&[("META-INF/manifest.xml", b""), ("content.xml", &large)])),
    ];
    for (name, bytes) in bombs {
        assert!(bytes.len() < 1 << 20, "{name}");
        let result = extract(&pool, name, bytes).await;
        assert!(matches!(result, Err(ExtractError::TooLarge(_))), "{name}: {result:?}");
    }
    // One member that is larger than a document may be is cut, and not read to its end.
    let cut = extract(&pool, "a.txt.gz", gzip.finish().unwrap()).await;
    assert!(cut.as_ref().is_ok_and(|e| e.truncated), "{cut:?}");
    // What has no reader is not unpacked at all.
    let skipped = extract(&pool, "disk.zip", zip(&[("image.png", &large)])).await;
    assert_eq!(skipped.map(|e| e.text), Ok("image.png".into()));
    assert_eq!(pool.counts().killed + pool.counts().timed_out, 0);
}

#[tokio::test]
async fn archives_within_archives_end() {
    let pool = pool();
    // Also under a name that is no archive's.
    for extension in ["zip", "docx"] {
        let mut bytes = zip(&[("deep.txt", b"deepest words")]);
        for n in 0..20 {
            bytes = zip(&[(format!("{n}.{extension}").as_str(), &bytes)]);
        }
        let extracted = extract(&pool, "deep.zip", bytes).await.unwrap();
        assert!(extracted.truncated);
        assert_eq!(extracted.text, ["19.", "18.", "17."].map(|n| format!("{n}{extension}")).join("\n"));
    }
}

#[tokio::test]
async fn entities_and_depth_are_refused() {
    let pool = pool();
    let mut laughs = String::from("<!DOCTYPE w [<!ENTITY a0 \"ha\">");
    for n in 1..20 {
        laughs += &format!("<!ENTITY a{n} \"{}\">", format!("&a{};", n - 1).repeat(10));
    }
    laughs += "]><w:document><w:t>&a19;</w:t></w:document>";
    let result = extract(&pool, "laughs.docx", docx(laughs.as_bytes())).await;
    assert_eq!(result, Err(ExtractError::Malformed("it has a document type".into())));
    let result = extract(&pool, "deep.docx", docx("<w:p>".repeat(1_000_000).as_bytes())).await;
    assert_eq!(result, Err(ExtractError::Malformed("elements nested too deep".into())));
    let deep = "<div>".repeat(1_000_000) + "bottom";
    assert_eq!(extract(&pool, "deep.html", deep.into_bytes()).await.map(|e| e.text), Ok("bottom".into()));
    assert_eq!(pool.counts().killed, 0);
}

#[tokio::test]
async fn encrypted_open_documents_are_told_apart() {
    let manifest =
        b"<manifest:manifest><manifest:file-entry manifest:full-path=\"content.xml\"><manifest:encryption-data/>\
        </manifest:file-entry></manifest:manifest>";
    let bytes = zip(&[("META-INF/manifest.xml", manifest), ("content.xml", b"\x00\xff\x01")]);
    assert_eq!(extract(&pool(), "a.odt", bytes).await, Err(ExtractError::Encrypted));
}

/// A document of one page whose content and resources are given.
fn pdf(content: &[u8], change: impl FnOnce(&mut pdf_extract::Document, &mut Dictionary)) -> Vec<u8> {
    let mut document = pdf_extract::Document::with_version("1.5");
    let pages = document.new_object_id();
    let mut font = Dictionary::new();
    font.set("Type", Object::Name(b"Font".to_vec()));
    font.set("Subtype", Object::Name(b"Type1".to_vec()));
    font.set("BaseFont", Object::Name(b"Helvetica".to_vec()));
    let font = document.add_object(font);
    let mut fonts = Dictionary::new();
    fonts.set("F1", font);
    let mut resources = Dictionary::new();
    resources.set("Font", fonts);
    let stream = document.add_object(Stream::new(Dictionary::new(), content.to_vec()));
    let mut page = Dictionary::new();
    page.set("Type", Object::Name(b"Page".to_vec()));
    page.set("Parent", pages);
    page.set("Contents", stream);
    change(&mut document, &mut resources);
    page.set("Resources", resources);
    let page = document.add_object(page);
    let mut tree = Dictionary::new();
    tree.set("Type", Object::Name(b"Pages".to_vec()));
    tree.set("Kids", vec![page.into()]);
    tree.set("Count", 1);
    document.objects.insert(pages, tree.into());
    let mut catalog = Dictionary::new();
    catalog.set("Type", Object::Name(b"Catalog".to_vec()));
    catalog.set("Pages", pages);
    let catalog = document.add_object(catalog);
    document.trailer.set("Root", catalog);
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    bytes
}

const SHOW: &[u8] = b"BT /F1 12 Tf 72 700 Td (seen words) Tj ET";

#[tokio::test]
async fn odd_pages_keep_their_text() {
    let pool = pool();
    let odd = [SHOW, b" 1 cm /None gs /None Do (x) Td 1 Tj BT /F1 12 Tf 72 600 Td (later) Tj ET"].concat();
    let image = |document: &mut pdf_extract::Document, resources: &mut Dictionary| {
        let mut picture = Dictionary::new();
        picture.set("Subtype", Object::Name(b"Image".to_vec()));
        let picture = document.add_object(Stream::new(picture, b"\xff\xd8 ( [ << BT".to_vec()));
        let mut objects = Dictionary::new();
        objects.set("None", picture);
        resources.set("XObject", objects);
    };
    // Neither page box nor sane operands, and a picture that is no content.
    let result = extract(&pool, "odd.pdf", pdf(&odd, image)).await.unwrap();
    assert_eq!((result.text.as_str(), result.truncated), ("seen words\nlater", false));
    // A form that is not there ends the page, not the document.
    let result = extract(&pool, "odd.pdf", pdf(&odd, |_, _| {})).await.unwrap();
    assert_eq!((result.text.as_str(), result.truncated), ("seen words", true));
    assert_eq!(pool.counts().killed, 0);
}

#[tokio::test]
async fn a_form_that_shows_itself() {
    let pool = pool();
    let bytes = pdf(&[SHOW, b" /Loop Do"].concat(), |document, resources| {
        let id = document.new_object_id();
        let mut objects = Dictionary::new();
        objects.set("Loop", id);
        let mut own = Dictionary::new();
        own.set("XObject", objects.clone());
        let mut form = Dictionary::new();
        form.set("Subtype", Object::Name(b"Form".to_vec()));
        form.set("Resources", own);
        document.objects.insert(id, Stream::new(form, b"/Loop Do".to_vec()).into());
        resources.set("XObject", objects);
    });
    let result = extract(&pool, "loop.pdf", bytes).await;
    assert!(matches!(result, Err(ExtractError::Killed(_))), "{result:?}");
}

#[tokio::test]
async fn loops_and_bombs_in_pdf_structure() {
    let pool = pool();
    let good = String::from_utf8_lossy(&pdf(SHOW, |_, _| {})).into_owned();
    // Whatever the answer: `extract` sees that the pool goes on.
    let id = good.split("/Pages ").nth(1).and_then(|s| s.split(' ').next()).unwrap().to_string();
    let _ = extract(&pool, "kids.pdf", good.replace("/Kids[", &format!("/Kids[{id} 0 R ")).into_bytes()).await;
    let at = good.rfind("startxref").unwrap();
    let offset: usize = good[at + 9..].split_whitespace().next().unwrap().parse().unwrap();
    let _ = extract(&pool, "prev.pdf", good.replace("/Root", &format!("/Prev {offset}/Root")).into_bytes()).await;
    let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let block = vec![b' '; 1 << 20];
    (0..1024).for_each(|_| deflate.write_all(&block).unwrap());
    let packed = deflate.finish().unwrap();
    let bomb = pdf(SHOW, |document, resources| {
        let mut form = Dictionary::new();
        form.set("Subtype", Object::Name(b"Form".to_vec()));
        form.set("Filter", Object::Name(b"FlateDecode".to_vec()));
        let form = document.add_object(Stream::new(form, packed));
        resources.set("Unused", form);
    });
    // Memory ends before it is unpacked, and it is left aside.
    assert_eq!(extract(&pool, "bomb.pdf", bomb).await.map(|e| e.text), Ok("seen words".into()));
}

/// A good file, how much of it is kept, and what is changed in it.
type Damage = (prop::sample::Index, Option<prop::sample::Index>, Vec<(prop::sample::Index, u8)>);

fn damage() -> impl Strategy<Value = Damage> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8);
    (any::<prop::sample::Index>(), any::<Option<prop::sample::Index>>(), changes)
}

#[test]
fn damaged_files_never_stop_the_pool() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let files: Vec<(String, Vec<u8>)> = files
        .into_iter()
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_string(), std::fs::read(path).unwrap()))
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let pool = pool();
    let config =
        ProptestConfig { cases: 1_000, failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::default() };
    proptest!(config, |(damage in damage())| {
        let (name, bytes) = &files[damage.0.index(files.len())];
        let mut bytes = bytes.clone();
        if let Some(end) = damage.1 {
            bytes.truncate(end.index(bytes.len()));
        }
        let length = bytes.len();
        for (at, value) in damage.2.iter().filter(|_| length > 0) {
            bytes[at.index(length)] = *value;
        }
        let _ = runtime.block_on(extract(&pool, name, bytes));
    });
    let counts = pool.counts();
    println!("{counts:?}");
    assert!(counts.documents >= 1_000);
}

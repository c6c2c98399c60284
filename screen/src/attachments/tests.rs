use super::*;
use ::zip::CompressionMethod;
use ::zip::unstable::write::FileOptionsExt;
use ::zip::write::{SimpleFileOptions, ZipWriter};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use std::io::{Cursor, Write};

fn rules() -> Rules {
    let extensions = ["exe", "js", "scr", "lnk"].map(String::from).into();
    Rules { extensions, encrypted: true, unreadable: true, bounds: Bounds::default() }
}

fn zip_with(options: SimpleFileOptions, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, data) in files {
        zip.start_file(*name, options).unwrap();
        zip.write_all(data).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    zip_with(SimpleFileOptions::default().compression_method(CompressionMethod::Deflated), files)
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = ::tar::Builder::new(Vec::new());
    for (name, data) in files {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        tar.append_data(&mut header, name, *data).unwrap();
    }
    tar.into_inner().unwrap()
}

fn gz(data: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::best());
    gz.write_all(data).unwrap();
    gz.finish().unwrap()
}

/// A message with one attachment of that name and content.
fn message(name: &str, data: &[u8]) -> Vec<u8> {
    let mut raw = format!(
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n\
         Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\
         Content-Disposition: attachment; filename=\"{name}\"\r\n\r\n"
    )
    .into_bytes();
    raw.extend_from_slice(data);
    raw.extend_from_slice(b"\r\n--b--\r\n");
    raw
}

fn found(name: &str, data: &[u8]) -> Result<(), Finding> {
    inspect(&message(name, data), &rules())
}

fn by_name(name: &str) -> Result<(), Finding> {
    Err(Finding::Name { name: name.into() })
}

/// The beginning of a Windows program.
fn program() -> Vec<u8> {
    let mut data = b"MZ\x90\0\x03\0\0\0".to_vec();
    data.resize(300, 0);
    data
}

#[test]
fn by_name_however_it_is_written() {
    for name in ["a.exe", "a.EXE", "a.txt.exe", "a.exe. ", "dir\\\\a.exe", "a.exe::$DATA", "a.txt:b.exe"] {
        assert!(matches!(found(name, b"x"), Err(Finding::Name { .. })), "{name}");
    }
    for name in ["a.txt", "exe", "a.exe.txt", "a.exe/readme", ""] {
        assert_eq!(found(name, b"x"), Ok(()), "{name}");
    }
    let header = |fields: &str| format!("MIME-Version: 1.0\r\n{fields}\r\n\r\nx\r\n");
    for fields in [
        "Content-Type: application/pdf; name=\"a.exe\"\r\nContent-Disposition: attachment; filename=a.pdf",
        "Content-Type: application/pdf; name=\"=?utf-8?q?a=2Eexe?=\"",
        "Content-Disposition: attachment; filename*=utf-8''a%2Eexe",
        "Content-Disposition: attachment; filename*0=\"a.e\"; filename*1=\"xe\"",
        "Content-Disposition: attachment; filename=a.txt; filename=a.exe",
    ] {
        assert!(matches!(inspect(header(fields).as_bytes(), &rules()), Err(Finding::Name { .. })), "{fields}");
    }
    let uu = "Subject: x\r\n\r\nsee\r\nbegin 644 a.exe\r\n#86)C\r\n`\r\nend\r\n";
    assert_eq!(inspect(uu.as_bytes(), &rules()), by_name("a.exe"));
    assert_eq!(inspect(b"Subject: x\r\n\r\nwe begin 644 a.exe\r\nbegin with a.exe\r\n", &rules()), Ok(()));
}

#[test]
fn by_type_and_content() {
    let kind = |found| matches!(found, Err(Finding::Kind { .. }));
    assert!(kind(found("a.txt", &program())));
    assert!(kind(found("a.txt", b"\x4c\0\0\0\x01\x14\x02\0rest")));
    assert!(kind(inspect(b"Content-Type: Application/JavaScript\r\n\r\nx", &rules())));
    assert_eq!(
        found("a.txt", b"MZ is a country's code, and this a text that goes on for more than sixty-four bytes."),
        Ok(())
    );
    // Attached messages are looked into as well.
    let mut outer = b"Content-Type: message/rfc822\r\n\r\n".to_vec();
    outer.extend(message("a.scr", b"x"));
    assert_eq!(inspect(&outer, &rules()), by_name("a.scr"));
}

#[test]
fn inside_archives_and_archives_in_them() {
    assert_eq!(found("a.zip", &zip(&[("a.txt", b"x"), ("dir/b.exe", b"x")])), by_name("dir/b.exe"));
    assert!(matches!(found("a.zip", &zip(&[("a.txt", &program())])), Err(Finding::Kind { .. })));
    assert_eq!(found("a.tar", &tar(&[("a.txt", b"x"), ("b.js", b"x")])), by_name("/b.js"));
    assert_eq!(found("a.tgz", &gz(&tar(&[("b.js", b"x")]))), by_name("/b.js"));
    assert_eq!(found("b.exe.gz", &gz(b"x")), by_name("b.exe"));
    let long = format!("{}/b.exe", "long/".repeat(60));
    assert_eq!(found("a.tar", &tar(&[(&long, b"x")])), by_name(&long));
    // The name does not matter, and neither does how deep it lies.
    let inner = zip(&[("z.txt", b"x"), ("b.exe", b"x")]);
    let nested = zip(&[("c.dat", &gz(&tar(&[("x", &inner)])))]);
    assert_eq!(found("a.dat", &nested), by_name("b.exe"));
    let clean = zip(&[("c.zip", &zip(&[("b.txt", b"x"), ("c.pdf", b"%PDF")])), ("d.gz", &gz(b"text"))]);
    assert_eq!(found("a.zip", &clean), Ok(()));
    // A zip behind something else.
    let mut behind = vec![b'x'; 100_000];
    behind.extend(zip(&[("b.exe", b"x")]));
    assert_eq!(found("a.zip", &behind), by_name("b.exe"));
}

#[test]
fn archives_with_passwords() {
    let options = SimpleFileOptions::default();
    let secret = zip_with(options.with_deprecated_encryption(b"pass").unwrap(), &[("a.txt", b"x")]);
    assert_eq!(found("a.zip", &secret), Err(Finding::Encrypted { name: "a.zip".into() }));
    assert_eq!(found("b.zip", &zip(&[("a.zip", &secret)])), Err(Finding::Encrypted { name: "a.zip".into() }));
    let lenient = Rules { encrypted: false, ..rules() };
    assert_eq!(inspect(&message("a.zip", &secret), &lenient), Ok(()));
}

#[test]
fn bombs_cost_no_more_than_the_bounds() {
    let unreadable = |found| matches!(found, Err(Finding::Unreadable { .. }));
    let bounds = Bounds { depth: 4, files: 1_000, bytes: 1024 * 1024 };
    let rules = Rules { bounds, ..rules() };
    let found = |data: &[u8]| inspect(&message("a.zip", data), &rules);
    // A large text costs its beginning only.
    let zeros = vec![0u8; 20 * 1024 * 1024];
    assert_eq!(found(&zip(&[("a.txt", &zeros)])), Ok(()));
    // As an archive in an archive it is too much.
    let mut large = zip(&[("b.txt", b"x")]);
    large.splice(0..0, zeros.iter().copied());
    assert!(unreadable(found(&zip(&[("a.zip", &large)]))));
    assert_eq!(found(&zip(&[("a.gz", &gz(&gz(&zeros)))])), Ok(()));
    let tarred = tar(&[("a.txt", &zeros)]);
    assert!(unreadable(found(&zip(&[("a.tar", &tarred)]))));
    // Too many files, too deep.
    let names: Vec<String> = (0..1_001).map(|i| i.to_string()).collect();
    let many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert!(unreadable(found(&zip(&many))));
    let mut deep = zip(&[("a.txt", b"x")]);
    for _ in 0..4 {
        deep = zip(&[("a.zip", &deep)]);
    }
    assert!(unreadable(found(&deep)));
    assert_eq!(inspect(&message("a.zip", &deep), &Rules { unreadable: false, ..rules.clone() }), Ok(()));
}

#[test]
fn broken_archives_are_unreadable() {
    let whole = zip(&[("a.txt", b"x")]);
    assert!(matches!(found("a.zip", &whole[..whole.len() - 10]), Err(Finding::Unreadable { .. })));
}

#[test]
fn no_rules_no_work() {
    assert_eq!(inspect(&message("a.exe", b"x"), &Rules { unreadable: true, ..Rules::default() }), Ok(()));
}

proptest! {
    #[test]
    fn any_bytes_are_walked(data in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = found("a.zip", &data);
    }
    #[test]
    fn damaged_archives_are_walked(at in 0..2_000usize, byte: u8, cut in 0..2_000usize) {
        let files: &[(&str, &[u8])] = &[("a.txt", b"some text"), ("dir/b.pdf", b"%PDF"), ("c.gz", &gz(b"x"))];
        for mut data in [zip(files), tar(files), gz(&tar(files)), zip(&[("x.zip", &zip(files))])] {
            let len = data.len();
            data[at % len] = byte;
            let _ = found("a", &data);
            data.truncate(cut % len);
            let _ = found("a", &data);
        }
    }
    #[test]
    fn a_blocked_name_is_found_wherever_it_stands(before in 0..5usize, after in 0..5usize, stem in "[a-z]{1,30}") {
        let name = format!("{stem}.exe");
        let mut files: Vec<(String, &[u8])> = (0..before).map(|i| (format!("a{i}"), &b"x"[..])).collect();
        files.push((name.clone(), b"x"));
        files.extend((0..after).map(|i| (format!("b{i}"), &b"x"[..])));
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, data)| (name.as_str(), *data)).collect();
        prop_assert_eq!(found("a.zip", &zip(&files)), by_name(&name));
        prop_assert_eq!(found("a.tar", &tar(&files)), by_name(&format!("/{name}")));
    }
}

//! Real mail, when there is some: set `ZCLUSTER_CORPUS` to a folder of messages, one a file.

use crate::sections::check;
use std::path::{Path, PathBuf};
use zcluster_api::Bytes;
use zcluster_mail::{decompress, fields, header_fields, parse, prepare};

fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files(&path, out) } else { out.push(path) }
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a test may ask where the corpus is")]
fn every_message_of_a_corpus() {
    let Some(dir) = std::env::var_os("ZCLUSTER_CORPUS") else {
        eprintln!("skipped: ZCLUSTER_CORPUS is not set");
        return;
    };
    let mut paths = Vec::new();
    files(Path::new(&dir), &mut paths);
    assert!(!paths.is_empty(), "no files in ZCLUSTER_CORPUS");
    let (mut parts, mut bytes, mut summaries) = (0, 0, 0);
    for path in &paths {
        let raw = Bytes::from(std::fs::read(path).expect("read a corpus file"));
        let summary = parse(&raw);
        check(&raw, &summary);
        for cut in [raw.len() / 3, raw.len() / 2, raw.len() * 9 / 10] {
            check(&raw[..cut], &parse(&raw[..cut]));
        }
        let body = prepare(&raw);
        assert_eq!(decompress(body.codec, &body.stored, body.size), Ok(raw.clone()));
        // The kept fields answer as the whole header does.
        let header = &raw[..summary.root.body_start as usize];
        let names: Vec<&[u8]> = fields(header).map(|f| f.name).filter(|n| zcluster_mail::is_kept(n)).collect();
        assert_eq!(summary.header_fields(&names), Some(header_fields(header, &names, false)), "{}", path.display());
        parts += count(&summary.root);
        bytes += raw.len();
        summaries += summary.encode().len();
    }
    println!("{} messages, {parts} parts, {bytes} bytes, {summaries} bytes of summaries", paths.len());
}

fn count(part: &zcluster_mail::Part) -> usize {
    1 + part.children().iter().map(count).sum::<usize>()
}

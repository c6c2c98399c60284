//! Ranges checked against each other: what [`zcluster_mail::section`] says must be what one finds by hand.

use zcluster_mail::{Part, PartKind, Section, Summary, find_part, section};

/// Panics unless all offsets of the summary make sense for `raw`.
pub fn check(raw: &[u8], s: &Summary) {
    assert_eq!(s.root.header_start, 0);
    assert_eq!(s.root.body_end, raw.len() as u64, "the message ends at its end");
    check_part(raw, &s.root);
    let header = section(s, &[], Section::Header).expect("a message has a header");
    let text = section(s, &[], Section::Text).expect("a message has a text");
    assert_eq!((header.start, header.end, text.end), (0, text.start, raw.len() as u64));
    check_paths(s, &s.root, &mut Vec::new());
    assert_eq!(Summary::decode(&s.encode()).as_ref(), Ok(s));
    assert!(s.preview.len() <= zcluster_mail::PREVIEW_BYTES_MAX);
}

fn check_part(raw: &[u8], p: &Part) {
    assert!(p.header_start <= p.body_start && p.body_start <= p.body_end && p.body_end <= raw.len() as u64);
    assert!(!p.media_type.is_empty() && !p.subtype.is_empty());
    let header = &raw[p.header_start as usize..p.body_start as usize];
    assert!(
        !header[..header.len().saturating_sub(2)].windows(4).any(|w| w == b"\r\n\r\n"),
        "a header has one empty line"
    );
    if !matches!(p.kind, PartKind::Multipart(_)) {
        let body = &raw[p.body_start as usize..p.body_end as usize];
        assert_eq!(p.lines, body.iter().filter(|b| **b == b'\n').count() as u64);
    }
    let mut at = p.body_start;
    for child in p.children() {
        assert!(child.header_start >= at && child.body_end <= p.body_end, "children lie within, in order");
        at = child.body_end;
        check_part(raw, child);
    }
    match &p.kind {
        PartKind::Multipart(parts) => {
            assert!(p.is_type("multipart") && !parts.is_empty());
            let boundary = p.param("boundary").expect("a multipart has a boundary");
            let line = [b"--", boundary.as_bytes().trim_ascii_end()].concat();
            for child in parts {
                let before = &raw[..child.header_start as usize];
                let before = before.strip_suffix(b"\n").unwrap_or(before).trim_ascii_end();
                assert!(before.ends_with(&line), "a part comes after a delimiter");
            }
        }
        PartKind::Message { root, .. } => {
            assert_eq!((root.header_start, root.body_end), (p.body_start, p.body_end));
        }
        PartKind::Leaf => assert!(!p.is_type("multipart") && !p.is("message", "rfc822")),
    }
}

/// Walks the tree with IMAP's numbers (RFC 3501 §6.4.5) and asks for each part by its path.
fn check_paths(s: &Summary, message: &Part, path: &mut Vec<u32>) {
    let numbered: Vec<&Part> = match &message.kind {
        PartKind::Multipart(parts) => parts.iter().collect(),
        _ => vec![message],
    };
    for (part, number) in numbered.into_iter().zip(1..) {
        path.push(number);
        assert_eq!(find_part(s, path), Some(part));
        assert_eq!(section(s, path, Section::Whole), Some(part.body_range()));
        match &part.kind {
            PartKind::Multipart(_) => check_paths(s, part, path),
            PartKind::Message { root, .. } => {
                assert_eq!(section(s, path, Section::Text), Some(root.body_range()));
                check_paths(s, root, path);
            }
            PartKind::Leaf => assert_eq!(section(s, path, Section::Text), None),
        }
        path.pop();
    }
    path.push(100_000);
    assert_eq!(find_part(s, path), None);
    path.pop();
}

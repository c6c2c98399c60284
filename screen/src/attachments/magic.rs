//! What bytes and MIME types are, as the extension that such files have.

/// First bytes, and what they mean. Only what administrators block or what holds files.
const MAGIC: [(&[u8], &str); 20] = [
    (b"\x7fELF", "elf"),
    (b"\xfe\xed\xfa\xce", "macho"),
    (b"\xfe\xed\xfa\xcf", "macho"),
    (b"\xce\xfa\xed\xfe", "macho"),
    (b"\xcf\xfa\xed\xfe", "macho"),
    (b"\x4c\0\0\0\x01\x14\x02\0", "lnk"),
    (b"ITSF", "chm"),
    (b"MSCF", "cab"),
    (b"Rar!\x1a\x07", "rar"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"\x1f\x8b", "gz"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zst"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"regf", "reg"),
    (b"Windows Registry Editor", "reg"),
    (b"\xff\xfeW\0i\0n\0d\0o\0w\0s\0 \0R\0e\0g\0i\0s\0t\0r\0y\0", "reg"),
    (b"#!", "sh"),
];

/// MIME types, lower case.
const TYPES: [(&str, &str); 20] = [
    ("application/x-msdownload", "exe"),
    ("application/x-dosexec", "exe"),
    ("application/x-msdos-program", "exe"),
    ("application/vnd.microsoft.portable-executable", "exe"),
    ("application/x-ms-dos-executable", "exe"),
    ("application/x-executable", "elf"),
    ("application/x-ms-shortcut", "lnk"),
    ("application/x-mslnk", "lnk"),
    ("application/hta", "hta"),
    ("application/x-msi", "msi"),
    ("application/x-bat", "bat"),
    ("application/bat", "bat"),
    ("application/x-sh", "sh"),
    ("application/javascript", "js"),
    ("application/x-javascript", "js"),
    ("text/javascript", "js"),
    ("text/vbscript", "vbs"),
    ("application/java-archive", "jar"),
    ("application/vnd.ms-htmlhelp", "chm"),
    ("application/x-shellscript", "sh"),
];

/// What the bytes begin like.
pub fn kind(head: &[u8]) -> Option<&'static str> {
    // A DOS or Windows program: its first 64 bytes hold zeros, a text that begins with MZ does not.
    if head.starts_with(b"MZ") && head.get(..64).is_some_and(|header| header.contains(&0)) {
        return Some("exe");
    }
    MAGIC.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, kind)| *kind)
}

/// What files of a MIME type (lower case) usually are.
pub fn kind_of_type(media_type: &str) -> Option<&'static str> {
    TYPES.iter().find(|(name, _)| *name == media_type).map(|(_, kind)| *kind)
}

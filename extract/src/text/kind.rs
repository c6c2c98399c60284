//! Which format a document is.

/// The formats with a reader. What is packed in a zip or OLE file is told apart by its content, not by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Pdf,
    /// Office Open XML, OpenDocument, or an archive.
    Zip,
    /// An OLE compound file: Excel and Word before 2007, or an encrypted Office Open XML document.
    Ole,
    Rtf,
    Html,
    Xml,
    Text,
    Tar,
    Gzip,
    Calendar,
    VCard,
}

/// What a media type or a file name claims.
enum Claim {
    Is(Kind),
    /// A format that has no reader; no guess from the content.
    Other,
    Nothing,
}

/// Bytes at the beginning that decide whether something unnamed is text.
const SNIFFED_BYTES: usize = 4096;

/// The format of `bytes` (or of their beginning), or `None` when it has no reader.
pub fn of(media_type: &str, filename: &str, bytes: &[u8]) -> Option<Kind> {
    let seen = by_magic(bytes);
    match by_media_type(&essence(media_type)) {
        Claim::Other => None,
        // Programs label what they do not know as text.
        Claim::Is(Kind::Text) => match by_extension(filename) {
            Claim::Is(kind @ (Kind::Html | Kind::Xml | Kind::Calendar | Kind::VCard)) => Some(kind),
            _ => seen.or(Some(Kind::Text)),
        },
        Claim::Is(kind) => Some(seen_or(kind, seen)),
        Claim::Nothing => match by_extension(filename) {
            Claim::Is(kind) => Some(seen_or(kind, seen)),
            Claim::Other => None,
            Claim::Nothing => seen.or_else(|| looks_like_text(bytes).then_some(Kind::Text)),
        },
    }
}

/// Content wins over a claim when it is clear. A web page may hold a calendar's words, so claims of text stand against text.
fn seen_or(claimed: Kind, seen: Option<Kind>) -> Kind {
    let is_text = |kind| matches!(kind, Kind::Html | Kind::Xml | Kind::Text | Kind::Calendar | Kind::VCard);
    seen.filter(|seen| !(is_text(claimed) && is_text(*seen))).unwrap_or(claimed)
}

/// How to name a format that is not read.
pub fn name(media_type: &str, filename: &str) -> String {
    let essence = essence(media_type);
    let named = if essence.is_empty() { extension(filename) } else { essence };
    if named.is_empty() { "unnamed binary data".into() } else { named.chars().take(80).collect() }
}

/// The `charset` parameter of a media type.
pub fn charset(media_type: &str) -> Option<&str> {
    let (_, parameters) = media_type.split_once(';')?;
    parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        (name.trim().eq_ignore_ascii_case("charset") && !value.is_empty()).then_some(value)
    })
}

fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn extension(filename: &str) -> String {
    filename.rsplit_once('.').map_or_else(String::new, |(_, extension)| extension.trim().to_ascii_lowercase())
}

fn by_media_type(essence: &str) -> Claim {
    use Kind::*;
    let kind = match essence {
        "application/pdf" | "application/x-pdf" => Pdf,
        "application/rtf" | "application/x-rtf" | "text/rtf" | "text/richtext" => Rtf,
        "text/html" | "application/xhtml+xml" => Html,
        "text/xml" | "application/xml" | "image/svg+xml" => Xml,
        "text/calendar" | "application/ics" => Calendar,
        "text/vcard" | "text/x-vcard" | "text/directory" => VCard,
        "application/json" | "application/javascript" | "application/x-sh" | "application/sql" => Text,
        "application/zip" | "application/x-zip" | "application/x-zip-compressed" => Zip,
        "application/gzip" | "application/x-gzip" | "application/x-compressed-tar" => Gzip,
        "application/x-tar" | "application/tar" => Tar,
        "application/msword" | "application/vnd.ms-excel" | "application/msexcel" | "application/x-msexcel" => Ole,
        s if s.starts_with("application/vnd.openxmlformats-officedocument.") => Zip,
        s if s.starts_with("application/vnd.oasis.opendocument.") => Zip,
        s if s.starts_with("application/vnd.ms-") && s.ends_with(".12") => Zip,
        s if s.starts_with("text/") => Text,
        s if s.starts_with("application/pkcs7") || s.starts_with("application/pgp") => return Claim::Other,
        s => {
            let top = s.split('/').next().unwrap_or_default();
            let other = ["image", "audio", "video", "font", "model", "message", "multipart"].contains(&top);
            return if other { Claim::Other } else { Claim::Nothing };
        }
    };
    Claim::Is(kind)
}

fn by_extension(filename: &str) -> Claim {
    use Kind::*;
    let kind = match extension(filename).as_str() {
        "pdf" => Pdf,
        "docx" | "docm" | "dotx" | "dotm" | "xlsx" | "xlsm" | "xltx" | "xltm" | "xlsb" | "pptx" | "pptm" | "potx"
        | "ppsx" | "ppsm" | "odt" | "ott" | "ods" | "ots" | "odp" | "otp" | "odg" | "zip" | "jar" | "epub" => Zip,
        "xls" | "xlt" | "doc" | "dot" => Ole,
        "rtf" => Rtf,
        "html" | "htm" | "xhtml" | "shtml" => Html,
        "xml" | "svg" => Xml,
        "ics" | "ical" | "ifb" | "vcs" => Calendar,
        "vcf" | "vcard" => VCard,
        "tar" => Tar,
        "gz" | "tgz" => Gzip,
        "txt" | "text" | "log" | "csv" | "tsv" | "md" | "rst" | "json" | "yaml" | "yml" | "toml" | "ini" | "conf"
        | "cfg" | "tex" | "sql" | "sh" | "bat" | "ps1" | "c" | "h" | "cpp" | "hpp" | "java" | "js" | "ts" | "css"
        | "py" | "rb" | "pl" | "php" | "go" | "rs" | "diff" | "patch" | "srt" => Text,
        "png" | "jpg" | "jpeg" | "gif" | "webp" | "bmp" | "tif" | "tiff" | "heic" | "mp3" | "mp4" | "m4a" | "ogg"
        | "wav" | "avi" | "mov" | "mkv" | "exe" | "dll" | "eml" | "msg" | "p7m" | "p7s" | "asc" | "sig" => {
            return Claim::Other;
        }
        _ => return Claim::Nothing,
    };
    Claim::Is(kind)
}

fn by_magic(bytes: &[u8]) -> Option<Kind> {
    let head = &bytes[..bytes.len().min(1024)];
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let starts = |word: &str| text.get(..word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word.as_bytes()));
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        Some(Kind::Zip)
    } else if head.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        Some(Kind::Ole)
    } else if head.starts_with(b"\x1f\x8b\x08") {
        Some(Kind::Gzip)
    } else if head.get(257..262) == Some(b"ustar") {
        Some(Kind::Tar)
    } else if starts("{\\rtf") {
        Some(Kind::Rtf)
    } else if starts("begin:vcalendar") {
        Some(Kind::Calendar)
    } else if starts("begin:vcard") {
        Some(Kind::VCard)
    } else if starts("<!doctype html") || starts("<html") {
        Some(Kind::Html)
    } else if memchr::memmem::find(head, b"%PDF-").is_some() {
        // Last: Adobe's readers take it anywhere in the first kilobyte, and a text may speak of it.
        (head.starts_with(b"%PDF-") || !looks_like_text(head)).then_some(Kind::Pdf)
    } else {
        None
    }
}

fn looks_like_text(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(SNIFFED_BYTES)];
    let is_utf8 = match std::str::from_utf8(head) {
        Ok(_) => true,
        // A character that the head cuts in two.
        Err(e) => e.error_len().is_none(),
    };
    let is_binary = |b: &u8| *b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b);
    !head.is_empty() && is_utf8 && !head.iter().any(is_binary)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZIP: &[u8] = b"PK\x03\x04....";

    #[test]
    fn type_then_name_then_content() {
        assert_eq!(of("Application/PDF; name=x", "x.txt", b"?"), Some(Kind::Pdf));
        assert_eq!(of("application/octet-stream", "x.DOCX", b"?"), Some(Kind::Zip));
        assert_eq!(of("application/octet-stream", "x", ZIP), Some(Kind::Zip));
        assert_eq!(of("", "", b"%PDF-1.7\n\xff\xfe\x00"), Some(Kind::Pdf));
        assert_eq!(of("", "README", b"just words"), Some(Kind::Text));
        assert_eq!(of("application/octet-stream", "", &[0, 1, 2]), None);
    }

    #[test]
    fn content_wins_when_it_is_clear() {
        assert_eq!(of("application/msword", "a.doc", b"{\\rtf1 x}"), Some(Kind::Rtf));
        assert_eq!(of("application/msword", "a.doc", ZIP), Some(Kind::Zip));
        assert_eq!(of("text/plain", "a.pdf", b"%PDF-1.4"), Some(Kind::Pdf));
        assert_eq!(of("text/plain", "a.ics", b"BEGIN:VCALENDAR"), Some(Kind::Calendar));
        assert_eq!(of("text/html", "", b"BEGIN:VCARD"), Some(Kind::Html));
        assert_eq!(of("text/plain", "", b"see %PDF-1.4 for"), Some(Kind::Text));
    }

    #[test]
    fn what_has_no_reader_is_left_alone() {
        assert_eq!(of("image/png", "a.txt", b"text"), None);
        assert_eq!(of("message/rfc822", "", b"From: a"), None);
        assert_eq!(of("application/octet-stream", "a.exe", b"text"), None);
        assert_eq!(name("image/PNG", ""), "image/png");
        assert_eq!(name("", "a.Exe"), "exe");
    }

    #[test]
    fn charset_is_found_among_parameters() {
        assert_eq!(charset("text/plain; format=flowed; Charset=\"koi8-r\""), Some("koi8-r"));
        assert_eq!(charset("text/plain"), None);
        assert_eq!(charset("text/plain; charset="), None);
    }
}

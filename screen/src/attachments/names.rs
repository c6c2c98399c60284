//! The names a file has, and their extension as the recipient's system will see it.

use zcluster_mail::{Part, decode_words, decoded_param};

/// Names of uuencoded files that are looked at in one part.
const UUENCODED_MAX: usize = 100;

/// All names of a part: programs differ in which one they use.
pub struct Names(Vec<String>);

impl Names {
    pub fn of(part: &Part) -> Self {
        let disposition = part.disposition.as_ref().map_or(&[][..], |d| &d.params);
        let mut names = Vec::new();
        for (params, name) in [(disposition, "filename"), (&part.params, "name"), (disposition, "name")] {
            names.extend(decoded_param(params, name));
            // Twice the same parameter: one reader takes the first, another the last.
            let raw = params.iter().filter(|p| p.name.eq_ignore_case(name)).map(|p| decode_words(&p.value.0));
            names.extend(raw);
        }
        // Some readers name a file without a name by its description or location.
        names.extend(part.location.iter().map(|l| String::from_utf8_lossy(&l.0).into_owned()));
        names.dedup();
        Names(names)
    }

    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    pub fn first(&self) -> Option<&str> {
        self.0.first().map(String::as_str)
    }
}

/// The extension, lower case, as Windows sees it: dots and spaces at the end do not count, nor what follows a NUL or
/// comes after a colon (a stream of the file).
pub fn extension(name: &str) -> Option<String> {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = name.split('\0').next().unwrap_or_default();
    let (file, stream) = name.split_once(':').unwrap_or((name, ""));
    let stream = stream.trim_start_matches(':');
    let name = if stream.is_empty() || stream.starts_with('$') { file } else { name };
    let ignored = |c: char| c == '.' || c.is_whitespace() || c.is_control() || ('\u{200b}'..='\u{200f}').contains(&c);
    let name = name.trim_end_matches(ignored);
    let (_, extension) = name.rsplit_once('.')?;
    Some(extension.trim().to_lowercase())
}

/// The names of files that are uuencoded in a text (`begin 644 name`).
pub fn uuencoded(text: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    for at in memchr::memmem::find_iter(text, b"begin ") {
        let at_line_start = at == 0 || text[at - 1] == b'\n';
        if !at_line_start || names.len() >= UUENCODED_MAX {
            continue;
        }
        let rest = &text[at + 6..];
        let line = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len()).min(1_000)];
        let line = String::from_utf8_lossy(line);
        if let Some((mode, name)) = line.trim_end().split_once(' ')
            && (3..=6).contains(&mode.len())
            && mode.bytes().all(|b| (b'0'..=b'7').contains(&b))
        {
            names.push(name.trim().to_string());
        }
    }
    names
}

//! Reading.

use super::{LINE_BYTES_MAX, Line, Mod, ModKind, RECORD_BYTES_MAX, RECORD_LINES_MAX, Record, What};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{self, BufRead};

/// Bytes of an attribute's description.
const NAME_BYTES_MAX: usize = 256;

/// Why a file, or one record of it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LdifError {
    /// The record that begins at this line is none; the next call goes on behind it.
    #[error("line {line}: {text}")]
    Record {
        /// Line of the file, from 1.
        line: u64,
        /// Why.
        text: String,
    },
    /// The file cannot be read on.
    #[error("cannot read: {0}")]
    Io(#[from] io::Error),
}

/// Reads records one after another.
pub struct Reader<R: BufRead> {
    input: R,
    /// Number of the last line read.
    line: u64,
    /// The line after the last one taken: whether it is a fold must be seen first.
    ahead: Option<Physical>,
    begun: bool,
    /// Bytes of the file read so far.
    bytes: u64,
}

/// A line of the file.
struct Physical {
    number: u64,
    text: Vec<u8>,
    too_long: bool,
}

/// A line with its folds.
struct Logical {
    number: u64,
    text: Vec<u8>,
    too_long: bool,
}

impl<R: BufRead> Reader<R> {
    /// Over any input.
    pub fn new(input: R) -> Self {
        Reader { input, line: 0, ahead: None, begun: false, bytes: 0 }
    }

    /// Bytes of the file read so far: for showing progress.
    pub fn position(&self) -> u64 {
        self.bytes
    }

    /// The next record; nothing at the end.
    ///
    /// # Errors
    /// See [`LdifError`].
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Record>, LdifError> {
        loop {
            let Some((line, lines)) = self.lines()? else { return Ok(None) };
            let lines = match lines {
                Ok(lines) => lines,
                Err(text) => return Err(LdifError::Record { line, text }),
            };
            let mut lines = lines.into_iter().peekable();
            if !std::mem::replace(&mut self.begun, true)
                && lines.peek().is_some_and(|(_, l)| l.first().is_some_and(|b| b.eq_ignore_ascii_case(&b'v')))
            {
                // A version stands at the beginning, with or without an empty line behind it.
                match lines.next().map(|(_, text)| split(&text)) {
                    Some(Ok((name, value))) if name.eq_ignore_ascii_case("version") && value == b"1" => {}
                    _ => return Err(LdifError::Record { line, text: "only version 1 is known".into() }),
                }
                if lines.peek().is_none() {
                    continue;
                }
            }
            let line = lines.peek().map_or(line, |(n, _)| *n);
            return match record(line, &mut lines) {
                Ok(record) => Ok(Some(record)),
                Err((0, text)) => Err(LdifError::Record { line, text }),
                Err((line, text)) => Err(LdifError::Record { line, text }),
            };
        }
    }

    /// The lines up to the next empty one: where they begin, and they or why there are none to be had.
    #[allow(clippy::type_complexity)]
    fn lines(&mut self) -> io::Result<Option<(u64, Result<Vec<(u64, Vec<u8>)>, String>)>> {
        let mut out: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut first = None;
        let mut bytes = 0;
        let mut problem: Option<String> = None;
        while let Some(line) = self.logical()? {
            if line.text.is_empty() && !line.too_long {
                if first.is_some() {
                    break;
                }
                continue;
            }
            if line.text.first() == Some(&b'#') {
                continue;
            }
            first.get_or_insert(line.number);
            bytes += line.text.len();
            if line.too_long {
                problem.get_or_insert(format!("line {} is longer than {LINE_BYTES_MAX} bytes", line.number));
            } else if bytes > RECORD_BYTES_MAX || out.len() >= RECORD_LINES_MAX {
                problem.get_or_insert(format!("more than {RECORD_BYTES_MAX} bytes or {RECORD_LINES_MAX} lines"));
            }
            if problem.is_some() {
                out = Vec::new();
            } else {
                out.push((line.number, line.text));
            }
        }
        Ok(first.map(|first| (first, problem.map_or(Ok(out), Err))))
    }

    fn logical(&mut self) -> io::Result<Option<Logical>> {
        let first = match self.ahead.take() {
            Some(line) => line,
            None => match self.physical()? {
                Some(line) => line,
                None => return Ok(None),
            },
        };
        let mut line = Logical { number: first.number, text: first.text, too_long: first.too_long };
        while let Some(next) = self.physical()? {
            // A fold of nothing is no fold: an empty line ends a record.
            if line.text.is_empty() || next.text.first() != Some(&b' ') {
                self.ahead = Some(next);
                break;
            }
            line.too_long |= next.too_long || line.text.len() + next.text.len() > LINE_BYTES_MAX;
            if !line.too_long {
                line.text.extend_from_slice(&next.text[1..]);
            }
        }
        Ok(Some(line))
    }

    /// The next line without its end; what is longer than a line may be is read and forgotten.
    fn physical(&mut self) -> io::Result<Option<Physical>> {
        let mut text = Vec::new();
        let (mut too_long, mut any) = (false, false);
        loop {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            if buffer.is_empty() {
                if !any {
                    return Ok(None);
                }
                break;
            }
            any = true;
            let end = buffer.iter().position(|b| *b == b'\n');
            let (part, used) = end.map_or((buffer, buffer.len()), |at| (&buffer[..at], at + 1));
            if text.len() + part.len() > LINE_BYTES_MAX {
                too_long = true;
            } else {
                text.extend_from_slice(part);
            }
            self.input.consume(used);
            self.bytes += used as u64;
            if end.is_some() {
                break;
            }
        }
        if text.last() == Some(&b'\r') {
            text.pop();
        }
        self.line += 1;
        Ok(Some(Physical { number: self.line, text, too_long }))
    }
}

type Problem = (u64, String);

fn record(line: u64, lines: &mut impl Iterator<Item = (u64, Vec<u8>)>) -> Result<Record, Problem> {
    let mut lines = lines.map(|(n, text)| split(&text).map(|pair| (n, pair)).map_err(|e| (n, e))).peekable();
    let dn = match lines.next().transpose()? {
        Some((n, (name, value))) if name.eq_ignore_ascii_case("dn") => text(n, value)?,
        _ => return Err((line, "a record begins with dn:".into())),
    };
    while let Some(Ok((n, (name, value)))) = lines.peek()
        && name.eq_ignore_ascii_case("control")
    {
        let critical = String::from_utf8_lossy(value).to_lowercase().split([' ', ':']).any(|w| w == "true");
        if critical {
            return Err((*n, "critical controls are not supported".into()));
        }
        lines.next();
    }
    let what = match lines.peek() {
        Some(Ok((_, (name, _)))) if name.eq_ignore_ascii_case("changetype") => {
            let (n, kind) = lines.next().transpose()?.map(|(n, (_, v))| (n, v)).unwrap_or_default();
            change(n, &String::from_utf8_lossy(&kind).to_lowercase(), &mut lines)?
        }
        _ => What::Content(content(&mut lines)?),
    };
    Ok(Record { line, dn, what })
}

type Parsed = Result<(u64, Line), Problem>;

fn change(n: u64, kind: &str, lines: &mut std::iter::Peekable<impl Iterator<Item = Parsed>>) -> Result<What, Problem> {
    let what = match kind {
        "add" => What::Add(content(lines)?),
        "delete" => What::Delete,
        "modify" => What::Modify(modifications(lines)?),
        "modrdn" | "moddn" => rename(n, lines)?,
        other => return Err((n, format!("unknown changetype {other:?}"))),
    };
    match lines.next().transpose()? {
        Some((n, _)) => Err((n, "more lines than this change has".into())),
        None => Ok(what),
    }
}

fn content(lines: &mut impl Iterator<Item = Parsed>) -> Result<Vec<Line>, Problem> {
    let mut out = Vec::new();
    for line in lines {
        let (n, (name, value)) = line?;
        if name == "-" || name.eq_ignore_ascii_case("dn") {
            return Err((n, format!("{name} within an entry")));
        }
        out.push((name, value));
    }
    if out.is_empty() { Err((0, "an entry without attributes".into())) } else { Ok(out) }
}

fn modifications(lines: &mut impl Iterator<Item = Parsed>) -> Result<Vec<Mod>, Problem> {
    let mut out: Vec<Mod> = Vec::new();
    let mut open = false;
    for line in lines {
        let (n, (name, value)) = line?;
        if name == "-" {
            open = false;
            continue;
        }
        match out.last_mut().filter(|_| open) {
            Some(last) if last.attr.eq_ignore_ascii_case(&name) => last.values.push(value),
            Some(last) => return Err((n, format!("{name} within a change of {}", last.attr))),
            None => {
                let kind = ModKind::of(&name).ok_or_else(|| (n, format!("unknown change {name:?}")))?;
                let attr = text(n, value)?;
                if !is_name(&attr) {
                    return Err((n, format!("attribute name {attr:?}")));
                }
                out.push(Mod { kind, attr, values: Vec::new() });
                open = true;
            }
        }
    }
    Ok(out)
}

fn rename(at: u64, lines: &mut impl Iterator<Item = Parsed>) -> Result<What, Problem> {
    let mut expect = |what: &str, optional: bool| -> Result<Option<String>, Problem> {
        match lines.next().transpose()? {
            Some((n, (name, value))) if name.eq_ignore_ascii_case(what) => text(n, value).map(Some),
            None if optional => Ok(None),
            Some((n, _)) => Err((n, format!("{what} is expected"))),
            None => Err((at, format!("{what} is expected"))),
        }
    };
    let new_rdn = expect("newrdn", false)?.unwrap_or_default();
    let delete_old = match expect("deleteoldrdn", false)?.as_deref() {
        Some("0") => false,
        Some("1") => true,
        _ => return Err((at, "deleteoldrdn is 0 or 1".into())),
    };
    Ok(What::Rename { new_rdn, delete_old, new_superior: expect("newsuperior", true)? })
}

fn text(line: u64, value: Vec<u8>) -> Result<String, Problem> {
    String::from_utf8(value).map_err(|_| (line, "not UTF-8".into()))
}

/// A line's name and value.
fn split(line: &[u8]) -> Result<Line, String> {
    if line == b"-" {
        return Ok(("-".into(), Vec::new()));
    }
    let colon = line.iter().position(|b| *b == b':').ok_or("a line without a colon")?;
    let name = std::str::from_utf8(&line[..colon]).ok().filter(|n| is_name(n)).ok_or("no attribute's name")?;
    let rest = &line[colon + 1..];
    let value = match rest.first() {
        Some(b':') => {
            let body: Vec<u8> = rest[1..].iter().copied().filter(|b| *b != b' ').collect();
            STANDARD.decode(&body).map_err(|e| format!("{name}: not base64: {e}"))?
        }
        Some(b'<') => return Err(format!("{name}: values by URL are refused")),
        _ => {
            let from = rest.iter().position(|b| *b != b' ').unwrap_or(rest.len());
            rest[from..].to_vec()
        }
    };
    Ok((name.to_string(), value))
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.;_".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<Result<Record, String>> {
        let mut reader = Reader::new(text.as_bytes());
        let mut out = Vec::new();
        loop {
            match reader.next() {
                Ok(Some(record)) => out.push(Ok(record)),
                Ok(None) => return out,
                Err(e) => out.push(Err(e.to_string())),
            }
        }
    }

    fn values(record: &Result<Record, String>) -> Vec<(String, String)> {
        match record {
            Ok(Record { what: What::Content(lines) | What::Add(lines), .. }) => {
                lines.iter().map(|(n, v)| (n.clone(), String::from_utf8_lossy(v).into_owned())).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_examples_of_the_standard() {
        // RFC 2849, examples 1, 2, 3, 6.
        let text = "version: 1\r\ndn: cn=Barbara Jensen, ou=Product Development, dc=airius, dc=com\r\nobjectclass: top\r\n\
            cn: Barbara Jensen\r\ndescription:Babs is a big sailing fan, and travels extensively in sea\r\n rch of perfect sailing conditions.\r\n\
            \r\n# comment\r\n#  of\r\n  two lines\r\ndn:: dWlkPXJvZ2FzYXdhcmEsb3U95Za25qWt6YOoLG89QWlyaXVz\r\nou:: 5Za25qWt6YOo\r\n\r\n\r\n";
        let got = all(text);
        assert_eq!(got.len(), 2);
        assert_eq!(
            values(&got[0])[2].1,
            "Babs is a big sailing fan, and travels extensively in search of perfect sailing conditions."
        );
        assert_eq!(got[1].as_ref().unwrap().dn, "uid=rogasawara,ou=営業部,o=Airius");
        assert_eq!(values(&got[1]), [("ou".into(), "営業部".into())]);
        let text = "version: 1\n\n# Add a new entry\ndn: cn=Fiona, dc=com\nchangetype: add\ncn: Fiona\n\ndn: cn=Robert, dc=com\nchangetype: delete\n\n\
            dn: cn=Paul, dc=com\nchangetype: modrdn\nnewrdn: cn=Paula\ndeleteoldrdn: 1\nnewsuperior: dc=org\n\n\
            dn: cn=Paula, dc=com\ncontrol: 1.2.840.113556.1.4.805 false\nchangetype: modify\nadd: postaladdress\npostaladdress: 123 Anystreet $ Sunnyvale\n-\ndelete: description\n-\nreplace: telephonenumber\ntelephonenumber: 1\ntelephonenumber: 2\n-\n";
        let got = all(text);
        let Ok(Record { what: What::Modify(mods), line: 17, .. }) = &got[3] else { panic!("{:?}", got[3]) };
        assert_eq!(mods.len(), 3);
        assert_eq!((mods[1].kind, mods[1].values.len(), mods[2].values.len()), (ModKind::Delete, 0, 2));
        let rename = What::Rename { new_rdn: "cn=Paula".into(), delete_old: true, new_superior: Some("dc=org".into()) };
        assert_eq!(got[2].as_ref().unwrap().what, rename);
    }

    #[test]
    fn bad_records_are_refused_one_by_one() {
        let text = "version: 1\n\ndn: a=1\njpegPhoto:< file:///etc/passwd\n\ndn: a=2\nx y\n\ndn: a=3\ncontrol: 1.2.3 true\nchangetype: delete\n\n\
            dn: a=4\nb:: !!\n\nb: 1\n\ndn: a=5\nchangetype: modify\nadd: x\ny: 1\n\ndn: a=6\nchangetype: odd\n\ndn: a=7\nchangetype: delete\nb: 1\n\ndn: a=8\n\ndn: a=9\nb: 1";
        let got = all(text);
        let wrong: Vec<&str> = got.iter().filter_map(|r| r.as_ref().err()).map(String::as_str).collect();
        assert_eq!(wrong.len(), 9, "{wrong:#?}");
        assert!(wrong[0].contains("line 4: jpegPhoto: values by URL are refused"), "{}", wrong[0]);
        assert_eq!(values(&got[9]), [("b".into(), "1".into())], "what follows a bad record is read");
        assert!(all("version: 2\n\ndn: a=1\nb: 1\n")[0].as_ref().unwrap_err().contains("version"));
    }

    #[test]
    fn long_lines_and_records_are_passed_over_in_bounded_memory() {
        let long = "x".repeat(LINE_BYTES_MAX);
        let folded = format!("b: {}\n", "y\n ".repeat(3)).repeat(1);
        let text = format!("dn: a=1\nb: {long}\n\ndn: a=2\n{folded}c: 1\n");
        let got = all(&text);
        assert!(got[0].as_ref().unwrap_err().contains("longer than"), "{:?}", got[0].as_ref().map(|_| ()));
        assert_eq!(values(&got[1]), [("b".into(), "yyy".into()), ("c".into(), "1".into())]);
    }
}

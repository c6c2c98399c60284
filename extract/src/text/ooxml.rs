//! Word, Excel and PowerPoint since 2007 (ECMA-376): the parts that hold what a reader sees, in the order they would see it.

use super::archive::Zip;
use super::ole;
use super::reading::{Metered, Reading, Stop};
use super::xml::{Node, attribute, walk};
use crate::ExtractError;
use std::io::{Cursor, Read};
use zip9::read::ZipFile;

/// Bytes of a workbook's shared strings that are kept to look cells up in.
const SHARED_BYTES_MAX: usize = 32 << 20;

pub fn read(zip: &mut Zip, bytes: &[u8], to: &mut Reading) -> Result<(), Stop> {
    let names: Vec<String> = zip.file_names().flatten().map(|n| n.into_owned()).collect();
    let has = |prefix: &str| names.iter().any(|n| n.starts_with(prefix));
    for part in ["docProps/core.xml", "docProps/app.xml"] {
        if names.iter().any(|n| n == part) {
            // What is said about the document is no reason to lose what it says.
            let _ = read_properties(zip, part, to);
        }
    }
    if names.iter().any(|n| n == "xl/workbook.bin") {
        return ole::read_binary_workbook(bytes, to);
    }
    if has("xl/") {
        return read_workbook(zip, &names, to);
    }
    if has("word/") || has("ppt/") {
        return read_parts(zip, &parts_in_order(&names), to);
    }
    Err(Stop::Failed(ExtractError::Unsupported("an Office Open XML package of an unknown kind".into())))
}

/// Opens a part.
fn part<'z, 'b>(
    zip: &'z mut Zip<'b>,
    name: &str,
    to: &Reading,
) -> Result<Metered<ZipFile<'z, Cursor<&'b [u8]>>>, Stop> {
    let file = zip.by_name(name).map_err(Stop::malformed)?;
    if file.encrypted() {
        return Err(Stop::Failed(ExtractError::Encrypted));
    }
    Ok(to.meter.reader(file))
}

fn read_properties(zip: &mut Zip, name: &str, to: &mut Reading) -> Result<(), Stop> {
    let xml = part(zip, name, to)?;
    let (mut field, mut value) = ("", String::new());
    walk(xml, |node| {
        match node {
            Node::Start(name, _) => {
                value.clear();
                field = match name {
                    "title" => "title",
                    "creator" | "lastModifiedBy" | "Manager" => "author",
                    "subject" | "category" => "subject",
                    "keywords" => "keywords",
                    "description" => "description",
                    "Company" => "company",
                    _ => "",
                };
            }
            Node::Text(text) if !field.is_empty() && value.len() < 4096 => value.push_str(text),
            Node::End(_) if !field.is_empty() => {
                to.field(field, &value);
                field = "";
            }
            _ => {}
        }
        Ok(())
    })
}

/// Documents and slides first, then what stands beside them; numbers in names count (`slide10` follows `slide9`).
fn parts_in_order(names: &[String]) -> Vec<String> {
    const FOLDERS: [(&str, u32); 9] = [
        ("word/document", 0),
        ("ppt/slides/slide", 0),
        ("word/header", 1),
        ("word/footer", 2),
        ("word/footnotes", 3),
        ("word/endnotes", 4),
        ("word/comments", 5),
        ("ppt/notesSlides/notesSlide", 5),
        ("ppt/comments/", 6),
    ];
    let place = |name: &&String| {
        let stem = name.strip_suffix(".xml")?;
        let (prefix, rank) = FOLDERS.iter().find(|(prefix, _)| stem.starts_with(prefix))?;
        let rest = &stem[prefix.len()..];
        let number: u64 = rest.chars().filter(char::is_ascii_digit).take(9).collect::<String>().parse().unwrap_or(0);
        (!rest.contains('/')).then(|| (*rank, number, (*name).clone()))
    };
    let mut parts: Vec<_> = names.iter().filter_map(|n| place(&n)).collect();
    parts.sort();
    parts.into_iter().map(|(.., name)| name).collect()
}

fn read_parts(zip: &mut Zip, names: &[String], to: &mut Reading) -> Result<(), Stop> {
    if names.is_empty() {
        return Err(Stop::malformed("it has no document"));
    }
    for name in names {
        walk_paragraphs(part(zip, name, to)?, to)?;
        to.line();
    }
    Ok(())
}

fn walk_paragraphs<R: Read>(xml: Metered<R>, to: &mut Reading) -> Result<(), Stop> {
    // `fallback`: the same content again, for programs that do not know the first form.
    let (mut in_text, mut fallback) = (false, 0u32);
    walk(xml, |node| {
        match node {
            Node::Start("Fallback", _) => fallback += 1,
            Node::End("Fallback") => fallback = fallback.saturating_sub(1),
            _ if fallback > 0 => {}
            Node::Start("t", _) => in_text = true,
            Node::End("t") => in_text = false,
            Node::Start("tab", _) => to.space(),
            Node::Start("br" | "cr", _) | Node::End("p" | "tc") => to.line(),
            Node::Start("noBreakHyphen", _) => to.push_char('-')?,
            // Comments of PowerPoint have no runs; a picture's description is what is seen of it.
            Node::Start("docPr", e) => {
                if let Some(description) = attribute(e, "descr") {
                    to.push(&description)?;
                    to.line();
                }
            }
            Node::Start("text", _) => in_text = true,
            Node::End("text") => {
                in_text = false;
                to.line();
            }
            Node::Text(text) if in_text => to.push(text)?,
            _ => {}
        }
        Ok(())
    })
}

/// Strings that cells refer to, one after the other in one buffer.
#[derive(Default)]
struct Shared {
    text: String,
    ends: Vec<usize>,
}

impl Shared {
    fn get(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends.get(index - 1).copied().unwrap_or_default() };
        self.ends.get(index).map_or("", |end| &self.text[start..*end])
    }
}

fn read_workbook(zip: &mut Zip, names: &[String], to: &mut Reading) -> Result<(), Stop> {
    if names.iter().any(|n| n == "xl/workbook.xml") {
        walk(part(zip, "xl/workbook.xml", to)?, |node| {
            if let Node::Start("sheet", e) = node {
                to.push(&attribute(e, "name").unwrap_or_default())?;
                to.line();
            }
            Ok(())
        })?;
    }
    let shared = if names.iter().any(|n| n == "xl/sharedStrings.xml") {
        read_shared(part(zip, "xl/sharedStrings.xml", to)?)?
    } else {
        Shared::default()
    };
    let mut sheets: Vec<&String> =
        names.iter().filter(|n| n.starts_with("xl/worksheets/") && n.ends_with(".xml")).collect();
    sheets.sort_by_key(|name| (name.len(), *name));
    for name in sheets {
        walk_cells(part(zip, name, to)?, &shared, to)?;
        to.line();
    }
    for name in names.iter().filter(|n| n.starts_with("xl/comments") || n.starts_with("xl/drawings/drawing")) {
        walk_paragraphs(part(zip, name, to)?, to)?;
        to.line();
    }
    Ok(())
}

fn read_shared<R: Read>(xml: Metered<R>) -> Result<Shared, Stop> {
    // `phonetic`: how the text is pronounced, which no cell shows.
    let (mut shared, mut in_text, mut phonetic) = (Shared::default(), false, false);
    walk(xml, |node| {
        match node {
            Node::Start("rPh", _) => phonetic = true,
            Node::End("rPh") => phonetic = false,
            Node::Start("t", _) => in_text = !phonetic,
            Node::End("t") => in_text = false,
            Node::End("si") => shared.ends.push(shared.text.len()),
            Node::Text(text) if in_text && shared.text.len() + text.len() <= SHARED_BYTES_MAX => {
                shared.text.push_str(text)
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(shared)
}

fn walk_cells<R: Read>(xml: Metered<R>, shared: &Shared, to: &mut Reading) -> Result<(), Stop> {
    let (mut is_shared, mut in_value, mut value) = (false, false, String::new());
    walk(xml, |node| {
        match node {
            Node::Start("c", e) => is_shared = attribute(e, "t").as_deref() == Some("s"),
            Node::Start("v" | "t", _) => in_value = true,
            Node::Text(text) if in_value => value.push_str(text),
            Node::End("v" | "t") => {
                let index = is_shared.then(|| value.trim().parse::<usize>().ok()).flatten();
                to.push(index.map_or(value.as_str(), |i| shared.get(i)))?;
                in_value = false;
                value.clear();
            }
            Node::End("c") => to.space(),
            Node::End("row") => to.line(),
            _ => {}
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_in_the_order_of_reading() {
        let names = [
            "ppt/slides/slide10.xml",
            "ppt/notesSlides/notesSlide1.xml",
            "ppt/slides/slide9.xml",
            "ppt/slides/_rels/slide9.xml.rels",
        ];
        let names: Vec<String> = names.iter().map(|n| (*n).to_string()).collect();
        let expected = ["ppt/slides/slide9.xml", "ppt/slides/slide10.xml", "ppt/notesSlides/notesSlide1.xml"];
        assert_eq!(parts_in_order(&names), expected);
    }

    #[test]
    fn shared_strings_out_of_range_are_empty() {
        let shared = Shared { text: "abc".into(), ends: vec![1, 3] };
        assert_eq!([0, 1, 2, 99].map(|i| shared.get(i)), ["a", "bc", "", ""]);
    }
}

//! OpenDocument (ISO 26300): texts, sheets, slides and drawings have the same paragraphs.

use super::archive::Zip;
use super::reading::{Metered, Reading, Stop};
use super::xml::{Node, walk};
use crate::ExtractError;
use std::io::Read;

pub fn read(zip: &mut Zip, to: &mut Reading) -> Result<(), Stop> {
    if is_encrypted(zip, to)? {
        return Err(Stop::Failed(ExtractError::Encrypted));
    }
    if let Ok(meta) = zip.by_name("meta.xml") {
        // What is said about the document is no reason to lose what it says.
        let _ = read_meta(to.meter.reader(meta), to);
    }
    let content = zip.by_name("content.xml").map_err(Stop::malformed)?;
    walk_paragraphs(to.meter.reader(content), to)?;
    to.line();
    // Headers and footers are styles.
    match zip.by_name("styles.xml") {
        Ok(styles) => walk_paragraphs(to.meter.reader(styles), to),
        Err(_) => Ok(()),
    }
}

fn is_encrypted(zip: &mut Zip, to: &mut Reading) -> Result<bool, Stop> {
    let manifest = zip.by_name("META-INF/manifest.xml").map_err(Stop::malformed)?;
    let mut is_encrypted = false;
    // Old ones have a document type; then it is the content that says what is wrong.
    let _ = walk(to.meter.reader(manifest), |node| {
        is_encrypted |= matches!(node, Node::Start("encryption-data", _));
        Ok(())
    });
    Ok(is_encrypted)
}

fn read_meta<R: Read>(xml: Metered<R>, to: &mut Reading) -> Result<(), Stop> {
    let (mut field, mut value) = ("", String::new());
    walk(xml, |node| {
        match node {
            Node::Start(name, e) => {
                value.clear();
                field = match name {
                    "title" => "title",
                    "creator" | "initial-creator" => "author",
                    "subject" => "subject",
                    "keyword" => "keywords",
                    "description" => "description",
                    "user-defined" => match super::xml::attribute(e, "name").as_deref() {
                        Some("Company") => "company",
                        _ => "",
                    },
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

fn walk_paragraphs<R: Read>(xml: Metered<R>, to: &mut Reading) -> Result<(), Stop> {
    // `removed`: text that tracked changes took out.
    let (mut paragraphs, mut removed) = (0u32, 0u32);
    walk(xml, |node| {
        match node {
            Node::Start("tracked-changes", _) => removed += 1,
            Node::End("tracked-changes") => removed = removed.saturating_sub(1),
            _ if removed > 0 => {}
            Node::Start("p" | "h", _) => paragraphs += 1,
            Node::End("p" | "h") => {
                paragraphs = paragraphs.saturating_sub(1);
                to.line();
            }
            Node::Start("s" | "tab", _) | Node::End("table-cell") => to.space(),
            Node::Start("line-break", _) | Node::End("table-row") => to.line(),
            // The name of a sheet.
            Node::Start("table", e) => {
                to.push(&super::xml::attribute(e, "name").unwrap_or_default())?;
                to.line();
            }
            Node::Text(text) if paragraphs > 0 => to.push(text)?,
            _ => {}
        }
        Ok(())
    })
}

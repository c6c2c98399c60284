//! What a discovery found, as files: messages byte by byte as they are, and a manifest that says whose they are, where they
//! lay, and what their hashes are.

use super::Format;
use crate::finder::Shown;
use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use zcluster_runtime::wall_ms;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// An export that goes on.
pub struct Export {
    path: PathBuf,
    to: To,
    manifest: Manifest,
}

enum To {
    Folder,
    Mboxes(BTreeMap<String, BufWriter<File>>),
    Zip(Box<ZipWriter<BufWriter<File>>>),
}

/// `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    /// The query as it was given.
    query: String,
    /// What it was taken for.
    explained: String,
    /// When the export was made.
    made: String,
    /// Mailboxes searched.
    mailboxes: u64,
    messages: Vec<Entry>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    /// File in the export; none: the message was gone, or too large.
    file: Option<String>,
    /// Of the message's bytes.
    blake3: Option<String>,
    bytes: u64,
    account: String,
    account_id: String,
    shard: u32,
    /// The shard's log position that the search saw.
    position: Option<u64>,
    id: u32,
    folder: String,
    uid: u32,
    flags: String,
    tags: Vec<String>,
    /// When it arrived, RFC 3339.
    date: String,
    from: String,
    subject: String,
}

/// mbox separates messages by lines that begin with this.
const FROM: &[u8] = b"From ";

impl Export {
    /// Begins one; nothing may be at its place.
    pub fn begin(path: &Path, format: Format, query: &str) -> Result<Export> {
        if path.exists() {
            bail!("{} is there already", path.display());
        }
        let make = || format!("cannot make {}", path.display());
        let to = match format {
            Format::Zip => To::Zip(Box::new(ZipWriter::new(BufWriter::new(File::create(path).with_context(make)?)))),
            Format::Eml | Format::Mbox => {
                fs::create_dir_all(path).with_context(make)?;
                if format == Format::Mbox { To::Mboxes(BTreeMap::new()) } else { To::Folder }
            }
        };
        let manifest = Manifest {
            query: query.to_string(),
            explained: String::new(),
            made: time(wall_ms().cast_signed()).map(|at| at.to_rfc3339()).unwrap_or_default(),
            mailboxes: 0,
            messages: Vec::new(),
        };
        Ok(Export { path: path.to_path_buf(), to, manifest })
    }

    /// Adds a message (base64).
    pub fn add(
        &mut self,
        (account, account_id): (&str, &str),
        (shard, position): (u32, Option<u64>),
        shown: &Shown,
        message: Option<String>,
    ) -> Result<()> {
        let raw = message.map(|text| STANDARD.decode(text)).transpose().context("the node sent an unusable message")?;
        let file = match &raw {
            Some(raw) => Some(self.write(account, shown, raw)?),
            None => None,
        };
        self.manifest.messages.push(Entry {
            file,
            blake3: raw.as_ref().map(|raw| blake3::hash(raw).to_hex().to_string()),
            bytes: raw.as_ref().map_or(shown.size, |raw| raw.len() as u64),
            account: account.to_string(),
            account_id: account_id.to_string(),
            shard,
            position,
            id: shown.id,
            folder: shown.folder.clone(),
            uid: shown.uid,
            flags: shown.flags.clone(),
            tags: shown.tags.clone(),
            date: time(shown.date).map(|at| at.to_rfc3339()).unwrap_or_default(),
            from: shown.from.clone(),
            subject: shown.subject.clone(),
        });
        Ok(())
    }

    fn write(&mut self, account: &str, shown: &Shown, raw: &[u8]) -> Result<String> {
        let safe = safe(account);
        let name = format!("{safe}/{}.eml", shown.id);
        match &mut self.to {
            To::Folder => {
                fs::create_dir_all(self.path.join(&safe))?;
                fs::write(self.path.join(&name), raw).with_context(|| format!("cannot write {name}"))?;
                Ok(name)
            }
            To::Zip(zip) => {
                let options = SimpleFileOptions::default()
                    .compression_method(CompressionMethod::Deflated)
                    .large_file(raw.len() > u32::MAX as usize / 2);
                zip.start_file(&name, options)?;
                zip.write_all(raw)?;
                Ok(name)
            }
            To::Mboxes(files) => {
                let name = format!("{safe}.mbox");
                if !files.contains_key(&safe) {
                    files.insert(safe.clone(), BufWriter::new(File::create(self.path.join(&name))?));
                }
                let Some(out) = files.get_mut(&safe) else { return Ok(name) };
                let date = time(shown.date).map(|at| at.format("%a %b %e %H:%M:%S %Y").to_string());
                writeln!(out, "From MAILER-DAEMON {}", date.unwrap_or_default())?;
                for line in raw.split_inclusive(|byte| *byte == b'\n') {
                    // mboxrd: what looks like a separator, however often quoted, is quoted once more.
                    let unquoted = line.iter().position(|byte| *byte != b'>').unwrap_or(0);
                    if line[unquoted..].starts_with(FROM) {
                        out.write_all(b">")?;
                    }
                    let line = line.strip_suffix(b"\r\n").map_or(line, |line| line);
                    out.write_all(line)?;
                    if !line.ends_with(b"\n") {
                        out.write_all(b"\n")?;
                    }
                }
                out.write_all(b"\n")?;
                Ok(name)
            }
        }
    }

    /// Writes the manifest; what to tell.
    pub fn finish(mut self, explained: &str, mailboxes: u64) -> Result<String> {
        self.manifest.explained = explained.to_string();
        self.manifest.mailboxes = mailboxes;
        let manifest = serde_json::to_vec_pretty(&self.manifest)?;
        let written = self.manifest.messages.iter().filter(|entry| entry.file.is_some()).count();
        match self.to {
            To::Folder => fs::write(self.path.join("manifest.json"), manifest)?,
            To::Mboxes(files) => {
                for (_, mut file) in files {
                    file.flush()?;
                }
                fs::write(self.path.join("manifest.json"), manifest)?;
            }
            To::Zip(mut zip) => {
                zip.start_file("manifest.json", SimpleFileOptions::default())?;
                zip.write_all(&manifest)?;
                zip.finish()?.flush()?;
            }
        }
        Ok(format!("{written} messages in {}", self.path.display()))
    }
}

fn time(ms: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(ms)
}

/// An address as a file's name.
fn safe(account: &str) -> String {
    let safe = |c: char| c.is_alphanumeric() || "@.-_+".contains(c);
    let name: String = account.chars().map(|c| if safe(c) { c } else { '_' }).collect();
    if name.starts_with('.') { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finder::SortValue;

    fn shown(id: u32) -> Shown {
        Shown {
            id,
            conversation: id,
            messages: 1,
            folder: "Inbox".into(),
            uid: id,
            sort_field: SortValue::Number(0),
            flags: "u".into(),
            tags: Vec::new(),
            size: 3,
            date: 1_700_000_000_000,
            from: "a".into(),
            subject: "s".into(),
            preview: String::new(),
            fragment: None,
        }
    }

    #[test]
    fn messages_are_written_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let raw = b"Subject: x\r\n\r\nFrom me\r\n>From you\r\nend";
        for (format, name) in [(Format::Eml, "eml"), (Format::Mbox, "mbox"), (Format::Zip, "z.zip")] {
            let path = dir.path().join(name);
            let mut export = Export::begin(&path, format, "q").unwrap();
            for id in [1, 2] {
                export.add(("a/../b@x.org", "1"), (1, Some(7)), &shown(id), Some(STANDARD.encode(raw))).unwrap();
            }
            export.add(("gone@x.org", "2"), (1, None), &shown(3), None).unwrap();
            assert!(export.finish("e", 5).unwrap().starts_with("2 messages"));
            assert!(Export::begin(&path, format, "q").is_err());
        }
        assert_eq!(fs::read(dir.path().join("eml/a_.._b@x.org/1.eml")).unwrap(), raw);
        let mbox = fs::read_to_string(dir.path().join("mbox/a_.._b@x.org.mbox")).unwrap();
        assert_eq!(mbox.matches("\nFrom me").count(), 0);
        assert_eq!((mbox.matches("\n>From me\n").count(), mbox.matches("\n>>From you\n").count()), (2, 2));
        assert_eq!(mbox.matches("From MAILER-DAEMON Tue Nov 14 22:13:20 2023\n").count(), 2);
        let mut zip = zip::ZipArchive::new(File::open(dir.path().join("z.zip")).unwrap()).unwrap();
        let mut message = Vec::new();
        std::io::Read::read_to_end(&mut zip.by_name("a_.._b@x.org/2.eml").unwrap(), &mut message).unwrap();
        assert_eq!(message, raw);
        let manifest: serde_json::Value = serde_json::from_reader(zip.by_name("manifest.json").unwrap()).unwrap();
        assert_eq!(manifest["messages"][1]["blake3"], blake3::hash(raw).to_hex().to_string());
        assert!(manifest["messages"][2]["file"].is_null());
    }
}

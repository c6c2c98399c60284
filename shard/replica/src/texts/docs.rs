//! Messages made ready for an index, or to be looked into without one.

use bytes::Bytes;
use std::sync::Arc;
use zcluster_api::text::{AttachedBytes, FileReader, TextDoc};
use zcluster_api::{Error, Result, TextField};
use zcluster_mail::Summary;

/// Attached files of one message that are read.
const FILES_MAX: usize = 64;
/// Larger files are not read.
const FILE_BYTES_MAX: usize = 32 << 20;

/// Makes documents of messages.
#[derive(Clone)]
pub(crate) struct Docs {
    files: Option<Arc<dyn FileReader>>,
}

impl Docs {
    /// With a reader of attached files, or none.
    pub fn new(files: Option<Arc<dyn FileReader>>) -> Self {
        Docs { files }
    }

    /// What a message has without its attached files.
    ///
    /// # Errors
    /// `Internal` when the summary cannot be read.
    pub fn base(&self, summary: &[u8], raw: &[u8]) -> Result<TextDoc> {
        Ok(zcluster_mail::text_doc(&Summary::decode(summary)?, raw))
    }

    /// Whether there are files to be read, too.
    ///
    /// # Errors
    /// `Internal` when the summary cannot be read.
    pub fn has_files(&self, summary: &[u8]) -> Result<bool> {
        let Some(reader) = &self.files else { return Ok(false) };
        let files = zcluster_mail::attached_files(&Summary::decode(summary)?);
        Ok(files.iter().any(|file| reader.knows(&file.media_type, file.file_name.as_deref().unwrap_or_default())))
    }

    /// The files that are to be read, decoded.
    ///
    /// # Errors
    /// `Internal` when the summary cannot be read.
    pub fn files(&self, summary: &[u8], raw: &[u8]) -> Result<Vec<AttachedBytes>> {
        let Some(reader) = &self.files else { return Ok(Vec::new()) };
        let files = zcluster_mail::attached_files(&Summary::decode(summary)?);
        let known = files
            .into_iter()
            .filter(|file| reader.knows(&file.media_type, file.file_name.as_deref().unwrap_or_default()))
            .take(FILES_MAX);
        let decoded = known.filter_map(|file| {
            let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(raw.len());
            let encoded = raw.get(at(file.range.start)..at(file.range.end)).unwrap_or_default();
            let bytes: Bytes = zcluster_mail::decode_file(&file, encoded).into();
            let fits = !bytes.is_empty() && bytes.len() <= FILE_BYTES_MAX;
            let name = file.file_name.unwrap_or_default();
            fits.then_some(AttachedBytes { media_type: file.media_type, name, bytes })
        });
        Ok(decoded.collect())
    }

    /// Adds the texts of files. One without any text for us is left out.
    ///
    /// # Errors
    /// `Unavailable` when there is too much to do.
    pub async fn add_files(&self, doc: &mut TextDoc, files: Vec<AttachedBytes>) -> Result<()> {
        let Some(reader) = &self.files else { return Ok(()) };
        for file in files {
            match reader.read(file).await {
                Ok(read) => {
                    doc.texts.push((TextField::Content, read.text));
                    let properties = read.properties.into_iter();
                    doc.texts.extend(properties.map(|(name, value)| (TextField::Property(name), value)));
                }
                Err(e @ Error::Unavailable(_)) => return Err(e),
                Err(e) => tracing::debug!(error = %e, "an attached file has no text"),
            }
        }
        Ok(())
    }
}

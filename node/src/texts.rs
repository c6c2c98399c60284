//! The texts of attached files, got by worker processes of this program.

use crate::config::Config;
use futures::future::BoxFuture;
use std::ffi::OsStr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use zcluster_api::text::{AttachedBytes, FileReader, FileText};
use zcluster_api::{Error, Result};
use zcluster_extract::{Document, ExtractError, Pool, PoolConfig};

/// What this program is called with to be a worker.
const WORKER: &str = "extract-worker";

/// Whether this process was started as a worker; then this does not return.
pub fn work_if_asked() {
    if std::env::args_os().nth(1).as_deref() == Some(OsStr::new(WORKER)) {
        let ended = zcluster_extract::worker::run();
        std::process::exit(i32::from(ended != ExitCode::SUCCESS));
    }
}

/// Reads attached files.
pub struct Files {
    pool: Arc<Pool>,
    /// That there is no worker was told.
    told: Arc<AtomicBool>,
}

impl Files {
    /// As configured; none: attached files are not read.
    pub fn new(config: &Config) -> Option<Arc<Files>> {
        let search = &config.search;
        let pool = PoolConfig {
            workers: search.readers,
            // Indexers wait for their answers, searches too: more than these do not come at a time.
            waiting: 256,
            timeout: Duration::from_secs(search.file_seconds),
            memory_bytes: search.reader_bytes,
            ..PoolConfig::new("/proc/self/exe", [WORKER])
        };
        (search.readers > 0).then(|| Arc::new(Files { pool: Arc::new(Pool::new(pool)), told: Arc::default() }))
    }
}

impl FileReader for Files {
    /// What a file is can often be told by its content alone.
    fn knows(&self, _media_type: &str, _name: &str) -> bool {
        true
    }

    fn read(&self, file: AttachedBytes) -> BoxFuture<'static, Result<FileText>> {
        let (pool, told) = (self.pool.clone(), self.told.clone());
        Box::pin(async move {
            let AttachedBytes { media_type, name: filename, bytes } = file;
            let document = Document { media_type, filename, bytes: bytes.to_vec() };
            match pool.extract(document).await {
                Ok(read) => Ok(FileText { text: read.text, properties: read.fields }),
                Err(e @ ExtractError::Busy) => Err(Error::Unavailable(e.to_string())),
                Err(e @ ExtractError::NoWorker(_)) => {
                    // Mail goes on, and is found by all but its attachments.
                    if !told.swap(true, Ordering::Relaxed) {
                        tracing::error!(error = %e, "attached files cannot be read on this node, and are not searched");
                    }
                    Err(Error::Invalid(e.to_string()))
                }
                Err(e) => Err(Error::Invalid(e.to_string())),
            }
        })
    }
}

//! One worker process as its parent sees it.

use super::PoolConfig;
use crate::worker::frame::{self, FrameError};
use crate::worker::{FRAME_SLACK, Ready, Reply, SETTINGS_BYTES_MAX};
use crate::{ExtractError, Extracted, Killed, Limits};
use parking_lot::Mutex;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use zcluster_runtime::JoinHandle;

/// For a worker to lock itself in.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// For what a dead worker said to be read.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of one line that a worker says on standard error.
const LINE_BYTES_MAX: usize = 512;
/// Lines that are logged of one worker; later ones are read and dropped.
const LINES_MAX: u32 = 20;

/// A living worker. Dropping it kills it.
pub struct Child {
    process: tokio::process::Child,
    input: ChildStdin,
    output: ChildStdout,
    last_words: Arc<Mutex<String>>,
    /// Reads what it says on standard error, to the end.
    listener: JoinHandle<()>,
    answered: u64,
}

/// How a document ended.
pub enum Outcome {
    Answer(Result<Extracted, ExtractError>),
    /// The pipe broke: the process is dying, of what its exit status will say.
    Broken(String),
    /// It lives and must not.
    Killed(Killed),
}

impl Child {
    /// Starts a process and waits until it is in its cage.
    pub async fn start(config: &PoolConfig) -> Result<Self, String> {
        let mut process = Command::new(&config.program)
            .args(&config.args)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| format!("{}: {e}", config.program.display()))?;
        let (Some(input), Some(output), Some(errors)) =
            (process.stdin.take(), process.stdout.take(), process.stderr.take())
        else {
            return Err("it has no pipes".into());
        };
        let last_words = Arc::new(Mutex::new(String::new()));
        let listener = zcluster_runtime::spawn(listen(errors, last_words.clone()));
        let mut child = Child { process, input, output, last_words, listener, answered: 0 };
        match zcluster_runtime::timeout(START_TIMEOUT, child.lock_in(config)).await {
            Ok(Ok(())) => Ok(child),
            Ok(Err(why)) => Err(child.end(why).await.to_string()),
            Err(_) => Err("it does not begin".into()),
        }
    }

    async fn lock_in(&mut self, config: &PoolConfig) -> Result<(), String> {
        let settings = frame::encoded(&config.settings()).map_err(|e| e.to_string())?;
        self.input.write_all(&settings).await.map_err(|e| e.to_string())?;
        let ready: Ready = self.next(SETTINGS_BYTES_MAX).await.map_err(|e| e.to_string())?;
        match ready.unfiltered {
            Some(why) if config.require_filter => Err(format!("its system calls cannot be filtered: {why}")),
            Some(why) => {
                tracing::warn!("extract: a worker whose system calls are not filtered: {why}");
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Gives it an encoded document and waits for the answer, however long that takes.
    pub async fn ask(&mut self, document: &[u8], limits: &Limits) -> Outcome {
        self.last_words.lock().clear();
        // A worker reads a document whole before it answers, so writing cannot wait for reading.
        if let Err(e) = self.input.write_all(document).await {
            return Outcome::Broken(e.to_string());
        }
        match self.next::<Reply>(limits.text_bytes + FRAME_SLACK).await {
            Ok(Reply::Done(extracted)) => self.answer(Ok(extracted)),
            Ok(Reply::Failed(e)) => self.answer(Err(e)),
            Err(FrameError::Io(e)) => Outcome::Broken(e.to_string()),
            Err(e) => Outcome::Killed(Killed::Protocol(e.to_string())),
        }
    }

    fn answer(&mut self, answer: Result<Extracted, ExtractError>) -> Outcome {
        self.answered += 1;
        Outcome::Answer(answer)
    }

    /// Documents that it answered.
    pub fn answered(&self) -> u64 {
        self.answered
    }

    async fn next<T: for<'b> minicbor::Decode<'b, ()>>(&mut self, bytes_max: u64) -> Result<T, FrameError> {
        let mut prefix = [0; 4];
        self.output.read_exact(&mut prefix).await?;
        let mut bytes = vec![0; frame::length(prefix, bytes_max)?];
        self.output.read_exact(&mut bytes).await?;
        frame::decoded(&bytes)
    }

    /// Kills it and waits until it is gone.
    pub async fn kill(mut self) {
        let _ = self.process.start_kill();
        let _ = self.process.wait().await;
    }

    /// Why it broke its pipe. It is dying already, so that the signal here comes too late to be what it died of.
    pub async fn end(mut self, why: String) -> Killed {
        let _ = self.process.start_kill();
        let Ok(status) = self.process.wait().await else { return Killed::Died(why) };
        if status.signal() == Some(libc::SIGSYS) {
            return Killed::Forbidden;
        }
        let _ = zcluster_runtime::timeout(LAST_WORDS_TIMEOUT, self.listener).await;
        let last_words = self.last_words.lock().clone();
        Killed::Died(format!("{status}, {why}: {last_words}").trim_end_matches([':', ' ']).to_string())
    }
}

/// Logs what a worker says, and keeps the last line that says something.
async fn listen(mut errors: ChildStderr, last_words: Arc<Mutex<String>>) {
    let (mut buffer, mut line, mut lines) = ([0; LINE_BYTES_MAX], Vec::new(), 0);
    while let Ok(n) = errors.read(&mut buffer).await {
        for byte in &buffer[..n] {
            if *byte != b'\n' && line.len() < LINE_BYTES_MAX {
                line.push(*byte);
            } else if *byte == b'\n' {
                let said =
                    String::from_utf8_lossy(&line).trim().chars().filter(|c| !c.is_control()).collect::<String>();
                line.clear();
                lines += 1;
                if lines <= LINES_MAX {
                    tracing::debug!("extract: a worker says: {said}");
                }
                // Rust's advice to set a variable follows what matters.
                if !said.is_empty() && !said.starts_with("note:") {
                    *last_words.lock() = said;
                }
            }
        }
        if n == 0 {
            return;
        }
    }
}

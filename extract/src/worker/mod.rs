//! The child process: locked in, it answers one document after another until its standard input ends.
//!
//! The protocol is a frame each way: four bytes of length, big-endian, then CBOR. First comes [`Settings`] and is answered by
//! [`Ready`]; from then on the process is in its cage ([`cage`]) and gets [`Document`]s, each answered by text or an error. The
//! parent is trusted; the documents are not.

mod cage;
pub(crate) mod frame;

use crate::{Document, ExtractError, Extracted, Limits, text};
use frame::FrameError;
use minicbor::{Decode, Encode};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::process::ExitCode;

/// Bytes of the first frame.
pub(crate) const SETTINGS_BYTES_MAX: u64 = 4096;
/// What a frame holds besides the document's bytes, or the text.
pub(crate) const FRAME_SLACK: u64 = 256 * 1024;

/// What a worker is told before it locks itself in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Settings {
    /// Bytes of address space that documents may take, besides what the program takes itself.
    #[n(0)]
    pub memory_bytes: u64,
    /// Seconds of processor time in a worker's whole life.
    #[n(1)]
    pub cpu_seconds: u64,
    /// The limits of every document.
    #[n(2)]
    pub limits: Limits,
}

/// A worker's answer to its settings.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Ready {
    /// Why system calls are not filtered, if they are not.
    #[n(0)]
    pub unfiltered: Option<String>,
}

/// A worker's answer to a document.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Reply {
    #[n(0)]
    Done(#[n(0)] Extracted),
    #[n(1)]
    Failed(#[n(0)] ExtractError),
}

/// Runs a worker on this process's standard input and output, until the input ends.
///
/// Call it first thing in `main`, before another thread or a runtime is started: it gives the process up. Standard output is the
/// protocol's alone; whatever else prints goes to standard error.
pub fn run() -> ExitCode {
    run_with(|document, limits| text::extract(&document.media_type, &document.filename, &document.bytes, limits))
}

/// [`run`] with another way to read documents. For tests of the cage.
pub fn run_with(read: impl FnMut(&Document, &Limits) -> Result<Extracted, ExtractError>) -> ExitCode {
    match serve(read) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn serve(mut read: impl FnMut(&Document, &Limits) -> Result<Extracted, ExtractError>) -> Result<(), FrameError> {
    // The messages of panics would be the libraries' own, of any length, with a backtrace that opens files.
    std::panic::set_hook(Box::new(|info| match info.location() {
        Some(at) => {
            eprintln!("a reader panicked at {}:{}", at.file().rsplit('/').next().unwrap_or_default(), at.line())
        }
        None => eprintln!("a reader panicked"),
    }));
    let (mut input, mut output) = take_pipes()?;
    let Some(settings) = frame::read::<Settings>(&mut input, SETTINGS_BYTES_MAX)? else { return Ok(()) };
    let unfiltered = cage::lock_in(&settings)?.err();
    frame::write(&mut output, &Ready { unfiltered })?;
    let request_bytes_max = settings.limits.input_bytes + FRAME_SLACK;
    while let Some(document) = frame::read::<Document>(&mut input, request_bytes_max)? {
        let reply = match read(&document, &settings.limits) {
            Ok(extracted) => Reply::Done(extracted),
            Err(e) => Reply::Failed(e),
        };
        frame::write(&mut output, &reply)?;
    }
    Ok(())
}

/// Standard input and output, and in the latter's place standard error: a library that prints must not break the protocol.
fn take_pipes() -> io::Result<(impl Read, impl Write)> {
    // SAFETY: plain system calls on descriptors that the process was started with; `output` is new and nobody else's.
    let output = unsafe {
        let fd = libc::fcntl(io::stdout().as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3);
        if fd < 0 || libc::dup2(io::stderr().as_raw_fd(), io::stdout().as_raw_fd()) < 0 {
            return Err(io::Error::last_os_error());
        }
        File::from_raw_fd(fd)
    };
    cage::close_all_but(output.as_raw_fd());
    Ok((io::stdin().lock(), output))
}

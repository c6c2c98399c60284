//! A worker for the tests, which have no node's binary: [`zcluster_extract::worker::run`], and documents of a type that nothing
//! else has, which do what a library that was taken over would do.

#![allow(clippy::disallowed_methods, reason = "that is what it is for")]

use std::process::ExitCode;
use zcluster_extract::{Document, ExtractError, Extracted, Limits, text, worker};

fn main() -> ExitCode {
    worker::run_with(|document, limits| match document.media_type.strip_prefix("x-attack/") {
        Some(attack) => attacked(attack, document, limits),
        None => text::extract(&document.media_type, &document.filename, &document.bytes, limits),
    })
}

/// Carries the attack out; the answer is what came of it, if anything comes.
fn attacked(attack: &str, document: &Document, limits: &Limits) -> Result<Extracted, ExtractError> {
    let outcome = match attack {
        "open" => outcome(std::fs::File::open("/etc/passwd")),
        "create" => outcome(std::fs::File::create("/tmp/zcluster-extract-worker-was-here")),
        "socket" => outcome(std::net::UdpSocket::bind("127.0.0.1:0")),
        "connect" => outcome(std::net::TcpStream::connect("127.0.0.1:1")),
        "exec" => outcome(std::process::Command::new("/bin/true").status()),
        "thread" => outcome(std::thread::Builder::new().spawn(|| ())),
        "code" => executable_memory(),
        "signal" => signalled_parent(),
        "limits" => limits_now(),
        "hog" => hog(),
        "overflow" => overflow(1).to_string(),
        "spin" => loop {
            std::hint::spin_loop();
        },
        "print" => {
            println!("this would break the protocol");
            "printed".into()
        }
        "lie" => {
            // A frame of 4 GiB, in the place where standard output was moved to.
            // SAFETY: a plain system call.
            unsafe { libc::write(3, [0xffu8; 8].as_ptr().cast(), 8) };
            "lied".into()
        }
        "large answer" => "x".repeat((limits.text_bytes + 1_000_000) as usize),
        "panic" => panic!("as asked"),
        "abort" => std::process::abort(),
        "exit" => std::process::exit(0),
        "environment" => std::env::vars_os().count().to_string(),
        "pid" => std::process::id().to_string(),
        other => format!("{other}? {} bytes", document.bytes.len()),
    };
    Ok(Extracted { text: outcome, ..Extracted::default() })
}

fn outcome<T>(result: std::io::Result<T>) -> String {
    match result {
        Ok(_) => "succeeded".into(),
        Err(e) => format!("refused: {e}"),
    }
}

fn executable_memory() -> String {
    // SAFETY: a new mapping, which nobody reads.
    let mapped = unsafe {
        let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        libc::mmap(std::ptr::null_mut(), 4096, protection, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
    };
    if mapped == libc::MAP_FAILED { outcome::<()>(Err(std::io::Error::last_os_error())) } else { "succeeded".into() }
}

fn signalled_parent() -> String {
    // SAFETY: signal 0 tests whether a signal could be sent.
    let sent = unsafe { libc::kill(libc::getppid(), 0) };
    if sent == 0 { "succeeded".into() } else { outcome::<()>(Err(std::io::Error::last_os_error())) }
}

/// Whether limits can be raised again.
fn limits_now() -> String {
    let more = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: `more` is a valid rlimit.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_AS, &more) };
    if set == 0 { "succeeded".into() } else { outcome::<()>(Err(std::io::Error::last_os_error())) }
}

fn hog() -> String {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    loop {
        kept.push(vec![kept.len() as u8; 16 << 20]);
        std::hint::black_box(&kept);
    }
}

#[allow(unconditional_recursion, reason = "as asked")]
fn overflow(n: u64) -> u64 {
    let room = std::hint::black_box([n; 512]);
    overflow(n + 1) + room[0]
}

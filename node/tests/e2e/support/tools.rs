//! Other people's programs: they must be there (`deploy/prerequisites` installs them) and must succeed.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// How long one run may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a program that must succeed; returns its output.
pub fn succeed(command: &mut Command) -> Vec<u8> {
    let output = finish(command);
    expect_success(command, &output);
    output.stdout
}

/// The same for script(1): its input stays open, because it would type an end of file into the terminal.
pub fn succeed_with_open_input(command: &mut Command) -> Vec<u8> {
    let output = run(command.stdin(Stdio::piped()), LIMIT);
    expect_success(command, &output);
    output.stdout
}

/// What a program printed that must have succeeded.
pub fn output_of_success(command: &Command, output: Output) -> Vec<u8> {
    expect_success(command, &output);
    output.stdout
}

/// Gives script(1) a terminal's program to run.
pub fn in_terminal(inner: &str) -> Command {
    let mut command = Command::new("script");
    command.args(["-qec", inner, "/dev/null"]).env("TERM", "vt100").env("LC_ALL", "C.UTF-8");
    command
}

fn expect_success(command: &Command, output: &Output) {
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} failed ({}): {out}{error}", output.status);
}

/// Runs a program to its end, killing it when it takes too long.
pub fn finish(command: &mut Command) -> Output {
    finish_within(command, LIMIT)
}

/// The same with another limit.
pub fn finish_within(command: &mut Command, limit: Duration) -> Output {
    run(command.stdin(Stdio::null()), limit)
}

fn run(command: &mut Command, limit: Duration) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}; run deploy/prerequisites"));
    let _input = child.stdin.take();
    let pid = child.id();
    let (done, finished) = std::sync::mpsc::channel();
    let waiter = std::thread::spawn(move || {
        let output = child.wait_with_output();
        let _ = done.send(());
        output
    });
    if finished.recv_timeout(limit).is_err() {
        // SAFETY: kill takes no pointers; the waiter has not reaped this child yet, or the signal hits nobody.
        unsafe { libc::kill(pid as libc::pid_t, libc::SIGKILL) };
        let output = waiter.join().unwrap().unwrap();
        let text = [output.stdout, output.stderr].concat();
        panic!("{command:?} did not end within {limit:?}: {}", String::from_utf8_lossy(&text));
    }
    waiter.join().unwrap().unwrap()
}

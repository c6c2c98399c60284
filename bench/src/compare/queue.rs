//! A queue of mail that cannot be delivered for now, as when a large provider is down: how fast it fills, what it weighs, what
//! a look at it costs, and how long the server takes to be back.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures::future::BoxFuture;
use tokio::process::Command;

use super::{CompareOptions, Running};
use crate::deliver::{Dialect, Session};
use crate::mta::{self, SendOptions};
use crate::process::Watch;
use crate::stats::{Meter, Recorder, Report};

/// Messages in the queue; a tenth with `--quick`.
const MESSAGES: usize = 100_000;
/// Looks at it.
const LOOKS: usize = 5;
/// After so much quiet the first attempts are made.
const SETTLE: Duration = Duration::from_secs(15);
/// How long a restart may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What an operator does with a server that has a queue.
pub trait Operator {
    /// The program that tells what waits, by destination.
    fn look(&self) -> Vec<String>;
    /// Stops the server and waits until it has ended.
    fn stop(&mut self) -> BoxFuture<'_, Result<()>>;
    /// Starts it again; its process ids.
    fn start(&mut self) -> BoxFuture<'_, Result<Vec<u32>>>;
}

/// Runs the loads. `send` makes the options of so many messages; nobody listens where they shall go.
pub async fn run(
    options: &CompareOptions,
    running: &mut Running,
    send: impl Fn(&Running, usize) -> SendOptions,
    done: &mut dyn FnMut(Report, &str),
) -> Result<()> {
    let messages = if options.quick { MESSAGES / 10 } else { MESSAGES };
    done(mta::queue(&send(running, messages)).await?, "submission into the queue");
    tokio::time::sleep(SETTLE).await;
    let memory = Watch::new(&running.pids).memory_kib();
    let mut report = look(running).await?;
    report.mib = Some(memory as f64 / 1024.0);
    done(report, &format!("a look at {messages} deferred"));
    done(restart(running).await?, &format!("restart with {messages} deferred"));
    Ok(())
}

async fn look(running: &Running) -> Result<Report> {
    let command = running.operator.as_ref().context("nobody to look")?.look();
    let (name, arguments) = command.split_first().context("no command")?;
    let mut recorder = Recorder::default();
    let meter = Meter::start(&running.pids);
    let before = children_cpu();
    for _ in 0..LOOKS {
        let started = Instant::now();
        let output = Command::new(name).args(arguments).stdin(Stdio::null()).output().await?;
        ensure!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        recorder.record(started.elapsed());
    }
    let own = children_cpu() - before;
    let mut report = meter.finish("look", recorder, 1);
    // What the program itself spends is part of the cost.
    report.cpu_s_per_1000 = report.cpu_s_per_1000.map(|cpu| cpu + own * 1_000.0 / LOOKS as f64);
    Ok(report)
}

async fn restart(running: &mut Running) -> Result<Report> {
    let address = running.submission[0];
    let operator = running.operator.as_mut().context("nobody to restart it")?;
    operator.stop().await?;
    let started = Instant::now();
    let pids = operator.start().await?;
    while Session::open(address, Dialect::Smtp).await.is_err() {
        if started.elapsed() > PATIENCE {
            bail!("the server is not back after {PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut recorder = Recorder::default();
    recorder.record(started.elapsed());
    running.pids = pids;
    let mut report = Meter::start(&[]).finish("restart", recorder, 1);
    (report.seconds, report.per_second) = (started.elapsed().as_secs_f64(), 1.0 / started.elapsed().as_secs_f64());
    Ok(report)
}

/// CPU seconds of programs that this one has started and seen the end of.
pub fn children_cpu() -> f64 {
    // SAFETY: getrusage fills the struct it is given; all zeroes is a valid value of it.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

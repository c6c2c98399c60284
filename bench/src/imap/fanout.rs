//! One mailbox, many sessions in IDLE (RFC 2177): how soon the last of them hears of a delivery, and what that costs.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::try_join_all;

use super::client::Client;
use super::idle;
use crate::deliver::{Dialect, Session};
use crate::message::Messages;
use crate::options::IdleLatency;
use crate::stats::{Meter, Recorder, Report};

/// Before the clock starts, logins and wake-ups settle.
const SETTLE: Duration = Duration::from_secs(2);

/// Runs the load: `--connections` sessions on the first account, `--count` deliveries.
pub async fn run(options: &IdleLatency) -> Result<Report> {
    let mut imap = options.imap.clone();
    let target = &mut imap.target;
    crate::check(target)?;
    target.accounts.truncate(1);
    let account = target.accounts[0].clone();
    let sessions = target.connections;
    let mut probe = Client::open(target.address_of(0)).await?;
    probe.login(&account, &imap.password).await?;
    let mut exists = probe.select(&imap.folder).await?;
    let mut idlers = idle::open_many(&imap, sessions).await?;
    let mut session = Session::open(options.lmtp, Dialect::Lmtp).await?;
    let messages = Messages::new(imap.size);
    tokio::time::sleep(SETTLE).await;
    let mut recorder = Recorder::default();
    let mut meter = Meter::start(&imap.target.pids);
    for _ in 0..imap.count {
        let text = messages.next(&account);
        if let Err(refused) = session.begin(&account, text.len()).await? {
            recorder.error(&refused);
            continue;
        }
        let started = Instant::now();
        session.body(&text).await?;
        exists += 1;
        let all = try_join_all(idlers.iter_mut().map(|idler| idler.await_exists(exists)));
        let seen = async {
            all.await?;
            anyhow::Ok(started.elapsed())
        };
        let (seen, accepted) = futures::try_join!(seen, session.outcome())?;
        match accepted {
            Ok(()) => recorder.record(seen),
            Err(reply) => recorder.error(&reply),
        }
        meter.pause();
        tokio::time::sleep(Duration::from_millis(options.pause_ms)).await;
        meter.resume();
    }
    Ok(meter.finish("imap idle fan-out", recorder, 1))
}

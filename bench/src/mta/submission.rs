//! Mail for elsewhere: submitted by accounts, carried to `smtp-sink`.

use std::net::SocketAddr;

use anyhow::Result;
use clap::Args;

use super::sink::Sink;
use super::{SendOptions, Traffic};
use crate::stats::{Meter, Report};

/// Options of the submission load.
#[derive(Args, Clone, Debug)]
pub struct SubmissionOptions {
    /// The submission side.
    #[command(flatten)]
    pub send: SendOptions,
    /// Where the sink shall listen; the server must send the recipient's domain there.
    #[arg(long)]
    pub sink: SocketAddr,
    /// Whom all messages are for.
    #[arg(long, default_value = "someone@sink.example.net")]
    pub recipient: String,
}

/// Submits messages that cannot be delivered for now. The clock stops at the last 250.
pub async fn queue(send: &SendOptions) -> Result<Report> {
    crate::check(&send.target)?;
    let meter = Meter::start(&send.target.pids);
    let recorder = super::send(send, Traffic::Out("someone@down.example.net")).await?;
    Ok(meter.finish("submission into the queue", recorder, 1))
}

/// Runs the load. The clock stops when the sink has the last message.
pub async fn run(options: &SubmissionOptions) -> Result<Report> {
    crate::check(&options.send.target)?;
    let sink = Sink::start(options.sink).await?;
    let mut meter = Meter::start(&options.send.target.pids);
    let recorder = super::send(&options.send, Traffic::Out(&options.recipient)).await?;
    super::all_arrived(recorder.count(), async || Ok(sink.messages())).await?;
    meter.pause();
    Ok(meter.finish("submission, until it is there", recorder, 1))
}

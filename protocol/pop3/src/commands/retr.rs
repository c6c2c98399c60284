//! RETR (RFC 1939 §5), and the streaming that TOP shares.

use crate::codec::wire::Wire;
use crate::errors::{Failure, Next, Outcome};
use crate::session::Session;
use futures::StreamExt;

/// Sends a message.
pub async fn run(session: &mut Session, number: u32) -> Outcome {
    let size = session.maildrop()?.get(number)?.size;
    send(session, number, &format!("{size} octets"), Wire::whole()).await?;
    session.maildrop()?.retrieved(number);
    Ok(Next::Command)
}

/// Streams message `number` through `wire`, after `+OK` with `text`.
///
/// What goes wrong before the first byte is there is refused. Later the connection must end without the final dot:
/// that is the only way to tell the client that the message is not complete.
pub async fn send(session: &mut Session, number: u32, text: &str, mut wire: Wire) -> Result<(), Failure> {
    let service = session.service.clone();
    let maildrop = session.maildrop()?;
    let account = maildrop.account;
    let blob = maildrop.body(&service, number).await?;
    let size = blob.size;
    let mut stream = service.mailboxes().get(service.call(account, blob), 0..size).await?;
    let mut first = stream.next().await.transpose()?;
    if first.is_none() && size > 0 {
        return Err(zcluster_api::Error::Internal("body is shorter than its size".into()).into());
    }
    session.ok(text);
    let (mut sent, mut out) = (0, Vec::new());
    while let Some(piece) = first.take() {
        sent += piece.len() as u64;
        out.clear();
        wire.push(&piece, &mut out);
        session.conn.write(&out).await?;
        if wire.done() {
            break;
        }
        first = stream.next().await.transpose().map_err(|error| {
            tracing::warn!(%account, number, %error, "cannot read a message to its end");
            Failure::Ended
        })?;
    }
    if !wire.done() && sent != size {
        tracing::error!(%account, number, sent, size, "message body is shorter than its size");
        return Err(Failure::Ended);
    }
    out.clear();
    wire.finish(&mut out);
    session.conn.write(&out).await?;
    Ok(())
}

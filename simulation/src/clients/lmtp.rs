//! An MTA that hands messages over by LMTP (RFC 2033) and tries again until it has an answer for each recipient.
//!
//! What a reply after the message says about the outcome: 250 means that the mailbox has it. A 4xx may mean anything:
//! `deliver.rs` answers `Error::Unavailable` with 451, and that is the outcome nobody knows. So the operation stays open
//! and the same bytes are sent again; the server recognises them by their delivery key, and 250 then means that the
//! mailbox has the message once, by whichever attempt. A 5xx never comes for a mailbox that is there: an MTA would
//! bounce the message.

use super::imap::frames::Frames;
use super::message;
use super::wire::{Lost, Wire, within};
use super::{Shared, servers::Servers};
use crate::history::{History, Outcome, Refusal, Reply, Ticket, What};
use crate::plan::{Op, TimedOp};
use crate::world::{self, Stream};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a node may take to accept a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long a reply may take (RFC 5321 §4.5.3.2 is far more patient; a short patience makes more retries).
const REPLY_MAX: Duration = Duration::from_secs(40);
/// One in so many messages is given up by the MTA's connection right after the final dot, before any reply.
const HANG_UP_ONE_IN: u64 = 25;

/// Delivers all messages, one after the other.
pub async fn work(shared: Arc<Shared>, client: u32, ops: Vec<TimedOp>) {
    for TimedOp { wait_ms, id, op } in ops {
        shared.think(wait_ms).await;
        let Op::Deliver { accounts, bytes } = op else { continue };
        let mut letter = Letter::new(&shared.history, client, id, &accounts, bytes);
        let finished = shared.phase.until_over(letter.deliver(&shared)).await.is_some();
        if !finished && !letter.pending.is_empty() {
            let why = format!("recipients {:?} have no answer: {}", letter.pending.keys(), letter.trouble);
            shared.history.stuck(client, id, why);
        }
    }
}

/// A message on its way.
struct Letter {
    wire_text: Vec<u8>,
    /// Recipients without an answer.
    pending: BTreeMap<u32, Ticket>,
    trouble: String,
}

/// A reply: its code and words.
#[derive(Clone, Debug)]
struct Said {
    code: u16,
    last: bool,
    text: String,
}

impl Said {
    fn is_ok(&self) -> bool {
        (200..400).contains(&self.code)
    }
    fn is_final(&self) -> bool {
        self.code >= 500
    }
}

impl Letter {
    fn new(history: &History, client: u32, id: u32, accounts: &[u32], bytes: u32) -> Self {
        let mut pending = BTreeMap::new();
        for account in accounts {
            pending
                .entry(*account)
                .or_insert_with(|| history.begin(client, id, What::Deliver { account: *account, message: id }));
        }
        let wire_text = message::stuffed(&message::text(id, bytes));
        Letter { wire_text, pending, trouble: String::new() }
    }

    /// Tries at one node after the other until every recipient has an answer.
    async fn deliver(&mut self, shared: &Shared) {
        let (mut node, mut tries) = (0, 0);
        while !self.pending.is_empty() {
            node = shared.choose_node(node);
            for ticket in self.pending.values() {
                shared.history.sent_to(*ticket, node);
            }
            if let Err(lost) = self.attempt(shared, node).await {
                self.trouble = format!("node {node}: {lost:?}");
            }
            if !self.pending.is_empty() {
                world::count("client.delivery_retried");
                shared.back_off(tries).await;
                tries += 1;
            }
        }
    }

    /// One connection.
    async fn attempt(&mut self, shared: &Shared, node: u32) -> Result<(), Lost> {
        let mut talk = Talk::open(&*shared.servers, node).await?;
        let accepted = self.envelope(shared, &mut talk).await?;
        if accepted.is_empty() {
            return talk.quit().await;
        }
        talk.send(&self.wire_text).await?;
        if world::draw(Stream::Workload, |r| r.below(HANG_UP_ONE_IN)) == 0 {
            world::count("client.hung_up_before_reply");
            return Err(Lost::Closed);
        }
        for account in accepted {
            let said = talk.reply().await?;
            self.answered(shared, node, account, &said);
        }
        talk.quit().await
    }

    /// MAIL, RCPT and DATA, in one go or step by step; the recipients that were accepted, in order.
    async fn envelope(&mut self, shared: &Shared, talk: &mut Talk) -> Result<Vec<u32>, Lost> {
        let accounts: Vec<u32> = self.pending.keys().copied().collect();
        let mut commands = vec![String::from("MAIL FROM:<sender@outside.example>\r\n")];
        commands.extend(accounts.iter().map(|account| format!("RCPT TO:<u{account}@sim.example>\r\n")));
        commands.push("DATA\r\n".into());
        let at_once = world::draw(Stream::Workload, |r| r.below(2)) == 0;
        if at_once {
            talk.send(commands.concat().as_bytes()).await?;
        }
        let mut said = Vec::new();
        for command in &commands {
            if !at_once {
                talk.send(command.as_bytes()).await?;
            }
            said.push(talk.reply().await?);
        }
        let node = talk.wire.node;
        for refused in said.iter().filter(|s| !s.is_ok()) {
            self.trouble = format!("node {node}: {refused:?}");
        }
        if said.first().is_none_or(|mail| !mail.is_ok()) {
            return Ok(Vec::new());
        }
        let data_is_on = said.last().is_some_and(|data| data.code == 354);
        let recipients = accounts.iter().zip(said.iter().skip(1));
        let mut accepted = Vec::new();
        for (account, said) in recipients {
            if said.is_ok() {
                accepted.push(*account);
            } else {
                self.refused(shared, node, *account, said);
            }
        }
        if !data_is_on {
            accepted.clear();
        }
        Ok(accepted)
    }

    /// The reply after the message.
    fn answered(&mut self, shared: &Shared, node: u32, account: u32, said: &Said) {
        if said.code == 250 {
            if let Some(ticket) = self.pending.remove(&account) {
                shared.history.end(ticket, Outcome::Done(Reply::Accepted));
            }
            return;
        }
        self.refused(shared, node, account, said);
    }

    fn refused(&mut self, shared: &Shared, node: u32, account: u32, said: &Said) {
        self.trouble = format!("node {node}: {said:?}");
        world::note(world::OUTSIDE, "client", || format!("delivery to u{account} at node {node}: {said:?}"));
        if !said.is_final() {
            world::count("client.delivery_deferred");
            return;
        }
        // An earlier attempt may have had effect: only the words are known.
        if let Some(ticket) = self.pending.remove(&account) {
            shared.history.end(ticket, Outcome::Failed(Refusal::Other(said.text.clone())));
        }
        let text = format!("node {node} refused u{account}, which is there, for good: {} {}", said.code, said.text);
        world::violate("mail_is_never_bounced", text);
    }
}

/// An LMTP conversation.
struct Talk {
    wire: Wire,
}

impl Talk {
    /// Connects, and says hello.
    async fn open(servers: &dyn Servers, node: u32) -> Result<Self, Lost> {
        let opening = async { servers.lmtp(node).await.map_err(|_| Lost::Refused) };
        let stream = within(CONNECT_MAX, opening).await?;
        let mut talk = Talk { wire: Wire::new(node, stream, Frames::lines()) };
        talk.must(220).await?;
        talk.send(b"LHLO mta.outside.example\r\n").await?;
        talk.must(250).await?;
        Ok(talk)
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        within(REPLY_MAX, self.wire.send(bytes)).await
    }

    /// The next reply; of one with several lines, the last.
    async fn reply(&mut self) -> Result<Said, Lost> {
        within(REPLY_MAX, async {
            loop {
                let said = self.wire.next(parse).await?;
                match said.code {
                    421 => return Err(Lost::Bye(said.text)),
                    500..=504 if said.last => {
                        // 503 to DATA is what follows when no recipient was accepted.
                        if said.code != 503 {
                            let text = format!("node {} did not understand us: {said:?}", self.wire.node);
                            world::violate("protocol_errors_are_ours", text);
                        }
                        return Ok(said);
                    }
                    _ if said.last => return Ok(said),
                    _ => {}
                }
            }
        })
        .await
    }

    async fn must(&mut self, code: u16) -> Result<(), Lost> {
        let said = self.reply().await?;
        if said.code == code { Ok(()) } else { Err(Lost::Bye(said.text)) }
    }

    async fn quit(&mut self) -> Result<(), Lost> {
        self.send(b"QUIT\r\n").await?;
        self.must(221).await
    }
}

/// `250-8BITMIME`, `250 OK` (RFC 5321 §4.2).
fn parse(line: &[u8]) -> Result<Said, String> {
    let text = std::str::from_utf8(line).map_err(|_| "a reply that is no text")?.trim_end();
    let nonsense = || format!("a reply that is none: {text}");
    let code: u16 = text.get(..3).and_then(|code| code.parse().ok()).ok_or_else(nonsense)?;
    let last = match text.as_bytes().get(3) {
        None | Some(b' ') => true,
        Some(b'-') => false,
        Some(_) => return Err(nonsense()),
    };
    Ok(Said { code, last, text: text.get(4..).unwrap_or_default().to_string() })
}

#[cfg(test)]
mod reply_tests {
    use super::*;

    #[test]
    fn replies_are_understood() {
        let said = parse(b"250-8BITMIME\r\n").unwrap();
        assert!((said.code, said.last, said.is_ok()) == (250, false, true));
        let said = parse(b"451 4.3.0 try again\r\n").unwrap();
        assert!(said.last && !said.is_ok() && !said.is_final() && said.text.starts_with("4.3.0"));
        assert!(parse(b"hello\r\n").is_err() && parse(b"250=\r\n").is_err());
    }
}

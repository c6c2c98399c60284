//! The way to the node that carries lines out: sent again, to the next node, until their outcome is known.

use crate::admin::client::{CallError, Client};
use anyhow::{Result, bail};
use std::time::Duration;
use zcluster_prov::{LineOutcome, Reply, Request};
use zcluster_runtime::{Instant, sleep};

/// Time for one call: many passwords are hashed in it.
const CALL_TIMEOUT: Duration = Duration::from_secs(180);
/// How long lines are sent again while nothing is heard of them: longer than a cluster takes to choose a leader, or a node
/// to start.
const GIVE_UP_AFTER: Duration = Duration::from_secs(120);
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// Sends lines, and knows what became of each.
pub struct Link {
    clients: Vec<Client>,
    at: usize,
    /// Names all lines of this run, with their numbers: a line that is sent twice makes nothing twice.
    key: String,
    sent: usize,
    /// A node has answered: until then nothing can be half done, and what is wrong is told at once.
    met: bool,
    debug: bool,
    answers: bool,
}

impl Link {
    pub fn new(clients: Vec<Client>, debug: bool, answers: bool) -> Link {
        let key = zcluster_runtime::random_bytes::<16>().iter().map(|b| format!("{b:02x}")).collect();
        Link { clients, at: 0, key, sent: 0, met: false, debug, answers }
    }

    /// Sends lines; the outcomes of the first of them, at least one. The next call must begin with the line behind those.
    ///
    /// # Errors
    /// No node could be reached, or none knew of a leader, for long.
    pub async fn send(&mut self, lines: &[Vec<String>]) -> Result<Vec<LineOutcome>> {
        let mut request =
            Request { lines: lines.to_vec(), page: None, key: Some(self.key.clone()), first: self.sent, again: false };
        let until = Instant::now() + GIVE_UP_AFTER;
        let mut tried = 0;
        loop {
            let answer = self.call(&request).await;
            let answered = answer.as_ref().map_or_else(|e| e.is::<CallError>(), |_| true);
            let why = match answer {
                Ok(outcomes) if !outcomes.is_empty() => {
                    (self.sent, self.met) = (self.sent + outcomes.len(), true);
                    return Ok(outcomes);
                }
                Ok(_) => anyhow::anyhow!("the directory has no leader in reach"),
                Err(e) if is_final(&e) => return Err(e),
                Err(e) => e,
            };
            tried += 1;
            self.met |= answered;
            if !self.met && tried >= self.clients.len() {
                return Err(why);
            }
            if until.remaining().is_zero() {
                return Err(why.context("it is not known whether the last line was carried out"));
            }
            if self.debug {
                eprintln!("once more: {why:#}");
            }
            request.again = true;
            self.at = (self.at + 1) % self.clients.len();
            sleep(PAUSE).await;
        }
    }

    /// A further page of a line's answer.
    ///
    /// # Errors
    /// No node could be reached, or it refused.
    pub async fn page(&mut self, line: &[String], page: String) -> Result<Reply> {
        let request = Request { lines: vec![line.to_vec()], page: Some(page), ..Request::default() };
        let until = Instant::now() + GIVE_UP_AFTER;
        loop {
            match self.call(&request).await.map(|mut outcomes| outcomes.pop()) {
                Ok(Some(LineOutcome::Done(reply))) => return Ok(reply),
                Ok(Some(LineOutcome::Refused { code, text })) => bail!("ERROR: {code} ({text})"),
                Ok(None) if !until.remaining().is_zero() => {}
                Ok(None) => bail!("the directory has no leader in reach"),
                Err(e) if is_final(&e) || until.remaining().is_zero() => return Err(e),
                Err(_) => {}
            }
            self.at = (self.at + 1) % self.clients.len();
            sleep(PAUSE).await;
        }
    }

    async fn call(&self, request: &Request) -> Result<Vec<LineOutcome>> {
        let begun = Instant::now();
        let answer =
            self.clients[self.at].post_within::<Vec<LineOutcome>>("/v1/prov/lines", request, CALL_TIMEOUT).await;
        if self.debug {
            let said = match &answer {
                Ok(outcomes) => format!("{} outcomes", outcomes.len()),
                Err(e) => format!("{e:#}"),
            };
            eprintln!(
                "{} lines from {}: {said}, {} ms",
                request.lines.len(),
                request.first,
                begun.elapsed().as_millis()
            );
        }
        if self.answers
            && let Ok(outcomes) = &answer
        {
            eprintln!("{}", serde_json::to_string_pretty(outcomes)?);
        }
        answer
    }
}

/// Whether it makes no sense to ask again: the node answered, and will answer the same.
fn is_final(e: &anyhow::Error) -> bool {
    let refused = e.downcast_ref::<CallError>();
    refused.is_some_and(|r| r.code != "service.TEMPORARILY_UNAVAILABLE" && !r.code.starts_with("50"))
}

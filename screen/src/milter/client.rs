//! A transaction told to a milter.

use super::changes::{Change, apply};
use super::codec::{self, Reply, Step, packet, step, text};
use crate::arrival::Arrival;
use crate::screened::{Answer, Disposition};
use crate::service::{Endpoint, Failure, Limits, Pool, Stream};
use bytes::Bytes;
use std::net::IpAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use zcluster_mail::fields;
use zcluster_runtime::timeout;

/// Changes of one message.
const CHANGES_MAX: usize = 10_000;

/// What a milter that gives no answer means (`zimbraMtaMilterDefaultAction`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DefaultAction {
    /// As if there were none.
    Accept,
    /// 550.
    Reject,
    /// 451.
    #[default]
    Tempfail,
    /// Set aside, in the Junk folder.
    Quarantine,
}

/// How long a milter may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MilterLimits {
    /// To be connected to (`zimbraMtaMilterConnectTimeout`).
    pub connect: Duration,
    /// For one step (`zimbraMtaMilterCommandTimeout`).
    pub command: Duration,
    /// For the content (`zimbraMtaMilterContentTimeout`).
    pub content: Duration,
    /// Transactions at a time.
    pub concurrent: usize,
}

impl Default for MilterLimits {
    fn default() -> Self {
        let (connect, content) = (Duration::from_secs(30), Duration::from_secs(300));
        MilterLimits { connect, command: connect, content, concurrent: 100 }
    }
}

/// One milter.
pub struct Milter {
    pool: Pool,
    limits: MilterLimits,
    host: String,
}

/// What a milter says of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// What is to become of it.
    pub disposition: Disposition,
    /// The message as the milter wants it, if it wants it changed.
    pub replaced: Option<Bytes>,
}

impl Milter {
    /// The milter at `endpoint`; `host` is what we call ourselves.
    pub fn new(endpoint: Endpoint, limits: MilterLimits, host: String) -> Self {
        let total = limits.connect + limits.command + limits.content;
        let MilterLimits { connect, concurrent, .. } = limits;
        let pool = Limits { connect, step: total, total, concurrent, ..Limits::default() };
        Milter { pool: Pool::new("milter", vec![endpoint], pool), limits, host }
    }

    /// Tells the transaction, with `raw` as its message.
    ///
    /// # Errors
    /// [`Failure`]: there was no verdict.
    pub async fn tell(&self, arrival: &Arrival, raw: &Bytes) -> Result<Said, Failure> {
        let said = self.pool.ask(|stream| {
            let (arrival, raw, limits, host) = (arrival.clone(), raw.clone(), self.limits, self.host.clone());
            Box::pin(async move {
                let mut talk = Talk { stream, limits, steps: 0, said: Said::default(), changes: Vec::new() };
                talk.negotiate().await?;
                let end = talk.transaction(&arrival, &raw, &host).await?;
                Ok(talk.finish(end, &raw).await)
            })
        });
        said.await
    }
}

struct Talk {
    stream: Stream,
    limits: MilterLimits,
    steps: u32,
    said: Said,
    changes: Vec<Change>,
}

/// How a step went.
enum Heard {
    Continue,
    Skip,
    /// No more is asked.
    End(Disposition),
}

impl Talk {
    async fn negotiate(&mut self) -> Result<(), Failure> {
        let offer = [codec::VERSION, codec::ACTIONS, codec::STEPS].map(u32::to_be_bytes).concat();
        self.send(&packet(b'O', &[&offer])).await?;
        let (command, data) = self.hear(self.limits.command).await?;
        let (version, actions, steps) =
            codec::negotiated(command, &data).ok_or_else(|| Failure::Reply("no option negotiation".into()))?;
        if version < 2 || actions & !codec::ACTIONS != 0 || steps & !codec::STEPS != 0 {
            let wants = format!("it speaks version {version} and wants actions {actions:#x} and steps {steps:#x}");
            return Err(Failure::Reply(wants));
        }
        self.steps = steps;
        Ok(())
    }

    /// All steps; ends where the milter says so.
    async fn transaction(&mut self, arrival: &Arrival, raw: &Bytes, host: &str) -> Result<Disposition, Failure> {
        let id = arrival.queue_id.as_bytes();
        self.macros(b'C', &[("j", host.as_bytes()), ("{daemon_name}", host.as_bytes()), ("v", b"zcluster")]).await?;
        macro_rules! step {
            ($step:expr, $data:expr) => {
                match self.step($step, $data).await? {
                    Heard::End(end) => return Ok(end),
                    heard => heard,
                }
            };
        }
        step!(step::CONNECT, &connect(arrival));
        step!(step::HELO, &text(arrival.helo.as_bytes()));
        let sender = bracketed(&arrival.sender);
        let mut macros = vec![("i", id), ("{mail_addr}", arrival.sender.as_bytes())];
        if let Some(account) = &arrival.authenticated {
            macros.extend([("{auth_type}", &b"PLAIN"[..]), ("{auth_authen}", account.as_bytes())]);
        }
        self.macros(b'M', &macros).await?;
        step!(step::MAIL, &sender);
        for recipient in &arrival.recipients {
            self.macros(b'R', &[("{rcpt_addr}", recipient.as_bytes())]).await?;
            step!(step::RCPT, &bracketed(recipient));
        }
        step!(step::DATA, &[]);
        let mut header_bytes = 0;
        for field in fields(raw) {
            header_bytes += field.raw.len();
            if !field.name.is_empty() {
                step!(step::HEADER, &self.field(field.name, field.value));
            }
        }
        step!(step::EOH, &[]);
        let rest = &raw[header_bytes..];
        let body = rest.strip_prefix(b"\r\n").unwrap_or(rest);
        for chunk in body.chunks(codec::CHUNK_BYTES) {
            if let Heard::Skip = step!(step::BODY, chunk) {
                break;
            }
        }
        self.macros(b'E', &[("i", id)]).await?;
        step!(step::END, &[]);
        Ok(Disposition::Accept)
    }

    /// One step, unless the milter does not want it.
    async fn step(&mut self, step: Step, data: &[u8]) -> Result<Heard, Failure> {
        if self.steps & step.unwanted != 0 {
            return Ok(Heard::Continue);
        }
        self.send(&packet(step.command, &[data])).await?;
        if self.steps & step.no_reply != 0 {
            return Ok(Heard::Continue);
        }
        let at_end = step == step::END;
        let time = if at_end { self.limits.content } else { self.limits.command };
        loop {
            let (command, data) = self.hear(time).await?;
            let said = codec::reply(command, &data);
            let said = said.ok_or_else(|| Failure::Reply(format!("command {:?}", char::from(command))))?;
            let answer = |code, status: &str, text: &str| Answer { code, status: status.into(), text: text.into() };
            return Ok(match said {
                Reply::Progress => continue,
                Reply::Continue => Heard::Continue,
                Reply::Skip if step == step::BODY => Heard::Skip,
                Reply::Accept => Heard::End(Disposition::Accept),
                Reply::Discard => Heard::End(Disposition::Discard),
                Reply::Reject => Heard::End(Disposition::Reject(answer(550, "5.7.1", "a filter refuses the message"))),
                Reply::Tempfail => {
                    Heard::End(Disposition::Defer(answer(451, "4.7.1", "a filter cannot take the message now")))
                }
                Reply::Code(code, status, text) => {
                    let answer = answer(code, &status, &text);
                    Heard::End(if code < 500 { Disposition::Defer(answer) } else { Disposition::Reject(answer) })
                }
                Reply::Quarantine(reason) if at_end => {
                    tracing::info!(reason = %crate::text::one_line(&reason, 200), "a milter sets a message aside");
                    self.said.disposition = Disposition::Junk;
                    continue;
                }
                Reply::Change(change) if at_end && self.changes.len() < CHANGES_MAX => {
                    self.changes.push(change);
                    continue;
                }
                Reply::Skip | Reply::Quarantine(_) | Reply::Change(_) => {
                    return Err(Failure::Reply(format!("command {:?} in the wrong place", char::from(command))));
                }
            });
        }
    }

    async fn finish(mut self, end: Disposition, raw: &Bytes) -> Said {
        // It may have closed already.
        let _ = self.send(&packet(b'Q', &[])).await;
        if end != Disposition::Accept {
            return Said { disposition: end, replaced: None };
        }
        if !self.changes.is_empty() {
            self.said.replaced = Some(apply(raw, self.changes, self.steps & codec::LEADING_SPACE != 0));
        }
        self.said
    }

    /// A field's value as milters read it: lines ended by LF.
    fn field(&self, name: &[u8], value: &[u8]) -> Vec<u8> {
        let value = value.strip_suffix(b"\n").unwrap_or(value);
        let value = value.strip_suffix(b"\r").unwrap_or(value);
        let keep = self.steps & codec::LEADING_SPACE != 0;
        let value = if keep { value } else { value.strip_prefix(b" ").unwrap_or(value) };
        let lines: Vec<u8> = value.iter().copied().filter(|b| *b != b'\r').collect();
        [text(name), text(&lines)].concat()
    }

    async fn macros(&mut self, command: u8, macros: &[(&str, &[u8])]) -> Result<(), Failure> {
        let mut data = vec![command];
        for (name, value) in macros {
            data.extend(text(name.as_bytes()));
            data.extend(text(value));
        }
        self.send(&packet(b'D', &[&data])).await
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        timeout(self.limits.command, self.stream.write_all(bytes))
            .await
            .map_err(|_| Failure::Timeout)?
            .map_err(Into::into)
    }

    async fn hear(&mut self, time: Duration) -> Result<(u8, Vec<u8>), Failure> {
        timeout(time, codec::read(&mut self.stream)).await.map_err(|_| Failure::Timeout)?
    }
}

fn bracketed(address: &str) -> Vec<u8> {
    text(format!("<{address}>").as_bytes())
}

/// The client's name (its address where it has none), family, port and address. The port is not known here: 0.
fn connect(arrival: &Arrival) -> Vec<u8> {
    let ip = arrival.client_ip.to_string();
    let name = arrival.client_name.clone().unwrap_or_else(|| format!("[{ip}]"));
    let (family, ip) = match arrival.client_ip {
        IpAddr::V4(_) => (b'4', ip),
        // Sendmail and Postfix write it so.
        IpAddr::V6(_) => (b'6', format!("IPv6:{ip}")),
    };
    [text(name.as_bytes()), vec![family, 0, 0], text(ip.as_bytes())].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::arrival;
    use tokio::net::TcpListener;
    use zcluster_runtime::{JoinHandle, spawn};

    /// A milter that negotiates `options`, answers each command by `replies` (none: continue) and yields what it heard.
    async fn milter(options: [u32; 3], replies: Vec<(u8, Vec<Vec<u8>>)>) -> (Milter, JoinHandle<Vec<(u8, Vec<u8>)>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::Tcp("127.0.0.1".into(), listener.local_addr().unwrap().port());
        let heard = spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            while let Ok((command, data)) = codec::read(&mut stream).await {
                heard.push((command, data));
                let silent = match command {
                    b'D' => true,
                    b'L' => options[2] & 0x80 != 0,
                    _ => false,
                };
                let answer = match command {
                    b'Q' => break,
                    b'O' => vec![packet(b'O', &[&options.map(u32::to_be_bytes).concat()])],
                    _ if silent => vec![],
                    _ => match replies.iter().find(|(c, _)| *c == command) {
                        Some((_, packets)) => packets.clone(),
                        None => vec![packet(b'c', &[])],
                    },
                };
                for packet in answer {
                    stream.write_all(&packet).await.unwrap();
                }
            }
            heard
        });
        let limits = MilterLimits { content: Duration::from_secs(10), ..MilterLimits::default() };
        (Milter::new(endpoint, limits, "mx.test".into()), heard)
    }

    const RAW: &[u8] = b"Subject: a\r\n b\r\nFrom:x\r\n\r\nhello\r\n";

    fn commands(heard: &[(u8, Vec<u8>)]) -> String {
        heard.iter().map(|(command, _)| char::from(*command)).filter(|c| *c != 'D').collect()
    }

    #[tokio::test]
    async fn the_whole_transaction_is_told_and_changes_are_made() {
        let end = vec![
            packet(b'p', &[]),
            packet(b'h', &[b"X-Seen\0yes\0"]),
            packet(b'm', &[&1u32.to_be_bytes(), b"Subject\0new\0"]),
            packet(b'q', &[b"odd\0"]),
            packet(b'c', &[]),
        ];
        let (milter, heard) = milter([6, 0x31, 0], vec![(b'E', end)]).await;
        let said = milter.tell(&arrival(RAW), &Bytes::from_static(RAW)).await.unwrap();
        assert_eq!(said.disposition, Disposition::Junk);
        assert_eq!(said.replaced.unwrap(), &b"Subject: new\r\nFrom:x\r\nX-Seen: yes\r\n\r\nhello\r\n"[..]);
        let heard = heard.await.unwrap();
        assert_eq!(commands(&heard), "OCHMRTLLNBEQ");
        let of = |command: u8| heard.iter().filter(|(c, _)| *c == command).map(|(_, d)| &d[..]).collect::<Vec<_>>();
        assert_eq!(of(b'C'), [b"[192.0.2.1]\x004\0\x00192.0.2.1\0"]);
        assert_eq!(of(b'M'), [b"<sender@example.org>\0"]);
        assert_eq!(of(b'L'), [&b"Subject\0a\n b\0"[..], b"From\0x\0"]);
        assert_eq!(of(b'B'), [b"hello\r\n"]);
        assert!(of(b'D').contains(&&b"Mi\0q1\0{mail_addr}\0sender@example.org\0"[..]));
    }

    #[tokio::test]
    async fn unwanted_steps_are_left_out_and_silent_ones_not_waited_for() {
        let steps = 0x1 | 0x2 | 0x10 | 0x80 | codec::LEADING_SPACE;
        let (milter, heard) = milter([6, 0, steps], vec![]).await;
        let said = milter.tell(&arrival(RAW), &Bytes::from_static(RAW)).await.unwrap();
        assert_eq!(said, Said::default());
        let heard = heard.await.unwrap();
        assert_eq!(commands(&heard), "OMRTLLNEQ");
        assert!(heard.contains(&(b'L', b"Subject\0 a\n b\0".to_vec())));
    }

    #[tokio::test]
    async fn every_verdict() {
        let answer = |code, status: &str, text: &str| Answer { code, status: status.into(), text: text.into() };
        for (at, reply, expected) in [
            (b'R', packet(b'y', &[b"554 5.7.0 go away\0"]), Disposition::Reject(answer(554, "5.7.0", "go away"))),
            (b'M', packet(b'd', &[]), Disposition::Discard),
            (b'L', packet(b'a', &[]), Disposition::Accept),
            (b'E', packet(b'y', &[b"451 4.7.1 later\0"]), Disposition::Defer(answer(451, "4.7.1", "later"))),
        ] {
            let (milter, _) = milter([2, 0, 0], vec![(at, vec![reply])]).await;
            let said = milter.tell(&arrival(RAW), &Bytes::from_static(RAW)).await.unwrap();
            assert_eq!(said.disposition, expected);
        }
    }

    #[tokio::test]
    async fn what_cannot_be_done_is_a_failure() {
        // It wants to change recipients; it wants an unknown step; it changes before the end; it says nonsense.
        for (options, replies) in [
            ([6, 0x04, 0], vec![]),
            ([6, 0, 0x8000_0000], vec![]),
            ([6, 0x1, 0], vec![(b'R', vec![packet(b'h', &[b"A\0b\0"])])]),
            ([6, 0x1, 0], vec![(b'E', vec![packet(b'+', &[b"<a@b>\0"])])]),
        ] {
            let (milter, _) = milter(options, replies).await;
            assert!(milter.tell(&arrival(RAW), &Bytes::from_static(RAW)).await.is_err());
        }
    }
}

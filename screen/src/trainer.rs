//! What users say of messages, told to the spam filter: best effort, behind a bounded queue.

use crate::service::{Failure, Pool, rspamd, spamd};
use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::mpsc;
use zcluster_api::AccountId;
use zcluster_runtime::spawn;

/// Lessons that wait.
const LESSONS_MAX: usize = 1_000;
/// Bytes of messages that wait.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a message is, by its reader's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Moved into Junk.
    Spam,
    /// Moved out of it.
    Ham,
}

/// What a user says of a message.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// What it is.
    pub class: Class,
    /// Who says so.
    pub account: AccountId,
    /// The message.
    pub raw: Bytes,
}

/// Mailboxes that collect lessons, for a filter that is trained elsewhere (`zimbraSpamIsSpamAccount`,
/// `zimbraSpamIsNotSpamAccount`).
pub trait Post: Send + Sync {
    /// Whether there is one for this class, now.
    fn collects(&self, class: Class) -> BoxFuture<'_, bool>;
    /// Puts the message there, as it came, in a report. The error is for the log.
    fn post(&self, lesson: Lesson) -> BoxFuture<'_, Result<(), String>>;
}

/// Whom to tell.
pub enum Teacher {
    /// Mailboxes.
    Post(Arc<dyn Post>),
    /// rspamd's controllers (port 11334), and their password.
    Rspamd(Pool, Option<String>),
    /// spamd with `--allow-tell`.
    Spamd(Pool),
}

impl Teacher {
    /// Tells it, unless the message is larger than it takes.
    async fn teach(&self, lesson: &Lesson) -> Result<(), Failure> {
        let Lesson { class, raw, .. } = lesson;
        if raw.len() > self.bytes_max() {
            return Ok(());
        }
        let class = *class;
        match self {
            Teacher::Post(post) => match post.collects(class).await {
                true => post.post(lesson.clone()).await.map_err(Failure::Reply),
                false => Ok(()),
            },
            Teacher::Rspamd(pool, password) => rspamd::learn(pool, password.as_deref(), class, raw).await,
            Teacher::Spamd(pool) => spamd::learn(pool, class, raw).await,
        }
    }

    /// Bytes of a message that it is told about.
    fn bytes_max(&self) -> usize {
        match self {
            Teacher::Rspamd(pool, _) | Teacher::Spamd(pool) => pool.limits().bytes,
            Teacher::Post(_) => BYTES_MAX,
        }
    }
}

/// Takes lessons and passes them on, one after the other.
pub struct Trainer {
    queue: mpsc::Sender<Lesson>,
    waiting: Arc<Mutex<usize>>,
    teachers: Arc<Vec<Teacher>>,
}

impl Trainer {
    /// A trainer that tells all of these, and the task behind it, which ends with it.
    pub fn start(teachers: Vec<Teacher>) -> Self {
        let (queue, mut lessons) = mpsc::channel::<Lesson>(LESSONS_MAX);
        let (waiting, teachers) = (Arc::new(Mutex::new(0)), Arc::new(teachers));
        let (counted, told) = (waiting.clone(), teachers.clone());
        spawn(async move {
            while let Some(lesson) = lessons.recv().await {
                for teacher in told.iter() {
                    let taught = teacher.teach(&lesson).await;
                    let outcome = if taught.is_ok() { "learned" } else { "failed" };
                    metrics::counter!("zcluster_screen_lessons_total", "outcome" => outcome).increment(1);
                    if let Err(error) = taught {
                        tracing::warn!(%error, class = ?lesson.class, account = %lesson.account, "a lesson failed");
                    }
                }
                *counted.lock() -= lesson.raw.len();
            }
        });
        Trainer { queue, waiting, teachers }
    }

    /// Whether lessons of that class go anywhere now.
    pub async fn teaches(&self, class: Class) -> bool {
        for teacher in self.teachers.iter() {
            let teaches = match teacher {
                Teacher::Post(post) => post.collects(class).await,
                Teacher::Rspamd(..) | Teacher::Spamd(_) => true,
            };
            if teaches {
                return true;
            }
        }
        false
    }

    /// Whether a message of that size is worth fetching: somebody can be told about it, and there is room.
    pub fn wants(&self, bytes: usize) -> bool {
        let told = self.teachers.iter().any(|teacher| bytes <= teacher.bytes_max());
        told && *self.waiting.lock() + bytes <= BYTES_MAX && self.queue.capacity() > 0
    }

    /// Queues a lesson; whether there was room.
    pub fn learn(&self, lesson: Lesson) -> bool {
        let len = lesson.raw.len();
        let mut waiting = self.waiting.lock();
        let queued = *waiting + len <= BYTES_MAX && self.queue.try_send(lesson).is_ok();
        if queued {
            *waiting += len;
        } else {
            metrics::counter!("zcluster_screen_lessons_total", "outcome" => "dropped").increment(1);
        }
        queued
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Limits;
    use crate::testing::one_answer;

    #[tokio::test]
    async fn lessons_are_told_and_too_many_dropped() {
        let (endpoint, seen) = one_answer("SPAMD/1.1 0 EX_OK\r\nDidSet: local\r\n\r\n").await;
        let limits = Limits { bytes: 100, ..Limits::default() };
        let trainer = Trainer::start(vec![Teacher::Spamd(Pool::new("spamd", vec![endpoint], limits))]);
        let lesson =
            |class, raw: &'static [u8]| Lesson { class, account: AccountId([1; 16]), raw: Bytes::from_static(raw) };
        assert!(trainer.wants(100) && !trainer.wants(101));
        assert!(trainer.learn(lesson(Class::Spam, b"a: b\r\n\r\n")));
        let seen = String::from_utf8(seen.await.unwrap()).unwrap();
        assert!(seen.starts_with("TELL ") && seen.contains("Message-class: spam\r\n"), "{seen}");
        // The only server is gone now: the next lesson keeps its task busy failing while the others wait.
        let queued = (0..10 * LESSONS_MAX).filter(|_| trainer.learn(lesson(Class::Ham, b""))).count();
        assert!((1..10 * LESSONS_MAX).contains(&queued), "{queued}");
    }
}

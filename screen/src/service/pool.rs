//! Several servers that do the same: one after the other, within bounds of time and number.

use super::endpoint::{Endpoint, Stream};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use zcluster_runtime::{Instant, timeout, timeout_at};

/// Failures in a row after which a server is left alone.
const FAILURES_MAX: u32 = 3;

/// Bounds of asking a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For a connection to be made.
    pub connect: Duration,
    /// For one server to answer, its connection included.
    pub step: Duration,
    /// For an answer from any server, waiting for a turn included.
    pub total: Duration,
    /// Questions asked at a time.
    pub concurrent: usize,
    /// Bytes of a message that is asked about; a larger one is not.
    pub bytes: usize,
    /// How long a server that failed several times in a row is left alone.
    pub rest: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connect: Duration::from_secs(5),
            step: Duration::from_secs(60),
            total: Duration::from_secs(120),
            concurrent: 32,
            bytes: 64 * 1024 * 1024,
            rest: Duration::from_secs(10),
        }
    }
}

/// Why a service gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It cannot be reached, or the connection broke.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Not in time.
    #[error("no answer in time")]
    Timeout,
    /// All have failed several times in a row and are left alone for now.
    #[error("no server is up")]
    Resting,
    /// What it says is not what its protocol allows, or it says that it cannot.
    #[error("unusable reply: {0}")]
    Reply(String),
}

#[derive(Default)]
struct Health {
    failures: u32,
    rests_until: Option<Instant>,
}

struct Server {
    endpoint: Endpoint,
    health: Mutex<Health>,
}

/// The servers of one service.
pub struct Pool {
    name: &'static str,
    servers: Vec<Server>,
    limits: Limits,
    turns: Semaphore,
    next: AtomicUsize,
}

impl Pool {
    /// The servers of a service, named in logs and metrics.
    pub fn new(name: &'static str, endpoints: Vec<Endpoint>, limits: Limits) -> Self {
        let server = |endpoint| Server { endpoint, health: Mutex::default() };
        Pool {
            name,
            servers: endpoints.into_iter().map(server).collect(),
            limits,
            turns: Semaphore::new(limits.concurrent.clamp(1, Semaphore::MAX_PERMITS)),
            next: AtomicUsize::new(0),
        }
    }

    /// The bounds.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Asks one server after the other until one answers. The question is asked anew on a connection of its own.
    ///
    /// # Errors
    /// The last server's failure.
    pub async fn ask<T>(
        &self,
        question: impl Fn(Stream) -> BoxFuture<'static, Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let begun = Instant::now();
        let deadline = begun + self.limits.total;
        let answer = match timeout_at(deadline, self.in_turn(&question)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Timeout),
        };
        let outcome = if answer.is_ok() { "answered" } else { "failed" };
        metrics::histogram!("zcluster_screen_service_seconds", "service" => self.name, "outcome" => outcome)
            .record(begun.elapsed().as_secs_f64());
        answer
    }

    async fn in_turn<T>(
        &self,
        question: &impl Fn(Stream) -> BoxFuture<'static, Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let _turn = self.turns.acquire().await.map_err(|_| Failure::Resting)?;
        let mut last = Failure::Resting;
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for i in 0..self.servers.len() {
            let server = &self.servers[first.wrapping_add(i) % self.servers.len()];
            if !server.takes_questions(self.limits.rest) {
                continue;
            }
            let asked = async {
                let stream = timeout(self.limits.connect, server.endpoint.connect()).await;
                let stream = stream.map_err(|_| Failure::Timeout)??;
                question(stream).await
            };
            let answer = match timeout(self.limits.step, asked).await {
                Ok(answer) => answer,
                Err(_) => Err(Failure::Timeout),
            };
            match answer {
                Ok(answer) => {
                    *server.health.lock() = Health::default();
                    return Ok(answer);
                }
                Err(failure) => {
                    tracing::warn!(service = self.name, server = %server.endpoint, error = %failure, "a service failed");
                    // A server that says no to a message is well: messages must not be able to silence it.
                    if !matches!(failure, Failure::Reply(_)) {
                        server.failed(self.limits.rest);
                    }
                    last = failure;
                }
            }
        }
        Err(last)
    }
}

impl Server {
    /// Whether it is its turn. When its rest is over one question tries it, and others keep away for as long again.
    fn takes_questions(&self, rest: Duration) -> bool {
        let now = Instant::now();
        let mut health = self.health.lock();
        match health.rests_until {
            None => true,
            Some(until) if until > now => false,
            Some(_) => {
                health.rests_until = Some(now + rest);
                true
            }
        }
    }

    fn failed(&self, rest: Duration) {
        let mut health = self.health.lock();
        health.failures = health.failures.saturating_add(1);
        if health.failures >= FAILURES_MAX {
            health.rests_until = Some(Instant::now() + rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A server that counts its connections and answers each with `answer`; with none, it is silent.
    async fn server(answer: Option<&'static str>) -> (Endpoint, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::Tcp("127.0.0.1".into(), listener.local_addr().unwrap().port());
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        zcluster_runtime::spawn(async move {
            let mut open = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                match answer {
                    Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                    None => open.push(stream),
                }
            }
        });
        (endpoint, count)
    }

    async fn dead() -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Endpoint::Tcp("127.0.0.1".into(), listener.local_addr().unwrap().port())
    }

    fn quick() -> Limits {
        let step = Duration::from_millis(200);
        Limits { step, connect: step, rest: Duration::from_secs(600), ..Limits::default() }
    }

    async fn ask(pool: &Pool) -> Result<String, Failure> {
        pool.ask(|mut stream| {
            Box::pin(async move {
                let mut text = String::new();
                stream.read_to_string(&mut text).await?;
                Ok(text)
            })
        })
        .await
    }

    #[tokio::test]
    async fn the_next_one_answers_for_the_dead_and_the_silent() {
        let (good, count) = server(Some("hello")).await;
        let (silent, _) = server(None).await;
        let pool = Pool::new("test", vec![dead().await, silent, good], quick());
        for _ in 0..6 {
            assert_eq!(ask(&pool).await.unwrap(), "hello");
        }
        assert_eq!(count.load(Ordering::SeqCst), 6);
    }

    #[tokio::test]
    async fn who_fails_thrice_is_left_alone_and_tried_again() {
        let (silent, count) = server(None).await;
        let limits = Limits { step: Duration::from_millis(50), ..quick() };
        let pool = Pool::new("test", vec![silent], limits);
        for _ in 0..3 {
            assert!(matches!(ask(&pool).await, Err(Failure::Timeout)));
        }
        for _ in 0..5 {
            assert!(matches!(ask(&pool).await, Err(Failure::Resting)));
        }
        assert_eq!(count.load(Ordering::SeqCst), 3);
        pool.servers[0].health.lock().rests_until = Some(Instant::now());
        assert!(matches!(ask(&pool).await, Err(Failure::Timeout)));
        assert!(matches!(ask(&pool).await, Err(Failure::Resting)));
        assert_eq!(count.load(Ordering::SeqCst), 4);
    }

    #[tokio::test]
    async fn no_more_questions_at_a_time_than_allowed() {
        let (silent, count) = server(None).await;
        let limits = Limits { concurrent: 2, total: Duration::from_millis(100), ..quick() };
        let pool = Pool::new("test", vec![silent], limits);
        let asked = futures::future::join_all((0..10).map(|_| ask(&pool))).await;
        assert!(asked.iter().all(|a| matches!(a, Err(Failure::Timeout))));
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }
}

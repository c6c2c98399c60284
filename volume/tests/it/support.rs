//! The server, the proxy, and volumes on them.

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use parking_lot::Mutex;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use zcluster_runtime::{Either, select, sleep, spawn, watch};
use zcluster_volume::{CacheConfig, Credentials, Limits, Stores, VolumeConfig};

pub const CLUSTER: &str = "3f0c1d1e-0000-4000-8000-000000000001";
pub const BUCKET: &str = "mail";

/// What the proxy does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// So many connections are answered with 503, then they pass.
    Busy(usize),
    /// So many connections get no answer, then they pass.
    Silent(usize),
    /// Answers come at so many bytes in a tenth of a second.
    Slow(usize),
    /// So many connections break off after that many bytes of the answer, then they pass.
    Cut(usize, usize),
    /// Nobody listens.
    Gone,
}

/// S3 with a bucket, and the proxy before it.
pub struct S3 {
    pub dir: TempDir,
    proxy: SocketAddr,
    mode: Arc<Mutex<Mode>>,
    faulty: Arc<AtomicUsize>,
    /// Bytes that came through the proxy from the server.
    pub carried: Arc<AtomicU64>,
    /// Rises with each new mode: connections of an earlier one are closed.
    turn: watch::Sender<u64>,
}

impl S3 {
    pub async fn start() -> S3 {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(BUCKET)).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(dir.path()).unwrap());
        service.set_auth(SimpleAuth::from_single("key", "secret"));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        spawn(async move {
            loop {
                let Ok((socket, _)) = listener.accept().await else { return };
                let service = service.clone();
                spawn(async move {
                    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = listener.local_addr().unwrap();
        let (turn, turns) = watch::channel(0);
        let s3 = S3 {
            dir,
            proxy,
            mode: Arc::new(Mutex::new(Mode::Pass)),
            faulty: Arc::default(),
            carried: Arc::default(),
            turn,
        };
        let (mode, faulty, carried) = (s3.mode.clone(), s3.faulty.clone(), s3.carried.clone());
        spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { return };
                let what = take(&mode);
                if what != Mode::Pass {
                    faulty.fetch_add(1, Ordering::SeqCst);
                }
                let (carried, mut turns) = (carried.clone(), turns.clone());
                spawn(async move {
                    drop(turns.borrow_and_update());
                    let changed = Box::pin(turns.changed());
                    select(Box::pin(serve(client, server, what, carried)), changed).await;
                });
            }
        });
        s3
    }

    pub fn set(&self, mode: Mode) {
        *self.mode.lock() = mode;
        self.faulty.store(0, Ordering::SeqCst);
        let turn = *self.turn.borrow() + 1;
        let _ = self.turn.send(turn);
    }

    /// Connections that met with a fault since the mode was set.
    pub fn faulty(&self) -> usize {
        self.faulty.load(Ordering::SeqCst)
    }

    pub fn file(&self, object: &str) -> PathBuf {
        self.dir.path().join(BUCKET).join(object)
    }

    pub fn config(&self, rest: &str) -> VolumeConfig {
        let text = format!("name=cold url=s3://{BUCKET}/zc region=us-east-1 endpoint=http://{} {rest}", self.proxy);
        VolumeConfig::parse(&text).unwrap()
    }

    /// A volume `cold` there, claimed.
    pub async fn stores(&self, limits: Limits, cache: CacheConfig) -> Arc<Stores> {
        open(self.config(""), credentials(), limits, cache).await
    }
}

pub fn credentials() -> Credentials {
    let pair = [("access_key_id", "key"), ("secret_access_key", "secret")];
    Credentials(pair.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect())
}

pub async fn open(config: VolumeConfig, own: Credentials, limits: Limits, cache: CacheConfig) -> Arc<Stores> {
    let trial = zcluster_volume::trial::Trial::open(config.clone(), own.clone(), CLUSTER).unwrap();
    trial.claim().await.unwrap();
    let stores = Stores::new(limits, cache);
    stores.apply(CLUSTER, vec![(config, own)], Some("cold".into()));
    stores
}

/// Impatient, so that tests are quick.
pub fn limits() -> Limits {
    Limits {
        backoff: Duration::from_millis(5),
        backoff_max: Duration::from_millis(20),
        attempt: Duration::from_millis(800),
        total: Duration::from_secs(20),
        trips_after: 100,
        ..Limits::default()
    }
}

/// Without anything kept.
pub fn no_cache() -> CacheConfig {
    CacheConfig { folder: None, disk_bytes: 0, memory_bytes: 0 }
}

fn take(mode: &Mutex<Mode>) -> Mode {
    let mut mode = mode.lock();
    let now = *mode;
    *mode = match now {
        Mode::Busy(0) | Mode::Silent(0) | Mode::Cut(0, _) => Mode::Pass,
        Mode::Busy(n) => Mode::Busy(n - 1),
        Mode::Silent(n) => Mode::Silent(n - 1),
        Mode::Cut(n, at) => Mode::Cut(n - 1, at),
        other => other,
    };
    match now {
        Mode::Busy(0) | Mode::Silent(0) | Mode::Cut(0, _) => Mode::Pass,
        other => other,
    }
}

async fn serve(mut client: TcpStream, server: SocketAddr, mode: Mode, carried: Arc<AtomicU64>) {
    match mode {
        Mode::Gone => return,
        Mode::Silent(_) => return std::future::pending().await,
        Mode::Busy(_) => {
            let mut head = [0; 16 * 1024];
            let _ = client.read(&mut head).await;
            let answer = "HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = client.write_all(answer.as_bytes()).await;
            let _ = client.shutdown().await;
            // What else was sent is read, so that the answer is not lost with a reset.
            while client.read(&mut head).await.is_ok_and(|n| n > 0) {}
            return;
        }
        Mode::Pass | Mode::Slow(_) | Mode::Cut(..) => {}
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (mut from_server, mut to_server) = server.into_split();
    let (mut from_client, mut to_client) = client.into_split();
    let up = async move {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
        std::future::pending::<()>().await
    };
    let down = async move {
        let (mut buffer, mut sent) = (vec![0; 64 * 1024], 0);
        loop {
            let room = match mode {
                Mode::Slow(n) => n.min(buffer.len()),
                Mode::Cut(_, at) => (at - sent).min(buffer.len()),
                _ => buffer.len(),
            };
            if room == 0 {
                return;
            }
            if matches!(mode, Mode::Slow(_)) {
                sleep(Duration::from_millis(100)).await;
            }
            match from_server.read(&mut buffer[..room]).await {
                Ok(n) if n > 0 && to_client.write_all(&buffer[..n]).await.is_ok() => {
                    sent += n;
                    carried.fetch_add(n as u64, Ordering::SeqCst);
                }
                _ => return,
            }
        }
    };
    if let Either::Left(()) = select(Box::pin(down), Box::pin(up)).await {}
}

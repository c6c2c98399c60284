//! The worker and its pool: what documents cannot do, what becomes of those that try, and that the next one is read.
#![allow(missing_docs)]

use std::time::Duration;
use zcluster_extract::{Document, ExtractError, Extracted, Killed, Limits, Pool, PoolConfig, text};

fn config() -> PoolConfig {
    PoolConfig::new(env!("CARGO_BIN_EXE_zcluster-extract-worker"), [""; 0])
}

fn attack(name: &str) -> Document {
    Document { media_type: format!("x-attack/{name}"), filename: String::new(), bytes: Vec::new() }
}

fn words() -> Document {
    Document { media_type: "text/plain".into(), filename: String::new(), bytes: b"plain words".to_vec() }
}

async fn works(pool: &Pool) {
    assert_eq!(pool.extract(words()).await.map(|e| e.text), Ok("plain words".into()));
}

async fn answer(pool: &Pool, name: &str) -> String {
    pool.extract(attack(name)).await.unwrap_or_else(|e| panic!("{name}: {e}")).text
}

#[tokio::test]
async fn a_worker_reads_what_a_call_reads() {
    let pool = Pool::new(config());
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let filename = path.file_name().unwrap().to_str().unwrap().to_string();
        let bytes = std::fs::read(&path).unwrap();
        let expected = text::extract("", &filename, &bytes, &Limits::default());
        let document = Document { media_type: String::new(), filename, bytes };
        assert_eq!(pool.extract(document).await, expected, "{}", path.display());
        read += 1;
    }
    assert!(read > 30);
    let counts = pool.counts();
    assert_eq!((counts.documents, counts.killed, counts.started), (read, 0, 1));
}

#[tokio::test]
async fn what_only_an_attacker_calls_ends_the_worker() {
    let pool = Pool::new(config());
    for name in ["open", "create", "socket", "connect", "thread", "signal"] {
        let result = pool.extract(attack(name)).await;
        assert_eq!(result, Err(ExtractError::Killed(Killed::Forbidden)), "{name}");
        works(&pool).await;
    }
    assert!(!std::path::Path::new("/tmp/zcluster-extract-worker-was-here").exists());
    assert_eq!((pool.counts().killed, pool.counts().documents), (6, 6));
}

#[tokio::test]
async fn no_other_way_out_succeeds() {
    let pool = Pool::new(config());
    for name in ["exec", "code", "limits"] {
        match pool.extract(attack(name)).await {
            Ok(Extracted { text, .. }) => assert!(text.starts_with("refused: "), "{name}: {text}"),
            Err(e) => assert_eq!(e, ExtractError::Killed(Killed::Forbidden), "{name}"),
        }
        works(&pool).await;
    }
}

#[tokio::test]
async fn a_worker_that_dies_is_replaced() {
    let pool = Pool::new(PoolConfig { memory_bytes: 256 << 20, ..config() });
    for name in ["hog", "overflow", "panic", "abort", "exit"] {
        match pool.extract(attack(name)).await {
            Err(ExtractError::Killed(Killed::Died(why))) => {
                assert!(name != "hog" || why.contains("memory allocation"), "{why}");
                assert!(name != "overflow" || why.contains("overflow"), "{why}");
            }
            other => panic!("{name}: {other:?}"),
        }
        works(&pool).await;
    }
}

#[tokio::test]
async fn time_runs_out() {
    let pool = Pool::new(PoolConfig { timeout: Duration::from_millis(500), ..config() });
    assert_eq!(pool.extract(attack("spin")).await, Err(ExtractError::Killed(Killed::Timeout)));
    works(&pool).await;
    assert_eq!((pool.counts().timed_out, pool.counts().killed), (1, 0));
    let pool = Pool::new(PoolConfig { cpu_per_worker: Duration::from_secs(1), ..config() });
    let result = pool.extract(attack("spin")).await;
    assert!(matches!(result, Err(ExtractError::Killed(Killed::Died(_)))), "{result:?}");
    works(&pool).await;
}

#[tokio::test]
async fn the_protocol_holds() {
    let pool = Pool::new(config());
    // What a library prints goes elsewhere.
    assert_eq!(answer(&pool, "print").await, "printed");
    assert_eq!(answer(&pool, "environment").await, "0");
    for name in ["lie", "large answer"] {
        let result = pool.extract(attack(name)).await;
        assert!(matches!(result, Err(ExtractError::Killed(Killed::Protocol(_)))), "{name}: {result:?}");
        works(&pool).await;
    }
}

#[tokio::test]
async fn workers_are_replaced_after_so_many_documents() {
    let pool = Pool::new(PoolConfig { documents_per_worker: 2, ..config() });
    let mut pids = Vec::new();
    for _ in 0..4 {
        pids.push(answer(&pool, "pid").await);
    }
    assert!(pids[0] == pids[1] && pids[2] == pids[3] && pids[1] != pids[2], "{pids:?}");
    assert_eq!(pool.counts().started, 2);
}

#[tokio::test]
async fn a_document_is_tried_again_only_where_another_may_be_guilty() {
    let pool = Pool::new(config());
    assert!(pool.extract(attack("abort")).await.is_err());
    assert_eq!((pool.counts().started, pool.counts().killed), (1, 1));
    works(&pool).await;
    assert!(pool.extract(attack("abort")).await.is_err());
    assert_eq!((pool.counts().started, pool.counts().killed), (3, 3));
}

#[tokio::test]
async fn the_queue_is_bounded() {
    let pool = Pool::new(PoolConfig { workers: 1, waiting: 1, timeout: Duration::from_secs(2), ..config() });
    let (first, second, third) =
        tokio::join!(pool.extract(attack("spin")), pool.extract(words()), pool.extract(words()));
    assert_eq!(first, Err(ExtractError::Killed(Killed::Timeout)));
    assert!(second.is_ok(), "{second:?}");
    assert_eq!(third, Err(ExtractError::Busy));
    let large = Document { bytes: vec![0; Limits::default().input_bytes as usize + 1], ..words() };
    assert!(matches!(pool.extract(large).await, Err(ExtractError::TooLarge(_))));
    let named = Document { filename: "n".repeat(100_000), ..words() };
    assert!(matches!(pool.extract(named).await, Err(ExtractError::TooLarge(_))));
    assert_eq!(pool.counts().refused, 3);
}

#[tokio::test]
async fn nothing_is_left_behind() {
    let pool = Pool::new(config());
    let pid = answer(&pool, "pid").await;
    // Dropped while the worker is at it.
    assert!(zcluster_runtime::timeout(Duration::from_millis(200), pool.extract(attack("spin"))).await.is_err());
    is_gone(&pid).await;
    let pid = answer(&pool, "pid").await;
    drop(pool);
    is_gone(&pid).await;
}

/// Waits for a process to end, for ever if need be.
async fn is_gone(pid: &str) {
    let status = format!("/proc/{pid}/stat");
    while std::fs::read_to_string(&status).is_ok_and(|s| !s.contains(") Z ")) {
        zcluster_runtime::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn programs_that_are_no_workers() {
    for program in ["/no/such/program", "/bin/true", "/bin/cat"] {
        let pool = Pool::new(PoolConfig { program: program.into(), ..config() });
        let result = pool.extract(words()).await;
        assert!(matches!(result, Err(ExtractError::NoWorker(_))), "{program}: {result:?}");
    }
}

#[test]
fn a_worker_without_a_parent_ends() {
    let worker = env!("CARGO_BIN_EXE_zcluster-extract-worker");
    let status = std::process::Command::new(worker).stdin(std::process::Stdio::null()).status().unwrap();
    assert!(status.success(), "{status}");
}

//! Bad days.

use crate::support::{Mode, S3, limits, no_cache};
use bytes::Bytes;
use std::time::Duration;
use zcluster_api::{Error, Volumes};
use zcluster_volume::{CacheConfig, Limits, State};

fn body(n: usize) -> Bytes {
    (0..n).map(|i| (i % 251) as u8).collect::<Vec<_>>().into()
}

#[tokio::test]
async fn a_store_that_is_busy_is_asked_again() {
    let s3 = S3::start().await;
    let stores = s3.stores(limits(), no_cache()).await;
    s3.set(Mode::Busy(3));
    stores.put("cold", "1/a", body(100_000)).await.unwrap();
    assert_eq!(s3.faulty(), 3);
    s3.set(Mode::Busy(2));
    assert_eq!(stores.read("cold", "1/a", 0..100_000).await.unwrap(), body(100_000));
    s3.set(Mode::Busy(3));
    assert_eq!(stores.list("cold", "1/", "", 9).await.unwrap().len(), 1);
    s3.set(Mode::Busy(1));
    stores.delete("cold", "1/a").await.unwrap();
    assert_eq!(s3.faulty(), 1);
    assert!(!s3.file("zc/1/a").exists());
    // But not for ever.
    s3.set(Mode::Busy(1000));
    assert!(matches!(stores.put("cold", "1/b", body(10)).await, Err(Error::Unavailable(_))));
    // A kept connection that was closed meanwhile may be one of the tries.
    let tries = limits().attempts as usize;
    assert!((tries - 1..=tries).contains(&s3.faulty()), "{}", s3.faulty());
}

#[tokio::test]
async fn a_try_without_an_answer_ends() {
    let s3 = S3::start().await;
    let stores = s3.stores(limits(), no_cache()).await;
    s3.set(Mode::Silent(2));
    stores.put("cold", "1/a", body(1000)).await.unwrap();
    assert_eq!(s3.faulty(), 2);
    s3.set(Mode::Silent(1));
    assert_eq!(stores.read("cold", "1/a", 0..1000).await.unwrap(), body(1000));
    s3.set(Mode::Gone);
    let error = stores.read("cold", "1/a", 0..1000).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() {
    let s3 = S3::start().await;
    let stores = s3.stores(limits(), CacheConfig { folder: None, ..CacheConfig::default() }).await;
    stores.put("cold", "1/a", body(500_000)).await.unwrap();
    for at in [0, 20, 700, 60_000, 65_000] {
        s3.set(Mode::Cut(1, at));
        let begin = at as u64 * 2;
        let expected = body(500_000).slice(begin as usize..begin as usize + 66_000);
        assert_eq!(stores.read("cold", "1/a", begin..begin + 66_000).await.unwrap(), expected, "{at}");
    }
    // A put whose answer is lost was done nevertheless: the second try finds its own bytes, and that is fine.
    s3.set(Mode::Cut(1, 0));
    stores.put("cold", "1/b", body(300)).await.unwrap();
    assert_eq!(std::fs::read(s3.file("zc/1/b")).unwrap(), body(300));
}

#[tokio::test]
async fn slow_reads_get_the_time_that_their_bytes_need_and_no_more() {
    let s3 = S3::start().await;
    // Five seconds for 200 kB, of which it needs half of one; then it would need minutes.
    let patient = Limits { bytes_per_second: 100_000, attempts: 2, attempt: Duration::from_secs(3), ..limits() };
    let stores = s3.stores(patient, no_cache()).await;
    stores.put("cold", "1/a", body(200_000)).await.unwrap();
    s3.set(Mode::Slow(40_000));
    assert_eq!(stores.read("cold", "1/a", 0..196_608).await.unwrap(), body(196_608));
    s3.set(Mode::Slow(100));
    assert!(matches!(stores.read("cold", "1/a", 0..196_608).await, Err(Error::Unavailable(_))));
}

#[tokio::test]
async fn what_is_kept_is_read_while_the_store_is_away() {
    let s3 = S3::start().await;
    let dir = tempfile::tempdir().unwrap();
    let cache = CacheConfig { folder: Some(dir.path().into()), disk_bytes: 16 << 20, memory_bytes: 64 << 10 };
    let stores = s3.stores(limits(), cache).await;
    stores.put("cold", "1/a", body(900_000)).await.unwrap();
    for n in 0..12 {
        stores.read("cold", "1/a", n * 70_000..n * 70_000 + 50_000).await.unwrap();
    }
    s3.set(Mode::Gone);
    for n in 0..12 {
        let range = n * 70_000..n * 70_000 + 50_000;
        let expected = body(900_000).slice(range.start as usize..range.end as usize);
        assert_eq!(stores.read("cold", "1/a", range).await.unwrap(), expected, "{n}");
    }
}

#[tokio::test]
async fn a_volume_that_is_away_is_left_alone_and_found_again() {
    let s3 = S3::start().await;
    let pause = Duration::from_millis(50);
    let limits = Limits { attempts: 2, trips_after: 4, pause, pause_max: pause, ..limits() };
    let stores = s3.stores(limits, no_cache()).await;
    stores.put("cold", "1/a", body(10)).await.unwrap();
    s3.set(Mode::Busy(1_000_000));
    for _ in 0..30 {
        assert!(stores.read("cold", "1/a", 0..10).await.is_err());
    }
    // Four tries, then one for each pause that was over.
    assert!(s3.faulty() < 30, "{}", s3.faulty());
    let away = stores.states();
    assert!(
        matches!(&away[..], [State { name, trouble: Some(why) }] if name == "cold" && why.contains("503")),
        "{away:?}"
    );
    s3.set(Mode::Pass);
    // As soon as a pause is over. Bounded by the test's patience, not by a clock of ours.
    let mut read = stores.read("cold", "1/a", 0..10).await;
    for _ in 0..1000 {
        if read.is_ok() {
            break;
        }
        zcluster_runtime::sleep(pause).await;
        read = stores.read("cold", "1/a", 0..10).await;
    }
    assert_eq!(read.unwrap(), body(10));
    assert_eq!(stores.states()[0].trouble, None);
}

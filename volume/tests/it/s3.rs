//! Good days.

use crate::support::{CLUSTER, S3, credentials, limits, no_cache, open};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use zcluster_api::volume::OBJECT_MAX;
use zcluster_api::{Error, Volumes};
use zcluster_volume::trial::Trial;
use zcluster_volume::{CacheConfig, Credentials, Stores, VolumeConfig};

fn bytes(n: usize, seed: u8) -> Bytes {
    (0..n).map(|i| (i as u8).wrapping_mul(31).wrapping_add((i >> 8) as u8) ^ seed).collect::<Vec<_>>().into()
}

async fn names(stores: &Stores, prefix: &str, after: &str, limit: usize) -> Vec<String> {
    let listed = stores.list("cold", prefix, after, limit).await.unwrap();
    listed.into_iter().map(|l| l.object).collect()
}

#[tokio::test]
async fn put_read_list_delete() {
    let s3 = S3::start().await;
    let stores = s3.stores(limits(), no_cache()).await;
    assert_eq!(stores.default_volume().as_deref(), Some("cold"));
    let body = bytes(3_000_000, 1);
    stores.put("cold", "17/a", body.clone()).await.unwrap();
    assert_eq!(std::fs::read(s3.file("zc/17/a")).unwrap(), body);
    for range in [0..10, 5..70_000, 65_536..131_072, 2_999_990..3_000_000, 0..3_000_000, 7..7] {
        let expected = body.slice(range.start as usize..range.end as usize);
        assert_eq!(stores.read("cold", "17/a", range.clone()).await.unwrap(), expected, "{range:?}");
    }
    for range in [2_999_990..3_000_001, 3_000_000..3_000_001, 9_000_000..9_000_001, 0..3_000_001] {
        let outcome = stores.read("cold", "17/a", range.clone()).await;
        assert!(matches!(outcome, Err(Error::NotFound(_))), "{range:?}: {outcome:?}");
    }
    assert!(matches!(stores.read("cold", "17/none", 0..1).await, Err(Error::NotFound(_))));
    for name in ["17/b", "17/b.c", "18/a", "2/a"] {
        stores.put("cold", name, bytes(10, 2)).await.unwrap();
    }
    assert_eq!(names(&stores, "", "", 99).await, ["17/a", "17/b", "17/b.c", "18/a", "2/a"]);
    assert_eq!(names(&stores, "", "17/b", 2).await, ["17/b.c", "18/a"]);
    assert_eq!(names(&stores, "17/", "17/a", 99).await, ["17/b", "17/b.c"]);
    assert_eq!(names(&stores, "1/", "", 99).await, [""; 0]);
    let listed = stores.list("cold", "17/", "", 1).await.unwrap();
    assert!(listed[0].bytes == 3_000_000 && listed[0].changed_ms > 1_600_000_000_000);
    stores.delete("cold", "17/b").await.unwrap();
    stores.delete("cold", "17/b").await.unwrap();
    assert_eq!(names(&stores, "17/", "", 99).await, ["17/a", "17/b.c"]);
}

#[tokio::test]
async fn a_name_is_written_once() {
    let s3 = S3::start().await;
    for conditional in ["conditional_put=true", "conditional_put=false"] {
        let stores = Stores::new(limits(), no_cache());
        let config = s3.config(conditional);
        Trial::open(config.clone(), credentials(), CLUSTER).unwrap().claim().await.unwrap();
        stores.apply(CLUSTER, vec![(config, credentials())], None);
        let name = format!("once/{}", conditional.len());
        stores.put("cold", &name, bytes(100, 1)).await.unwrap();
        // The same again: the caller did not hear of the first time.
        stores.put("cold", &name, bytes(100, 1)).await.unwrap();
        for other in [bytes(100, 2), bytes(99, 1), bytes(101, 1)] {
            assert!(matches!(stores.put("cold", &name, other).await, Err(Error::Exists(_))), "{conditional}");
        }
        assert_eq!(stores.read("cold", &name, 0..100).await.unwrap(), bytes(100, 1));
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_anything_is_asked() {
    let s3 = S3::start().await;
    let stores = s3.stores(limits(), no_cache()).await;
    let before = Requests::now(&s3);
    for name in ["", "../x", ".zcluster-volume", "a/.b", "/a"] {
        assert!(matches!(stores.put("cold", name, Bytes::new()).await, Err(Error::Invalid(_))), "{name}");
        assert!(matches!(stores.read("cold", name, 0..1).await, Err(Error::Invalid(_))), "{name}");
        assert!(matches!(stores.delete("cold", name).await, Err(Error::Invalid(_))), "{name}");
    }
    assert!(matches!(stores.list("cold", "a", "", 1).await, Err(Error::Invalid(_))));
    assert!(matches!(stores.read("cold", "a", 0..OBJECT_MAX + 1).await, Err(Error::TooLarge(_))));
    assert!(matches!(stores.read("warm", "a", 0..1).await, Err(Error::Unavailable(_))));
    assert_eq!(before.since(&s3), 0);
}

#[tokio::test]
async fn bodies_read_in_order_come_with_their_neighbours() {
    let s3 = S3::start().await;
    let dir = tempfile::tempdir().unwrap();
    let cache = CacheConfig { folder: Some(dir.path().into()), disk_bytes: 64 << 20, memory_bytes: 4 << 20 };
    let stores = s3.stores(limits(), cache).await;
    let body = bytes(8 << 20, 3);
    for object in ["1/up", "1/down"] {
        stores.put("cold", object, body.clone()).await.unwrap();
    }
    let step = 10_000u64;
    let upwards: Vec<u64> = (0..400).map(|n| n * step).collect();
    let downwards: Vec<u64> = upwards.iter().rev().copied().collect();
    for (object, starts) in [("1/up", &upwards), ("1/down", &downwards)] {
        let before = Requests::now(&s3);
        for start in starts {
            let range = *start..*start + step;
            let expected = body.slice(range.start as usize..range.end as usize);
            assert_eq!(stores.read("cold", object, range).await.unwrap(), expected);
        }
        // 4 MB in pieces of 1 MiB, once; not 400 answers of a block.
        assert!(before.since(&s3) < 8 << 20, "{object}: {}", before.since(&s3));
    }
    // Again, from memory and disk: nothing is carried.
    let before = Requests::now(&s3);
    for start in &upwards {
        stores.read("cold", "1/up", *start..*start + step).await.unwrap();
    }
    assert!(before.since(&s3) < 1 << 20, "{}", before.since(&s3));
}

/// Bytes that were carried since a moment.
struct Requests(u64);

impl Requests {
    fn now(s3: &S3) -> Self {
        Requests(s3.carried.load(Ordering::SeqCst))
    }
    fn since(&self, s3: &S3) -> u64 {
        s3.carried.load(Ordering::SeqCst) - self.0
    }
}

#[tokio::test]
async fn many_who_want_the_same_wait_for_one() {
    let s3 = S3::start().await;
    let stores = s3.stores(limits(), CacheConfig { folder: None, ..CacheConfig::default() }).await;
    stores.put("cold", "1/a", bytes(1 << 20, 4)).await.unwrap();
    let before = Requests::now(&s3);
    let reads = (0..50).map(|_| stores.read("cold", "1/a", 100..60_000));
    for read in futures::future::join_all(reads).await {
        assert_eq!(read.unwrap(), bytes(1 << 20, 4).slice(100..60_000));
    }
    // A block once; perhaps with its neighbours, for one that came later.
    assert!(before.since(&s3) < 3 << 20, "{}", before.since(&s3));
}

#[tokio::test]
async fn a_trial_measures_and_leaves_nothing() {
    let s3 = S3::start().await;
    let stores = s3.stores(limits(), no_cache()).await;
    let measured = Trial::of(&stores, "cold").unwrap().measure(8, 2).await.unwrap();
    let rows: Vec<_> = measured.rows.iter().map(|r| (r.operation.as_str(), r.size, r.count)).collect();
    assert_eq!(rows[0], ("PUT", 16 * 1024, 8));
    assert_eq!(rows[5], ("GET", 8 << 20, 2));
    assert!(measured.rows.iter().all(|r| r.p50_us > 0 && r.p50_us <= r.p99_us));
    assert!(measured.rows[5].mb_per_s > 0.0 && measured.refuses_to_overwrite);
    let trial = s3.file("zc/.trial");
    let left = walk(&trial);
    assert!(left.is_empty(), "{left:?}");
}

fn walk(path: &std::path::Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let each = entries.flatten().flat_map(|e| if e.path().is_dir() { walk(&e.path()) } else { vec![e.path()] });
    each.collect()
}

#[tokio::test]
async fn a_volume_belongs_to_one_cluster_and_has_one_name() {
    let s3 = S3::start().await;
    let stores = s3.stores(limits(), no_cache()).await;
    stores.put("cold", "1/a", bytes(10, 1)).await.unwrap();
    let other = Stores::new(limits(), no_cache());
    other.apply("another", vec![(s3.config(""), credentials())], None);
    // Not even looked at: what is missing in its shards would be swept away here.
    for outcome in [
        other.list("cold", "", "", 9).await.map(drop),
        other.put("cold", "1/b", bytes(1, 1)).await,
        other.delete("cold", "1/a").await,
        other.read("cold", "1/none", 0..1).await.map(drop),
    ] {
        let error = outcome.unwrap_err();
        assert!(matches!(&error, Error::Unavailable(why) if why.contains("another cluster")), "{error}");
    }
    let trial = Trial::open(s3.config(""), credentials(), "another").unwrap();
    assert!(matches!(trial.claim().await, Err(Error::Conflict(_))));
    let warm = VolumeConfig::parse(&s3.config("").text().replace("name=cold", "name=warm")).unwrap();
    let trial = Trial::open(warm, credentials(), CLUSTER).unwrap();
    let error = trial.claim().await.unwrap_err().to_string();
    assert!(error.contains("is volume cold of this cluster"), "{error}");
    // Given up, it is free for others.
    Trial::of(&stores, "cold").unwrap().release().await.unwrap();
    Trial::open(s3.config(""), credentials(), "another").unwrap().claim().await.unwrap();
}

#[tokio::test]
async fn a_wrong_bucket_or_key_says_nothing_about_objects() {
    let s3 = S3::start().await;
    let elsewhere = VolumeConfig::parse(&s3.config("").text().replace("s3://mail", "s3://nothing")).unwrap();
    let wrong: Credentials = {
        let mut own = credentials();
        own.0.insert("secret_access_key".into(), "wrong".into());
        own
    };
    let stores: Arc<Stores> = open(s3.config(""), credentials(), limits(), no_cache()).await;
    for (config, own) in [(elsewhere, credentials()), (s3.config(""), wrong)] {
        stores.apply(CLUSTER, vec![(config, own)], None);
        for outcome in [stores.read("cold", "1/a", 0..1).await.map(drop), stores.put("cold", "1/a", bytes(1, 1)).await]
        {
            let error = outcome.unwrap_err();
            assert!(matches!(&error, Error::Unavailable(_)), "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert!(stores.check().await[0].trouble.is_some());
    }
}

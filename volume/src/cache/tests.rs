use super::*;
use std::path::Path;

fn cache(folder: &Path, blocks: u64) -> Cache {
    Cache::open(&CacheConfig { folder: Some(folder.into()), disk_bytes: blocks * BLOCK, memory_bytes: 0 })
}

fn block(n: u64) -> (Key, Bytes) {
    (key("v", "o", n), Bytes::from(vec![n as u8; BLOCK as usize - n as usize]))
}

async fn put(cache: &Cache, n: u64) {
    cache.put(vec![block(n)]);
    cache.settle().await;
}

async fn has(cache: &Cache, n: u64) -> bool {
    let (key, bytes) = block(n);
    match cache.get(&[key]).await.remove(0) {
        Some(found) => {
            assert_eq!(found, bytes);
            true
        }
        None => false,
    }
}

#[tokio::test]
async fn memory_first_then_the_disk_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let config =
        CacheConfig { folder: Some(dir.path().join("a/b")), disk_bytes: 8 * BLOCK, memory_bytes: 2 * BLOCK };
    let cache = Cache::open(&config);
    for n in 1..=5 {
        put(&cache, n).await;
    }
    assert!(cache.peek(&block(5).0).is_some() && cache.peek(&block(1).0).is_none());
    for n in 1..=5 {
        assert!(has(&cache, n).await, "{n}");
    }
    assert!(!has(&cache, 6).await);
    drop(cache);
    let cache = Cache::open(&config);
    assert_eq!((has(&cache, 1).await, has(&cache, 3).await, has(&cache, 5).await), (true, true, false));
    // Smaller now, and larger again: what is left is what fits.
    drop(cache);
    let small = Cache::open(&CacheConfig { disk_bytes: 2 * BLOCK, ..config.clone() });
    assert_eq!((has(&small, 1).await, has(&small, 2).await, has(&small, 3).await), (true, true, false));
    drop(small);
    assert!(!has(&Cache::open(&config), 3).await);
}

#[tokio::test]
async fn what_is_read_often_stays_and_what_is_read_once_does_not_displace_it() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(dir.path(), 4);
    for n in 0..4 {
        for _ in 0..4 {
            has(&cache, n).await;
        }
        put(&cache, n).await;
    }
    // A walk through a large folder: each block once, and some only fetched along.
    for n in 10..60 {
        if n % 2 == 0 {
            has(&cache, n).await;
        }
        put(&cache, n).await;
    }
    for n in 0..4 {
        assert!(has(&cache, n).await, "{n}");
    }
    // What becomes popular gets its place.
    for _ in 0..12 {
        has(&cache, 99).await;
        put(&cache, 99).await;
    }
    assert!(has(&cache, 99).await);
}

#[tokio::test]
async fn a_damaged_block_is_not_given_out() {
    use std::os::unix::fs::FileExt;
    let dir = tempfile::tempdir().unwrap();
    let open = |name: &str| std::fs::File::options().write(true).open(dir.path().join(name)).unwrap();
    for (file, at) in [("blocks", 7), ("index", 64 + 17), ("index", 64 + 30), ("index", 64)] {
        let cache = cache(dir.path(), 1);
        put(&cache, 1).await;
        assert!(has(&cache, 1).await, "{file} {at}");
        open(file).write_all_at(&[0xEE], at).unwrap();
        assert!(!has(&cache, 1).await, "{file} {at}");
        // Its slot is used again.
        put(&cache, 1).await;
        assert!(has(&cache, 1).await, "{file} {at}");
    }
    std::fs::write(dir.path().join("index"), "something else").unwrap();
    assert!(!has(&cache(dir.path(), 1), 1).await);
}

#[tokio::test]
async fn without_a_usable_disk_there_is_memory() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let config = CacheConfig { folder: Some(dir.path().join("file")), memory_bytes: BLOCK, ..CacheConfig::default() };
    let cache = Cache::open(&config);
    put(&cache, 1).await;
    assert!(has(&cache, 1).await);
}

#[test]
fn keys_are_of_volume_object_and_block() {
    let keys = [key("v", "o", 0), key("v", "o", 1), key("vo", "", 0), key("v", "p", 0), key("", "vo", 0)];
    let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
    assert_eq!(distinct.len(), keys.len());
}

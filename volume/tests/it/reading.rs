//! Whatever is read in whatever order, with whatever cache: it is what was written.

use crate::support::{limits, open};
use bytes::Bytes;
use proptest::prelude::*;
use zcluster_api::{Error, Volumes};
use zcluster_volume::{CacheConfig, Credentials, VolumeConfig};

const BLOCK: u64 = 64 * 1024;

fn content(object: usize, len: u64) -> Bytes {
    (0..len).map(|i| (i ^ (i >> 7) ^ (i >> 13) ^ (object as u64 * 37)) as u8).collect::<Vec<_>>().into()
}

fn sizes() -> [u64; 4] {
    [1, BLOCK, 3 * BLOCK + 17, 30 * BLOCK - 1]
}

/// Object, where a read begins, how long it is; many near block boundaries and the end.
fn reads() -> impl Strategy<Value = Vec<(usize, u64, u64)>> {
    let at = prop_oneof![0..31 * BLOCK, (0u64..31).prop_map(|n| n * BLOCK), (1u64..31).prop_map(|n| n * BLOCK - 1)];
    let len = prop_oneof![0u64..20, 0..3 * BLOCK, Just(BLOCK), 16 * BLOCK..20 * BLOCK];
    proptest::collection::vec((0usize..4, at, len), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn every_read_is_right(reads in reads(), memory in 0u64..40, disk in 0u64..40) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let folder = dir.path().join("volume");
            std::fs::create_dir(&folder).unwrap();
            let config = VolumeConfig::parse(&format!("name=cold url=file://{}", folder.display())).unwrap();
            let cache = CacheConfig {
                folder: Some(dir.path().join("cache")),
                disk_bytes: disk * BLOCK,
                memory_bytes: memory * BLOCK,
            };
            let stores = open(config, Credentials::default(), limits(), cache).await;
            for (n, size) in sizes().into_iter().enumerate() {
                stores.put("cold", &format!("o/{n}"), content(n, size)).await.unwrap();
            }
            for (n, begin, len) in reads {
                let outcome = stores.read("cold", &format!("o/{n}"), begin..begin + len).await;
                if len == 0 || begin + len <= sizes()[n] {
                    let whole = content(n, sizes()[n]);
                    let expected = if len == 0 { Bytes::new() } else { whole.slice(begin as usize..(begin + len) as usize) };
                    assert!(outcome.unwrap() == expected, "{n} {begin} {len}");
                } else {
                    assert!(matches!(outcome, Err(Error::NotFound(_))), "{n} {begin} {len}: {outcome:?}");
                }
            }
        });
    }
}

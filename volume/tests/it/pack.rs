//! Packs on a volume.

use crate::support::{S3, limits, no_cache};
use zcluster_api::{BlobId, Codec, Error, Volumes};
use zcluster_volume::pack::{Body, Index, Writer};

#[tokio::test]
async fn an_index_is_read_by_its_end() {
    let s3 = S3::start().await;
    let stores = s3.stores(limits(), no_cache()).await;
    // 20 bodies: the index is in the last 64 KiB. 2,000: it is not.
    for count in [0u32, 20, 2_000] {
        let mut writer = Writer::new();
        for n in 0..count {
            let stored = format!("body {n} ").repeat(20);
            let id = BlobId(*blake3::hash(stored.as_bytes()).as_bytes());
            writer.push(&Body { id, size: stored.len() as u64, codec: Codec::Plain, stored: stored.into() }).unwrap();
        }
        let (pack, object) = (writer.finish(), format!("1/{count}"));
        stores.put("cold", &object, pack.clone()).await.unwrap();
        let size = pack.len() as u64;
        let index = Index::read(&*stores, "cold", &object, size).await.unwrap();
        assert_eq!(index, Index::of(&pack).unwrap());
        assert_eq!(index.entries.len(), count as usize);
        for entry in index.entries.iter().step_by(97) {
            let stored = stores.read("cold", &object, entry.offset..entry.offset + entry.len).await.unwrap();
            assert!(entry.holds(&stored));
        }
        assert!(matches!(Index::read(&*stores, "cold", &object, size - 1).await, Err(Error::Invalid(_))));
        assert!(Index::read(&*stores, "cold", &object, size + 1).await.is_err());
    }
}

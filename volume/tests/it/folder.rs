//! Folders, through everything that is above them.

use crate::support::{CLUSTER, limits, no_cache, open};
use bytes::Bytes;
use zcluster_api::{Error, Volumes};
use zcluster_volume::trial::Trial;
use zcluster_volume::{Credentials, VolumeConfig};

#[tokio::test]
async fn a_folder_whose_disk_is_not_mounted_is_away_not_empty() {
    let dir = tempfile::tempdir().unwrap();
    let mount = dir.path().join("mount");
    std::fs::create_dir(&mount).unwrap();
    let config = VolumeConfig::parse(&format!("name=cold url=file://{}", mount.display())).unwrap();
    let stores = open(config, Credentials::default(), limits(), no_cache()).await;
    stores.put("cold", "1/a", Bytes::from_static(b"body")).await.unwrap();
    assert_eq!(stores.read("cold", "1/a", 1..3).await.unwrap(), Bytes::from_static(b"od"));
    // The mount point without the disk.
    std::fs::rename(&mount, dir.path().join("disk")).unwrap();
    std::fs::create_dir(&mount).unwrap();
    for outcome in [
        stores.read("cold", "1/a", 1..3).await.map(drop),
        stores.put("cold", "1/b", Bytes::from_static(b"other")).await,
        stores.list("cold", "", "", 9).await.map(drop),
        stores.delete("cold", "1/a").await,
    ] {
        let error = outcome.unwrap_err();
        assert!(matches!(&error, Error::Unavailable(why) if why.contains("mounted")), "{error}");
    }
    assert_eq!(std::fs::read_dir(&mount).unwrap().count(), 0, "nothing was written beside the volume");
    std::fs::remove_dir(&mount).unwrap();
    std::fs::rename(dir.path().join("disk"), &mount).unwrap();
    assert_eq!(stores.read("cold", "1/a", 0..4).await.unwrap(), Bytes::from_static(b"body"));
    assert_eq!(stores.list("cold", "", "", 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn nodes_tell_whether_they_see_the_same_folder() {
    let (shared, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let trial = |dir: &tempfile::TempDir| {
        let config = VolumeConfig::parse(&format!("name=cold url=file://{}", dir.path().display())).unwrap();
        Trial::open(config, Credentials::default(), CLUSTER).unwrap()
    };
    let name = trial(&shared).leave("from node 1").await.unwrap();
    trial(&shared).find(&name, "from node 1").await.unwrap();
    assert!(matches!(trial(&own).find(&name, "from node 1").await, Err(Error::NotFound(_))));
    assert!(matches!(trial(&shared).find(&name, "from node 2").await, Err(Error::NotFound(_))));
    trial(&shared).clear(&name).await.unwrap();
    assert!(matches!(trial(&shared).find(&name, "from node 1").await, Err(Error::NotFound(_))));
    let measured = trial(&own).measure(4, 1).await.unwrap();
    assert!(measured.refuses_to_overwrite && measured.durability.contains("fsync"));
}

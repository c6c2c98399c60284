//! Volumes come and go as the directory says.

use crate::support::{S3, credentials, limits, no_cache};
use std::sync::Arc;
use zcluster_api::directory::{Modification, ModifyKind, Secret};
use zcluster_api::{DirectoryCommand, DirectoryQuery, DirectoryReply, Error, Volumes};
use zcluster_state::memory::Memory;
use zcluster_volume::follow::refresh;
use zcluster_volume::trial::Trial;
use zcluster_volume::{Stores, VolumeConfig};

fn set(memory: &Memory, name: &str, values: &[&str]) {
    let values = values.iter().map(|v| v.to_string()).collect();
    let change = Modification { name: name.into(), kind: ModifyKind::Replace, values };
    memory.command(DirectoryCommand::ModifyConfig(vec![change])).unwrap();
}

fn secret(memory: &Memory, name: &str, value: Option<Vec<u8>>) {
    let name = format!("volume/{name}");
    memory.command(DirectoryCommand::PutSecret { name, value: value.map(Secret), expect: None }).unwrap();
}

async fn cluster_id(memory: &Memory) -> String {
    match zcluster_api::DirectoryApi::read(memory, DirectoryQuery::Cluster, zcluster_api::Freshness::Local).await {
        Ok(DirectoryReply::Cluster(cluster)) => cluster.id,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn volumes_are_opened_changed_and_closed_without_a_restart() {
    let s3 = S3::start().await;
    let memory = Memory::new();
    let stores = Stores::new(limits(), no_cache());
    let put = |stores: Arc<Stores>, object: &'static str| async move {
        stores.put("cold", object, bytes::Bytes::from_static(b"x")).await
    };
    refresh(&stores, &memory).await.unwrap();
    assert_eq!((stores.states().len(), stores.default_volume()), (0, None));

    let cluster = cluster_id(&memory).await;
    let config = s3.config("");
    let trial = Trial::open(config.clone(), credentials(), &cluster).unwrap();
    trial.claim().await.unwrap();
    secret(&memory, "cold", Some(credentials().bytes()));
    // One of them makes no sense: the others work.
    set(&memory, "zclusterVolume", &[&config.text(), "name=odd url=ftp://x", "name=cold url=file:///second"]);
    set(&memory, "zclusterDefaultVolume", &["cold"]);
    refresh(&stores, &memory).await.unwrap();
    assert_eq!(stores.default_volume().as_deref(), Some("cold"));
    assert_eq!(stores.states().len(), 1);
    put(stores.clone(), "1/a").await.unwrap();
    assert_eq!(stores.check().await[0].trouble, None);

    // Credentials are replaced.
    let mut wrong = credentials();
    wrong.0.insert("secret_access_key".into(), "wrong".into());
    secret(&memory, "cold", Some(wrong.bytes()));
    refresh(&stores, &memory).await.unwrap();
    assert!(matches!(put(stores.clone(), "1/b").await, Err(Error::Unavailable(_))));
    secret(&memory, "cold", Some(credentials().bytes()));
    refresh(&stores, &memory).await.unwrap();
    put(stores.clone(), "1/b").await.unwrap();

    // A default that is no volume is none; credentials of another kind are trouble that is told.
    set(&memory, "zclusterDefaultVolume", &["warm"]);
    let folder = VolumeConfig::parse("name=cold url=file:///nowhere").unwrap();
    set(&memory, "zclusterVolume", &[&folder.text()]);
    refresh(&stores, &memory).await.unwrap();
    assert_eq!(stores.default_volume(), None);
    assert!(stores.states()[0].trouble.as_ref().unwrap().contains("no such credential"));
    set(&memory, "zclusterVolume", &[]);
    refresh(&stores, &memory).await.unwrap();
    assert!(matches!(put(stores.clone(), "1/c").await, Err(Error::Unavailable(_))));
}

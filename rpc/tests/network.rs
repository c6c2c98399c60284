//! Real sockets on loopback: order, errors, handshake, partitions.
#![allow(missing_docs)]

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use zcluster_rpc::*;

const CLUSTER: &str = "11111111-2222-3333-4444-555555555555";
const WAIT: Duration = Duration::from_secs(5);

struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Ca {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ca(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }
    fn identity(&self, cluster: &str, id: u64) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![node_dns_name(node_number(id), cluster)]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let cert = params.signed_by(&key, &self.0).unwrap();
        Identity::new(cluster, id, &self.0.pem(), &cert.pem(), &key.serialize_pem()).unwrap()
    }
}

/// Method 1: echo; 2: fails; 3: never answers; 4: remembers the body's arrival; streams count up to the body's number.
#[derive(Default)]
struct Echo {
    arrived: Arc<Mutex<Vec<u32>>>,
}

impl Service for Echo {
    fn call(&self, from: u64, method: u16, body: Bytes) -> BoxFuture<'static, Result<Bytes, RpcError>> {
        if method == 4 {
            self.arrived.lock().unwrap().push(u32::from_be_bytes(body[..4].try_into().unwrap()));
        }
        async move {
            match method {
                1 | 4 => Ok(body),
                2 => Err(RpcError::Remote(format!("no, {from}"))),
                _ => std::future::pending().await,
            }
        }
        .boxed()
    }
    fn stream(&self, _: u64, _: u16, body: Bytes) -> BoxFuture<'static, Result<Frames, RpcError>> {
        let n = u64::from_be_bytes(body[..8].try_into().unwrap());
        let items =
            (0..n).map(|i| if i == 1_000 { Err(RpcError::Remote("full".into())) } else { Ok(vec![0; 1000].into()) });
        futures::future::ready(Ok(futures::stream::iter(items.collect::<Vec<_>>()).boxed())).boxed()
    }
}

async fn start(identity: Identity, service: Echo, faults: Option<FaultSwitch>, members: Vec<u64>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // Node 8 has left.
    let peers = Arc::new(members.into_iter().map(|m| (m, String::new())).collect::<BTreeMap<_, _>>());
    let members = Members { peers, removed: [8 << 16].into() };
    let config = ServerConfig {
        identity: Arc::new(identity),
        service: Arc::new(service),
        join: Some(Arc::new(|_, body| {
            async move { if body == "open" { Ok("welcome".into()) } else { Err(RpcError::Refused("token is used".into())) } }
                .boxed()
        })),
        members: Arc::new(move || members.clone()),
        faults,
    };
    zcluster_runtime::spawn(async move { serve(listener, config).await });
    address
}

fn client(identity: Identity, to: u64, address: &str, faults: Option<FaultSwitch>) -> TonicNetwork {
    let network = TonicNetwork::new(Arc::new(identity), faults);
    network.set_peers([(to, address.to_string())].into());
    network
}

const A: u64 = 1 << 16;
const B: u64 = 2 << 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_streams_and_errors_on_every_lane() {
    let ca = Ca::new();
    let address = start(ca.identity(CLUSTER, B), Echo::default(), None, vec![]).await;
    let network = client(ca.identity(CLUSTER, A), B, &address, None);
    for lane in [Lane::Raft, Lane::Data, Lane::Bulk] {
        let big = Bytes::from(vec![7; 3 << 20]);
        assert_eq!(network.call(B, lane, 1, big.clone(), WAIT).await, Ok(big), "{lane:?}");
        assert_eq!(network.call(B, lane, 2, Bytes::new(), WAIT).await, Err(RpcError::Remote(format!("no, {A}"))));
        let silent = network.call(B, lane, 3, Bytes::new(), Duration::from_millis(200)).await;
        assert!(matches!(silent, Err(RpcError::Lost(_))), "{silent:?}");
        let mut frames = network.stream(B, lane, 1, 5_000u64.to_be_bytes().to_vec().into(), WAIT).await.unwrap();
        for _ in 0..1_000 {
            assert_eq!(frames.next().await.unwrap().unwrap().len(), 1000);
        }
        assert_eq!(frames.next().await, Some(Err(RpcError::Remote("full".into()))));
    }
    let unknown = network.call(3 << 16, Lane::Raft, 1, Bytes::new(), WAIT).await;
    assert!(matches!(unknown, Err(RpcError::Unreachable(..))), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raft_calls_arrive_in_the_order_they_were_made() {
    let ca = Ca::new();
    let echo = Echo::default();
    let arrived = echo.arrived.clone();
    let address = start(ca.identity(CLUSTER, B), echo, None, vec![]).await;
    let network = client(ca.identity(CLUSTER, A), B, &address, None);
    let calls: Vec<_> = (0..2_000u32)
        .map(|i| {
            let mut body = i.to_be_bytes().to_vec();
            body.resize(4 + (i as usize * 37) % 2_000, 1);
            network.call(B, Lane::Raft, 4, body.into(), WAIT)
        })
        .collect();
    // Polled in reverse: the order is that of `call`.
    for call in calls.into_iter().rev() {
        call.await.unwrap();
    }
    assert_eq!(*arrived.lock().unwrap(), (0..2_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_refused_with_a_reason() {
    let ca = Ca::new();
    let address = start(ca.identity(CLUSTER, B), Echo::default(), None, vec![A + 1]).await;
    for lane in [Lane::Raft, Lane::Data] {
        // Another CA: TLS itself fails.
        let network = client(Ca::new().identity(CLUSTER, A), B, &address, None);
        assert!(matches!(network.call(B, lane, 1, Bytes::new(), WAIT).await, Err(RpcError::Unreachable(..))));
        // Another node than expected: the name in the certificate differs.
        let network = client(ca.identity(CLUSTER, 9 << 16), 3 << 16, &address, None);
        assert!(matches!(network.call(3 << 16, lane, 1, Bytes::new(), WAIT).await, Err(RpcError::Unreachable(..))));
        // Another incarnation of the right node.
        let network = client(ca.identity(CLUSTER, 9 << 16), B + 1, &address, None);
        let e = network.call(B + 1, lane, 1, Bytes::new(), WAIT).await;
        assert!(matches!(&e, Err(RpcError::Refused(s)) if s.contains("incarnation")), "{e:?}");
        // A caller that has left.
        let network = client(ca.identity(CLUSTER, 8 << 16), B, &address, None);
        let e = network.call(B, lane, 1, Bytes::new(), WAIT).await;
        assert!(matches!(&e, Err(RpcError::Refused(s)) if s.contains("has left")), "{e:?}");
        // A caller whose disk was replaced meanwhile.
        let network = client(ca.identity(CLUSTER, A), B, &address, None);
        let e = network.call(B, lane, 1, Bytes::new(), WAIT).await;
        assert!(matches!(&e, Err(RpcError::Refused(s)) if s.contains("join again")), "{e:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_with_one_id_are_told_apart() {
    let ca = Ca::new();
    let address = start(ca.identity(CLUSTER, B), Echo::default(), None, vec![]).await;
    let first = client(ca.identity(CLUSTER, A), B, &address, None);
    first.call(B, Lane::Raft, 1, Bytes::new(), WAIT).await.unwrap();
    let second = client(ca.identity(CLUSTER, A), B, &address, None);
    let e = second.call(B, Lane::Data, 1, Bytes::new(), WAIT).await;
    assert!(matches!(&e, Err(RpcError::Refused(s)) if s.contains("two nodes with one id")), "{e:?}");
    first.call(B, Lane::Data, 1, Bytes::new(), WAIT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_loses_calls_and_heals() {
    let ca = Ca::new();
    let faults = FaultSwitch::new();
    let address = start(ca.identity(CLUSTER, B), Echo::default(), None, vec![]).await;
    let network = client(ca.identity(CLUSTER, A), B, &address, Some(faults.clone()));
    for lane in [Lane::Raft, Lane::Data] {
        network.call(B, lane, 1, Bytes::new(), WAIT).await.unwrap();
    }
    faults.set(BTreeSet::from([2]));
    let begin = zcluster_runtime::Instant::now();
    for lane in [Lane::Raft, Lane::Data] {
        let lost = network.call(B, lane, 1, Bytes::new(), WAIT).await;
        assert!(lost.is_err(), "{lost:?}");
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "the ping notices, not the call's timeout");
    faults.set(BTreeSet::new());
    for lane in [Lane::Raft, Lane::Data] {
        let mut tries = 0;
        while let Err(e) = network.call(B, lane, 1, Bytes::new(), WAIT).await {
            tries += 1;
            assert!(tries < 50, "not healed: {e}");
            zcluster_runtime::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_there_is_unreachable_at_once_and_found_later() {
    let ca = Ca::new();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let network = client(ca.identity(CLUSTER, A), B, &free, None);
    for lane in [Lane::Raft, Lane::Data] {
        for _ in 0..3 {
            let e = network.call(B, lane, 1, Bytes::new(), WAIT).await;
            assert!(matches!(e, Err(RpcError::Unreachable(..))), "{e:?}");
        }
    }
    let address = start(ca.identity(CLUSTER, B), Echo::default(), None, vec![]).await;
    network.set_peers([(B, address)].into());
    for lane in [Lane::Raft, Lane::Data] {
        let mut tries = 0;
        while let Err(e) = network.call(B, lane, 1, Bytes::new(), WAIT).await {
            tries += 1;
            assert!(tries < 50, "the new address is not used: {e}");
            zcluster_runtime::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joining_checks_the_ca_and_carries_the_refusal() {
    let ca = Ca::new();
    let address = start(ca.identity(CLUSTER, B), Echo::default(), None, vec![]).await;
    let hash = sha256(ca.0.der());
    assert_eq!(join_call(&address, hash, "open".into(), WAIT).await.unwrap(), "welcome");
    let refused = join_call(&address, hash, "shut".into(), WAIT).await;
    assert!(matches!(&refused, Err(JoinError::Refused(s)) if s == "token is used"), "{refused:?}");
    let other = join_call(&address, [7; 32], "open".into(), WAIT).await;
    assert!(matches!(other, Err(JoinError::OtherCluster(_))), "{other:?}");
    let nobody = join_call("127.0.0.1:1", hash, "open".into(), WAIT).await;
    assert!(matches!(nobody, Err(JoinError::Unreachable(..))), "{nobody:?}");
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    zcluster_rpc::identity::sha256(bytes)
}

//! Services that tests make up.

use crate::service::Endpoint;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use zcluster_runtime::{JoinHandle, spawn};

/// A server for one connection: reads until the client pauses, answers and closes; the handle yields what it read.
pub async fn one_answer(answer: impl Into<Vec<u8>>) -> (Endpoint, JoinHandle<Vec<u8>>) {
    let answer = answer.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::Tcp("127.0.0.1".into(), listener.local_addr().unwrap().port());
    let seen = spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let pause = std::time::Duration::from_millis(300);
            match zcluster_runtime::timeout(pause, stream.read(&mut buffer)).await {
                Ok(Ok(0)) | Err(_) => break,
                Ok(read) => seen.extend_from_slice(&buffer[..read.unwrap()]),
            }
        }
        stream.write_all(&answer).await.unwrap();
        seen
    });
    (endpoint, seen)
}

/// A message from a stranger to Alice.
pub fn arrival(raw: &[u8]) -> crate::Arrival {
    crate::Arrival {
        client_ip: "192.0.2.1".parse().unwrap(),
        client_name: None,
        helo: "mx.example.org".into(),
        tls: false,
        authenticated: None,
        sender: "sender@example.org".into(),
        recipients: vec!["alice@example.com".into()],
        raw: bytes::Bytes::copy_from_slice(raw),
        queue_id: "q1".into(),
    }
}

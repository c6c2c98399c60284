//! Connections of clients.

use super::*;
use crate::world::OUTSIDE;
use std::io::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What the client got: bytes, and how it ended.
type Got = Arc<Mutex<(Vec<u8>, Option<Result<(), ErrorKind>>)>>;

/// Node 1 sends everything back, and closes when the client does.
fn listen(bench: &Bench) {
    let accept = |stream: SimStream| {
        assert_eq!(world::current(), 1);
        spawn_on(1, async move {
            let (mut from, mut to) = tokio::io::split(stream);
            let mut buf = vec![0; 3_000];
            while let Ok(n @ 1..) = from.read(&mut buf).await {
                if to.write_all(&buf[..n]).await.is_err() {
                    return;
                }
            }
            let _ = to.shutdown().await;
        });
    };
    bench.wires.listen(1, Port::Imap, Box::new(accept));
}

fn sent(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

/// Sends `len` bytes and takes what comes back.
fn echo(bench: &Bench, len: usize) -> Got {
    let (wires, got) = (bench.wires.clone(), Got::default());
    let out = got.clone();
    spawn_on(OUTSIDE, async move {
        let end = match wires.connect(1, Port::Imap).await {
            Err(e) => Err(e.kind()),
            Ok(stream) => {
                let (mut from, mut to) = tokio::io::split(stream);
                spawn_on(OUTSIDE, async move {
                    if to.write_all(&sent(len)).await.is_ok() {
                        let _ = to.shutdown().await;
                    }
                });
                let mut buf = vec![0; 5_000];
                loop {
                    match from.read(&mut buf).await {
                        Ok(0) => break Ok(()),
                        Ok(n) => out.lock().0.extend_from_slice(&buf[..n]),
                        Err(e) => break Err(e.kind()),
                    }
                }
            }
        };
        out.lock().1 = Some(end);
    });
    got
}

#[test]
fn bytes_come_in_order_and_complete() {
    for fragments in [0, 500_000] {
        let bench = Bench::new(1, 1, &Knobs { client_fragments: fragments, latency_us: (100, 5_000), ..calm() });
        listen(&bench);
        let got = echo(&bench, 1_000_000);
        bench.run(600_000);
        let got = got.lock();
        assert_eq!(got.1, Some(Ok(())));
        assert!(got.0 == sent(1_000_000));
        assert!(bench.wires.state.lock().clients.conns.is_empty());
    }
}

#[test]
fn a_reset_strikes_in_mid_stream() {
    let mut broken = 0;
    for seed in 0..30 {
        let knobs = Knobs { client_reset: 10_000, client_fragments: 200_000, ..calm() };
        let bench = Bench::new(seed, 1, &knobs);
        listen(&bench);
        let got = echo(&bench, 200_000);
        bench.run(600_000);
        let got = got.lock();
        assert!(sent(200_000).starts_with(&got.0));
        match got.1 {
            Some(Ok(())) => assert_eq!(got.0.len(), 200_000),
            Some(Err(e)) => {
                assert_eq!(e, ErrorKind::ConnectionReset);
                broken += 1;
            }
            None => panic!("seed {seed}: the client waits for ever"),
        }
        assert!(bench.wires.state.lock().clients.conns.is_empty());
    }
    assert!((5..30).contains(&broken), "{broken}");
}

#[test]
fn nobody_listens_is_refused() {
    let bench = Bench::new(1, 1, &calm());
    let got = echo(&bench, 10);
    bench.run(10);
    assert_eq!(got.lock().1, Some(Err(ErrorKind::ConnectionRefused)));
    listen(&bench);
    bench.wires.unlisten(1, Port::Imap);
    let got = echo(&bench, 10);
    bench.run(10);
    assert_eq!(got.lock().1, Some(Err(ErrorKind::ConnectionRefused)));
}

#[test]
fn a_cut_hangs_and_loses_nothing_when_mended() {
    let bench = Bench::new(1, 1, &calm());
    listen(&bench);
    let early = echo(&bench, 300_000);
    bench.run(3);
    bench.wires.cut_clients(1);
    let late = echo(&bench, 10);
    bench.run(60_000);
    assert!(early.lock().1.is_none() && late.lock().1.is_none());
    bench.wires.heal();
    bench.run(60_000);
    assert!(early.lock().0 == sent(300_000) && late.lock().0 == sent(10));
    assert_eq!((early.lock().1, late.lock().1), (Some(Ok(())), Some(Ok(()))));
}

#[test]
fn death_resets_and_nobody_listens_any_more() {
    for seed in 0..20 {
        let bench = Bench::new(seed, 1, &calm());
        listen(&bench);
        let got = echo(&bench, 10_000_000);
        bench.run(5);
        bench.crash(1);
        bench.run(1_000);
        // A dying process may still close its side; what it was to send is lost all the same.
        let (bytes, end) = got.lock().clone();
        let expected = if end == Some(Ok(())) { end } else { Some(Err(ErrorKind::ConnectionReset)) };
        assert_eq!((end, bytes.len() < 10_000_000), (expected, true), "seed {seed}");
        bench.boot(1);
        let got = echo(&bench, 10);
        bench.run(10);
        assert_eq!(got.lock().1, Some(Err(ErrorKind::ConnectionRefused)));
    }
}

#[test]
fn resets_of_clients_are_heard_by_both() {
    let bench = Bench::new(1, 1, &calm());
    listen(&bench);
    let got = echo(&bench, 10_000_000);
    bench.run(50);
    bench.wires.reset_clients(1);
    bench.run(50);
    assert_eq!(got.lock().1, Some(Err(ErrorKind::ConnectionReset)));
    assert!(bench.wires.state.lock().clients.conns.is_empty());
}

#[test]
fn who_is_not_read_from_must_wait() {
    let bench = Bench::new(1, 1, &calm());
    let held: Arc<Mutex<Vec<SimStream>>> = Arc::default();
    let streams = held.clone();
    bench.wires.listen(1, Port::Lmtp, Box::new(move |stream| streams.lock().push(stream)));
    let (wires, wrote) = (bench.wires.clone(), Arc::new(Mutex::new(0)));
    let out = wrote.clone();
    spawn_on(OUTSIDE, async move {
        let mut stream = wires.connect(1, Port::Lmtp).await.expect("connected");
        while let Ok(n) = stream.write(&[0; 1_000]).await {
            *out.lock() += n;
        }
    });
    bench.run(1_000);
    assert_eq!(*wrote.lock(), 64 * 1024);
    // Who closes without reading resets.
    held.lock().clear();
    bench.run(100);
    assert!(bench.wires.state.lock().clients.conns.is_empty());
}

//! Prints what one message costs: `cargo run --release -p zcluster-mail --example speed [FILE]`.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "an example may look at the clock")]

use std::time::Instant;
use zcluster_api::Bytes;

/// A text message of about 6 KB with the header fields that mailing lists add.
fn sample() -> Vec<u8> {
    let mut out = String::new();
    for i in 0..4 {
        out += &format!(
            "Received: from mx{i}.example.org ([192.0.2.{i}])\r\n\tby mx.example.com with ESMTPS id {i}abc;\r\n\tFri, 21 Nov 1997 09:55:06 -0600\r\n"
        );
    }
    out += "From: \"Someone\" <someone@example.org>\r\nTo: list@example.org, bob@example.com\r\nSubject: Re: the state of things\r\n";
    out += "Date: Fri, 21 Nov 1997 09:55:06 -0600\r\nMessage-ID: <a.b.c@example.org>\r\nReferences: <1@x> <2@x> <3@x>\r\nMIME-Version: 1.0\r\n";
    out += "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";
    let mut n = 1u32;
    while out.len() < 6_000 {
        n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        out += ["time ", "and mail ", "wait ", "for nobody ", "quickly "][(n >> 16) as usize % 5];
        if n.is_multiple_of(11) {
            out += "\r\n";
        }
    }
    out.into_bytes()
}

fn time(what: &str, mut f: impl FnMut()) {
    const ROUNDS: u32 = 20_000;
    f();
    let start = Instant::now();
    for _ in 0..ROUNDS {
        f();
    }
    println!("{what}: {:.2} us", start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS));
}

fn main() {
    let raw = std::env::args().nth(1).map_or_else(sample, |path| std::fs::read(path).expect("read the message"));
    let raw = Bytes::from(raw);
    let summary = zcluster_mail::parse(&raw);
    let stored = summary.encode();
    let body = zcluster_mail::prepare(&raw);
    println!("message {} bytes, summary {} bytes, body stored {} bytes", raw.len(), stored.len(), body.stored.len());
    time("parse", || drop(zcluster_mail::parse(&raw)));
    time("encode summary", || drop(summary.encode()));
    time("prepare (hash, compress)", || drop(zcluster_mail::prepare(&raw)));
    time("decode summary, make envelope", || {
        zcluster_mail::Summary::decode(&stored).expect("own bytes").envelope();
    });
    time("decompress", || drop(zcluster_mail::decompress(body.codec, &body.stored, body.size)));
}

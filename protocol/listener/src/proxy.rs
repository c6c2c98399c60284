//! The PROXY protocol, versions 1 and 2: the header with which a load balancer tells who the client is
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncRead, AsyncReadExt};

/// What version 2 begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of a version 2 header before its addresses.
const FIXED_BYTES: usize = 16;
/// Bytes of a version 1 line with its CR LF (section 2.1).
const LINE_BYTES_MAX: usize = 107;
/// Bytes of addresses and of what may follow them in version 2; TLS details and unique ids take some hundred.
const REST_BYTES_MAX: usize = 4_096;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// The proxy speaks for itself (health checks), or does not know.
    Nothing,
    /// From where, to where.
    Addresses(SocketAddr, SocketAddr),
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads a header, and not a byte more: TLS may follow.
pub(crate) async fn read<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<Told> {
    // Both versions are longer than the signature.
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    if start == SIGNATURE {
        let mut fixed = [0; FIXED_BYTES - SIGNATURE.len()];
        stream.read_exact(&mut fixed).await?;
        let length = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
        if length > REST_BYTES_MAX {
            return Err(bad("PROXY header too long"));
        }
        let mut rest = vec![0; length];
        stream.read_exact(&mut rest).await?;
        return version_2(fixed[0], fixed[1], &rest);
    }
    if !start.starts_with(b"PROXY ") {
        return Err(bad("no PROXY header"));
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() == LINE_BYTES_MAX {
            return Err(bad("PROXY line too long"));
        }
        line.push(stream.read_u8().await?);
    }
    version_1(&line)
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n` (section 2.1).
fn version_1(line: &[u8]) -> io::Result<Told> {
    let malformed = || bad("malformed PROXY line");
    let line = std::str::from_utf8(line).ok().and_then(|l| l.strip_suffix("\r\n")).ok_or_else(malformed)?;
    let mut words = line.strip_prefix("PROXY ").ok_or_else(malformed)?.split(' ');
    let family = words.next().unwrap_or_default();
    if family == "UNKNOWN" {
        return Ok(Told::Nothing);
    }
    let [Some(from), Some(to), Some(from_port), Some(to_port), None] =
        [words.next(), words.next(), words.next(), words.next(), words.next()]
    else {
        return Err(malformed());
    };
    let ip = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let port = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u16>().ok())?;
    let address = |at: &str, of: &str| Some(SocketAddr::new(ip(at)?, port(of)?));
    match (address(from, from_port), address(to, to_port)) {
        (Some(from), Some(to)) => Ok(Told::Addresses(from, to)),
        _ => Err(malformed()),
    }
}

/// Section 2.2. `rest`: the addresses and, behind them, what is not of interest.
fn version_2(version_and_command: u8, family: u8, rest: &[u8]) -> io::Result<Told> {
    if version_and_command >> 4 != 2 {
        return Err(bad("PROXY version is not supported"));
    }
    match version_and_command & 0xf {
        0 => return Ok(Told::Nothing),
        1 => {}
        _ => return Err(bad("unknown PROXY command")),
    }
    let port = |at: usize| Some(u16::from_be_bytes(rest.get(at..at + 2)?.try_into().ok()?));
    let v4 = |at: usize| Some(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(rest.get(at..at + 4)?).ok()?)));
    let v6 = |at: usize| Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(rest.get(at..at + 16)?).ok()?)));
    let address = |ip: Option<IpAddr>, port: Option<u16>| Some(SocketAddr::new(ip?, port?));
    let (from, to) = match family {
        // Unspecified, and Unix sockets: nothing that could be called a client's address.
        0x00 | 0x31 | 0x32 => return Ok(Told::Nothing),
        0x11 => (address(v4(0), port(8)), address(v4(4), port(10))),
        0x21 => (address(v6(0), port(32)), address(v6(16), port(34))),
        _ => return Err(bad("unknown PROXY address family")),
    };
    match (from, to) {
        (Some(from), Some(to)) => Ok(Told::Addresses(from, to)),
        _ => Err(bad("PROXY addresses are cut off")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use proptest::prelude::*;

    /// What is read, and what is left.
    fn told(mut input: &[u8]) -> (io::Result<Told>, usize) {
        let result = read(&mut input).now_or_never().expect("memory does not wait");
        (result, input.len())
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        [&SIGNATURE[..], &[command, family], &(rest.len() as u16).to_be_bytes(), rest].concat()
    }

    #[test]
    fn both_versions() {
        let four = Told::Addresses("192.0.2.1:56324".parse().unwrap(), "198.51.100.1:443".parse().unwrap());
        let six = Told::Addresses("[2001:db8::1]:1".parse().unwrap(), "[2001:db8::2]:25".parse().unwrap());
        let four_bytes = [192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb];
        let with_more = [&four_bytes[..], &[3, 0, 4, 1, 2, 3, 4]].concat();
        for (header, want) in [
            (b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n".to_vec(), four),
            (b"PROXY TCP6 2001:db8::1 2001:db8::2 1 25\r\n".to_vec(), six),
            (b"PROXY UNKNOWN\r\n".to_vec(), Told::Nothing),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), Told::Nothing),
            (v2(0x21, 0x11, &four_bytes), four),
            (v2(0x21, 0x11, &with_more), four),
            (v2(0x20, 0x00, &[]), Told::Nothing),
            (v2(0x21, 0x31, &[0; 216]), Told::Nothing),
        ] {
            let (got, left) = told(&[&header[..], b"EHLO x\r\n"].concat());
            assert_eq!((got.unwrap(), left), (want, 8), "{}", header.escape_ascii());
        }
    }

    #[test]
    fn refused() {
        for header in [
            b"EHLO client.example.org\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 x\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::1 198.51.100.1 1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.1 +1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.1 65536 2\r\n".to_vec(),
            b"PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n".to_vec(),
            [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200]].concat(),
            v2(0x11, 0x11, &[0; 12]),
            v2(0x22, 0x11, &[0; 12]),
            v2(0x21, 0x11, &[0; 11]),
            v2(0x21, 0x21, &[0; 35]),
            v2(0x21, 0x12, &[0; 12]),
            v2(0x21, 0x11, &[0; 5_000]),
        ] {
            assert!(told(&header).0.is_err(), "{}", header.escape_ascii());
        }
        assert_eq!(told(b"PROXY TCP4 1.2").0.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    proptest! {
        #[test]
        fn never_panics(input in proptest::collection::vec(any::<u8>(), 0..300), command in any::<u8>(), family in any::<u8>()) {
            let _ = told(&input);
            let _ = told(&[b"PROXY ", &input[..]].concat());
            let _ = told(&v2(command, family, &input));
        }

        #[test]
        fn what_is_told_is_heard(from in any::<([u8; 16], u16)>(), to in any::<([u8; 16], u16)>()) {
            let address = |(ip, port): ([u8; 16], u16)| SocketAddr::new(IpAddr::V6(ip.into()), port);
            let rest = [&from.0[..], &to.0, &from.1.to_be_bytes(), &to.1.to_be_bytes()].concat();
            prop_assert_eq!(told(&v2(0x21, 0x21, &rest)).0.unwrap(), Told::Addresses(address(from), address(to)));
            let (a, b) = (address(from), address(to));
            let line = format!("PROXY TCP6 {} {} {} {}\r\n", Ipv6Addr::from(from.0), Ipv6Addr::from(to.0), a.port(), b.port());
            prop_assert_eq!(told(line.as_bytes()).0.unwrap(), Told::Addresses(a, b));
        }
    }
}

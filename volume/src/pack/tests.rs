use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use zcluster_api::{BlobId, Codec};

fn body(content: &[u8], codec: Codec) -> Body {
    let id = BlobId(*blake3::hash(content).as_bytes());
    Body { id, size: content.len() as u64, codec, stored: Bytes::copy_from_slice(content) }
}

fn pack(contents: &[Vec<u8>]) -> Bytes {
    let mut writer = Writer::new();
    for content in contents {
        writer.push(&body(content, Codec::Plain)).unwrap();
    }
    writer.finish()
}

#[test]
fn golden_bytes() {
    let mut writer = Writer::new();
    let mut zstd = body(b"two", Codec::Zstd);
    zstd.size = 300;
    let first = writer.push(&body(b"one", Codec::Plain)).unwrap();
    let second = writer.push(&zstd).unwrap();
    assert_eq!((first.offset, first.len, second.offset, second.len), (16, 3, 19, 3));
    assert_eq!(writer.push(&body(b"one", Codec::Plain)).unwrap(), first);
    assert_eq!((writer.len(), writer.count(), writer.is_full()), (6, 2, false));
    let bytes = writer.finish();
    assert_eq!(bytes.len(), 16 + 6 + 2 * 96 + 64);
    assert_eq!(&bytes[..22], b"ZCPACK\r\n\x01\0\0\0\0\0\0\0onetwo");
    let entry = &bytes[22 + 96..22 + 192];
    assert_eq!(&entry[..32], blake3::hash(b"two").as_bytes());
    assert_eq!(&entry[32..64], blake3::hash(b"two").as_bytes());
    assert_eq!(&entry[64..], b"\x13\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x2c\x01\0\0\0\0\0\0\x01\0\0\0\0\0\0\0");
    let trailer = &bytes[22 + 192..];
    assert_eq!(&trailer[..16], b"\x16\0\0\0\0\0\0\0\x02\0\0\0\x60\0\x01\0");
    assert_eq!(&trailer[48..], b"\0\0\0\0\0\0\0\0\r\nZCPEND");
    // The whole of it, as any later version must still read it.
    let golden = "285557fca844b61bcdc16ec460663c3b2042caf37555a76bf63723f426d4b0ad";
    assert_eq!(blake3::hash(&bytes).to_hex().as_str(), golden);
    assert_eq!(verify(&bytes).unwrap().entries, [first, second]);
}

#[test]
fn an_empty_pack_and_an_empty_body() {
    assert_eq!(verify(&Writer::new().finish()).unwrap().entries, []);
    assert_eq!(verify(&pack(&[vec![]])).unwrap().entries.len(), 1);
}

#[test]
fn a_pack_has_a_bound() {
    let mut writer = Writer::new();
    let large = vec![7; MAX];
    writer.push(&body(&large, Codec::Plain)).unwrap();
    assert!(writer.is_full());
    assert_eq!(writer.push(&body(b"x", Codec::Plain)), Err(Full));
    assert_eq!(writer.count(), 1);
    assert_eq!(Writer::new().push(&body(&[large, vec![1]].concat(), Codec::Plain)), Err(Full));
}

#[test]
fn another_version_is_not_guessed_at() {
    let mut bytes = pack(&[b"x".to_vec()]).to_vec();
    let at = bytes.len() - 50;
    bytes[at] = 2;
    assert_eq!(Index::of(&bytes), Err(Bad::Version(2)));
}

fn contents() -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..20)
}

proptest! {
    #[test]
    fn what_is_packed_is_found(contents in contents()) {
        let bytes = pack(&contents);
        let index = verify(&bytes).unwrap();
        let found = |content: &Vec<u8>| {
            let id = BlobId(*blake3::hash(content).as_bytes());
            let entry = index.entries.iter().find(|e| e.id == id).unwrap();
            bytes[entry.offset as usize..(entry.offset + entry.len) as usize] == content[..]
        };
        prop_assert!(contents.iter().all(found));
    }

    #[test]
    fn no_changed_byte_goes_unseen(contents in contents(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = pack(&contents).to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        // Eight bytes in the trailer are there for later versions; only the magic behind them is checked.
        let unused = bytes.len() - 16..bytes.len() - 8;
        prop_assert!(unused.contains(&at) || verify(&bytes).is_err());
    }

    #[test]
    fn no_cut_goes_unseen(contents in contents(), at in any::<prop::sample::Index>()) {
        let bytes = pack(&contents);
        prop_assert!(verify(&bytes[..at.index(bytes.len())]).is_err());
    }

    #[test]
    fn garbage_is_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), wrap in any::<bool>()) {
        let mut bytes = bytes;
        if wrap && bytes.len() >= HEADER + TRAILER {
            // What gets past the magics and the version.
            bytes[..HEADER].copy_from_slice(&header());
            let at = bytes.len() - TRAILER;
            bytes[at + 12..at + 16].copy_from_slice(&[96, 0, 1, 0]);
            let at = bytes.len() - 8;
            bytes[at..].copy_from_slice(END_MAGIC);
        }
        prop_assert!(verify(&bytes).is_err());
    }
}

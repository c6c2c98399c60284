//! Fast hashes for what is seen in passing. They guard against accidents, not against adversaries.

const A: u64 = 0x9e37_79b9_7f4a_7c15;
const B: u64 = 0xd6e8_feb8_6659_fd93;

/// Folded multiplication: every bit of both factors reaches every bit of the result.
fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    (wide as u64) ^ (wide >> 64) as u64
}

fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// 64 bits of `bytes`, with a seed.
pub fn bytes_hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut h = fold(seed ^ A, bytes.len() as u64 ^ B);
    let mut chunks = bytes.chunks_exact(16);
    for pair in &mut chunks {
        let (x, y) = pair.split_at(8);
        h = fold(word(x) ^ h ^ A, word(y) ^ h.rotate_left(32) ^ B);
    }
    let (x, y) = chunks.remainder().split_at(chunks.remainder().len().min(8));
    fold(fold(word(x) ^ h ^ A, word(y) ^ h.rotate_left(32) ^ B) ^ A, h ^ B)
}

/// One row of a group's state: `key` begins with the table's code, without group and generation. The hash of all rows
/// is the wrapping sum of theirs, so that it can be kept up to date row by row.
pub fn row_hash(key: &[u8], value: &[u8]) -> u128 {
    let high = bytes_hash(bytes_hash(1, key), value);
    let low = bytes_hash(bytes_hash(2, key), value);
    (u128::from(high) << 64) | u128::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_differ_by_key_value_and_where_one_ends() {
        let all = [
            row_hash(b"", b""),
            row_hash(b"a", b""),
            row_hash(b"", b"a"),
            row_hash(b"ab", b"c"),
            row_hash(b"a", b"bc"),
            row_hash(b"a", b"\0"),
            row_hash(b"a", &[0; 16]),
            row_hash(b"a", &[0; 32]),
        ];
        for (i, x) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|y| x != y && (x >> 64) != (y >> 64) && *x as u64 != *y as u64), "{i}");
        }
    }

    #[test]
    fn every_bit_counts() {
        let mut bytes = [7u8; 40];
        let whole = bytes_hash(0, &bytes);
        for at in 0..bytes.len() * 8 {
            bytes[at / 8] ^= 1 << (at % 8);
            assert_ne!(bytes_hash(0, &bytes), whole, "bit {at}");
            bytes[at / 8] ^= 1 << (at % 8);
        }
    }
}

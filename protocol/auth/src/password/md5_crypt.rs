//! `crypt(3)`'s MD5 scheme (`$1$`) and Apache's variant of it (`$apr1$`), as FreeBSD's and Apache's sources describe
//! them: a thousand rounds, whatever the password. Only to verify what was stored elsewhere.

use md5::{Digest, Md5};

/// Characters of a salt; what stands beyond them is not used.
const SALT_MAX: usize = 8;
const ROUNDS: usize = 1_000;
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Which bytes of the digest make four characters each.
const TRIPLES: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];

/// The part of the stored value behind the salt: 22 characters.
pub(super) fn digest(password: &[u8], magic: &str, salt: &str) -> String {
    let salt = &salt.as_bytes()[..salt.len().min(SALT_MAX)];
    let inner = Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize();
    let mut outer = Md5::new().chain_update(password).chain_update(magic).chain_update(salt);
    for piece in password.chunks(inner.len()) {
        outer.update(&inner[..piece.len()]);
    }
    let mut bits = password.len();
    while bits > 0 {
        outer.update(if bits & 1 == 1 { &[0][..] } else { &password[..1] });
        bits >>= 1;
    }
    let mut state = outer.finalize();
    for round in 0..ROUNDS {
        let odd = round % 2 == 1;
        let mut next = Md5::new();
        next.update(if odd { password } else { &state[..] });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if odd { &state[..] } else { password });
        state = next.finalize();
    }
    let mut out = String::with_capacity(22);
    for [a, b, c] in TRIPLES {
        push(&mut out, u32::from(state[a]) << 16 | u32::from(state[b]) << 8 | u32::from(state[c]), 4);
    }
    push(&mut out, u32::from(state[11]), 2);
    out
}

/// The lowest six bits first.
fn push(out: &mut String, mut bits: u32, characters: usize) {
    for _ in 0..characters {
        out.push(char::from(ALPHABET[(bits & 63) as usize]));
        bits >>= 6;
    }
}

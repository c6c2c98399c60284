//! What binds a message to a conversation besides its message ids (docs/decisions/0030).

use crate::HEADER_BYTES_MAX;
use crate::header::first_value;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use zcluster_api::mailbox::ConversationKeys;
use zcluster_api::sort::SortKeys;

/// Bytes of a `Thread-Index` that all messages of a conversation have in common: a reserved one, five of time, a GUID
/// (MS-OXOMSG §2.2.1.3, PidTagConversationIndex).
const INDEX_BYTES: usize = 22;
/// Bytes of the field's value that are read: the common part and some white space in it.
const FIELD_BYTES_MAX: usize = 256;

/// The hashes of a message with this header and these sort keys.
pub(crate) fn keys(header: &[u8], sort: &SortKeys) -> ConversationKeys {
    let header = &header[..header.len().min(HEADER_BYTES_MAX)];
    let subject =
        (!sort.subject.is_empty()).then(|| hash("zcluster 2026 conversation subject", sort.subject.as_bytes()));
    let index = first_value(header, "thread-index").and_then(|value| index(&value));
    ConversationKeys { subject, index, ..ConversationKeys::default() }
}

fn index(value: &[u8]) -> Option<u64> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let digits = value.iter().take(FIELD_BYTES_MAX).filter(|b| !b.is_ascii_whitespace());
    // Whole groups of four that hold the common part.
    let digits: Vec<u8> = digits.copied().take(INDEX_BYTES.div_ceil(3) * 4).collect();
    let bytes = GeneralPurpose::new(&STANDARD, LENIENT).decode(digits).ok()?;
    bytes.get(..INDEX_BYTES).map(|common| hash("zcluster 2026 conversation thread-index", common))
}

/// The domain keeps these apart from each other and from hashes of message ids.
fn hash(domain: &str, bytes: &[u8]) -> u64 {
    let mut first = [0; 8];
    blake3::Hasher::new_derive_key(domain).update(bytes).finalize_xof().fill(&mut first);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use crate::parsed;
    use zcluster_api::mailbox::{ConversationKeys, Conversations};

    fn of(header: &str) -> ConversationKeys {
        parsed(format!("{header}\r\n\r\nText").as_bytes()).conversation.unwrap()
    }

    #[test]
    fn subjects() {
        let hello = of("Subject: Hello");
        assert_eq!((hello.mode, hello.index), (Conversations::Strict, None));
        assert_eq!(hello, of("Subject: Re: [list] =?utf-8?q?hello?= (fwd)"));
        assert_ne!(hello.subject, of("Subject: Hello 2").subject);
        assert_eq!(of("From: a@b").subject, None);
        assert_eq!(of("Subject: Re:").subject, None);
        // No id is taken for a subject.
        let id = parsed(b"Message-ID: <HELLO>\r\n\r\n").keys.unwrap().id;
        assert!(id.is_some() && id != hello.subject);
    }

    #[test]
    fn thread_indexes() {
        let first = of("Thread-Index: AdJ7cI9ckRnI0rgPTHGRJtWfFfQkbw==").index;
        assert!(first.is_some());
        // An answer's has five bytes more; it may be folded.
        assert_eq!(of("Thread-Index: AdJ7cI9ckRnI0rgPTHGRJtWfFfQkbwAAU4vQ").index, first);
        assert_eq!(of("Thread-Index: AdJ7cI9ckRnI0rgP\r\n THGRJtWfFfQkbwAAU4vQ").index, first);
        assert_eq!(of("Thread-Index: AdJ7cI9ckRnI0rgPTHGRJtWfFfQkbw").index, first);
        assert_ne!(of("Thread-Index: AdJ7cI9ckRnI0rgPTHGRJtWfFfQkcA==").index, first);
        for bad in ["", "AdJ7", "nonsense!", "AdJ7cI9ckRnI0rgPTHGRJtWfFfQ="] {
            assert_eq!(of(&format!("Thread-Index: {bad}")).index, None, "{bad}");
        }
    }
}

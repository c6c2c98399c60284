//! The part of BER (ITU-T X.690) that LDAP uses (RFC 4511 §5.1).

/// Universal tags.
pub const BOOLEAN: u8 = 0x01;
/// INTEGER.
pub const INTEGER: u8 = 0x02;
/// OCTET STRING.
pub const OCTETS: u8 = 0x04;
/// ENUMERATED.
pub const ENUMERATED: u8 = 0x0a;
/// SEQUENCE.
pub const SEQUENCE: u8 = 0x30;
/// SET.
pub const SET: u8 = 0x31;

/// A primitive context-specific tag.
pub const fn context(number: u8) -> u8 {
    0x80 | number
}
/// A constructed context-specific tag.
pub const fn context_seq(number: u8) -> u8 {
    0xa0 | number
}

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// `Result` with [`Malformed`].
pub type Result<T, E = Malformed> = std::result::Result<T, E>;

/// What the first bytes of a message say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// More bytes are needed to tell.
    Short,
    /// The message has so many bytes, header included.
    Of(usize),
}

/// How long the message that `bytes` begin with is.
///
/// # Errors
/// It is none: not a SEQUENCE, an indefinite length, or a length of more than eight bytes.
pub fn frame(bytes: &[u8]) -> Result<Frame> {
    match bytes.first() {
        None => return Ok(Frame::Short),
        Some(&SEQUENCE) => {}
        Some(_) => return Err(Malformed("not an LDAP message")),
    }
    match length(&bytes[1..])? {
        None => Ok(Frame::Short),
        Some((len, header)) => Ok(Frame::Of(len.saturating_add(header + 1))),
    }
}

/// A length and the bytes it takes; nothing when it is not there completely.
fn length(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(first) = bytes.first() else { return Ok(None) };
    if *first < 0x80 {
        return Ok(Some((usize::from(*first), 1)));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 8 {
        return Err(Malformed("a length in a form that LDAP does not use"));
    }
    let Some(digits) = bytes.get(1..=count) else { return Ok(None) };
    let value = digits.iter().fold(0u64, |sum, b| sum << 8 | u64::from(*b));
    Ok(Some((usize::try_from(value).map_err(|_| Malformed("a length that cannot be"))?, count + 1)))
}

/// Reads elements in place.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads the contents of an element.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }
    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
    /// The next element's tag.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next element: its tag and contents.
    ///
    /// # Errors
    /// There is none, or it is cut off.
    pub fn element(&mut self) -> Result<(u8, &'a [u8])> {
        let tag = *self.rest.first().ok_or(Malformed("an element is missing"))?;
        if tag & 0x1f == 0x1f {
            return Err(Malformed("a tag that LDAP does not use"));
        }
        let (len, header) = length(&self.rest[1..])?.ok_or(Malformed("an element is cut off"))?;
        let from = header + 1;
        let to = from.checked_add(len).ok_or(Malformed("a length that cannot be"))?;
        let contents = self.rest.get(from..to).ok_or(Malformed("an element is cut off"))?;
        self.rest = &self.rest[to..];
        Ok((tag, contents))
    }

    /// The contents of the next element, which must have this tag.
    ///
    /// # Errors
    /// It has not.
    pub fn take(&mut self, tag: u8) -> Result<&'a [u8]> {
        match self.element()? {
            (found, contents) if found == tag => Ok(contents),
            _ => Err(Malformed("an element of another type is expected")),
        }
    }
    /// The same if it has this tag, else nothing.
    ///
    /// # Errors
    /// It is cut off.
    pub fn maybe(&mut self, tag: u8) -> Result<Option<&'a [u8]>> {
        if self.peek() == Some(tag) { self.take(tag).map(Some) } else { Ok(None) }
    }
    /// What is in the next element, which must have this tag.
    ///
    /// # Errors
    /// It has not.
    pub fn nested(&mut self, tag: u8) -> Result<Reader<'a>> {
        self.take(tag).map(Reader::new)
    }
    /// Text.
    ///
    /// # Errors
    /// Another type, or not UTF-8.
    pub fn text(&mut self, tag: u8) -> Result<&'a str> {
        text(self.take(tag)?)
    }
    /// A number.
    ///
    /// # Errors
    /// Another type, or more than 64 bits.
    pub fn integer(&mut self, tag: u8) -> Result<i64> {
        integer(self.take(tag)?)
    }
}

/// Contents as text.
///
/// # Errors
/// Not UTF-8.
pub fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| Malformed("text that is not UTF-8"))
}

/// Contents as a number.
///
/// # Errors
/// None, or more than 64 bits.
pub fn integer(bytes: &[u8]) -> Result<i64> {
    if bytes.is_empty() || bytes.len() > 8 {
        return Err(Malformed("a number of a size that LDAP does not use"));
    }
    let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1i64 };
    Ok(bytes.iter().fold(sign, |sum, b| sum << 8 | i64::from(*b)))
}

/// Contents as a truth value.
///
/// # Errors
/// Not one byte.
pub fn boolean(bytes: &[u8]) -> Result<bool> {
    match bytes {
        [b] => Ok(*b != 0),
        _ => Err(Malformed("a truth value that is none")),
    }
}

/// Writes elements behind each other.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// What was written.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    /// An element.
    pub fn put(&mut self, tag: u8, contents: &[u8]) {
        self.out.push(tag);
        match u8::try_from(contents.len()) {
            Ok(short) if short < 0x80 => self.out.push(short),
            _ => {
                let (digits, from) = digits(contents.len());
                self.out.push(0x80 | (8 - from) as u8);
                self.out.extend_from_slice(&digits[from..]);
            }
        }
        self.out.extend_from_slice(contents);
    }
    /// An OCTET STRING.
    pub fn octets(&mut self, bytes: impl AsRef<[u8]>) {
        self.put(OCTETS, bytes.as_ref());
    }
    /// A number in as few bytes as it takes.
    pub fn integer(&mut self, tag: u8, value: i64) {
        let bytes = value.to_be_bytes();
        let mut from = 0;
        // Leading bytes that only repeat the sign say nothing.
        while from < 7 && (bytes[from] == 0 && bytes[from + 1] < 0x80 || bytes[from] == 0xff && bytes[from + 1] >= 0x80)
        {
            from += 1;
        }
        self.put(tag, &bytes[from..]);
    }
    /// A truth value, as DER has it.
    pub fn boolean(&mut self, tag: u8, value: bool) {
        self.put(tag, &[if value { 0xff } else { 0 }]);
    }
    /// An element with elements in it.
    pub fn nest(&mut self, tag: u8, write: impl FnOnce(&mut Writer)) {
        self.out.push(tag);
        let at = self.out.len();
        self.out.push(0);
        write(self);
        let len = self.out.len() - at - 1;
        match u8::try_from(len) {
            Ok(short) if short < 0x80 => self.out[at] = short,
            _ => {
                let (digits, from) = digits(len);
                self.out[at] = 0x80 | (8 - from) as u8;
                self.out.splice(at + 1..at + 1, digits[from..].iter().copied());
            }
        }
    }
}

/// A length's digits, and where the first that counts stands.
fn digits(len: usize) -> ([u8; 8], usize) {
    let digits = (len as u64).to_be_bytes();
    let from = digits.iter().position(|d| *d != 0).unwrap_or(7);
    (digits, from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames() {
        assert_eq!(frame(b""), Ok(Frame::Short));
        assert_eq!(frame(b"\x30"), Ok(Frame::Short));
        assert_eq!(frame(b"\x30\x05"), Ok(Frame::Of(7)));
        assert_eq!(frame(b"\x30\x82\x01"), Ok(Frame::Short));
        // Active Directory's clients write all lengths in four bytes.
        assert_eq!(frame(b"\x30\x84\x00\x00\x00\x05"), Ok(Frame::Of(11)));
        for bad in [&b"GET / HTTP/1.1"[..], b"\x30\x80", b"\x30\x89\x00\x00\x00\x00\x00\x00\x00\x00\x01", b"\x16\x03"] {
            assert!(frame(bad).is_err(), "{bad:?}");
        }
        assert_eq!(frame(b"\x30\x88\xff\xff\xff\xff\xff\xff\xff\xff"), Ok(Frame::Of(usize::MAX)));
    }

    #[test]
    fn malformed_elements() {
        for bad in [&b""[..], b"\x04", b"\x04\x02a", b"\x1f\x01a", b"\x04\x88\xff\xff\xff\xff\xff\xff\xff\xff"] {
            assert!(Reader::new(bad).element().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn numbers(n in any::<i64>()) {
            let mut w = Writer::new();
            w.integer(INTEGER, n);
            let bytes = w.finish();
            let mut r = Reader::new(&bytes);
            prop_assert_eq!(r.integer(INTEGER), Ok(n));
            prop_assert!(r.is_empty());
        }

        #[test]
        fn strings(lens in prop::collection::vec(prop_oneof![0usize..300, Just(127), Just(128), Just(65_536)], 0..4)) {
            let mut w = Writer::new();
            w.nest(SEQUENCE, |w| lens.iter().for_each(|n| w.octets(vec![7; *n])));
            let bytes = w.finish();
            prop_assert_eq!(frame(&bytes), Ok(Frame::Of(bytes.len())));
            let mut r = Reader::new(&bytes).nested(SEQUENCE).unwrap();
            for n in &lens {
                prop_assert_eq!(r.take(OCTETS).map(<[u8]>::len), Ok(*n));
            }
            prop_assert!(r.is_empty());
        }

        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = frame(&bytes);
            let mut r = Reader::new(&bytes);
            while r.element().is_ok() {}
        }
    }
}

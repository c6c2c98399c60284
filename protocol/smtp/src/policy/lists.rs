//! DNS block and allow lists, as postscreen (`postscreen_dnsbl_sites`) and smtpd (`reject_rbl_client`) name them.

use std::net::Ipv4Addr;

/// Sites of one setting.
const SITES_MAX: usize = 64;

/// What one octet of an answer may be: ranges, both ends included.
type Octet = Vec<(u8, u8)>;

/// Which answers of a list count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers(Option<[Octet; 4]>);

/// A list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The zone that is asked.
    pub zone: String,
    /// The answers that count.
    pub answers: Answers,
    /// Points for being on it; fewer than none on a list of good ones.
    pub weight: i32,
}

impl Answers {
    /// All answers but those outside of 127/8, which come from resolvers that make up answers.
    pub fn any() -> Self {
        Answers(None)
    }

    /// A pattern of four octets: numbers, or `[n;n..m]`. Without one any answer counts.
    pub fn parse(pattern: &str) -> Option<Self> {
        let mut octets = Vec::with_capacity(4);
        let mut rest = pattern;
        loop {
            let (octet, next) = match rest.strip_prefix('[') {
                Some(inner) => {
                    let (inner, next) = inner.split_once(']')?;
                    (inner.split(';').map(range).collect::<Option<Octet>>()?, next)
                }
                None => {
                    let end = rest.find('.').unwrap_or(rest.len());
                    (vec![single(&rest[..end])?], &rest[end..])
                }
            };
            octets.push(octet);
            match next.strip_prefix('.') {
                Some(more) if octets.len() < 4 => rest = more,
                None if next.is_empty() => break,
                _ => return None,
            }
        }
        octets.try_into().ok().map(|octets| Answers(Some(octets)))
    }

    /// Whether an answer counts.
    pub fn include(&self, answer: Ipv4Addr) -> bool {
        match &self.0 {
            None => answer.is_loopback(),
            Some(pattern) => {
                let octets = answer.octets();
                pattern.iter().zip(octets).all(|(ranges, o)| ranges.iter().any(|(from, to)| (*from..=*to).contains(&o)))
            }
        }
    }
}

fn single(text: &str) -> Option<(u8, u8)> {
    let value = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())??;
    Some((value, value))
}

fn range(text: &str) -> Option<(u8, u8)> {
    match text.split_once("..") {
        Some((from, to)) => Some((single(from)?.0, single(to)?.0)).filter(|(from, to)| from <= to),
        None => single(text),
    }
}

/// `zone`, `zone=pattern`.
pub fn zone_and_answers(text: &str) -> Option<(String, Answers)> {
    let (zone, answers) = match text.split_once('=') {
        Some((zone, pattern)) => (zone, Answers::parse(pattern)?),
        None => (text, Answers::any()),
    };
    let zone = zone.trim_matches('.').to_ascii_lowercase();
    crate::dns::is_name(&zone).then_some((zone, answers))
}

/// `zone=pattern*weight`, apart by spaces or commas; what is not understood beside them.
pub fn sites(text: &str) -> (Vec<Site>, Vec<String>) {
    let (mut sites, mut strange) = (Vec::new(), Vec::new());
    for word in text.split(|c: char| c == ',' || c.is_whitespace()).filter(|w| !w.is_empty()) {
        match site(word).filter(|_| sites.len() < SITES_MAX) {
            Some(site) => sites.push(site),
            None => strange.push(word.to_string()),
        }
    }
    (sites, strange)
}

fn site(word: &str) -> Option<Site> {
    let (list, weight) = match word.rsplit_once('*') {
        Some((list, weight)) => (list, weight.parse().ok().filter(|w: &i32| w.abs() <= 10_000)?),
        None => (word, 1),
    };
    let (zone, answers) = zone_and_answers(list)?;
    Some(Site { zone, answers, weight })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_postscreen_writes_them() {
        let (sites, strange) = sites(
            "zen.spamhaus.org*3, b.example=127.0.0.[2;4..7]*2\nlist.dnswl.org=127.0.[0..255].1*-2 \
             =x a=127.0.0 a=127.0.0.[5..2] a*b c=1.2.3.4.5 a=[1..2",
        );
        assert_eq!(strange, ["=x", "a=127.0.0", "a=127.0.0.[5..2]", "a*b", "c=1.2.3.4.5", "a=[1..2"]);
        let told: Vec<_> = sites.iter().map(|s| (s.zone.as_str(), s.weight)).collect();
        assert_eq!(told, [("zen.spamhaus.org", 3), ("b.example", 2), ("list.dnswl.org", -2)]);
        let counts = |n: usize, a: [u8; 4]| sites[n].answers.include(a.into());
        assert!(counts(0, [127, 0, 0, 4]) && !counts(0, [192, 0, 2, 1]));
        assert!(counts(1, [127, 0, 0, 2]) && !counts(1, [127, 0, 0, 3]) && counts(1, [127, 0, 0, 7]));
        assert!(counts(2, [127, 0, 9, 1]) && !counts(2, [127, 0, 9, 2]));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a-z0-9.=\\[\\];*-]{0,40}", any in "\\PC{0,30}") {
            let _ = (sites(&text), sites(&any), Answers::parse(&text), Answers::parse(&any));
        }

        #[test]
        fn a_plain_pattern_is_one_answer(a in any::<[u8; 4]>(), b in any::<[u8; 4]>()) {
            let answers = Answers::parse(&std::net::Ipv4Addr::from(a).to_string()).unwrap();
            prop_assert!(answers.include(a.into()));
            prop_assert_eq!(answers.include(b.into()), a == b);
        }
    }
}

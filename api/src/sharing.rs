//! Sharing folders: rights (RFC 4314), whom they are given to, and annotations (RFC 5464).

use crate::ids::{AccountId, FolderId};
use bytes::Bytes;
use minicbor::{Decode, Encode};
use std::fmt;
use std::str::FromStr;

/// Grants on one folder.
pub const GRANTS_PER_FOLDER_MAX: usize = 500;
/// Bytes of one annotation's value.
pub const ANNOTATION_VALUE_BYTES_MAX: usize = 32 * 1024;
/// Bytes of one annotation's name.
pub const ANNOTATION_NAME_BYTES_MAX: usize = 256;
/// Annotations of one folder (or of the mailbox itself) that one reader sees: shared ones, and private ones per account.
pub const ANNOTATIONS_PER_FOLDER_MAX: usize = 100;
/// Bytes of all annotations of one mailbox.
pub const ANNOTATION_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Changes of annotations that one [`crate::MailboxQuery::MetadataNews`] reply tells; more are a `resync`.
pub const METADATA_NEWS_MAX: usize = 1_000;
/// Names of other accounts' folders that one account may be subscribed to.
pub const SUBSCRIBED_NAMES_MAX: usize = 1_000;
/// Owners that one [`crate::DirectoryQuery::SharedWith`] reply names at most.
pub const SHARERS_PER_PAGE_MAX: u32 = 1_000;

/// A set of rights on a folder: those of RFC 4314 §2.1, and the letters of Zimbra's grants that have no counterpart there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct Rights(#[n(0)] pub u32);

/// RFC 4314 §2.1's letters, in the order in which they are written; bit n stands for letter n.
const LETTERS: [char; 11] = ['l', 'r', 's', 'w', 'i', 'p', 'k', 'x', 't', 'e', 'a'];

impl Rights {
    /// Nothing.
    pub const NONE: Rights = Rights(0);
    /// `l`: the folder can be seen.
    pub const LOOKUP: Rights = Rights(1 << 0);
    /// `r`: messages can be read.
    pub const READ: Rights = Rights(1 << 1);
    /// `s`: `\Seen` can be changed.
    pub const SEEN: Rights = Rights(1 << 2);
    /// `w`: flags other than `\Seen` and `\Deleted`, and keywords, can be changed.
    pub const WRITE: Rights = Rights(1 << 3);
    /// `i`: messages can be added.
    pub const INSERT: Rights = Rights(1 << 4);
    /// `p`: mail may be sent to the folder's own address. Kept and told; no folder has an address yet.
    pub const POST: Rights = Rights(1 << 5);
    /// `k`: folders can be created below.
    pub const CREATE: Rights = Rights(1 << 6);
    /// `x`: the folder can be deleted or renamed.
    pub const DELETE_FOLDER: Rights = Rights(1 << 7);
    /// `t`: `\Deleted` can be changed.
    pub const DELETE: Rights = Rights(1 << 8);
    /// `e`: messages can be removed for good.
    pub const EXPUNGE: Rights = Rights(1 << 9);
    /// `a`: rights can be given and taken.
    pub const ADMIN: Rights = Rights(1 << 10);
    /// All that IMAP knows.
    pub const IMAP: Rights = Rights((1 << 11) - 1);
    /// Zimbra's `x`: calendar replies in the owner's name.
    pub const ACT: Rights = Rights(1 << 16);
    /// Zimbra's `p`: items marked private are shown.
    pub const PRIVATE: Rights = Rights(1 << 17);
    /// Zimbra's `f`: free and busy times are shown.
    pub const FREE_BUSY: Rights = Rights(1 << 18);
    /// What the owner has.
    pub const ALL: Rights = Rights(Self::IMAP.0 | Self::ACT.0 | Self::PRIVATE.0 | Self::FREE_BUSY.0);

    /// Whether all of `other` is in.
    pub fn has(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }
    /// Whether some of `other` is in.
    pub fn any(self, other: Rights) -> bool {
        self.0 & other.0 != 0
    }
    /// Union.
    #[must_use]
    pub const fn with(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }
    /// Difference.
    #[must_use]
    pub const fn without(self, other: Rights) -> Rights {
        Rights(self.0 & !other.0)
    }
    /// Intersection.
    #[must_use]
    pub const fn only(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }
    /// Whether nothing is in.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
    /// From the letters of a Zimbra grant (`r w i d a x p f`; `c` is made from `i` and `r` there). Unknown ones: `None`.
    pub fn from_zimbra(letters: &str) -> Option<Rights> {
        letters.chars().try_fold(Rights::NONE, |all, letter| {
            let more = match letter {
                'r' => Self::LOOKUP.with(Self::READ),
                'w' => Self::SEEN.with(Self::WRITE),
                'i' => Self::INSERT.with(Self::POST),
                'd' => Self::DELETE_FOLDER.with(Self::DELETE).with(Self::EXPUNGE),
                'a' => Self::ADMIN,
                'c' => Self::CREATE,
                'x' => Self::ACT,
                'p' => Self::PRIVATE,
                'f' => Self::FREE_BUSY,
                _ => return None,
            };
            Some(all.with(more))
        })
    }
    /// The letters of a Zimbra grant that these rights amount to: each where all it stands for is there.
    pub fn to_zimbra(self) -> String {
        let all = ["r", "w", "i", "d", "a", "c", "x", "p", "f"];
        all.into_iter().filter(|l| Rights::from_zimbra(l).is_some_and(|r| self.has(r))).collect()
    }
}

impl fmt::Display for Rights {
    /// RFC 4314's letters, with the obsolete `c` and `d` where any of what they stand for is there (§2.1.1).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, letter) in LETTERS.iter().enumerate() {
            if self.0 & (1 << bit) != 0 {
                write!(f, "{letter}")?;
            }
        }
        let obsolete = [("c", Self::CREATE.with(Self::DELETE_FOLDER)), ("d", Self::DELETE.with(Self::EXPUNGE))];
        obsolete.iter().filter(|(_, r)| self.any(*r)).try_for_each(|(letter, _)| f.write_str(letter))
    }
}

impl FromStr for Rights {
    type Err = ();
    /// RFC 4314's letters; `c` stands for `kx`, `d` for `te`.
    fn from_str(s: &str) -> Result<Self, ()> {
        s.chars().try_fold(Rights::NONE, |all, letter| match letter {
            'c' => Ok(all.with(Self::CREATE).with(Self::DELETE_FOLDER)),
            'd' => Ok(all.with(Self::DELETE).with(Self::EXPUNGE)),
            _ => {
                let bit = LETTERS.iter().position(|l| *l == letter).ok_or(())?;
                Ok(all.with(Rights(1 << bit)))
            }
        })
    }
}

/// Whom rights are given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Grantee {
    /// One account (Zimbra `usr`).
    #[n(0)]
    Account(#[n(0)] AccountId),
    /// A group's members (Zimbra `grp`). Kept; nobody is known to be a member before groups exist.
    #[n(1)]
    Group(#[n(0)] AccountId),
    /// Everybody who has signed in (Zimbra `all`; IMAP `authuser`).
    #[n(2)]
    Authenticated,
    /// Everybody (Zimbra `pub`; IMAP `anyone`).
    #[n(3)]
    Anyone,
}

impl Grantee {
    /// Whether a signed-in account is one of those meant.
    pub fn covers(self, account: AccountId) -> bool {
        match self {
            Grantee::Account(id) => id == account,
            Grantee::Group(_) => false,
            Grantee::Authenticated | Grantee::Anyone => true,
        }
    }
}

/// Rights given to somebody on a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Grant {
    /// To whom.
    #[n(0)]
    pub grantee: Grantee,
    /// Given.
    #[n(1)]
    pub allow: Rights,
    /// Taken away from what other grants give (RFC 4314 §2: identifiers that begin with `-`).
    #[n(2)]
    pub deny: Rights,
}

/// What the grants amount to for an account that is not the owner: what any gives, less what any denies (RFC 4314 §2).
pub fn effective(grants: &[Grant], account: AccountId) -> Rights {
    let mine = grants.iter().filter(|g| g.grantee.covers(account));
    let (allow, deny) = mine.fold((Rights::NONE, Rights::NONE), |(a, d), g| (a.with(g.allow), d.with(g.deny)));
    allow.without(deny)
}

/// How SETACL changes a grant (RFC 4314 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum RightsChange {
    /// Exactly these.
    #[n(0)]
    Replace(#[n(0)] Rights),
    /// These too.
    #[n(1)]
    Add(#[n(0)] Rights),
    /// These no more.
    #[n(2)]
    Remove(#[n(0)] Rights),
}

impl RightsChange {
    /// The rights afterwards. What IMAP does not know is left alone.
    pub fn apply(self, old: Rights) -> Rights {
        match self {
            RightsChange::Replace(new) => old.without(Rights::IMAP).with(new),
            RightsChange::Add(more) => old.with(more),
            RightsChange::Remove(less) => old.without(less),
        }
    }
}

/// An annotation (RFC 5464), as told and as asked to be set.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Annotation {
    /// Its name, `/private/...` or `/shared/...`, in lower case.
    #[n(0)]
    pub name: String,
    /// Its value; none when it is not there or is to go.
    #[cbor(n(1), with = "optional_bytes")]
    pub value: Option<Bytes>,
}

/// Annotations that one command set or removed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct MetadataChange {
    /// Whose; none: the mailbox's own.
    #[n(0)]
    pub folder: Option<FolderId>,
    /// Their names, in order.
    #[n(1)]
    pub names: Vec<String>,
}

/// Which annotations besides those named (RFC 5464 §4.2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Depth {
    /// None.
    #[default]
    #[n(0)]
    Zero,
    /// Those one level below.
    #[n(1)]
    One,
    /// All below.
    #[n(2)]
    Infinity,
}

mod optional_bytes {
    use bytes::Bytes;
    use minicbor::decode::{Decoder, Error};
    use minicbor::encode::{self, Encoder, Write};

    pub fn encode<C, W: Write>(
        v: &Option<Bytes>,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        match v {
            Some(bytes) => e.bytes(bytes)?.ok(),
            None => e.null()?.ok(),
        }
    }

    pub fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Option<Bytes>, Error> {
        if d.datatype()? == minicbor::data::Type::Null {
            d.skip()?;
            return Ok(None);
        }
        Ok(Some(Bytes::copy_from_slice(d.bytes()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_as_text() {
        let all: Rights = "lrswipkxtea".parse().unwrap();
        assert_eq!((all, all.to_string().as_str()), (Rights::IMAP, "lrswipkxteacd"));
        assert_eq!("lrd".parse::<Rights>().unwrap().to_string(), "lrted");
        assert_eq!("c".parse::<Rights>().unwrap().to_string(), "kxc");
        assert_eq!("".parse(), Ok(Rights::NONE));
        assert!("lq".parse::<Rights>().is_err() && "L".parse::<Rights>().is_err());
        let zimbra = Rights::from_zimbra("rwidx").unwrap();
        assert_eq!((zimbra.to_string().as_str(), zimbra.to_zimbra().as_str()), ("lrswipxtecd", "rwidx"));
        assert_eq!(Rights::from_zimbra("q"), None);
    }

    #[test]
    fn grants_add_up_and_denials_win() {
        let (a, b) = (AccountId([1; 16]), AccountId([2; 16]));
        let grant = |grantee, allow: &str, deny: &str| Grant {
            grantee,
            allow: allow.parse().unwrap(),
            deny: deny.parse().unwrap(),
        };
        let grants = [grant(Grantee::Account(a), "ri", "w"), grant(Grantee::Anyone, "lw", "")];
        assert_eq!(effective(&grants, a).to_string(), "lri");
        assert_eq!(effective(&grants, b).to_string(), "lw");
        let zimbra = Rights::PRIVATE.with(Rights::READ);
        assert_eq!(RightsChange::Replace(Rights::LOOKUP).apply(zimbra), Rights::PRIVATE.with(Rights::LOOKUP));
    }

    #[test]
    fn annotations_keep_nothing_apart_from_empty() {
        for value in [None, Some(Bytes::new()), Some(Bytes::from_static(b"\0x"))] {
            let a = Annotation { name: "/private/comment".into(), value };
            assert_eq!(crate::codec::decode::<Annotation>(&crate::codec::encode(&a)), Ok(a));
        }
    }
}

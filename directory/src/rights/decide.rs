//! Whether grants give somebody what he needs. As in Zimbra: the grant nearest to the entry decides, there the one
//! nearest to the person, there a refusal stands above a permission.

use super::ace::{Ace, GranteeKind, Modifier};
use super::table::{self, Want, covers};
use std::collections::BTreeMap;
use zcluster_api::AccountId;
use zcluster_api::directory::ObjectKind;

/// Somebody who needs something, with all by which a grant may mean him.
#[derive(Clone, Debug, Default)]
pub struct Who {
    /// The account; none: somebody outside.
    pub id: Option<AccountId>,
    /// Address, lower case; empty when there is none.
    pub address: String,
    /// The domain's id.
    pub domain: Option<AccountId>,
    /// Groups, direct and nested, and whether each is for administrators (`zimbraIsAdminGroup`).
    pub groups: BTreeMap<AccountId, bool>,
    /// `zimbraIsDelegatedAdminAccount`.
    pub delegated: bool,
}

impl Who {
    /// How near to the person the grant is, 0 the nearest; none: it does not mean him.
    fn rank(&self, ace: &Ace) -> Option<usize> {
        // Rights of administration are for administrators only, whatever was granted to others.
        let user = table::find(&ace.right).is_some_and(|r| r.user);
        let member = |admin: bool| ace.grantee_id().and_then(|id| self.groups.get(&id)).is_some_and(|a| *a || !admin);
        let own_domain = || self.address.rsplit_once('@').map_or("", |(_, d)| d);
        let meant = match ace.kind {
            GranteeKind::User => self.id.is_some() && ace.grantee_id() == self.id && (user || self.delegated),
            GranteeKind::Group => member(!user) && (user || self.delegated),
            GranteeKind::Domain => user && self.domain.is_some() && ace.grantee_id() == self.domain,
            GranteeKind::All => user && self.id.is_some(),
            GranteeKind::Public => user,
            GranteeKind::Guest | GranteeKind::Email => {
                user && !self.address.is_empty() && ace.grantee.eq_ignore_ascii_case(&self.address)
            }
            GranteeKind::ExternalDomain => {
                user && self.id.is_none() && !own_domain().is_empty() && ace.grantee.eq_ignore_ascii_case(own_domain())
            }
            GranteeKind::ExternalGroup | GranteeKind::Key => false,
        };
        meant.then_some(match ace.kind {
            GranteeKind::User | GranteeKind::Guest | GranteeKind::Email | GranteeKind::Key => 0,
            GranteeKind::Group | GranteeKind::ExternalGroup => 1,
            GranteeKind::Domain | GranteeKind::ExternalDomain => 2,
            GranteeKind::All => 3,
            GranteeKind::Public => 4,
        })
    }
}

/// Grants that stand equally near to an entry, and where they stand.
#[derive(Clone, Debug, Default)]
pub struct Level {
    /// For people: `domain example.com`.
    pub place: String,
    /// The grants.
    pub aces: Vec<Ace>,
}

/// What the grants say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Yes: by this grant, which stands there.
    Allow(&'a Ace, &'a str),
    /// No: by this grant.
    Deny(&'a Ace, &'a str),
    /// Nothing to him. `seen`: but something to others.
    Silent {
        /// See there.
        seen: bool,
    },
}

impl Verdict<'_> {
    /// Whether it is a yes.
    pub fn allows(&self) -> bool {
        matches!(self, Verdict::Allow(..))
    }
}

/// The grants that mean somebody, nearest first.
pub struct Applied<'a> {
    steps: Vec<(&'a str, Vec<&'a Ace>)>,
    levels: &'a [Level],
}

impl<'a> Applied<'a> {
    /// Picks them.
    pub fn of(levels: &'a [Level], who: &Who) -> Applied<'a> {
        let mut steps = Vec::new();
        for level in levels {
            let mut ranks: [Vec<&Ace>; 5] = Default::default();
            for ace in &level.aces {
                if let Some(rank) = who.rank(ace) {
                    ranks[rank].push(ace);
                }
            }
            steps.extend(ranks.into_iter().filter(|r| !r.is_empty()).map(|r| (level.place.as_str(), r)));
        }
        Applied { steps, levels }
    }

    /// Whether nothing was granted to him here.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether something was granted to him himself, or to his groups, that is about entries of this kind.
    pub fn reaches(&self, kind: ObjectKind) -> bool {
        let about = |a: &&&Ace| table::scope(&a.right).is_some_and(|(kinds, _)| kinds.has(kind));
        let his = |a: &&&Ace| matches!(a.kind, GranteeKind::User | GranteeKind::Group) && !a.denies();
        self.steps.iter().flat_map(|(_, aces)| aces).filter(his).any(|a| about(&a))
    }

    /// What they say about something on an entry of this kind; `delegate`: about passing it on.
    pub fn decide(&self, want: Want<'_>, kind: ObjectKind, delegate: bool) -> Verdict<'a> {
        for (place, aces) in &self.steps {
            let about = || aces.iter().filter(|a| covers(&a.right, want, kind));
            if let Some(no) = about().find(|a| a.denies()) {
                return Verdict::Deny(no, place);
            }
            if let Some(yes) = about().find(|a| !delegate || a.modifier == Modifier::Delegate) {
                return Verdict::Allow(yes, place);
            }
        }
        let all = || self.levels.iter().flat_map(|l| &l.aces);
        Verdict::Silent { seen: all().any(|a| covers(&a.right, want, kind)) }
    }

    /// The same as yes or no: where nothing was granted to anybody, a user right's default counts.
    pub fn allows(&self, want: Want<'_>, kind: ObjectKind) -> bool {
        match self.decide(want, kind, false) {
            Verdict::Allow(..) => true,
            Verdict::Deny(..) | Verdict::Silent { seen: true } => false,
            Verdict::Silent { seen: false } => match want {
                Want::Preset(name) => table::find(name).is_some_and(|r| r.default),
                Want::Get(_) | Want::Set(_) => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAIN: &str = "dddddddd-dddd-4ddd-8ddd-dddddddddddd";
    const GROUP: &str = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";
    const STAFF: &str = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb";
    const ME: &str = "11111111-1111-4111-8111-111111111111";
    const OTHER: &str = "22222222-2222-4222-8222-222222222222";

    fn me() -> Who {
        Who {
            id: ME.parse().ok(),
            address: "me@example.com".into(),
            domain: DOMAIN.parse().ok(),
            groups: [(GROUP.parse().unwrap(), true), (STAFF.parse().unwrap(), false)].into(),
            delegated: true,
        }
    }

    /// Levels apart by `/`, grants by `,`.
    fn ask(who: &Who, grants: &str, want: Want<'_>) -> bool {
        let grant = |g: &str| {
            let (grantee, right) = g.trim().split_once(' ').unwrap();
            let id = match grantee {
                "me" => format!("{ME} usr"),
                "other" => format!("{OTHER} usr"),
                "admins" => format!("{GROUP} grp"),
                "staff" => format!("{STAFF} grp"),
                "domain" => format!("{DOMAIN} dom"),
                "all" => format!("{} all", super::super::ace::ALL),
                "pub" => format!("{} pub", super::super::ace::PUBLIC),
                guest => format!("{guest} gst"),
            };
            Ace::parse(&format!("{id} {right}")).unwrap()
        };
        let level = |text: &str| Level {
            place: String::new(),
            aces: text.split(',').filter(|t| !t.trim().is_empty()).map(grant).collect(),
        };
        let levels: Vec<Level> = grants.split('/').map(level).collect();
        Applied::of(&levels, who).allows(want, ObjectKind::Account)
    }

    #[test]
    fn the_matrix() {
        use Want::{Get, Preset, Set};
        for (grants, want, yes) in [
            ("", Preset("sendAs"), false),
            ("", Preset("viewFreeBusy"), true),
            ("other viewFreeBusy", Preset("viewFreeBusy"), false),
            ("me viewFreeBusy, other viewFreeBusy", Preset("viewFreeBusy"), true),
            ("all viewFreeBusy", Preset("viewFreeBusy"), true),
            ("pub -invite", Preset("invite"), false),
            ("me sendAs", Preset("sendAs"), true),
            ("other sendAs", Preset("sendAs"), false),
            ("staff sendAs", Preset("sendAs"), true),
            ("domain sendAs", Preset("sendAs"), true),
            // At one place a refusal stands above a permission of the same nearness...
            ("me sendAs, me -sendAs", Preset("sendAs"), false),
            ("staff sendAs, admins -sendAs", Preset("sendAs"), false),
            // ...but what is said to the person stands above what is said to his groups, and so on.
            ("me sendAs, staff -sendAs", Preset("sendAs"), true),
            ("me -sendAs, staff sendAs", Preset("sendAs"), false),
            ("staff sendAs, domain -sendAs", Preset("sendAs"), true),
            ("domain sendAs, all -sendAs", Preset("sendAs"), true),
            ("all sendAs, pub -sendAs", Preset("sendAs"), true),
            // What is nearer to the entry stands above all that.
            ("all -sendAs/me sendAs", Preset("sendAs"), false),
            ("all sendAs/me -sendAs", Preset("sendAs"), true),
            ("other -sendAs/me sendAs", Preset("sendAs"), true),
            // Rights of administration.
            ("me deleteAccount", Preset("deleteAccount"), true),
            ("admins deleteAccount", Preset("deleteAccount"), true),
            ("staff deleteAccount", Preset("deleteAccount"), false),
            ("domain deleteAccount", Preset("deleteAccount"), false),
            ("all deleteAccount", Preset("deleteAccount"), false),
            ("/me domainAdminRights", Preset("deleteAccount"), true),
            ("me -deleteAccount/me domainAdminRights", Preset("deleteAccount"), false),
            ("me -domainAdminRights/me deleteAccount", Preset("deleteAccount"), false),
            // Attributes.
            ("me getAccount", Get("zimbraMailQuota"), true),
            ("me getAccount", Set("zimbraMailQuota"), false),
            ("me modifyAccount", Get("zimbraMailQuota"), true),
            ("me set.account.zimbraMailQuota", Set("zimbraMailQuota"), true),
            ("me set.account.zimbraMailQuota", Set("displayName"), false),
            ("me modifyAccount, me -set.account.zimbraMailQuota", Set("zimbraMailQuota"), false),
            ("me modifyAccount, me -set.account.zimbraMailQuota", Set("displayName"), true),
            ("me -get.account.zimbraNotes/me getAccount", Get("zimbraNotes"), false),
            ("me -get.account.zimbraNotes/me getAccount", Get("sn"), true),
            ("me domainAdminRights", Set("displayName"), true),
            ("me domainAdminRights", Set("zimbraIsAdminAccount"), false),
        ] {
            assert_eq!(ask(&me(), grants, want), yes, "{grants:?} {want:?}");
        }
        let user = Who { delegated: false, ..me() };
        assert!(!ask(&user, "me deleteAccount", Preset("deleteAccount")), "he is no administrator");
        assert!(ask(&user, "me sendAs", Preset("sendAs")));
        let outside = Who { address: "x@elsewhere.test".into(), ..Who::default() };
        assert!(!ask(&outside, "all sendAs", Preset("sendAs")) && ask(&outside, "pub sendAs", Preset("sendAs")));
        assert!(ask(&outside, "X@elsewhere.test sendAs", Preset("sendAs")));
    }
}

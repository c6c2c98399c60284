//! Rights over an in-memory directory.
#![allow(missing_docs)]

mod common;

use common::*;
use proptest::prelude::*;
use zcluster_api::Actor;
use zcluster_api::directory::{Filter, Kinds, Modification, ModifyKind, ObjectBy, ObjectKind, Search};
use zcluster_directory::rights::{Class, GranteeKind};

const BOSS: &str = "boss@example.com";
const CHIEF: &str = "chief@example.com";
const HELPER: &str = "helper@example.com";
const AL: &str = "al@example.com";

#[test]
fn grants_are_found_over_an_entry() {
    run(async {
        let s = Site::new().await;
        s.make(Domain, "sub.example.com", vec![]).await;
        s.make(Account, "cy@sub.example.com", vec![]).await;
        s.make(Resource, "room@example.com", vec![]).await;
        s.make(DistributionList, "list@example.com", vec![]).await;
        s.make(DistributionList, "list-inner@example.com", vec![]).await;
        s.make(DistributionList, "list-admins@example.com", vec![set("zimbraIsAdminGroup", "TRUE")]).await;
        s.members("list@example.com", &["list-inner@example.com"]).await;
        s.members("list-inner@example.com", &[AL, "list@example.com"]).await;
        s.members("list-admins@example.com", &[HELPER]).await;
        for (target, grantee, right, at, who, asked, yes) in [
            // On the entry, its list (nested), its domain, everything.
            (AL, BOSS, "deleteAccount", AL, BOSS, "deleteAccount", true),
            ("list@example.com", BOSS, "renameAccount", AL, BOSS, "renameAccount", true),
            ("list@example.com", BOSS, "renameAccount", CHIEF, BOSS, "renameAccount", false),
            ("list@example.com", CHIEF, "^renameAccount", AL, CHIEF, "renameAccount", false),
            ("list-inner@example.com", CHIEF, "^renameAccount", AL, CHIEF, "renameAccount", true),
            ("example.com", BOSS, "addAccountAlias", AL, BOSS, "addAccountAlias", true),
            ("global", BOSS, "removeAccountAlias", AL, BOSS, "removeAccountAlias", true),
            ("global", BOSS, "createCos", "global", BOSS, "createCos", true),
            // Through an administrators' list.
            ("example.com", "list-admins@example.com", "getMailboxInfo", AL, HELPER, "getMailboxInfo", true),
            ("example.com", "list-admins@example.com", "getMailboxInfo", AL, CHIEF, "getMailboxInfo", false),
            // Below a domain only if it says so, and then not on the domain itself.
            ("example.com", BOSS, "addAccountAlias", "cy@sub.example.com", BOSS, "purgeMessages", false),
            ("example.com", BOSS, "*purgeMessages", "cy@sub.example.com", BOSS, "purgeMessages", true),
            ("example.com", BOSS, "*purgeMessages", AL, BOSS, "purgeMessages", false),
            // Combinations and attributes.
            ("example.com", CHIEF, "domainAdminRights", AL, CHIEF, "setAccountPassword", true),
            ("example.com", CHIEF, "domainAdminRights", AL, CHIEF, "set.account.displayName", true),
            ("example.com", CHIEF, "domainAdminRights", AL, CHIEF, "get.account.zimbraMailQuota", true),
            ("example.com", CHIEF, "domainAdminRights", AL, CHIEF, "set.account.zimbraMailQuota", false),
            ("example.com", CHIEF, "domainAdminRights", AL, CHIEF, "modifyAccount", false),
            ("example.com", CHIEF, "domainAdminRights", "room@example.com", CHIEF, "deleteCalendarResource", true),
            ("example.com", CHIEF, "domainAdminRights", "example.com", CHIEF, "createAccount", true),
            ("example.com", CHIEF, "set.account.zimbraMailQuota", AL, CHIEF, "set.account.zimbraMailQuota", true),
            // Refusals.
            (AL, CHIEF, "-deleteAccount", AL, CHIEF, "deleteAccount", false),
            (AL, CHIEF, "-deleteAccount", BOSS, CHIEF, "deleteAccount", true),
            (AL, CHIEF, "-set.account.displayName", AL, CHIEF, "set.account.displayName", false),
            (AL, CHIEF, "-set.account.displayName", AL, CHIEF, "set.account.description", true),
            // Rights of users.
            (AL, BOSS, "sendAs", AL, BOSS, "sendAs", true),
            (AL, BOSS, "sendAs", AL, CHIEF, "sendAs", false),
            ("example.com", "example.com", "sendOnBehalfOf", AL, CHIEF, "sendOnBehalfOf", true),
            (AL, BOSS, "viewFreeBusy", AL, CHIEF, "viewFreeBusy", false),
            (BOSS, "pub", "-invite", BOSS, CHIEF, "invite", false),
            (BOSS, "pub", "-invite", CHIEF, AL, "invite", true),
        ] {
            s.grant(target, grantee, right).await;
            assert_eq!(s.has(at, who, asked).await, yes, "{right} on {target} to {grantee}: {asked} on {at}?");
        }
        assert!(!s.has(CHIEF, AL, "deleteAccount").await, "he is no administrator");
        s.make(Account, "root@example.com", vec![set("zimbraIsAdminAccount", "TRUE")]).await;
        assert!(s.has(AL, "root@example.com", "deleteAccount").await);
        // Revoked, it is gone.
        let al = s.get(AL).await;
        let revoke = s.d.revoke(Actor::System, &al, (GranteeKind::User, CHIEF), "deleteAccount").await;
        assert_eq!(revoke.unwrap().to_string().split(' ').nth(2), Some("-deleteAccount"));
        assert!(s.has(AL, CHIEF, "deleteAccount").await);
        let again = s.d.revoke(Actor::System, &s.get(AL).await, (GranteeKind::User, CHIEF), "deleteAccount").await;
        assert_eq!(code(again), "account.NO_SUCH_GRANT");
    });
}

#[test]
fn what_cannot_be_granted_is_refused() {
    run(async {
        let s = Site::new().await;
        s.make(DistributionList, "list@example.com", vec![]).await;
        for (target, grantee, right, want) in [
            ("example.com", BOSS, "noSuchRight", "account.NO_SUCH_RIGHT"),
            ("example.com", BOSS, "set.account.noSuchThing", "account.NO_SUCH_RIGHT"),
            ("example.com", BOSS, "get.cos.zimbraAccountStatus", "account.NO_SUCH_RIGHT"),
            (AL, BOSS, "createAccount", "service.INVALID_REQUEST"),
            ("default", BOSS, "deleteAccount", "service.INVALID_REQUEST"),
            (AL, BOSS, "*deleteAccount", "service.INVALID_REQUEST"),
            ("example.com", BOSS, "^deleteAccount", "service.INVALID_REQUEST"),
            ("example.com", AL, "deleteAccount", "service.INVALID_REQUEST"),
            ("example.com", "list@example.com", "deleteAccount", "service.INVALID_REQUEST"),
            ("example.com", "all", "deleteAccount", "service.INVALID_REQUEST"),
            ("example.com", "no@example.com", "deleteAccount", "account.NO_SUCH_ACCOUNT"),
            ("example.com", BOSS, "deleteAccount", "ok"),
            (AL, "all", "sendAs", "ok"),
        ] {
            assert_eq!(code(s.grant_by(Actor::System, target, grantee, right).await), want, "{right} on {target}");
        }
        // No value of the attribute is written any other way by somebody who is not a global administrator.
        s.grant("example.com", BOSS, "modifyAccount").await;
        let (boss, al) = (s.actor(BOSS).await, s.get(AL).await);
        for attr in ["zimbraACE", "zimbraIsAdminAccount"] {
            let value = if attr == "zimbraACE" { format!("{} usr loginAs", al.id) } else { "TRUE".into() };
            assert_eq!(code(s.d.modify(boss, &al, vec![set(attr, &value)]).await), "service.PERM_DENIED");
        }
    });
}

#[test]
fn a_domain_administrator_runs_his_domain_and_no_other() {
    run(async {
        let s = Site::new().await;
        s.make(Domain, "other.org", vec![]).await;
        s.make(Account, "dee@other.org", vec![]).await;
        s.make(Account, "root@example.com", vec![set("zimbraIsAdminAccount", "TRUE")]).await;
        s.make(Cos, "gold", vec![]).await;
        let boss = s.actor(BOSS).await;
        let make = |name: &'static str, attrs| s.d.create(boss, Account, name, None, attrs);
        assert_eq!(code(make("new@example.com", vec![]).await), "service.PERM_DENIED");
        s.grant("example.com", BOSS, "domainAdminRights").await;
        let new = make("new@example.com", vec![set("displayName", "New"), set("userPassword", "{X}x")]).await.unwrap();
        assert_eq!(code(make("new@other.org", vec![]).await), "service.PERM_DENIED");
        assert_eq!(code(make("n2@example.com", vec![set("zimbraMailQuota", "5")]).await), "service.PERM_DENIED");
        assert_eq!(code(s.d.modify(boss, &new, vec![set("description", "x")]).await), "ok");
        assert_eq!(code(s.d.modify(boss, &new, vec![set("userPassword", "{X}y")]).await), "ok");
        assert_eq!(code(s.d.modify(boss, &new, vec![set("zimbraMailQuota", "5")]).await), "service.PERM_DENIED");
        // A COS only if it may be assigned.
        let gold = s.get("gold").await.id.to_string();
        assert_eq!(code(s.d.modify(boss, &new, vec![set("zimbraCOSId", &gold)]).await), "service.PERM_DENIED");
        s.grant("gold", BOSS, "assignCos").await;
        assert_eq!(code(s.d.modify(boss, &new, vec![set("zimbraCOSId", &gold)]).await), "ok");
        // Quotas within his own bound.
        s.grant("example.com", BOSS, "domainAdminSetAccountQuota").await;
        s.set(BOSS, "zimbraDomainAdminMaxMailQuota", "1000").await;
        for (quota, want) in [("1000", "ok"), ("1001", "service.PERM_DENIED"), ("0", "service.PERM_DENIED")] {
            assert_eq!(code(s.d.modify(boss, &new, vec![set("zimbraMailQuota", quota)]).await), want, "{quota}");
        }
        // Aliases need the domain that they are in.
        assert_eq!(code(s.d.add_alias(boss, &new, "neu@example.com").await), "ok");
        assert_eq!(code(s.d.add_alias(boss, &new, "neu@other.org").await), "service.PERM_DENIED");
        assert_eq!(code(s.d.rename(boss, &new, "newer@other.org").await), "service.PERM_DENIED");
        let new = s.d.rename(boss, &new, "newer@example.com").await.unwrap();
        // Not over global administrators, other domains, what is everybody's.
        for target in ["root@example.com", "dee@other.org", "gold", "config", "other.org"] {
            let target = s.get(target).await;
            assert_eq!(code(s.d.modify(boss, &target, vec![set("description", "x")]).await), "service.PERM_DENIED");
            assert_eq!(code(s.d.delete(boss, &target).await), "service.PERM_DENIED", "{}", target.name);
        }
        assert_eq!(code(s.d.create(boss, Domain, "mine.org", None, vec![]).await), "service.PERM_DENIED");
        assert_eq!(code(s.d.create(boss, Domain, "my.example.com", None, vec![]).await), "service.PERM_DENIED");
        s.grant("example.com", BOSS, "createSubDomain").await;
        assert_eq!(code(s.d.create(boss, Domain, "my.example.com", None, vec![]).await), "ok");
        // Lists and their members.
        let list = s.d.create(boss, DistributionList, "team@example.com", None, vec![]).await.unwrap();
        assert_eq!(code(s.d.add_members(boss, &list, &[AL.into()]).await), "ok");
        // As the account: what is below it.
        let below = s.d.create(boss, ObjectKind::Signature, "s", Some(new.id), vec![]).await.unwrap();
        assert_eq!(code(s.d.delete(boss, &below).await), "ok");
        let dee = s.get("dee@other.org").await;
        let below = s.d.create(boss, ObjectKind::Signature, "s", Some(dee.id), vec![]).await;
        assert_eq!(code(below), "service.PERM_DENIED");
        assert_eq!(code(s.d.delete(boss, &new).await), "ok");
    });
}

#[test]
fn a_suspended_domain_is_still() {
    run(async {
        let s = Site::new().await;
        s.grant("example.com", BOSS, "domainAdminConsoleRights").await;
        s.grant("example.com", BOSS, "modifyDomain").await;
        let (boss, al) = (s.actor(BOSS).await, s.get(AL).await);
        let domain = || s.get("example.com");
        let text = || vec![set("description", "x")];
        for (status, account, of_domain) in
            [("active", true, true), ("locked", true, true), ("suspended", false, true), ("shutdown", false, false)]
        {
            s.set("example.com", "zimbraDomainStatus", status).await;
            let word = |yes| if yes { "ok" } else { "service.PERM_DENIED" };
            assert_eq!(code(s.d.modify(boss, &al, text()).await), word(account), "{status}");
            let name = format!("{status}@example.com");
            assert_eq!(code(s.d.create(boss, Account, &name, None, vec![]).await), word(account), "{status}");
            assert_eq!(code(s.d.modify(boss, &domain().await, text()).await), word(of_domain), "{status}");
            assert_eq!(code(s.d.modify(Actor::System, &al, text()).await), "ok");
        }
    });
}

#[test]
fn an_administrator_sees_what_he_was_granted() {
    run(async {
        let s = Site::new().await;
        s.make(Domain, "other.org", vec![]).await;
        s.make(Account, "dee@other.org", vec![set("displayName", "Dee"), set("zimbraNotes", "odd")]).await;
        s.set(AL, "zimbraNotes", "difficult").await;
        s.set(AL, "zimbraMailQuota", "7").await;
        let boss = s.actor(BOSS).await;
        let s = &s;
        let seen = |name: &'static str| async move { s.d.get(boss, ObjectBy::Address(name.to_string())).await };
        assert_eq!(seen(AL).await.unwrap().attrs.get("zimbraNotes"), None);
        assert_eq!(code(seen("dee@other.org").await), "account.NO_SUCH_ACCOUNT");
        s.grant("other.org", BOSS, "listAccount").await;
        let dee = seen("dee@other.org").await.unwrap();
        assert!(dee.attrs.has("zimbraId") && !dee.attrs.has("displayName"));
        s.grant("example.com", BOSS, "getAccount").await;
        s.grant(AL, BOSS, "-get.account.zimbraMailQuota").await;
        s.set(AL, "userPassword", "{X}hush").await;
        let al = seen(AL).await.unwrap();
        assert_eq!((al.attrs.get("zimbraNotes"), al.attrs.get("zimbraMailQuota")), (Some("difficult"), None));
        assert!(!al.attrs.has("userPassword"));
        let search = |filter| Search { kinds: Kinds::ALL, domain: None, parent: None, filter, after: None, limit: 100 };
        for (filter, count) in [
            (Filter::equal("zimbraNotes", "difficult"), 1),
            (Filter::equal("zimbraNotes", "odd"), 0),
            (Filter::equal("zimbraMailQuota", "7"), 0),
            (Filter::Present("zimbraDomainName".into()), 0),
        ] {
            let found = s.d.search(boss, search(filter.clone())).await.unwrap();
            assert_eq!(found.objects.len(), count, "{filter:?}");
        }
        // What was granted: seen with `viewGrants` only.
        let (al, me) = (s.get(AL).await, s.get(BOSS).await);
        assert_eq!(s.d.grants(boss, Some(&al), None, false).await.unwrap().len(), 1, "getAccount shows all attributes");
        let chief = s.actor(CHIEF).await;
        assert_eq!(s.d.grants(chief, Some(&al), None, false).await.unwrap().len(), 0);
        let all = s.d.grants(Actor::System, None, Some(&me), true).await.unwrap();
        let mut places: Vec<_> = all.iter().map(|g| (g.target.as_str(), g.ace.right.as_str())).collect();
        places.sort_unstable();
        let want = [(AL, "get.account.zimbraMailQuota"), ("example.com", "getAccount"), ("other.org", "listAccount")];
        assert_eq!(places, want);
        assert_eq!(s.d.all_effective_rights(Actor::System, &me).await.unwrap().len(), 3);
        let rights = s.d.effective_rights(Actor::System, &al, &me).await.unwrap();
        assert!(!rights.get.all && rights.get.attrs.contains("displayName") && rights.set.attrs.is_empty());
        assert!(!rights.get.attrs.contains("zimbraMailQuota"));
        assert_eq!(code(s.d.effective_rights(chief, &al, &me).await), "service.PERM_DENIED");
        s.grant("example.com", CHIEF, "domainAdminRights").await;
        let who = s.get(CHIEF).await;
        let may = s.d.create_attrs(chief, Account, Some("example.com"), &who).await.unwrap();
        assert!(may.attrs.contains("displayName") && !may.attrs.contains("zimbraMailQuota") && !may.all);
        assert!(s.d.all_rights(Some(Account), Class::User).iter().any(|r| r.name == "sendAs"));
        assert_eq!(code(s.d.right("odd").map(|r| r.name)), "account.NO_SUCH_RIGHT");
    });
}

#[test]
fn only_what_one_has_is_passed_on() {
    run(async {
        let s = Site::new().await;
        s.make(DistributionList, "list@example.com", vec![]).await;
        s.members("list@example.com", &[AL]).await;
        let boss = s.actor(BOSS).await;
        s.grant("example.com", BOSS, "domainAdminRights").await;
        let denied = "service.PERM_DENIED";
        assert_eq!(code(s.grant_by(boss, "example.com", HELPER, "deleteAccount").await), denied, "not to be passed on");
        s.grant("example.com", BOSS, "+domainAdminRights").await;
        for (target, right, want) in [
            ("example.com", "deleteAccount", "ok"),
            ("example.com", "+deleteAccount", "ok"),
            ("example.com", "domainAdminRights", "ok"),
            ("example.com", "domainAdminAccountRights", "ok"),
            ("example.com", "set.account.displayName", "ok"),
            (AL, "set.account.displayName", "ok"),
            ("example.com", "modifyAccount", denied),
            ("example.com", "set.account.zimbraMailQuota", denied),
            ("example.com", "adminConsoleAccountRights", denied),
            ("example.com", "*deleteAccount", denied),
            ("example.com", "createSubDomain", denied),
            ("global", "deleteAccount", denied),
            ("default", "assignCos", denied),
            ("list@example.com", "deleteAccount", "ok"),
        ] {
            assert_eq!(code(s.grant_by(boss, target, HELPER, right).await), want, "{right} on {target}");
        }
        // What is refused to him on one account he cannot give on all of them, nor take the refusal away.
        s.grant(AL, BOSS, "-renameAccount").await;
        for target in ["example.com", "list@example.com", AL] {
            assert_eq!(code(s.grant_by(boss, target, HELPER, "renameAccount").await), denied, "{target}");
        }
        let al = s.get(AL).await;
        let revoke = s.d.revoke(boss, &al, (GranteeKind::User, BOSS), "renameAccount").await;
        assert_eq!(code(revoke), denied);
        // On one's own entry one grants rights of users.
        let me = s.actor(AL).await;
        assert_eq!(code(s.grant_by(me, AL, HELPER, "sendAs").await), "ok");
        assert_eq!(code(s.grant_by(me, BOSS, HELPER, "sendAs").await), denied);
        assert_eq!(code(s.grant_by(me, AL, HELPER, "modifyAccount").await), denied);
        // The owner of a list grants rights on it.
        s.grant("list@example.com", AL, "ownDistList").await;
        assert_eq!(code(s.grant_by(me, "list@example.com", "all", "sendToDistList").await), "ok");
        let list = s.get("list@example.com").await;
        assert_eq!(code(s.d.add_members(me, &list, &["x@elsewhere.test".into()]).await), "ok");
        assert_eq!(code(s.d.modify(me, &list, vec![set("zimbraIsAdminGroup", "TRUE")]).await), denied);
        assert_eq!(code(s.d.create(me, DistributionList, "mine@example.com", None, vec![]).await), denied);
        s.grant("example.com", AL, "createDistList").await;
        let mine = s.d.create(me, DistributionList, "mine@example.com", None, vec![]).await.unwrap();
        assert!(s.has("mine@example.com", AL, "ownDistList").await);
        assert_eq!(code(s.d.delete(me, &mine).await), "ok");
    });
}

#[test]
fn a_domain_holds_so_many_accounts() {
    run(async {
        let s = Site::new().await;
        let gold = s.make(Cos, "gold", vec![set("zimbraFeatureTasksEnabled", "TRUE")]).await.id.to_string();
        s.set("example.com", "zimbraDomainCOSMaxAccounts", &format!("{gold}:1")).await;
        s.set("example.com", "zimbraDomainMaxAccounts", "6").await;
        let d = &s.d;
        let make = |name: &'static str, attrs| d.create(Actor::System, Account, name, None, attrs);
        let in_gold = || vec![set("zimbraCOSId", &gold)];
        assert_eq!(code(make("g1@example.com", in_gold()).await), "ok");
        assert_eq!(code(make("g2@example.com", in_gold()).await), "account.TOO_MANY_ACCOUNTS");
        let al = s.get(AL).await;
        assert_eq!(code(d.modify(Actor::System, &al, in_gold()).await), "account.TOO_MANY_ACCOUNTS");
        assert_eq!(code(make("n1@example.com", vec![]).await), "ok");
        assert_eq!(code(make("n2@example.com", vec![]).await), "account.TOO_MANY_ACCOUNTS", "six there are");
        s.set("example.com", "zimbraDomainMaxAccounts", "0").await;
        let limit = Modification {
            name: "zimbraDomainFeatureMaxAccounts".into(),
            kind: ModifyKind::Replace,
            values: vec!["zimbraFeatureNotebookEnabled:1".into()],
        };
        s.d.modify(Actor::System, &s.get("example.com").await, vec![limit]).await.unwrap();
        let notes = |v: &str| vec![set("zimbraFeatureNotebookEnabled", v)];
        assert_eq!(code(make("n2@example.com", notes("TRUE")).await), "ok");
        assert_eq!(code(make("n3@example.com", notes("TRUE")).await), "account.TOO_MANY_ACCOUNTS");
        assert_eq!(code(make("n3@example.com", notes("FALSE")).await), "ok");
        let n3 = s.get("n3@example.com").await;
        assert_eq!(code(d.modify(Actor::System, &n3, notes("TRUE")).await), "account.TOO_MANY_ACCOUNTS");
        let n2 = s.get("n2@example.com").await;
        assert_eq!(code(d.modify(Actor::System, &n2, notes("TRUE")).await), "ok", "it has it already");
    });
}

const TARGETS: [&str; 6] = ["example.com", "global", AL, HELPER, "list@example.com", "sub.example.com"];
const RIGHTS: [&str; 9] = [
    "deleteAccount",
    "domainAdminAccountRights",
    "modifyAccount",
    "getAccount",
    "set.account.displayName",
    "set.account.zimbraMailQuota",
    "createAccount",
    "addDistributionListMember",
    "domainAdminRights",
];
const PROBES: [(&str, &str); 9] = [
    (AL, "deleteAccount"),
    (AL, "set.account.displayName"),
    (AL, "set.account.zimbraMailQuota"),
    (AL, "get.account.zimbraNotes"),
    (HELPER, "deleteAccount"),
    (HELPER, "set.account.zimbraMailQuota"),
    ("cy@sub.example.com", "deleteAccount"),
    ("example.com", "createAccount"),
    ("list@example.com", "addDistributionListMember"),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Whatever was granted and refused to two administrators: nothing that they grant to each other, or themselves,
    /// gives either what neither of them had.
    #[test]
    fn nobody_gains_by_granting(
        given in proptest::collection::vec((0..6usize, 0..2usize, 0..9usize, 0..3usize), 0..8),
        tried in proptest::collection::vec((0..6usize, 0..2usize, 0..2usize, 0..9usize, 0..5usize, any::<bool>()), 1..12),
    ) {
        run(async {
            let s = Site::new().await;
            s.make(Domain, "sub.example.com", vec![]).await;
            s.make(Account, "cy@sub.example.com", vec![]).await;
            s.make(DistributionList, "list@example.com", vec![]).await;
            s.members("list@example.com", &[AL]).await;
            let both = [BOSS, CHIEF];
            for (target, who, right, sign) in given {
                let right = format!("{}{}", ["", "+", "-"][sign], RIGHTS[right]);
                // Some of it makes no sense on some targets.
                let _ = s.grant_by(Actor::System, TARGETS[target], both[who], &right).await;
            }
            let mut before = Vec::new();
            for (target, right) in PROBES {
                before.push(s.has(target, BOSS, right).await || s.has(target, CHIEF, right).await);
            }
            for (target, by, to, right, sign, grants) in tried {
                let actor = s.actor(both[by]).await;
                let right = format!("{}{}", ["", "+", "-", "*", "^"][sign], RIGHTS[right]);
                if grants {
                    let _ = s.grant_by(actor, TARGETS[target], both[to], &right).await;
                } else {
                    let target = s.get(TARGETS[target]).await;
                    let _ = s.d.revoke(actor, &target, (GranteeKind::User, both[to]), &right).await;
                }
            }
            for ((target, right), had) in PROBES.into_iter().zip(before) {
                for who in both {
                    prop_assert!(had || !s.has(target, who, right).await, "{} gained {} on {}", who, right, target);
                }
            }
            Ok(())
        })?;
    }
}

//! Lists, groups and the address list over an in-memory directory.
#![allow(missing_docs)]

mod common;

use common::*;
use std::future::Future;
use std::pin::Pin;
use zcluster_api::Actor;
use zcluster_api::directory::{Attributes, Modification, ModifyKind};
use zcluster_directory::Sender;
use zcluster_directory::gal::{ExternalBook, ExternalQuery, Found, GalKind, GalQuery};

const AL: &str = "al@example.com";

async fn names(s: &Site, list: &str, recursive: bool) -> Vec<String> {
    let list = s.get(list).await;
    s.d.members_of(&list, recursive).await.unwrap().into_iter().map(|m| m.address).collect()
}

async fn site() -> Site {
    let s = Site::new().await;
    for list in ["list@example.com", "inner@example.com", "deep@example.com"] {
        s.make(DistributionList, list, vec![]).await;
    }
    s.members("list@example.com", &["inner@example.com", "boss@example.com", "X@Elsewhere.test"]).await;
    s.members("inner@example.com", &["deep@example.com", "boss@example.com"]).await;
    // Round and round.
    s.members("deep@example.com", &["list@example.com", "alan@example.com"]).await;
    let al = s.get(AL).await;
    s.d.add_alias(Actor::System, &al, "alan@example.com").await.unwrap();
    s
}

#[test]
fn members_and_memberships() {
    run(async {
        let s = site().await;
        let direct = ["boss@example.com", "inner@example.com", "x@elsewhere.test"];
        assert_eq!(names(&s, "list@example.com", false).await, direct);
        let all = [AL, "boss@example.com", "x@elsewhere.test"];
        assert_eq!(names(&s, "list@example.com", true).await, all, "each once, though a list is in itself");
        s.set("deep@example.com", "zimbraMailStatus", "disabled").await;
        assert_eq!(names(&s, "list@example.com", true).await, all[1..], "a closed list adds nobody");
        let of = s.d.memberships_of(&s.get(AL).await).await.unwrap();
        let shown: Vec<_> = of.iter().map(|m| (m.group.name.as_str(), m.direct)).collect();
        let want = [("deep@example.com", true), ("inner@example.com", false), ("list@example.com", false)];
        assert_eq!(shown, want, "by an alias, and nested");
        let list = s.get("list@example.com").await;
        s.d.remove_members(Actor::System, &list, &["boss@example.com".into()]).await.unwrap();
        assert_eq!(names(&s, "list@example.com", false).await, direct[1..]);
    });
}

#[test]
fn dynamic_groups() {
    run(async {
        let s = Site::new().await;
        let url = "ldap:///??sub?(&(objectClass=zimbraAccount)(title=boss))";
        s.make(DynamicGroup, "bosses@example.com", vec![set("memberURL", url)]).await;
        s.set("boss@example.com", "title", "Boss").await;
        assert_eq!(names(&s, "bosses@example.com", true).await, ["boss@example.com"]);
        let of = s.d.memberships_of(&s.get("boss@example.com").await).await.unwrap();
        assert_eq!(of.len(), 1);
        let group = s.make(DynamicGroup, "group@example.com", vec![]).await;
        assert_eq!(group.attrs.get("zimbraIsACLGroup"), Some("TRUE"));
        assert_eq!(names(&s, "group@example.com", true).await, Vec::<String>::new());
        s.members("group@example.com", &[AL]).await;
        assert_eq!(names(&s, "group@example.com", true).await, [AL]);
        assert_eq!(s.d.memberships_of(&s.get(AL).await).await.unwrap().len(), 1);
        // Rights are granted to those that name their members.
        let al = s.get(AL).await;
        let boss = s.get("boss@example.com").await;
        let grantee = (zcluster_directory::rights::GranteeKind::Group, "group@example.com");
        s.d.grant(Actor::System, &boss, grantee, None, "sendAs").await.unwrap();
        assert!(s.has("boss@example.com", AL, "sendAs").await);
        let grantee = (zcluster_directory::rights::GranteeKind::Group, "bosses@example.com");
        assert_eq!(code(s.d.grant(Actor::System, &al, grantee, None, "sendAs").await), "service.INVALID_REQUEST");
        s.d.remove_members(Actor::System, &group, &[AL.into()]).await.unwrap();
        assert!(!s.has("boss@example.com", AL, "sendAs").await);
        let bosses = s.get("bosses@example.com").await;
        assert_eq!(code(s.d.add_members(Actor::System, &bosses, &[AL.into()]).await), "service.INVALID_REQUEST");
        let outside = s.d.add_members(Actor::System, &group, &["x@elsewhere.test".into()]).await;
        assert_eq!(code(outside), "account.NO_SUCH_ACCOUNT");
    });
}

#[test]
fn who_may_write_to_a_list() {
    run(async {
        let s = site().await;
        let al = s.get(AL).await.id;
        let s = &s;
        let may = |sender| async move { s.d.may_send_to(sender, &s.get("list@example.com").await).await.unwrap() };
        assert!(
            may(Sender::Account(al)).await && may(Sender::Stranger("x@y")).await && may(Sender::Stranger("")).await
        );
        s.grant("list@example.com", "boss@example.com", "sendToDistList").await;
        let boss = s.get("boss@example.com").await.id;
        assert!(may(Sender::Account(boss)).await && may(Sender::Trusted("Boss@example.com")).await);
        assert!(!may(Sender::Stranger("boss@example.com")).await, "anybody can say so");
        assert!(!may(Sender::Account(al)).await && !may(Sender::Stranger("")).await);
        s.grant("list@example.com", "guest@elsewhere.test", "sendToDistList").await;
        assert!(
            may(Sender::Stranger("guest@elsewhere.test")).await && !may(Sender::Stranger("x@elsewhere.test")).await
        );
        s.grant("list@example.com", "example.com", "sendToDistList").await;
        assert!(may(Sender::Account(al)).await);
        s.grant("list@example.com", AL, "-sendToDistList").await;
        assert!(!may(Sender::Account(al)).await);
    });
}

fn query(text: &str) -> GalQuery<'_> {
    GalQuery { domain: Some("example.com"), text, kind: GalKind::All, limit: 0, offset: 0 }
}

fn shown(found: &Found) -> Vec<&str> {
    found.contacts.iter().filter_map(|c| c.address()).collect()
}

/// Another directory, with one person in it.
struct Other;

impl ExternalBook for Other {
    fn look<'a>(
        &'a self,
        query: &'a ExternalQuery,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Attributes>, String>> + Send + 'a>> {
        let answer = match query.filter.as_str() {
            "(cn=*smith*)" => {
                assert_eq!(query.bind, Some(("cn=x".to_string(), "y".to_string())));
                let mut attrs = Attributes::new();
                attrs.set("cn", vec!["Eve Smith".into()]);
                attrs.set("mail", vec!["eve@corp.test".into()]);
                Ok(vec![attrs])
            }
            _ => Err("out of order".into()),
        };
        Box::pin(async { answer })
    }
}

#[test]
fn the_address_list() {
    run(async {
        let s = Site::new().await;
        for (name, shown) in [("bo@example.com", "Bo Smith"), ("cy@example.com", "Cyril Goldsmith")] {
            s.make(Account, name, vec![set("displayName", shown)]).await;
        }
        s.make(DistributionList, "smiths@example.com", vec![set("displayName", "All Smiths")]).await;
        s.make(Resource, "smithy@example.com", vec![set("displayName", "Smithy")]).await;
        s.make(Account, "hidden@example.com", vec![set("displayName", "H Smith"), set("zimbraHideInGal", "TRUE")])
            .await;
        s.make(Domain, "other.org", vec![]).await;
        s.make(Account, "dee@other.org", vec![set("displayName", "Dee Smith")]).await;
        let me = s.actor(AL).await;
        let map = vec!["displayName,cn=fullName,fullName2".to_string(), "mail=email,email2".to_string()];
        let map = Modification { values: map, ..set("zimbraGalLdapAttrMap", "") };
        s.d.modify(Actor::System, &s.get("example.com").await, vec![map]).await.unwrap();
        let found = s.d.gal_autocomplete(me, query("smi"), None).await.unwrap();
        assert_eq!(shown(&found), ["smiths@example.com", "bo@example.com", "smithy@example.com"], "by name");
        let found = s.d.gal_search(me, query("smith"), None).await.unwrap();
        assert_eq!(shown(&found).len(), 4, "also in the middle");
        assert!(!found.more && found.contacts.iter().any(|c| c.is_group));
        let found = s.d.gal_search(me, GalQuery { limit: 2, offset: 1, ..query("smith") }, None).await.unwrap();
        assert!(found.contacts.len() == 2 && found.more);
        let found = s.d.gal_search(me, GalQuery { kind: GalKind::Group, ..query("smith") }, None).await.unwrap();
        assert_eq!(shown(&found), ["smiths@example.com"]);
        assert_eq!(found.contacts[0].fields.get("type").map(String::as_str), Some("group"));
        let found = s.d.gal_search(me, query("smith cyril"), None).await.unwrap();
        assert_eq!(shown(&found), ["cy@example.com"]);
        // Another domain's needs a right.
        let other = GalQuery { domain: Some("other.org"), ..query("smith") };
        assert_eq!(code(s.d.gal_search(me, other, None).await), "service.PERM_DENIED");
        s.set("example.com", "zimbraGalInternalSearchBase", "ROOT").await;
        assert_eq!(s.d.gal_search(me, query("smith"), None).await.unwrap().contacts.len(), 5);
        s.set("example.com", "zimbraGalInternalSearchBase", "DOMAIN").await;
        // A copy, again only when something changed.
        let first = s.d.gal_sync(me, None, None).await.unwrap();
        assert!(first.full && first.contacts.len() == 8, "{}", first.contacts.len());
        let again = s.d.gal_sync(me, None, Some(&first.token)).await.unwrap();
        assert!(!again.full && again.contacts.is_empty());
        s.set("bo@example.com", "title", "Chief").await;
        assert!(!s.d.gal_sync(me, None, Some(&first.token)).await.unwrap().full, "the map shows no title");
        s.set("bo@example.com", "displayName", "Bo Smithson").await;
        assert!(s.d.gal_sync(me, None, Some(&first.token)).await.unwrap().full);
        // Another directory beside this one, and alone.
        for (name, value) in [
            ("zimbraGalMode", "both"),
            ("zimbraGalLdapURL", "ldap://corp.test"),
            ("zimbraGalLdapFilter", "(cn=*%s*)"),
            ("zimbraGalAutoCompleteLdapFilter", "(cn=%s*)"),
            ("zimbraGalLdapBindDn", "cn=x"),
            ("zimbraGalLdapBindPassword", "y"),
        ] {
            s.set("example.com", name, value).await;
        }
        let found = s.d.gal_search(me, query("smith"), Some(&Other)).await.unwrap();
        assert!(found.contacts.len() == 5 && shown(&found).contains(&"eve@corp.test"));
        let found = s.d.gal_search(me, query("gold"), Some(&Other)).await.unwrap();
        assert!(found.contacts.len() == 1 && found.problem.as_deref() == Some("out of order"));
        s.set("example.com", "zimbraGalMode", "ldap").await;
        assert_eq!(shown(&s.d.gal_search(me, query("smith"), Some(&Other)).await.unwrap()), ["eve@corp.test"]);
        assert_eq!(code(s.d.gal_search(me, query("gold"), Some(&Other)).await), "account.GAL_UNAVAILABLE");
        s.set("example.com", "zimbraGalMode", "zimbra").await;
        // Who is in a list.
        s.members("smiths@example.com", &["bo@example.com"]).await;
        let (chief, bo) = (s.actor("chief@example.com").await, s.actor("bo@example.com").await);
        assert_eq!(s.d.gal_members(chief, "smiths@example.com").await.unwrap().len(), 1);
        s.set("smiths@example.com", "zimbraHideInGal", "TRUE").await;
        assert_eq!(code(s.d.gal_members(chief, "smiths@example.com").await), "account.NO_SUCH_DISTRIBUTION_LIST");
        assert_eq!(s.d.gal_members(bo, "smiths@example.com").await.unwrap().len(), 1);
        let off = Modification { kind: ModifyKind::Replace, ..set("zimbraFeatureGalEnabled", "FALSE") };
        s.d.modify(Actor::System, &s.get(AL).await, vec![off]).await.unwrap();
        assert_eq!(code(s.d.gal_search(me, query("smith"), None).await), "service.PERM_DENIED");
    });
}

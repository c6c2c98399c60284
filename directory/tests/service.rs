//! The service over an in-memory directory.

use std::sync::Arc;
use zcluster_api::directory::{Filter, Kinds, Modification, ObjectBy, ObjectKind, Search};
use zcluster_api::{Actor, Freshness};
use zcluster_directory::{Directory, Failure};
use zcluster_state::memory::Memory;

fn directory() -> Directory {
    Directory::new(Arc::new(Memory::with_account("al@example.com", "")), Freshness::Local)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Failure>) -> String {
    outcome.unwrap_err().code
}

#[test]
fn entries_of_many_kinds_live_and_die() {
    run(async {
        let d = directory();
        let admin = Actor::System;
        let make = |kind, name: &'static str, attrs| d.create(admin, kind, name, None, attrs);
        for kind in [ObjectKind::DistributionList, ObjectKind::DynamicGroup, ObjectKind::Resource] {
            let name = match kind {
                ObjectKind::DistributionList => "team@example.com",
                ObjectKind::DynamicGroup => "group@example.com",
                _ => "room@example.com",
            };
            let object = make(kind, name, vec![]).await.unwrap();
            assert_eq!((object.kind, object.name.as_str()), (kind, name));
            assert_eq!(d.named(&[kind], None, name).await.unwrap().id, object.id);
            assert_eq!(d.named(&[kind], None, &object.id.to_string()).await.unwrap().name, name);
        }
        assert_eq!(code(make(ObjectKind::Account, "TEAM@example.com", vec![]).await), "account.ACCOUNT_EXISTS");
        assert_eq!(code(make(ObjectKind::Account, "x@nowhere.test", vec![]).await), "account.NO_SUCH_DOMAIN");
        let odd = vec![Modification::set("zimbraNonsense", "1")];
        assert_eq!(code(make(ObjectKind::Cos, "gold", odd).await), "account.INVALID_ATTR_NAME");
        let cos = make(ObjectKind::Cos, "gold", vec![Modification::set("zimbraMailQuota", "1GB")]).await.unwrap();
        assert_eq!(cos.attrs.get("zimbraMailQuota"), Some("1073741824"));
        let cos = d.rename(admin, &cos, "silver").await.unwrap();
        assert_eq!(code(d.named(&[ObjectKind::Cos], None, "gold").await), "account.NO_SUCH_COS");

        let al = d.named(&[ObjectKind::Account], None, "al@example.com").await.unwrap();
        let changes = vec![Modification::set("zimbraCOSId", cos.id.to_string())];
        let al = d.modify(admin, &al, changes).await.unwrap();
        assert_eq!(d.effective(&al).await.unwrap().get("zimbraMailQuota"), Some("1073741824"));
        let al = d.add_alias(admin, &al, "alan@example.com").await.unwrap();
        assert_eq!(d.find(ObjectBy::Address("alan@example.com".into())).await.unwrap().id, al.id);
        assert_eq!(code(d.remove_alias(admin, &al, "no@example.com").await), "account.NO_SUCH_ALIAS");

        let domain = d.named(&[ObjectKind::Domain], None, "example.com").await.unwrap();
        assert_eq!(code(d.delete(admin, &domain).await), "account.DOMAIN_NOT_EMPTY");
        let domain = d.rename(admin, &domain, "example.org").await.unwrap();
        assert_eq!(domain.name, "example.org");
        assert_eq!(d.find(ObjectBy::Address("alan@example.org".into())).await.unwrap().name, "al@example.org");
        d.delete(admin, &al).await.unwrap();
        assert_eq!(code(d.named(&[ObjectKind::Account], None, "al@example.org").await), "account.NO_SUCH_ACCOUNT");
    });
}

#[test]
fn an_account_sees_the_address_book_and_changes_its_preferences() {
    run(async {
        let d = directory();
        let al = d.named(&[ObjectKind::Account], None, "al@example.com").await.unwrap();
        let me = Actor::Account(al.id);
        let attrs = vec![Modification::set("displayName", "Bo"), Modification::set("zimbraNotes", "difficult")];
        let bo = d.create(Actor::System, ObjectKind::Account, "bo@example.com", None, attrs).await.unwrap();
        let seen = d.get(me, ObjectBy::Id(bo.id)).await.unwrap();
        assert_eq!((seen.attrs.get("displayName"), seen.attrs.get("zimbraNotes")), (Some("Bo"), None));
        let search =
            |filter| Search { kinds: Kinds::ACCOUNTS, domain: None, parent: None, filter, after: None, limit: 10 };
        let found = d.search(me, search(Filter::equal("displayName", "bo"))).await.unwrap();
        assert_eq!(found.objects.len(), 1);
        let found = d.search(me, search(Filter::equal("zimbraNotes", "difficult"))).await.unwrap();
        assert_eq!(found.objects.len(), 0, "what is hidden cannot be searched by");
        let found = d.search(Actor::System, search(Filter::equal("zimbraNotes", "difficult"))).await.unwrap();
        assert_eq!(found.objects.len(), 1);
        let hide = vec![Modification::set("zimbraHideInGal", "TRUE")];
        let bo = d.modify(Actor::System, &bo, hide).await.unwrap();
        assert_eq!(code(d.get(me, ObjectBy::Id(bo.id)).await), "account.NO_SUCH_ACCOUNT");
        let locale = || vec![Modification::set("zimbraPrefLocale", "de")];
        d.modify(me, &al, locale()).await.unwrap();
        assert_eq!(code(d.modify(me, &bo, locale()).await), "service.PERM_DENIED");
        let quota = vec![Modification::set("zimbraMailQuota", "0")];
        assert_eq!(code(d.modify(me, &al, quota).await), "service.PERM_DENIED");
        let signature = d.create(me, ObjectKind::Signature, "Work", Some(al.id), vec![]).await.unwrap();
        d.delete(me, &signature).await.unwrap();
        assert_eq!(code(d.delete(me, &al).await), "service.PERM_DENIED");
    });
}

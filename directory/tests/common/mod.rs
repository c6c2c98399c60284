//! A directory in memory, with delegated administrators.
#![allow(dead_code)]

use std::sync::Arc;
use zcluster_api::directory::{Modification, Object, ObjectKind};
use zcluster_api::{Actor, Freshness};
use zcluster_directory::rights::GranteeKind;
use zcluster_directory::{Directory, Failure};
use zcluster_state::memory::Memory;

pub use ObjectKind::{Account, Cos, DistributionList, Domain, DynamicGroup, Resource};

pub struct Site {
    pub d: Directory,
    pub memory: Memory,
}

pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

pub fn code<T: std::fmt::Debug>(outcome: Result<T, Failure>) -> String {
    match outcome {
        Ok(_) => "ok".into(),
        Err(e) => e.code,
    }
}

pub fn set(name: &str, value: &str) -> Modification {
    Modification::set(name, value)
}

impl Site {
    /// `example.com` with `al`; `boss`, `chief` and `helper` are delegated administrators there.
    pub async fn new() -> Site {
        let memory = Memory::with_account("al@example.com", "");
        let site = Site { d: Directory::new(Arc::new(memory.clone()), Freshness::Local), memory };
        for name in ["boss@example.com", "chief@example.com", "helper@example.com"] {
            site.make(Account, name, vec![set("zimbraIsDelegatedAdminAccount", "TRUE")]).await;
        }
        site
    }

    pub async fn make(&self, kind: ObjectKind, name: &str, attrs: Vec<Modification>) -> Object {
        self.d.create(Actor::System, kind, name, None, attrs).await.unwrap()
    }

    pub async fn get(&self, name: &str) -> Object {
        let kinds: &[ObjectKind] = match name {
            "global" => return self.d.global_target().await.unwrap(),
            "config" => &[ObjectKind::Config],
            name if name.contains('@') => &[Account, Resource, DistributionList, DynamicGroup],
            name if name.contains('.') => &[Domain],
            _ => &[Cos],
        };
        self.d.named(kinds, None, name).await.unwrap()
    }

    pub async fn actor(&self, name: &str) -> Actor {
        Actor::Account(self.get(name).await.id)
    }

    pub async fn set(&self, name: &str, attr: &str, value: &str) {
        let object = self.get(name).await;
        self.d.modify(Actor::System, &object, vec![set(attr, value)]).await.unwrap();
    }

    pub async fn members(&self, list: &str, members: &[&str]) {
        let list = self.get(list).await;
        let members: Vec<String> = members.iter().map(ToString::to_string).collect();
        self.d.add_members(Actor::System, &list, &members).await.unwrap();
    }

    /// Granted by `by`: on a target, to a grantee, a right.
    pub async fn grant_by(&self, by: Actor, target: &str, grantee: &str, right: &str) -> Result<(), Failure> {
        let target = self.get(target).await;
        let kind = match grantee {
            "all" => GranteeKind::All,
            "pub" => GranteeKind::Public,
            g if g.starts_with("list") => GranteeKind::Group,
            g if g.ends_with(".test") => GranteeKind::Guest,
            g if g.contains('@') => GranteeKind::User,
            _ => GranteeKind::Domain,
        };
        self.d.grant(by, &target, (kind, grantee), None, right).await.map(|_| ())
    }

    pub async fn grant(&self, target: &str, grantee: &str, right: &str) {
        self.grant_by(Actor::System, target, grantee, right).await.unwrap();
    }

    pub async fn has(&self, target: &str, grantee: &str, right: &str) -> bool {
        let (target, grantee) = (self.get(target).await, self.get(grantee).await);
        self.d.check(Actor::System, &target, &grantee, right).await.unwrap().allowed
    }
}

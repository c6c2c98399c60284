//! Content synchronisation.

use crate::client::*;
use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::*;
use zcluster_api::DirectoryCommand;

fn request(mode: SyncRequestMode, cookie: Option<Vec<u8>>) -> LdapControl {
    LdapControl::SyncRequest { criticality: true, mode, cookie, reload_hint: false }
}

fn state(message: &LdapMsg) -> Option<(SyncStateValue, String)> {
    message.ctrl.iter().find_map(|c| match c {
        LdapControl::SyncState { state, entry_uuid, .. } => Some((state.clone(), entry_uuid.to_string())),
        _ => None,
    })
}

fn people() -> LdapSearchRequest {
    sub("ou=people,dc=example,dc=com", "(objectClass=zimbraAccount)", &["cn", "title"])
}

#[tokio::test]
async fn refreshing() {
    let cluster = Cluster::new();
    let mut c = cluster.as_admin().await;
    let mut cookie = None;
    for (round, count) in [(0, 3), (1, 0), (2, 3)] {
        if round == 2 {
            cluster.modify(1, vec![set("title", &["Dr"])]);
        }
        let found = c.search_with(people(), vec![request(SyncRequestMode::RefreshOnly, cookie.clone())]).await;
        assert_eq!((found.entries.len(), &found.result.code), (count, &LdapResultCode::Success), "round {round}");
        let Some(LdapControl::SyncDone { cookie: Some(next), refresh_deletes }) = found.controls.first() else {
            panic!("{found:?}")
        };
        assert_eq!(*refresh_deletes, count == 0, "round {round}");
        cookie = Some(next.clone());
    }
    // Another search's cookie says nothing.
    let other = sub("dc=example,dc=com", "(objectClass=zimbraAccount)", &["cn", "title"]);
    assert_eq!(c.search_with(other, vec![request(SyncRequestMode::RefreshOnly, cookie)]).await.entries.len(), 4);
}

#[tokio::test]
async fn following() {
    let cluster = Cluster::new();
    let mut c = cluster.as_admin().await;
    let id = c.send(LdapOp::SearchRequest(people()), vec![request(SyncRequestMode::RefreshAndPersist, None)]).await;
    let mut told = Vec::new();
    let next = async |c: &mut Client| -> Option<(String, SyncStateValue)> {
        let message = c.message_or_cookie().await?;
        assert_eq!(message.msgid, id);
        match &message.op {
            LdapOp::SearchResultEntry(entry) => Some((entry.dn.clone(), state(&message).expect("a state").0)),
            LdapOp::IntermediateResponse(_) => None,
            other => panic!("{other:?}"),
        }
    };
    while let Some(entry) = next(&mut c).await {
        told.push(entry);
    }
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|(_, s)| *s == SyncStateValue::Add));
    cluster.modify(1, vec![set("title", &["Dr"])]);
    assert_eq!(next(&mut c).await, Some((BOB.into(), SyncStateValue::Modify)));
    assert_eq!(next(&mut c).await, None, "a new cookie");
    cluster.memory.add_account("frank@example.com", "");
    assert_eq!(next(&mut c).await, Some(("uid=frank,ou=people,dc=example,dc=com".into(), SyncStateValue::Add)));
    assert_eq!(next(&mut c).await, None);
    cluster.memory.command(DirectoryCommand::DeleteAccount(cluster.ids[1])).unwrap();
    assert_eq!(next(&mut c).await, Some((BOB.into(), SyncStateValue::Delete)));
    assert_eq!(next(&mut c).await, None);
    c.send(LdapOp::AbandonRequest(id), vec![]).await;
    c.in_step().await;
}

//! Mail to lists: who may write to them, and as them.
#![allow(missing_docs)]

mod support;

use support::*;
use zcluster_api::directory::{Modification, ObjectKind};
use zcluster_api::{AccountId, DirectoryCommand};
use zcluster_smtp::Service::{Lmtp, Mx, Submission};

const TEAM: &str = "team@example.com";
const TEXT: &str = "From: <alice@example.com>\r\nSubject: s\r\nDate: Fri, 27 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@x>\r\n\r\nx\r\n";

fn team(site: &Site) -> AccountId {
    let attrs = vec![Modification::set("zimbraMailForwardingAddress", BOB)];
    let (kind, id) = (ObjectKind::DistributionList, AccountId([7; 16]));
    let command = DirectoryCommand::CreateEntry { kind, id, name: TEAM.into(), parent: None, attrs };
    site.memory.command(command).unwrap();
    id
}

fn change(site: &Site, name: &str, value: &str) {
    let changes = vec![Modification::set(name, value)];
    site.memory.command(DirectoryCommand::ModifyEntry { id: AccountId([7; 16]), changes }).unwrap();
}

#[tokio::test]
async fn who_may_write_to_a_list() {
    let site = Site::new();
    team(&site);
    let to_team = |sender: &str| format!("EHLO x\r\nMAIL FROM:<{sender}>\r\nRCPT TO:<Team@example.com>\r\n");
    let lmtp = |sender: &str| to_team(sender).replace("EHLO", "LHLO");
    let mine = || signed_in(&format!("MAIL FROM:<{ALICE}>\r\nRCPT TO:<{TEAM}>\r\n"));
    let last = |codes: Vec<String>| codes.last().cloned().unwrap();
    assert_eq!(last(site.codes(Mx, to_team("x@elsewhere.org")).await), "250 2.1.5");
    assert_eq!(last(site.codes(Submission, mine()).await), "250 2.1.5");
    change(&site, "zimbraACE", &format!("{} usr sendToDistList", site.alice));
    assert_eq!(last(site.codes(Mx, to_team("x@elsewhere.org")).await), "550 5.7.1");
    assert_eq!(last(site.codes(Mx, to_team(ALICE)).await), "550 5.7.1", "anybody can say so");
    assert_eq!(last(site.codes(Submission, mine()).await), "250 2.1.5");
    assert_eq!(last(site.codes(Lmtp, lmtp(ALICE)).await), "250 2.1.5", "the MTA before us answers for her");
    assert_eq!(last(site.codes(Lmtp, lmtp(BOB)).await), "550 5.7.1");
    change(&site, "zimbraMailStatus", "disabled");
    assert_eq!(last(site.codes(Submission, mine()).await), "550 5.2.1");
}

#[tokio::test]
async fn a_message_for_a_list_is_queued() {
    let site = Site::new();
    team(&site);
    let envelope = format!("MAIL FROM:<{ALICE}>\r\nRCPT TO:<{TEAM}>\r\nRCPT TO:<{BOB}>\r\nDATA\r\n{TEXT}.\r\n");
    assert_eq!(site.codes(Submission, signed_in(&envelope)).await.last().unwrap(), "250 2.0.0");
    let queued = site.outbox(Some(site.alice)).await;
    let mut to = queued[0].0.recipients.clone();
    to.sort();
    assert_eq!(to, [BOB, TEAM], "who is also a member has it once");
    assert!(site.inbox(site.bob).await.is_empty());
    // A stranger's goes to the other recipients at once.
    let envelope =
        format!("EHLO x\r\nMAIL FROM:<x@y.org>\r\nRCPT TO:<{TEAM}>\r\nRCPT TO:<{BOB}>\r\nDATA\r\n{TEXT}.\r\n");
    assert_eq!(site.codes(Mx, envelope).await.last().unwrap(), "250 2.0.0");
    assert_eq!((site.inbox(site.bob).await.len(), site.outbox(None).await.len()), (1, 1));
}

#[tokio::test]
async fn under_a_lists_address() {
    let site = Site::new();
    team(&site);
    let as_team = || site.codes(Submission, signed_in(&format!("MAIL FROM:<{TEAM}>\r\n")));
    assert_eq!(as_team().await[2], "553 5.7.1");
    change(&site, "zimbraACE", &format!("{} usr sendAs", site.alice));
    assert_eq!(as_team().await[2], "553 5.7.1", "that is a right on accounts");
    change(&site, "zimbraACE", &format!("{} usr sendAsDistList", site.alice));
    assert_eq!(as_team().await[2], "250 2.1.0");
    change(&site, "zimbraACE", &format!("{} usr -sendAsDistList", site.alice));
    assert_eq!(as_team().await[2], "553 5.7.1");
}

//! What FETCH costs a message. Run by hand: `cargo test -p zcluster-imap --release speed -- --ignored --nocapture`.

use crate::support::Site;
use zcluster_api::mailbox::Want;
use zcluster_api::{Actor, Call, MailboxApi, MailboxQuery, MailboxReply, RequestId, UidSet};
use zcluster_runtime::Instant;

#[tokio::test]
#[ignore = "prints a speed and asserts nothing: run it by name"]
async fn speed_of_fetch() {
    const MESSAGES: u32 = 5_000;
    let site = Site::new();
    let mut c = site.inbox().await;
    c.fill_inbox(MESSAGES as usize).await;
    for items in ["(FLAGS)", "(FLAGS UID ENVELOPE BODYSTRUCTURE RFC822.SIZE)", "(BODY.PEEK[])"] {
        let begun = Instant::now();
        let reply = c.ok(&format!("FETCH 1:* {items}")).await;
        let whole = begun.elapsed();
        println!("{items}: {:?} a message, {} bytes", whole / MESSAGES, reply.len());
    }
    // What of that is the back end's.
    for summary in [false, true] {
        let begun = Instant::now();
        for first in (1..=MESSAGES).step_by(500) {
            let body = MailboxQuery::Messages {
                folder: zcluster_api::mailbox::folders::INBOX,
                uids: UidSet::range(first, first + 499),
                want: Want { summary, blob: false },
                changed_since: None,
                limit: 500,
            };
            let call = Call {
                actor: Actor::System,
                account: site.alice,
                request: RequestId([0; 16]),
                timeout: std::time::Duration::from_secs(1),
                body,
            };
            let reply = MailboxApi::read(&site.memory, call).await;
            assert!(matches!(reply, Ok(MailboxReply::Messages { messages, .. }) if messages.len() == 500));
        }
        println!("back end, summary {summary}: {:?} a message", begun.elapsed() / MESSAGES);
    }
}

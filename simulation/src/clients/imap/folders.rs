//! Operations on folders, and looking at them.

use super::book::folder_name;
use super::program::{Attempt, Program, Trouble, refused};
use super::session::Answer;
use crate::history::{Outcome, Refusal, Reply, What};
use crate::world;
use std::time::Duration;
use zcluster_runtime::{Either, select};

impl Program {
    /// Makes sure that the folder is there: the first client that needs it creates it.
    pub(super) async fn ensure(&mut self, folder: u32) -> Attempt {
        if self.book.exists(folder) {
            return Ok(());
        }
        let name = folder_name(folder);
        let committed = self.committed;
        let what = What::Create { account: self.account, name: name.into() };
        let outcome = self.write(what, &format!("CREATE {name}"), accepted).await;
        // Not the operation itself: it may be begun again whatever became of this.
        self.committed = committed;
        match outcome? {
            Outcome::Done(_) | Outcome::Failed(Refusal::Exists) => {
                self.book.set_exists(folder);
                Ok(())
            }
            other => Err(Trouble::Later(format!("CREATE {name}: {other:?}"))),
        }
    }

    pub(super) async fn create(&mut self, name: u32) -> Attempt {
        self.connect().await?;
        let name = format!("X{name}");
        let command = format!("CREATE {name}");
        self.write(What::Create { account: self.account, name }, &command, accepted).await.map(drop)
    }

    pub(super) async fn rename(&mut self, name: u32, to: u32) -> Attempt {
        self.connect().await?;
        let (name, to) = (format!("X{name}"), format!("X{to}"));
        let command = format!("RENAME {name} {to}");
        self.write(What::Rename { account: self.account, name, to }, &command, accepted).await.map(drop)
    }

    pub(super) async fn delete(&mut self, name: u32) -> Attempt {
        self.connect().await?;
        let name = format!("X{name}");
        let command = format!("DELETE {name}");
        self.write(What::Delete { account: self.account, name }, &command, accepted).await.map(drop)
    }

    pub(super) async fn status(&mut self, folder: u32) -> Attempt {
        self.connect().await?;
        self.ensure(folder).await?;
        let history = self.shared.history.clone();
        let ticket = history.begin(self.client, self.op, What::Status { account: self.account, folder });
        history.sent_to(ticket, self.parts()?.0.node());
        let items = "MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ UNSEEN";
        let answer = self.run(&format!("STATUS {} ({items})", folder_name(folder))).await?;
        if !answer.is_ok() {
            return Err(Trouble::Later(format!("{:?}", refused(&answer.status))));
        }
        match status_of(&answer) {
            Some(reply) => {
                self.told_status(folder, &reply);
                history.end(ticket, Outcome::Done(reply));
            }
            None => world::violate("protocol_errors_are_ours", "STATUS was answered without what was asked for"),
        }
        Ok(())
    }

    fn told_status(&mut self, folder: u32, reply: &Reply) {
        let Reply::Status { uid_next, uid_validity, highest_modseq, .. } = *reply else { return };
        let memory = self.book.folder(folder);
        let told = memory.told_validity(uid_validity).and_then(|()| memory.told_position(uid_next, highest_modseq));
        if let Err(why) = told {
            let (client, name) = (self.client, folder_name(folder));
            world::violate("imap_views_are_consistent", format!("client {client}, STATUS of {name}: {why}"));
        }
    }

    pub(super) async fn idle(&mut self, folder: u32, ms: u64) -> Attempt {
        self.connect().await?;
        self.ensure(folder).await?;
        let (history, shared) = (self.shared.history.clone(), self.shared.clone());
        let ticket = history.begin(self.client, self.op, What::Idle { account: self.account, folder });
        history.sent_to(ticket, self.parts()?.0.node());
        self.select(folder).await?;
        let (session, book) = self.parts()?;
        let Some(view) = session.view() else { return Ok(()) };
        let (uid_validity, mut exists) = (view.uid_validity, vec![view.exists()]);
        if let Some(answer) = session.begin_idle(book).await? {
            return Err(Trouble::Later(answer.status.text));
        }
        let listening = async {
            loop {
                let now = match session.idle(book).await {
                    Ok(now) => now,
                    Err(lost) => return lost,
                };
                if exists.last() != Some(&now) {
                    exists.push(now);
                }
            }
        };
        if let Either::Left(lost) = select(listening, shared.phase.think(Duration::from_millis(ms))).await {
            return Err(lost.into());
        }
        let answer = session.end_idle(book).await?;
        if !answer.is_ok() {
            return Err(Trouble::Later(answer.status.text));
        }
        if exists.len() > 1 {
            world::count("client.idle_news");
        }
        history.end(ticket, Outcome::Done(Reply::Idled { uid_validity, exists }));
        Ok(())
    }
}

fn accepted(_: &mut Program, _: &Answer) -> Outcome {
    Outcome::Done(Reply::Accepted)
}

fn status_of(answer: &Answer) -> Option<Reply> {
    let number = |name: &str| answer.number(name).and_then(|n| u32::try_from(n).ok());
    Some(Reply::Status {
        messages: number("MESSAGES")?,
        uid_next: number("UIDNEXT")?,
        uid_validity: number("UIDVALIDITY")?,
        highest_modseq: answer.number("HIGHESTMODSEQ")?,
        unseen: number("UNSEEN")?,
    })
}

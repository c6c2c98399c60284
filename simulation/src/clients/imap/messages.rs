//! Operations on messages.

use super::book::{flag_name, folder_name};
use super::program::{Attempt, Program, Trouble, noted_refusal, refused};
use super::response::{Code, Items};
use super::session::Answer;
use super::view::{Doing, Known};
use crate::clients::message;
use crate::history::{CopiedTo, Outcome, Reply, Seen, What};
use crate::world::{self, Stream};
use std::collections::BTreeSet;

/// One in so many fetches also reads a whole message.
const BODY_ONE_IN: u64 = 4;

impl Program {
    /// Makes the folder the selected one, if it is not.
    pub(super) async fn open(&mut self, folder: u32) -> Attempt {
        self.ensure(folder).await?;
        let (session, _) = self.parts()?;
        if session.view().is_some_and(|view| view.folder == folder) {
            return Ok(());
        }
        self.select(folder).await
    }

    /// Selects the folder afresh.
    pub(super) async fn select(&mut self, folder: u32) -> Attempt {
        let (session, book) = self.parts()?;
        let (node, answer) = (session.node(), session.select(book, folder).await?);
        if answer.is_ok() {
            return Ok(());
        }
        noted_refusal(self.client, "SELECT", &answer.status);
        if matches!(answer.status.refusal(), "NONEXISTENT" | "TRYCREATE") {
            let (client, name) = (self.client, folder_name(folder));
            let text = format!("client {client}: node {node} has no {name}, which was there and is never deleted");
            world::violate("acknowledged_folders_stay", text);
        }
        Err(Trouble::Later(answer.status.text))
    }

    pub(super) async fn append(&mut self, folder: u32, bytes: u32) -> Attempt {
        self.connect().await?;
        self.ensure(folder).await?;
        let text = message::text(self.op, bytes);
        let waits = world::draw(Stream::Workload, |r| r.below(2)) == 0;
        let what = What::Append { account: self.account, folder, message: self.op };
        let (history, client, op) = (self.shared.history.clone(), self.client, self.op);
        let (session, book) = self.parts()?;
        // Until the message is on its way nothing can have happened, and the operation may be begun again.
        if let Some(answer) = session.begin_append(book, folder, text.len(), waits).await? {
            noted_refusal(client, "APPEND", &answer.status);
            return Err(Trouble::Later(answer.status.text));
        }
        let ticket = history.begin(client, op, what);
        history.sent_to(ticket, session.node());
        self.committed = true;
        let (session, book) = self.parts()?;
        let answer = session.end_append(book, &text).await?;
        let outcome = if answer.is_ok() { self.appended(folder, &answer) } else { refused(&answer.status) };
        if !answer.is_ok() {
            noted_refusal(client, "APPEND", &answer.status);
        }
        history.end(ticket, outcome);
        Ok(())
    }

    fn appended(&mut self, folder: u32, answer: &Answer) -> Outcome {
        let Some(Code::AppendUid(uid_validity, uid)) = answer.status.code else {
            world::violate("protocol_errors_are_ours", "APPEND was answered without APPENDUID");
            return Outcome::Unknown;
        };
        self.told_target(folder, uid_validity, uid);
        Outcome::Done(Reply::Appended { uid_validity, uid })
    }

    /// APPENDUID and COPYUID speak of a folder that need not be selected.
    fn told_target(&mut self, folder: u32, uid_validity: u32, uid: u32) {
        let memory = self.book.folder(folder);
        memory.told_uid(uid);
        if let Err(why) = memory.told_validity(uid_validity) {
            let (client, name) = (self.client, folder_name(folder));
            world::violate("imap_views_are_consistent", format!("client {client} in {name}: {why}"));
        }
    }

    /// SELECT and FETCH of everything; now and then a whole message is read and compared.
    pub(super) async fn fetch(&mut self, folder: u32) -> Attempt {
        self.connect().await?;
        self.ensure(folder).await?;
        let what = What::Fetch { account: self.account, folder };
        let history = self.shared.history.clone();
        let ticket = history.begin(self.client, self.op, what);
        history.sent_to(ticket, self.parts()?.0.node());
        self.select(folder).await?;
        let selected = world::now();
        let (session, book) = self.parts()?;
        let Some(view) = session.view() else { return Ok(()) };
        let (uid_validity, uid_next) = (view.uid_validity, view.uid_next);
        let (highest_modseq, exists) = (view.highest_modseq, view.exists());
        let mut messages = Vec::new();
        if exists > 0 {
            let command = "FETCH 1:* (UID FLAGS MODSEQ BODY.PEEK[HEADER.FIELDS (SUBJECT)])";
            let answer = session.run(book, command, Doing::Numbers).await?;
            if !answer.is_ok() {
                noted_refusal(self.client, "FETCH", &answer.status);
                return Err(Trouble::Later(answer.status.text));
            }
            messages = answer.fetches.iter().filter(|items| items.section.is_some()).filter_map(seen).collect();
        }
        let there: BTreeSet<u32> = messages.iter().map(|m| m.uid).collect();
        let ours = messages.iter().find(|m| m.message.is_none()).map(|m| m.uid);
        self.book.folder(folder).keep_only(&there);
        let reply = Reply::Fetched { uid_validity, uid_next, highest_modseq, exists, selected, messages };
        history.end(ticket, Outcome::Done(reply));
        if let Some(uid) = ours {
            let text = format!("{} has UID {uid} without a subject of ours", folder_name(folder));
            world::violate("messages_are_what_was_sent", text);
        }
        self.compare_one(folder).await
    }

    /// Reads one whole message and compares it with what was sent.
    async fn compare_one(&mut self, folder: u32) -> Attempt {
        let (turn, pick) = world::draw(Stream::Workload, |r| (r.below(BODY_ONE_IN), r.next() as u32));
        let Some((uid, Known { message: Some(id), .. })) = self.book.folder(folder).pick(pick) else { return Ok(()) };
        if turn != 0 {
            return Ok(());
        }
        let answer = self.run(&format!("UID FETCH {uid} (UID BODY.PEEK[])")).await?;
        let is_it = |items: &&Items| items.uid == Some(uid) && items.section.is_some();
        let Some(got) = answer.fetches.iter().find(is_it).and_then(|items| items.section.as_deref()) else {
            return Ok(());
        };
        world::count("client.body_compared");
        if let Some(fault) = self.shared.catalogue.fault_in(id, got) {
            let (client, name) = (self.client, folder_name(folder));
            world::violate("messages_are_what_was_sent", format!("client {client}, {name} UID {uid}: {fault}"));
        }
        Ok(())
    }

    pub(super) async fn store(&mut self, folder: u32, pick: u32, flag: u32, set: bool, unchanged: bool) -> Attempt {
        self.connect().await?;
        let Some((uid, known)) = self.pick(folder, pick).await? else { return Ok(()) };
        self.open(folder).await?;
        let since = known.state.as_ref().map(|(_, modseq)| *modseq).filter(|_| unchanged);
        self.store_flag(folder, uid, known.message, flag_name(flag), set, since).await.map(drop)
    }

    async fn store_flag(
        &mut self,
        folder: u32,
        uid: u32,
        message: Option<u32>,
        flag: &str,
        set: bool,
        unchanged_since: Option<u64>,
    ) -> Attempt<Outcome> {
        let uid_validity = self.book.folder(folder).uid_validity;
        let (account, name) = (self.account, flag.to_string());
        let what = What::Store { account, folder, uid_validity, uid, message, flag: name, set, unchanged_since };
        let condition = unchanged_since.map(|m| format!(" (UNCHANGEDSINCE {m})")).unwrap_or_default();
        let sign = if set { '+' } else { '-' };
        let command = format!("UID STORE {uid}{condition} {sign}FLAGS ({flag})");
        self.write(what, &command, |_, answer| {
            let modified = matches!(&answer.status.code, Some(Code::Modified(uids)) if uids.contains(&uid));
            // The command's own response comes first; later ones tell of later changes.
            let own = answer.fetches.iter().find(|items| items.uid == Some(uid) && items.flags.is_some());
            let after = own.filter(|_| !modified).and_then(seen).map(|now| Seen { message, ..now });
            Outcome::Done(Reply::Stored { modified, after })
        })
        .await
    }

    pub(super) async fn copy(&mut self, folder: u32, pick: u32, to: u32, moving: bool) -> Attempt {
        self.connect().await?;
        let Some((uid, Known { message, .. })) = self.pick(folder, pick).await? else { return Ok(()) };
        self.ensure(to).await?;
        self.open(folder).await?;
        let (account, uid_validity) = (self.account, self.book.folder(folder).uid_validity);
        let what = match moving {
            true => What::Move { account, folder, uid_validity, uid, message, to },
            false => What::Copy { account, folder, uid_validity, uid, message, to },
        };
        let command = format!("UID {} {uid} {}", if moving { "MOVE" } else { "COPY" }, folder_name(to));
        self.write(what, &command, |program, answer| {
            let copied = answer.codes.iter().find_map(|code| match code {
                Code::CopyUid(uid_validity, from, to) if from.as_slice() == [uid] && to.len() == 1 => {
                    Some(CopiedTo { uid_validity: *uid_validity, uid: to[0] })
                }
                _ => None,
            });
            if let Some(CopiedTo { uid_validity, uid: new }) = copied {
                program.told_target(to, uid_validity, new);
                if moving {
                    program.book.folder(folder).messages.remove(&uid);
                }
            }
            Outcome::Done(Reply::Copied { copied })
        })
        .await
        .map(drop)
    }

    /// `\Deleted`, then UID EXPUNGE.
    pub(super) async fn expunge(&mut self, folder: u32, pick: u32) -> Attempt {
        self.connect().await?;
        let Some((uid, Known { message, .. })) = self.pick(folder, pick).await? else { return Ok(()) };
        self.open(folder).await?;
        let marked = self.store_flag(folder, uid, message, "\\Deleted", true, None).await?;
        if !matches!(marked, Outcome::Done(Reply::Stored { after: Some(_), .. })) {
            return Ok(());
        }
        let (account, uid_validity) = (self.account, self.book.folder(folder).uid_validity);
        let what = What::Expunge { account, folder, uid_validity, uid, message };
        self.write(what, &format!("UID EXPUNGE {uid}"), |program, _| {
            // STORE has shown its number, so that the view knows whether it is still there.
            let view = program.session.as_ref().and_then(|session| session.view());
            Outcome::Done(Reply::Expunged { gone: view.is_some_and(|view| !view.has(uid)) })
        })
        .await
        .map(drop)
    }

    pub(super) async fn search(&mut self, folder: u32, of: u32) -> Attempt {
        self.connect().await?;
        self.open(folder).await?;
        let uid_validity = self.book.folder(folder).uid_validity;
        let what = What::Search { account: self.account, folder, uid_validity, of };
        let extended = world::draw(Stream::Workload, |r| r.below(2)) == 0;
        let how = if extended { "RETURN (ALL) " } else { "" };
        let history = self.shared.history.clone();
        let ticket = history.begin(self.client, self.op, what);
        history.sent_to(ticket, self.parts()?.0.node());
        let command = format!("UID SEARCH {how}HEADER Message-ID \"{}\"", message::message_id(of));
        let answer = self.run(&command).await?;
        if !answer.is_ok() {
            return Err(Trouble::Later(answer.status.text));
        }
        match answer.found {
            Some(uids) => {
                history.end(ticket, Outcome::Done(Reply::Found { uids: uids.into_iter().collect() }));
            }
            None => world::violate("protocol_errors_are_ours", "SEARCH was answered without a result"),
        }
        Ok(())
    }
}

/// A FETCH response that shows a message's whole state.
fn seen(items: &Items) -> Option<Seen> {
    let message = items.section.as_deref().and_then(message::id_in_header);
    Some(Seen { uid: items.uid?, message, flags: items.flags.clone()?, modseq: items.modseq? })
}

//! One connection to an IMAP server: commands, and every response held against what was told before.

use super::book::{Book, folder_name};
use super::frames::Frames;
use super::parse;
use super::response::{Code, Items, Kind, Response, Status};
use super::view::{Broken, Doing, View};
use crate::clients::message;
use crate::clients::servers::Servers;
use crate::clients::wire::{Lost, Wire, within};
use crate::world;
use std::time::Duration;

/// How long a node may take to accept a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long a command may take. Servers give up sooner: they say NO.
pub const COMMAND_MAX: Duration = Duration::from_secs(30);

/// A signed-in connection.
pub struct Session {
    wire: Wire,
    tag: u32,
    view: Option<View>,
}

/// What a command brought.
#[derive(Debug)]
pub struct Answer {
    /// Its end.
    pub status: Status,
    /// Response codes of untagged responses, and last the tagged one's.
    pub codes: Vec<Code>,
    /// FETCH responses in order of arrival.
    pub fetches: Vec<Items>,
    /// The result of SEARCH.
    pub found: Option<Vec<u32>>,
    /// The result of STATUS.
    pub mailbox: Vec<(String, u64)>,
}

impl Answer {
    fn new() -> Self {
        let status = Status { kind: Kind::Bye, code: None, text: String::new() };
        Answer { status, codes: Vec::new(), fetches: Vec::new(), found: None, mailbox: Vec::new() }
    }
    /// Whether the command was carried out.
    pub fn is_ok(&self) -> bool {
        self.status.kind == Kind::Ok
    }
    /// A number that STATUS told.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.mailbox.iter().find(|(n, _)| n == name).map(|(_, value)| *value)
    }
}

/// What became of an attempt to sign in.
pub enum SignIn {
    /// It is done.
    In(Box<Session>),
    /// The server refused; its words.
    Refused(Status),
    /// The connection failed.
    Lost(Lost),
}

/// Connects to `node` and signs in.
pub async fn sign_in(servers: &dyn Servers, book: &mut Book, node: u32, user: &str, password: &str) -> SignIn {
    let opening = async { servers.imap(node).await.map_err(|_| Lost::Refused) };
    let stream = match within(CONNECT_MAX, opening).await {
        Ok(stream) => stream,
        Err(lost) => return SignIn::Lost(lost),
    };
    let wire = Wire::new(node, stream, Frames::imap());
    let mut session = Box::new(Session { wire, tag: 0, view: None });
    match session.introduce(book, user, password).await {
        Ok(status) if status.kind == Kind::Ok => SignIn::In(session),
        Ok(status) => SignIn::Refused(status),
        Err(lost) => SignIn::Lost(lost),
    }
}

impl Session {
    /// The node at the other end.
    pub fn node(&self) -> u32 {
        self.wire.node
    }

    /// The selected folder.
    pub fn view(&self) -> Option<&View> {
        self.view.as_ref()
    }

    async fn introduce(&mut self, book: &mut Book, user: &str, password: &str) -> Result<Status, Lost> {
        let greeting = within(COMMAND_MAX, self.wire.next(parse::response)).await?;
        match greeting {
            Response::Untagged(Status { kind: Kind::Ok, .. }) => {}
            Response::Untagged(status) => return Err(Lost::Bye(status.text)),
            other => return Err(self.nonsense(&format!("the greeting is {other:?}"))),
        }
        let answer = self.run(book, &format!("LOGIN {user} {password}"), Doing::Other).await?;
        if !answer.is_ok() {
            return Ok(answer.status);
        }
        Ok(self.run(book, "ENABLE CONDSTORE", Doing::Other).await?.status)
    }

    /// Hears what has come without being asked for; finds out whether the server is gone already.
    ///
    /// # Errors
    /// When it is.
    pub fn listen(&mut self, book: &mut Book) -> Result<(), Lost> {
        let mut answer = Answer::new();
        while let Some(response) = self.wire.buffered(parse::response)? {
            self.hear(book, response, Doing::Nothing, &mut answer)?;
        }
        Ok(())
    }

    /// The same, after looking at the connection.
    ///
    /// # Errors
    /// When the server is gone.
    pub async fn poke(&mut self, book: &mut Book) -> Result<(), Lost> {
        let looked = self.wire.look().await;
        self.listen(book)?;
        looked
    }

    /// A command and what it brings.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn run(&mut self, book: &mut Book, command: &str, doing: Doing) -> Result<Answer, Lost> {
        let tag = self.next_tag();
        let line = format!("{tag} {command}\r\n");
        within(COMMAND_MAX, async {
            self.listen(book)?;
            self.wire.send(line.as_bytes()).await?;
            let answer = self.finish(book, &tag, doing).await?;
            self.check_bad(&answer, command);
            Ok(answer)
        })
        .await
    }

    /// SELECT.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn select(&mut self, book: &mut Book, folder: u32) -> Result<Answer, Lost> {
        self.listen(book)?;
        self.view = Some(View::new(folder));
        let answer = self.run(book, &format!("SELECT {}", folder_name(folder)), Doing::Other).await?;
        if !answer.is_ok() {
            self.view = None;
            return Ok(answer);
        }
        let Some(view) = &mut self.view else { return Ok(answer) };
        let memory = book.folder(folder);
        let mut broken = view.complete();
        broken = broken.and_then(|()| memory.told_validity(view.uid_validity));
        broken = broken.and_then(|()| memory.told_position(view.uid_next, view.highest_modseq));
        self.judge(book, broken)?;
        Ok(answer)
    }

    /// Begins APPEND: sends the command, and when `waits` waits until the server asks for the message. An answer at
    /// this point is a refusal.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn begin_append(
        &mut self,
        book: &mut Book,
        folder: u32,
        size: usize,
        waits: bool,
    ) -> Result<Option<Answer>, Lost> {
        let tag = self.next_tag();
        let plus = if waits { "" } else { "+" };
        let command = format!("APPEND {} {{{size}{plus}}}", folder_name(folder));
        within(COMMAND_MAX, async {
            self.listen(book)?;
            self.wire.send(format!("{tag} {command}\r\n").as_bytes()).await?;
            if !waits {
                return Ok(None);
            }
            let refused = self.until_asked(book, &tag).await?;
            if let Some(answer) = &refused {
                self.check_bad(answer, &command);
            }
            Ok(refused)
        })
        .await
    }

    /// Sends the message of APPEND.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn end_append(&mut self, book: &mut Book, message: &[u8]) -> Result<Answer, Lost> {
        let tag = format!("t{}", self.tag);
        within(COMMAND_MAX, async {
            self.wire.send(&[message, b"\r\n"].concat()).await?;
            let answer = self.finish(book, &tag, Doing::Other).await?;
            self.check_bad(&answer, "APPEND");
            Ok(answer)
        })
        .await
    }

    /// Begins IDLE; an answer is a refusal.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn begin_idle(&mut self, book: &mut Book) -> Result<Option<Answer>, Lost> {
        let tag = self.next_tag();
        within(COMMAND_MAX, async {
            self.listen(book)?;
            self.wire.send(format!("{tag} IDLE\r\n").as_bytes()).await?;
            self.until_asked(book, &tag).await
        })
        .await
    }

    /// Waits for a response while idle, and says how many messages there are after it.
    ///
    /// # Errors
    /// Why there will be none.
    pub async fn idle(&mut self, book: &mut Book) -> Result<u32, Lost> {
        let response = self.wire.next(parse::response).await?;
        if matches!(response, Response::Tagged(..)) {
            return Err(self.nonsense("IDLE ended by itself"));
        }
        self.hear(book, response, Doing::Other, &mut Answer::new())?;
        Ok(self.view.as_ref().map_or(0, View::exists))
    }

    /// Ends IDLE.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn end_idle(&mut self, book: &mut Book) -> Result<Answer, Lost> {
        let tag = format!("t{}", self.tag);
        within(COMMAND_MAX, async {
            self.wire.send(b"DONE\r\n").await?;
            let answer = self.finish(book, &tag, Doing::Other).await?;
            self.check_bad(&answer, "IDLE");
            Ok(answer)
        })
        .await
    }

    fn next_tag(&mut self) -> String {
        self.tag += 1;
        format!("t{}", self.tag)
    }

    /// Reads up to the continuation (nothing) or the end of the command.
    async fn until_asked(&mut self, book: &mut Book, tag: &str) -> Result<Option<Answer>, Lost> {
        let mut answer = Answer::new();
        loop {
            match self.wire.next(parse::response).await? {
                Response::Continue => return Ok(None),
                response => {
                    if self.hear_for(book, tag, response, Doing::Other, &mut answer)? {
                        return Ok(Some(answer));
                    }
                }
            }
        }
    }

    /// Reads up to the end of the command.
    async fn finish(&mut self, book: &mut Book, tag: &str, doing: Doing) -> Result<Answer, Lost> {
        let mut answer = Answer::new();
        loop {
            let response = self.wire.next(parse::response).await?;
            if self.hear_for(book, tag, response, doing, &mut answer)? {
                return Ok(answer);
            }
        }
    }

    /// Takes a response in; whether it was the end of the command.
    fn hear_for(
        &mut self,
        book: &mut Book,
        tag: &str,
        response: Response,
        doing: Doing,
        answer: &mut Answer,
    ) -> Result<bool, Lost> {
        match response {
            Response::Tagged(of, status) if of == tag => {
                answer.codes.extend(status.code.clone());
                answer.status = status;
                Ok(true)
            }
            other => self.hear(book, other, doing, answer).map(|()| false),
        }
    }

    fn hear(&mut self, book: &mut Book, response: Response, doing: Doing, answer: &mut Answer) -> Result<(), Lost> {
        let broken = match response {
            Response::Tagged(tag, _) => return Err(self.nonsense(&format!("an answer to {tag}, which is not open"))),
            Response::Continue => return Err(self.nonsense("a continuation that was not asked for")),
            Response::Untagged(Status { kind: Kind::Bye, text, .. }) => return Err(Lost::Bye(text)),
            Response::Untagged(status) => {
                if let Some(code) = status.code {
                    self.told_code(&code);
                    answer.codes.push(code);
                }
                Ok(())
            }
            Response::Exists(number) => self.view_mut("EXISTS").and_then(|view| view.told_exists(number)),
            Response::Expunge(number) => self.told_expunge(book, number, doing),
            Response::Fetch(number, items) => self.told_fetch(book, number, items, answer),
            Response::Found(uids) => {
                answer.found = Some(uids);
                Ok(())
            }
            Response::Status(values) => {
                answer.mailbox = values;
                Ok(())
            }
            Response::Recent(_) | Response::Other(_) => Ok(()),
        };
        self.judge(book, broken)
    }

    fn view_mut(&mut self, what: &str) -> Result<&mut View, String> {
        self.view.as_mut().ok_or_else(|| format!("{what} without a selected folder"))
    }

    fn told_code(&mut self, code: &Code) {
        let Some(view) = &mut self.view else { return };
        match code {
            Code::UidValidity(value) => view.uid_validity = *value,
            Code::UidNext(value) => view.uid_next = *value,
            Code::HighestModSeq(value) => view.highest_modseq = *value,
            _ => {}
        }
    }

    fn told_expunge(&mut self, book: &mut Book, number: u32, doing: Doing) -> Broken {
        let view = self.view_mut("EXPUNGE")?;
        if let Some(uid) = view.told_expunge(number, doing)? {
            book.folder(view.folder).messages.remove(&uid);
        }
        Ok(())
    }

    fn told_fetch(&mut self, book: &mut Book, number: u32, items: Items, answer: &mut Answer) -> Broken {
        let view = self.view_mut("FETCH")?;
        view.told_fetch(number, &items)?;
        let message = items.section.as_deref().and_then(message::id_in_header);
        book.folder(view.folder).told_fetch(&items, message)?;
        answer.fetches.push(items);
        Ok(())
    }

    /// Ends the run when the server broke a promise.
    fn judge(&self, book: &Book, broken: Broken) -> Result<(), Lost> {
        let Err(why) = broken else { return Ok(()) };
        let folder = self.view.as_ref().map_or("no folder", |view| folder_name(view.folder));
        let (client, node) = (book.client, self.node());
        world::violate("imap_views_are_consistent", format!("client {client} at node {node} in {folder}: {why}"));
        Err(Lost::Nonsense)
    }

    /// Our commands are all good ones: a BAD is the server's fault.
    fn check_bad(&self, answer: &Answer, command: &str) {
        if answer.status.kind == Kind::Bad {
            let text = format!("node {} answered {command} with BAD {}", self.node(), answer.status.text);
            world::violate("protocol_errors_are_ours", text);
        }
    }

    fn nonsense(&self, why: &str) -> Lost {
        world::violate("protocol_errors_are_ours", format!("node {} sent {why}", self.node()));
        Lost::Nonsense
    }
}

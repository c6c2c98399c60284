//! Carrying out commands.

use crate::call::Call;
use crate::reply::Reply;
use crate::{Outcome, commands, left_out, lines, table, usage};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zcluster_api::directory::{Account, AccountBy, Object, ObjectBy, ObjectKind};
use zcluster_api::{AccountId, Actor, DirectoryApi, DirectoryQuery, Freshness, MailboxApi};
use zcluster_directory::gal::ExternalBook;
use zcluster_directory::{Directory, Failure};

/// What the commands work on.
pub struct Prov {
    /// The directory.
    pub(crate) directory: Directory,
    /// The mailboxes.
    pub(crate) mailboxes: Arc<dyn MailboxApi>,
    /// On whose behalf.
    pub(crate) actor: Actor,
    /// Address lists of other directories.
    pub(crate) book: Option<Arc<dyn ExternalBook>>,
}

/// Lines to carry out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Commands with their arguments.
    pub lines: Vec<Vec<String>>,
    /// Where the first line's listing goes on ([`Reply::more`]).
    #[serde(default)]
    pub page: Option<String>,
    /// A random word that the lines' ids are made from: sent once more with it, a line makes nothing twice. None: fresh ids.
    #[serde(default)]
    pub key: Option<String>,
    /// Lines that were sent under this key before the first of these.
    #[serde(default)]
    pub first: usize,
    /// The lines were sent before, and no answer came: what is found done already is taken as done.
    #[serde(default)]
    pub again: bool,
}

/// What became of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineOutcome {
    /// Carried out.
    Done(Reply),
    /// Refused.
    Refused {
        /// Zimbra's code, or [`crate::USAGE`].
        code: String,
        /// For people.
        text: String,
    },
}

impl From<Outcome> for LineOutcome {
    fn from(outcome: Outcome) -> LineOutcome {
        match outcome {
            Ok(reply) => LineOutcome::Done(reply),
            Err(Failure { code, text }) => LineOutcome::Refused { code, text },
        }
    }
}

impl Request {
    /// The id of what a line makes.
    pub(crate) fn id(&self, line: usize) -> AccountId {
        let Some(key) = &self.key else { return zcluster_directory::fresh_id() };
        let hash = blake3::hash(format!("{} {key}", self.first + line).as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.as_bytes()[..16]);
        bytes[6] = (bytes[6] & 0x0F) | 0x40;
        bytes[8] = (bytes[8] & 0x3F) | 0x80;
        AccountId(bytes)
    }
}

impl Prov {
    /// Over the APIs. An administrator looks at what he has just changed through another node: reads are recent.
    pub fn new(directory: Arc<dyn DirectoryApi>, mailboxes: Arc<dyn MailboxApi>, actor: Actor) -> Prov {
        Prov { directory: Directory::new(directory, Freshness::Recent), mailboxes, actor, book: None }
    }

    /// With the address lists of other directories, for domains that name some.
    #[must_use]
    pub fn with_book(self, book: Arc<dyn ExternalBook>) -> Prov {
        Prov { book: Some(book), ..self }
    }

    /// Carries out one command: its name (or alias) and arguments.
    ///
    /// # Errors
    /// See [`Failure`]; [`crate::USAGE`] when the call is not as the command wants it.
    pub async fn run(&self, args: &[String]) -> Outcome {
        let call = Self::call(args, zcluster_directory::fresh_id())?;
        self.carry_out(&call).await
    }

    /// Carries out the lines, one after the other as far as they depend on each other. Ends early behind a line whose
    /// answer has further pages: the caller fetches those first; and before a line whose outcome is not known, since the
    /// directory could not be reached: the caller sends it and what follows [`again`](Request::again).
    ///
    /// # Errors
    /// Too many lines.
    pub async fn run_lines(&self, request: &Request) -> Result<Vec<LineOutcome>, Failure> {
        // One barrier for all of them: after it this node's replica holds what others wrote before, and of what these lines
        // write it is told before they are answered.
        self.config().await?;
        let directory = self.directory.with_freshness(Freshness::Local);
        let (mailboxes, book) = (self.mailboxes.clone(), self.book.clone());
        let local = Prov { directory, mailboxes, actor: self.actor, book };
        lines::run(&local, request).await
    }

    pub(crate) fn call(args: &[String], fresh: AccountId) -> Result<Call<'_>, Failure> {
        let (verb, args) = args.split_first().map_or(("help", &[][..]), |(verb, args)| (verb.as_str(), args));
        let Some(command) = table::find(verb) else {
            return Err(usage(format!("unknown command {verb:?}: `help commands` lists the commands")));
        };
        if let Some(why) = left_out::why(command.name) {
            return Err(Failure::new("service.UNSUPPORTED", format!("{}: {why}", command.name)));
        }
        Call::new(command, args, fresh)
    }

    pub(crate) async fn carry_out(&self, call: &Call<'_>) -> Outcome {
        match commands::handler(call.command.name) {
            Some(handler) => handler(self, call).await,
            None => Err(Failure::new("service.UNSUPPORTED", format!("{} is not there", call.command.name))),
        }
    }

    /// An account or resource by address, alias or id, with what it inherits.
    ///
    /// # Errors
    /// `account.NO_SUCH_ACCOUNT`; the directory cannot be read.
    pub async fn account(&self, name: &str) -> Result<Account, Failure> {
        let id = self.person(name).await?.id;
        self.full_account(id).await
    }

    /// The same without.
    pub(crate) async fn person(&self, name: &str) -> Result<Object, Failure> {
        self.named(&[ObjectKind::Account, ObjectKind::Resource], None, name).await
    }

    /// A person as whom the caller may act: who may see and change what belongs to him.
    pub(crate) async fn acted_as(&self, name: &str) -> Result<Object, Failure> {
        let account = self.person(name).await?;
        self.directory.require_acting(self.actor, &account).await?;
        Ok(account)
    }

    /// An entry that the caller names.
    pub(crate) async fn named(
        &self,
        kinds: &[ObjectKind],
        parent: Option<AccountId>,
        name: &str,
    ) -> Result<Object, Failure> {
        self.directory.named_for(self.actor, kinds, parent, name).await
    }

    /// Refuses what no right gives to a delegated administrator.
    pub(crate) fn global_only(&self, what: &str) -> Result<(), Failure> {
        match self.actor {
            Actor::System | Actor::Admin(_) => Ok(()),
            Actor::Account(_) | Actor::Delivery => {
                Err(Failure::denied(format!("permission denied: {what} is for global administrators")))
            }
        }
    }

    /// An account with what it inherits, as services see it.
    pub(crate) async fn full_account(&self, id: AccountId) -> Result<Account, Failure> {
        let read = self.directory.api().read(DirectoryQuery::Account(AccountBy::Id(id)), Freshness::Recent).await;
        Ok(read.map_err(|e| Failure::of(&e, ObjectKind::Account, &id.to_string()))?.into_account()?)
    }

    /// The global config.
    pub(crate) async fn config(&self) -> Result<Object, Failure> {
        self.directory.find(ObjectBy::Name { kind: ObjectKind::Config, name: String::new(), parent: None }).await
    }
}

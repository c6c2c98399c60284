//! The interpreter: walks a program's tree, spends the budget, collects actions.

mod actions;
mod duplicate;
mod headers;
mod include;
mod notify;
mod parts;
mod tests;
mod vacation;
mod values;
mod variables;

use crate::budget::Budget;
use crate::compile::{Program, Script};
use crate::context::{Context, Location};
use crate::diagnostic::Pos;
use crate::limits::Limits;
use crate::mail::{Field, Mail, Node};
use crate::outcome::{Action, Failure, Outcome, Remember, RuntimeError};
use crate::program::{Stmt, StmtKind};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use zcluster_api::Bytes;

/// What SMTP or LMTP said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// `MAIL FROM`, without `<>`; empty: the null sender.
    pub from: String,
    /// `RCPT TO` as it is delivered: the owner's address, perhaps with a detail.
    pub to: String,
    /// `ORCPT`'s address, or what `to` was before it was rewritten.
    pub orig_to: Option<String>,
    /// Who had authenticated (RFC 4954 AUTH=).
    pub auth: Option<String>,
}

/// Runs one script for one message and one recipient.
pub fn run(script: &Script, raw: &Bytes, envelope: &Envelope, context: &dyn Context, limits: &Limits) -> Outcome {
    run_sequence(std::slice::from_ref(script), raw, envelope, context, limits)
}

/// Runs several scripts, such as the administrator's before and after the owner's. The next one runs if after the one
/// before the message would be stored in INBOX, by the implicit keep or by `keep`; an explicit `keep` of one script then
/// is what the next one's implicit keep would be. Edits, flags, actions and limits carry over; variables do not.
pub fn run_sequence(
    scripts: &[Script],
    raw: &Bytes,
    envelope: &Envelope,
    context: &dyn Context,
    limits: &Limits,
) -> Outcome {
    let mut runner = Runner::new(raw, envelope, context, limits);
    for (number, script) in scripts.iter().enumerate() {
        let before = (runner.actions.clone(), runner.remember.clone());
        runner.frames = vec![Frame::default()];
        runner.globals.clear();
        runner.count_variables();
        match runner.whole(&script.0) {
            Ok(()) => {}
            Err(failure) => {
                let error = runner.placed(failure, Pos { line: 1, column: 1 });
                return runner.failed(before, RuntimeError { number, ..error });
            }
        }
        let inbox = runner.implicit_keep || runner.actions.iter().any(|a| matches!(a, Action::Keep { .. }));
        if !inbox {
            break;
        }
    }
    match runner.finished() {
        Ok(outcome) => outcome,
        Err((runner, error)) => runner.failed((Vec::new(), Vec::new()), error),
    }
}

/// What comes after a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Next,
    Stop,
    Return,
    /// Out of the loop of that name, or the innermost one.
    Break(Option<String>),
}

/// A script being run: the outermost one, or one that is included.
#[derive(Default)]
pub(crate) struct Frame {
    script: Option<(Location, String)>,
    variables: BTreeMap<String, String>,
    /// Names that `global` made mean the global variable.
    global_names: BTreeSet<String>,
    /// `${0}`, `${1}`, ...
    captures: Vec<String>,
}

/// A `foreverypart` loop being run.
pub(crate) struct Loop {
    nodes: Rc<Vec<Node>>,
    index: usize,
    /// The part was replaced: what was inside is no more.
    replaced: bool,
}

pub(crate) struct Runner<'a> {
    context: &'a dyn Context,
    envelope: &'a Envelope,
    limits: &'a Limits,
    budget: Budget,
    mail: Mail,
    /// The header as it came: what replies go by (RFC 5293 §6).
    original_fields: Vec<Field>,
    frames: Vec<Frame>,
    globals: BTreeMap<String, String>,
    variable_bytes: usize,
    /// imap4flags' internal variable.
    flags: Vec<String>,
    actions: Vec<Action>,
    implicit_keep: bool,
    remember: Vec<Remember>,
    /// Answers of `duplicate` in this run.
    asked: BTreeMap<[u8; 32], bool>,
    vacation_said: bool,
    includes: usize,
    included: BTreeSet<(Location, String)>,
    header_edits: usize,
    loops: Vec<Loop>,
}

pub(crate) type Run<T> = Result<T, Failure>;

impl<'a> Runner<'a> {
    fn new(raw: &Bytes, envelope: &'a Envelope, context: &'a dyn Context, limits: &'a Limits) -> Self {
        let mail = Mail::new(raw);
        Runner {
            context,
            envelope,
            limits,
            budget: Budget::new(limits.instructions),
            original_fields: mail.fields.clone(),
            mail,
            frames: Vec::new(),
            globals: BTreeMap::new(),
            variable_bytes: 0,
            flags: Vec::new(),
            actions: Vec::new(),
            implicit_keep: true,
            remember: Vec::new(),
            asked: BTreeMap::new(),
            vacation_said: false,
            includes: 0,
            included: BTreeSet::new(),
            header_edits: 0,
            loops: Vec::new(),
        }
    }

    /// Runs a script to its end.
    fn whole(&mut self, program: &Program) -> Run<()> {
        let mark = self.loops.len();
        let flow = self.block(&program.body);
        self.loops.truncate(mark);
        flow?;
        self.mail.apply(self.limits)
    }

    fn placed(&self, failure: Failure, pos: Pos) -> RuntimeError {
        match failure {
            Failure::Placed(error) => *error,
            Failure::Error(message) => RuntimeError {
                script: self.frames.last().and_then(|f| f.script.as_ref()).map(|(_, name)| name.clone()),
                number: 0,
                line: pos.line,
                column: pos.column,
                message,
            },
        }
    }

    /// RFC 5228 §2.10.6: the message as it came goes into INBOX.
    fn failed(self, before: (Vec<Action>, Vec<Remember>), error: RuntimeError) -> Outcome {
        let (mut actions, remember) = before;
        if !actions.iter().any(|a| matches!(a, Action::Keep { .. })) {
            actions.push(Action::Keep { flags: Vec::new(), implicit: true, message: None });
        }
        Outcome { actions, remember, error: Some(error), instructions: self.budget.spent() }
    }

    #[allow(clippy::result_large_err)]
    fn finished(mut self) -> Result<Outcome, (Self, RuntimeError)> {
        if self.implicit_keep {
            let flags = self.flags.clone();
            if let Err(failure) = self.keep(flags, true) {
                let error = self.placed(failure, Pos { line: 1, column: 1 });
                return Err((self, error));
            }
        }
        let ends = |a: &Action| !matches!(a, Action::Vacation(_) | Action::Notify(_));
        if !self.actions.iter().any(ends) {
            self.actions.push(Action::Discard);
        }
        let instructions = self.budget.spent();
        Ok(Outcome { actions: self.actions, remember: self.remember, error: None, instructions })
    }

    fn frame(&mut self) -> &mut Frame {
        if self.frames.is_empty() {
            self.frames.push(Frame::default());
        }
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    pub(crate) fn block(&mut self, block: &[Stmt]) -> Run<Flow> {
        for stmt in block {
            let flow = self.budget.spend(1).and_then(|()| self.statement(stmt));
            let flow = flow.map_err(|f| Failure::Placed(Box::new(self.placed(f, stmt.pos))))?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn statement(&mut self, stmt: &Stmt) -> Run<Flow> {
        match &stmt.kind {
            StmtKind::If { arms, otherwise } => {
                for (test, block) in arms {
                    if self.test(test)? {
                        return self.block(block);
                    }
                }
                return self.block(otherwise);
            }
            StmtKind::Stop => return Ok(Flow::Stop),
            StmtKind::Return => return Ok(Flow::Return),
            StmtKind::Break { name } => return Ok(Flow::Break(name.clone())),
            StmtKind::ForEveryPart { name, body } => return self.for_every_part(name.as_deref(), body),
            StmtKind::Include { location, once, optional, name } => {
                return self.include(*location, *once, *optional, name);
            }
            StmtKind::Keep { flags } => {
                let flags = self.action_flags(flags.as_ref())?;
                self.keep(flags, false)?;
            }
            StmtKind::Discard => self.implicit_keep = false,
            StmtKind::FileInto { target, copy, flags } => self.file_into(target, *copy, flags.as_ref())?,
            StmtKind::Redirect { address, copy } => self.redirect(address, *copy)?,
            StmtKind::Reject { reason, ereject } => self.reject(reason, *ereject)?,
            StmtKind::Set { variable, modifiers, value } => {
                let value = self.expand(value)?;
                let value = self.modified(value, modifiers)?;
                self.assign(variable, value)?;
            }
            StmtKind::Flags { op, variable, flags } => self.flag_command(*op, variable.as_ref(), flags)?,
            StmtKind::Vacation(vacation) => self.vacation(vacation)?,
            StmtKind::Notify(notify) => self.notify(notify)?,
            StmtKind::Denotify { id, importance } => self.denotify(id.as_ref(), *importance)?,
            StmtKind::AddHeader { last, name, value } => self.add_header(*last, name, value)?,
            StmtKind::DeleteHeader { index, matching, name, values } => {
                self.delete_header(*index, matching, name, values.as_ref())?;
            }
            StmtKind::Global(names) => self.make_global(names)?,
            StmtKind::Replace { mime, subject, from, text } => {
                self.replace(*mime, subject.as_ref(), from.as_ref(), text)?;
            }
            StmtKind::Enclose { subject, headers, text } => self.enclose(subject.as_ref(), headers, text)?,
            StmtKind::ExtractText { modifiers, first, variable } => self.extract_text(modifiers, *first, variable)?,
            StmtKind::Raise(text) => return Err(Failure::Error(crate::notify_uri::one_line(&self.expand(text)?))),
            StmtKind::Bad(message) => return Err(Failure::Error(message.clone())),
        }
        Ok(Flow::Next)
    }
}

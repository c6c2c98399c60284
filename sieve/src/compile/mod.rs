//! Syntax tree to program: every name known, every argument of its type, every extension required.

mod actions;
mod loops;
mod reader;
mod replies;
mod tags;
mod tests;

pub(crate) use actions::PROTECTED_FIELDS;

use crate::context::Location;
use crate::diagnostic::{Diagnostic, Pos, Severity, shown};
use crate::extension::{Ext, ExtSet};
use crate::limits::Limits;
use crate::program::{Stmt, StmtKind, TestKind, TestNode};
use crate::syntax::{self, Command};
use crate::text::{self, Text, VarName};
use reader::Reader;
use std::sync::Arc;

/// A compiled script; a clone costs nothing.
#[derive(Clone, Debug)]
pub struct Script(pub(crate) Arc<Program>);

#[derive(Debug)]
pub(crate) struct Program {
    pub body: Vec<Stmt>,
    pub needs: Needs,
    pub warnings: Vec<Diagnostic>,
}

impl Script {
    /// What is doubtful about it.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.0.warnings
    }
    /// What a run of it may ask for. Scripts that it includes have needs of their own.
    pub fn needs(&self) -> &Needs {
        &self.0.needs
    }
}

/// What a run may ask of its [`crate::Context`], to be loaded before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// `mailbox_exists`, `special_use_exists`, `mailbox_by_id`.
    pub mailboxes: bool,
    /// `metadata`.
    pub metadata: bool,
    /// Scripts that it includes by a constant name, in order, each once.
    pub includes: Vec<(Location, String)>,
    /// It computes the name of some script that it includes.
    pub any_include: bool,
    /// `seen`.
    pub duplicate: bool,
    /// `spam_percent`, `virus`.
    pub verdicts: bool,
    /// `own_addresses`, `own_name`.
    pub owner: bool,
    /// `environment`.
    pub environment: bool,
}

/// Diagnostics of one script; the rest would not be read.
const DIAGNOSTICS_MAX: usize = 50;

/// Compiles a script.
///
/// # Errors
/// What is wrong with it, at least one error, warnings too, in the order of their places.
pub fn compile(source: &[u8], limits: &Limits) -> Result<Script, Vec<Diagnostic>> {
    let start = Pos { line: 1, column: 1 };
    if source.len() > limits.script_bytes {
        let text = format!("the script has {} bytes; {} are allowed", source.len(), limits.script_bytes);
        return Err(vec![Diagnostic::error(start, text)]);
    }
    let source = match std::str::from_utf8(source) {
        Ok(source) => source,
        Err(e) => {
            let before = String::from_utf8_lossy(source.get(..e.valid_up_to()).unwrap_or_default()).into_owned();
            let line = before.matches('\n').count() as u32 + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() as u32 + 1;
            return Err(vec![Diagnostic::error(Pos { line, column }, "the script is not UTF-8 here")]);
        }
    };
    let commands = syntax::parse(source, limits).map_err(|d| vec![d])?;
    let mut compiler = Compiler::new(limits);
    let body = compiler.script(&commands);
    let Compiler { mut diagnostics, needs, .. } = compiler;
    diagnostics.sort_by_key(|d| (d.line, d.column));
    if diagnostics.iter().any(|d| d.severity == Severity::Error) {
        return Err(diagnostics);
    }
    Ok(Script(Arc::new(Program { body, needs, warnings: diagnostics })))
}

/// Why something does not compile.
pub(crate) struct Bad {
    diagnostic: Diagnostic,
    /// An extension is missing: `ihave` may keep it from being reached (RFC 5463 §4).
    deferrable: bool,
}

pub(crate) type Result1<T> = Result<T, Bad>;

pub(crate) fn bad<T>(pos: Pos, message: impl Into<String>) -> Result1<T> {
    Err(Bad { diagnostic: Diagnostic::error(pos, message), deferrable: false })
}

fn unknown<T>(pos: Pos, message: impl Into<String>) -> Result1<T> {
    Err(Bad { diagnostic: Diagnostic::error(pos, message), deferrable: true })
}

pub(crate) struct Compiler<'l> {
    limits: &'l Limits,
    extensions: ExtSet,
    needs: Needs,
    diagnostics: Vec<Diagnostic>,
    /// Regular expressions compiled so far.
    regexes: usize,
    /// Names of the `foreverypart` loops around.
    loops: Vec<Option<String>>,
}

impl<'l> Compiler<'l> {
    fn new(limits: &'l Limits) -> Self {
        Compiler {
            limits,
            extensions: ExtSet::default(),
            needs: Needs::default(),
            diagnostics: Vec::new(),
            regexes: 0,
            loops: Vec::new(),
        }
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        if self.diagnostics.len() < DIAGNOSTICS_MAX {
            self.diagnostics.push(diagnostic);
        }
    }

    fn has(&self, ext: Ext) -> bool {
        self.extensions.contains(ext)
    }

    /// Asks for a `require`.
    fn need(&self, ext: Ext, pos: Pos, what: &str) -> Result1<()> {
        self.need_any(&[ext], pos, what)
    }

    fn need_any(&self, any: &[Ext], pos: Pos, what: &str) -> Result1<()> {
        if any.iter().any(|e| self.has(*e)) {
            return Ok(());
        }
        let names: Vec<String> = any.iter().map(|e| format!("\"{}\"", e.name())).collect();
        unknown(pos, format!("`{what}` needs `require {};` at the top of the script", names.join(" or ")))
    }

    /// The error itself, or with `ihave` what to do when it is reached.
    fn defer(&mut self, error: Bad) -> Option<String> {
        if error.deferrable && self.has(Ext::Ihave) {
            let Diagnostic { message, .. } = error.diagnostic.clone();
            self.report(Diagnostic { severity: Severity::Warning, ..error.diagnostic });
            return Some(message);
        }
        self.report(error.diagnostic);
        None
    }

    fn script(&mut self, commands: &[Command]) -> Vec<Stmt> {
        let requires = commands.iter().take_while(|c| c.name == "require").count();
        let (head, rest) = commands.split_at(requires);
        for command in head {
            if let Err(e) = self.require(command) {
                self.report(e.diagnostic);
            }
        }
        if let Some(first) = head.first()
            && self.has(Ext::Enotify)
            && self.has(Ext::Notify)
        {
            let text = "\"notify\" and \"enotify\" cannot be required together: both are named `notify`";
            self.report(Diagnostic::error(first.pos, text));
        }
        self.block(rest)
    }

    fn require(&mut self, command: &Command) -> Result1<()> {
        let mut reader = Reader::command(command)?;
        for (pos, name) in reader.list("the names of extensions")? {
            match Ext::named(&name) {
                Some(ext) => self.extensions.insert(ext),
                None => {
                    let text = format!("the extension \"{}\" is not supported", shown(&name));
                    self.report(Diagnostic::error(pos, text));
                }
            }
        }
        reader.end()
    }

    fn block(&mut self, commands: &[Command]) -> Vec<Stmt> {
        let mut out = Vec::new();
        let mut rest = commands;
        while let Some((command, mut after)) = rest.split_first() {
            let kind = match command.name.as_str() {
                "if" => {
                    let more = after.iter().take_while(|c| c.name == "elsif").count();
                    let arms = &rest[..=more];
                    after = after.get(more..).unwrap_or_default();
                    let otherwise = after.first().filter(|c| c.name == "else");
                    if otherwise.is_some() {
                        after = after.get(1..).unwrap_or_default();
                    }
                    self.condition(arms, otherwise)
                }
                "elsif" | "else" => bad(command.pos, format!("`{}` must follow an `if`'s block", command.name)),
                "require" => bad(command.pos, "`require` must stand before all other commands"),
                _ => self.command(command),
            };
            match kind {
                Ok(kind) => out.push(Stmt { pos: command.pos, kind }),
                Err(e) => {
                    if let Some(message) = self.defer(e) {
                        out.push(Stmt { pos: command.pos, kind: StmtKind::Bad(message) });
                    }
                }
            }
            rest = after;
        }
        out
    }

    fn condition(&mut self, arms: &[Command], otherwise: Option<&Command>) -> Result1<StmtKind> {
        let mut compiled = Vec::new();
        for arm in arms {
            let test = match (arm.arguments.list.first(), arm.arguments.tests.as_slice(), arm.arguments.test_list) {
                (Some(argument), _, _) => bad(argument.pos, format!("a test must follow `{}`", arm.name)),
                (None, [test], false) => Ok(self.test(test)),
                (None, [], _) => bad(arm.arguments.end, format!("a test must follow `{}`", arm.name)),
                _ => bad(arm.pos, "several tests need `allof` or `anyof` before them"),
            };
            let test = test.unwrap_or_else(|e| {
                self.report(e.diagnostic);
                TestNode { pos: arm.pos, kind: TestKind::Constant(false) }
            });
            let block = self.inner(arm);
            compiled.push((test, block));
        }
        let mut last = Vec::new();
        if let Some(command) = otherwise {
            let arguments = &command.arguments;
            if let Some(pos) = arguments.list.first().map(|a| a.pos).or(arguments.tests.first().map(|t| t.pos)) {
                self.report(Diagnostic::error(pos, "nothing may stand between `else` and its block"));
            }
            last = self.inner(command);
        }
        Ok(StmtKind::If { arms: compiled, otherwise: last })
    }

    /// The block of a command that must have one.
    fn inner(&mut self, command: &Command) -> Vec<Stmt> {
        match &command.block {
            Some(block) => self.block(block),
            None => {
                let text = format!("a block must follow `{}`", command.name);
                self.report(Diagnostic::error(command.arguments.end, text));
                Vec::new()
            }
        }
    }

    /// A string, its references found.
    fn text(&self, pos: Pos, source: &str) -> Result1<Text> {
        let text = self.constant(pos, source)?;
        if !self.has(Ext::Variables) {
            return Ok(Text::literal(&text));
        }
        text::with_variables(&text, self.has(Ext::Include)).or_else(|e| bad(pos, e))
    }

    /// A string that must not depend on the run.
    fn constant(&self, pos: Pos, source: &str) -> Result1<String> {
        if !self.has(Ext::EncodedCharacter) {
            return Ok(source.to_string());
        }
        text::decode_characters(source).or_else(|e| bad(pos, e))
    }

    fn texts(&self, list: Vec<(Pos, String)>) -> Result1<Vec<Text>> {
        list.iter().map(|(pos, text)| self.text(*pos, text)).collect()
    }

    fn variable(&self, pos: Pos, name: &str) -> Result1<VarName> {
        self.need(Ext::Variables, pos, "a variable")?;
        text::variable_name(&self.constant(pos, name)?, self.has(Ext::Include)).or_else(|e| bad(pos, e))
    }
}

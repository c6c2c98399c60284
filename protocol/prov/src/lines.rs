//! Many lines at once.
//!
//! What costs time is made to cost it once: passwords are hashed side by side before anything else, and changes that do not
//! depend on each other go to the directory together. A line that speaks of what an earlier one changes waits for it.

use crate::Outcome;
use crate::call::Call;
use crate::commands;
use crate::passwords::{self, Hashed};
use crate::prov::{LineOutcome, Prov, Request};
use crate::reply::Reply;
use futures::stream::{self, StreamExt};
use zcluster_api::directory::{ObjectBy, ObjectKind};
use zcluster_api::{AccountId, DirectoryCommand, Error};
use zcluster_directory::Failure;

/// Lines of one request at most.
pub const LINES_MAX: usize = 1_000;
/// Hashes computed at a time: more than a machine has processors; the blocking threads share them out.
const HASHES_AT_A_TIME: usize = 16;
/// Changes that go to the directory together.
const TOGETHER_MAX: usize = 250;

/// A change that is checked and not carried out yet.
pub(crate) struct Prepared {
    /// Nothing, if there is nothing to change.
    pub command: Option<DirectoryCommand>,
    /// The answer, if it goes well.
    pub reply: Reply,
    /// What it is about, for what failures say.
    pub kind: ObjectKind,
    /// Which.
    pub name: String,
    /// The entry that it makes or changes.
    pub id: AccountId,
    /// Names that it uses or gives away, in lower case.
    pub names: Vec<String>,
    /// Whether it was checked by counting what is there: it must not wait beside others that count.
    pub alone: bool,
}

impl Prepared {
    /// What became of it.
    pub async fn finish(&self, prov: &Prov, call: &Call<'_>, error: Option<Error>) -> Outcome {
        let Some(error) = error else { return Ok(self.reply.clone()) };
        let failure = Failure::of(&error, self.kind, &self.name);
        if is_done_already(prov, call, self, &error).await { Ok(self.reply.clone()) } else { Err(failure) }
    }
}

/// Whether an earlier sending of the same line was carried out.
async fn is_done_already(prov: &Prov, call: &Call<'_>, prepared: &Prepared, error: &Error) -> bool {
    let command = prepared.command.as_ref();
    match (error, command) {
        // Nobody else draws this id.
        (
            Error::Exists(_),
            Some(DirectoryCommand::CreateAccount { id, .. } | DirectoryCommand::CreateEntry { id, .. }),
        ) => *id == call.fresh && prov.directory.find(ObjectBy::Id(*id)).await.is_ok(),
        (Error::Exists(_), Some(DirectoryCommand::AddAlias { id, alias })) => {
            let owner = prov.directory.find(ObjectBy::Address(alias.clone())).await;
            call.again && owner.is_ok_and(|o| o.id == *id && !o.name.eq_ignore_ascii_case(alias))
        }
        (
            Error::NotFound(_),
            Some(
                DirectoryCommand::RemoveAlias { .. }
                | DirectoryCommand::DeleteAccount(_)
                | DirectoryCommand::DeleteEntry(_),
            ),
        ) => call.again,
        _ => false,
    }
}

impl Prov {
    /// Carries out a prepared change by itself.
    pub(crate) async fn carry_out_prepared(&self, call: &Call<'_>, prepared: Result<Prepared, Failure>) -> Outcome {
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(failure) => return taken_as_done(call, failure),
        };
        let Some(command) = prepared.command.clone() else { return Ok(prepared.reply) };
        let outcomes = self.directory.batch(vec![command]).await?;
        prepared.finish(self, call, outcomes.into_iter().next().flatten()).await
    }
}

/// What was to be removed and is not there: if the line was sent before, it did that.
fn taken_as_done(call: &Call<'_>, failure: Failure) -> Outcome {
    let removes = call.command.name.starts_with("delete");
    if call.again && removes && failure.code.contains("NO_SUCH") { Ok(Reply::default()) } else { Err(failure) }
}

/// Lines that wait to go to the directory together.
#[derive(Default)]
struct Pending<'a> {
    lines: Vec<(usize, Call<'a>, Prepared)>,
}

impl Pending<'_> {
    /// Whether a line speaks of what a waiting one changes.
    fn concerns(&self, prepared: &Prepared) -> bool {
        self.lines.iter().any(|(.., p)| p.id == prepared.id || p.names.iter().any(|n| prepared.names.contains(n)))
    }

    /// Whether one of a line's arguments names what a waiting one changes.
    fn is_named_in(&self, args: &[&str]) -> bool {
        self.lines.iter().any(|(.., p)| {
            args.iter().any(|a| p.names.iter().any(|n| n.eq_ignore_ascii_case(a)) || a.parse() == Ok(p.id))
        })
    }

    /// Carries them out; whether it is known what became of all of them.
    async fn flush(&mut self, prov: &Prov, outcomes: &mut [Option<LineOutcome>]) -> bool {
        let lines = std::mem::take(&mut self.lines);
        if lines.is_empty() {
            return true;
        }
        let commands = lines.iter().filter_map(|(.., p)| p.command.clone()).collect();
        match prov.directory.batch(commands).await {
            Ok(results) => {
                for ((at, call, prepared), error) in lines.iter().zip(results) {
                    outcomes[*at] = Some(prepared.finish(prov, call, error).await.into());
                }
            }
            Err(failure) if is_unknown(&failure) => {
                lines.iter().for_each(|(at, ..)| outcomes[*at] = None);
                return false;
            }
            Err(failure) => lines.iter().for_each(|(at, ..)| outcomes[*at] = Some(Err(failure.clone()).into())),
        }
        true
    }
}

/// Whether the line may or may not have been carried out.
fn is_unknown(failure: &Failure) -> bool {
    failure.code == "service.TEMPORARILY_UNAVAILABLE"
}

pub(crate) async fn run(prov: &Prov, request: &Request) -> Result<Vec<LineOutcome>, Failure> {
    if request.lines.len() > LINES_MAX {
        return Err(Failure::invalid(format!("more than {LINES_MAX} lines at once")));
    }
    let mut hashes = hashes(request).await;
    let mut outcomes: Vec<Option<LineOutcome>> = vec![None; request.lines.len()];
    let mut pending = Pending::default();
    for (at, args) in request.lines.iter().enumerate() {
        let call = Prov::call(args, request.id(at)).map(|call| Call {
            again: request.again,
            page: request.page.as_deref().filter(|_| at == 0),
            hashed: std::mem::take(&mut hashes[at]),
            ..call
        });
        let go_on = match call {
            Ok(call) => line(prov, at, call, &mut pending, &mut outcomes).await,
            Err(failure) => {
                outcomes[at] = Some(Err(failure).into());
                true
            }
        };
        if !go_on {
            break;
        }
    }
    pending.flush(prov, &mut outcomes).await;
    Ok(outcomes.into_iter().map_while(|o| o).collect())
}

/// Carries out a line, or lets it wait for others; whether the next one can follow.
async fn line<'a>(
    prov: &Prov,
    at: usize,
    call: Call<'a>,
    pending: &mut Pending<'a>,
    outcomes: &mut [Option<LineOutcome>],
) -> bool {
    let prepare = commands::preparer(call.command.name);
    let waits = prepare.is_none() || pending.lines.len() >= TOGETHER_MAX || pending.is_named_in(&call.args);
    if waits && !pending.flush(prov, outcomes).await {
        return false;
    }
    let outcome = match prepare {
        None => prov.carry_out(&call).await.or_else(|f| taken_as_done(&call, f)),
        Some(prepare) => match prepare(prov, &call).await {
            // The entry may have been named in another way: by an alias, by an id.
            Ok(prepared) if prepared.alone || pending.concerns(&prepared) => {
                if !pending.flush(prov, outcomes).await {
                    return false;
                }
                let prepared = prepare(prov, &call).await;
                prov.carry_out_prepared(&call, prepared).await
            }
            Ok(prepared) if prepared.command.is_some() => {
                pending.lines.push((at, call, prepared));
                return true;
            }
            prepared => prov.carry_out_prepared(&call, prepared).await,
        },
    };
    if outcome.as_ref().is_err_and(is_unknown) {
        return false;
    }
    let has_more = outcome.as_ref().is_ok_and(|reply| reply.more.is_some());
    outcomes[at] = Some(outcome.into());
    !has_more
}

/// What is stored of the passwords in the lines, computed side by side.
async fn hashes(request: &Request) -> Vec<Vec<Hashed>> {
    let given = |line: &Vec<String>| match Prov::call(line, AccountId([0; 16])) {
        Ok(call) => passwords::given(&call),
        Err(_) => Vec::new(),
    };
    let all = request.lines.iter().enumerate();
    let all: Vec<(usize, String)> = all.flat_map(|(at, l)| given(l).into_iter().map(move |p| (at, p))).collect();
    let each = all.into_iter().map(|(at, password)| async move {
        let stored = passwords::values(&password).await;
        (at, (password, stored))
    });
    let mut out = vec![Vec::new(); request.lines.len()];
    let mut hashed = stream::iter(each).buffer_unordered(HASHES_AT_A_TIME);
    while let Some((at, hashed)) = hashed.next().await {
        out[at].push(hashed);
    }
    out
}

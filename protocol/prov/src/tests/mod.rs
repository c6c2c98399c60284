//! Transcripts of sessions: commands behind `> `, and what they print. `{id}` stands for any UUID, `{}` for anything within a
//! line, a line `...` for any lines.

mod delegated;

use crate::words::{Split, split};
use crate::{LineOutcome, Prov, Request, commands};
use std::collections::BTreeSet;
use std::sync::Arc;
use zcluster_api::Actor;
use zcluster_state::memory::Memory;

const TRANSCRIPTS: [(&str, &str); 8] = [
    ("accounts", include_str!("accounts.txt")),
    ("children", include_str!("children.txt")),
    ("config and cos", include_str!("config_and_cos.txt")),
    ("domains", include_str!("domains.txt")),
    ("lists", include_str!("lists.txt")),
    ("misc", include_str!("misc.txt")),
    ("rights and address list", include_str!("rights.txt")),
    ("servers and mailboxes", include_str!("servers_and_mailboxes.txt")),
];

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap().block_on(future)
}

fn new() -> Prov {
    prov(&Arc::new(Memory::with_account("admin@example.com", "")), Actor::System)
}

fn prov(memory: &Arc<Memory>, actor: Actor) -> Prov {
    Prov::new(memory.clone(), memory.clone(), actor)
}

struct Step {
    line: String,
    words: Vec<String>,
    want: Vec<String>,
}

fn steps(transcript: &str) -> Vec<Step> {
    let mut out: Vec<Step> = Vec::new();
    for line in transcript.lines() {
        match line.strip_prefix("> ") {
            Some(line) => {
                let Split::Words(words) = split(line) else { panic!("{line}") };
                out.push(Step { line: line.into(), words, want: Vec::new() });
            }
            None => out.last_mut().expect("a command first").want.push(line.into()),
        }
    }
    out
}

fn text(outcome: &LineOutcome) -> String {
    match outcome {
        LineOutcome::Done(reply) => reply.print(),
        LineOutcome::Refused { code, text } if code == crate::USAGE => format!("{text}\n"),
        LineOutcome::Refused { code, text } => format!("ERROR: {code} ({text})\n"),
    }
}

fn fits_line(want: &str, got: &str) -> bool {
    let Some(at) = want.find(['{', '\u{0}']) else { return want == got };
    let Some(got) = got.strip_prefix(&want[..at]) else { return false };
    if let Some(rest) = want[at..].strip_prefix("{id}") {
        return got.get(..36).is_some_and(|id| id.split('-').count() == 5) && fits_line(rest, &got[36..]);
    }
    match want[at..].strip_prefix("{}") {
        Some(rest) => got.char_indices().map(|(i, _)| i).chain([got.len()]).any(|i| fits_line(rest, &got[i..])),
        None => got.strip_prefix('{').is_some_and(|got| fits_line(&want[at + 1..], got)),
    }
}

fn fits(want: &[String], got: &[&str]) -> bool {
    match want.split_first() {
        None => got.is_empty(),
        Some((any, rest)) if any == "..." => (0..=got.len()).any(|n| fits(rest, &got[n..])),
        Some((line, rest)) => {
            got.split_first().is_some_and(|(first, others)| fits_line(line, first) && fits(rest, others))
        }
    }
}

fn check(name: &str, step: &Step, outcome: &LineOutcome) -> bool {
    let got = text(outcome);
    let got: Vec<&str> = got.trim_end().lines().collect();
    let end = step.want.iter().rposition(|l| !l.is_empty()).map_or(0, |at| at + 1);
    let good = fits(&step.want[..end], &got);
    if !good {
        println!("--- {name}: {}\nwanted:\n{}\ngot:\n{}", step.line, step.want.join("\n"), got.join("\n"));
    }
    good
}

#[test]
fn sessions_are_as_they_are_written_down() {
    let mut wrong = 0;
    for (name, transcript) in TRANSCRIPTS {
        let prov = new();
        for step in steps(transcript) {
            let outcome = LineOutcome::from(run(prov.run(&step.words)));
            wrong += usize::from(!check(name, &step, &outcome));
        }
    }
    assert_eq!(wrong, 0);
}

/// The same lines all at once mean the same.
#[test]
fn sessions_in_one_batch_mean_the_same() {
    let mut wrong = 0;
    for (name, transcript) in TRANSCRIPTS {
        let prov = new();
        let steps = steps(transcript);
        let lines = steps.iter().map(|s| s.words.clone()).collect();
        let outcomes = run(prov.run_lines(&Request { lines, key: Some("k".into()), ..Request::default() })).unwrap();
        assert_eq!(outcomes.len(), steps.len(), "{name}");
        wrong += steps.iter().zip(&outcomes).filter(|(step, outcome)| !check(name, step, outcome)).count();
    }
    assert_eq!(wrong, 0);
}

#[test]
fn every_command_is_in_a_transcript() {
    let all = TRANSCRIPTS.iter().flat_map(|(_, t)| steps(t));
    let called: BTreeSet<&str> = all.filter_map(|s| crate::table::find(&s.words[0])).map(|c| c.name).collect();
    let missing: Vec<&str> = commands::names().filter(|n| !called.contains(n)).collect();
    assert_eq!(missing, [""; 0]);
}

fn words(line: &str) -> Vec<String> {
    match split(line) {
        Split::Words(words) => words,
        other => panic!("{other:?}"),
    }
}

/// What a node that dies behind the write and before the answer leads to: the same lines once more, elsewhere.
#[test]
fn lines_that_are_sent_twice_are_carried_out_once() {
    let prov = new();
    let text = [
        "ca a@example.com secret1 zimbraNotes one",
        "aaa a@example.com b@example.com",
        "ma a@example.com +zimbraMailForwardingAddress x@y.test",
        "cdl l@example.com",
        "adlm l@example.com a@example.com",
        "cc gold",
        "cd example.net",
        "ca gone@example.net secret1",
        "ra gone@example.net went@example.net",
        "raa a@example.com b@example.com",
        "cpe a@example.com c@example.com",
        "da went@example.net",
        "csig c@example.com one zimbraPrefMailSignature hello",
    ];
    let mut request = Request { lines: text.map(words).to_vec(), key: Some("key".into()), ..Request::default() };
    let first = run(prov.run_lines(&request)).unwrap();
    let failed = |outcomes: &[LineOutcome]| outcomes.iter().filter(|o| !matches!(o, LineOutcome::Done(_))).count();
    assert_eq!((first.len(), failed(&first)), (text.len(), 0), "{first:?}");
    request.again = true;
    let twice = run(prov.run_lines(&request)).unwrap();
    // Lines that speak of names which later lines took away are refused; nothing is made twice.
    for (at, (one, two)) in first.iter().zip(&twice).enumerate() {
        let later =
            matches!(two, LineOutcome::Refused { code, .. } if code.contains("NO_SUCH") || code.contains("EXISTS"));
        assert!(one == two || later, "{}: {two:?}", text[at]);
    }
    let accounts = run(prov.run(&words("gaa"))).unwrap().print();
    assert!(accounts.contains("admin@example.com\n") && accounts.contains("c@example.com\n"), "{accounts}");
    // Where nothing came between, the second answer is the first.
    let key = |again| Request {
        key: Some("other".into()),
        again,
        lines: vec![words("ca z@example.com secret1"), words("aaa z@example.com y@example.com")],
        ..Request::default()
    };
    assert_eq!(run(prov.run_lines(&key(false))).unwrap(), run(prov.run_lines(&key(true))).unwrap());
    let again =
        run(prov.run_lines(&Request { lines: vec![words("da z@example.com")], again: true, ..Request::default() }));
    let once_more =
        run(prov.run_lines(&Request { lines: vec![words("da z@example.com")], again: true, ..Request::default() }));
    assert_eq!((failed(&again.unwrap()), failed(&once_more.unwrap())), (0, 0));
}

#[test]
fn long_answers_come_in_pages() {
    let prov = new();
    let line = |n: usize| words(&format!("ca u{n:03}@example.com '' zimbraNotes {n}"));
    for chunk in 0..3 {
        let lines = (chunk * 50..chunk * 50 + 50).map(line).collect();
        let outcomes = run(prov.run_lines(&Request { lines, ..Request::default() })).unwrap();
        assert!(outcomes.iter().all(|o| matches!(o, LineOutcome::Done(_))));
    }
    let mut request = Request { lines: vec![words("gaa -v"), words("gad")], ..Request::default() };
    let mut names = BTreeSet::new();
    let mut pages = 0;
    loop {
        let mut outcomes = run(prov.run_lines(&request)).unwrap();
        let LineOutcome::Done(reply) = outcomes.remove(0) else { panic!() };
        pages += 1;
        for line in reply.print().lines().filter_map(|l| l.strip_prefix("# name ")) {
            assert!(names.insert(line.to_string()), "{line} twice");
        }
        // What follows is not carried out before the answer is whole.
        assert_eq!(outcomes.is_empty(), reply.more.is_some());
        request.page = reply.more;
        if request.page.is_none() {
            break;
        }
    }
    assert_eq!((names.len(), pages), (151, 2));
    let bad =
        run(prov.run_lines(&Request { lines: vec![words("gaa")], page: Some("zz".into()), ..Request::default() }));
    assert!(matches!(&bad.unwrap()[0], LineOutcome::Refused { .. }));
}

/// No account is anybody's to administer for an account.
#[test]
fn an_account_administers_nothing() {
    let memory = Arc::new(Memory::with_account("al@example.com", ""));
    let id = run(Prov::new(memory.clone(), memory.clone(), Actor::System).account("al@example.com")).unwrap().id;
    let prov = Prov::new(memory.clone(), memory, Actor::Account(id));
    for line in [
        "ca x@example.com secret1",
        "ma al@example.com zimbraMailQuota 1",
        "da al@example.com",
        "cd x.test",
        "mcf zimbraMtaMyHostname x",
    ] {
        let outcome = run(prov.run(&words(line)));
        assert!(outcome.as_ref().is_err_and(|f| f.code == "service.PERM_DENIED"), "{line}: {outcome:?}");
    }
}
